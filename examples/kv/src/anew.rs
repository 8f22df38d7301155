//! A log that is written in place of another, a piece in each turn of the one that goes on.

use alloc::vec::Vec;
use core::iter;

use sprat::devices::Block;
use sprat::store::{Log, LogError, RECORD_LIMIT, Rewrite};

use crate::engine::{Changes, Engine, Progress};

/// Bytes of the database that are written anew in a turn.
pub(crate) const PIECE: usize = 64 << 10;

/// How many times what was changed in the turn, where that is more: with this part of the log free
/// when it begins, the new one is done before the old one is full.
pub(crate) const PACE: usize = 8;

/// A log that is being written in place of another.
pub(crate) struct Anew {
    rewrite: Rewrite,
    progress: Progress,
}

impl Anew {
    pub(crate) fn begin(log: &mut Log<impl Block>, nonce: u64) -> Self {
        Self {
            rewrite: log.rewrite(nonce),
            progress: Progress::default(),
        }
    }

    /// The key that is written in part, and must not change until the rest of it is.
    pub(crate) fn partial(&self) -> Option<&[u8]> {
        self.progress.partial()
    }

    /// Writes a turn's part of it.
    pub(crate) async fn write(
        &mut self,
        log: &Log<impl Block>,
        turn: &Turn,
    ) -> Result<(), LogError> {
        for part in iter::once(&turn.changes).chain(&turn.pieces) {
            for record in part.records(RECORD_LIMIT) {
                self.rewrite.append(log, record).await?;
            }
        }
        Ok(())
    }

    /// Has it count.
    pub(crate) async fn finish(self, log: &mut Log<impl Block>) -> Result<(), LogError> {
        self.rewrite.finish(log).await
    }
}

/// What goes into the logs in one turn.
pub(crate) struct Turn {
    pub(crate) changes: Changes,
    /// What was there already, for the log that is written anew.
    pieces: Vec<Changes>,
    /// Whether that log has everything then.
    pub(crate) done: bool,
}

impl Turn {
    /// Takes what has changed, and what comes next of what there is: all at once, so that every change
    /// is in one of the two and in no other.
    pub(crate) fn take(engine: &mut Engine, anew: Option<&mut Anew>) -> Self {
        let mut turn = Self {
            changes: engine.take_changes(),
            pieces: Vec::new(),
            done: false,
        };
        if let Some(anew) = anew {
            let mut bytes = PIECE.max(turn.changes.len().saturating_mul(PACE));
            while bytes > 0 && !turn.done {
                match engine.dump(&mut anew.progress, bytes.min(PIECE)) {
                    Some(piece) => {
                        bytes = bytes.saturating_sub(piece.len());
                        turn.pieces.push(piece);
                    }
                    None => turn.done = true,
                }
            }
        }
        turn
    }
}
