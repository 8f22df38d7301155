mod message;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use sprat_click::{
    Arguments, Class, Configuration as Surroundings, Configure, Context, Element, HandlerError,
    HandlerList, Instant, Rejected,
};
use sprat_packet::{Batch, DEFAULT_HEADROOM, EtherAddress};

use message::{Configuration, FRAME, Message, Vector};

pub(super) const ETHER_SPAN_TREE: Class = Class::of::<EtherSpanTree>("EtherSpanTree")
    .ports("-/=")
    .processing("h/h");

/// EtherSpanTree: keeps frames from going round in circles between switches.
///
/// ```click
/// EtherSpanTree(ADDR, INPUT_SUPPRESSOR, OUTPUT_SUPPRESSOR, SWITCH)
/// ```
///
/// The spanning tree protocol (IEEE 802.1D-1998) for the EtherSwitch called SWITCH, whose address is ADDR.
/// The Suppressors stand before and behind the switch and have its ports; so has this element, which takes
/// the protocol's frames of each port and gives those that it sends. A port that would close a circle is
/// blocked; one that leads on opens after 15 seconds in which it only listens and 15 in which the switch
/// learns from it. Where the root is not heard for 20 seconds, the tree is made anew. When ports open or
/// close, switches forget for a while after 15 seconds what they learned.
///
/// All ports have the same cost, and switches the same priority: the one with the lowest address is the
/// root.
///
/// ```click
/// tree :: EtherSpanTree(00-1f-29-4d-f8-31, before, behind, switch);
/// before, behind :: Suppressor; switch :: EtherSwitch;
/// FromDevice(eth0) -> c0 :: Classifier(14/4242, -); c0 -> tree -> q0 :: Queue -> ToDevice(eth0);
/// FromDevice(eth1) -> c1 :: Classifier(14/4242, -); c1 -> [1] tree [1] -> q1 :: Queue -> ToDevice(eth1);
/// c0[1] -> before -> switch -> behind -> q0; c1[1] -> [1] before [1] -> [1] switch [1] -> [1] behind [1] -> q1;
/// ```
///
/// Handlers: `msgs` (read): who is the root, and of each port what it does and what was heard there.
///
/// See Click's manual page EtherSpanTree(n).
struct EtherSpanTree {
    address: EtherAddress,
    input: String,
    output: String,
    switch: String,
    ports: Vec<Port>,
    /// The port that the root is reached by; `None`: this is the root.
    root_port: Option<usize>,
    /// The way to the root as this switch tells it, by port zero.
    best: Vector,
    /// Until when the root tells that the topology changed.
    change_until: Option<Instant>,
    /// Whether a change is to be notified until the root has heard of it.
    notifying: bool,
    /// Whether the switch forgets early.
    forgetful: bool,
}

/// What a port does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Blocking,
    Listening,
    Learning,
    Forwarding,
}

struct Port {
    state: State,
    since: Instant,
    /// The best that was heard here, and when.
    heard: Option<(Configuration, Instant)>,
    /// Whether a notification that came here is to be acknowledged.
    acknowledge: bool,
}

/// Seconds (802.1D-1998, table 8-3).
const HELLO: u16 = 2;
const MAXIMUM_AGE: u16 = 20;
const DELAY: u16 = 15;

/// Of every port (table 8-5: that of 100 Mb/s).
const COST: u32 = 19;

/// The middle of what is allowed, for switches and ports.
const PRIORITY: u64 = 0x8000;
const PORT_PRIORITY: u16 = 0x80 << 8;

/// For how long a switch remembers, ordinarily and while the topology changes.
const REMEMBERED: &str = "300";
const REMEMBERED_BRIEFLY: &str = "15";

fn seconds(number: u16) -> Duration {
    Duration::from_secs(u64::from(number))
}

impl Configure for EtherSpanTree {
    fn configure(
        arguments: &mut Arguments<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<Self, Rejected> {
        let address = arguments.required::<EtherAddress>("ADDR");
        let mut element = |name: &str| {
            let element = arguments.required::<String>(name)?;
            match surroundings.find(&element) {
                Some(_) => Ok(element),
                None => Err(arguments.error(format!("{name}: no element named '{element}'"))),
            }
        };
        let input = element("INPUT_SUPPRESSOR");
        let output = element("OUTPUT_SUPPRESSOR");
        let switch = element("SWITCH");
        arguments.finish()?;
        let address = address?;
        let [a, b, c, d, e, f] = address.0;
        let bridge = PRIORITY << 48 | u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let port = || Port {
            state: State::Blocking,
            since: Instant(0),
            heard: None,
            acknowledge: false,
        };
        Ok(Self {
            address,
            input: input?,
            output: output?,
            switch: switch?,
            ports: core::iter::repeat_with(port)
                .take(surroundings.inputs())
                .collect(),
            root_port: None,
            best: Vector {
                root: bridge,
                cost: 0,
                bridge,
                port: 0,
            },
            change_until: None,
            notifying: false,
            forgetful: false,
        })
    }
}

/// The number of a port in messages, which counts from one.
fn port_number(port: usize) -> u16 {
    PORT_PRIORITY | u16::try_from(port + 1).unwrap_or(u16::MAX) & 0xff
}

impl EtherSpanTree {
    fn vector(&self, port: usize) -> Vector {
        Vector {
            port: port_number(port),
            ..self.best
        }
    }

    /// Whether this switch speaks for the network at a port, as nobody there knows a better way.
    fn is_designated(&self, port: usize) -> bool {
        let heard = self.ports.get(port).and_then(|port| port.heard);
        heard.is_none_or(|(heard, _)| self.vector(port) <= heard.vector)
    }

    /// Finds the best way to the root, and what each port has to do (clause 8.6.8, 8.6.9).
    fn find_tree(&mut self, context: &mut Context<'_>) {
        let own = self.best.bridge;
        let mut best = (own, 0, own, 0, None);
        for (number, port) in self.ports.iter().enumerate() {
            if let Some((heard, _)) = port.heard {
                let Vector {
                    root,
                    cost,
                    bridge,
                    port,
                } = heard.vector;
                let way = (root, cost.saturating_add(COST), bridge, port, Some(number));
                best = best.min_by_way(way, own);
            }
        }
        self.root_port = best.4;
        (self.best.root, self.best.cost) = (best.0, best.1);
        for port in 0..self.ports.len() {
            let leads_on = self.root_port == Some(port) || self.is_designated(port);
            match (leads_on, self.ports[port].state) {
                (true, State::Blocking) => self.enter(context, port, State::Listening),
                (false, State::Listening | State::Learning | State::Forwarding) => {
                    let changes = self.ports[port].state >= State::Learning;
                    self.enter(context, port, State::Blocking);
                    if changes {
                        self.topology_changed(context);
                    }
                }
                _ => {}
            }
        }
    }

    /// Has a port do something else.
    fn enter(&mut self, context: &mut Context<'_>, port: usize, state: State) {
        self.ports[port].state = state;
        self.ports[port].since = context.now();
        self.suppress(context, port);
    }

    /// Opens and closes the suppressors as a port's state says.
    fn suppress(&self, context: &mut Context<'_>, port: usize) {
        let state = self.ports[port].state;
        for (element, opens) in [
            (&self.input, state >= State::Learning),
            (&self.output, state == State::Forwarding),
        ] {
            let opens = if opens { "true" } else { "false" };
            self.tell(context, &format!("{element}.active{port}"), opens);
        }
    }

    fn tell(&self, context: &mut Context<'_>, handler: &str, value: &str) {
        if let Err(error) = context.write_handler_after(handler, value) {
            context.chatter(format_args!("{}: {error}", context.name()));
        }
    }

    /// The root tells everyone of a change for a while, and others tell the root.
    fn topology_changed(&mut self, context: &Context<'_>) {
        match self.root_port {
            Some(_) => self.notifying = true,
            None => {
                self.change_until = Some(context.now() + seconds(MAXIMUM_AGE + DELAY));
            }
        }
    }

    /// Has the switch forget sooner, or no longer.
    fn remember(&mut self, context: &mut Context<'_>, change: bool) {
        if self.forgetful != change {
            self.forgetful = change;
            let time = if change {
                REMEMBERED_BRIEFLY
            } else {
                REMEMBERED
            };
            self.tell(context, &format!("{}.timeout", self.switch), time);
        }
    }

    fn hear(&mut self, context: &mut Context<'_>, port: usize, message: Message) {
        let now = context.now();
        let designated = self.is_designated(port);
        let Some(heard) = self.ports.get_mut(port) else {
            return;
        };
        match message {
            Message::Change => {
                if designated {
                    heard.acknowledge = true;
                    self.topology_changed(context);
                }
            }
            Message::Configuration(configuration) => {
                if configuration.age >= MAXIMUM_AGE {
                    return;
                }
                // What the same switch says anew counts, and what is better.
                let supersedes = heard.heard.is_none_or(|(old, _)| {
                    let same = |it: Vector| (it.bridge, it.port);
                    same(configuration.vector) == same(old.vector)
                        || configuration.vector < old.vector
                });
                if supersedes {
                    heard.heard = Some((configuration, now));
                    self.find_tree(context);
                }
                if self.root_port == Some(port) {
                    if configuration.acknowledgement {
                        self.notifying = false;
                    }
                    self.remember(context, configuration.change);
                }
            }
        }
    }

    /// Forgets what was heard too long ago, and opens ports whose time has come.
    fn pass_time(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        for port in &mut self.ports {
            let old = |(heard, at): &mut (Configuration, Instant)| {
                now.since(*at) >= seconds(MAXIMUM_AGE.saturating_sub(heard.age))
            };
            port.heard.take_if(old);
        }
        self.find_tree(context);
        for port in 0..self.ports.len() {
            if now.since(self.ports[port].since) < seconds(DELAY) {
                continue;
            }
            match self.ports[port].state {
                State::Listening => self.enter(context, port, State::Learning),
                State::Learning => {
                    self.enter(context, port, State::Forwarding);
                    self.topology_changed(context);
                }
                State::Blocking | State::Forwarding => {}
            }
        }
        if self.root_port.is_none() {
            self.notifying = false;
            self.change_until.take_if(|until| *until <= now);
            self.remember(context, self.change_until.is_some());
        } else {
            self.change_until = None;
        }
    }

    /// Says to every network that this switch speaks for what is the best way to the root.
    fn speak(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        let (age, change) = match self.root_port.and_then(|port| self.ports[port].heard) {
            // One second more for each switch on the way.
            Some((heard, at)) => {
                let since = u16::try_from(now.since(at).as_secs()).unwrap_or(u16::MAX);
                (
                    heard.age.saturating_add(since).saturating_add(1),
                    heard.change,
                )
            }
            None => (0, self.change_until.is_some()),
        };
        for port in 0..self.ports.len() {
            let message = if self.root_port == Some(port) {
                if !self.notifying {
                    continue;
                }
                Message::Change
            } else if self.is_designated(port) && age < MAXIMUM_AGE {
                Message::Configuration(Configuration {
                    vector: self.vector(port),
                    change,
                    acknowledgement: core::mem::take(&mut self.ports[port].acknowledge),
                    age,
                    maximum_age: MAXIMUM_AGE,
                    hello: HELLO,
                    delay: DELAY,
                })
            } else {
                continue;
            };
            let mut packet = context.pool().packet_uninitialised(DEFAULT_HEADROOM, FRAME);
            packet
                .data_mut()
                .copy_from_slice(&message.frame(self.address));
            packet.set_mac_header(0);
            context.emit(port, packet);
        }
    }
}

/// A way to the root: what is compared first, and the port it is by.
type Way = (u64, u32, u64, u16, Option<usize>);

trait MinByWay {
    fn min_by_way(self, other: Way, own: u64) -> Way;
}

impl MinByWay for Way {
    /// The better of two ways. No way leads to this switch itself by another.
    fn min_by_way(self, other: Way, own: u64) -> Way {
        if other.0 < own && other < self {
            other
        } else {
            self
        }
    }
}

impl Element for EtherSpanTree {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let router = context.router();
        let handlers = (0..self.ports.len()).flat_map(|port| {
            [&self.input, &self.output].map(|element| format!("{element}.active{port}"))
        });
        for handler in handlers.chain([format!("{}.timeout", self.switch)]) {
            let target = router.find_handler(Some(context.id()), &handler);
            if let Err(error) = target.and_then(|target| router.handler_flags(&target)) {
                return Err(context.error(format!("{error}")));
            }
        }
        for port in 0..self.ports.len() {
            self.suppress(context, port);
        }
        context.set_timer(0, context.now());
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            if let Some(message) = Message::parse(packet.data()) {
                self.hear(context, port, message);
            }
        }
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.pass_time(context);
        self.speak(context);
        context.set_timer_after(0, seconds(HELLO));
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("msgs");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        if name != "msgs" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        let identity = |id: u64| format!("{id:016x}");
        let best = self.best;
        let mut text = format!(
            "bridge {} root {} cost {}\n",
            identity(best.bridge),
            identity(best.root),
            best.cost
        );
        for (number, port) in self.ports.iter().enumerate() {
            let role = if self.root_port == Some(number) {
                "root"
            } else if self.is_designated(number) {
                "designated"
            } else {
                "alternate"
            };
            let state = match port.state {
                State::Blocking => "blocking",
                State::Listening => "listening",
                State::Learning => "learning",
                State::Forwarding => "forwarding",
            };
            let heard = port.heard.map_or_else(String::new, |(heard, _)| {
                let Vector { root, cost, .. } = heard.vector;
                format!(" heard root {} cost {cost}", identity(root))
            });
            text.push_str(&format!("port {number} {role} {state}{heard}\n"));
        }
        Ok(text)
    }
}
