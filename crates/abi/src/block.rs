//! Block devices: what is asked of them, and what is answered.
//!
//! A device has a [ring](crate::ring) of requests, which the instance fills, a ring of answers, which
//! the host fills, and an area of data that both use. A request names a stretch of that area: what to
//! write is put there before, what was read is there after. Which stretch is in use is the instance's
//! own to keep track of. Requests are served in the order of the ring; the instance has as many under
//! way as it likes, and the host serves none whose answer has no room.

use crate::boot::{Area, DeviceEntry, DeviceKind, features};
use crate::ring::Entry;
use crate::sync::{AtomicU64, Ordering};

/// Entries of each of a device's two rings.
pub const RING_ENTRIES: u32 = 64;

/// Bytes of a device's data area.
pub const DATA_SIZE: u32 = 256 << 10;

/// Bytes of a block of the devices that monitors offer.
pub const BLOCK_SIZE: u32 = 512;

/// What a request asks for: [`Request::operation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Operation {
    /// Read blocks.
    Read = 1,
    /// Write blocks. What was answered may be lost when the host dies, though not when the instance
    /// or its monitor does.
    Write = 2,
    /// Wait until everything that was answered before is where it outlives the host.
    Flush = 3,
}

impl Operation {
    /// The operation that `value` stands for, if this version knows it.
    #[must_use]
    pub const fn from_value(value: u16) -> Option<Self> {
        Some(match value {
            1 => Self::Read,
            2 => Self::Write,
            3 => Self::Flush,
            _ => return None,
        })
    }
}

/// One entry of a request ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the instance; the answer has the same.
    pub tag: u32,
    /// An [`Operation`].
    pub operation: u16,
    /// Zero.
    pub reserved: u16,
    /// The first block to read or write.
    pub first: u64,
    /// Where in the data area the bytes are.
    pub offset: u32,
    /// How many bytes: whole blocks.
    pub length: u32,
}

/// How a request went: [`Answer::status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Status {
    /// Done.
    Done = 0,
    /// The device could not; what was written of it, if anything, is not known.
    Failed = 1,
    /// The device has no such blocks, or the length is not of whole ones.
    OutOfRange = 2,
    /// The device cannot be written.
    ReadOnly = 3,
    /// Whoever holds the device has no room left.
    NoSpace = 4,
    /// There is no such operation.
    Unknown = 5,
}

impl Status {
    /// The status that `value` stands for; one that this version does not know is a failure.
    #[must_use]
    pub const fn from_value(value: u32) -> Self {
        match value {
            0 => Self::Done,
            2 => Self::OutOfRange,
            3 => Self::ReadOnly,
            4 => Self::NoSpace,
            5 => Self::Unknown,
            _ => Self::Failed,
        }
    }
}

/// One entry of a ring of answers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The request's.
    pub tag: u32,
    /// A [`Status`].
    pub status: u32,
}

const _: () = {
    assert!(size_of::<Request>() == 24);
    assert!(core::mem::offset_of!(Request, operation) == 4);
    assert!(core::mem::offset_of!(Request, first) == 8);
    assert!(core::mem::offset_of!(Request, offset) == 16);
    assert!(core::mem::offset_of!(Request, length) == 20);
    assert!(size_of::<Answer>() == 8);
    assert!(core::mem::offset_of!(Answer, status) == 4);
    assert!(DATA_SIZE.is_multiple_of(BLOCK_SIZE));
};

// SAFETY: three atomic words.
unsafe impl Entry for Request {
    type Cell = [AtomicU64; 3];

    fn load(cell: &Self::Cell) -> Self {
        let [tag, first, stretch] = cell.each_ref().map(|word| word.load(Ordering::Relaxed));
        Self {
            tag: low(tag),
            #[expect(clippy::cast_possible_truncation, reason = "taking the word apart")]
            operation: (tag >> 32) as u16,
            reserved: (tag >> 48) as u16,
            first,
            offset: low(stretch),
            length: low(stretch >> 32),
        }
    }

    fn store(self, cell: &Self::Cell) {
        let high = u64::from(self.operation) << 32 | u64::from(self.reserved) << 48;
        cell[0].store(u64::from(self.tag) | high, Ordering::Relaxed);
        cell[1].store(self.first, Ordering::Relaxed);
        let stretch = u64::from(self.offset) | u64::from(self.length) << 32;
        cell[2].store(stretch, Ordering::Relaxed);
    }
}

// SAFETY: an atomic word.
unsafe impl Entry for Answer {
    type Cell = AtomicU64;

    fn load(cell: &AtomicU64) -> Self {
        let word = cell.load(Ordering::Relaxed);
        Self {
            tag: low(word),
            status: low(word >> 32),
        }
    }

    fn store(self, cell: &AtomicU64) {
        let word = u64::from(self.tag) | u64::from(self.status) << 32;
        cell.store(word, Ordering::Relaxed);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "taking words apart")]
const fn low(word: u64) -> u32 {
    word as u32
}

/// A [`DeviceEntry`] read as a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockDevice {
    /// Bytes of a block: a power of two.
    pub block_size: u32,
    /// How many blocks there are.
    pub block_count: u64,
    /// Bits of [`features`]: [`features::READ_ONLY`].
    pub features: u64,
    /// The ring of [requests](Request) that the instance fills.
    pub requests: Area,
    /// The ring of [answers](Answer) that the host fills.
    pub answers: Area,
    /// The data area.
    pub data: Area,
}

impl BlockDevice {
    /// Whether it can only be read.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.features & features::READ_ONLY != 0
    }

    /// Its entry in a device table.
    #[must_use]
    pub fn to_entry(&self, name: Area) -> DeviceEntry {
        DeviceEntry {
            kind: DeviceKind::Block as u16,
            queue_count: 1,
            reserved: 0,
            features: self.features,
            name,
            areas: [self.requests, self.answers, self.data, Area::default()],
            values: [u64::from(self.block_size), self.block_count, 0, 0],
        }
    }

    pub(crate) fn from_entry(entry: &DeviceEntry) -> Self {
        let [requests, answers, data, _] = entry.areas;
        Self {
            block_size: u32::try_from(entry.values[0]).unwrap_or(0),
            block_count: entry.values[1],
            features: entry.features,
            requests,
            answers,
            data,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_request_comes_out_of_its_words_as_it_went_in(
            tag: u32, operation: u16, reserved: u16, first: u64, offset: u32, length: u32,
        ) {
            let request = Request { tag, operation, reserved, first, offset, length };
            let cell = [const { AtomicU64::new(0) }; 3];
            request.store(&cell);
            prop_assert_eq!(Request::load(&cell), request);
        }

        #[test]
        fn an_answer_comes_out_of_its_word_as_it_went_in(tag: u32, status: u32) {
            let cell = AtomicU64::new(0);
            Answer { tag, status }.store(&cell);
            prop_assert_eq!(Answer::load(&cell), Answer { tag, status });
        }
    }

    #[test]
    fn an_entry_of_the_device_table_reads_as_it_was_written() {
        let device = BlockDevice {
            block_size: 512,
            block_count: 1 << 40,
            features: features::READ_ONLY,
            requests: Area::new(1, 2),
            answers: Area::new(3, 4),
            data: Area::new(5, 6),
        };
        let entry = device.to_entry(Area::new(7, 8));
        assert_eq!(entry.device(), crate::boot::Device::Block(device));
        assert!(device.is_read_only());
    }
}
