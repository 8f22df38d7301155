//! One instance of a function over time: what is made in its place, and when again.

use std::sync::Arc;

use sprat_switch::switch::InstanceId;

use super::maker::Spec;
use super::teller::Teller;
use crate::control::{Console, Server};
use crate::desired::{Boot, Restart};
use crate::protocol::{Event, State};

/// An instance that has run so long counts as sound, in nanoseconds: its end is no repetition.
const SOUND: u64 = 10_000_000_000;

/// The first wait before an instance is replaced that keeps ending, and the longest.
const FIRST_WAIT: u64 = 100_000_000;
const LONGEST_WAIT: u64 = 30_000_000_000;

/// When an instance is replaced that keeps ending.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    ends: u32,
}

impl Backoff {
    /// An instance ended that had run for so long; how long to wait before the next.
    pub(super) fn wait(&mut self, ran: u64) -> u64 {
        if ran >= SOUND {
            self.ends = 0;
        }
        self.ends += 1;
        match self.ends {
            1 => 0,
            ends => FIRST_WAIT
                .saturating_mul(1 << (ends - 2).min(20))
                .min(LONGEST_WAIT),
        }
    }
}

/// An instance of a function over time.
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) function: String,
    pub(super) spec: Arc<Spec>,
    pub(super) restart: Restart,
    pub(super) boot: Boot,
    /// How long it may have no frame before it is put away, where it begins with a frame.
    pub(super) idle: u64,
    /// Whether what it holds is carried over to its successor.
    pub(super) carries: bool,
    pub(super) place: InstanceId,
    pub(super) state: State,
    /// Since when, on the monotonic clock.
    pub(super) since: u64,
    /// One is being made.
    pub(super) making: bool,
    /// What the last one held, for the next.
    pub(super) saved: Option<Vec<u8>>,
    /// Frames that had passed it when it was last looked at.
    pub(super) passed: u64,
    /// When it is replaced, while it backs off, or given up, while it is being stopped; while it runs,
    /// when it is looked whether it is idle.
    pub(super) due: Option<u64>,
    pub(super) backoff: Backoff,
    pub(super) restarts: u64,
    pub(super) last_end: Option<String>,
    /// What it wrote to its console.
    pub(super) console: Console,
    /// Its control socket, where there is one.
    pub(super) server: Option<Server>,
    pub(super) teller: Teller,
}

impl Unit {
    pub(super) fn enter(&mut self, state: State, now: u64) {
        self.state = state;
        self.since = now;
        self.due = None;
        self.teller.tell(Event::Instance {
            instance: self.name.clone(),
            function: self.function.clone(),
            state,
            restarts: self.restarts,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_keeps_ending_waits_twice_as_long_each_time() {
        let mut backoff = Backoff::default();
        let waits = [0; 5].map(|ran| backoff.wait(ran) / 1_000_000);
        assert_eq!(waits, [0, 100, 200, 400, 800]);
        for _ in 0..40 {
            assert!(backoff.wait(0) <= LONGEST_WAIT);
        }
        assert_eq!(
            backoff.wait(SOUND),
            0,
            "after ten seconds it counts as sound"
        );
    }
}
