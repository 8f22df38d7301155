//! The place of an instance, and what is known of the one that is there.

use std::collections::VecDeque;
use std::time::Duration;

use sprat_monitor::Instance;

use super::requests::{Asked, Request};

/// What the instances of a place have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstanceCounters {
    /// Instances that were there.
    pub started: u64,
    /// Times one was entered.
    pub entries: u64,
    /// Time spent in entries.
    pub inside: Duration,
    /// Slots taken from them.
    pub collected: u64,
    /// Entries that used their budget up.
    pub overruns: u64,
    /// Console bytes dropped because there were too many.
    pub console_dropped: u64,
}

/// A frame that is kept for an instance that is to come.
pub(super) struct Kept {
    pub(super) network: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) timestamp: i64,
}

/// The place of an instance.
pub(super) struct Held {
    pub(super) name: String,
    /// None where it is empty, and while the instance is entered.
    pub(super) instance: Option<Box<dyn Instance>>,
    /// The ports of its devices.
    pub(super) ports: Vec<usize>,
    /// Whether it is in a queue.
    pub(super) queued: bool,
    /// Whether it is at work, and so not in its place.
    pub(super) working: bool,
    /// The last turn it had.
    pub(super) turn: u64,
    /// Some of what it sent had no room where it goes, and is still in its ring.
    pub(super) undrained: bool,
    pub(super) stopping: bool,
    /// Budgets used up in a row.
    pub(super) overruns: u32,
    pub(super) keeps: bool,
    /// Frames for it are kept though it is there.
    pub(super) paused: bool,
    pub(super) kept: Vec<Kept>,
    pub(super) requests: VecDeque<Request>,
    pub(super) asked: Option<Asked>,
    pub(super) counters: InstanceCounters,
}

impl Held {
    pub(super) fn new(name: String, ports: Vec<usize>) -> Self {
        Self {
            name,
            instance: None,
            ports,
            queued: false,
            working: false,
            turn: 0,
            undrained: false,
            stopping: false,
            overruns: 0,
            keeps: false,
            paused: false,
            kept: Vec::new(),
            requests: VecDeque::new(),
            asked: None,
            counters: InstanceCounters::default(),
        }
    }

    /// Another instance is there.
    pub(super) fn begin(&mut self, instance: Box<dyn Instance>) {
        self.instance = Some(instance);
        self.counters.started += 1;
        self.rest();
    }

    /// Nothing is left of what the last instance was about.
    pub(super) fn rest(&mut self) {
        self.undrained = false;
        self.stopping = false;
        self.overruns = 0;
    }
}
