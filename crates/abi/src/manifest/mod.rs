//! The manifest: an ELF note in which an image says what it is and what it wants.
//!
//! The note's owner is [`NOTE_OWNER`], its type [`NOTE_TYPE`]. Its description is a version, a zero
//! word, and records: tag, length, payload padded to 8 bytes. Records with an unknown tag are skipped.
//!
//! An image makes its manifest at compile time with a [`ManifestBuilder`] and places it with
//! [`manifest_note!`](crate::manifest_note).

mod build;
mod read;

pub use build::{ManifestBuilder, ManifestNote};
pub use read::{Manifest, ManifestError};

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

/// A device that an image wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedDevice<'a> {
    /// Its name, or [`ANY_NAME`].
    pub name: &'a str,
    /// The value of its [`DeviceKind`](crate::boot::DeviceKind), known to this version or not.
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

#[cfg(all(test, not(loom)))]
mod tests;
