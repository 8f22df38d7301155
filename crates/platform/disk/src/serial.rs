//! The console: the first serial line, a 16550 at its usual ports.

use core::fmt;

use crate::ports::{read_byte, write_byte};

/// Where the first serial line is on every PC, and on machines made to look like one.
const BASE: u16 = 0x3f8;

/// How often a byte is tried before a line that takes nothing is given up: on a real one of 115,200
/// baud a byte is 87 µs, and a read of a port a microsecond.
const PATIENCE: u32 = 100_000;

/// Sets the line up: 115,200 baud, eight bits, no parity, one stop bit, no interrupts.
pub(crate) fn start() {
    for (register, value) in [
        (1, 0x00), // no interrupts
        (3, 0x80), // the divisor's turn
        (0, 0x01), // 115,200 baud
        (1, 0x00),
        (3, 0x03), // eight bits, no parity, one stop bit
        (2, 0x07), // queues on and empty
        (4, 0x03), // ready
    ] {
        write_byte(BASE + register, value);
    }
}

/// Writes bytes as they are.
pub(crate) fn write(bytes: &[u8]) {
    /// Bit of the line's status: room for a byte.
    const ROOM: u8 = 1 << 5;
    for byte in bytes {
        let mut patience = PATIENCE;
        while read_byte(BASE + 5) & ROOM == 0 && patience > 0 {
            patience -= 1;
        }
        write_byte(BASE, *byte);
    }
}

/// The console for formatted text.
pub(crate) struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text.as_bytes());
        Ok(())
    }
}
