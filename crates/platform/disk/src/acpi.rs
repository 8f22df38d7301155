//! The little of ACPI that powers a machine off: the port of PM1a control and what is written there
//! for the sleep state S5.
//!
//! No interpreter: S5 is a package of numbers under a fixed name (`_S5_`), which is looked for in the
//! bytes of the DSDT, as small systems have done for long.

use crate::firmware::Physical;

/// What to write where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerOff {
    /// The port.
    pub port: u16,
    /// The value: the sleep type of S5, and the bit that begins it.
    pub value: u16,
}

fn long(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}

/// A table, if one of that name is at the address; its length is believed up to a megabyte.
fn table<'m>(memory: &'m dyn Physical, address: u64, name: &[u8; 4]) -> Option<&'m [u8]> {
    let head = memory.bytes(address, 8);
    let length = long(head, 4) as usize;
    (head.starts_with(name) && (36..=1 << 20).contains(&length))
        .then(|| memory.bytes(address, length))
}

/// Looks for the root pointer where a PC's BIOS puts it: on 16 bytes of its last 128 KiB.
#[must_use]
pub fn find_root(memory: &dyn Physical) -> Option<u64> {
    (0xe_0000..0x10_0000)
        .step_by(16)
        .find(|address| memory.bytes(*address, 8) == b"RSD PTR ")
}

/// Follows the root pointer at `address` to what powers the machine off.
#[must_use]
pub fn find(memory: &dyn Physical, address: u64) -> Option<PowerOff> {
    let root = memory.bytes(address, 36);
    if !root.starts_with(b"RSD PTR ") {
        return None;
    }
    let list = u64::from(long(root, 16));
    let tables = table(memory, list, b"RSDT")?;
    let fixed = tables[36..]
        .chunks_exact(4)
        .find_map(|entry| table(memory, u64::from(long(entry, 0)), b"FACP"))?;
    let port = u16::try_from(long(fixed, 64))
        .ok()
        .filter(|port| *port != 0)?;
    let code = table(memory, u64::from(long(fixed, 40)), b"DSDT")?;
    let sleep_type = sleep_type(code)?;
    Some(PowerOff {
        port,
        value: sleep_type << 10 | 1 << 13,
    })
}

/// The first number of the package `_S5_`.
fn sleep_type(code: &[u8]) -> Option<u16> {
    const NAME: u8 = 0x08;
    const PACKAGE: u8 = 0x12;
    const BYTE: u8 = 0x0a;
    let at = code.windows(4).position(|name| name == b"_S5_")?;
    if !matches!(code[..at], [.., NAME] | [.., NAME, b'\\']) {
        return None;
    }
    let rest = code[at + 4..].strip_prefix(&[PACKAGE])?;
    // The package's length takes as many more bytes as its first two bits say; one counts elements.
    let skip = usize::from(rest.first()? >> 6) + 2;
    match rest.get(skip..)? {
        [BYTE, value, ..] => Some(u16::from(value & 7)),
        [value @ 0..=1, ..] => Some(u16::from(*value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sleep_type_is_the_packages_first_number() {
        // Name (_S5_, Package (0x04) { 5, 5, 0, 0 }), and with a zero first: section 20.2 of ACPI.
        let code = [
            0x10, 0x08, b'_', b'S', b'5', b'_', 0x12, 0x08, 0x04, 0x0a, 0x05, 0x0a, 0x05, 0, 0,
        ];
        assert_eq!(sleep_type(&code), Some(5));
        let zero = [0x08, b'_', b'S', b'5', b'_', 0x12, 0x06, 0x04, 0, 0, 0, 0];
        assert_eq!(sleep_type(&zero), Some(0));
        assert_eq!(sleep_type(&code[..8]), None);
        assert_eq!(sleep_type(b"no such name"), None);
    }
}
