//! Neighbour discovery messages (RFC 4861) in their Ethernet frames.

use core::net::Ipv6Addr;

use sprat_packet::checksum::Sum;
use sprat_packet::headers::{
    Ethernet, EthernetFields, Icmpv6, Icmpv6Fields, Icmpv6Mut, Ipv6, Ipv6Fields, ethertype,
    protocol,
};
use sprat_packet::{DEFAULT_HEADROOM, EtherAddress, Packet, Pool};

/// The options that say a link address: of the sender, and of the target.
pub(super) const SOURCE_LINK_ADDRESS: u8 = 1;
pub(super) const TARGET_LINK_ADDRESS: u8 = 2;

/// Bytes of the message: its first words, the target, one option.
const MESSAGE: usize = 8 + 16 + 8;

/// A solicitation or advertisement that was received.
pub(super) struct Heard {
    pub(super) kind: u8,
    pub(super) link_source: EtherAddress,
    pub(super) source: Ipv6Addr,
    pub(super) target: Ipv6Addr,
    /// The link address that its option says.
    pub(super) link_address: Option<EtherAddress>,
}

/// Reads the message that an Ethernet frame holds. It must come from this link, which the hop limit of 255
/// shows, and have a good checksum (RFC 4861, section 7.1).
pub(super) fn hear(frame: &[u8]) -> Option<Heard> {
    let ethernet = Ethernet::new(frame).ok()?;
    if ethernet.ethertype() != ethertype::IPV6 {
        return None;
    }
    let ip = Ipv6::new(ethernet.payload()).ok()?;
    let message = ip.payload();
    let icmp = Icmpv6::new(message).ok()?;
    let length = u32::try_from(message.len()).ok()?;
    let checksum = icmp.computed_checksum(ip.pseudo_header(protocol::ICMPV6, length));
    if ip.next_header() != protocol::ICMPV6
        || ip.hop_limit() != 255
        || icmp.code() != 0
        || checksum != icmp.checksum()
    {
        return None;
    }
    let option = message.get(24..32).filter(|option| {
        matches!(option[0], SOURCE_LINK_ADDRESS | TARGET_LINK_ADDRESS) && option[1] == 1
    });
    Some(Heard {
        kind: icmp.kind(),
        link_source: ethernet.source(),
        source: ip.source(),
        target: icmp.target()?,
        link_address: option
            .and_then(|option| option.last_chunk::<6>())
            .map(|address| EtherAddress(*address)),
    })
}

/// What a message to be sent says.
pub(super) struct Message {
    pub(super) link: (EtherAddress, EtherAddress),
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
    pub(super) kind: u8,
    pub(super) flags: u32,
    pub(super) target: Ipv6Addr,
    pub(super) option: u8,
    pub(super) link_address: EtherAddress,
}

impl Message {
    /// The message in its frame; `link` is source and destination.
    pub(super) fn frame(&self, pool: &Pool) -> Option<Packet> {
        let mut packet = pool.packet_zeroed(DEFAULT_HEADROOM, 14 + Ipv6::LENGTH + MESSAGE);
        let length = u16::try_from(MESSAGE).ok()?;
        let ethernet = EthernetFields {
            source: self.link.0,
            destination: self.link.1,
            ethertype: ethertype::IPV6,
        };
        let network = Ipv6Fields {
            traffic_class: 0,
            flow_label: 0,
            payload_length: length,
            next_header: protocol::ICMPV6,
            hop_limit: 255,
            source: self.source,
            destination: self.destination,
        };
        let first = Icmpv6Fields {
            kind: self.kind,
            code: 0,
            checksum: 0,
            second_word: self.flags,
        };
        let parts: [&[u8]; 6] = [
            &ethernet.to_bytes(),
            &network.to_bytes(),
            &first.to_bytes(),
            &self.target.octets(),
            &[self.option, 1],
            &self.link_address.0,
        ];
        let mut rest = packet.data_mut();
        for part in parts {
            let (place, behind) = rest.split_at_mut_checked(part.len())?;
            place.copy_from_slice(part);
            rest = behind;
        }
        let pseudo_header = Sum::pseudo_header_v6(
            self.source,
            self.destination,
            protocol::ICMPV6,
            length.into(),
        );
        Icmpv6Mut::new(packet.data_mut().get_mut(14 + Ipv6::LENGTH..)?)
            .ok()?
            .fill_checksum(pseudo_header);
        packet.set_mac_header(0);
        packet.set_network_header(14, Ipv6::LENGTH);
        Some(packet)
    }
}

/// The group that those are in who might have `address` (RFC 4291, section 2.7.1).
pub(super) fn solicited_group(address: Ipv6Addr) -> Ipv6Addr {
    let low = address.to_bits() & 0xff_ffff;
    Ipv6Addr::from_bits(0xff02_0000_0000_0000_0000_0001_ff00_0000 | low)
}

/// The Ethernet address of a multicast group (RFC 2464, section 7).
pub(super) fn group_address(group: Ipv6Addr) -> EtherAddress {
    let [.., a, b, c, d] = group.octets();
    EtherAddress([0x33, 0x33, a, b, c, d])
}
