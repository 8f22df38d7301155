//! Clocks.

use core::cell::Cell;
use core::time::Duration;

/// Tells the time.
pub trait Clock {
    /// Nanoseconds since some moment before the program began. Never goes back.
    fn monotonic(&self) -> u64;

    /// Nanoseconds since the Unix epoch. May be set forward or back.
    fn wall(&self) -> i64;
}

impl<C: Clock + ?Sized> Clock for alloc::rc::Rc<C> {
    fn monotonic(&self) -> u64 {
        (**self).monotonic()
    }

    fn wall(&self) -> i64 {
        (**self).wall()
    }
}

/// A clock that stands until it is moved.
#[derive(Debug, Default)]
pub struct ManualClock {
    monotonic: Cell<u64>,
    /// The Unix epoch's distance from the monotonic clock's start.
    epoch: i64,
}

impl ManualClock {
    /// A clock that stands at `wall` nanoseconds since the Unix epoch.
    #[must_use]
    pub const fn new(wall: i64) -> Self {
        Self {
            monotonic: Cell::new(0),
            epoch: wall,
        }
    }

    /// Moves it forward.
    pub fn advance(&self, span: Duration) {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        self.advance_to(self.monotonic.get().saturating_add(span));
    }

    /// Moves it forward to a moment of the monotonic clock; one that has passed changes nothing.
    pub fn advance_to(&self, monotonic: u64) {
        self.monotonic.set(self.monotonic.get().max(monotonic));
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> u64 {
        self.monotonic.get()
    }

    fn wall(&self) -> i64 {
        let since = i64::try_from(self.monotonic.get()).unwrap_or(i64::MAX);
        self.epoch.saturating_add(since)
    }
}
