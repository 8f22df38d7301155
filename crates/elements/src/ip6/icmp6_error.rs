use core::net::Ipv6Addr;

use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::annotations::FIX_IP_SOURCE;
use sprat_packet::headers::{
    Icmpv6, Icmpv6Fields, Icmpv6Mut, Ipv6, Ipv6Fields, icmpv6_type, protocol,
};
use sprat_packet::{Batch, Packet, PacketKind};

pub(super) const ICMP6_ERROR: Class = Class::of::<Icmp6Error>("ICMP6Error");

/// ICMP6Error: answers IPv6 packets with ICMPv6 errors.
///
/// ```click
/// ICMP6Error(SRC, TYPE [, CODE, keyword MTU])
/// ```
///
/// Turns each IPv6 packet into an ICMPv6 message from SRC to its source, of type TYPE (1 unreachable, 2
/// packet too big, 3 time exceeded, 4 parameter problem) and code CODE (0). The message quotes the packet
/// from its IPv6 header on, and is at most 1280 bytes long. The destination annotation is set, so connect
/// the output to the route lookup.
///
/// Nothing is sent about ICMPv6 errors and redirects, fragments other than the first, packets from no address or a
/// multicast address, and packets that went to a multicast address or came as a link broadcast or multicast,
/// unless they are too big (RFC 4443, section 2.4).
///
/// - MTU: the next hop's MTU that `2` names; 1280.
///
/// See Click's manual page ICMP6Error(n).
struct Icmp6Error {
    source: Ipv6Addr,
    kind: u8,
    code: u8,
    mtu: u32,
}

/// The longest error: the least MTU of an IPv6 link.
const LONGEST: usize = 1280;

const HEADERS: usize = Ipv6::LENGTH + 8;

impl Configure for Icmp6Error {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let source = arguments.required("SRC");
        let kind = arguments.required::<u8>("TYPE");
        let code = arguments.position("CODE").unwrap_or(0);
        let mtu = arguments.keyword("MTU").unwrap_or(1280);
        arguments.finish()?;
        Ok(Self {
            source: source?,
            kind: kind?,
            code,
            mtu,
        })
    }
}

impl Icmp6Error {
    fn deserves_error(&self, packet: &Packet, ip: &Ipv6<'_>) -> bool {
        let Ok(upper) = ip.upper_layer() else {
            return false;
        };
        let first = upper.fragment.is_none_or(|fragment| fragment.offset == 0);
        let message = ip.payload().get(upper.offset..).unwrap_or_default();
        let about_error = upper.protocol == protocol::ICMPV6
            && Icmpv6::new(message).is_ok_and(|icmp| {
                icmpv6_type::is_error(icmp.kind()) || icmp.kind() == icmpv6_type::REDIRECT
            });
        let to_many = ip.destination().is_multicast()
            || matches!(packet.kind(), PacketKind::Broadcast | PacketKind::Multicast);
        first
            && !about_error
            && (!to_many || self.kind == icmpv6_type::PACKET_TOO_BIG)
            && !ip.source().is_unspecified()
            && !ip.source().is_multicast()
    }

    fn answer(&self, mut packet: Packet) -> Option<Packet> {
        let ip = Ipv6::new(packet.network_header()?).ok()?;
        if !self.deserves_error(&packet, &ip) {
            return None;
        }
        let destination = ip.source();
        // The quoted packet stays where it is, and the headers go in front of it.
        let start = packet.network_offset()?;
        match usize::try_from(start) {
            Ok(start) => drop(packet.strip(start)),
            Err(_) => drop(packet.prepend(start.unsigned_abs())),
        }
        packet.truncate(LONGEST - HEADERS);
        let length = u16::try_from(packet.len() + 8).unwrap_or(u16::MAX);
        packet.clear_annotations();
        packet.clear_headers();
        let network = Ipv6Fields {
            traffic_class: 0,
            flow_label: 0,
            payload_length: length,
            next_header: protocol::ICMPV6,
            hop_limit: 255,
            source: self.source,
            destination,
        };
        let second_word = match self.kind {
            icmpv6_type::PACKET_TOO_BIG => self.mtu,
            _ => 0,
        };
        let message = Icmpv6Fields {
            kind: self.kind,
            code: self.code,
            checksum: 0,
            second_word,
        };
        let (first, second) = packet.prepend(HEADERS).split_at_mut(Ipv6::LENGTH);
        first.copy_from_slice(&network.to_bytes());
        second.copy_from_slice(&message.to_bytes());
        let pseudo_header = sprat_packet::checksum::Sum::pseudo_header_v6(
            self.source,
            destination,
            protocol::ICMPV6,
            length.into(),
        );
        Icmpv6Mut::new(packet.data_mut().get_mut(Ipv6::LENGTH..)?)
            .ok()?
            .fill_checksum(pseudo_header);
        packet.set_network_header(0, Ipv6::LENGTH);
        packet.set_destination6(destination);
        packet.set_annotation_byte(FIX_IP_SOURCE, 1);
        Some(packet)
    }
}

impl Element for Icmp6Error {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| self.answer(packet));
    }
}
