//! The clock of crates written for embassy-time, which edge-nal's are.

use core::task::Waker;

use embassy_time_driver::{Driver, TICK_HZ, time_driver_impl};

use crate::time::{Instant, wake_at};

struct Clock;

/// Nanoseconds of a second.
const SECOND: u128 = 1_000_000_000;

impl Driver for Clock {
    fn now(&self) -> u64 {
        let now = u128::from(Instant::now().nanoseconds()) * u128::from(TICK_HZ) / SECOND;
        u64::try_from(now).unwrap_or(u64::MAX)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // Rounded up: a timer must not find that it is too early.
        let moment = (u128::from(at) * SECOND).div_ceil(u128::from(TICK_HZ));
        wake_at(u64::try_from(moment).unwrap_or(u64::MAX), waker);
    }
}

time_driver_impl!(static CLOCK: Clock = Clock);
