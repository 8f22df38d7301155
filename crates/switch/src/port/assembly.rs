//! Frames that come in several parts, put together.

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::{DropCause, FRAME_LIMIT, offload};

/// The frame whose parts are coming in.
#[derive(Default)]
pub(crate) struct Assembly {
    frame: Vec<u8>,
    head: FrameHead,
    over_long: bool,
}

impl Assembly {
    /// Whether no frame has begun.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.frame.is_empty() && !self.over_long
    }

    /// Adds a part. With the last one the frame is handed to `take` beside its head, with what it left
    /// to the port done.
    #[inline]
    pub(crate) fn add<R>(
        &mut self,
        part: &Frame<'_>,
        take: impl FnOnce(&[u8], &FrameHead) -> Result<R, DropCause>,
    ) -> Option<Result<R, DropCause>> {
        if self.frame.is_empty() {
            self.head = *part.head();
        }
        if self.frame.len() + part.len() > FRAME_LIMIT {
            self.over_long = true;
        } else {
            part.append_to(&mut self.frame);
        }
        if part.has_more() {
            return None;
        }
        let result = if std::mem::take(&mut self.over_long) {
            Err(DropCause::OverLong)
        } else if offload::complete(&mut self.frame, &self.head) {
            take(&self.frame, &self.head)
        } else {
            Err(DropCause::Malformed)
        };
        self.frame.clear();
        Some(result)
    }
}
