//! What differs from one class of rewriters to another: which packets have flows, by what they are
//! told apart, and how long they are remembered.

use core::time::Duration;

use sprat_click::Arguments;
use sprat_packet::Packet;
use sprat_packet::checksum::AddressesAndPorts;
use sprat_packet::flow::FlowKey;
use sprat_packet::headers::icmp_type::{ECHO, ECHO_REPLY};
use sprat_packet::headers::protocol::{DCCP, ICMP, TCP, UDP};

use crate::nat::flow_table::{Direction, Flow, Lifetime};
use crate::nat::tcp;

/// A class of rewriters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::nat) enum Kind {
    /// IPRewriter: TCP flows and UDP flows, each with their timeouts.
    Ip,
    /// TCPRewriter: TCP flows.
    Tcp,
    /// UDPRewriter: everything with ports, whatever its protocol, by one kind of timeout.
    Udp,
    /// ICMPPingRewriter: echo requests and their replies.
    Ping,
    /// IPAddrRewriter: hosts.
    Address,
    /// IPAddrPairRewriter: pairs of hosts.
    AddressPair,
}

/// The classes by name.
const KINDS: [(&str, Kind); 6] = [
    ("IPRewriter", Kind::Ip),
    ("TCPRewriter", Kind::Tcp),
    ("UDPRewriter", Kind::Udp),
    ("ICMPPingRewriter", Kind::Ping),
    ("IPAddrRewriter", Kind::Address),
    ("IPAddrPairRewriter", Kind::AddressPair),
];

/// What a rewriter needs of a packet's headers.
#[derive(Clone, Copy, Debug)]
pub(in crate::nat) struct Headers {
    pub(in crate::nat) key: FlowKey,
    /// Whether a packet like this one begins a flow where it belongs to none.
    pub(super) begins: bool,
    /// TCP's flags, and whether there is payload.
    flags: u8,
    data: bool,
}

/// The lists of a rewriter's flows, counted from its first; UDP's come behind TCP's where there
/// are both.
const PLAIN: u8 = 0;
const STREAM: u8 = 1;

/// Bits of a flow's state, but TCP's: packets seen, up to three, and whether one was a reply.
const COUNT: u8 = 3;
const ANSWERED: u8 = 4;

/// Bytes of an IPv4 header without options, and the least that a transport must show.
const IPV4: usize = 20;
const PORTS: usize = 8;

const fn minutes(count: u64) -> Duration {
    Duration::from_mins(count)
}

const GUARANTEE: Duration = Duration::from_secs(5);

impl Kind {
    /// The kind of a class, where it is one of rewriters.
    pub(in crate::nat) fn of(class: &str) -> Option<Self> {
        let found = KINDS.iter().find(|(name, _)| *name == class);
        found.map(|(_, kind)| *kind)
    }

    /// Whether it tracks TCP connections, and so can shift their sequence numbers.
    pub(in crate::nat) fn tracks_tcp(self) -> bool {
        matches!(self, Self::Ip | Self::Tcp)
    }

    /// Whether flows are of addresses alone, without ports.
    fn is_address(self) -> bool {
        matches!(self, Self::Address | Self::AddressPair)
    }

    /// Reads the lifetimes of its lists from the arguments.
    pub(super) fn lifetimes(self, arguments: &mut Arguments<'_>) -> alloc::vec::Vec<Lifetime> {
        let mut time = |name: &str| arguments.keyword::<Duration>(name);
        let (timeout, guarantee) = (time("TIMEOUT"), time("GUARANTEE"));
        let mut lifetimes = alloc::vec::Vec::new();
        if self.tracks_tcp() {
            let guarantee = guarantee.or(time("TCP_GUARANTEE")).unwrap_or(GUARANTEE);
            let no_data = time("TCP_NODATA_TIMEOUT").unwrap_or(minutes(5));
            let data = time("TCP_TIMEOUT").or(timeout).unwrap_or(minutes(24 * 60));
            let done = time("TCP_DONE_TIMEOUT").unwrap_or(minutes(4));
            lifetimes
                .extend([no_data, data, done].map(|timeout| Lifetime::new(timeout, guarantee)));
        }
        if self != Self::Tcp {
            let (timeout, streaming, guarantee) = match self {
                Self::Ip => (
                    time("UDP_TIMEOUT"),
                    time("UDP_STREAMING_TIMEOUT"),
                    time("UDP_GUARANTEE"),
                ),
                Self::Udp => (
                    timeout.or(time("UDP_TIMEOUT")),
                    time("STREAMING_TIMEOUT").or(time("UDP_STREAMING_TIMEOUT")),
                    guarantee.or(time("UDP_GUARANTEE")),
                ),
                _ => (timeout, None, guarantee),
            };
            let usual = if self.is_address() { 120 } else { 5 };
            let timeout = timeout.unwrap_or(minutes(usual));
            let guarantee = guarantee.unwrap_or(GUARANTEE);
            let streaming = streaming.unwrap_or(timeout);
            lifetimes.extend([timeout, streaming].map(|timeout| Lifetime::new(timeout, guarantee)));
        }
        lifetimes
    }

    /// Reads a packet's headers. `None` where they are not whole, or of no flow.
    #[inline]
    pub(super) fn headers(self, packet: &Packet) -> Option<Headers> {
        let header = packet.network_header()?;
        let fixed: &[u8; IPV4] = header.first_chunk()?;
        if fixed[0] >> 4 != 4 {
            return None;
        }
        let [source, destination] = [12, 16]
            .map(|at| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]));
        let mut headers = Headers {
            key: self.address_key(source, destination),
            begins: true,
            flags: 0,
            data: false,
        };
        if self.is_address() {
            return Some(headers);
        }
        let protocol = fixed[9];
        let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff;
        let wanted = match self {
            Self::Tcp => protocol == TCP,
            Self::Udp => matches!(protocol, TCP | UDP | DCCP),
            Self::Ping => protocol == ICMP,
            _ => protocol == TCP || protocol == UDP,
        };
        if fragment != 0 || !wanted {
            return None;
        }
        let length = usize::from(fixed[0] & 15) * 4;
        let transport = header.get(length..)?;
        let first: &[u8; PORTS] = transport.first_chunk()?;
        let half = |at: usize| u16::from_be_bytes([first[at], first[at + 1]]);
        let (source_port, destination_port) = match (self, first[0]) {
            // A request's identifier counts as its source port, a reply's as its destination
            // port, so that one is the other reversed.
            (Self::Ping, ECHO) => (half(4), 0),
            (Self::Ping, ECHO_REPLY) => {
                headers.begins = false;
                (0, half(4))
            }
            (Self::Ping, _) => return None,
            _ => (half(0), half(2)),
        };
        if protocol == TCP {
            let rest: &[u8; tcp::SHORTEST] = transport.first_chunk()?;
            headers.flags = rest[13];
            let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
            headers.data = total > length + usize::from(rest[12] >> 4) * 4;
        }
        let tuple = AddressesAndPorts {
            source,
            destination,
            source_port,
            destination_port,
        };
        // It knows flows by addresses and ports alone.
        let known = if self == Self::Udp { UDP } else { protocol };
        headers.key = FlowKey::new(tuple, known);
        Some(headers)
    }

    /// The key of flows between addresses.
    fn address_key(self, source: u32, destination: u32) -> FlowKey {
        let tuple = AddressesAndPorts {
            source,
            destination: if self == Self::Address {
                0
            } else {
                destination
            },
            source_port: 0,
            destination_port: 0,
        };
        FlowKey::new(tuple, 0)
    }

    /// The other key by which a packet's flow may be known, where there is one: a host is known by
    /// its own address, and by the one it was given.
    #[inline]
    pub(super) fn second_key(self, packet: &Packet) -> Option<FlowKey> {
        if self != Self::Address {
            return None;
        }
        let destination = packet.network_header()?.get(16..20)?.first_chunk()?;
        let destination = u32::from_be_bytes(*destination);
        Some(self.address_key(destination, 0).reversed())
    }

    /// The key by which a rewriter of this kind knows packets that would carry `key`.
    pub(in crate::nat) fn keys_of(self, key: &FlowKey) -> [Option<FlowKey>; 2] {
        let (source, destination) = (key.source().to_bits(), key.destination().to_bits());
        let known = match self {
            Self::Ip => matches!(key.protocol(), TCP | UDP | DCCP),
            Self::Udp if matches!(key.protocol(), TCP | UDP | DCCP) => {
                return [Some(FlowKey::new(key.tuple(), UDP)), None];
            }
            Self::Udp => false,
            Self::Tcp => key.protocol() == TCP,
            Self::Ping => key.protocol() == ICMP,
            Self::Address => {
                let given = self.address_key(destination, 0).reversed();
                return [Some(self.address_key(source, 0)), Some(given)];
            }
            Self::AddressPair => return [Some(self.address_key(source, destination)), None],
        };
        [known.then_some(*key), None]
    }

    /// What a packet is given that carries `key`, when its flow says `given`: flows between
    /// addresses say nothing of the rest.
    pub(super) fn given(self, given: &FlowKey, direction: Direction, key: &FlowKey) -> FlowKey {
        if !self.is_address() {
            return *given;
        }
        let mut tuple = key.tuple();
        if self == Self::AddressPair || direction == Direction::Forward {
            tuple.source = given.source().to_bits();
        }
        if self == Self::AddressPair || direction == Direction::Reply {
            tuple.destination = given.destination().to_bits();
        }
        FlowKey::new(tuple, key.protocol())
    }

    /// What a new flow becomes, where that is something this kind can do: pings have no
    /// destination port, and addresses no ports at all.
    pub(super) fn admissible(self, rewritten: FlowKey) -> Option<FlowKey> {
        let mut tuple = rewritten.tuple();
        match self {
            Self::Ip | Self::Tcp | Self::Udp => {}
            Self::Ping => tuple.destination_port = 0,
            Self::Address if tuple.destination != 0 => return None,
            Self::Address | Self::AddressPair => {
                if tuple.source_port != 0 || tuple.destination_port != 0 {
                    return None;
                }
            }
        }
        Some(FlowKey::new(tuple, rewritten.protocol()))
    }

    /// The list that a flow begins in.
    pub(super) fn first_list(self, protocol: u8) -> u8 {
        match self {
            Self::Ip if protocol != TCP => tcp::LISTS + PLAIN,
            _ => PLAIN,
        }
    }

    /// Notes what a packet says about its flow's state; returns the list it belongs to now.
    #[inline]
    pub(super) fn note(self, flow: &mut Flow, direction: Direction, headers: &Headers) -> u8 {
        if self.tracks_tcp() && headers.key.protocol() == TCP {
            flow.state = tcp::state(flow.state, direction, headers.flags, headers.data);
            return tcp::list(flow.state);
        }
        let seen = (flow.state & COUNT).saturating_add(1).min(COUNT);
        let answered = u8::from(direction == Direction::Reply) * ANSWERED;
        flow.state = seen | flow.state & ANSWERED | answered;
        let list = if flow.state == COUNT | ANSWERED {
            STREAM
        } else {
            PLAIN
        };
        list + u8::from(self == Self::Ip) * tcp::LISTS
    }
}
