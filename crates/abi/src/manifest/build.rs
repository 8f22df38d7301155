//! Making a manifest, at compile time.

use super::{
    DESCRIPTION_LIMIT, FLAG_REQUIRED, Memory, NOTE_OWNER, NOTE_TYPE, NetworkSizes, ParameterType,
    RegionSizes, TAG_DEVICE, TAG_MEMORY, TAG_NAME, TAG_NETWORK, TAG_PARAMETER, TAG_REGIONS,
};
use crate::ABI_VERSION;
use crate::boot::DeviceKind;

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
    /// [`ANY_NAME`](super::ANY_NAME) stands for any number of any name.
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
    pub(super) owner_size: u32,
    pub(super) description_size: u32,
    pub(super) kind: u32,
    pub(super) owner: [u8; 8],
    pub(super) description: [u8; N],
}

const _: () = assert!(core::mem::offset_of!(ManifestNote<8>, description) == 20);

/// Places the manifest that a constant [`ManifestBuilder`] holds in the image.
///
/// ```
/// use sprat_abi::manifest::ManifestBuilder;
///
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
