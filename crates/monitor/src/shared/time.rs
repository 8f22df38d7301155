//! The time an instance sees.

use sprat_abi::clock::ClockPage;

use super::Shared;
use crate::clock::{self, StandingTime};

/// The time an instance sees.
#[derive(Clone, Copy, Debug)]
pub(super) enum Time {
    /// The clock page was not written yet.
    Unset,
    /// The host's, last written at this monotonic time.
    Host { written: u64 },
    /// One that the host sets.
    Standing(StandingTime),
}

/// How old the clock page may get, in nanoseconds: small enough to follow corrections of the host's
/// clocks closely.
const CLOCK_PERIOD: u64 = 100_000_000;

impl Shared {
    /// Has the instance live in a time of its own that stands still between calls of this method,
    /// as for traffic that is played back; with `None`, in the host's. Deadlines follow the time.
    pub fn set_time(&mut self, time: Option<StandingTime>) {
        self.time = match time {
            Some(standing) => {
                self.clock().write(standing.point());
                Time::Standing(standing)
            }
            None => Time::Unset,
        };
    }

    /// Brings the clock page up to date where it is old. Says the monotonic time that the instance
    /// sees, given the host's.
    pub(crate) fn show_time(&mut self, now: u64) -> u64 {
        match self.time {
            Time::Standing(standing) => return standing.monotonic,
            Time::Host { written } if now.saturating_sub(written) < CLOCK_PERIOD => {}
            _ => {
                self.clock().write(clock::point_now(0));
                self.time = Time::Host { written: now };
            }
        }
        now
    }

    /// The instance's clock.
    fn clock(&self) -> &ClockPage {
        // SAFETY: inside the contract, which is kept; made of atomics.
        unsafe { &*self.clock }
    }
}
