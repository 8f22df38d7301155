//! How far a run has come, for whoever watches it.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sprat_switch::lane::Lane;

use super::report;

/// How often progress is shown.
const PROGRESS_PERIOD: Duration = Duration::from_millis(100);

/// A line about how far a run has come, on a terminal, once it takes more than a second.
pub(super) struct Progress {
    /// Whether there is a terminal: asked once, for a system call in each turn delays frames.
    watched: bool,
    started: Option<Instant>,
    shown: Option<Instant>,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            watched: std::io::stderr().is_terminal(),
            started: None,
            shown: None,
            bar: None,
        }
    }

    pub(super) fn show(&mut self, lane: &Lane) {
        if !self.watched {
            return;
        }
        let started = *self.started.get_or_insert_with(Instant::now);
        if self
            .shown
            .is_some_and(|shown| shown.elapsed() < PROGRESS_PERIOD)
        {
            return;
        }
        self.shown = Some(Instant::now());
        let elapsed = started.elapsed();
        if elapsed < Duration::from_secs(1) {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        let frames = lane.counters().delivered;
        let rate = frames as f64 / elapsed.as_secs_f64();
        bar.set_message(format!("{frames} frames, {}/s", report::rate(rate)));
        bar.tick();
    }

    pub(super) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
