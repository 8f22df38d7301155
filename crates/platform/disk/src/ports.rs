//! Instructions that Rust has no name for: ports of I/O, machine registers, the processor's tables.

use core::arch::asm;

/// Reads a byte from a port.
pub(crate) fn read_byte(port: u16) -> u8 {
    let value;
    // SAFETY: ports lead to devices, never to memory that Rust knows of.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack)) };
    value
}

/// Writes a byte to a port.
pub(crate) fn write_byte(port: u16, value: u8) {
    // SAFETY: as above; no device that this crate drives by ports reads or writes memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack)) };
}

/// Reads four bytes from a port.
pub(crate) fn read_long(port: u16) -> u32 {
    let value;
    // SAFETY: as above.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack)) };
    value
}

/// Writes two bytes to a port.
pub(crate) fn write_word(port: u16, value: u16) {
    // SAFETY: as above.
    unsafe { asm!("out dx, ax", in("dx") port, in("ax") value, options(nomem, nostack)) };
}

/// Writes four bytes to a port.
pub(crate) fn write_long(port: u16, value: u32) {
    // SAFETY: as above.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack)) };
}

/// Reads a model-specific register.
///
/// # Safety
/// The processor must have it, or the read is a fault.
pub(crate) unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the caller's promise; reading one changes nothing.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The processor must have it, and the value must be one that leaves running code its memory.
pub(crate) unsafe fn write_msr(register: u32, value: u64) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    let (low, high) = (
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    );
    // SAFETY: the caller's promise. Memory is not declared untouched: some registers make a device
    // write it.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack));
    }
}

/// Lets interrupts come and waits for one; returns with them let in. One that was pending counts.
pub(crate) fn wait_for_interrupt() {
    // SAFETY: handlers touch counters alone, on stacks of their own. Interrupts are let in by the
    // instruction before `hlt` and taken only after it, so none is slept through.
    unsafe { asm!("sti", "hlt", options(nostack)) };
}

/// Lets interrupts come.
pub(crate) fn enable_interrupts() {
    // SAFETY: as above.
    unsafe { asm!("sti", options(nostack)) };
}

/// Keeps interrupts waiting.
pub(crate) fn disable_interrupts() {
    // SAFETY: keeps waiting what would only have counted.
    unsafe { asm!("cli", options(nostack)) };
}
