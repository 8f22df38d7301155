//! Turning IPv4 packets into IPv6 packets and back (RFC 7915), without state and in place.

use core::net::{Ipv4Addr, Ipv6Addr};

use sprat_click::arguments::Ipv6Prefix;
use sprat_packet::Packet;
use sprat_packet::checksum::{Delta, Sum};
use sprat_packet::headers::{
    Icmp, IcmpFields, Ipv4, Ipv4Fields, Ipv4Mut, Ipv6, Ipv6Fields, icmp_type, icmpv6_type,
    protocol, unreachable_code,
};

use super::transport::{Checksum, mend};

/// Which way packets are translated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ToIpv6,
    ToIpv4,
}

/// IPv4 addresses as IPv6 addresses: the last 32 bits behind a prefix of 96.
#[derive(Clone, Copy)]
pub(super) struct Embedding(pub(super) Ipv6Prefix);

impl Embedding {
    fn embed(self, address: Ipv4Addr) -> Ipv6Addr {
        Ipv6Addr::from_bits(self.0.network().to_bits() | u128::from(address.to_bits()))
    }

    /// The IPv4 address in an address of this prefix, or in an IPv4-mapped one.
    fn extract(self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        if self.0.contains(address) {
            let [.., a, b, c, d] = address.octets();
            Some(Ipv4Addr::new(a, b, c, d))
        } else {
            address.to_ipv4_mapped()
        }
    }
}

/// A header in its new form, and what has to be known of the old one.
struct Header {
    bytes: [u8; Self::MOST],
    length: usize,
    /// Bytes of the old header with its options or extensions.
    skip: usize,
    /// Bytes that follow it, by its own statement.
    payload: usize,
    /// The new protocol number.
    protocol: u8,
    /// Whether the transport header follows; whether it is all there.
    first: bool,
    whole: bool,
    /// What the new addresses do to a checksum over the pseudo-header.
    addresses: Delta,
    source: Ipv6Addr,
    destination: Ipv6Addr,
}

fn addresses_delta(old: &[&[u8]], new: &[&[u8]]) -> Delta {
    let sum = |parts: &[&[u8]]| {
        parts
            .iter()
            .fold(Sum::new(), |sum, part| sum.add_bytes(part))
    };
    Delta::new().replace_u16(sum(old).fold(), sum(new).fold())
}

impl Header {
    /// An IPv6 header and a fragment header.
    const MOST: usize = Ipv6::LENGTH + 8;

    fn to_ipv6(bytes: &[u8], embedding: Embedding) -> Option<Self> {
        let ip = Ipv4::new(bytes).ok()?;
        let skip = ip.header_length();
        let payload = usize::from(ip.total_length()).checked_sub(skip)?;
        let protocol = match ip.protocol() {
            protocol::ICMP => protocol::ICMPV6,
            other => other,
        };
        let fragment = ip.is_fragment();
        let more = if fragment { 8 } else { 0 };
        let (source, destination) = (
            embedding.embed(ip.source()),
            embedding.embed(ip.destination()),
        );
        let fields = Ipv6Fields {
            traffic_class: ip.type_of_service(),
            flow_label: 0,
            payload_length: u16::try_from(payload + more).ok()?,
            next_header: if fragment {
                protocol::IPV6_FRAGMENT
            } else {
                protocol
            },
            hop_limit: ip.time_to_live(),
            source,
            destination,
        };
        let mut header = [0; Self::MOST];
        header[..Ipv6::LENGTH].copy_from_slice(&fields.to_bytes());
        let offset = u16::try_from(ip.fragment_offset()).ok()? | u16::from(ip.more_fragments());
        header[40] = protocol;
        header[42..44].copy_from_slice(&offset.to_be_bytes());
        header[46..48].copy_from_slice(&ip.identification().to_be_bytes());
        Some(Self {
            bytes: header,
            length: Ipv6::LENGTH + more,
            skip,
            payload,
            protocol,
            first: ip.is_first_fragment(),
            whole: !fragment,
            addresses: addresses_delta(
                &[&ip.source().octets(), &ip.destination().octets()],
                &[&source.octets(), &destination.octets()],
            ),
            source,
            destination,
        })
    }

    fn to_ipv4(bytes: &[u8], embedding: Embedding) -> Option<Self> {
        let ip = Ipv6::new(bytes).ok()?;
        let upper = ip.upper_layer().ok()?;
        let payload = usize::from(ip.payload_length()).checked_sub(upper.offset)?;
        let protocol = match upper.protocol {
            protocol::ICMPV6 => protocol::ICMP,
            other => other,
        };
        let (source, destination) = (
            embedding.extract(ip.source())?,
            embedding.extract(ip.destination())?,
        );
        let (flags_and_offset, identification) = match upper.fragment {
            Some(fragment) => {
                let more = if fragment.more {
                    Ipv4::MORE_FRAGMENTS
                } else {
                    0
                };
                let [_, _, high, low] = fragment.identification.to_be_bytes();
                (
                    more | u16::try_from(fragment.offset / 8).ok()?,
                    u16::from_be_bytes([high, low]),
                )
            }
            // What is longer than any IPv6 link must carry was sized by its sender for the path.
            None if payload + 20 > 1260 => (Ipv4::DONT_FRAGMENT, 0),
            None => (0, 0),
        };
        let fields = Ipv4Fields {
            type_of_service: ip.traffic_class(),
            total_length: u16::try_from(payload + 20).ok()?,
            identification,
            flags_and_offset,
            time_to_live: ip.hop_limit(),
            protocol,
            source,
            destination,
        };
        let mut header = [0; Self::MOST];
        header[..20].copy_from_slice(&fields.to_bytes());
        Some(Self {
            bytes: header,
            length: 20,
            skip: Ipv6::LENGTH + upper.offset,
            payload,
            protocol,
            first: upper.fragment.is_none_or(|fragment| fragment.offset == 0),
            whole: upper.fragment.is_none(),
            addresses: addresses_delta(
                &[&ip.source().octets(), &ip.destination().octets()],
                &[&source.octets(), &destination.octets()],
            ),
            source: ip.source(),
            destination: ip.destination(),
        })
    }

    fn new(bytes: &[u8], direction: Direction, embedding: Embedding) -> Option<Self> {
        match direction {
            Direction::ToIpv6 => Self::to_ipv6(bytes, embedding),
            Direction::ToIpv4 => Self::to_ipv4(bytes, embedding),
        }
    }

    /// States another length of what follows.
    fn set_payload(&mut self, payload: usize, direction: Direction) -> Option<()> {
        match direction {
            Direction::ToIpv6 => {
                let length = u16::try_from(payload + self.length - Ipv6::LENGTH).ok()?;
                self.bytes[4..6].copy_from_slice(&length.to_be_bytes());
            }
            Direction::ToIpv4 => {
                let mut ip = Ipv4Mut::new(&mut self.bytes[..20]).ok()?;
                ip.set_total_length(u16::try_from(payload + 20).ok()?);
                ip.fill_checksum();
            }
        }
        Some(())
    }

    fn put(&self, packet: &mut Packet) {
        packet
            .prepend(self.length)
            .copy_from_slice(&self.bytes[..self.length]);
    }

    /// Sum of the IPv6 pseudo-header of an ICMPv6 message, which ICMP has none of.
    fn pseudo_header(&self, length: usize) -> Option<Sum> {
        let length = u32::try_from(length).ok()?;
        Some(Sum::pseudo_header_v6(
            self.source,
            self.destination,
            protocol::ICMPV6,
            length,
        ))
    }

    /// What becoming the other ICMP does to a checksum, but for the type.
    fn icmp_delta(&self, direction: Direction) -> Option<Delta> {
        let pseudo_header = self.pseudo_header(self.payload)?.fold();
        Some(match direction {
            Direction::ToIpv6 => Delta::new().replace_u16(0, pseudo_header),
            Direction::ToIpv4 => Delta::new().replace_u16(pseudo_header, 0),
        })
    }
}

/// Translates a packet whose network header is marked; false if it has no translation.
pub(super) fn translate(packet: &mut Packet, direction: Direction, embedding: Embedding) -> bool {
    try_translate(packet, direction, embedding).is_some()
}

fn try_translate(packet: &mut Packet, direction: Direction, embedding: Embedding) -> Option<()> {
    let start = packet.network_offset()?;
    packet.strip(usize::try_from(start).ok()?);
    let mut header = Header::new(packet.data(), direction, embedding)?;
    if header.payload > packet.len().checked_sub(header.skip)? {
        return None;
    }
    packet.strip(header.skip);
    packet.truncate(header.payload);
    if matches!(header.protocol, protocol::ICMP | protocol::ICMPV6) {
        // The pseudo-header of ICMPv6 has the length of the whole message.
        if !header.whole {
            return None;
        }
        translate_icmp(packet, &mut header, direction, embedding)?;
    } else if header.first {
        let data = packet.data_mut();
        if mend(data, header.protocol, header.addresses) == Checksum::None {
            // IPv6 has no UDP without a checksum, and one over all can be made only of all.
            if direction == Direction::ToIpv6 && header.whole {
                fill_udp_checksum(data, &header)?;
            } else if direction == Direction::ToIpv6 {
                return None;
            }
        }
    }
    header.put(packet);
    packet.clear_headers();
    packet.set_network_header(0, header.length);
    match direction {
        Direction::ToIpv6 => packet.set_destination6(header.destination),
        Direction::ToIpv4 => {
            let destination = Ipv4::new(packet.data()).ok()?.destination();
            packet.set_destination(destination);
        }
    }
    Some(())
}

fn fill_udp_checksum(data: &mut [u8], header: &Header) -> Option<()> {
    let length = u32::try_from(data.len()).ok()?;
    let sum = Sum::pseudo_header_v6(header.source, header.destination, protocol::UDP, length)
        .add_bytes(data)
        .finish_udp();
    data.get_mut(6..8)?.copy_from_slice(&sum.to_be_bytes());
    Some(())
}

/// Translates the ICMP message at the packet's front, which has lost its network header already.
fn translate_icmp(
    packet: &mut Packet,
    header: &mut Header,
    direction: Direction,
    embedding: Embedding,
) -> Option<()> {
    let old = Icmp::new(packet.data()).ok()?.fields();
    if let Some(kind) = echo_type(old.kind, direction) {
        let delta = header.icmp_delta(direction)?;
        set_icmp_type(packet.data_mut(), kind, delta);
        return Some(());
    }
    let mut new = error_of(old, direction)?;
    let inner = Header::new(packet.data().get(8..)?, direction, embedding)?;
    packet.strip(8 + inner.skip);
    packet.truncate(inner.payload);
    if inner.first {
        mend_quoted(packet.data_mut(), &inner, direction);
    }
    inner.put(packet);
    packet.prepend(8).copy_from_slice(&new.to_bytes());
    header.set_payload(packet.len(), direction)?;
    let pseudo_header = match direction {
        Direction::ToIpv6 => header.pseudo_header(packet.len())?,
        Direction::ToIpv4 => Sum::new(),
    };
    new.checksum = pseudo_header.add_bytes(packet.data()).finish();
    packet.data_mut()[..8].copy_from_slice(&new.to_bytes());
    Some(())
}

/// Mends what is there of the transport header that an error quotes.
fn mend_quoted(data: &mut [u8], inner: &Header, direction: Direction) {
    if !matches!(inner.protocol, protocol::ICMP | protocol::ICMPV6) {
        mend(data, inner.protocol, inner.addresses);
        return;
    }
    let kind = data.first().and_then(|kind| echo_type(*kind, direction));
    if let (Some(kind), Some(delta)) = (kind, inner.icmp_delta(direction)) {
        set_icmp_type(data, kind, delta);
    }
}

fn set_icmp_type(data: &mut [u8], kind: u8, delta: Delta) {
    if let Some([old, code, high, low, ..]) = data.first_chunk_mut::<4>() {
        let word = |kind| u16::from_be_bytes([kind, *code]);
        let delta = delta.replace_u16(word(*old), word(kind));
        *old = kind;
        [*high, *low] = delta.apply(u16::from_be_bytes([*high, *low])).to_be_bytes();
    }
}

fn echo_type(kind: u8, direction: Direction) -> Option<u8> {
    match (direction, kind) {
        (Direction::ToIpv6, icmp_type::ECHO) => Some(icmpv6_type::ECHO),
        (Direction::ToIpv6, icmp_type::ECHO_REPLY) => Some(icmpv6_type::ECHO_REPLY),
        (Direction::ToIpv4, icmpv6_type::ECHO) => Some(icmp_type::ECHO),
        (Direction::ToIpv4, icmpv6_type::ECHO_REPLY) => Some(icmp_type::ECHO_REPLY),
        _ => None,
    }
}

/// How an error is said in the other protocol, without its checksum.
fn error_of(old: IcmpFields, direction: Direction) -> Option<IcmpFields> {
    let (kind, code, second_word) = match direction {
        Direction::ToIpv6 => error_to_ipv6(old)?,
        Direction::ToIpv4 => error_to_ipv4(old)?,
    };
    Some(IcmpFields {
        kind,
        code,
        checksum: 0,
        second_word,
    })
}

/// RFC 7915, section 4.2.
fn error_to_ipv6(old: IcmpFields) -> Option<(u8, u8, u32)> {
    /// Where the fields of an IPv4 header are in an IPv6 header, by byte.
    const POINTERS: [Option<u32>; 20] = {
        let mut table = [None; 20];
        let pairs: &[(usize, u32)] = &[(0, 0), (1, 1), (2, 4), (3, 4), (8, 7), (9, 6)];
        let mut at = 0;
        while at < pairs.len() {
            table[pairs[at].0] = Some(pairs[at].1);
            at += 1;
        }
        let mut at = 12;
        while at < 20 {
            table[at] = Some(if at < 16 { 8 } else { 24 });
            at += 1;
        }
        table
    };
    match (old.kind, old.code) {
        (icmp_type::UNREACHABLE, unreachable_code::PROTOCOL) => {
            Some((icmpv6_type::PARAMETER_PROBLEM, 1, 6))
        }
        (icmp_type::UNREACHABLE, unreachable_code::PORT) => Some((icmpv6_type::UNREACHABLE, 4, 0)),
        (icmp_type::UNREACHABLE, unreachable_code::NEED_FRAGMENT) => {
            let mtu = (old.second_word & 0xffff) + 20;
            Some((icmpv6_type::PACKET_TOO_BIG, 0, mtu.max(1280)))
        }
        (icmp_type::UNREACHABLE, 0 | 1 | 5..=8 | 11 | 12) => Some((icmpv6_type::UNREACHABLE, 0, 0)),
        (icmp_type::UNREACHABLE, 9 | 10 | 13 | 15) => Some((icmpv6_type::UNREACHABLE, 1, 0)),
        (icmp_type::TIME_EXCEEDED, code) => Some((icmpv6_type::TIME_EXCEEDED, code, 0)),
        (icmp_type::PARAMETER_PROBLEM, 0 | 2) => {
            let pointer = usize::try_from(old.second_word >> 24).ok()?;
            let pointer = (*POINTERS.get(pointer)?)?;
            Some((icmpv6_type::PARAMETER_PROBLEM, 0, pointer))
        }
        _ => None,
    }
}

/// RFC 7915, section 5.2.
fn error_to_ipv4(old: IcmpFields) -> Option<(u8, u8, u32)> {
    match (old.kind, old.code) {
        (icmpv6_type::UNREACHABLE, 0 | 2 | 3) => {
            Some((icmp_type::UNREACHABLE, unreachable_code::HOST, 0))
        }
        (icmpv6_type::UNREACHABLE, 1) => Some((icmp_type::UNREACHABLE, 10, 0)),
        (icmpv6_type::UNREACHABLE, 4) => Some((icmp_type::UNREACHABLE, unreachable_code::PORT, 0)),
        (icmpv6_type::PACKET_TOO_BIG, _) => {
            let mtu = old.second_word.saturating_sub(20).min(0xffff);
            let code = unreachable_code::NEED_FRAGMENT;
            Some((icmp_type::UNREACHABLE, code, mtu))
        }
        (icmpv6_type::TIME_EXCEEDED, code) => Some((icmp_type::TIME_EXCEEDED, code, 0)),
        (icmpv6_type::PARAMETER_PROBLEM, 0) => {
            let pointer: u32 = match old.second_word {
                0 => 0,
                1 => 1,
                4 | 5 => 2,
                6 => 9,
                7 => 8,
                8..24 => 12,
                24..40 => 16,
                _ => return None,
            };
            Some((icmp_type::PARAMETER_PROBLEM, 0, pointer << 24))
        }
        (icmpv6_type::PARAMETER_PROBLEM, 1) => {
            Some((icmp_type::UNREACHABLE, unreachable_code::PROTOCOL, 0))
        }
        _ => None,
    }
}
