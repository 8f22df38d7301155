//! A log in place of another.

use alloc::vec::Vec;
use sprat_devices::Block;

use crate::layout::Head;
use crate::writer::{Place, Writer};
use crate::{Log, LogError};

/// Bytes that are written at a time.
const PIECE: usize = 64 << 10;

/// A log that is being written in place of another, which may grow meanwhile: see [`Log::rewrite`].
#[derive(Debug)]
pub struct Rewrite {
    head: Head,
    writer: Writer,
    /// Which of the log's rewrites this is.
    number: u64,
}

impl Rewrite {
    pub(crate) fn new<B: Block>(log: &mut Log<B>, nonce: u64) -> Self {
        let head = Head {
            half: log.writer.half.other(),
            generation: log.generation + 1,
            nonce,
        };
        log.rewrites += 1;
        Self {
            head,
            writer: Writer::new(log.layout, head.half, head.seed(), 0, Vec::new()),
            number: log.rewrites,
        }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// When it has no room, the device fails, or another rewrite of this log was begun. The log that
    /// counts is as it was.
    pub async fn append<B: Block>(
        &mut self,
        log: &Log<B>,
        record: &[u8],
    ) -> Result<Place, LogError> {
        self.check(log)?;
        let place = self.writer.append(0, record)?;
        if self.writer.uncommitted() >= PIECE {
            self.writer.commit(&log.block).await?;
        }
        Ok(place)
    }

    /// Has this log count. What was appended to the other one and not committed is gone.
    ///
    /// # Errors
    /// When the device fails: which of the two logs counts shows when it is opened again, and this
    /// program goes on with the one that it had. When another rewrite was begun.
    pub async fn finish<B: Block>(mut self, log: &mut Log<B>) -> Result<(), LogError> {
        self.check(log)?;
        self.writer.commit(&log.block).await?;
        log.block.flush().await?;
        self.head.write(&log.block).await?;
        log.generation = self.head.generation;
        log.writer = self.writer;
        Ok(())
    }

    /// Whether its blocks are still its own.
    fn check<B>(&self, log: &Log<B>) -> Result<(), LogError> {
        match self.number == log.rewrites {
            true => Ok(()),
            false => Err(LogError::Superseded),
        }
    }
}
