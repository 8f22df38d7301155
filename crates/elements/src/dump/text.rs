//! Packets as text.

use alloc::string::String;
use core::fmt::{self, Write};

/// Nanoseconds since the Unix epoch, shown as Click shows times: seconds with six decimals, or nine
/// where those would not do.
pub(crate) struct Seconds(pub(crate) i64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (seconds, fraction) = (magnitude / 1_000_000_000, magnitude % 1_000_000_000);
        if fraction.is_multiple_of(1000) {
            write!(f, "{sign}{seconds}.{:06}", fraction / 1000)
        } else {
            write!(f, "{sign}{seconds}.{fraction:09}")
        }
    }
}

/// Writes bytes in hexadecimal, in groups of four.
pub(crate) fn write_hex(text: &mut String, bytes: &[u8]) -> fmt::Result {
    for (number, byte) in bytes.iter().enumerate() {
        if number > 0 && number % 4 == 0 {
            text.push(' ');
        }
        write!(text, "{byte:02x}")?;
    }
    Ok(())
}

/// Writes bytes as characters, dots for those that are none, in groups of eight.
pub(crate) fn write_ascii(text: &mut String, bytes: &[u8]) {
    for (number, byte) in bytes.iter().enumerate() {
        if number > 0 && number % 8 == 0 {
            text.push(' ');
        }
        text.push(if (0x20..0x7f).contains(byte) {
            char::from(*byte)
        } else {
            '.'
        });
    }
}
