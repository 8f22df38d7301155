//! The end of a log, where records are added.

use alloc::vec::Vec;
use sprat_devices::Block;

use crate::LogError;
use crate::checksum::crc32c;
use crate::layout::{Half, Layout};

/// Longest record, in bytes.
pub const RECORD_LIMIT: usize = 8 << 20;

/// Bytes before a record's own: its length and its checksum.
pub(crate) const RECORD_HEAD: usize = 8;

/// Set in the length of a record that is the log's own.
pub(crate) const INTERNAL: u32 = 1 << 31;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Bytes of the half before the record.
    pub(crate) position: u64,
    /// Its length, with [`INTERNAL`].
    pub(crate) length: u32,
    /// The checksum of everything before.
    pub(crate) before: u32,
}

impl Place {
    /// How many bytes of the log the record takes.
    #[must_use]
    pub fn size(&self) -> u64 {
        u64::from(self.length & !INTERNAL) + RECORD_HEAD as u64
    }

    /// The checksum of a record that is there.
    pub(crate) fn checksum(&self, record: &[u8]) -> u32 {
        crc32c(crc32c(self.before, &self.length.to_le_bytes()), record)
    }
}

/// The end of the log in one half.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) half: Half,
    layout: Layout,
    /// The checksum of everything before the end.
    checksum: u32,
    /// The block of the half that `buffer` begins with.
    block: u64,
    /// What is not on the device, from the beginning of a block. Behind `length` there may be padding.
    buffer: Vec<u8>,
    length: usize,
    /// How much of the buffer is on the device all the same.
    written: usize,
}

impl Writer {
    /// The end of a log that ends in `block`, of which it has these first bytes.
    pub(crate) fn new(
        layout: Layout,
        half: Half,
        checksum: u32,
        block: u64,
        tail: Vec<u8>,
    ) -> Self {
        Self {
            half,
            layout,
            checksum,
            block,
            length: tail.len(),
            written: tail.len(),
            buffer: tail,
        }
    }

    /// Bytes of the log.
    pub(crate) fn used(&self) -> u64 {
        self.block * self.layout.block_size as u64 + self.length as u64
    }

    /// Bytes that were appended and not committed.
    pub(crate) fn uncommitted(&self) -> usize {
        self.length - self.written
    }

    /// Adds a record in memory.
    pub(crate) fn append(&mut self, flag: u32, record: &[u8]) -> Result<Place, LogError> {
        let length = u32::try_from(record.len()).map_err(|_| LogError::Long)?;
        if record.is_empty() || record.len() > RECORD_LIMIT {
            return Err(LogError::Long);
        }
        let place = Place {
            position: self.used(),
            length: length | flag,
            before: self.checksum,
        };
        if place.position + place.size() > self.layout.bytes() {
            return Err(LogError::Full);
        }
        self.checksum = place.checksum(record);
        self.buffer.truncate(self.length);
        self.buffer.extend_from_slice(&place.length.to_le_bytes());
        self.buffer.extend_from_slice(&self.checksum.to_le_bytes());
        self.buffer.extend_from_slice(record);
        self.length = self.buffer.len();
        Ok(place)
    }

    /// Writes what was appended. After an error it is as if nothing had been tried.
    pub(crate) async fn commit(&mut self, block: &impl Block) -> Result<(), LogError> {
        if self.uncommitted() == 0 {
            return Ok(());
        }
        // A length of zero ends the log: there is always room for one, but at the end of the half.
        let size = self.layout.block_size;
        let blocks = self.layout.half - self.block;
        let room = usize::try_from(blocks).map_or(usize::MAX, |blocks| blocks.saturating_mul(size));
        let whole = (self.length + size_of::<u32>())
            .next_multiple_of(size)
            .min(room);
        self.buffer.truncate(self.length);
        self.buffer.resize(whole, 0);
        let first = self.layout.start(self.half) + self.block;
        block.write(first, &self.buffer).await?;
        let full = self.length / size;
        self.buffer.drain(..full * size);
        self.block += full as u64;
        self.length -= full * size;
        self.written = self.length;
        Ok(())
    }
}
