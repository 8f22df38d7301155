//! What firmware or loader tells of the machine: memory, command line, ACPI.
//!
//! Told by a PVH start info (`xen/include/public/arch-x86/hvm/start_info.h`) or by the tags of a
//! Multiboot2 loader (section 3.6 of its specification). All of it is read before any memory is used
//! that it may lie in.

use crate::frames::Frames;

/// Longest command line that is kept.
const LINE: usize = 1024;

/// First four bytes of a start info.
const PVH_MAGIC: u32 = 0x336e_c578;

/// Kind of memory that is free to use, in both tables.
const USABLE: u32 = 1;

/// What was told.
#[derive(Clone, Debug)]
pub struct Firmware {
    /// Free memory.
    pub frames: Frames,
    /// Physical address of ACPI's root pointer, if there is one.
    pub acpi: Option<u64>,
    line: [u8; LINE],
    line_length: usize,
}

/// Memory of the machine, read where it lies.
pub trait Physical {
    /// The bytes from `address` on.
    fn bytes(&self, address: u64, length: usize) -> &[u8];
}

fn long(bytes: &[u8], at: usize) -> u32 {
    let bytes = bytes
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u32::from_le_bytes)
}

fn quad(bytes: &[u8], at: usize) -> u64 {
    u64::from(long(bytes, at)) | u64::from(long(bytes, at + 4)) << 32
}

impl Firmware {
    fn new() -> Self {
        Self {
            frames: Frames::new(),
            acpi: None,
            line: [0; LINE],
            line_length: 0,
        }
    }

    /// The command line.
    #[must_use]
    pub fn command_line(&self) -> &[u8] {
        &self.line[..self.line_length]
    }

    fn keep_line(&mut self, memory: &dyn Physical, address: u64) {
        let line = memory.bytes(address, LINE);
        let length = line.iter().position(|byte| *byte == 0).unwrap_or(LINE);
        self.line[..length].copy_from_slice(&line[..length]);
        self.line_length = length;
    }

    /// Reads a start info; `None` where there is none, or one without a memory map. Only memory in
    /// `bounds` counts.
    #[must_use]
    pub fn from_pvh(memory: &dyn Physical, address: u64, bounds: (u64, u64)) -> Option<Self> {
        let info = memory.bytes(address, 56);
        // The memory map came with version 1.
        if long(info, 0) != PVH_MAGIC || long(info, 4) < 1 {
            return None;
        }
        let mut told = Self::new();
        if quad(info, 24) != 0 {
            told.keep_line(memory, quad(info, 24));
        }
        told.acpi = Some(quad(info, 32)).filter(|address| *address != 0);
        let (table, entries) = (quad(info, 40), u64::from(long(info, 48)));
        for entry in 0..entries.min(256) {
            let entry = memory.bytes(table + entry * 24, 24);
            if long(entry, 16) == USABLE {
                told.frames.add(quad(entry, 0), quad(entry, 8), bounds);
            }
        }
        Some(told)
    }

    /// Reads the tags of a Multiboot2 loader.
    #[must_use]
    pub fn from_multiboot2(memory: &dyn Physical, address: u64, bounds: (u64, u64)) -> Self {
        const COMMAND_LINE: u32 = 1;
        const MEMORY_MAP: u32 = 6;
        const ACPI_OLD: u32 = 14;
        const ACPI_NEW: u32 = 15;
        let mut told = Self::new();
        let total = u64::from(long(memory.bytes(address, 8), 0));
        let mut at = 8;
        while at + 8 <= total {
            let tag = memory.bytes(address + at, 24);
            let (kind, size) = (long(tag, 0), u64::from(long(tag, 4)));
            match kind {
                COMMAND_LINE => told.keep_line(memory, address + at + 8),
                ACPI_OLD | ACPI_NEW => told.acpi = Some(address + at + 8),
                MEMORY_MAP => {
                    let step = u64::from(long(tag, 8)).max(24);
                    let mut entry = 16;
                    while entry + 24 <= size {
                        let bytes = memory.bytes(address + at + entry, 24);
                        if long(bytes, 16) == USABLE {
                            told.frames.add(quad(bytes, 0), quad(bytes, 8), bounds);
                        }
                        entry += step;
                    }
                }
                0 => break,
                _ => {}
            }
            at += size.max(8).next_multiple_of(8);
        }
        told
    }

    /// The virtio devices that the command line names: address and interrupt of each
    /// `virtio_mmio.device=SIZE@ADDRESS:INTERRUPT`, as Linux takes them.
    pub fn virtio_devices(&self) -> impl Iterator<Item = (u64, u8)> {
        self.command_line()
            .split(|byte| *byte == b' ')
            .filter_map(|word| word.strip_prefix(b"virtio_mmio.device="))
            .filter_map(|value| {
                let value = str::from_utf8(value).ok()?;
                let (_, place) = value.split_once('@')?;
                let (address, interrupt) = place.split_once(':')?;
                let address = match address.strip_prefix("0x") {
                    Some(digits) => u64::from_str_radix(digits, 16).ok()?,
                    None => address.parse().ok()?,
                };
                let interrupt = interrupt.split(':').next()?;
                Some((address, interrupt.parse().ok()?))
            })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    struct Memory(Vec<u8>);

    impl Physical for Memory {
        fn bytes(&self, address: u64, length: usize) -> &[u8] {
            let at = usize::try_from(address).unwrap();
            &self.0[at..at + length]
        }
    }

    impl Memory {
        fn put(&mut self, at: usize, longs: &[u32]) {
            for (place, long) in (at..).step_by(4).zip(longs) {
                self.0[place..place + 4].copy_from_slice(&long.to_le_bytes());
            }
        }
    }

    const BOUNDS: (u64, u64) = (0x1000, 1 << 32);

    #[test]
    fn a_start_info_tells_of_memory_line_and_acpi() {
        let mut memory = Memory(vec![0; 8192]);
        // Fields as in start_info.h: magic, version, flags, modules; list; command line; root pointer;
        // memory map; its entries.
        memory.put(
            64,
            &[
                0x336e_c578,
                1,
                0,
                0,
                0,
                0,
                512,
                0,
                0xf_5a80,
                0,
                256,
                0,
                2,
                0,
            ],
        );
        memory.put(
            256,
            &[
                0x10_0000,
                0,
                0x30_0000,
                0,
                1,
                0,
                0xfee0_0000,
                0,
                0x1000,
                0,
                2,
                0,
            ],
        );
        memory.0[512..].fill(0);
        let line = b"quiet virtio_mmio.device=512@0xfeb00e00:12 virtio_mmio.device=4K@4096:5:7 virtio_mmio.device=x";
        memory.0[512..512 + line.len()].copy_from_slice(line);
        let told = Firmware::from_pvh(&memory, 64, BOUNDS).unwrap();
        assert_eq!(told.frames.left(), 0x300);
        assert_eq!(told.acpi, Some(0xf_5a80));
        assert_eq!(told.command_line(), line);
        let devices: Vec<_> = told.virtio_devices().collect();
        assert_eq!(devices, [(0xfeb0_0e00, 12), (4096, 5)]);
    }

    #[test]
    fn what_is_no_start_info_is_not_read() {
        let mut memory = Memory(vec![0; 4096]);
        assert!(Firmware::from_pvh(&memory, 0, BOUNDS).is_none());
        memory.put(0, &[0x336e_c578, 0]);
        assert!(
            Firmware::from_pvh(&memory, 0, BOUNDS).is_none(),
            "version 0 has no memory map"
        );
    }

    #[test]
    fn multiboot2_tags_tell_the_same() {
        let mut memory = Memory(vec![0; 8192]);
        // Total size; command line (type 1); memory map (type 6) with entries of 24 bytes; the end.
        memory.put(0, &[8 + 16 + 64 + 8, 0]);
        memory.put(8, &[1, 12]);
        memory.0[16..20].copy_from_slice(b"abc\0");
        memory.put(
            24,
            &[
                6, 64, 24, 0, 0x10_0000, 0, 0x20_0000, 0, 1, 0, 0x30_0000, 0, 0x1000, 0, 3, 0,
            ],
        );
        memory.put(88, &[0, 8]);
        let told = Firmware::from_multiboot2(&memory, 0, BOUNDS);
        assert_eq!(
            (told.frames.left(), told.command_line()),
            (0x200, &b"abc"[..])
        );
        assert_eq!(told.acpi, None);
    }
}
