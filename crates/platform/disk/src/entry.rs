//! From the firmware's hands to Rust: 32 bits without pages to 64 bits with them.
//!
//! Both doors are entered in 32-bit protected mode with flat segments, pages off and interrupts off:
//! `pvh_entry` with the address of a start info in EBX (Xen's PVH boot protocol, `x86/pvh.rst` in
//! Xen's documentation), `multiboot2_entry` with the loader's magic number in EAX and its information
//! in EBX (section 3.3 of the Multiboot2 specification). Our own boot sector enters at the first.

use core::arch::global_asm;

/// The magic number that a Multiboot2 loader passes in EAX.
pub(crate) const MULTIBOOT2_MAGIC: u32 = 0x36d7_6289;

// The first four gigabytes are mapped as they lie, in pages of 2 MiB, until the instance's own tables
// are made: all that firmware tells of lies there.
global_asm!(
    r#"
    .pushsection .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18          // name and description in bytes; XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry
    .popsection

    .pushsection .multiboot2, "a"
    .balign 8
multiboot2_header:
    .long 0xe85250d6, 0     // for i386 in protected mode
    .long multiboot2_header_end - multiboot2_header
    .long -(0xe85250d6 + (multiboot2_header_end - multiboot2_header))
    .short 3, 0             // the entry, where it is not the ELF file's
    .long 12, multiboot2_entry, 0
    .short 0, 0             // the end
    .long 8
multiboot2_header_end:
    .popsection

    .pushsection .text.entry, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    xor eax, eax
multiboot2_entry:
    cli
    cld
    mov esp, offset {stack} + {stack_size}
    mov edi, ebx
    mov esi, eax

    mov eax, 0x80000000
    cpuid
    cmp eax, 0x80000001
    jb  no_long_mode
    mov eax, 0x80000001
    cpuid
    bt  edx, 29             // long mode
    jnc no_long_mode
    bt  edx, 20             // pages that cannot be executed
    jnc no_long_mode

    mov eax, offset {tables}
    lea edx, [eax + 0x1003] // present, writable
    mov [eax], edx
    lea ebx, [eax + 0x1000]
    lea edx, [eax + 0x2003]
    mov ecx, 4
2:  mov [ebx], edx
    add ebx, 8
    add edx, 0x1000
    loop 2b
    lea ebx, [eax + 0x2000]
    mov edx, 0x83           // present, writable, 2 MiB
    mov ecx, 2048
3:  mov [ebx], edx
    add ebx, 8
    add edx, 0x200000
    loop 3b

    mov edx, cr4
    or  edx, 0x620          // PAE, OSFXSR, OSXMMEXCPT
    mov cr4, edx
    mov cr3, eax
    mov ecx, 0xc0000080     // EFER: LME, NXE
    rdmsr
    or  eax, 0x900
    wrmsr
    mov eax, cr0
    and eax, 0xfffffff3     // EM and TS off
    or  eax, 0x80010023     // PG, WP, NE, MP, PE
    mov cr0, eax
    lgdt [boot_gdt_pointer]
    mov eax, 8
    push eax
    mov eax, offset long_mode
    push eax
    retf

    .code64
long_mode:
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    mov rsp, offset {stack} + {stack_size}
    xor ebp, ebp
    mov edi, edi
    mov esi, esi
    call {start}
    ud2

    .code32
no_long_mode:
    mov esi, offset no_long_mode_text
4:  lodsb
    test al, al
    jz  6f
    mov ah, al
    mov dx, 0x3fd           // until the line's transmitter is empty
5:  in  al, dx
    test al, 0x20
    jz  5b
    mov al, ah
    mov dx, 0x3f8
    out dx, al
    jmp 4b
6:  mov eax, {failed}
    mov dx, {exit_port}
    out dx, eax
    lidt [no_gates]         // a fault without gates resets the machine
    ud2
7:  hlt
    jmp 7b
    .code64
    .popsection

    .pushsection .rodata.entry, "a"
    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    // code, 64 bits, ring 0
boot_gdt_pointer:
    .short 15
    .long boot_gdt
no_gates:
    .short 0
    .long 0
no_long_mode_text:
    .asciz "sprat: this processor has no 64-bit long mode with pages that cannot be executed; this image needs one\n"
    .popsection
    "#,
    stack = sym crate::stacks::BOOT,
    stack_size = const crate::stacks::STACK_SIZE,
    tables = sym FIRST_TABLES,
    start = sym crate::start::start,
    failed = const crate::power::FAILED,
    exit_port = const crate::power::EXIT_PORT,
);

/// The page tables that the processor enters long mode with: one of the fourth level, one of the
/// third, four of the second.
#[repr(C, align(4096))]
struct FirstTables([u64; 6 * 512]);

static mut FIRST_TABLES: FirstTables = FirstTables([0; 6 * 512]);

/// The physical address of the table of the fourth level that long mode is entered with.
pub(crate) fn first_tables() -> u64 {
    (&raw const FIRST_TABLES).addr() as u64
}
