use alloc::format;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use hashbrown::HashMap;
use sprat_click::arguments::{Argument, ArgumentError, Names, split_words};
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::checksum::{Delta, Sum};
use sprat_packet::headers::{Icmpv6, Ipv6, Ipv6Mut, icmpv6_type, protocol};
use sprat_packet::{Batch, Packet};

use super::transport::mend;

pub(super) const ADDRESS_TRANSLATOR: Class = Class::of::<AddressTranslator>("AddressTranslator")
    .ports("2/2")
    .processing("h/h")
    .flow("xy/xy");

/// AddressTranslator: rewrites the addresses of IPv6 packets.
///
/// ```click
/// AddressTranslator(STATIC [, STATIC_PORTS, MAPPING...], DYNAMIC [, DYNAMIC_PORTS, INWARD, POOL...])
/// ```
///
/// Packets of inner hosts go in at input 0 and, with their source mapped, out at output 0; packets to mapped
/// addresses go in at input 1 and, with their destination mapped back, out at output 1. Ports, ICMPv6 echo
/// identifiers and checksums are mended. Packets that match no mapping are dropped. They need their network
/// header annotation set.
///
/// - STATIC: how many MAPPINGs follow. With STATIC_PORTS false each is `INNER MAPPED`, two addresses; with
///   true `INNER PORT MAPPED PORT OUTER PORT`, where an OUTER of `::` or a PORT of 0 stands for any.
/// - DYNAMIC: whether new hosts get mappings too. With DYNAMIC_PORTS false, POOL is addresses, one for each
///   host; with true it is `MAPPED LOW HIGH`, one address and the ports that flows get.
/// - INWARD: whether such mappings are made for the sources of packets at input 1 instead, and their
///   answers mapped back at input 0; false.
///
/// See Click's manual page AddressTranslator(n).
struct AddressTranslator {
    fixed: Vec<Mapping>,
    dynamic: Dynamic,
    inward: bool,
}

/// An address with a port; 0 is any port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct End {
    address: Ipv6Addr,
    port: u16,
}

/// A mapping that was configured.
#[derive(Clone, Copy)]
struct Mapping {
    inner: End,
    mapped: End,
    outer: End,
}

/// Mappings that are made when they are needed.
enum Dynamic {
    None,
    Addresses {
        free: Vec<Ipv6Addr>,
        mapped: HashMap<Ipv6Addr, Ipv6Addr>,
        inner: HashMap<Ipv6Addr, Ipv6Addr>,
    },
    Ports(Ports),
}

struct Ports {
    address: Ipv6Addr,
    low: u16,
    high: u16,
    next: u16,
    /// Inner end, outer end and protocol of each flow, to its port.
    out: HashMap<(End, End, u8), u16>,
    /// Port, outer end and protocol, back to the inner end.
    back: HashMap<(u16, End, u8), End>,
}

impl Ports {
    /// The port of a flow, where there is one or one is free for this peer.
    fn map(&mut self, inner: End, outer: End, kind: u8) -> Option<u16> {
        if let Some(port) = self.out.get(&(inner, outer, kind)) {
            return Some(*port);
        }
        let count = u32::from(self.high - self.low) + 1;
        for _ in 0..count {
            let port = self.next;
            self.next = if port == self.high {
                self.low
            } else {
                port + 1
            };
            if !self.back.contains_key(&(port, outer, kind)) {
                self.out.insert((inner, outer, kind), port);
                self.back.insert((port, outer, kind), inner);
                return Some(port);
            }
        }
        None
    }
}

/// `0` or `1`, or another truth value.
struct Flag(bool);

impl Argument for Flag {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        bool::parse(text, names).map(Self)
    }
}

impl Mapping {
    fn parse(text: &str, with_ports: bool, names: &dyn Names) -> Result<Self, ArgumentError> {
        let words = split_words(text);
        let end = |address: &str, port: Option<&str>| {
            Ok(End {
                address: Ipv6Addr::parse(address, names)?,
                port: port.map_or(Ok(0), |port| u16::parse(port, names))?,
            })
        };
        let words: Vec<&str> = words.iter().map(alloc::string::String::as_str).collect();
        let any = End {
            address: Ipv6Addr::UNSPECIFIED,
            port: 0,
        };
        match words.as_slice() {
            [inner, mapped] if !with_ports => Ok(Self {
                inner: end(inner, None)?,
                mapped: end(mapped, None)?,
                outer: any,
            }),
            [inner, a, mapped, b, outer, c] if with_ports => Ok(Self {
                inner: end(inner, Some(a))?,
                mapped: end(mapped, Some(b))?,
                outer: end(outer, Some(c))?,
            }),
            _ if with_ports => Err(ArgumentError::other(
                "expected 'INNER PORT MAPPED PORT OUTER PORT'",
            )),
            _ => Err(ArgumentError::other("expected 'INNER MAPPED'")),
        }
    }
}

/// Reads what follows DYNAMIC, which said yes.
fn dynamic(arguments: &mut Arguments<'_>) -> Result<(Dynamic, bool), Rejected> {
    let Flag(with_ports) = arguments.required("DYNAMIC_PORTS")?;
    let Flag(inward) = arguments.required("INWARD")?;
    let mut free = Vec::new();
    if with_ports {
        let ports = arguments.required_with("POOL", |text, names| {
            let words = split_words(text);
            let [address, low, high] = words.as_slice() else {
                return Err(ArgumentError::other("expected 'MAPPED LOW HIGH'"));
            };
            let (low, high) = (u16::parse(low, names)?, u16::parse(high, names)?);
            if low == 0 || low > high {
                return Err(ArgumentError::other("expected ports LOW <= HIGH above 0"));
            }
            Ok(Ports {
                address: Ipv6Addr::parse(address, names)?,
                low,
                high,
                next: low,
                out: HashMap::new(),
                back: HashMap::new(),
            })
        })?;
        return Ok((Dynamic::Ports(ports), inward));
    }
    while let Some(address) = arguments.position::<Ipv6Addr>("POOL") {
        free.push(address);
    }
    // They are given out from the end.
    free.reverse();
    let addresses = Dynamic::Addresses {
        free,
        mapped: HashMap::new(),
        inner: HashMap::new(),
    };
    Ok((addresses, inward))
}

impl Configure for AddressTranslator {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let count = arguments.required::<u32>("STATIC")?;
        let mut fixed = Vec::new();
        if count > 0 {
            let Flag(with_ports) = arguments.required("STATIC_PORTS")?;
            for number in 1..=count {
                let name = format!("MAPPING {number}");
                let mapping = arguments
                    .required_with(&name, |text, names| Mapping::parse(text, with_ports, names));
                fixed.push(mapping?);
            }
        }
        let Flag(wanted) = arguments.position("DYNAMIC").unwrap_or(Flag(false));
        let (dynamic, inward) = if wanted {
            dynamic(arguments)?
        } else {
            (Dynamic::None, false)
        };
        arguments.finish()?;
        Ok(Self {
            fixed,
            dynamic,
            inward,
        })
    }
}

/// The ends of a packet, and where its ports stand from the network header on.
struct Ends {
    source: End,
    destination: End,
    kind: u8,
    /// Where the upper layer begins, where its header is there.
    upper: Option<usize>,
    /// Whether its ports, or its identifier, are there too.
    ports: bool,
}

/// Whether an ICMPv6 message has an identifier.
fn is_echo(kind: u8) -> bool {
    matches!(kind, icmpv6_type::ECHO | icmpv6_type::ECHO_REPLY)
}

impl Ends {
    fn of(bytes: &[u8]) -> Option<Self> {
        let ip = Ipv6::new(bytes).ok()?;
        let upper = ip.upper_layer().ok()?;
        let first = upper.fragment.is_none_or(|fragment| fragment.offset == 0);
        let segment = ip.payload().get(upper.offset..).unwrap_or_default();
        let pair = match (upper.protocol, segment) {
            (protocol::TCP | protocol::UDP, [a, b, c, d, ..]) if first => {
                Some((u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d])))
            }
            (protocol::ICMPV6, _) if first => Icmpv6::new(segment)
                .ok()
                .filter(|icmp| is_echo(icmp.kind()))
                .map(|icmp| (icmp.identifier(), icmp.identifier())),
            _ => None,
        };
        let (from, to) = pair.unwrap_or((0, 0));
        Some(Self {
            source: End {
                address: ip.source(),
                port: from,
            },
            destination: End {
                address: ip.destination(),
                port: to,
            },
            kind: upper.protocol,
            upper: first.then_some(Ipv6::LENGTH + upper.offset),
            ports: pair.is_some(),
        })
    }

    /// One end as the peer of a flow: an identifier belongs to both ends of it.
    fn peer(&self, end: End) -> Option<End> {
        let port = if self.kind == protocol::ICMPV6 {
            0
        } else {
            end.port
        };
        self.ports.then_some(End { port, ..end })
    }

    /// Writes another source, or another destination, from the network header on.
    fn replace(&self, bytes: &mut [u8], of_source: bool, new: End) -> Option<()> {
        let old = if of_source {
            self.source
        } else {
            self.destination
        };
        let mut ip = Ipv6Mut::new(bytes).ok()?;
        if of_source {
            ip.set_source(new.address);
        } else {
            ip.set_destination(new.address);
        }
        let sum = |address: Ipv6Addr| Sum::of(&address.octets()).fold();
        let mut delta = Delta::new().replace_u16(sum(old.address), sum(new.address));
        let Some(upper) = self.upper else {
            return Some(());
        };
        let segment = bytes.get_mut(upper..)?;
        if self.ports && new.port != 0 {
            let at = match (self.kind, of_source) {
                (protocol::ICMPV6, _) => 4,
                (_, true) => 0,
                (_, false) => 2,
            };
            segment
                .get_mut(at..)?
                .first_chunk_mut::<2>()?
                .copy_from_slice(&new.port.to_be_bytes());
            delta = delta.replace_u16(old.port, new.port);
        }
        mend(segment, self.kind, delta);
        Some(())
    }
}

fn same(configured: End, end: End) -> bool {
    (configured.address.is_unspecified() || configured.address == end.address)
        && (configured.port == 0 || configured.port == end.port)
}

impl Dynamic {
    /// What the source of a packet becomes, which comes from the side that mappings are made for.
    fn out(&mut self, ends: &Ends) -> Option<End> {
        match self {
            Self::None => None,
            Self::Addresses {
                free,
                mapped,
                inner,
            } => {
                let address = match mapped.get(&ends.source.address) {
                    Some(address) => *address,
                    None => {
                        let address = free.pop()?;
                        mapped.insert(ends.source.address, address);
                        inner.insert(address, ends.source.address);
                        address
                    }
                };
                Some(End { address, port: 0 })
            }
            Self::Ports(ports) => {
                let outer = ends.peer(ends.destination)?;
                let port = ports.map(ends.source, outer, ends.kind)?;
                Some(End {
                    address: ports.address,
                    port,
                })
            }
        }
    }

    /// What the destination of a packet becomes that comes back.
    fn back(&self, ends: &Ends) -> Option<End> {
        match self {
            Self::None => None,
            Self::Addresses { inner, .. } => {
                let address = *inner.get(&ends.destination.address)?;
                Some(End { address, port: 0 })
            }
            Self::Ports(ports) => {
                let outer = ends.peer(ends.source)?;
                let key = (ends.destination.port, outer, ends.kind);
                let known = ports.back.get(&key).copied();
                known.filter(|_| ends.destination.address == ports.address)
            }
        }
    }
}

impl AddressTranslator {
    fn rewrite(&mut self, packet: &mut Packet, outward: bool) -> Option<()> {
        let ends = Ends::of(packet.network_header()?)?;
        let fixed = self.fixed.iter().find_map(|mapping| {
            let (here, there, becomes) = if outward {
                (mapping.inner, ends.source, mapping.mapped)
            } else {
                (mapping.mapped, ends.destination, mapping.inner)
            };
            let peer = if outward {
                ends.destination
            } else {
                ends.source
            };
            (same(here, there) && same(mapping.outer, peer)).then_some(becomes)
        });
        let (of_source, new) = match fixed {
            Some(end) => (outward, end),
            None if outward != self.inward => (true, self.dynamic.out(&ends)?),
            None => (false, self.dynamic.back(&ends)?),
        };
        ends.replace(packet.network_header_mut()?, of_source, new)
    }
}

impl Element for AddressTranslator {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        batch.filter(|mut packet| {
            self.rewrite(&mut packet, port == 0)?;
            if let Some(Ok(ip)) = packet.network_header().map(Ipv6::new) {
                let destination = ip.destination();
                packet.set_destination6(destination);
            }
            Some(packet)
        });
        context.forward(port, batch);
    }
}
