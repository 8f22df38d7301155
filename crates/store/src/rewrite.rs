//! A log in place of another.

use alloc::vec::Vec;
use sprat_devices::Block;

use crate::layout::Head;
use crate::writer::{Place, Writer};
use crate::{Log, LogError};

/// Bytes that are written at a time.
const PIECE: usize = 64 << 10;

/// A log that is being written in place of another: see [`Log::rewrite`].
#[derive(Debug)]
pub struct Rewrite<'l, B> {
    log: &'l mut Log<B>,
    head: Head,
    writer: Writer,
}

impl<'l, B: Block> Rewrite<'l, B> {
    pub(crate) fn new(log: &'l mut Log<B>, nonce: u64) -> Self {
        let head = Head {
            half: log.writer.half.other(),
            generation: log.generation + 1,
            nonce,
        };
        let writer = Writer::new(log.layout, head.half, head.seed(), 0, Vec::new());
        Self { log, head, writer }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When it has no room, or the device fails. The log that counts is as it was.
    pub async fn append(&mut self, record: &[u8]) -> Result<Place, LogError> {
        let place = self.writer.append(0, record)?;
        if self.writer.uncommitted() >= PIECE {
            self.writer.commit(&self.log.block).await?;
        }
        Ok(place)
    }

    /// Reads a record of the log that counts.
    ///
    /// # Errors
    /// As for [`Log::read`].
    pub async fn read(&self, place: Place) -> Result<Vec<u8>, LogError> {
        self.log.read(place).await
    }

    /// Has this log count. What was appended to the other one and not committed is gone.
    ///
    /// # Errors
    /// When the device fails. Which of the two logs counts shows when it is opened again; this program
    /// goes on with the one that it had.
    pub async fn finish(mut self) -> Result<(), LogError> {
        self.writer.commit(&self.log.block).await?;
        self.log.block.flush().await?;
        self.head.write(&self.log.block).await?;
        self.log.generation = self.head.generation;
        self.log.writer = self.writer;
        Ok(())
    }
}
