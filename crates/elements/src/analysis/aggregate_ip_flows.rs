use alloc::collections::VecDeque;
use core::net::Ipv4Addr;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::AGGREGATE;
use sprat_packet::headers::protocol::{ICMP, TCP, UDP};
use sprat_packet::headers::{Icmp, Ipv4, icmp_type, tcp_flags};
use sprat_packet::{Batch, Packet};

use super::ended::Ended;

pub(super) const AGGREGATE_IP_FLOWS: Class = Class::of::<AggregateIpFlows>("AggregateIPFlows")
    .ports("1/1-2")
    .processing("a/ah");

/// AggregateIPFlows: sets the aggregate annotation to the number of the packet's flow.
///
/// ```click
/// AggregateIPFlows([keywords TCP_TIMEOUT, TCP_DONE_TIMEOUT, UDP_TIMEOUT, FRAGMENT_TIMEOUT, REAP,
///                  ICMP, FRAGMENTS])
/// ```
///
/// A flow is the TCP or UDP packets of two addresses with their ports, in both directions. Flows
/// are numbered from 1. The paint annotation becomes 0 in the direction of the flow's first packet
/// and 1 in the other. Other packets, and those too short, leave by output 1 if there is one. Time
/// is that of the packets.
///
/// - TCP_TIMEOUT, TCP_DONE_TIMEOUT, UDP_TIMEOUT: for how long a flow may be silent before its
///   packets are another flow: 24 hours; 30 seconds after both sides closed it; one minute.
/// - REAP: how often silent flows are looked for; 20 minutes.
/// - ICMP: whether ICMP errors about a packet of a flow belong to it, painted 2 and 3; false.
/// - FRAGMENTS: whether later fragments get the number too. They are held until the first one tells
///   their ports, and so is what comes after them between the same addresses, to keep its order.
///   True in push context, which it needs.
/// - FRAGMENT_TIMEOUT: for how long; 30 seconds. Then they leave by output 1.
///
/// Handlers: `clear` (write) forgets all flows.
///
/// See Click's manual page AggregateIPFlows(n).
pub(super) struct AggregateIpFlows {
    timeouts: Timeouts,
    icmp: bool,
    fragments: Option<bool>,
    holds: bool,
    flows: HashMap<FlowKey, Flow>,
    /// Of datagrams whose first fragment came: its ports, and when.
    ports: HashMap<FragmentKey, ([u16; 2], i64)>,
    /// What is held of each pair of addresses, in the order it came.
    held: HashMap<[Ipv4Addr; 2], VecDeque<Packet>>,
    last_number: u32,
    /// When silent flows are looked for next.
    next_reap: Option<i64>,
    /// Who is told of flows that are over.
    pub(super) ended: Ended,
    /// Room for the batch at hand: more packets may leave than come.
    input: Batch,
}

/// In nanoseconds.
struct Timeouts {
    tcp: i64,
    tcp_done: i64,
    udp: i64,
    fragment: i64,
    reap: i64,
}

/// A flow: its ends in ascending order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FlowKey {
    ends: [(Ipv4Addr, u16); 2],
    protocol: u8,
}

struct Flow {
    number: u32,
    /// Whether the first packet went from the greater end to the smaller.
    reversed: bool,
    last: i64,
    /// Which ends have closed, a bit each; both bits after a reset.
    closed: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FragmentKey {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    identification: u16,
    protocol: u8,
}

/// What is known of a packet before its ports.
struct Head {
    fragment: FragmentKey,
    is_fragment: bool,
    first: bool,
    ports: Option<[u16; 2]>,
    /// Whether TCP flags say that the sender closes, or resets.
    closes: bool,
    resets: bool,
}

impl Head {
    fn of(bytes: &[u8]) -> Option<Self> {
        let ip = Ipv4::new(bytes).ok()?;
        let first = ip.is_first_fragment();
        let segment = ip.payload();
        let ports = segment
            .first_chunk()
            .filter(|_| first)
            .map(|&[a, b, c, d]| [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
        let flags = match ip.protocol() {
            TCP if first => segment.get(13).copied().unwrap_or(0),
            _ => 0,
        };
        Some(Self {
            fragment: FragmentKey {
                source: ip.source(),
                destination: ip.destination(),
                identification: ip.identification(),
                protocol: ip.protocol(),
            },
            is_fragment: ip.is_fragment(),
            first,
            ports,
            closes: flags & tcp_flags::FIN != 0,
            resets: flags & tcp_flags::RST != 0,
        })
    }

    fn pair(&self) -> [Ipv4Addr; 2] {
        let mut pair = [self.fragment.source, self.fragment.destination];
        pair.sort_unstable();
        pair
    }

    /// The flow of the packet with these ports, and whether it goes from the greater end.
    fn key(&self, ports: [u16; 2]) -> (FlowKey, bool) {
        let mut ends = [
            (self.fragment.source, ports[0]),
            (self.fragment.destination, ports[1]),
        ];
        let reversed = ends[0] > ends[1];
        ends.sort_unstable();
        let protocol = self.fragment.protocol;
        (FlowKey { ends, protocol }, reversed)
    }
}

impl Configure for AggregateIpFlows {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mut span = |name: &str, seconds| {
            let span = arguments
                .keyword(name)
                .unwrap_or(Duration::from_secs(seconds));
            i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
        };
        let timeouts = Timeouts {
            tcp: span("TCP_TIMEOUT", 24 * 3600),
            tcp_done: span("TCP_DONE_TIMEOUT", 30),
            udp: span("UDP_TIMEOUT", 60),
            fragment: span("FRAGMENT_TIMEOUT", 30),
            reap: span("REAP", 20 * 60),
        };
        let icmp = arguments.keyword("ICMP").unwrap_or(false);
        let fragments = arguments.keyword("FRAGMENTS");
        arguments.finish()?;
        Ok(Self {
            timeouts,
            icmp,
            fragments,
            holds: false,
            flows: HashMap::new(),
            ports: HashMap::new(),
            held: HashMap::new(),
            last_number: 0,
            next_reap: None,
            ended: Ended::default(),
            input: Batch::default(),
        })
    }
}

impl AggregateIpFlows {
    /// Marks a packet whose ports are known.
    fn mark(&mut self, packet: &mut Packet, head: &Head, ports: [u16; 2]) {
        let (key, reversed) = head.key(ports);
        let now = packet.timestamp();
        let old = self.flows.get(&key);
        let over = old.filter(|flow| self.timeouts.over(&key, flow, now));
        if let Some(flow) = over {
            self.ended.tell(flow.number);
        }
        if old.is_none() || over.is_some() {
            self.last_number = self.last_number.wrapping_add(1);
            let flow = Flow {
                number: self.last_number,
                reversed,
                last: now,
                closed: 0,
            };
            self.flows.insert(key, flow);
        }
        let Some(flow) = self.flows.get_mut(&key) else {
            return;
        };
        flow.last = now;
        if head.closes {
            flow.closed |= 1 << u8::from(reversed);
        }
        if head.resets {
            flow.closed = 3;
        }
        packet.set_annotation_word(AGGREGATE, flow.number);
        packet.set_paint(u8::from(flow.reversed != reversed));
    }

    /// Marks an ICMP error about a packet of a flow; `false` where it is none.
    fn mark_error(&self, packet: &mut Packet) -> bool {
        let about = packet
            .network_header()
            .and_then(|bytes| Ipv4::new(bytes).ok())
            .and_then(|ip| Icmp::new(ip.payload()).ok())
            .filter(|icmp| icmp_type::is_error(icmp.kind()))
            .and_then(|icmp| Head::of(icmp.payload()));
        let Some((head, ports)) = about.and_then(|head| head.ports.map(|ports| (head, ports)))
        else {
            return false;
        };
        let (key, reversed) = head.key(ports);
        let Some(flow) = self.flows.get(&key) else {
            return false;
        };
        let (number, backward) = (flow.number, flow.reversed != reversed);
        packet.set_annotation_word(AGGREGATE, number);
        // The error goes against the packet that it is about.
        packet.set_paint(if backward { 2 } else { 3 });
        true
    }

    /// Marks a packet as far as is known: `Err` gives back one whose ports are not.
    fn consider(&mut self, mut packet: Packet, head: &Head) -> Result<Packet, Packet> {
        let ports = if head.first {
            head.ports
        } else {
            self.ports.get(&head.fragment).map(|(ports, _)| *ports)
        };
        match ports {
            Some(ports) => {
                self.mark(&mut packet, head, ports);
                Ok(packet)
            }
            None => Err(packet),
        }
    }

    /// Takes a packet in, and lets go what is known by now.
    fn accept(&mut self, context: &mut Context<'_>, mut packet: Packet, out: &mut Batch) {
        self.reap(context, packet.timestamp());
        let Some(head) = packet.network_header().and_then(Head::of) else {
            return context.emit(1, packet);
        };
        let known = matches!(head.fragment.protocol, TCP | UDP);
        if !known {
            let error = self.icmp && head.fragment.protocol == ICMP && self.mark_error(&mut packet);
            return if error {
                out.push(packet)
            } else {
                context.emit(1, packet)
            };
        }
        if head.first && head.ports.is_none() || !head.first && !self.holds {
            return context.emit(1, packet);
        }
        if let Some(ports) = head.ports.filter(|_| head.is_fragment && self.holds) {
            let seen = (ports, packet.timestamp());
            self.ports.insert(head.fragment, seen);
        }
        let pair = head.pair();
        if let Some(queue) = self.held.get_mut(&pair) {
            queue.push_back(packet);
            return self.release(pair, out);
        }
        match self.consider(packet, &head) {
            Ok(packet) => out.push(packet),
            Err(packet) => {
                self.held.entry(pair).or_default().push_back(packet);
            }
        }
    }

    /// Lets go what is held of a pair up to the first packet whose ports are not known.
    fn release(&mut self, pair: [Ipv4Addr; 2], out: &mut Batch) {
        let Some(mut queue) = self.held.remove(&pair) else {
            return;
        };
        while let Some(packet) = queue.pop_front() {
            let Some(head) = packet.network_header().and_then(Head::of) else {
                continue;
            };
            match self.consider(packet, &head) {
                Ok(packet) => out.push(packet),
                Err(packet) => {
                    queue.push_front(packet);
                    self.held.insert(pair, queue);
                    return;
                }
            }
        }
    }
}

impl AggregateIpFlows {
    /// Forgets what has been silent for too long, every now and then.
    fn reap(&mut self, context: &mut Context<'_>, now: i64) {
        let interval = self.timeouts.reap.min(self.timeouts.fragment);
        let due = *self.next_reap.get_or_insert(now.saturating_add(interval));
        if now < due {
            return;
        }
        self.next_reap = Some(now.saturating_add(interval));
        let (timeouts, ended) = (&self.timeouts, &self.ended);
        self.flows.retain(|key, flow| {
            let over = timeouts.over(key, flow, now);
            if over {
                ended.tell(flow.number);
            }
            !over
        });
        ended.wake(context);
        let recent = |time: i64| now.saturating_sub(time) < timeouts.fragment;
        self.ports.retain(|_, (_, time)| recent(*time));
        for queue in self.held.values_mut() {
            while queue
                .front()
                .is_some_and(|packet| !recent(packet.timestamp()))
            {
                if let Some(packet) = queue.pop_front() {
                    context.emit(1, packet);
                }
            }
        }
        self.held.retain(|_, queue| !queue.is_empty());
    }
}

impl Timeouts {
    /// Whether a flow has been silent for too long.
    fn over(&self, key: &FlowKey, flow: &Flow, now: i64) -> bool {
        let limit = match key.protocol {
            TCP if flow.closed == 3 => self.tcp_done,
            TCP => self.tcp,
            _ => self.udp,
        };
        now.saturating_sub(flow.last) > limit
    }
}

impl Element for AggregateIpFlows {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let pushes = context.output_pushes(0);
        if self.fragments == Some(true) && !pushes {
            return Err(context.error("'FRAGMENTS true' requires push context"));
        }
        self.holds = self.fragments.unwrap_or(pushes);
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let mut input = core::mem::take(&mut self.input);
        input.append(batch);
        for packet in input.drain() {
            self.accept(context, packet, batch);
        }
        self.input = input;
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.button("clear");
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "clear" => {
                let numbers = self.flows.values().map(|flow| flow.number);
                self.ended.tell_all(context, numbers);
                self.flows.clear();
                self.ports.clear();
                Ok(())
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use sprat_click::simulation::Simulation;

    use super::super::testing::numbered;
    use crate::testing::Bench;

    fn flows(keywords: &str, dump: &str) -> String {
        numbered(&std::format!("AggregateIPFlows({keywords})"), dump)
    }

    #[test]
    fn replies_have_the_number_of_their_flow_and_paint_one() {
        let dump = "!data src sport dst dport ip_id\n\
                    2.0.0.2 5 1.0.0.1 80 1\n1.0.0.1 80 2.0.0.2 5 2\n2.0.0.2 6 1.0.0.1 80 3\n\
                    2.0.0.2 5 1.0.0.1 80 4\n";
        assert_eq!(flows("", dump), "1 0 1\n1 1 2\n2 0 3\n1 0 4\n");
    }

    #[test]
    fn protocols_with_the_same_ports_are_flows_apart() {
        let dump = "!data proto sport dport ip_id\nT 1 2 1\nU 1 2 2\n";
        assert_eq!(flows("", dump), "1 0 1\n2 0 2\n");
    }

    #[test]
    fn a_flow_silent_for_too_long_or_closed_by_both_sides_ends() {
        let dump = "!data timestamp proto sport dport tcp_flags ip_id\n\
                    0 U 1 2 . 1\n61 U 1 2 . 2\n62 T 1 2 FA 3\n93 T 1 2 . 4\n94 T 1 2 R 5\n\
                    125 T 1 2 . 6\n";
        assert_eq!(
            flows("", dump),
            "1 0 1\n2 0 2\n3 0 3\n3 0 4\n3 0 5\n4 0 6\n"
        );
    }

    #[test]
    fn later_fragments_wait_for_the_first_and_keep_the_order_of_their_hosts() {
        let dump = "!proto U\n!data src sport dst dport ip_id ip_fragoff\n\
                    1.0.0.1 5 1.0.0.2 6 1 24\n\
                    1.0.0.2 6 1.0.0.1 5 2 0\n\
                    1.0.0.1 5 1.0.0.3 6 3 0\n\
                    1.0.0.1 5 1.0.0.2 6 1 0+\n";
        assert_eq!(flows("", dump), "1 0 3\n2 0 1\n2 1 2\n2 0 1\n");
        assert_eq!(flows("FRAGMENTS false", dump), "1 0 2\n2 0 3\n1 1 1\n");
    }

    #[test]
    fn a_length_is_an_aggregate() {
        let simulation = Simulation::new();
        simulation.put_file("in", b"!data ip_len\n40\n1500\n");
        let bench = Bench::with(
            simulation,
            "FromIPSummaryDump(in) -> AggregateLength(IP true)
             -> ToIPSummaryDump(out, HEADER false, FIELDS aggregate)",
        );
        bench.run();
        assert_eq!(
            bench.simulation.file("out").as_deref(),
            Some(&b"40\n1500\n"[..])
        );
    }
}
