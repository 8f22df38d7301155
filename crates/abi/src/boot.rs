//! The boot page: what an instance is told when it starts.
//!
//! The monitor writes it, the instance reads it; it is mapped read-only. Every address is valid for
//! the whole life of the instance.

use crate::ABI_VERSION;
use crate::block::BlockDevice;

/// First eight bytes of a boot page: `SPRATBT1`, little endian.
pub const BOOT_MAGIC: u64 = u64::from_le_bytes(*b"SPRATBT1");

/// Most entries a device table may have: one bit of a [`Wake`](crate::call::Wake) each.
pub const MAX_DEVICES: usize = 56;

/// A stretch of the instance's memory. A length of zero says that there is none.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Address of its first byte.
    pub address: u64,
    /// Its length in bytes.
    pub length: u64,
}

impl Area {
    /// The area at `address` of `length` bytes.
    #[must_use]
    pub const fn new(address: u64, length: u64) -> Self {
        Self { address, length }
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// Which monitor holds the instance: [`BootPage::monitor`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonitorKind {
    /// A virtual CPU in ring 3 under KVM.
    Vm = 1,
    /// A process under a system call filter.
    Process = 2,
    /// A machine of its own, which it booted by itself.
    Disk = 3,
}

/// The page an instance finds the address of in RDI when it starts.
#[repr(C, align(64))]
#[derive(Clone, Debug)]
pub struct BootPage {
    /// [`BOOT_MAGIC`].
    pub magic: u64,
    /// [`ABI_VERSION`].
    pub version: u32,
    /// Size in bytes of this structure as the monitor knows it; fields beyond it are absent.
    pub size: u32,
    /// A [`MonitorKind`].
    pub monitor: u32,
    /// Zero.
    pub reserved: u32,
    /// Address of the [`yield`](crate::call::YieldCall) call.
    pub yield_call: u64,
    /// Address of the [`exit`](crate::call::ExitCall) call.
    pub exit_call: u64,
    /// Address of the [`CallBlock`](crate::call::CallBlock).
    pub call_block: u64,
    /// Address of the [`ClockPage`](crate::clock::ClockPage).
    pub clock: u64,
    /// Where the image's segments lie, from the first page to the last.
    pub image: Area,
    /// Zeroed memory that is the instance's to use as it likes.
    pub heap: Area,
    /// The stack: RSP points to its end at the start. The page below it is unmapped.
    pub stack: Area,
    /// The [statistics region](crate::statistics).
    pub statistics: Area,
    /// The console: a [byte ring](crate::bytes) from the instance to the monitor.
    pub console: Area,
    /// Requests for the instance: a [byte ring](crate::bytes) of [messages](crate::control).
    pub control_requests: Area,
    /// Answers of the instance: a [byte ring](crate::bytes) of [messages](crate::control).
    pub control_responses: Area,
    /// The [buffer pool](crate::frame). Empty when the instance has no network device.
    pub pool: Area,
    /// How many buffers the pool has.
    pub buffer_count: u32,
    /// First of the buffers that belong to the instance from the start; all from there to the last do.
    /// The ones before it are the host's to fill.
    pub first_own_buffer: u32,
    /// The supply [ring](crate::ring) of `u32` buffer indexes, from the instance to the monitor.
    pub supply: Area,
    /// The configuration text: UTF-8 or not, as the user wrote it.
    pub configuration: Area,
    /// Boot parameters: `KEY=VALUE` texts, each ended by a zero byte.
    pub parameters: Area,
    /// Address of the first [`DeviceEntry`].
    pub device_table: u64,
    /// How many entries the device table has, at most [`MAX_DEVICES`].
    pub device_count: u32,
    /// Distance in bytes from one entry to the next, at least the size of [`DeviceEntry`] as this
    /// version knows it.
    pub device_entry_size: u32,
    /// Random bytes that no other instance was given.
    pub seed: [u8; 32],
}

const _: () = {
    assert!(size_of::<Area>() == 16);
    assert!(size_of::<BootPage>() == 320 && align_of::<BootPage>() == 64);
    assert!(core::mem::offset_of!(BootPage, version) == 8);
    assert!(core::mem::offset_of!(BootPage, yield_call) == 24);
    assert!(core::mem::offset_of!(BootPage, image) == 56);
    assert!(core::mem::offset_of!(BootPage, pool) == 168);
    assert!(core::mem::offset_of!(BootPage, supply) == 192);
    assert!(core::mem::offset_of!(BootPage, device_table) == 240);
    assert!(core::mem::offset_of!(BootPage, seed) == 256);
};

impl Default for BootPage {
    /// A page of this version that grants nothing.
    fn default() -> Self {
        Self {
            magic: BOOT_MAGIC,
            version: ABI_VERSION,
            size: 320,
            monitor: 0,
            reserved: 0,
            yield_call: 0,
            exit_call: 0,
            call_block: 0,
            clock: 0,
            image: Area::default(),
            heap: Area::default(),
            stack: Area::default(),
            statistics: Area::default(),
            console: Area::default(),
            control_requests: Area::default(),
            control_responses: Area::default(),
            pool: Area::default(),
            buffer_count: 0,
            first_own_buffer: 0,
            supply: Area::default(),
            configuration: Area::default(),
            parameters: Area::default(),
            device_table: 0,
            device_count: 0,
            #[expect(clippy::cast_possible_truncation, reason = "128")]
            device_entry_size: size_of::<DeviceEntry>() as u32,
            seed: [0; 32],
        }
    }
}

/// What a device is. Values without a name here may stand in a table: skip such an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum DeviceKind {
    /// Sends and receives Ethernet frames.
    Network = 1,
    /// Reads and writes fixed-size blocks.
    Block = 2,
    /// A file of the host to read, mapped whole.
    InputFile = 3,
    /// A file of the host to write, front to back, through a byte ring.
    OutputFile = 4,
}

impl DeviceKind {
    /// The kind that `value` stands for, if this version knows it.
    #[must_use]
    pub const fn from_value(value: u16) -> Option<Self> {
        Some(match value {
            1 => Self::Network,
            2 => Self::Block,
            3 => Self::InputFile,
            4 => Self::OutputFile,
            _ => return None,
        })
    }

    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Block => "block",
            Self::InputFile => "input file",
            Self::OutputFile => "output file",
        }
    }
}

/// What a device can do, or cannot, beyond what all of its kind do: [`DeviceEntry::features`].
pub mod features {
    /// The device completes checksums that a frame's head asks for.
    pub const CHECKSUM: u64 = 1 << 0;
    /// The device cuts TCP segments that are too long for the link.
    pub const SEGMENTATION: u64 = 1 << 1;
    /// Heads carry the time a frame arrived.
    pub const TIMESTAMP: u64 = 1 << 2;
    /// A block device that cannot be written.
    pub const READ_ONLY: u64 = 1 << 3;
}

/// One entry of the device table.
///
/// What `areas` and `values` mean depends on the kind; [`NetworkDevice`], [`BlockDevice`],
/// [`InputFile`] and [`OutputFile`] are the readings.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct DeviceEntry {
    /// A [`DeviceKind`], or a value that this version does not know.
    pub kind: u16,
    /// How many queues the device has, one at least.
    pub queue_count: u16,
    /// Zero.
    pub reserved: u32,
    /// Bits of [`features`].
    pub features: u64,
    /// The device's name: `eth0`, or a file's path as the user granted it. UTF-8 or not.
    pub name: Area,
    /// Where its rings or contents lie.
    pub areas: [Area; 4],
    /// Further facts.
    pub values: [u64; 4],
}

const _: () = {
    assert!(size_of::<DeviceEntry>() == 128);
    assert!(core::mem::offset_of!(DeviceEntry, features) == 8);
    assert!(core::mem::offset_of!(DeviceEntry, areas) == 32);
    assert!(core::mem::offset_of!(DeviceEntry, values) == 96);
};

/// A [`DeviceEntry`] read as a network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkDevice {
    /// Its own Ethernet address.
    pub address: [u8; 6],
    /// Longest frame, Ethernet header included and checksum not, in bytes.
    pub frame_limit: u32,
    /// Bits of [`features`].
    pub features: u64,
    /// The ring of [slots](crate::frame::Slot) that the host fills.
    pub receive: Area,
    /// The ring of [slots](crate::frame::Slot) that the instance fills.
    pub transmit: Area,
}

impl NetworkDevice {
    /// Its entry in a device table.
    #[must_use]
    pub fn to_entry(&self, name: Area) -> DeviceEntry {
        let mut address = [0; 8];
        address[..6].copy_from_slice(&self.address);
        DeviceEntry {
            kind: DeviceKind::Network as u16,
            queue_count: 1,
            reserved: 0,
            features: self.features,
            name,
            areas: [
                self.receive,
                self.transmit,
                Area::default(),
                Area::default(),
            ],
            values: [
                u64::from_le_bytes(address),
                u64::from(self.frame_limit),
                0,
                0,
            ],
        }
    }
}

/// A [`DeviceEntry`] read as a file to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Its whole contents, mapped read-only.
    pub contents: Area,
}

impl InputFile {
    /// Its entry in a device table.
    #[must_use]
    pub fn to_entry(&self, name: Area) -> DeviceEntry {
        DeviceEntry {
            kind: DeviceKind::InputFile as u16,
            queue_count: 1,
            name,
            areas: [
                self.contents,
                Area::default(),
                Area::default(),
                Area::default(),
            ],
            ..DeviceEntry::default()
        }
    }
}

/// A [`DeviceEntry`] read as a file to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// The [byte ring](crate::bytes) that the monitor drains at each yield.
    pub ring: Area,
}

impl OutputFile {
    /// Its entry in a device table.
    #[must_use]
    pub fn to_entry(&self, name: Area) -> DeviceEntry {
        DeviceEntry {
            kind: DeviceKind::OutputFile as u16,
            queue_count: 1,
            name,
            areas: [self.ring, Area::default(), Area::default(), Area::default()],
            ..DeviceEntry::default()
        }
    }
}

/// A device as its entry describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Sends and receives frames.
    Network(NetworkDevice),
    /// Reads and writes blocks.
    Block(BlockDevice),
    /// A file to read.
    InputFile(InputFile),
    /// A file to write.
    OutputFile(OutputFile),
    /// Something that this version of the contract has no reading for; the kind's value.
    Unknown(u16),
}

impl DeviceEntry {
    /// Reads the entry as its kind says.
    #[must_use]
    pub fn device(&self) -> Device {
        match DeviceKind::from_value(self.kind) {
            Some(DeviceKind::Network) => {
                let [a, b, c, d, e, f, _, _] = self.values[0].to_le_bytes();
                Device::Network(NetworkDevice {
                    address: [a, b, c, d, e, f],
                    frame_limit: u32::try_from(self.values[1]).unwrap_or(u32::MAX),
                    features: self.features,
                    receive: self.areas[0],
                    transmit: self.areas[1],
                })
            }
            Some(DeviceKind::InputFile) => Device::InputFile(InputFile {
                contents: self.areas[0],
            }),
            Some(DeviceKind::OutputFile) => Device::OutputFile(OutputFile {
                ring: self.areas[0],
            }),
            Some(DeviceKind::Block) => Device::Block(BlockDevice::from_entry(self)),
            None => Device::Unknown(self.kind),
        }
    }
}
