//! What pull elements that hold packets back tell those who pull from them.

use sprat_click::{Context, Instant};

/// Says that there are packets while the gate is open and there are any before input 0, and
/// that there are none while it is closed.
#[derive(Default)]
pub(super) struct Gate {
    closed: bool,
}

impl Gate {
    /// Hears of packets before input 0; the element's task is then to call
    /// [`signal`](Self::signal).
    pub(super) fn initialize(&self, context: &Context<'_>) {
        context.wake_when_nonempty(0);
        self.signal(context);
    }

    /// Says how things stand.
    pub(super) fn signal(&self, context: &Context<'_>) {
        context.set_nonempty(!self.closed && context.upstream_nonempty(0));
    }

    /// Closes until `moment`; then the element's timer 0 is to call [`open`](Self::open).
    pub(super) fn close(&mut self, context: &Context<'_>, moment: Instant) {
        self.closed = true;
        context.set_nonempty(false);
        context.set_timer(0, moment);
    }

    /// Opens: who waits may pull again.
    pub(super) fn open(&mut self, context: &Context<'_>) {
        self.closed = false;
        self.signal(context);
    }
}
