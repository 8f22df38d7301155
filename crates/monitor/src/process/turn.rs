//! Whose turn it is: one word of shared memory that both sides wait on.

use super::script::{TURN_HOST, TURN_INSTANCE, TURN_SETUP};
use crate::memory::Mapping;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The word. The instance may write anything to it: it can only ever say that it is done.
#[derive(Debug, Clone)]
pub(super) struct Turn {
    word: *const AtomicU32,
    _keep: Arc<Mapping>,
}

// SAFETY: the pointer leads to an atomic in the mapping that is kept.
unsafe impl Send for Turn {}
// SAFETY: as above.
unsafe impl Sync for Turn {}

impl Turn {
    /// The word at `offset` of the board, set to say that setting up goes on.
    pub(super) fn new(board: Arc<Mapping>, offset: u64) -> Self {
        let word = board.at(offset, 4).cast::<AtomicU32>().cast_const();
        let turn = Self { word, _keep: board };
        turn.word().store(TURN_SETUP, Ordering::Release);
        turn
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: inside the mapping, which is kept, and aligned.
        unsafe { &*self.word }
    }

    /// Lets the instance run.
    pub(super) fn hand_to_instance(&self) {
        self.set(TURN_INSTANCE);
    }

    /// Takes the turn from an instance that is no more.
    pub(super) fn hand_to_host(&self) {
        self.set(TURN_HOST);
    }

    fn set(&self, value: u32) {
        self.word().store(value, Ordering::Release);
        // SAFETY: the futex lies in a mapping that is kept.
        unsafe { libc::syscall(libc::SYS_futex, self.word, libc::FUTEX_WAKE, 1) };
    }

    /// Whether it is the host's turn.
    pub(super) fn is_host(&self) -> bool {
        !matches!(
            self.word().load(Ordering::Acquire),
            TURN_INSTANCE | TURN_SETUP
        )
    }

    /// Waits for the host's turn, for so long at most; may return early. Says whether it came.
    pub(super) fn wait(&self, at_most: Duration) -> bool {
        let value = self.word().load(Ordering::Acquire);
        if self.is_host() {
            return true;
        }
        let time = libc::timespec {
            tv_sec: i64::try_from(at_most.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(at_most.subsec_nanos()),
        };
        // SAFETY: the futex lies in a mapping that is kept, and the time outlives the call.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.word,
                libc::FUTEX_WAIT,
                value,
                &raw const time,
            )
        };
        self.is_host()
    }
}
