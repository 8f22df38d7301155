//! The router's clock.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;

/// A moment on a clock that only goes forward, in nanoseconds from a start nobody names.
/// Timers and rates live on it, so that a step of the wall clock moves none of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// The latest moment there is; stands for "never".
    pub const NEVER: Self = Self(u64::MAX);

    /// The time from `earlier` to this moment; zero where it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// A moment of wall-clock time: nanoseconds since the Unix epoch. Zero means not set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Seconds with nine decimals, as Click prints timestamps.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", magnitude / SECOND, magnitude % SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn timestamps_before_the_epoch_have_a_sign() {
        assert_eq!(format!("{}", Timestamp(-900_000_000)), "-0.900000000");
        assert_eq!(format!("{}", Timestamp(1_500_000_001)), "1.500000001");
    }
}
