//! The end: the status to whoever started the machine, then power off.

use core::arch::asm;
use core::cell::Cell;
use core::fmt::{self, Write as _};

use crate::acpi::PowerOff;
use crate::cell::Local;
use crate::ports::{disable_interrupts, read_byte, write_byte, write_long, write_word};
use crate::serial;

/// Port of QEMU's `isa-debug-exit`: what is written there becomes the low bits of its exit status,
/// twice the value and one. Nothing listens elsewhere.
pub(crate) const EXIT_PORT: u16 = 0xf4;

/// What is written there when the machine lacks something: exit status 251.
pub(crate) const FAILED: u32 = 125;

/// What is written there when the instance broke a rule: exit status 253.
pub(crate) const FAULTED: u32 = 126;

/// The greatest status of an instance that is told apart; greater ones, and negative ones, count as
/// this.
const GREATEST: u32 = 124;

/// What powers this machine off by ACPI, if that was found.
static SLEEP: Local<Cell<Option<PowerOff>>> = Local::new(Cell::new(None));

/// Keeps what powers this machine off by ACPI.
pub(crate) fn remember(found: Option<PowerOff>) {
    SLEEP.get().set(found);
}

/// Ends an instance that exited with `status`.
pub(crate) fn exit(status: i32) -> ! {
    off(u32::try_from(status).unwrap_or(GREATEST).min(GREATEST))
}

/// Says in one line what is missing, and powers off.
pub(crate) fn refuse(what: fmt::Arguments<'_>) -> ! {
    // The console fails in no way that could be told.
    let _ = writeln!(serial::Console, "sprat: {what}");
    off(FAILED)
}

/// Powers off, by the first way that works here.
pub(crate) fn off(status: u32) -> ! {
    disable_interrupts();
    write_long(EXIT_PORT, status);
    if let Some(sleep) = SLEEP.get().get() {
        write_word(sleep.port, sleep.value);
    }
    // A machine without ACPI (QEMU's microvm, Firecracker) ends when it is reset: by the keyboard's
    // controller, or by a fault that has no gate.
    for _ in 0..1000 {
        if read_byte(0x64) & 2 == 0 {
            break;
        }
    }
    write_byte(0x64, 0xfe);
    let no_gates = [0_u16; 5];
    // SAFETY: the processor resets at the next instruction, having nowhere to go.
    unsafe { asm!("lidt [{}]", "ud2", in(reg) &no_gates, options(noreturn)) }
}
