//! Interrupt controllers: the processor's own (the local APIC), with its timer, and the one that
//! devices without messages are wired to (the I/O APIC).

use crate::clock;
use crate::interrupts::{CONTROLLER, FIRST, SPURIOUS, TIMER};
use crate::ports::{read_msr, write_msr};

/// The register that says where the controller lies, and whether it is on.
const BASE_REGISTER: u32 = 0x1b;

/// Bits of it: on, and with registers that are no memory.
const ON: u64 = 1 << 11;
const WITHOUT_MEMORY: u64 = 1 << 10;

/// The register of the time at which the timer goes off, by the time stamp counter.
const DEADLINE_REGISTER: u32 = 0x6e0;

/// Offsets of registers.
const TASK_PRIORITY: u64 = 0x80;
const SPURIOUS_VECTOR: u64 = 0xf0;
const TIMER_ENTRY: u64 = 0x320;
const WIRE_0: u64 = 0x350;
const WIRE_1: u64 = 0x360;
const TIMER_START: u64 = 0x380;
const TIMER_NOW: u64 = 0x390;
const TIMER_DIVISOR: u64 = 0x3e0;

/// Bits of an entry: kept waiting; by the time stamp counter.
const MASKED: u32 = 1 << 16;
const BY_DEADLINE: u32 = 2 << 17;

/// The physical address of the processor's controller, which is on from here on.
pub(crate) fn address() -> u64 {
    // SAFETY: every processor with long mode has it. A controller without memory has to be off before
    // it can be on with memory.
    unsafe {
        let base = read_msr(BASE_REGISTER);
        if base & WITHOUT_MEMORY != 0 {
            write_msr(BASE_REGISTER, base & !(ON | WITHOUT_MEMORY));
        }
        write_msr(BASE_REGISTER, base & !WITHOUT_MEMORY | ON);
        base & 0x000f_ffff_ffff_f000
    }
}

fn write(register: u64, value: u32) {
    // SAFETY: the controller's registers are mapped there before `start` is called.
    unsafe {
        sprat_abi::pointer(CONTROLLER + register)
            .cast::<u32>()
            .write_volatile(value);
    }
}

fn read(register: u64) -> u32 {
    // SAFETY: as above.
    unsafe {
        sprat_abi::pointer(CONTROLLER + register)
            .cast::<u32>()
            .read_volatile()
    }
}

/// How the timer counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timer {
    /// Goes off when the time stamp counter gets there.
    Deadline,
    /// Counts down so many ticks for 2^32 of the time stamp counter.
    Countdown(u64),
}

/// Turns the controller on; the timer is measured against the time stamp counter if it has to be.
pub(crate) fn start() -> Timer {
    write(TASK_PRIORITY, 0);
    write(WIRE_0, MASKED);
    write(WIRE_1, MASKED);
    write(SPURIOUS_VECTOR, 0x100 | u32::from(SPURIOUS));
    let vector = u32::from(FIRST + TIMER);
    if core::arch::x86_64::__cpuid(1).ecx & 1 << 24 != 0 {
        write(TIMER_ENTRY, vector | BY_DEADLINE);
        return Timer::Deadline;
    }
    write(TIMER_ENTRY, vector | MASKED);
    write(TIMER_DIVISOR, 0b1011); // by one
    write(TIMER_START, u32::MAX);
    let begin = clock::counter();
    // Long enough to be exact to a thousandth where reading the timer takes a microsecond.
    while clock::counter() - begin < clock::ticks(1_000_000) {
        core::hint::spin_loop();
    }
    let counted = u64::from(u32::MAX - read(TIMER_NOW));
    let passed = clock::counter() - begin;
    write(TIMER_START, 0);
    write(TIMER_ENTRY, vector);
    Timer::Countdown((counted.max(1) << 32) / passed.max(1))
}

impl Timer {
    /// Has an interrupt come `ticks` of the time stamp counter from now, or somewhat earlier.
    pub(crate) fn arm(self, ticks: u64) {
        match self {
            Self::Deadline => {
                // SAFETY: the processor has it, as `start` found.
                unsafe {
                    write_msr(DEADLINE_REGISTER, clock::counter().saturating_add(ticks));
                }
            }
            Self::Countdown(scale) => {
                let count = (u128::from(ticks) * u128::from(scale)) >> 32;
                write(TIMER_START, u32::try_from(count).unwrap_or(u32::MAX).max(1));
            }
        }
    }
}
