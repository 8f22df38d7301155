//! The manifest: an ELF note in which an image says what it is and what it wants.
//!
//! The note's owner is [`NOTE_OWNER`], its type [`NOTE_TYPE`]. Its description is a version, a zero
//! word, and records: tag, length, payload padded to 8 bytes. Records with an unknown tag are skipped.
//!
//! An image makes its manifest at compile time with a [`ManifestBuilder`] and places it with
//! [`manifest_note!`](crate::manifest_note).

use crate::ABI_VERSION;
use crate::boot::DeviceKind;
use core::fmt;

/// Owner of the note: `Sprat` with its closing zero.
pub const NOTE_OWNER: &[u8; 6] = b"Sprat\0";

/// Type of the note.
pub const NOTE_TYPE: u32 = 1;

/// Section the note lies in.
pub const NOTE_SECTION: &str = ".note.sprat";

/// Longest description, in bytes.
pub const DESCRIPTION_LIMIT: usize = 4096;

/// Name of a wanted device that stands for any number of devices of its kind, whatever their names.
pub const ANY_NAME: &str = "*";

/// Most bytes an image may ask for in one piece of memory.
pub const MEMORY_LIMIT: u64 = 1 << 40;

const TAG_NAME: u16 = 1;
const TAG_MEMORY: u16 = 2;
const TAG_NETWORK: u16 = 3;
const TAG_DEVICE: u16 = 4;
const TAG_PARAMETER: u16 = 5;
const TAG_REGIONS: u16 = 6;

const FLAG_REQUIRED: u16 = 1;

/// How much memory an image wants; what it does not say is [`Memory::DEFAULT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of heap. Untouched pages cost nothing.
    pub heap: u64,
    /// Bytes of stack.
    pub stack: u64,
}

impl Memory {
    /// 64 MiB of heap and 256 KiB of stack.
    pub const DEFAULT: Self = Self {
        heap: 64 << 20,
        stack: 256 << 10,
    };
}

/// How large the pool and the network rings are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetworkSizes {
    /// Buffers in the pool.
    pub buffers: u32,
    /// How many of them are the instance's own from the start, for packets it makes.
    pub own_buffers: u32,
    /// Slots in each ring: a power of two.
    pub ring_slots: u32,
}

impl NetworkSizes {
    /// 2,048 buffers, 512 of them the instance's own, and rings of 1,024.
    pub const DEFAULT: Self = Self {
        buffers: 2048,
        own_buffers: 512,
        ring_slots: 1024,
    };
}

/// How large the other shared regions are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionSizes {
    /// Bytes the console ring holds: a power of two.
    pub console: u32,
    /// Bytes each control ring holds: a power of two.
    pub control: u32,
    /// Records in the statistics region.
    pub records: u32,
    /// Bytes the ring of each file being written holds: a power of two.
    pub output_file: u32,
}

impl RegionSizes {
    /// Console 16 KiB, control 64 KiB each way, 512 records, files 64 KiB.
    pub const DEFAULT: Self = Self {
        console: 16 << 10,
        control: 64 << 10,
        records: 512,
        output_file: 64 << 10,
    };
}

/// What a boot parameter's value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum ParameterType {
    /// Any text.
    Text = 1,
    /// A decimal number from 0 to 2^64 − 1.
    Unsigned = 2,
    /// A decimal number that may be negative, of 64 bits.
    Signed = 3,
    /// `true` or `false`.
    Flag = 4,
    /// An IPv4 or IPv6 address.
    Address = 5,
    /// An address and a prefix length, `10.0.0.0/8`.
    Prefix = 6,
    /// A duration: a number and `ns`, `us`, `ms`, `s`, `min` or `h`.
    Duration = 7,
}

impl ParameterType {
    /// The type that `value` stands for, if this version knows it.
    #[must_use]
    pub const fn from_value(value: u16) -> Option<Self> {
        Some(match value {
            1 => Self::Text,
            2 => Self::Unsigned,
            3 => Self::Signed,
            4 => Self::Flag,
            5 => Self::Address,
            6 => Self::Prefix,
            7 => Self::Duration,
            _ => return None,
        })
    }

    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Unsigned => "unsigned number",
            Self::Signed => "number",
            Self::Flag => "true or false",
            Self::Address => "IP address",
            Self::Prefix => "IP prefix",
            Self::Duration => "duration",
        }
    }
}

/// Makes a manifest, in a constant. Panics, which is a compile error there, when it grows too long.
#[derive(Debug)]
pub struct ManifestBuilder {
    bytes: [u8; DESCRIPTION_LIMIT],
    length: usize,
}

impl ManifestBuilder {
    /// The manifest of an image called `name`, of `version`, that wants nothing but the defaults.
    #[must_use]
    pub const fn new(name: &str, version: &str) -> Self {
        let builder = Self {
            bytes: [0; DESCRIPTION_LIMIT],
            length: 0,
        };
        builder
            .number(ABI_VERSION as u64, 4)
            .number(0, 4)
            .record(TAG_NAME, 8 + name.len() + version.len())
            .number(name.len() as u64, 4)
            .number(version.len() as u64, 4)
            .text(name)
            .text(version)
            .pad()
    }

    /// Asks for memory.
    #[must_use]
    pub const fn memory(self, memory: Memory) -> Self {
        self.record(TAG_MEMORY, 16)
            .number(memory.heap, 8)
            .number(memory.stack, 8)
            .pad()
    }

    /// Asks for pool and ring sizes.
    #[must_use]
    pub const fn network_sizes(self, sizes: NetworkSizes) -> Self {
        self.record(TAG_NETWORK, 12)
            .number(sizes.buffers as u64, 4)
            .number(sizes.own_buffers as u64, 4)
            .number(sizes.ring_slots as u64, 4)
            .pad()
    }

    /// Asks for region sizes.
    #[must_use]
    pub const fn region_sizes(self, sizes: RegionSizes) -> Self {
        self.record(TAG_REGIONS, 16)
            .number(sizes.console as u64, 4)
            .number(sizes.control as u64, 4)
            .number(sizes.records as u64, 4)
            .number(sizes.output_file as u64, 4)
            .pad()
    }

    /// Wants a device; without it, if `required`, the image is not to be started.
    /// [`ANY_NAME`] stands for any number of any name.
    #[must_use]
    pub const fn device(self, name: &str, kind: DeviceKind, required: bool) -> Self {
        self.record(TAG_DEVICE, 8 + name.len())
            .number(kind as u64, 2)
            .number(if required { FLAG_REQUIRED as u64 } else { 0 }, 2)
            .number(name.len() as u64, 4)
            .text(name)
            .pad()
    }

    /// Takes a boot parameter. Without a default it must be given.
    #[must_use]
    pub const fn parameter(
        self,
        name: &str,
        kind: ParameterType,
        default: Option<&str>,
        help: &str,
    ) -> Self {
        let (flags, default) = match default {
            Some(text) => (0, text),
            None => (FLAG_REQUIRED as u64, ""),
        };
        self.record(TAG_PARAMETER, 16 + name.len() + default.len() + help.len())
            .number(kind as u64, 2)
            .number(flags, 2)
            .number(name.len() as u64, 4)
            .number(default.len() as u64, 4)
            .number(help.len() as u64, 4)
            .text(name)
            .text(default)
            .text(help)
            .pad()
    }

    /// Length of the description so far, in bytes.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// The description so far.
    #[must_use]
    pub const fn description(&self) -> &[u8] {
        self.bytes.split_at(self.length).0
    }

    /// The whole note; `N` is [`length`](Self::length).
    #[must_use]
    pub const fn finish<const N: usize>(&self) -> ManifestNote<N> {
        assert!(N == self.length, "N is the builder's length");
        let mut description = [0; N];
        let mut index = 0;
        while index < N {
            description[index] = self.bytes[index];
            index += 1;
        }
        let mut owner = [0; 8];
        let mut index = 0;
        while index < NOTE_OWNER.len() {
            owner[index] = NOTE_OWNER[index];
            index += 1;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most DESCRIPTION_LIMIT")]
        let description_size = N as u32;
        ManifestNote {
            owner_size: 6,
            description_size,
            kind: NOTE_TYPE,
            owner,
            description,
        }
    }

    const fn record(self, tag: u16, length: usize) -> Self {
        self.number(tag as u64, 4).number(length as u64, 4)
    }

    const fn number(mut self, value: u64, size: usize) -> Self {
        let bytes = value.to_le_bytes();
        let mut index = 0;
        while index < size {
            self.bytes[self.length] = bytes[index];
            self.length += 1;
            index += 1;
        }
        self
    }

    const fn text(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            self.bytes[self.length] = bytes[index];
            self.length += 1;
            index += 1;
        }
        self
    }

    const fn pad(mut self) -> Self {
        self.length = self.length.next_multiple_of(8);
        self
    }
}

/// The note as it lies in the image.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug)]
pub struct ManifestNote<const N: usize> {
    owner_size: u32,
    description_size: u32,
    kind: u32,
    owner: [u8; 8],
    description: [u8; N],
}

const _: () = assert!(core::mem::offset_of!(ManifestNote<8>, description) == 20);

/// Places the manifest that a constant [`ManifestBuilder`] holds in the image.
///
/// ```ignore
/// const MANIFEST: ManifestBuilder = ManifestBuilder::new("hello", "1.0");
/// sprat_abi::manifest_note!(MANIFEST);
/// ```
#[macro_export]
macro_rules! manifest_note {
    ($builder:expr) => {
        const _: () = {
            #[used]
            #[unsafe(link_section = ".note.sprat")]
            static NOTE: $crate::manifest::ManifestNote<{ $builder.length() }> = $builder.finish();
        };
    };
}

/// Why a description is no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestError {
    /// It ends inside something that begins at this byte.
    Cut {
        /// Offset in the description.
        at: usize,
    },
    /// It is longer than [`DESCRIPTION_LIMIT`].
    Long {
        /// Its length.
        length: usize,
    },
    /// It is for another version of the contract.
    Version {
        /// The one it says.
        found: u32,
    },
    /// A text is not UTF-8.
    Text {
        /// Offset of the record in the description.
        at: usize,
    },
    /// A number is out of range.
    Range {
        /// Offset of the record in the description.
        at: usize,
        /// What the number is.
        what: &'static str,
        /// Its value.
        value: u64,
    },
    /// A parameter's type is not known to this version.
    ParameterType {
        /// Offset of the record in the description.
        at: usize,
        /// The value that stands for the type.
        value: u16,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Cut { at } => write!(f, "the manifest ends inside what begins at byte {at}"),
            Self::Long { length } => {
                write!(
                    f,
                    "the manifest has {length} bytes, more than {DESCRIPTION_LIMIT}"
                )
            }
            Self::Version { found } => write!(
                f,
                "the image was made for version {found} of the contract and this is version {ABI_VERSION}"
            ),
            Self::Text { at } => write!(
                f,
                "a text of the manifest's record at byte {at} is not UTF-8"
            ),
            Self::Range { at, what, value } => {
                write!(
                    f,
                    "{what} is {value} in the manifest's record at byte {at}, which is out of range"
                )
            }
            Self::ParameterType { at, value } => {
                write!(
                    f,
                    "the manifest's record at byte {at} has the unknown parameter type {value}"
                )
            }
        }
    }
}

impl core::error::Error for ManifestError {}

/// A device that an image wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedDevice<'a> {
    /// Its name, or [`ANY_NAME`].
    pub name: &'a str,
    /// The value of its [`DeviceKind`], known to this version or not.
    pub kind: u16,
    /// Whether the image cannot do without.
    pub required: bool,
}

/// A boot parameter that an image takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// Its name.
    pub name: &'a str,
    /// What its value must look like.
    pub kind: ParameterType,
    /// Its value when not given; none if it must be given.
    pub default: Option<&'a str>,
    /// A sentence about it.
    pub help: &'a str,
}

/// A manifest whose every record was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manifest<'a> {
    description: &'a [u8],
    /// The image's name.
    pub name: &'a str,
    /// The image's version.
    pub version: &'a str,
    /// Memory wanted.
    pub memory: Memory,
    /// Pool and ring sizes wanted.
    pub network: NetworkSizes,
    /// Region sizes wanted.
    pub regions: RegionSizes,
}

#[derive(Clone, Copy)]
enum Item<'a> {
    Name(&'a str, &'a str),
    Memory(Memory),
    Network(NetworkSizes),
    Regions(RegionSizes),
    Device(WantedDevice<'a>),
    Parameter(Parameter<'a>),
    Unknown,
}

impl<'a> Manifest<'a> {
    /// Reads the description of a note. Any bytes lead to a manifest or an error.
    ///
    /// # Errors
    /// The first thing that is wrong, and where.
    pub fn parse(description: &'a [u8]) -> Result<Self, ManifestError> {
        if description.len() > DESCRIPTION_LIMIT {
            return Err(ManifestError::Long {
                length: description.len(),
            });
        }
        let mut header = Cursor {
            bytes: description,
            at: 0,
            record: 0,
        };
        let found = header.u32()?;
        if found != ABI_VERSION {
            return Err(ManifestError::Version { found });
        }
        header.u32()?;
        let mut manifest = Self {
            description,
            name: "",
            version: "",
            memory: Memory::DEFAULT,
            network: NetworkSizes::DEFAULT,
            regions: RegionSizes::DEFAULT,
        };
        for item in manifest.items() {
            match item? {
                Item::Name(name, version) => (manifest.name, manifest.version) = (name, version),
                Item::Memory(memory) => manifest.memory = memory,
                Item::Network(sizes) => manifest.network = sizes,
                Item::Regions(sizes) => manifest.regions = sizes,
                Item::Device(_) | Item::Parameter(_) | Item::Unknown => {}
            }
        }
        Ok(manifest)
    }

    /// The devices it wants, in order.
    pub fn devices(&self) -> impl Iterator<Item = WantedDevice<'a>> {
        self.items().filter_map(|item| match item {
            Ok(Item::Device(device)) => Some(device),
            _ => None,
        })
    }

    /// The boot parameters it takes, in order.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'a>> {
        self.items().filter_map(|item| match item {
            Ok(Item::Parameter(parameter)) => Some(parameter),
            _ => None,
        })
    }

    fn items(&self) -> Items<'a> {
        Items {
            description: self.description,
            at: 8,
        }
    }
}

struct Items<'a> {
    description: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.description.len() {
            return None;
        }
        let item = self.read();
        if item.is_err() {
            self.at = self.description.len();
        }
        Some(item)
    }
}

impl<'a> Items<'a> {
    fn read(&mut self) -> Result<Item<'a>, ManifestError> {
        let record = self.at;
        let mut head = Cursor {
            bytes: self.description,
            at: record,
            record,
        };
        let tag = head.u16()?;
        head.u16()?;
        let length = head.u32()? as usize;
        let payload = head.take(length)?;
        self.at = head.at.next_multiple_of(8);
        Cursor {
            bytes: payload,
            at: 0,
            record,
        }
        .item(tag)
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Offset of the record in the description, for messages.
    record: usize,
}

impl<'a> Cursor<'a> {
    fn item(&mut self, tag: u16) -> Result<Item<'a>, ManifestError> {
        Ok(match tag {
            TAG_NAME => {
                let (name, version) = (self.u32()?, self.u32()?);
                Item::Name(self.text(name)?, self.text(version)?)
            }
            TAG_MEMORY => Item::Memory(Memory {
                heap: self.number("heap size", 0, MEMORY_LIMIT)?,
                stack: self.number("stack size", 4096, 1 << 30)?,
            }),
            TAG_NETWORK => {
                let buffers = self.small("number of buffers", 16, 1 << 20)?;
                let own_buffers = self.small("number of own buffers", 0, buffers)?;
                Item::Network(NetworkSizes {
                    buffers,
                    own_buffers,
                    ring_slots: self.power("ring size", 16, 1 << 16)?,
                })
            }
            TAG_REGIONS => Item::Regions(RegionSizes {
                console: self.power("console size", 1 << 10, 1 << 24)?,
                control: self.power("control ring size", 1 << 10, 1 << 24)?,
                records: self.small("number of records", 0, 1 << 20)?,
                output_file: self.power("file ring size", 1 << 10, 1 << 24)?,
            }),
            TAG_DEVICE => {
                let (kind, flags, name) = (self.u16()?, self.u16()?, self.u32()?);
                let required = flags & FLAG_REQUIRED != 0;
                Item::Device(WantedDevice {
                    name: self.text(name)?,
                    kind,
                    required,
                })
            }
            TAG_PARAMETER => {
                let (kind, flags) = (self.u16()?, self.u16()?);
                let (name, default, help) = (self.u32()?, self.u32()?, self.u32()?);
                let kind = ParameterType::from_value(kind).ok_or(ManifestError::ParameterType {
                    at: self.record,
                    value: kind,
                })?;
                let (name, default, help) =
                    (self.text(name)?, self.text(default)?, self.text(help)?);
                let default = (flags & FLAG_REQUIRED == 0).then_some(default);
                Item::Parameter(Parameter {
                    name,
                    kind,
                    default,
                    help,
                })
            }
            _ => Item::Unknown,
        })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ManifestError> {
        let end = self
            .at
            .checked_add(length)
            .ok_or(ManifestError::Cut { at: self.record })?;
        let bytes = self
            .bytes
            .get(self.at..end)
            .ok_or(ManifestError::Cut { at: self.record })?;
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ManifestError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u16(&mut self) -> Result<u16, ManifestError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, ManifestError> {
        self.array().map(u32::from_le_bytes)
    }

    fn text(&mut self, length: u32) -> Result<&'a str, ManifestError> {
        core::str::from_utf8(self.take(length as usize)?)
            .map_err(|_| ManifestError::Text { at: self.record })
    }

    fn number(&mut self, what: &'static str, least: u64, most: u64) -> Result<u64, ManifestError> {
        let value = self.array().map(u64::from_le_bytes)?;
        if (least..=most).contains(&value) {
            Ok(value)
        } else {
            Err(ManifestError::Range {
                at: self.record,
                what,
                value,
            })
        }
    }

    fn small(&mut self, what: &'static str, least: u32, most: u32) -> Result<u32, ManifestError> {
        let value = self.u32()?;
        if (least..=most).contains(&value) {
            Ok(value)
        } else {
            Err(ManifestError::Range {
                at: self.record,
                what,
                value: u64::from(value),
            })
        }
    }

    fn power(&mut self, what: &'static str, least: u32, most: u32) -> Result<u32, ManifestError> {
        let value = self.small(what, least, most)?;
        if value.is_power_of_two() {
            Ok(value)
        } else {
            Err(ManifestError::Range {
                at: self.record,
                what,
                value: u64::from(value),
            })
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    const SAMPLE: ManifestBuilder = ManifestBuilder::new("firewall", "1.2")
        .memory(Memory {
            heap: 1 << 20,
            stack: 64 << 10,
        })
        .network_sizes(NetworkSizes {
            buffers: 100,
            own_buffers: 10,
            ring_slots: 64,
        })
        .device(ANY_NAME, DeviceKind::Network, false)
        .device("rules", DeviceKind::InputFile, true)
        .parameter("verbose", ParameterType::Flag, Some("false"), "Says more.")
        .parameter("gateway", ParameterType::Address, None, "Where to send.");

    #[test]
    fn a_manifest_is_read_as_it_was_built() {
        let manifest = Manifest::parse(SAMPLE.description()).expect("well formed");
        assert_eq!((manifest.name, manifest.version), ("firewall", "1.2"));
        assert_eq!(
            manifest.memory,
            Memory {
                heap: 1 << 20,
                stack: 64 << 10
            }
        );
        assert_eq!(
            manifest.network,
            NetworkSizes {
                buffers: 100,
                own_buffers: 10,
                ring_slots: 64
            }
        );
        assert_eq!(manifest.regions, RegionSizes::DEFAULT);
        let devices: Vec<_> = manifest.devices().collect();
        assert_eq!(
            devices[0],
            WantedDevice {
                name: "*",
                kind: 1,
                required: false
            }
        );
        assert_eq!(
            devices[1],
            WantedDevice {
                name: "rules",
                kind: 3,
                required: true
            }
        );
        let parameters: Vec<_> = manifest.parameters().collect();
        assert_eq!(parameters[0].default, Some("false"));
        assert_eq!(
            parameters[1],
            Parameter {
                name: "gateway",
                kind: ParameterType::Address,
                default: None,
                help: "Where to send."
            }
        );
    }

    #[test]
    fn the_note_has_the_form_that_elf_asks_for() {
        let note = SAMPLE.finish::<{ SAMPLE.length() }>();
        assert_eq!((note.owner_size, note.kind), (6, 1));
        assert_eq!(note.description_size as usize, SAMPLE.length());
        assert_eq!(&note.owner, b"Sprat\0\0\0");
    }

    #[test]
    fn an_unknown_record_is_skipped() {
        let mut bytes = SAMPLE.description().to_vec();
        bytes.extend([0x99, 0x99, 0, 0, 3, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0]);
        assert_eq!(
            Manifest::parse(&bytes)
                .expect("still well formed")
                .parameters()
                .count(),
            2
        );
    }

    #[test]
    fn another_version_is_refused() {
        let mut bytes = SAMPLE.description().to_vec();
        bytes[0] = 9;
        assert_eq!(
            Manifest::parse(&bytes),
            Err(ManifestError::Version { found: 9 })
        );
    }

    #[test]
    fn a_ring_that_is_no_power_of_two_is_refused() {
        let builder = ManifestBuilder::new("", "").network_sizes(NetworkSizes {
            buffers: 100,
            own_buffers: 0,
            ring_slots: 65,
        });
        assert_eq!(
            Manifest::parse(builder.description()),
            Err(ManifestError::Range {
                at: 24,
                what: "ring size",
                value: 65
            })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_lead_to_a_manifest_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 0..200), sane: bool) {
            if sane && bytes.len() >= 8 {
                bytes[..8].copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0]);
            }
            if let Ok(manifest) = Manifest::parse(&bytes) {
                prop_assert!(manifest.devices().count() + manifest.parameters().count() <= bytes.len());
            }
        }

        #[test]
        fn a_changed_byte_leads_to_a_manifest_or_an_error(at in 0..SAMPLE.length(), value: u8) {
            let mut bytes = SAMPLE.description().to_vec();
            bytes[at] = value;
            let _ = Manifest::parse(&bytes);
        }

        #[test]
        fn a_cut_manifest_is_never_misread_as_whole(length in 0..SAMPLE.length()) {
            let whole = Manifest::parse(SAMPLE.description()).expect("well formed");
            if let Ok(part) = Manifest::parse(&SAMPLE.description()[..length]) {
                prop_assert!(part.parameters().count() + part.devices().count() <= whole.parameters().count() + whole.devices().count());
            }
        }
    }
}
