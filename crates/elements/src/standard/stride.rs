use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Reverse;

use sprat_click::arguments::{Argument, NoNames};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const STRIDE_SCHED: Class = Class::of::<StrideSched>("StrideSched")
    .ports("1-/1")
    .processing("l/l")
    .reconfigurable();
pub(super) const STRIDE_SWITCH: Class = Class::of::<StrideSwitch>("StrideSwitch")
    .ports("1/1-")
    .processing("h/h")
    .reconfigurable();

/// How far a port with one ticket strides.
const STRIDE: u32 = 1 << 16;

/// The most tickets a port can have.
const MOST: u32 = 1 << 15;

/// Ports that share in proportion to their tickets: stride scheduling (Waldspurger and Weihl,
/// "Stride Scheduling", 1995). The port that has come least far is next; of those equally far the
/// one that came there last, at the start the first.
struct Shares {
    ports: Vec<Share>,
    round: u64,
    turns: u64,
}

struct Share {
    /// Zero for a port that has no turns.
    tickets: u32,
    pass: u64,
    /// The last round in which this port had a turn.
    round: u64,
    /// When it came where it is, in turns.
    came: u64,
}

impl Share {
    fn stride(&self) -> u64 {
        STRIDE.checked_div(self.tickets).unwrap_or(0).into()
    }
}

impl Shares {
    fn configure(
        arguments: &mut Arguments<'_>,
        ports: usize,
        kind: &str,
    ) -> Result<Self, Rejected> {
        let given = arguments.rest();
        if given.len() != ports {
            return Err(arguments.error(format!("need {ports} arguments, one per {kind} port")));
        }
        let mut shares = Vec::with_capacity(ports);
        let mut came = ports as u64;
        for (port, text) in given.iter().enumerate() {
            let tickets = match i32::parse(text, &NoNames).map(u32::try_from) {
                Ok(Ok(tickets)) if tickets > MOST => {
                    arguments.warning(format!("input {port}'s tickets reduced to {MOST}"));
                    MOST
                }
                Ok(Ok(tickets)) => tickets,
                Ok(Err(_)) => {
                    arguments.error(format!("argument {port} (number of tickets) must be >= 0"));
                    0
                }
                Err(_) => {
                    arguments.error(format!(
                        "argument {port} should be number of tickets (integer)"
                    ));
                    0
                }
            };
            let mut share = Share {
                tickets,
                pass: 0,
                round: 0,
                came,
            };
            share.pass = share.stride();
            shares.push(share);
            came -= 1;
        }
        arguments.finish()?;
        Ok(Self {
            ports: shares,
            round: 0,
            turns: ports as u64,
        })
    }

    /// Begins a round, in which every port has at most one turn.
    fn begin_round(&mut self) {
        self.round += 1;
    }

    /// The port whose turn it is, of those that had none in this round; it is advanced.
    fn next(&mut self) -> Option<usize> {
        let round = self.round;
        let waiting = self.ports.iter_mut().enumerate();
        let (port, share) = waiting
            .filter(|(_, share)| share.round != round && share.tickets > 0)
            .min_by_key(|(_, share)| (share.pass, Reverse(share.came)))?;
        share.round = round;
        share.pass += share.stride();
        self.turns += 1;
        share.came = self.turns;
        Some(port)
    }

    fn handlers(&self, list: &mut HandlerList) {
        for port in 0..self.ports.len() {
            list.read_write(format!("tickets{port}"));
        }
    }

    fn configuration(&self) -> String {
        let tickets: Vec<String> = self
            .ports
            .iter()
            .map(|port| port.tickets.to_string())
            .collect();
        tickets.join(", ")
    }

    fn port_of(&self, handler: &str) -> Result<usize, HandlerError> {
        handler
            .strip_prefix("tickets")
            .and_then(|port| port.parse().ok())
            .filter(|port| *port < self.ports.len())
            .ok_or_else(|| HandlerError::NoHandler(handler.into()))
    }

    fn read(&self, name: &str) -> Result<String, HandlerError> {
        let port = self.port_of(name)?;
        Ok(self.ports[port].tickets.to_string())
    }

    fn write(
        &mut self,
        context: &Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let port = self.port_of(name)?;
        let tickets = i32::parse(value.trim(), &NoNames)
            .map_err(|_| HandlerError::failed("tickets value must be integer"))?;
        let mut tickets = u32::try_from(tickets)
            .map_err(|_| HandlerError::failed("number of tickets must be >= 0"))?;
        if tickets > MOST {
            context.chatter(format_args!(
                "warning: port {port}'s tickets reduced to {MOST}"
            ));
            tickets = MOST;
        }
        // A port that had no turns begins beside the one that is least far.
        let least = self.ports.iter().filter(|share| share.tickets > 0);
        let least = least.map(|share| share.pass).min().unwrap_or(0);
        let share = &mut self.ports[port];
        let before = core::mem::replace(&mut share.tickets, tickets);
        if before == 0 {
            share.pass = least + share.stride();
        }
        Ok(())
    }
}

/// StrideSched: pulls from its inputs in proportion to their tickets.
///
/// ```click
/// StrideSched(TICKETS0, ..., TICKETSN-1)
/// ```
///
/// An input with twice the tickets of another (0 to 32,768) is pulled from twice as often, as
/// long as both have packets. An input that has none when its turn comes is passed over.
///
/// Handlers: `tickets0` to `ticketsN-1` (read, write).
///
/// See Click's manual page StrideSched(n).
struct StrideSched {
    shares: Shares,
}

impl Configure for StrideSched {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let shares = Shares::configure(arguments, configuration.inputs(), "input")?;
        Ok(Self { shares })
    }
}

impl StrideSched {
    /// Pulls one packet; returns whether there was one.
    fn pull_one(&mut self, context: &mut Context<'_>, batch: &mut Batch) -> bool {
        let before = batch.len();
        self.shares.begin_round();
        while let Some(input) = self.shares.next() {
            if context.upstream_nonempty(input) {
                context.pull(input, 1, batch);
            }
            if batch.len() > before {
                return true;
            }
        }
        false
    }
}

impl Element for StrideSched {
    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        while batch.len() < limit && self.pull_one(context, batch) {}
    }

    fn configuration(&self) -> Option<String> {
        Some(self.shares.configuration())
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.shares.handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.shares.read(name)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.shares.write(context, name, value)
    }
}

/// StrideSwitch: sends packets to its outputs in proportion to their tickets.
///
/// ```click
/// StrideSwitch(TICKETS0, ..., TICKETSN-1)
/// ```
///
/// An output with twice the tickets of another (0 to 32,768) gets twice the packets.
///
/// Handlers: `tickets0` to `ticketsN-1` (read, write).
///
/// See Click's manual page StrideSwitch(n).
struct StrideSwitch {
    shares: Shares,
}

impl Configure for StrideSwitch {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let shares = Shares::configure(arguments, configuration.outputs(), "output")?;
        Ok(Self { shares })
    }
}

impl Element for StrideSwitch {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            self.shares.begin_round();
            if let Some(output) = self.shares.next() {
                context.emit(output, packet);
            }
        }
    }

    fn configuration(&self) -> Option<String> {
        Some(self.shares.configuration())
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.shares.handlers(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.shares.read(name)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.shares.write(context, name, value)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn stride_sched_pulls_in_proportion_to_tickets() {
        let bench = Bench::new(
            "InfiniteSource(1, LIMIT 8) -> s :: StrideSched(4, 2, 1) -> Unqueue -> ToDevice(out);
             InfiniteSource(2, LIMIT 4) -> [1] s; InfiniteSource(3, LIMIT 2) -> [2] s",
        );
        bench.run();
        // By hand: the first is at 1, 2, 3, …, the second at 2, 4, …, the third at 4, 8.
        assert_eq!(bench.sent("out").concat(), b"11211231121123");
    }

    #[test]
    fn stride_sched_passes_over_inputs_without_packets() {
        let bench = Bench::new(
            "Idle -> s :: StrideSched(100, 1) -> d :: Discard; InfiniteSource(LIMIT 7) -> [1] s",
        );
        bench.run();
        assert_eq!(bench.read("d.count"), "7");
    }

    #[test]
    fn stride_switch_follows_tickets_as_they_change() {
        let bench = Bench::new(
            "i :: InfiniteSource(LIMIT 300) -> s :: StrideSwitch(2, 1) -> a :: Counter -> Discard;
             s[1] -> b :: Counter -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("a.count"), "200");
        assert_eq!(bench.read("b.count"), "100");
        bench.write("s.tickets0", "1");
        bench.write("i.reset", "");
        bench.run();
        assert_eq!(bench.read("s.tickets0"), "1");
        assert_eq!(bench.read("s.config"), "1, 1");
        assert_eq!(bench.read("a.count"), "350");
        assert_eq!(bench.read("b.count"), "250");
    }

    #[test]
    fn of_inputs_equally_far_the_one_that_came_there_last_is_next() {
        let bench = Bench::new(
            "InfiniteSource(1, LIMIT 2) -> s :: StrideSched(1, 2) -> Unqueue -> ToDevice(out);
             InfiniteSource(2, LIMIT 4) -> [1] s",
        );
        bench.run();
        // By hand: the second is at 1, 2 and 3 halves, the first at 2: at 2 the second goes again.
        assert_eq!(bench.sent("out").concat(), b"221221");
    }

    #[test]
    fn a_port_without_tickets_has_no_turns_until_it_gets_some() {
        let bench = Bench::new(
            "i :: InfiniteSource(LIMIT 10) -> s :: StrideSwitch(0, 1) -> a :: Counter -> Discard;
             s[1] -> b :: Counter -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("b.count"), "10");
        bench.write("s.tickets0", "1");
        bench.write("i.reset", "");
        bench.run();
        // By hand: it begins a whole stride behind, and both go twice at a time.
        assert_eq!(bench.read("a.count"), "4");
    }

    #[test]
    fn tickets_are_one_a_port_and_not_negative() {
        for (tickets, message) in [
            ("1", "need 2 arguments, one per output port"),
            ("1, -1", "argument 1 (number of tickets) must be >= 0"),
            ("x, 1", "argument 0 should be number of tickets (integer)"),
        ] {
            let errors = Bench::errors(&std::format!(
                "Idle -> s :: StrideSwitch({tickets}) -> Idle; s[1] -> Idle"
            ));
            assert!(errors.contains(message), "{errors}");
        }
        let bench = Bench::new("Idle -> s :: StrideSwitch(40000) -> Idle");
        assert_eq!(bench.read("s.tickets0"), "32768");
    }
}
