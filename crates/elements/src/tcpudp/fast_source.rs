use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr as Address, Ipv4Addr, Ipv6Addr};

use sprat_click::arguments::UdpPort;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected, Signals,
};
use sprat_packet::checksum::Sum;
use sprat_packet::headers::{
    Ipv4Fields, Ipv6, Ipv6Fields, TcpFields, UdpFields, ethertype, protocol, tcp_flags,
};
use sprat_packet::{Batch, DEFAULT_HEADROOM, EtherAddress, Packet};

use crate::shaping::gap_rate::GapRate;

const fn class(name: &'static str) -> Class {
    Class::of::<FastSource>(name).ports("0/1").processing("h/l")
}

pub(super) const FAST_TCP_FLOWS: Class = class("FastTCPFlows");
pub(super) const FAST_UDP_FLOWS: Class = class("FastUDPFlows");
pub(super) const FAST_UDP_SOURCE: Class = class("FastUDPSource");
pub(super) const FAST_UDP_SOURCE_IP6: Class = class("FastUDPSourceIP6");

/// FastUDPSource, FastUDPSourceIP6, FastUDPFlows, FastTCPFlows: make Ethernet frames of UDP and TCP for measurements.
///
/// ```click
/// FastUDPSource(RATE, LIMIT, LENGTH, SRCETH, SRCIP, SPORT, DSTETH, DSTIP, DPORT
///               [, CHECKSUM, INTERVAL, ACTIVE])
/// FastUDPSourceIP6(RATE, LIMIT, LENGTH, SRCETH, SRCIP6, SPORT, DSTETH, DSTIP6, DPORT
///                  [, CHECKSUM, INTERVAL, ACTIVE])
/// FastUDPFlows(RATE, LIMIT, LENGTH, SRCETH, SRCIP, DSTETH, DSTIP, FLOWS, FLOWSIZE
///              [, CHECKSUM, ACTIVE])
/// FastTCPFlows(RATE, LIMIT, LENGTH, SRCETH, SRCIP, DSTETH, DSTIP, FLOWS, FLOWSIZE [, ACTIVE])
/// ```
///
/// Every pull gives a frame, RATE of them a second (0: as many as are pulled) and LIMIT in all (negative:
/// no bound). Frames have LENGTH bytes, 60 at least, and go from SRCETH, SRCIP to DSTETH, DSTIP. Their
/// payload is zeros.
///
/// - FastUDPSource and FastUDPSourceIP6 send from port SPORT to DPORT, and add one to both after every INTERVAL packets; 0,
///   never.
/// - FastUDPFlows and FastTCPFlows go round FLOWS flows with random ports; after FLOWSIZE packets a flow
///   gets new ones. Of TCP a flow's first packet has the SYN flag and its last the FIN flag, so FLOWSIZE
///   is 3 at least; sequence numbers mean nothing.
/// - CHECKSUM: whether the UDP checksum is made; true. ACTIVE: whether there are any packets; true.
///
/// Handlers: `count` (read): packets made; `rate` (read, write): RATE, or after LIMIT packets the rate
/// that they were pulled at; `limit`, `active` (write); `reset` (write): begin anew.
///
/// See Click's manual pages FastUDPSource(n), FastUDPSourceIP6(n), FastUDPFlows(n) and FastTCPFlows(n).
pub(crate) struct FastSource {
    tcp: bool,
    checksum: bool,
    /// A packet whose ports, checksum and flags are zero, and the sum over it.
    template: Vec<u8>,
    /// Where the transport header begins.
    transport: usize,
    sum: Sum,
    flows: Vec<Flow>,
    next: usize,
    /// Packets of a flow until its ports change; `None` for ever.
    flow_size: Option<u32>,
    /// Whether new ports are random ones.
    random: bool,
    limit: Option<u64>,
    active: bool,
    rate: GapRate,
    count: u64,
    first: Instant,
    last: Instant,
}

/// The ports of a flow, and how many of its packets were made.
#[derive(Clone, Copy)]
struct Flow {
    source: u16,
    destination: u16,
    made: u32,
}

/// Bytes of the Ethernet header.
const NETWORK: usize = 14;
/// Frames are not shorter; with the checksum that devices add they have 64 bytes.
const SHORTEST: u16 = 60;
/// Headers of IPv6 and UDP take more.
const SHORTEST_IP6: u16 = 62;
/// Bytes of memory a million flows take; a configuration may not ask for more.
const MOST_FLOWS: u32 = 1 << 20;

/// Where a frame goes.
struct Ends {
    ethernet: (EtherAddress, EtherAddress),
    addresses: Addresses,
}

/// Where its packet goes.
enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Addresses {
    fn header_length(&self) -> usize {
        match self {
            Self::V4(..) => 20,
            Self::V6(..) => Ipv6::LENGTH,
        }
    }

    /// Writes an IP header over so many bytes; the sum over its pseudo-header.
    fn write(&self, header: &mut [u8], protocol: u8, length: u16) -> Sum {
        match *self {
            Self::V4(source, destination) => {
                let network = Ipv4Fields {
                    type_of_service: 0,
                    total_length: length.saturating_add(20),
                    identification: 0,
                    flags_and_offset: 0,
                    time_to_live: 250,
                    protocol,
                    source,
                    destination,
                };
                header.copy_from_slice(&network.to_bytes());
                Sum::pseudo_header_v4(source, destination, protocol, length)
            }
            Self::V6(source, destination) => {
                let network = Ipv6Fields {
                    traffic_class: 0,
                    flow_label: 0,
                    payload_length: length,
                    next_header: protocol,
                    hop_limit: 250,
                    source,
                    destination,
                };
                header.copy_from_slice(&network.to_bytes());
                Sum::pseudo_header_v6(source, destination, protocol, length.into())
            }
        }
    }
}

/// The frame without its ports, and the sum over its transport part.
fn template(length: usize, ends: &Ends, tcp: bool) -> (Vec<u8>, Sum) {
    let mut frame = alloc::vec![0; length];
    frame[..6].copy_from_slice(&ends.ethernet.1.0);
    frame[6..12].copy_from_slice(&ends.ethernet.0.0);
    let ethertype = match ends.addresses {
        Addresses::V4(..) => ethertype::IPV4,
        Addresses::V6(..) => ethertype::IPV6,
    };
    frame[12..NETWORK].copy_from_slice(&ethertype.to_be_bytes());
    let (network, rest) = frame[NETWORK..].split_at_mut(ends.addresses.header_length());
    let transport = u16::try_from(rest.len()).unwrap_or(u16::MAX);
    let protocol = if tcp { protocol::TCP } else { protocol::UDP };
    let pseudo_header = ends.addresses.write(network, protocol, transport);
    if tcp {
        let header = TcpFields {
            source_port: 0,
            destination_port: 0,
            sequence: 0,
            acknowledgement: 0,
            flags: 0,
            window: 0,
            checksum: 0,
            urgent: 0,
        };
        rest[..20].copy_from_slice(&header.to_bytes());
    } else {
        let header = UdpFields {
            source_port: 0,
            destination_port: 0,
            length: transport,
            checksum: 0,
        };
        rest[..8].copy_from_slice(&header.to_bytes());
    }
    let sum = pseudo_header.add_bytes(rest);
    (frame, sum)
}

/// Reads LENGTH; frames cannot be shorter than Ethernet's.
fn read_length(arguments: &mut Arguments<'_>, shortest: u16) -> Result<usize, Rejected> {
    let length = arguments.required::<u16>("LENGTH")?;
    if length < shortest {
        arguments.warning(alloc::format!(
            "packet length < {shortest}, defaulting to {shortest}"
        ));
    }
    Ok(usize::from(length.max(shortest)))
}

/// Reads an address of the kind that the class has, and another.
fn read_addresses(
    source: Result<Address, Rejected>,
    destination: Result<Address, Rejected>,
) -> Result<Addresses, Rejected> {
    match (source?, destination?) {
        (Address::V4(source), Address::V4(destination)) => Ok(Addresses::V4(source, destination)),
        (Address::V6(source), Address::V6(destination)) => Ok(Addresses::V6(source, destination)),
        _ => Err(Rejected),
    }
}

impl Configure for FastSource {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id()).name;
        let tcp = class == FAST_TCP_FLOWS.name;
        let six = class == FAST_UDP_SOURCE_IP6.name;
        let single = six || class == FAST_UDP_SOURCE.name;
        let rate = arguments.required::<u32>("RATE");
        let limit = arguments.required::<i64>("LIMIT");
        let length = read_length(arguments, if six { SHORTEST_IP6 } else { SHORTEST });
        let source = arguments.required("SRCETH");
        let address = |arguments: &mut Arguments<'_>, name| {
            if six {
                arguments.required(name).map(Address::V6)
            } else {
                arguments.required(name).map(Address::V4)
            }
        };
        let source_address = address(arguments, if six { "SRCIP6" } else { "SRCIP" });
        let port = |arguments: &mut Arguments<'_>, name| {
            if single {
                arguments.required(name).map(|UdpPort(port)| port)
            } else {
                Ok(0)
            }
        };
        let source_port = port(arguments, "SPORT");
        let destination = arguments.required("DSTETH");
        let destination_address = address(arguments, if six { "DSTIP6" } else { "DSTIP" });
        let destination_port = port(arguments, "DPORT");
        let (flows, mut flow_size) = if single {
            (Ok(1), Ok(0))
        } else {
            (
                arguments.required::<u32>("FLOWS"),
                arguments.required::<u32>("FLOWSIZE"),
            )
        };
        let checksum = tcp || arguments.position("CHECKSUM").unwrap_or(true);
        if single {
            flow_size = Ok(arguments.position("INTERVAL").unwrap_or(0));
        }
        let active = arguments.position("ACTIVE").unwrap_or(true);
        if flows.is_ok_and(|flows| !(1..=MOST_FLOWS).contains(&flows)) {
            arguments.error("FLOWS: must be between 1 and 1048576");
        }
        let least = if tcp { 3 } else { u32::from(!single) };
        if flow_size.is_ok_and(|size| size < least) {
            arguments.error(alloc::format!("FLOWSIZE: must be at least {least}"));
        }
        arguments.finish()?;
        let ends = Ends {
            ethernet: (source?, destination?),
            addresses: read_addresses(source_address, destination_address)?,
        };
        let transport = NETWORK + ends.addresses.header_length();
        let (template, sum) = template(length?, &ends, tcp);
        let flow = Flow {
            source: source_port?,
            destination: destination_port?,
            made: 0,
        };
        let flow_size = Some(flow_size?).filter(|size| *size > 0);
        Ok(Self {
            tcp,
            checksum,
            template,
            transport,
            sum,
            flows: alloc::vec![flow; flows? as usize],
            next: 0,
            flow_size,
            random: !single,
            limit: u64::try_from(limit?).ok(),
            active,
            rate: GapRate::new(rate?),
            count: 0,
            first: Instant(0),
            last: Instant(0),
        })
    }
}

impl FastSource {
    /// Packets that are due, up to `most`.
    fn due(&mut self, context: &Context<'_>, most: usize) -> usize {
        if !self.active {
            return 0;
        }
        let left = self.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit.saturating_sub(self.count)).unwrap_or(usize::MAX)
        });
        let allowed = match self.rate.rate() {
            0 => usize::MAX,
            _ => self.rate.behind(context.now()),
        };
        allowed.min(most).min(left)
    }

    /// The next packet of the next flow.
    fn make(&mut self, context: &Context<'_>) -> Packet {
        let index = self.next;
        self.next = (index + 1) % self.flows.len();
        let flow = &mut self.flows[index];
        if self.flow_size.is_some_and(|size| flow.made == size) {
            flow.made = 0;
            if !self.random {
                flow.source = flow.source.wrapping_add(1);
                flow.destination = flow.destination.wrapping_add(1);
            }
        }
        if self.random && flow.made == 0 {
            let ports = context.random();
            flow.source = u16::try_from(ports >> 16).unwrap_or(0);
            flow.destination = u16::try_from(ports & 0xffff).unwrap_or(0);
        }
        let flags = match (self.tcp, flow.made) {
            (false, _) => 0,
            (true, 0) => tcp_flags::SYN,
            (true, made) if self.flow_size == Some(made + 1) => tcp_flags::FIN | tcp_flags::ACK,
            (true, _) => tcp_flags::ACK,
        };
        flow.made = flow
            .made
            .saturating_add(u32::from(self.flow_size.is_some()));
        let mut packet = context
            .pool()
            .packet_uninitialised(DEFAULT_HEADROOM, self.template.len());
        let frame = packet.data_mut();
        frame.copy_from_slice(&self.template);
        let transport = &mut frame[self.transport..];
        transport[..2].copy_from_slice(&flow.source.to_be_bytes());
        transport[2..4].copy_from_slice(&flow.destination.to_be_bytes());
        let sum = self
            .sum
            .add_u16(flow.source)
            .add_u16(flow.destination)
            .add_u16(u16::from(flags));
        if self.tcp {
            transport[13] = flags;
            transport[16..18].copy_from_slice(&sum.finish().to_be_bytes());
        } else if self.checksum {
            transport[6..8].copy_from_slice(&sum.finish_udp().to_be_bytes());
        }
        packet.set_mac_header(0);
        packet.set_network_header(NETWORK, self.transport - NETWORK);
        packet
    }

    /// The rate at which all packets were pulled, once they were.
    fn measured_rate(&self) -> Option<u64> {
        self.limit.filter(|limit| self.count >= *limit)?;
        let milliseconds = |moment: Instant| moment.0 / 1_000_000;
        let span = milliseconds(self.last) - milliseconds(self.first);
        Some(self.count.saturating_mul(1_000) / span.max(1))
    }

    /// Says that there are packets, or when there will be.
    fn announce(&mut self, context: &Context<'_>) {
        let due = self.due(context, 1) > 0;
        let done = !self.active || self.limit.is_some_and(|limit| self.count >= limit);
        context.set_nonempty(due);
        let moment = if due || done {
            Instant::NEVER
        } else {
            let wait = self.rate.wait(context.now());
            wait.map_or(Instant::NEVER, |wait| context.now() + wait)
        };
        context.set_timer(0, moment);
    }
}

impl Element for FastSource {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.announce(context);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        context.set_nonempty(true);
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let count = self.due(context, limit);
        for _ in 0..count {
            batch.push(self.make(context));
        }
        self.rate.advance(count);
        if count == 0 {
            self.announce(context);
            return;
        }
        self.last = context.now();
        if self.count == 0 {
            self.first = self.last;
        }
        self.count += count as u64;
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .read_write("rate")
            .write("limit")
            .write("active")
            .button("reset");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "rate" => Ok(self
                .measured_rate()
                .unwrap_or(u64::from(self.rate.rate()))
                .to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "rate" => {
                let complaint = "rate parameter must be integer >= 0";
                let rate = crate::value_or(context, value, complaint)?;
                self.rate.set_rate(rate, context.now());
            }
            "limit" => {
                let complaint = "limit parameter must be integer >= 0";
                self.limit = Some(crate::value_or::<u32>(context, value, complaint)?.into());
            }
            "active" => {
                self.active = crate::value_or(context, value, "active parameter must be boolean")?
            }
            "reset" => {
                self.count = 0;
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        self.announce(context);
        Ok(())
    }
}
