//! The stretch of a trace that is read.

use core::time::Duration;

/// Which packets count, by their times.
#[derive(Default)]
pub(super) struct Window {
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
    pub(super) start_after: Option<Duration>,
    pub(super) end_after: Option<Duration>,
    pub(super) interval: Option<Duration>,
    /// The end that has been reached.
    pub(super) reached: Option<i64>,
}

impl Window {
    /// Counts what is relative from the file's first packet.
    pub(super) fn settle(&mut self, first: i64) {
        let after = |span: Duration| {
            first.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
        };
        self.start = self.start.or(self.start_after.take().map(after));
        self.end = self.end.or(self.end_after.take().map(after));
        if let Some(interval) = self.interval.take() {
            let start = self.start.unwrap_or(first);
            self.end =
                Some(start.saturating_add(i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX)));
        }
    }

    /// From now on no packet comes too late.
    pub(super) fn reach_end(&mut self) {
        self.reached = self.end.take();
    }

    /// Puts the end later, also one that has been reached.
    pub(super) fn extend(&mut self, span: Duration) {
        let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        let end = self.end.or(self.reached.take());
        self.end = end.map(|end| end.saturating_add(span));
    }
}
