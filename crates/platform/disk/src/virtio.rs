//! Virtio devices: finding them, and bringing them up (section 3.1 of the specification), over PCI with
//! interrupts as messages, and over registers at a fixed address.

use crate::interrupts::FIRST;
use crate::pci::Function;
use crate::queue::{MEMORY, Queue};
use crate::window::{OutOfMemory, Window};

/// Kinds of devices.
pub(crate) const NETWORK: u32 = 1;
pub(crate) const BLOCK: u32 = 2;
pub(crate) const CONSOLE: u32 = 3;
pub(crate) const ENTROPY: u32 = 4;

/// Whether there is a driver for a kind of devices.
fn is_driven(kind: u32) -> bool {
    matches!(kind, NETWORK | BLOCK | CONSOLE | ENTROPY)
}

/// Bits of a device's status.
const ACKNOWLEDGE: u8 = 1;
const DRIVER: u8 = 2;
const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;

/// The feature of a device that follows the specification, not what was before it.
const VERSION_1: u64 = 1 << 32;

/// How a device's registers are reached. Addresses are mapped ones.
#[derive(Clone, Copy, Debug)]
enum Registers {
    Pci {
        common: u64,
        notify: u64,
        multiplier: u32,
        device: u64,
    },
    Mmio(u64),
}

/// A device that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device {
    registers: Registers,
    /// Whether it interrupts; one that does not has to be looked at.
    pub(crate) interrupts: bool,
}

/// Where the device is told of new entries of a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bell {
    address: u64,
    queue: u16,
    wide: bool,
}

impl Bell {
    /// No bell, for statics.
    pub(crate) const NONE: Self = Self {
        address: 0,
        queue: 0,
        wide: false,
    };

    /// Tells it.
    pub(crate) fn ring(self) {
        if self.wide {
            write::<u32>(self.address, u32::from(self.queue));
        } else {
            write::<u16>(self.address, self.queue);
        }
    }
}

fn read<T>(address: u64) -> T {
    // SAFETY: callers add offsets of the specification to registers that are mapped for ever; reading
    // them takes no memory of Rust's.
    unsafe { sprat_abi::pointer(address).cast::<T>().read_volatile() }
}

fn write<T>(address: u64, value: T) {
    // SAFETY: as above; what devices do to memory is said by the queues, whose memory is their own.
    unsafe {
        sprat_abi::pointer(address)
            .cast::<T>()
            .write_volatile(value)
    };
}

/// Which interrupt a device is given, and the processor that it goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interrupt {
    /// As an index of the counters.
    pub(crate) index: u8,
    /// The processor's controller.
    pub(crate) processor: u8,
}

impl Interrupt {
    fn vector(self) -> u32 {
        u32::from(FIRST) + u32::from(self.index)
    }
}

impl Device {
    /// The device behind a PCI function, and its kind, if it is one of virtio's that follows the
    /// specification.
    pub(crate) fn of_function(
        function: Function,
        interrupt: Interrupt,
        window: &mut Window<'_>,
    ) -> Result<Option<(u32, Self)>, OutOfMemory> {
        const MAKER: u16 = 0x1af4;
        const VENDOR: u8 = 0x09;
        const MESSAGES: u8 = 0x11;
        let (maker, number) = function.identity();
        let kind = match number {
            // Those that also know the old way have the old way's numbers.
            0x1000 => NETWORK,
            0x1001 => BLOCK,
            0x1003 => CONSOLE,
            0x1005 => ENTROPY,
            0x1040..=0x107f => u32::from(number - 0x1040),
            _ => return Ok(None),
        };
        if maker != MAKER || !is_driven(kind) {
            return Ok(None);
        }
        function.turn_on();
        let (mut common, mut notify, mut device) = (None, None, None);
        let mut multiplier = 0;
        let mut interrupts = false;
        for (id, at) in function.capabilities() {
            match id {
                VENDOR => {
                    let what = function.byte(at + 3);
                    let offset = u64::from(function.read(at + 8));
                    let length = u64::from(function.read(at + 12));
                    let Some(base) = function.base(function.byte(at + 4)) else {
                        continue;
                    };
                    let place = match what {
                        1 => &mut common,
                        2 => {
                            multiplier = function.read(at + 16);
                            &mut notify
                        }
                        4 => &mut device,
                        _ => continue,
                    };
                    if place.is_none() {
                        *place = Some(window.registers(base + offset, length)?);
                    }
                }
                MESSAGES => {
                    let table = function.read(at + 4);
                    let index = table.to_le_bytes()[0] & 7;
                    let Some(base) = function.base(index) else {
                        continue;
                    };
                    let entry = window.registers(base + u64::from(table & !7), 16)?;
                    // Address, data, and not masked: section 6.8.2.6 of the PCI specification.
                    write::<u32>(entry, 0xfee0_0000 | u32::from(interrupt.processor) << 12);
                    write::<u32>(entry + 4, 0);
                    write::<u32>(entry + 8, interrupt.vector());
                    write::<u32>(entry + 12, 0);
                    let control = function.read(at);
                    function.write(at, control & !(1 << 30) | 1 << 31);
                    interrupts = true;
                }
                _ => {}
            }
        }
        let (Some(common), Some(notify)) = (common, notify) else {
            return Ok(None);
        };
        let registers = Registers::Pci {
            common,
            notify,
            multiplier,
            device: device.unwrap_or(common),
        };
        Ok(Some((
            kind,
            Self {
                registers,
                interrupts,
            },
        )))
    }

    /// The device whose registers lie at a physical address, and its kind.
    pub(crate) fn at_address(
        address: u64,
        window: &mut Window<'_>,
    ) -> Result<Option<(u32, Self)>, OutOfMemory> {
        const MAGIC: u32 = 0x7472_6976;
        let base = window.registers(address, 0x200)?;
        let kind = read::<u32>(base + 8);
        if read::<u32>(base) != MAGIC || read::<u32>(base + 4) != 2 {
            return Ok(None);
        }
        if !is_driven(kind) {
            return Ok(None);
        }
        Ok(Some((
            kind,
            Self {
                registers: Registers::Mmio(base),
                interrupts: true,
            },
        )))
    }

    fn status(&self) -> u8 {
        match self.registers {
            Registers::Pci { common, .. } => read::<u8>(common + 20),
            Registers::Mmio(base) => read::<u32>(base + 0x70).to_le_bytes()[0],
        }
    }

    fn set_status(&self, status: u8) {
        match self.registers {
            Registers::Pci { common, .. } => write(common + 20, status),
            Registers::Mmio(base) => write(base + 0x70, u32::from(status)),
        }
    }

    /// Resets it and agrees on features: of `wanted` those it has. `None` where it will not.
    pub(crate) fn begin(&self, wanted: u64) -> Option<u64> {
        self.set_status(0);
        for _ in 0..100_000 {
            if self.status() == 0 {
                break;
            }
        }
        self.set_status(ACKNOWLEDGE);
        self.set_status(ACKNOWLEDGE | DRIVER);
        let (choose, offered, choose_ours, ours) = match self.registers {
            Registers::Pci { common, .. } => (common, common + 4, common + 8, common + 12),
            Registers::Mmio(base) => (base + 0x14, base + 0x10, base + 0x24, base + 0x20),
        };
        let mut features = 0;
        for half in [0, 1] {
            write::<u32>(choose, half);
            features |= u64::from(read::<u32>(offered)) << (32 * half);
        }
        if features & VERSION_1 == 0 {
            return None;
        }
        let agreed = features & (wanted | VERSION_1);
        for half in [0, 1] {
            write::<u32>(choose_ours, half);
            let [a, b, c, d, ..] = (agreed >> (32 * half)).to_le_bytes();
            write::<u32>(ours, u32::from_le_bytes([a, b, c, d]));
        }
        self.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK);
        if self.status() & FEATURES_OK == 0 {
            return None;
        }
        // Changes of the configuration interrupt nobody.
        if let Registers::Pci { common, .. } = self.registers {
            write::<u16>(common + 16, 0xffff);
        }
        Some(agreed)
    }

    /// Gives it a queue; `None` where it has none of that number.
    pub(crate) fn queue(
        &self,
        index: u16,
        queue: &mut Queue,
        window: &mut Window<'_>,
    ) -> Result<Option<Bell>, OutOfMemory> {
        let offered = match self.registers {
            Registers::Pci { common, .. } => {
                write::<u16>(common + 22, index);
                read::<u16>(common + 24)
            }
            Registers::Mmio(base) => {
                write::<u32>(base + 0x30, u32::from(index));
                u16::try_from(read::<u32>(base + 0x34)).unwrap_or(1 << 15)
            }
        };
        if offered == 0 {
            return Ok(None);
        }
        let (memory, physical) = window.memory(MEMORY)?;
        // A power of two: of those that are not, over PCI, the next lower one.
        let size = 1 << offered.ilog2();
        // SAFETY: fresh zeroed memory, which nobody else is told of but the device.
        unsafe { queue.start(memory, size) };
        let parts = Queue::parts(physical);
        let bell = match self.registers {
            Registers::Pci {
                common,
                notify,
                multiplier,
                ..
            } => {
                write::<u16>(common + 24, queue.size());
                write::<u16>(common + 26, 0); // its message
                for (register, part) in [32, 40, 48].into_iter().zip(parts) {
                    write_halves(common + register, part);
                }
                let place = u64::from(read::<u16>(common + 30)) * u64::from(multiplier);
                write::<u16>(common + 28, 1);
                Bell {
                    address: notify + place,
                    queue: index,
                    wide: false,
                }
            }
            Registers::Mmio(base) => {
                write::<u32>(base + 0x38, u32::from(queue.size()));
                for (register, part) in [0x80, 0x90, 0xa0].into_iter().zip(parts) {
                    write_halves(base + register, part);
                }
                write::<u32>(base + 0x44, 1);
                Bell {
                    address: base + 0x50,
                    queue: index,
                    wide: true,
                }
            }
        };
        Ok(Some(bell))
    }

    /// Lets it work.
    pub(crate) fn finish(&self) {
        self.set_status(ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    }

    /// A byte of its configuration.
    pub(crate) fn configuration(&self, offset: u64) -> u8 {
        match self.registers {
            Registers::Pci { device, .. } => read(device + offset),
            Registers::Mmio(base) => read(base + 0x100 + offset),
        }
    }

    /// Tells a device without messages that its interrupt was seen, so that the wire may rise again.
    pub(crate) fn acknowledge(&self) {
        if let Registers::Mmio(base) = self.registers {
            let seen = read::<u32>(base + 0x60);
            if seen != 0 {
                write::<u32>(base + 0x64, seen);
            }
        }
    }
}

fn write_halves(address: u64, value: u64) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    write::<u32>(address, u32::from_le_bytes([a, b, c, d]));
    write::<u32>(address + 4, u32::from_le_bytes([e, f, g, h]));
}
