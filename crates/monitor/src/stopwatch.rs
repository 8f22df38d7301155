//! Measuring one part after the other.

use std::time::{Duration, Instant};

/// Measures one part after the other.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// Time since the last lap, or since the start.
    pub(crate) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        let lap = now - self.0;
        self.0 = now;
        lap
    }
}
