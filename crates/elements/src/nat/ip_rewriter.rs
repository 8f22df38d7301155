use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::time::Duration;

use sprat_click::arguments::{Argument, NoNames, split_words};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::checksum::AddressesAndPorts;
use sprat_packet::flow::FlowKey;
use sprat_packet::headers::protocol::{TCP, UDP};
use sprat_packet::{Batch, Packet};

use super::flow_table::{Direction, FlowId, Tick};
use super::input_spec::InputSpec;
use super::rewriter::{Rewriter, Verdict};

const fn class<T: Configure>(name: &'static str) -> Class {
    Class::of::<T>(name)
        .ports("1-/1-256")
        .processing("h/h")
        .reconfigurable()
}

pub(super) const IP_REWRITER: Class = class::<IpRewriter<BOTH>>("IPRewriter");
pub(super) const TCP_REWRITER: Class = class::<IpRewriter<TCP_ONLY>>("TCPRewriter");
pub(super) const UDP_REWRITER: Class = class::<IpRewriter<AS_UDP>>("UDPRewriter");

/// TCP flows and UDP flows, each with their timeouts.
const BOTH: u8 = 0;
/// TCP flows.
const TCP_ONLY: u8 = 1;
/// Everything with ports, by UDP's timeouts.
const AS_UDP: u8 = 2;

/// The lists of the flow table.
const TCP_NO_DATA: u8 = 0;
const TCP_DATA: u8 = 1;
const TCP_DONE: u8 = 2;
const UDP_FLOW: u8 = 3;
const UDP_STREAM: u8 = 4;

/// Bits of a TCP flow's state: by direction, whether data has been seen and whether it is done.
const DATA: u8 = 1;
const DONE: u8 = 4;
const BOTH_WAYS: u8 = 3;

/// Bits of a UDP flow's state: packets seen, up to three, and whether one was a reply.
const COUNT: u8 = 3;
const ANSWERED: u8 = 4;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;

/// IPRewriter, TCPRewriter, UDPRewriter: rewrite addresses and ports, flow by flow.
///
/// ```click
/// IPRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// TCPRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// UDPRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// ```
///
/// A packet of a known flow is rewritten as its flow is, in either direction, and leaves by the
/// flow's output. One of an unknown flow is treated as its input's specification says:
///
/// - `drop`: it is dropped.
/// - `pass OUTPUT`: it leaves unchanged; no flow is remembered.
/// - `keep FOUTPUT ROUTPUT`: a flow that changes nothing is remembered.
/// - `pattern SADDR SPORT DADDR DPORT FOUTPUT ROUTPUT`: a flow is made whose packets get these
///   addresses and ports (`-` leaves one as it is) and leave by FOUTPUT; its replies are changed
///   back and leave by ROUTPUT. SPORT may be a range `L-H`: the packet's own port where it is in
///   range and free, else any that is; with `#` behind it one after the other, with `?` always any.
/// - `pattern NAME FOUTPUT ROUTPUT`: the same with a pattern of IPRewriterPatterns.
/// - `ELEMENT`: that mapper (RoundRobinIPMapper, SourceIPHashMapper) says.
///
/// Keywords: TCP_TIMEOUT (24 hours) for connections with data both ways, TCP_NODATA_TIMEOUT
/// (5 minutes) for others, TCP_DONE_TIMEOUT (4 minutes) for those ended by FIN or RST, UDP_TIMEOUT
/// (5 minutes), UDP_STREAMING_TIMEOUT (as UDP_TIMEOUT) for UDP flows of three packets, one of them a
/// reply; TCP_GUARANTEE, UDP_GUARANTEE (5 seconds): how long after a packet its flow cannot be given
/// up for another; MAPPING_CAPACITY (1,048,576 flows); REAP_INTERVAL (15 minutes); DST_ANNO (true):
/// set the destination annotation; REPLY_ANNO: replies get this annotation byte as the flow's first
/// packet had it. UDPRewriter takes TIMEOUT, STREAMING_TIMEOUT and GUARANTEE, and treats TCP as UDP.
///
/// Packets need their network header set. Those of other protocols, and fragments but the first,
/// are dropped unless their input says `pass`. When the table is full, the unguaranteed flow that
/// would expire first makes room for a new one; where there is none, or no port is free, the packet
/// is dropped and `mapping_failures` counts it.
///
/// Handlers: `patterns`, `nmappings`, `size`, `table_size`, `capacity`, `mapping_failures` (read);
/// `tcp_table`, `udp_table`, `table` (read) the flows; `tcp_lookup`, `udp_lookup`, `lookup` (read,
/// `SADDR SPORT DADDR DPORT`) what such a packet becomes; `patternN` (read, write) an input's
/// specification: writing it ends the input's flows; `clear` (write).
///
/// See Click's manual pages IPRewriter(n), TCPRewriter(n) and UDPRewriter(n).
struct IpRewriter<const KIND: u8> {
    rewriter: Rewriter,
    tcp_guarantee: Duration,
    udp_guarantee: Duration,
    /// For reading specifications that are written while the router runs.
    outputs: usize,
}

const DAY: Duration = Duration::from_hours(24);
const GUARANTEE: Duration = Duration::from_secs(5);

impl<const KIND: u8> Configure for IpRewriter<KIND> {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let general = arguments.keyword::<Duration>("TIMEOUT");
        let guarantee = arguments.keyword::<Duration>("GUARANTEE");
        let mut time =
            |name: &str, otherwise| arguments.keyword::<Duration>(name).unwrap_or(otherwise);
        let minutes = |count: u64| Duration::from_mins(count);
        let tcp = time(
            "TCP_TIMEOUT",
            general.filter(|_| KIND == TCP_ONLY).unwrap_or(DAY),
        );
        let no_data = time("TCP_NODATA_TIMEOUT", minutes(5));
        let done = time("TCP_DONE_TIMEOUT", minutes(4));
        let udp = time("UDP_TIMEOUT", general.unwrap_or(minutes(5)));
        let stream = time("UDP_STREAMING_TIMEOUT", udp);
        let stream = time("STREAMING_TIMEOUT", stream);
        let tcp_guarantee = time("TCP_GUARANTEE", guarantee.unwrap_or(GUARANTEE));
        let udp_guarantee = time("UDP_GUARANTEE", guarantee.unwrap_or(GUARANTEE));
        let rewriter =
            Rewriter::configure(arguments, configuration, &[no_data, tcp, done, udp, stream])?;
        Ok(Self {
            rewriter,
            tcp_guarantee,
            udp_guarantee,
            outputs: configuration.outputs(),
        })
    }
}

/// What a rewriter needs of a packet's headers.
struct Headers {
    key: FlowKey,
    /// TCP's flags, and whether there is payload.
    flags: u8,
    data: bool,
}

/// Bytes of an IPv4 header without options.
const IPV4: usize = 20;

impl<const KIND: u8> IpRewriter<KIND> {
    /// Reads a packet's headers. `None` where they are not whole, or of another protocol.
    #[inline]
    fn headers(packet: &Packet) -> Option<Headers> {
        let header = packet.network_header()?;
        let fixed: &[u8; IPV4] = header.first_chunk()?;
        let protocol = fixed[9];
        let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff;
        let wanted = match KIND {
            TCP_ONLY => protocol == TCP,
            _ => protocol == TCP || protocol == UDP,
        };
        if fixed[0] >> 4 != 4 || fragment != 0 || !wanted {
            return None;
        }
        let length = usize::from(fixed[0] & 15) * 4;
        let transport = header.get(length..)?;
        let ports: &[u8; 8] = transport.first_chunk()?;
        let tuple = AddressesAndPorts {
            source: u32::from_be_bytes([fixed[12], fixed[13], fixed[14], fixed[15]]),
            destination: u32::from_be_bytes([fixed[16], fixed[17], fixed[18], fixed[19]]),
            source_port: u16::from_be_bytes([ports[0], ports[1]]),
            destination_port: u16::from_be_bytes([ports[2], ports[3]]),
        };
        let (mut flags, mut data) = (0, false);
        if protocol == TCP {
            let rest: &[u8; IPV4] = transport.first_chunk()?;
            flags = rest[13];
            let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
            data = total > length + usize::from(rest[12] >> 4) * 4;
        }
        Some(Headers {
            key: FlowKey::new(tuple, protocol),
            flags,
            data,
        })
    }

    /// The list and guarantee that a flow begins with.
    fn beginning(&self, protocol: u8) -> (u8, Duration) {
        if KIND != AS_UDP && protocol == TCP {
            (TCP_NO_DATA, self.tcp_guarantee)
        } else {
            (UDP_FLOW, self.udp_guarantee)
        }
    }

    /// Notes a packet of a flow: what it says about the flow's state, and that it came.
    #[inline]
    fn note(&mut self, id: FlowId, direction: Direction, headers: &Headers, now: Tick) {
        let flow = self.rewriter.table.flow_mut(id);
        let class = if KIND != AS_UDP && headers.key.protocol() == TCP {
            flow.state = tcp_state(flow.state, direction, headers);
            tcp_class(flow.state)
        } else {
            let seen = (flow.state & COUNT).saturating_add(1).min(COUNT);
            let answered = flow.state & ANSWERED
                | if direction == Direction::Reply {
                    ANSWERED
                } else {
                    0
                };
            flow.state = seen | answered;
            if flow.state == COUNT | ANSWERED {
                UDP_STREAM
            } else {
                UDP_FLOW
            }
        };
        self.rewriter.table.touch(id, class, now);
    }

    /// Writes the flow's addresses, ports and checksums into a packet; says by which output it leaves.
    #[inline]
    fn rewrite(&self, packet: &mut Packet, id: FlowId, direction: Direction) -> u16 {
        let flow = self.rewriter.table.flow(id);
        let (key, way) = match direction {
            Direction::Forward => (flow.rewritten, 0),
            Direction::Reply => (flow.original.reversed(), 1),
        };
        let output = flow.outputs[way];
        let (network, transport) = (flow.network_delta[way], flow.transport_delta[way]);
        if let Some(header) = packet.network_header_mut() {
            let new = key.tuple();
            let length = usize::from(header[0] & 15) * 4;
            let sum = u16::from_be_bytes([header[10], header[11]]);
            header[10..12].copy_from_slice(&network.apply(sum).to_be_bytes());
            header[12..16].copy_from_slice(&new.source.to_be_bytes());
            header[16..20].copy_from_slice(&new.destination.to_be_bytes());
            let segment = &mut header[length..];
            segment[0..2].copy_from_slice(&new.source_port.to_be_bytes());
            segment[2..4].copy_from_slice(&new.destination_port.to_be_bytes());
            if key.protocol() == TCP {
                if let Some(field) = segment.get_mut(16..18) {
                    let sum = u16::from_be_bytes([field[0], field[1]]);
                    field.copy_from_slice(&transport.apply(sum).to_be_bytes());
                }
            } else {
                let sum = u16::from_be_bytes([segment[6], segment[7]]);
                segment[6..8].copy_from_slice(&transport.apply_udp(sum).to_be_bytes());
            }
        }
        self.rewriter.annotate(packet, id, direction);
        output
    }

    fn protocol_of(name: &str) -> Option<u8> {
        match name {
            "tcp_table" | "tcp_mappings" | "tcp_lookup" => Some(TCP),
            "udp_table" | "udp_mappings" | "udp_lookup" => Some(UDP),
            _ => None,
        }
    }
}

fn tcp_state(mut state: u8, direction: Direction, headers: &Headers) -> u8 {
    let way = direction as u8;
    if headers.flags & SYN != 0 && state & (DONE * BOTH_WAYS) == DONE * BOTH_WAYS {
        // A new connection between the same ports.
        state = 0;
    }
    if headers.data {
        state |= DATA << way;
    }
    if headers.flags & FIN != 0 {
        state |= DONE << way;
    }
    if headers.flags & RST != 0 {
        state |= DONE * BOTH_WAYS;
    }
    state
}

fn tcp_class(state: u8) -> u8 {
    if state & (DONE * BOTH_WAYS) == DONE * BOTH_WAYS {
        TCP_DONE
    } else if state & (DATA * BOTH_WAYS) == DATA * BOTH_WAYS {
        TCP_DATA
    } else {
        TCP_NO_DATA
    }
}

impl<const KIND: u8> Element for IpRewriter<KIND> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.rewriter.start(context);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        let now = Tick::at(context.now());
        for mut packet in batch.drain() {
            let Some(headers) = Self::headers(&packet) else {
                if let Verdict::Pass(output) = self.rewriter.without_flow(port) {
                    context.emit(usize::from(output), packet);
                }
                continue;
            };
            let verdict = match self.rewriter.find(&headers.key, now) {
                Some((id, direction)) => Verdict::Flow(id, direction),
                None => {
                    let (class, guarantee) = self.beginning(headers.key.protocol());
                    self.rewriter.begin(
                        context,
                        &packet,
                        port,
                        (headers.key, class, guarantee),
                        now,
                    )
                }
            };
            match verdict {
                Verdict::Drop => {}
                Verdict::Pass(output) => context.emit(usize::from(output), packet),
                Verdict::Flow(id, direction) => {
                    let output = self.rewrite(&mut packet, id, direction);
                    self.note(id, direction, &headers, now);
                    context.emit(usize::from(output), packet);
                }
            }
        }
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.rewriter.reap(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.rewriter.handlers(list);
        for name in [
            "table",
            "tcp_table",
            "udp_table",
            "mappings",
            "tcp_mappings",
            "udp_mappings",
        ] {
            list.read(name);
        }
        for name in ["lookup", "tcp_lookup", "udp_lookup"] {
            list.read_with_parameters(name);
        }
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "table" | "tcp_table" | "udp_table" | "mappings" | "tcp_mappings" | "udp_mappings" => {
                Ok(self
                    .rewriter
                    .table_text(Self::protocol_of(name), Tick::at(context.now())))
            }
            "lookup" | "tcp_lookup" | "udp_lookup" => {
                let otherwise = if KIND == TCP_ONLY { TCP } else { UDP };
                let key = lookup_key(parameters, Self::protocol_of(name).unwrap_or(otherwise))?;
                Ok(self.rewriter.lookup_text(&key))
            }
            _ => self.rewriter.read(name),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let outputs = self.outputs;
        let _ = context;
        self.rewriter
            .write(name, value, |text| InputSpec::parse_running(text, outputs))
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.rewriter
                .take_flows(&mut old.rewriter, Tick::at(context.now()));
        }
    }
}

/// Reads `SADDR SPORT DADDR DPORT`.
fn lookup_key(parameters: &str, protocol: u8) -> Result<FlowKey, HandlerError> {
    let words: Vec<String> = split_words(parameters);
    let usage = || HandlerError::failed("expected SADDR SPORT DADDR DPORT");
    let [source, source_port, destination, destination_port] = words.as_slice() else {
        return Err(usage());
    };
    let address = |text: &String| {
        Ipv4Addr::parse(text, &NoNames)
            .map(Ipv4Addr::to_bits)
            .map_err(|_| usage())
    };
    let port = |text: &String| text.parse().map_err(|_| usage());
    let tuple = AddressesAndPorts {
        source: address(source)?,
        source_port: port(source_port)?,
        destination: address(destination)?,
        destination_port: port(destination_port)?,
    };
    Ok(FlowKey::new(tuple, protocol))
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::vec::Vec;

    use sprat_packet::checksum::{Sum, internet_checksum};

    use crate::testing::Bench;

    /// A UDP or TCP packet with right checksums.
    fn packet(
        protocol: u8,
        source: [u8; 4],
        source_port: u16,
        destination: [u8; 4],
        port: u16,
        flags: u8,
    ) -> Vec<u8> {
        let transport_length: u8 = if protocol == 6 { 24 } else { 12 };
        let mut bytes = std::vec![0; 20 + usize::from(transport_length)];
        bytes[0] = 0x45;
        bytes[3] = 20 + transport_length;
        bytes[8] = 64;
        bytes[9] = protocol;
        bytes[12..16].copy_from_slice(&source);
        bytes[16..20].copy_from_slice(&destination);
        let sum = internet_checksum(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes[20..22].copy_from_slice(&source_port.to_be_bytes());
        bytes[22..24].copy_from_slice(&port.to_be_bytes());
        let checksum = if protocol == 6 {
            bytes[32] = 0x50;
            bytes[33] = flags;
            36
        } else {
            bytes[25] = transport_length;
            26
        };
        let sum = transport_sum(&bytes).finish();
        bytes[checksum..checksum + 2].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    /// The sum of a packet's pseudo-header and transport segment: zero once complemented if right.
    fn transport_sum(bytes: &[u8]) -> Sum {
        let length = u16::try_from(bytes.len() - 20).unwrap();
        Sum::new()
            .add_bytes(&bytes[12..20])
            .add_u16(u16::from(bytes[9]))
            .add_u16(length)
            .add_bytes(&bytes[20..])
    }

    fn assert_sums(bytes: &[u8]) {
        assert_eq!(internet_checksum(&bytes[..20]), 0);
        assert_eq!(transport_sum(bytes).finish(), 0);
    }

    fn nat(specification: &str) -> Bench {
        Bench::new(&std::format!(
            "rw :: IPRewriter({specification});
             FromDevice(inside) -> MarkIPHeader(0) -> [0]rw; FromDevice(outside) -> MarkIPHeader(0) -> [1]rw;
             rw[0] -> ToDevice(outside); rw[1] -> ToDevice(inside);"
        ))
    }

    const INSIDE: [u8; 4] = [10, 0, 0, 1];
    const OUTSIDE: [u8; 4] = [192, 0, 2, 7];
    const PUBLIC: [u8; 4] = [198, 51, 100, 1];

    #[test]
    fn a_flow_is_rewritten_and_its_replies_are_changed_back() {
        let bench = nat("pattern 198.51.100.1 1024-65535# - - 0 1, drop");
        for protocol in [6, 17] {
            bench.arrive("inside", &packet(protocol, INSIDE, 5000, OUTSIDE, 80, 2));
            bench.run();
            let sent = bench.sent("outside").remove(0);
            assert_sums(&sent);
            assert_eq!(sent[12..16], PUBLIC);
            let port = u16::from_be_bytes([sent[20], sent[21]]);
            bench.arrive("outside", &packet(protocol, OUTSIDE, 80, PUBLIC, port, 16));
            // Nobody inside asked for this one.
            bench.arrive("outside", &packet(protocol, OUTSIDE, 81, PUBLIC, port, 16));
            bench.run();
            let back = bench.sent("inside");
            assert_eq!(back.len(), 1);
            assert_sums(&back[0]);
            assert_eq!(back[0][16..20], INSIDE);
            assert_eq!(back[0][22..24], 5000_u16.to_be_bytes());
        }
    }

    #[test]
    fn a_port_is_kept_where_it_is_in_range_and_free() {
        let bench = nat("pattern 198.51.100.1 1024-65535 - - 0 1, drop");
        bench.arrive("inside", &packet(17, INSIDE, 5000, OUTSIDE, 53, 0));
        bench.arrive("inside", &packet(17, [10, 0, 0, 2], 5000, OUTSIDE, 53, 0));
        bench.run();
        let sent = bench.sent("outside");
        assert_eq!(sent[0][20..22], 5000_u16.to_be_bytes());
        assert_ne!(sent[1][20..22], 5000_u16.to_be_bytes());
    }

    #[test]
    fn an_exhausted_range_drops_and_counts() {
        let bench = nat("pattern 198.51.100.1 1024-1025# - - 0 1, drop");
        for host in 1..=3 {
            bench.arrive(
                "inside",
                &packet(17, [10, 0, 0, host], 5000, OUTSIDE, 53, 0),
            );
        }
        bench.run();
        assert_eq!(bench.sent("outside").len(), 2);
        assert_eq!(bench.read("rw.mapping_failures"), "1");
        // The same ports serve again for another server.
        bench.arrive(
            "inside",
            &packet(17, [10, 0, 0, 3], 5000, [192, 0, 2, 8], 53, 0),
        );
        bench.run();
        assert_eq!(bench.sent("outside").len(), 1);
    }

    #[test]
    fn a_udp_flow_ends_after_its_timeout() {
        let bench = nat("pattern 198.51.100.1 1024-65535# - - 0 1, drop, UDP_TIMEOUT 10");
        bench.arrive("inside", &packet(17, INSIDE, 5000, OUTSIDE, 53, 0));
        bench.run_for(Duration::from_secs(9));
        bench.arrive("outside", &packet(17, OUTSIDE, 53, PUBLIC, 1024, 0));
        bench.run_for(Duration::from_secs(9));
        assert_eq!(bench.sent("inside").len(), 1);
        bench.run_for(Duration::from_secs(2));
        bench.arrive("outside", &packet(17, OUTSIDE, 53, PUBLIC, 1024, 0));
        bench.run();
        assert_eq!(bench.sent("inside").len(), 0);
    }

    #[test]
    fn fragments_and_short_headers_are_dropped() {
        let bench = nat("pattern 198.51.100.1 1024-65535# - - 0 1, drop");
        let mut fragment = packet(17, INSIDE, 5000, OUTSIDE, 53, 0);
        fragment[7] = 1;
        bench.arrive("inside", &fragment);
        bench.arrive("inside", &packet(17, INSIDE, 5000, OUTSIDE, 53, 0)[..24]);
        bench.arrive("inside", &packet(1, INSIDE, 5000, OUTSIDE, 53, 0));
        bench.run();
        assert_eq!(bench.sent("outside").len(), 0);
        assert_eq!(bench.read("rw.size"), "0");
    }

    #[test]
    fn a_full_table_gives_up_the_flow_that_would_expire_first() {
        let bench =
            nat("pattern 198.51.100.1 1024-65535# - - 0 1, drop, MAPPING_CAPACITY 2, GUARANTEE 0");
        for host in 1..=3 {
            bench.arrive(
                "inside",
                &packet(17, [10, 0, 0, host], 5000, OUTSIDE, 53, 0),
            );
            bench.run_for(Duration::from_secs(1));
        }
        assert_eq!(bench.read("rw.size"), "2");
        assert_eq!(bench.read("rw.udp_lookup 10.0.0.1 5000 192.0.2.7 53"), "");
        assert_eq!(
            bench.read("rw.udp_lookup 10.0.0.3 5000 192.0.2.7 53"),
            "198.51.100.1 1026 192.0.2.7 53"
        );
    }

    #[test]
    fn a_balancer_keeps_a_connection_on_its_server() {
        let bench = Bench::new(
            "rr :: RoundRobinIPMapper(- - 10.0.0.11 - 0 1, - - 10.0.0.12 - 0 1);
             rw :: IPRewriter(rr, drop);
             FromDevice(in) -> MarkIPHeader(0) -> rw; Idle -> [1]rw; rw[0] -> ToDevice(out); rw[1] -> Idle",
        );
        for port in [1000, 1001, 1000, 1002] {
            bench.arrive("in", &packet(6, OUTSIDE, port, PUBLIC, 80, 2));
        }
        bench.run();
        let servers: Vec<u8> = bench.sent("out").iter().map(|packet| packet[19]).collect();
        assert_eq!(servers, [11, 12, 11, 11]);
    }
}
