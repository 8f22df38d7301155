//! A switch: instances that take turns on one thread, and ports, joined by wires, spreads and bridges.
//!
//! A [`turn`](Switch::turn) gathers frames from the ports, gives each to whom it is for, enters
//! every instance that has something to do, and gives what it sent to whom that is for, until each
//! has had its turn. There are no wake-ups between threads, and an instance without work costs its
//! memory. Between turns in which nothing moves the thread sleeps ([`Switch::rest`]).
//!
//! Where a frame goes is said by what its port is part of:
//!
//! - a *join* has two sides, and frames cross from one to the other. With one member on each side it
//!   is a wire, and chains of functions are made of wires. With several on a side each conversation
//!   is given to one of them and stays there (`spread.rs`): replicas, and shares of the traffic for
//!   what is being tried. Joins in a row are a *line*, which knows what is forged (`line.rs`).
//! - a *bridge* learns where addresses are (`bridge.rs`).
//!
//! Before that come flow rules, where there are any (`rules.rs`).
//!
//! An instance that is slow costs only itself: frames it has no room for are dropped and counted at
//! its port, or wait in the port they come from where that leads nowhere else. One that does not
//! yield goes to the back of the queue each time its budget is used up, and in the end is ended. What
//! ends is told ([`Event`]), and another instance can take its place: its ports, what they are part
//! of and their counters stay.

mod bridge;
mod drain;
mod flow;
mod forward;
mod held;
mod line;
mod members;
mod mirror;
mod places;
mod requests;
mod rules;
mod run;
mod spread;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::VecDeque;
use std::time::Duration;

use sprat_abi::host::Lie;
use sprat_monitor::{Death, Instance, monotonic_now};

use crate::port::{Counters, Port, PortError};

pub use bridge::{Membership, Vlan};
pub use flow::{Conversation, EthernetAddress, Flow, mapped};
pub use held::InstanceCounters;
pub use mirror::{Looking, Mirror};
pub use requests::{Request, RequestError};
pub use rules::{Limit, Match, Prefix, Rule, RuleCounters, Then};
pub use spread::{Selection, Side};

use bridge::Bridge;
use forward::Staged;
use held::Held;
use line::{Line, Spot};
use mirror::Mirrored;
use rules::Rules;
use spread::Targets;
use timers::Timers;

/// A port of a switch: one of an instance's devices, or one that leads outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub(crate) u32);

impl PortId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// An instance of a switch, or the place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(u32);

impl InstanceId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// A join of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JoinId(u32);

/// A bridge of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BridgeId(u32);

/// A line of a switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LineId(u32);

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// How a switch treats its instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SwitchOptions {
    /// Frames taken from a port in a turn for the one instance they are for.
    pub batch: usize,
    /// The same where they are for several, for each of those: half of what a ring holds, so that one
    /// that gets more than its share has room for it.
    pub spread_batch: usize,
    /// How long an entry may take.
    pub budget: Duration,
    /// How many entries in a row may use their budget up before an instance counts as hung.
    pub patience: u32,
    /// Console bytes taken from an instance for each entry; the rest is dropped and counted.
    pub console_limit: usize,
    /// Frames kept for an instance that is to come.
    pub awaiting: usize,
}

impl Default for SwitchOptions {
    fn default() -> Self {
        Self {
            batch: 1024,
            spread_batch: 512,
            budget: Duration::from_millis(10),
            patience: 200,
            console_limit: 16 << 10,
            awaiting: 256,
        }
    }
}

/// Something that happened, to be acted on by whoever holds the switch.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// An instance came to its end. Its place stays.
    Ended {
        /// Where it was.
        instance: InstanceId,
        /// Why.
        death: Box<Death>,
        /// What is left of it: to be dropped elsewhere, for that takes time.
        remains: Remains,
    },
    /// A frame came for an instance that is not there yet.
    Wanted {
        /// Its place.
        instance: InstanceId,
    },
    /// An instance wrote to its console.
    Console {
        /// Which one.
        instance: InstanceId,
        /// What it wrote.
        text: Vec<u8>,
    },
    /// The answer to a request.
    Answer {
        /// The request's ticket.
        ticket: u64,
        /// What was answered.
        result: Result<Vec<u8>, RequestError>,
    },
    /// A port failed and is gone. Its place stays.
    PortFailed {
        /// Which one.
        port: PortId,
        /// Why.
        error: PortError,
    },
}

/// What is left of an instance.
#[derive(Debug)]
pub struct Remains(#[expect(dead_code, reason = "held to be dropped")] Box<dyn Instance>);

/// What a port is.
enum Place {
    /// One that leads outside; none while it is used, or gone.
    Outside(Option<Box<dyn Port>>),
    /// A device of an instance.
    Device { instance: usize, network: usize },
}

/// What a port is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    None,
    Join { join: usize, side: Side },
    Bridge { bridge: usize, member: usize },
}

/// A port and what is known of it.
struct Attached {
    name: String,
    place: Place,
    network: Network,
    /// What passed here. Ports that lead outside count frames themselves.
    counters: Counters,
    assembly: crate::port::Assembly,
    /// Frames were sent out of it in this turn.
    kick: bool,
    /// Somebody looks on.
    mirrored: bool,
    /// Frames that those had no room for.
    unmirrored: u64,
}

/// Two sides that frames cross between.
struct Join {
    left: Targets,
    right: Targets,
    /// Where it is, if it is part of a line.
    spot: Option<Spot>,
}

impl Join {
    fn side(&self, side: Side) -> &Targets {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Targets {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }
}

/// A bridge and the ports that are its members.
struct Bridged {
    bridge: Bridge,
    ports: Vec<usize>,
}

/// A switch.
pub struct Switch {
    options: SwitchOptions,
    ports: Vec<Attached>,
    /// Ports that lead outside.
    outside: Vec<usize>,
    instances: Vec<Held>,
    joins: Vec<Join>,
    lines: Vec<Line>,
    bridges: Vec<Bridged>,
    /// A frame that an instance sent, which it cannot change any more.
    copy: Vec<u8>,
    rules: Rules,
    mirrors: Vec<Mirrored>,
    /// Some of what mirrors saw has not been taken yet.
    behind: bool,
    /// Instances that have something to do.
    ready: VecDeque<usize>,
    /// Those that have had this turn and have something to do in the next.
    again: VecDeque<usize>,
    timers: Timers,
    staged: Staged,
    /// Instances that were found lying while others were at work.
    liars: Vec<(usize, Lie)>,
    /// Instances that requests are open with.
    asked: Vec<usize>,
    requests: u64,
    events: Vec<Event>,
    turn: u64,
    now: u64,
}

impl Switch {
    /// A switch without ports.
    #[must_use]
    pub fn new(options: SwitchOptions) -> Self {
        Self {
            options,
            ports: Vec::new(),
            outside: Vec::new(),
            instances: Vec::new(),
            joins: Vec::new(),
            lines: Vec::new(),
            copy: Vec::new(),
            bridges: Vec::new(),
            rules: Rules::new(),
            mirrors: Vec::new(),
            behind: false,
            ready: VecDeque::new(),
            again: VecDeque::new(),
            timers: Timers::default(),
            staged: Staged::default(),
            liars: Vec::new(),
            asked: Vec::new(),
            requests: 0,
            events: Vec::new(),
            turn: 0,
            now: monotonic_now(),
        }
    }

    /// Adds a port that leads outside.
    pub fn add_port(&mut self, name: &str, port: Box<dyn Port>) -> PortId {
        let index = self.attach(name.into(), Place::Outside(Some(port)));
        self.outside.push(index);
        PortId(number(index))
    }

    /// Puts another port in the place of one that leads outside and has failed, say.
    ///
    /// # Panics
    /// If it is a device of an instance.
    pub fn replace_port(&mut self, port: PortId, with: Option<Box<dyn Port>>) {
        match &mut self.ports[port.index()].place {
            Place::Outside(place) => *place = with,
            Place::Device { .. } => panic!("a port that leads outside"),
        }
    }

    fn attach(&mut self, name: String, place: Place) -> usize {
        self.ports.push(Attached {
            name,
            place,
            network: Network::None,
            counters: Counters::default(),
            assembly: crate::port::Assembly::default(),
            kick: false,
            mirrored: false,
            unmirrored: 0,
        });
        self.ports.len() - 1
    }

    /// Sets the flow rules. The first that fits a frame counts.
    pub fn set_rules(&mut self, rules: Vec<Rule>) {
        self.rules.set(rules, self.now);
    }

    /// The rules and what they did.
    pub fn rules(&self) -> impl Iterator<Item = (&Rule, RuleCounters)> {
        self.rules.counters()
    }

    /// Frames whose headers had to be looked for in the rules.
    #[must_use]
    pub fn rule_misses(&self) -> u64 {
        self.rules.misses()
    }

    /// All ports.
    pub fn ports(&self) -> impl ExactSizeIterator<Item = PortId> + DoubleEndedIterator + '_ {
        (0..self.ports.len()).map(|index| PortId(number(index)))
    }

    /// A port's name.
    #[must_use]
    pub fn port_name(&self, port: PortId) -> &str {
        &self.ports[port.index()].name
    }

    /// What entered and left the switch at a port, and what was dropped there.
    #[must_use]
    pub fn port_counters(&self, port: PortId) -> Counters {
        let attached = &self.ports[port.index()];
        match &attached.place {
            Place::Device { .. } | Place::Outside(None) => attached.counters.clone(),
            Place::Outside(Some(port)) => {
                let mut counters = port.counters().clone();
                for (cause, count) in &attached.counters.dropped {
                    counters.drop_frames(cause.clone(), *count);
                }
                counters
            }
        }
    }

    /// Has ports count what they only know when they are asked, such as frames that the kernel dropped
    /// because nobody fetched them.
    pub fn count_missed(&mut self) {
        for place in 0..self.outside.len() {
            let index = self.outside[place];
            if let Place::Outside(Some(port)) = &mut self.ports[index].place
                && let Err(error) = port.flush()
            {
                self.port_failed(index, error);
            }
        }
    }

    /// Takes what has happened.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}
