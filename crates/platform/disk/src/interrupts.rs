//! Gates: exceptions end the instance with a report, interrupts count.
//!
//! Every gate has a stack of its own. The compiled code keeps variables below the stack pointer (the
//! red zone), and the processor would write the interrupted instruction's address there.
//!
//! An interrupt's handler is three instructions: count, say so to the interrupt controller, return.
//! Whoever waits looks at the counters ([`count`]); devices are looked at by the one loop alone.

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::stacks::{self, STACK_SIZE};

/// The first vector of interrupts; the lower ones are exceptions.
pub(crate) const FIRST: u8 = 32;

/// How many interrupts there are: the timer's and those of devices.
pub(crate) const INTERRUPTS: u8 = 16;

/// The same, as a length.
const COUNT: usize = INTERRUPTS as usize;

/// The timer's interrupt, as an index of the counters.
pub(crate) const TIMER: u8 = 0;

/// The vector of interrupts that turn out to be none. The controller wants no answer to these.
pub(crate) const SPURIOUS: u8 = 0xff;

/// The first of the vectors that the old interrupt controllers are moved to.
pub(crate) const OLD_CONTROLLERS: u8 = 0xf0;

/// Where the interrupt controller's registers are mapped.
pub(crate) const CONTROLLER: u64 = 0x1f_e000;

/// How often each interrupt came.
static COUNTERS: [AtomicU64; COUNT] = [const { AtomicU64::new(0) }; COUNT];

/// How many interrupts came.
pub(crate) fn count() -> u64 {
    let counters = COUNTERS.iter();
    counters.fold(0, |sum, counter| {
        sum.wrapping_add(counter.load(Ordering::Acquire))
    })
}

global_asm!(
    r#"
    .pushsection .text.interrupts, "ax"
    .altmacro
    .macro interrupt number
    .globl interrupt_\number
interrupt_\number:
    lock inc qword ptr [{counters} + 8 * \number]
    mov dword ptr [{controller} + 0xb0], 0
    iretq
    .endm
    .set number, 0
    .rept {interrupts}
    interrupt %number
    .set number, number + 1
    .endr

    .globl interrupt_spurious
interrupt_spurious:
    iretq

    .macro exception vector
exception_\vector:
    .if \vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30
    .else
    push 0
    .endif
    push \vector
    jmp exception
    .endm
    .set number, 0
    .rept 32
    exception %number
    .set number, number + 1
    .endr

exception:
    push rax
    push rbx
    push rcx
    push rdx
    push rsi
    push rdi
    push rbp
    push r8
    push r9
    push r10
    push r11
    push r12
    push r13
    push r14
    push r15
    mov rdi, rsp
    mov rsi, cr2
    cld
    xor ebp, ebp
    and rsp, -16
    call {fault}
    ud2
    .popsection

    .pushsection .rodata.interrupts, "a"
    .balign 8
    .macro address_of name, number
    .quad \name\number
    .endm
gate_addresses:
    .set number, 0
    .rept 32
    address_of exception_, %number
    .set number, number + 1
    .endr
    .set number, 0
    .rept {interrupts}
    address_of interrupt_, %number
    .set number, number + 1
    .endr
    .quad interrupt_spurious
    .noaltmacro
    .popsection
    "#,
    counters = sym COUNTERS,
    controller = const CONTROLLER,
    interrupts = const INTERRUPTS,
    fault = sym crate::fault::fault,
);

unsafe extern "C" {
    #[link_name = "gate_addresses"]
    static GATE_ADDRESSES: [u64; 32 + COUNT + 1];
}

/// A gate of the interrupt descriptor table.
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    low: u64,
    high: u64,
}

/// The task state: nothing but stacks.
#[repr(C, packed(4))]
struct TaskState {
    reserved: u32,
    rings: [u64; 3],
    reserved_2: u64,
    stacks: [u64; 7],
    reserved_3: u64,
    reserved_4: u16,
    /// Past the end: no port is open to other rings, of which there is none.
    ports: u16,
}

/// Stacks of the task state, counted from one.
const EXCEPTION_STACK: u64 = 1;
const INTERRUPT_STACK: u64 = 2;
const FAILURE_STACK: u64 = 3;

static mut TASK: TaskState = TaskState {
    reserved: 0,
    rings: [0; 3],
    reserved_2: 0,
    stacks: [0; 7],
    reserved_3: 0,
    reserved_4: 0,
    ports: 104,
};

/// Segments: none, code in ring 0, the task state (two entries).
static mut SEGMENTS: [u64; 4] = [0, 0x00af_9b00_0000_ffff, 0, 0];

static mut GATES: [Gate; 256] = [Gate { low: 0, high: 0 }; 256];

/// What `lgdt` and `lidt` take.
#[repr(C, packed)]
struct TablePointer {
    limit: u16,
    base: u64,
}

fn gate(address: u64, stack: u64) -> Gate {
    // Present, ring 0, an interrupt gate: interrupts wait while it is handled.
    let kind = 0x8e00 | stack;
    Gate {
        low: address & 0xffff | 8 << 16 | kind << 32 | (address >> 16 & 0xffff) << 48,
        high: address >> 32,
    }
}

/// Puts the gates and their stacks in place. To be called once, before interrupts are let in.
pub(crate) fn start() {
    // Moves the old controllers' interrupts out of the exceptions' way, and lets none of them through.
    for (port, value) in [
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, OLD_CONTROLLERS),
        (0xa1, OLD_CONTROLLERS + 8),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xff),
        (0xa1, 0xff),
    ] {
        crate::ports::write_byte(port, value);
    }
    // SAFETY: nobody else reaches these statics: this is called once, and the processor reads them
    // only after. The addresses are those of handlers, code segment and stacks that stay for ever.
    unsafe {
        let end = |stack: *const stacks::Stack| stack.addr() as u64 + STACK_SIZE as u64;
        let mut state_stacks = [0; 7];
        state_stacks[0] = end(&raw const stacks::EXCEPTIONS);
        state_stacks[1] = end(&raw const stacks::INTERRUPTS);
        state_stacks[2] = end(&raw const stacks::FAILURES);
        (&raw mut TASK.stacks).write_unaligned(state_stacks);

        let task = (&raw const TASK).addr() as u64;
        let limit = size_of::<TaskState>() as u64 - 1;
        // A task state of 64 bits that is free to be loaded.
        SEGMENTS[2] = limit | (task & 0xff_ffff) << 16 | 0x89 << 40 | (task >> 24 & 0xff) << 56;
        SEGMENTS[3] = task >> 32;

        for (vector, address) in GATE_ADDRESSES[..32 + COUNT].iter().enumerate() {
            let stack = match vector {
                // Not maskable, double fault, machine check: they may come while others are handled.
                2 | 8 | 18 => FAILURE_STACK,
                0..32 => EXCEPTION_STACK,
                _ => INTERRUPT_STACK,
            };
            GATES[vector] = gate(*address, stack);
        }
        let spurious = gate(GATE_ADDRESSES[32 + COUNT], INTERRUPT_STACK);
        let mut vector = usize::from(OLD_CONTROLLERS);
        while vector < 256 {
            GATES[vector] = spurious;
            vector += 1;
        }

        let segments = TablePointer {
            limit: 4 * 8 - 1,
            base: (&raw const SEGMENTS).addr() as u64,
        };
        let gates = TablePointer {
            limit: 256 * 16 - 1,
            base: (&raw const GATES).addr() as u64,
        };
        asm!(
            "lgdt [{segments}]",
            "lidt [{gates}]",
            "mov {task:x}, 0x10",
            "ltr {task:x}",
            segments = in(reg) &segments,
            gates = in(reg) &gates,
            task = out(reg) _,
            options(nostack),
        );
    }
}
