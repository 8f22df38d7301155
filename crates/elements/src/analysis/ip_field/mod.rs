//! A field of IP packets by name or place, as `ip src/8` or `transp [2:2] & 0x3f0`.

use alloc::format;
use alloc::string::{String, ToString};

use sprat_packet::headers::protocol::{ICMP, TCP, UDP};
use sprat_packet::headers::{Ipv4, Tcp};

mod parse;

/// What a field's place counts from, and which packets have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Network,
    /// Of packets with ports.
    TcpOrUdp,
    Transport,
    Payload,
    Protocol(u8),
}

use Header::{Network, Protocol, TcpOrUdp};

/// Bits that packets have at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IpField {
    header: Header,
    /// In bits.
    offset: usize,
    length: u32,
}

/// Names, and where their fields are: Click's names from its manual page AggregateIP(n), in the order
/// in which they are looked for when a field is told; places from RFC 791, 768, 9293 and 792.
const NAMED: &[(Header, &str, usize, u32)] = &[
    (Network, "df", 49, 1),
    (Network, "dscp", 8, 6),
    (Network, "dst", 128, 32),
    (Network, "ecn", 14, 2),
    (Network, "fragoff", 51, 13),
    (Network, "hl", 4, 4),
    (Network, "id", 32, 16),
    (Network, "len", 16, 16),
    (Network, "mf", 50, 1),
    (Network, "off", 48, 16),
    (Network, "proto", 72, 8),
    (Network, "rf", 48, 1),
    (Network, "src", 96, 32),
    (Network, "sum", 80, 16),
    (Network, "tos", 8, 8),
    (Network, "ttl", 64, 8),
    (Network, "vers", 0, 4),
    (Protocol(UDP), "dport", 16, 16),
    (Protocol(UDP), "len", 32, 16),
    (Protocol(UDP), "sport", 0, 16),
    (Protocol(UDP), "sum", 48, 16),
    (Protocol(TCP), "ack", 107, 1),
    (Protocol(TCP), "ackno", 64, 32),
    (Protocol(TCP), "dport", 16, 16),
    (Protocol(TCP), "fin", 111, 1),
    (Protocol(TCP), "flags", 104, 8),
    (Protocol(TCP), "hl", 96, 4),
    (Protocol(TCP), "psh", 108, 1),
    (Protocol(TCP), "push", 108, 1),
    (Protocol(TCP), "rst", 109, 1),
    (Protocol(TCP), "seq", 32, 32),
    (Protocol(TCP), "seqno", 32, 32),
    (Protocol(TCP), "sport", 0, 16),
    (Protocol(TCP), "sum", 128, 16),
    (Protocol(TCP), "syn", 110, 1),
    (Protocol(TCP), "urg", 106, 1),
    (Protocol(TCP), "urp", 144, 16),
    (Protocol(TCP), "win", 112, 16),
    (Protocol(ICMP), "code", 8, 8),
    (Protocol(ICMP), "sum", 16, 16),
    (Protocol(ICMP), "type", 0, 8),
    (TcpOrUdp, "dport", 16, 16),
    (TcpOrUdp, "sport", 0, 16),
];

/// Headers by the names that Click has for protocols.
const HEADERS: &[(&str, Header)] = &[
    ("dccp", Protocol(33)),
    ("gre", Protocol(47)),
    ("icmp", Protocol(ICMP)),
    ("igmp", Protocol(2)),
    ("ipip", Protocol(4)),
    ("payload", Header::Payload),
    ("sctp", Protocol(132)),
    ("tcp", Protocol(TCP)),
    ("tcpudp", TcpOrUdp),
    ("transp", Header::Transport),
    ("udp", Protocol(UDP)),
];

impl IpField {
    /// The field's value in a packet, given from its network header on. The field is at most 32 bits
    /// long.
    pub(super) fn value(&self, packet: &[u8]) -> Option<u32> {
        let bytes = match self.header {
            Network => packet,
            _ => {
                let ip = Ipv4::new(packet).ok()?;
                let protocol = ip.protocol();
                let fits = match self.header {
                    Protocol(one) => protocol == one,
                    Header::Transport | Network => true,
                    TcpOrUdp | Header::Payload => protocol == TCP || protocol == UDP,
                };
                if !fits || !ip.is_first_fragment() {
                    return None;
                }
                let transport = ip.payload();
                match (self.header, protocol) {
                    (Header::Payload, UDP) => transport.get(8..)?,
                    (Header::Payload, _) => Tcp::new(transport).ok()?.payload(),
                    _ => transport,
                }
            }
        };
        let first = self.offset / 8;
        let end = (self.offset + self.length as usize).div_ceil(8);
        let all = bytes.get(first..end)?;
        let all = all
            .iter()
            .fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        let behind = end * 8 - self.offset - self.length as usize;
        let value = all >> behind & (u64::MAX >> (64 - self.length));
        u32::try_from(value).ok()
    }

    /// How many bits the field has.
    pub(super) fn length(&self) -> u32 {
        self.length
    }

    /// Where it begins, in bits.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// What its place counts from, as Click says it: a protocol by name or number.
    pub(super) fn header(&self) -> String {
        match (self.header, self.header_name()) {
            (_, Some(name)) => name.to_string(),
            (Protocol(number), None) => number.to_string(),
            _ => "0".to_string(),
        }
    }

    fn header_name(&self) -> Option<&'static str> {
        let known = HEADERS.iter().find(|known| known.1 == self.header);
        known.map(|known| known.0)
    }

    /// The field as Click tells it: by its name, as the first bits of a named one, or by its place.
    pub(super) fn text(&self) -> String {
        let header = match (self.header, self.header_name()) {
            (_, Some(name)) => name.to_string(),
            (Protocol(number), None) => format!("ip proto {number}"),
            _ => "ip".to_string(),
        };
        let name = |offset: usize, length: u32| {
            let place = (self.header, offset, length);
            let named = NAMED
                .iter()
                .find(|named| (named.0, named.2, named.3) == place);
            named.map(|named| named.1)
        };
        let (mut offset, length) = (self.offset, self.length as usize);
        if let Some(name) = name(offset, self.length) {
            return format!("{header} {name}");
        }
        let around = [8_u32, 16, 32].into_iter().find_map(|bits| {
            let container = bits as usize;
            let begin = offset - offset % container;
            let within = offset + length <= begin + container;
            name(begin, bits)
                .filter(|_| within)
                .map(|name| (name, begin))
        });
        let header = match around {
            Some((name, begin)) if begin == offset => return format!("{header} {name}/{length}"),
            Some((name, begin)) => {
                offset -= begin;
                format!("{header} {name}")
            }
            None => header,
        };
        match (offset % 8, length % 8, length) {
            (0, _, 8) => format!("{header}[{}]", offset / 8),
            (0, 0, _) => format!("{header}[{}:{}]", offset / 8, length / 8),
            (_, _, 1) => format!("{header}{{{offset}}}"),
            _ => format!("{header}{{{offset}:{length}}}"),
        }
    }

    /// How far its value is from where it stands in an address, if it begins within one.
    pub(super) fn shift_in_address(&self) -> Option<u32> {
        let last = self.offset + self.length as usize - 1;
        let within = self.header == Network && (96..160).contains(&self.offset);
        u32::try_from(31 - last % 32).ok().filter(|_| within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UDP from 1.2.3.4 port 0x1234 to 5.6.7.8 port 0x35, ttl 64, id 0xabcd, DF, tos 0xb8.
    const PACKET: [u8; 30] = [
        0x45, 0xb8, 0, 30, 0xab, 0xcd, 0x40, 0, 64, 17, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x12, 0x34,
        0, 0x35, 0, 10, 0, 0, 0xca, 0xfe,
    ];

    fn value(field: &str) -> Option<u32> {
        IpField::parse(field).expect("a field").value(&PACKET)
    }

    #[test]
    fn names_places_and_masks_say_the_same() {
        for field in [
            "ip src/8",
            "ip src & 0xFF000000",
            "ip[12]",
            "ip[12:1]",
            "ip[12, 1]",
            "ip{96:8}",
            "ip{96-103}",
            "ip src [0]",
            "ip src{0:8}",
            "ip src {0-7} & 0xff",
            "ip src&0xff000000",
        ] {
            assert_eq!(value(field), Some(1), "{field}");
        }
        assert_eq!(IpField::parse("ip src/8"), IpField::parse("ip{96-103}"));
    }

    #[test]
    fn fields_are_read_where_they_are() {
        for (field, expected) in [
            ("ip vers", 4),
            ("ip hl", 5),
            ("ip dscp", 46),
            ("ip ecn", 0),
            ("ip id", 0xabcd),
            ("ip df", 1),
            ("ip mf", 0),
            ("ip ttl", 64),
            ("ip dst", 0x0506_0708),
            ("ip[8:2] & 0x3F0", 1),
            ("sport", 0x1234),
            ("udp dport", 53),
            ("transp[0-3]", 0x1234_0035),
            ("payload[0:2]", 0xcafe),
            ("payload{4:8}", 0xaf),
            ("udp [2-3]", 53),
            ("ip proto 17 [0:2]", 0x1234),
            ("ip sport", 0x1234),
            ("tcpudp dport", 53),
            ("ip src & 0x00ffff00", 0x0203),
        ] {
            assert_eq!(value(field), Some(expected), "{field}");
        }
    }

    #[test]
    fn packets_of_other_protocols_and_short_ones_lack_fields() {
        for field in [
            "tcp sport",
            "icmp type",
            "ip[29:2]",
            "payload[1:2]",
            "ip proto 6 [0]",
            "tcp[0]",
        ] {
            assert_eq!(value(field), None, "{field}");
        }
        let mut fragment = PACKET;
        fragment[7] = 1;
        let sport = IpField::parse("sport").expect("a field");
        assert_eq!(sport.value(&fragment), None);
    }

    #[test]
    fn fields_are_told_as_click_tells_them() {
        for (field, header, text) in [
            ("ip src", "0", "ip src"),
            ("ip src/8", "0", "ip src/8"),
            ("ip[13]", "0", "ip src[1]"),
            ("ip src & 0x00ffff00", "0", "ip src[1:2]"),
            ("ip src & 0x00fffe00", "0", "ip src{8:15}"),
            ("ip [12:8]", "0", "ip[12:8]"),
            ("ip { 48 }", "0", "ip rf"),
            ("ip tos/3", "0", "ip tos/3"),
            ("tcp push", "tcp", "tcp psh"),
            ("tcp ack", "tcp", "tcp ack"),
            ("tcp seqno", "tcp", "tcp seq"),
            ("ip sport", "tcpudp", "tcpudp sport"),
            ("transp [2:2]", "transp", "transp[2:2]"),
            ("ip proto 89 [1]", "89", "ip proto 89[1]"),
            ("ip proto 6 {100:3}", "tcp", "tcp{100:3}"),
        ] {
            let field = IpField::parse(field).expect("a field");
            assert_eq!((&*field.header(), &*field.text()), (header, text));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_field_or_an_error(text in "(ip|tcp|payload)?[ a-z\\[\\]{}:,0-9/&x-]{0,20}") {
            if let Ok(field) = IpField::parse(&text) {
                if field.length() <= 32 {
                    field.value(&PACKET);
                }
                field.shift_in_address();
                let again = IpField::parse(&field.text()).expect("a field");
                proptest::prop_assert_eq!(again, field);
            }
        }
    }
}
