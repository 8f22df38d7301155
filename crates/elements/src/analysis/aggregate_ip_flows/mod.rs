mod flow;
mod head;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::arguments::ElementName;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::AGGREGATE;
use sprat_packet::flow::{FlowHash, FlowKey};
use sprat_packet::headers::protocol::ICMP;
use sprat_packet::headers::{Icmp, Ipv4, icmp_type, tcp_flags};
use sprat_packet::{Batch, Packet};

use super::ended::Ended;
use super::trace_info::{TraceInfo, in_order};
use flow::{Flow, NEVER, undirected};
use head::{FragmentKey, Head};

/// In nanoseconds.
const SECOND: i64 = 1_000_000_000;

pub(in crate::analysis) const AGGREGATE_IP_FLOWS: Class =
    Class::of::<AggregateIpFlows>("AggregateIPFlows")
        .ports("1/1-2")
        .processing("a/ah");

/// AggregateIPFlows: sets the aggregate annotation to the number of the packet's flow.
///
/// ```click
/// AggregateIPFlows([keywords TCP_TIMEOUT, TCP_DONE_TIMEOUT, UDP_TIMEOUT, FRAGMENT_TIMEOUT, REAP,
///                  ICMP, FRAGMENTS, TRACEINFO, SOURCE])
/// ```
///
/// A flow is the TCP or UDP packets of two addresses with their ports, in both directions. Flows
/// are numbered from 1. The paint annotation becomes 0 in the direction of the flow's first packet
/// and 1 in the other. Other packets, and those too short, leave by output 1 if there is one. Time
/// is that of the packets.
///
/// - TCP_TIMEOUT, TCP_DONE_TIMEOUT, UDP_TIMEOUT: for how many seconds a flow may be silent before
///   its packets are another flow: 24 hours; 30 seconds after both sides closed it; one minute. A SYN
///   begins another flow where both sides closed the last one.
/// - REAP: how often silent flows are looked for; 20 minutes.
/// - ICMP: whether ICMP errors about a packet of a flow belong to it, painted 2 and 3 as the packet
///   would be 0 and 1; false.
/// - FRAGMENTS: whether later fragments get the number too. They are held until the first one tells
///   their ports, and so is what comes after them between the same addresses, to keep its order.
///   True in push context, which it needs.
/// - FRAGMENT_TIMEOUT: for how long; 30 seconds. Then they leave by output 1.
/// - TRACEINFO: a file that gets a line of XML for each flow that is over.
/// - SOURCE: an element whose handlers `filename` and `packet_filepos` say where flows begin.
///
/// A packet without a timestamp gets the time of now, with a warning about the first one.
///
/// Handlers: `clear` (write) forgets all flows, and lets go what was held.
///
/// See Click's manual page AggregateIPFlows(n).
pub(in crate::analysis) struct AggregateIpFlows {
    timeouts: Timeouts,
    icmp: bool,
    fragments: Option<bool>,
    holds: bool,
    flows: HashMap<FlowKey, Flow, FlowHash>,
    /// Of datagrams whose first fragment came: its ports, and when.
    ports: HashMap<FragmentKey, ([u16; 2], i64)>,
    /// What is held of each pair of addresses, in the order it came.
    held: HashMap<[Ipv4Addr; 2], VecDeque<Packet>>,
    last_number: u32,
    /// When silent flows are looked for next.
    next_reap: Option<i64>,
    /// Who is told of flows that are over.
    pub(in crate::analysis) ended: Ended,
    trace: Option<Box<TraceInfo>>,
    /// Whether a packet without a timestamp has been reported.
    timeless: bool,
    /// Room for the batch at hand: more packets may leave than come.
    input: Batch,
}

/// Flows in seconds, the others in nanoseconds.
struct Timeouts {
    /// TCP's, TCP's that are done, UDP's.
    of_flows: [i64; 3],
    fragment: i64,
    reap: i64,
}

impl Configure for AggregateIpFlows {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut span = |name: &str, seconds| {
            let span = arguments
                .keyword(name)
                .unwrap_or(Duration::from_secs(seconds));
            i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
        };
        let seconds = |nanoseconds: i64| nanoseconds / SECOND;
        let timeouts = Timeouts {
            of_flows: [
                seconds(span("TCP_TIMEOUT", 24 * 3600)),
                seconds(span("TCP_DONE_TIMEOUT", 30)),
                seconds(span("UDP_TIMEOUT", 60)),
            ],
            fragment: span("FRAGMENT_TIMEOUT", 30),
            reap: span("REAP", 20 * 60),
        };
        let icmp = arguments.keyword("ICMP").unwrap_or(false);
        let fragments = arguments.keyword("FRAGMENTS");
        let name = arguments.keyword::<String>("TRACEINFO");
        let source = arguments.keyword::<ElementName>("SOURCE");
        arguments.finish()?;
        let seed = configuration.environment().random_seed();
        let trace =
            name.map(|name| Box::new(TraceInfo::new(name, source.map(|ElementName(name)| name))));
        Ok(Self {
            timeouts,
            icmp,
            fragments,
            holds: false,
            flows: HashMap::with_hasher(FlowHash::new(seed)),
            ports: HashMap::new(),
            held: HashMap::new(),
            last_number: 0,
            next_reap: None,
            ended: Ended::default(),
            trace,
            timeless: false,
            input: Batch::default(),
        })
    }
}

impl AggregateIpFlows {
    /// Marks a packet whose ports are known, or an ICMP error about such a packet.
    fn mark(
        &mut self,
        context: &Context<'_>,
        packet: &mut Packet,
        head: &Head,
        ports: [u16; 2],
        error: bool,
    ) {
        let (key, reversed) = undirected(head.key(ports));
        let now = packet.timestamp();
        let flags = if error { 0 } else { head.flags };
        let timeouts = self.timeouts.of_flows;
        let again = flags & tcp_flags::SYN != 0;
        let is_over =
            |flow: &Flow| flow.closed == 3 && again || flow.is_over(timeouts, key.protocol(), now);
        let flow = match self.flows.get_mut(&key) {
            Some(flow) if !is_over(flow) => flow,
            Some(flow) => {
                self.ended.tell(flow.number);
                if let Some(trace) = &mut self.trace {
                    trace.end(flow.number, flow.ends(&key));
                }
                *flow = Flow::begun(&mut self.last_number, reversed);
                flow
            }
            None => {
                let flow = Flow::begun(&mut self.last_number, reversed);
                self.flows.entry(key).or_insert(flow)
            }
        };
        if flow.last == NEVER
            && let Some(trace) = &mut self.trace
        {
            trace.begin(context, flow.number, now);
        }
        flow.last = now;
        if flags & tcp_flags::RST != 0 {
            flow.closed = 3;
        } else if flags & tcp_flags::FIN != 0 {
            flow.closed |= 1 << u8::from(reversed);
        } else if again {
            flow.closed = 0;
        }
        let paint = u8::from(flow.reversed != reversed) + if error { 2 } else { 0 };
        packet.set_annotation_word(AGGREGATE, flow.number);
        packet.set_paint(paint);
        if let Some(trace) = &mut self.trace {
            trace.count(flow.number, paint, now);
        }
    }

    /// Marks an ICMP error about a packet with ports; `false` where it is none.
    fn mark_error(&mut self, context: &Context<'_>, packet: &mut Packet) -> bool {
        let about = packet
            .network_header()
            .and_then(|bytes| Ipv4::new(bytes).ok())
            .and_then(|ip| Icmp::new(ip.payload()).ok())
            .filter(|icmp| icmp_type::is_error(icmp.kind()))
            .and_then(|icmp| Head::of(icmp.payload()));
        let about = about.filter(Head::has_flow);
        let Some((head, ports)) = about.and_then(|head| head.ports.map(|ports| (head, ports)))
        else {
            return false;
        };
        self.mark(context, packet, &head, ports, true);
        true
    }

    /// Marks a packet as far as is known: `Err` gives back one whose ports are not.
    fn consider(
        &mut self,
        context: &Context<'_>,
        mut packet: Packet,
        head: &Head,
    ) -> Result<Packet, Packet> {
        let ports = if head.first {
            head.ports
        } else {
            self.ports.get(&head.fragment).map(|(ports, _)| *ports)
        };
        match ports {
            Some(ports) => {
                self.mark(context, &mut packet, head, ports, false);
                Ok(packet)
            }
            None => Err(packet),
        }
    }

    /// Takes a packet in, and lets go what is known by now.
    fn accept(&mut self, context: &mut Context<'_>, mut packet: Packet, out: &mut Batch) {
        if packet.timestamp() == 0 {
            self.give_time(context, &mut packet);
        }
        self.reap(context, packet.timestamp());
        let Some(head) = packet.network_header().and_then(Head::of) else {
            return context.emit(1, packet);
        };
        if !head.has_flow() {
            let error = self.icmp
                && head.fragment.protocol == ICMP
                && self.mark_error(context, &mut packet);
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
        if !self.held.is_empty() {
            let pair = head.pair();
            if let Some(queue) = self.held.get_mut(&pair) {
                queue.push_back(packet);
                return self.release(context, pair, out);
            }
        }
        match self.consider(context, packet, &head) {
            Ok(packet) => out.push(packet),
            Err(packet) => {
                self.held.entry(head.pair()).or_default().push_back(packet);
            }
        }
    }

    /// Lets go what is held of a pair up to the first packet whose ports are not known.
    fn release(&mut self, context: &Context<'_>, pair: [Ipv4Addr; 2], out: &mut Batch) {
        let Some(mut queue) = self.held.remove(&pair) else {
            return;
        };
        while let Some(packet) = queue.pop_front() {
            let Some(head) = packet.network_header().and_then(Head::of) else {
                continue;
            };
            match self.consider(context, packet, &head) {
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
    /// The packet came now, for all that is known.
    fn give_time(&mut self, context: &Context<'_>, packet: &mut Packet) {
        if !self.timeless {
            self.timeless = true;
            context.chatter(format_args!(
                "{} :: AggregateIPFlows: warning: packet received without timestamp",
                context.name()
            ));
        }
        packet.set_timestamp(context.timestamp().0);
    }

    /// Forgets the flows that `gone` says, and tells of them.
    fn forget(&mut self, context: &Context<'_>, gone: impl Fn(&FlowKey, &Flow) -> bool) {
        let mut over = Vec::new();
        self.flows.retain(|key, flow| {
            let gone = gone(key, flow);
            if gone {
                over.push((key.protocol(), flow.number, flow.ends(key)));
            }
            !gone
        });
        for (number, ends) in in_order(over) {
            self.ended.tell(number);
            if let Some(trace) = &mut self.trace {
                trace.end(number, ends);
            }
        }
        self.ended.wake(context);
    }

    /// Lets go everything that is held; what is of no known flow is lost.
    fn let_go(&mut self, context: &mut Context<'_>) {
        for queue in core::mem::take(&mut self.held).into_values() {
            for packet in queue {
                let head = packet.network_header().and_then(Head::of);
                if let Some(head) = head
                    && let Ok(packet) = self.consider(context, packet, &head)
                {
                    context.emit(0, packet);
                }
            }
        }
    }

    /// Forgets what has been silent for too long, every now and then.
    fn reap(&mut self, context: &mut Context<'_>, now: i64) {
        let interval = self.timeouts.reap.min(self.timeouts.fragment);
        let due = *self.next_reap.get_or_insert(now.saturating_add(interval));
        if now < due {
            return;
        }
        self.next_reap = Some(now.saturating_add(interval));
        let timeouts = self.timeouts.of_flows;
        self.forget(context, |key, flow| {
            flow.is_over(timeouts, key.protocol(), now)
        });
        let fragment = self.timeouts.fragment;
        let recent = |time: i64| now.saturating_sub(time) < fragment;
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

impl Element for AggregateIpFlows {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let pushes = context.output_pushes(0);
        if self.fragments == Some(true) && !pushes {
            return Err(context.error("'FRAGMENTS true' requires push context"));
        }
        self.holds = self.fragments.unwrap_or(pushes);
        match &mut self.trace {
            Some(trace) => trace.initialize(context),
            None => Ok(()),
        }
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let mut input = core::mem::take(&mut self.input);
        input.append(batch);
        for packet in input.drain() {
            self.accept(context, packet, batch);
        }
        self.input = input;
    }

    fn cleanup(&mut self, context: &mut Context<'_>) {
        if self.trace.is_some() {
            self.forget(context, |_, _| true);
        }
        if let Some(trace) = &mut self.trace {
            trace.finish();
        }
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
                self.let_go(context);
                self.forget(context, |_, _| true);
                self.ports.clear();
                Ok(())
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}
