//! From a PC's BIOS to the entry: the boot sector of a raw disk, and the two sectors behind it.
//!
//! The first sector is loaded at 0x7c00 and loads the others. These ask for the memory map, read the
//! image to the first megabyte on through a buffer below it, and enter as a PVH loader would, with a
//! start info of their own. Where the image lies on the disk stands in the first entry of the
//! partition table, which whoever makes the disk fills in. The serial line is the console, as later.

use core::arch::global_asm;

global_asm!(
    r#"
    .pushsection .bios, "ax"
    .code16
bios_start:
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov sp, 0x7c00
    .byte 0xea              // a far jump: code segment 0, whatever it was
    .short bios_first_sector, 0
bios_first_sector:
    sti
    cld
    mov [bios_drive], dl
    mov word ptr [bios_packet + 2], 2
    mov word ptr [bios_packet + 4], offset bios_second_sector
    mov dword ptr [bios_packet + 8], 1
    call bios_read
    jmp bios_second_sector

// Reads what the packet says, or ends.
bios_read:
    mov si, offset bios_packet
    mov dl, [bios_drive]
    mov ah, 0x42
    int 0x13
    jc  bios_failed
    ret
bios_failed:
    mov si, offset bios_failed_text
// Says what stands at SI, and ends.
bios_end:
    lodsb
    test al, al
    jz  3f
    mov ah, al
    mov dx, 0x3fd
2:  in  al, dx
    test al, 0x20
    jz  2b
    mov al, ah
    mov dx, 0x3f8
    out dx, al
    jmp bios_end
3:  mov eax, {failed}
    mov dx, {exit_port}
    out dx, eax
    mov ax, 0x5307          // APM: all devices off
    mov bx, 1
    mov cx, 3
    int 0x15
4:  hlt
    jmp 4b

bios_failed_text:
    .asciz "sprat: the disk cannot be read, or ends before its image does\n"
    .balign 4
bios_packet:
    .byte 16, 0
    .short 0, 0, 0
    .quad 0
bios_drive:
    .byte 0

    .org bios_start + 446
    .byte 0x80, 0, 2, 0, {kind}, 0xff, 0xff, 0xff
bios_image_first:
    .long 0
bios_image_sectors:
    .long 0
    .zero 48
    .short 0xaa55

bios_second_sector:
    in  al, 0x92            // addresses above the first megabyte
    or  al, 2
    and al, 0xfe
    out 0x92, al

    mov di, {map}
    xor ebx, ebx
2:  mov eax, 0xe820
    mov edx, 0x534d4150
    mov ecx, 20
    int 0x15
    jc  3f
    cmp eax, 0x534d4150
    jne 3f
    mov dword ptr [di + 20], 0
    add di, 24
    inc dword ptr [bios_entries]
    cmp dword ptr [bios_entries], 64
    jae 3f
    test ebx, ebx
    jnz 2b

3:  mov eax, [bios_image_first]
    mov [bios_packet + 8], eax
    mov word ptr [bios_packet + 4], 0
    mov word ptr [bios_packet + 6], 0x1000
4:  mov eax, [bios_image_sectors]
    test eax, eax
    jz  8f
    cmp eax, 64
    jbe 5f
    mov eax, 64
5:  mov [bios_packet + 2], ax
    push eax
    call bios_read
    pop eax
    sub [bios_image_sectors], eax
    add [bios_packet + 8], eax
    cli                     // segments as long as memory, for the copy
    lgdt [bios_gdt_pointer]
    mov edx, cr0
    or  dl, 1
    mov cr0, edx
    jmp 6f
6:  mov bx, 16
    mov ds, bx
    mov es, bx
    and dl, 0xfe
    mov cr0, edx
    jmp 7f
7:  xor bx, bx
    mov ds, bx
    mov es, bx
    mov esi, 0x10000
    mov edi, [bios_to]
    mov ecx, eax
    shl ecx, 7
    .byte 0x67, 0xf3, 0x66, 0xa5    // rep movsd, by ESI and EDI
    mov [bios_to], edi
    sti
    jmp 4b

8:  cli
    lgdt [bios_gdt_pointer]
    mov edx, cr0
    or  dl, 1
    mov cr0, edx
    .byte 0x66, 0xea        // a far jump with 32 bits of offset
    .long bios_protected
    .short 8

    .balign 8
bios_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
bios_gdt_pointer:
    .short 23
    .long bios_gdt
    .balign 8
bios_start_info:
    .long 0x336ec578, 1, 0, 0
    .quad 0, 0, 0
    .quad {map}
bios_entries:
    .long 0, 0
bios_to:
    .long 0x100000

    .code32
bios_protected:
    mov ax, 16
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov ebx, offset bios_start_info
    mov eax, offset pvh_entry
    jmp eax

    .org bios_start + 1536
    .code64
    .popsection
    "#,
    failed = const crate::power::FAILED,
    exit_port = const crate::power::EXIT_PORT,
    map = const 0x5000,
    kind = const KIND,
);

/// The kind of partition that an image is: data of no file system.
const KIND: u8 = 0xda;

/// Whether a disk begins with this boot sector, whatever follows: by its partition table.
pub(crate) fn is_boot_sector(block: &[u8; 512]) -> bool {
    block[446..454] == [0x80, 0, 2, 0, KIND, 0xff, 0xff, 0xff] && block[510..] == [0x55, 0xaa]
}
