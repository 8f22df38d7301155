//! The PCI bus, as far as finding virtio devices needs it: configuration by ports, which every PC has.

use crate::ports::{read_long, write_long};

const ADDRESS: u16 = 0xcf8;
const DATA: u16 = 0xcfc;

/// A function of a device: bus, device and function as configuration addresses have them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function(u32);

/// Registers of a function.
const IDENTITY: u8 = 0x00;
const COMMAND: u8 = 0x04;
const CLASS: u8 = 0x08;
const KIND: u8 = 0x0c;
const BUSES: u8 = 0x18;
const CAPABILITIES: u8 = 0x34;

/// Bits of the command: memory and bus mastering; no interrupts by wire.
const COMMAND_ON: u32 = 1 << 1 | 1 << 2 | 1 << 10;

impl Function {
    /// Four bytes of its configuration, at a multiple of four.
    pub(crate) fn read(self, register: u8) -> u32 {
        write_long(ADDRESS, 1 << 31 | self.0 | u32::from(register & 0xfc));
        read_long(DATA)
    }

    /// Writes four bytes of its configuration.
    pub(crate) fn write(self, register: u8, value: u32) {
        write_long(ADDRESS, 1 << 31 | self.0 | u32::from(register & 0xfc));
        write_long(DATA, value);
    }

    /// One byte of its configuration.
    pub(crate) fn byte(self, register: u8) -> u8 {
        self.read(register).to_le_bytes()[usize::from(register & 3)]
    }

    /// Maker and device.
    pub(crate) fn identity(self) -> (u16, u16) {
        let [a, b, c, d] = self.read(IDENTITY).to_le_bytes();
        (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]))
    }

    /// Lets the device be reached, and reach memory.
    pub(crate) fn turn_on(self) {
        self.write(COMMAND, self.read(COMMAND) & 0xffff | COMMAND_ON);
    }

    /// Where a base address register leads, of memory.
    pub(crate) fn base(self, index: u8) -> Option<u64> {
        let register = 0x10 + 4 * index.min(5);
        let low = self.read(register);
        let high = match low & 7 {
            4 if index < 5 => u64::from(self.read(register + 4)) << 32,
            0 | 2 => 0,
            _ => return None,
        };
        Some(high | u64::from(low & !15)).filter(|address| *address != 0)
    }

    /// Its capabilities: kind, and where it stands.
    pub(crate) fn capabilities(self) -> impl Iterator<Item = (u8, u8)> {
        /// Bit of the status: there are some.
        const LIST: u32 = 1 << 20;
        let mut at = match self.read(COMMAND) & LIST {
            0 => 0,
            _ => self.byte(CAPABILITIES) & 0xfc,
        };
        // A list that never ends is cut.
        (0..48).map_while(move |_| {
            let place = at;
            if place < 0x40 {
                return None;
            }
            let [kind, next, ..] = self.read(place).to_le_bytes();
            at = next & 0xfc;
            Some((kind, place))
        })
    }
}

/// Calls `found` with every function of the machine, bus by bus.
pub(crate) fn for_each(found: &mut dyn FnMut(Function)) {
    scan(0, 0, found);
}

fn scan(bus: u32, depth: u32, found: &mut dyn FnMut(Function)) {
    const BRIDGE: u32 = 0x0604;
    const SEVERAL: u8 = 0x80;
    for device in 0..32 {
        let first = Function(bus << 16 | device << 11);
        if first.identity().0 == 0xffff {
            continue;
        }
        let several = first.byte(KIND + 2) & SEVERAL != 0;
        for function in 0..if several { 8 } else { 1 } {
            let function = Function(first.0 | function << 8);
            if function.identity().0 == 0xffff {
                continue;
            }
            found(function);
            let behind = u32::from(function.byte(BUSES + 1));
            if function.read(CLASS) >> 16 == BRIDGE && behind > bus && depth < 8 {
                scan(behind, depth + 1, found);
            }
        }
    }
}
