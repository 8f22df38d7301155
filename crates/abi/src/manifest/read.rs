//! Reading a manifest: any bytes lead to one or to an error.

use super::{
    DESCRIPTION_LIMIT, FLAG_REQUIRED, MEMORY_LIMIT, Memory, NetworkSizes, Parameter, ParameterType,
    RegionSizes, TAG_DEVICE, TAG_MEMORY, TAG_NAME, TAG_NETWORK, TAG_PARAMETER, TAG_REGIONS,
    WantedDevice,
};
use crate::ABI_VERSION;
use core::fmt;

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
