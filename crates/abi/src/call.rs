//! The two calls, and the block of shared memory that goes with them.
//!
//! Both are addresses in the [boot page](crate::boot::BootPage), called as `extern "sysv64"` functions.
//! How they leave the instance is the monitor's business.

use crate::sync::{AtomicU64, Ordering};

/// `yield`: gives the processor back until something happened or the deadline passed.
///
/// # Safety
/// The address must come from the boot page of this very instance.
pub type YieldCall = unsafe extern "sysv64" fn() -> Wake;

/// `exit(status)`: ends the instance.
///
/// # Safety
/// The address must come from the boot page of this very instance.
pub type ExitCall = unsafe extern "sysv64" fn(status: i32) -> !;

/// What `yield` returns with (RAX and RDX).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake {
    /// Bit n: entry n of the device table has something to receive, or room again to send.
    /// [`Wake::CONTROL`]: a request waits in the control ring.
    pub ready: u64,
    /// Monotonic time in nanoseconds, on the scale of the [clock](crate::clock).
    pub now: u64,
}

impl Wake {
    /// The bit that says a request waits in the control ring.
    pub const CONTROL: u64 = 1 << 63;
    /// The bit that says the monitor wants the instance to come to an end: flush and exit.
    pub const STOP: u64 = 1 << 62;
}

/// A [`CallBlock::deadline`] that never comes: wake me only when something happens.
pub const NO_DEADLINE: u64 = u64::MAX;

/// A [`CallBlock::deadline`] that has come already: call me again as soon as you can.
pub const AT_ONCE: u64 = 0;

/// Shared memory of the two calls. The instance may write all of it, so the monitor believes none.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct CallBlock {
    /// Written by the instance before `yield`: monotonic nanoseconds at which it wants to be called
    /// though nothing happened; or [`NO_DEADLINE`], or [`AT_ONCE`].
    deadline: AtomicU64,
    /// Written by `exit`: the status, in the low 32 bits.
    status: AtomicU64,
    /// Written by the monitor: [`Wake::ready`].
    ready: AtomicU64,
    /// Written by the monitor: [`Wake::now`].
    now: AtomicU64,
    /// The monitor's own, for what it needs to make a call.
    private: [AtomicU64; 4],
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Wake>() == 16);
    assert!(size_of::<CallBlock>() == 64);
    assert!(core::mem::offset_of!(CallBlock, status) == 8);
    assert!(core::mem::offset_of!(CallBlock, ready) == 16);
    assert!(core::mem::offset_of!(CallBlock, now) == 24);
    assert!(core::mem::offset_of!(CallBlock, private) == 32);
};

impl CallBlock {
    /// Offset in bytes of the status, for the monitor's call code.
    pub const STATUS_OFFSET: usize = 8;
    /// Offset in bytes of the bitmap, for the monitor's call code.
    pub const READY_OFFSET: usize = 16;
    /// Offset in bytes of the time, for the monitor's call code.
    pub const NOW_OFFSET: usize = 24;
    /// Offset in bytes of the monitor's own words.
    pub const PRIVATE_OFFSET: usize = 32;

    /// Guest: sets when the next `yield` is to return at the latest.
    pub fn set_deadline(&self, nanoseconds: u64) {
        self.deadline.store(nanoseconds, Ordering::Relaxed);
    }

    /// Host: the deadline the instance last set.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        self.deadline.load(Ordering::Relaxed)
    }

    /// Host: the status the instance left, whatever it is.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the status is the low 32 bits, by contract"
    )]
    pub fn status(&self) -> i32 {
        self.status.load(Ordering::Relaxed) as i32
    }

    /// Host: sets what the next return from `yield` says.
    pub fn set_wake(&self, wake: Wake) {
        self.ready.store(wake.ready, Ordering::Relaxed);
        self.now.store(wake.now, Ordering::Release);
    }

    /// Host: one of its own words, `index` below 4.
    #[must_use]
    pub fn private(&self, index: usize) -> &AtomicU64 {
        &self.private[index & 3]
    }
}
