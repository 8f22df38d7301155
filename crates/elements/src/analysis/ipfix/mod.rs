mod message;

use alloc::string::{String, ToString};
use core::net::Ipv4Addr;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::headers::protocol::{TCP, UDP};
use sprat_packet::headers::{Ipv4, tcp_flags};
use sprat_packet::{Batch, Packet};

use message::{EndReason, Message, Record};

pub(super) const IPFIX_EXPORTER: Class = Class::of::<IpfixExporter>("IPFIXExporter")
    .ports("1/2")
    .processing("h/h");

/// IPFIXExporter: reports flows as IPFIX messages.
///
/// ```click
/// IPFIXExporter([keywords DOMAIN, IDLE_TIMEOUT, ACTIVE_TIMEOUT, CAPACITY])
/// ```
///
/// Packets leave by output 0 as they came. Output 1 gives IPFIX messages (RFC 7011) of up to 1,400
/// bytes, each a payload for a UDPIPEncap to a collector's port 4739. A flow is the IPv4 packets one
/// way between two addresses and ports, of one protocol and type of service; later fragments are a flow
/// with ports of zero. Its record says, beside that, how many packets and bytes there were, all TCP
/// flags that occurred, when the first and the last packet came (by their timestamps), and why the record
/// was made.
///
/// Flows are looked at each second. A flow ends when nothing of it has come for IDLE_TIMEOUT; when FIN
/// or RST has been seen; every ACTIVE_TIMEOUT, after which the rest of it is another record; and all of
/// them when there are more than CAPACITY. Each message holds the template of its records.
///
/// - DOMAIN: the observation domain; 0.
/// - IDLE_TIMEOUT, ACTIVE_TIMEOUT: 15 seconds, and 60.
/// - CAPACITY: flows at once; 65,536.
///
/// Handlers: `size` (read) the flows known; `records`, `messages` (read) those sent; `flush` (write)
/// ends all flows.
///
/// ```click
/// FromDevice(eth0) -> Strip(14) -> CheckIPHeader -> export :: IPFIXExporter -> Discard;
/// export[1] -> UDPIPEncap(10.0.0.1, 4739, 10.0.0.2, 4739)
///     -> EtherEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2) -> ToDevice(eth0);
/// ```
///
/// Click has no such element.
struct IpfixExporter {
    domain: u32,
    idle_timeout: Duration,
    active_timeout: Duration,
    capacity: usize,
    flows: HashMap<FlowKey, Flow>,
    message: Message,
    records: u64,
    messages: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct FlowKey {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    ports: [u16; 2],
    protocol: u8,
    type_of_service: u8,
}

struct Flow {
    packets: u64,
    bytes: u64,
    flags: u8,
    /// By the router's clock.
    begun: Instant,
    last: Instant,
    /// By the packets' timestamps, in milliseconds.
    start: u64,
    end: u64,
}

/// How often flows are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

impl Configure for IpfixExporter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let domain = arguments.keyword("DOMAIN").unwrap_or(0);
        let mut span = |name: &str, seconds| {
            let otherwise = Duration::from_secs(seconds);
            arguments.keyword(name).unwrap_or(otherwise)
        };
        let (idle_timeout, active_timeout) = (span("IDLE_TIMEOUT", 15), span("ACTIVE_TIMEOUT", 60));
        let capacity = arguments.keyword("CAPACITY").unwrap_or(65_536);
        arguments.finish()?;
        if capacity == 0 {
            return Err(arguments.error("CAPACITY: must be above zero"));
        }
        Ok(Self {
            domain,
            idle_timeout,
            active_timeout,
            capacity,
            flows: HashMap::new(),
            message: Message::new(),
            records: 0,
            messages: 0,
        })
    }
}

/// The flow of a packet, its length, and its TCP flags.
fn parse(packet: &Packet) -> Option<(FlowKey, u16, u8)> {
    let ip = Ipv4::new(packet.network_header()?).ok()?;
    let first = ip.is_first_fragment();
    let transport = ip.payload();
    let has_ports = first && matches!(ip.protocol(), TCP | UDP);
    let ports = match transport.first_chunk() {
        Some(&[a, b, c, d]) if has_ports => [[a, b], [c, d]].map(u16::from_be_bytes),
        _ => [0; 2],
    };
    let flags = match transport.get(13) {
        Some(flags) if has_ports && ip.protocol() == TCP => *flags,
        _ => 0,
    };
    let key = FlowKey {
        source: ip.source(),
        destination: ip.destination(),
        ports,
        protocol: ip.protocol(),
        type_of_service: ip.type_of_service(),
    };
    Some((key, ip.total_length(), flags))
}

impl IpfixExporter {
    fn count(&mut self, context: &mut Context<'_>, packet: &Packet) {
        let Some((key, length, flags)) = parse(packet) else {
            return;
        };
        if self.flows.len() >= self.capacity && !self.flows.contains_key(&key) {
            self.end(context, |_| Some(EndReason::NoRoom));
        }
        let now = context.now();
        let time = match packet.timestamp() {
            0 => context.timestamp().0,
            time => time,
        };
        let time = u64::try_from(time / 1_000_000).unwrap_or(0);
        let flow = self.flows.entry(key).or_insert(Flow {
            packets: 0,
            bytes: 0,
            flags: 0,
            begun: now,
            last: now,
            start: time,
            end: time,
        });
        flow.packets += 1;
        flow.bytes += u64::from(length);
        flow.flags |= flags;
        flow.last = now;
        flow.end = time;
    }

    /// Reports the flows for which there is a reason to, and forgets them.
    fn end(&mut self, context: &mut Context<'_>, reason: impl Fn(&Flow) -> Option<EndReason>) {
        let mut flows = core::mem::take(&mut self.flows);
        flows.retain(|key, flow| {
            let Some(reason) = reason(flow) else {
                return true;
            };
            self.message.add(&Record {
                source: key.source,
                destination: key.destination,
                ports: key.ports,
                protocol: key.protocol,
                type_of_service: key.type_of_service,
                flags: flow.flags,
                packets: flow.packets,
                bytes: flow.bytes,
                start: flow.start,
                end: flow.end,
                reason,
            });
            if self.message.is_full() {
                self.send(context);
            }
            false
        });
        self.flows = flows;
        if self.message.records() > 0 {
            self.send(context);
        }
    }

    fn send(&mut self, context: &mut Context<'_>) {
        let time = context.timestamp();
        let seconds = u32::try_from(time.0 / 1_000_000_000).unwrap_or(0);
        // It counts modulo 2^32.
        let sequence = u32::try_from(self.records & 0xffff_ffff).unwrap_or(0);
        let message = self.message.finish(seconds, sequence, self.domain);
        let mut packet = context.pool().packet(message);
        packet.set_timestamp(time.0);
        context.emit(1, packet);
        self.records += u64::from(self.message.records());
        self.messages += 1;
        self.message.clear();
    }
}

impl Element for IpfixExporter {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.set_timer_after(0, INTERVAL);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.iter() {
            self.count(context, packet);
        }
        context.forward(0, batch);
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        let now = context.now();
        let (idle, active) = (self.idle_timeout, self.active_timeout);
        self.end(context, |flow| {
            if flow.flags & (tcp_flags::FIN | tcp_flags::RST) != 0 {
                Some(EndReason::Ended)
            } else if now.since(flow.last) >= idle {
                Some(EndReason::Idle)
            } else if now.since(flow.begun) >= active {
                Some(EndReason::Active)
            } else {
                None
            }
        });
        context.set_timer_after(0, INTERVAL);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("size").read("records").read("messages");
        list.button("flush");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "size" => Ok(self.flows.len().to_string()),
            "records" => Ok(self.records.to_string()),
            "messages" => Ok(self.messages.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "flush" => self.end(context, |_| Some(EndReason::Forced)),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::vec::Vec;

    use crate::testing::Bench;

    /// A packet of 100 bytes with ports and, where it is TCP, flags.
    fn packet(protocol: u8, ports: [u8; 2], flags: u8) -> Vec<u8> {
        let mut bytes = std::vec![0; 100];
        bytes[..4].copy_from_slice(&[0x45, 0, 0, 100]);
        bytes[9] = protocol;
        bytes[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        bytes[21] = ports[0];
        bytes[23] = ports[1];
        bytes[33] = flags;
        bytes
    }

    struct Collector(Bench);

    /// What matters of a record: source port, packets, bytes, TCP flags, reason.
    type Seen = (u8, u8, u16, u8, u8);

    impl Collector {
        fn new(keywords: &str) -> Self {
            Self(Bench::new(&std::format!(
                "FromDevice(in) -> MarkIPHeader(0) -> x :: IPFIXExporter({keywords})
                 -> ToDevice(out); x[1] -> ToDevice(messages)"
            )))
        }

        fn arrive(&self, packet: &[u8]) {
            self.0.arrive("in", packet);
            self.0.run_for(Duration::from_millis(1));
        }

        fn wait(&self, seconds: u64) {
            self.0.run_for(Duration::from_secs(seconds));
        }

        /// The records that have come, by source port; their places follow from RFC 7011 and the
        /// template: 16 bytes of header, 56 of template, 4 of set header, 49 each.
        fn records(&self) -> Vec<Seen> {
            let mut seen = Vec::new();
            for message in self.0.sent("messages") {
                assert_eq!(message[..2], [0, 10]);
                assert_eq!(message[72..74], [1, 0]);
                for record in message[76..].chunks(49) {
                    assert_eq!(record[..8], [10, 0, 0, 1, 10, 0, 0, 2]);
                    let bytes = u16::from_be_bytes([record[30], record[31]]);
                    seen.push((record[9], record[23], bytes, record[15], record[48]));
                }
            }
            seen.sort_unstable();
            seen
        }
    }

    const UDP: u8 = 17;
    const TCP: u8 = 6;

    #[test]
    fn silent_flows_are_reported_once_and_packets_pass() {
        let collector = Collector::new("");
        collector.arrive(&packet(UDP, [1, 9], 0));
        collector.arrive(&packet(UDP, [1, 9], 0));
        collector.arrive(&packet(UDP, [2, 9], 0));
        assert_eq!(collector.0.sent("out").len(), 3);
        collector.wait(13);
        assert_eq!(collector.records(), []);
        assert_eq!(collector.0.read("x.size"), "2");
        collector.wait(3);
        assert_eq!(collector.records(), [(1, 2, 200, 0, 1), (2, 1, 100, 0, 1)]);
        collector.wait(60);
        assert_eq!(collector.records(), []);
        assert_eq!(collector.0.read("x.records"), "2");
    }

    #[test]
    fn closed_flows_are_reported_with_all_their_flags() {
        let collector = Collector::new("");
        for flags in [0x02, 0x10, 0x11] {
            collector.arrive(&packet(TCP, [1, 80], flags));
        }
        collector.wait(1);
        assert_eq!(collector.records(), [(1, 3, 300, 0x13, 3)]);
    }

    #[test]
    fn long_flows_are_reported_in_parts() {
        let collector = Collector::new("ACTIVE_TIMEOUT 10");
        for _ in 0..25 {
            collector.arrive(&packet(UDP, [1, 9], 0));
            collector.wait(1);
        }
        let parts = collector.records();
        assert_eq!(parts.len(), 2);
        let packets: u8 = parts.iter().map(|part| part.1).sum();
        assert!((20..=22).contains(&packets), "{packets}");
        assert!(parts.iter().all(|part| part.4 == 2));
    }

    #[test]
    fn with_no_room_and_when_flushed_all_flows_end() {
        let collector = Collector::new("CAPACITY 2");
        for port in 1..=3 {
            collector.arrive(&packet(UDP, [port, 9], 0));
        }
        assert_eq!(collector.records(), [(1, 1, 100, 0, 5), (2, 1, 100, 0, 5)]);
        collector.0.write("x.flush", "");
        collector.0.run();
        assert_eq!(collector.records(), [(3, 1, 100, 0, 4)]);
    }

    #[test]
    fn sequence_numbers_count_the_records_sent_before() {
        let collector = Collector::new("DOMAIN 5");
        for port in 0..30 {
            collector.arrive(&packet(UDP, [port, 9], 0));
        }
        collector.0.write("x.flush", "");
        collector.0.run();
        let sent = collector.0.sent("messages");
        let heads: Vec<&[u8]> = sent.iter().map(|message| &message[8..16]).collect();
        // 27 records fill a message.
        assert_eq!(heads, [[0, 0, 0, 0, 0, 0, 0, 5], [0, 0, 0, 27, 0, 0, 0, 5]]);
    }

    #[test]
    fn later_fragments_and_short_packets_have_no_ports() {
        let collector = Collector::new("");
        let mut fragment = packet(UDP, [7, 9], 0);
        fragment[7] = 1;
        collector.arrive(&fragment);
        collector.arrive(&[0x45, 0]);
        collector.0.write("x.flush", "");
        collector.0.run();
        assert_eq!(collector.records(), [(0, 1, 100, 0, 4)]);
    }
}
