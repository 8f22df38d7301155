//! The clocks of the system, or simulated ones.

use std::cell::Cell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sprat_click::time::SECOND;
use sprat_click::{Instant, Timestamp};

/// Where a router's time comes from.
pub(crate) enum Clock {
    /// The system's clocks; the steady one counts from a second before the process began, so
    /// that no moment on it is zero.
    System {
        /// When the process began.
        origin: std::time::Instant,
    },
    /// Clocks that stand still until they are moved.
    Simulated {
        /// What the wall clock showed at first.
        start: Timestamp,
        /// Nanoseconds gone by since.
        elapsed: Cell<u64>,
    },
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::System {
            origin: std::time::Instant::now(),
        }
    }

    pub(crate) fn simulated(start: Timestamp) -> Self {
        Self::Simulated {
            start,
            elapsed: Cell::new(0),
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated { .. })
    }

    pub(crate) fn instant(&self) -> Instant {
        Instant(SECOND) + self.elapsed()
    }

    fn elapsed(&self) -> Duration {
        match self {
            Self::System { origin } => origin.elapsed(),
            Self::Simulated { elapsed, .. } => Duration::from_nanos(elapsed.get()),
        }
    }

    pub(crate) fn timestamp(&self) -> Timestamp {
        let nanoseconds = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        match self {
            Self::System { .. } => Timestamp(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, nanoseconds),
            ),
            Self::Simulated { start, .. } => {
                Timestamp(start.0.saturating_add(nanoseconds(self.elapsed())))
            }
        }
    }

    /// Moves simulated clocks forward to `moment`, where it lies ahead.
    pub(crate) fn advance_to(&self, moment: Instant) {
        if let Self::Simulated { elapsed, .. } = self {
            elapsed.set(elapsed.get().max(moment.0.saturating_sub(SECOND)));
        }
    }

    /// Moves simulated clocks forward.
    pub(crate) fn advance(&self, span: Duration) {
        self.advance_to(self.instant() + span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_clocks_move_together_and_only_when_told() {
        let clock = Clock::simulated(Timestamp(5_000_000_000));
        let before = clock.instant();
        assert_eq!(clock.instant(), before);
        clock.advance_to(before + Duration::from_millis(1500));
        assert_eq!(clock.timestamp(), Timestamp(6_500_000_000));
        clock.advance_to(before);
        assert_eq!(clock.timestamp(), Timestamp(6_500_000_000));
    }
}
