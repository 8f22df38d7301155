//! An append-only log.

use alloc::vec;
use alloc::vec::Vec;
use sprat_devices::Block;

use crate::layout::{Half, Head, Layout};
use crate::rewrite::Rewrite;
use crate::writer::{INTERNAL, Place, RECORD_HEAD, Writer};
use crate::{LogError, recovery};

/// Where the checksum stands in a record's head.
const CHECKSUM: usize = size_of::<u32>();

/// What was found when a log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// How many records were replayed.
    pub records: u64,
    /// Whether something was cut off behind the last: a write that was not done when its writer ended.
    pub torn: bool,
    /// Whether the device held nothing before.
    pub new: bool,
}

/// An append-only log on a block device.
#[derive(Debug)]
pub struct Log<B> {
    pub(crate) block: B,
    pub(crate) layout: Layout,
    pub(crate) generation: u64,
    pub(crate) writer: Writer,
    /// How many were begun in its place.
    pub(crate) rewrites: u64,
}

impl<B: Block> Log<B> {
    /// Opens the log of a device, which begins one where it holds nothing but zeroes, and hands every
    /// record to `replay`, in order. `nonce` is a random number, another one at each opening.
    ///
    /// What stands behind the last record, as a write that was cut short leaves it, is gone when this
    /// returns.
    ///
    /// # Errors
    /// When the device fails, is too small, or holds something else, which is then left alone.
    pub async fn open(
        block: B,
        nonce: u64,
        replay: &mut dyn FnMut(Place, &[u8]),
    ) -> Result<(Self, Recovered), LogError> {
        let layout = Layout::of(&block)?;
        let found = Head::read(&block).await?;
        let head = match found {
            Some(head) => head,
            None => {
                let head = Head {
                    half: Half::First,
                    generation: 1,
                    nonce,
                };
                head.write(&block).await?;
                head
            }
        };
        let mut recovered = Recovered {
            new: found.is_none(),
            ..Recovered::default()
        };
        let (mut writer, torn) = recovery::replay(&block, layout, &head, &mut |place, record| {
            recovered.records += 1;
            replay(place, record);
        })
        .await?;
        // Whole records may stand behind the torn one. From here on all checksums depend on this
        // number, so that they never count again, whatever is written before them.
        match writer.append(INTERNAL, &nonce.to_le_bytes()) {
            Ok(_) => writer.commit(&block).await?,
            // Nothing can be appended, so nothing can come before them.
            Err(LogError::Full) => {}
            Err(error) => return Err(error),
        }
        // A new device has nothing behind the first record, whatever is in its blocks.
        recovered.torn = torn && !recovered.new;
        let log = Self {
            block,
            layout,
            generation: head.generation,
            writer,
            rewrites: 0,
        };
        Ok((log, recovered))
    }

    /// Adds a record, in memory: it lasts once it is [committed](Self::commit).
    ///
    /// # Errors
    /// When the log is full, or the record is empty or longer than
    /// [`RECORD_LIMIT`](crate::RECORD_LIMIT).
    pub fn append(&mut self, record: &[u8]) -> Result<Place, LogError> {
        self.writer.append(0, record)
    }

    /// Bytes that were appended and not committed.
    #[must_use]
    pub fn uncommitted(&self) -> usize {
        self.writer.uncommitted()
    }

    /// Writes all records that were appended. They outlive this program and what runs it then.
    ///
    /// # Errors
    /// When the device fails. The records are still there, and may be committed again.
    pub async fn commit(&mut self) -> Result<(), LogError> {
        self.writer.commit(&self.block).await
    }

    /// Waits until all committed records outlive the host.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn flush(&self) -> Result<(), LogError> {
        Ok(self.block.flush().await?)
    }

    /// Reads a record that was committed.
    ///
    /// # Errors
    /// When the device fails, or what it returns is not what was written.
    pub async fn read(&self, place: Place) -> Result<Vec<u8>, LogError> {
        let size = self.layout.block_size as u64;
        let first = place.position / size;
        let end = (place.position + place.size()).div_ceil(size);
        let bytes = usize::try_from((end - first) * size).map_err(|_| LogError::Damaged)?;
        let mut record = vec![0; bytes];
        let start = self.layout.start(self.writer.half);
        self.block.read(start + first, &mut record).await?;
        let skip = usize::try_from(place.position % size).map_err(|_| LogError::Damaged)?;
        record.drain(..skip);
        record.truncate(usize::try_from(place.size()).map_err(|_| LogError::Damaged)?);
        let sum = record[CHECKSUM..RECORD_HEAD].to_vec();
        record.drain(..RECORD_HEAD);
        match place.checksum(&record).to_le_bytes()[..] == sum[..] {
            true => Ok(record),
            false => Err(LogError::Damaged),
        }
    }

    /// Bytes that the log has.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.writer.used()
    }

    /// Bytes that it may have.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.layout.bytes()
    }

    /// Begins a log in place of this one. This one goes on counting, and may be appended to, until the
    /// other is [finished](Rewrite::finish), also where the program ends before. What is appended
    /// meanwhile has to be appended to both. `nonce` is as for [`open`](Self::open).
    ///
    /// There is room for one: an earlier one that was not finished is given up.
    pub fn rewrite(&mut self, nonce: u64) -> Rewrite {
        Rewrite::new(self, nonce)
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
