//! A field of IP packets by name or place, as `ip src/8` or `transp[2:2] & 0x3f0`.

use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::arguments::parse_unsigned;
use sprat_packet::headers::protocol::{ICMP, TCP, UDP};
use sprat_packet::headers::{Ipv4, Tcp};

/// What an offset counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Base {
    Network,
    Transport,
    Payload,
}

/// Which packets have the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocols {
    Any,
    One(u8),
    /// Those with ports.
    TcpOrUdp,
}

/// Up to 32 bits that packets have at the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IpField {
    base: Base,
    protocols: Protocols,
    /// In bits.
    offset: usize,
    length: u32,
}

use Base::{Network, Transport};
use Protocols::{Any, One, TcpOrUdp};

/// Names, and where their fields are: Click's names from its manual page AggregateIP(n), places from
/// RFC 791, 768, 9293 and 792.
const NAMED: &[(&str, Base, Protocols, usize, u32)] = &[
    ("ip vers", Network, Any, 0, 4),
    ("ip hl", Network, Any, 4, 4),
    ("ip tos", Network, Any, 8, 8),
    ("ip dscp", Network, Any, 8, 6),
    ("ip ecn", Network, Any, 14, 2),
    ("ip len", Network, Any, 16, 16),
    ("ip id", Network, Any, 32, 16),
    ("ip off", Network, Any, 48, 16),
    ("ip rf", Network, Any, 48, 1),
    ("ip df", Network, Any, 49, 1),
    ("ip mf", Network, Any, 50, 1),
    ("ip fragoff", Network, Any, 51, 13),
    ("ip ttl", Network, Any, 64, 8),
    ("ip proto", Network, Any, 72, 8),
    ("ip sum", Network, Any, 80, 16),
    ("ip src", Network, Any, 96, 32),
    ("ip dst", Network, Any, 128, 32),
    ("sport", Transport, TcpOrUdp, 0, 16),
    ("dport", Transport, TcpOrUdp, 16, 16),
    ("udp sport", Transport, One(UDP), 0, 16),
    ("udp dport", Transport, One(UDP), 16, 16),
    ("udp len", Transport, One(UDP), 32, 16),
    ("udp sum", Transport, One(UDP), 48, 16),
    ("tcp sport", Transport, One(TCP), 0, 16),
    ("tcp dport", Transport, One(TCP), 16, 16),
    ("tcp seq", Transport, One(TCP), 32, 32),
    ("tcp seqno", Transport, One(TCP), 32, 32),
    ("tcp ack", Transport, One(TCP), 64, 32),
    ("tcp ackno", Transport, One(TCP), 64, 32),
    ("tcp hl", Transport, One(TCP), 96, 4),
    ("tcp flags", Transport, One(TCP), 104, 8),
    ("tcp urg", Transport, One(TCP), 106, 1),
    ("tcp ackf", Transport, One(TCP), 107, 1),
    ("tcp psh", Transport, One(TCP), 108, 1),
    ("tcp rst", Transport, One(TCP), 109, 1),
    ("tcp syn", Transport, One(TCP), 110, 1),
    ("tcp fin", Transport, One(TCP), 111, 1),
    ("tcp win", Transport, One(TCP), 112, 16),
    ("tcp sum", Transport, One(TCP), 128, 16),
    ("tcp urp", Transport, One(TCP), 144, 16),
    ("icmp type", Transport, One(ICMP), 0, 8),
    ("icmp code", Transport, One(ICMP), 8, 8),
    ("icmp sum", Transport, One(ICMP), 16, 16),
];

/// What offsets may count from, by name.
const BASES: &[(&str, Base, Protocols)] = &[
    ("ip", Base::Network, Any),
    ("transp", Base::Transport, Any),
    ("tcp", Base::Transport, One(TCP)),
    ("udp", Base::Transport, One(UDP)),
    ("icmp", Base::Transport, One(ICMP)),
    ("data", Base::Payload, TcpOrUdp),
];

impl IpField {
    /// Reads a field.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let end = text.find(['/', '&']).unwrap_or(text.len());
        let (place, mask) = text.split_at(end);
        let field = match place.find(['[', '{']) {
            Some(open) => Self::at(&place[..open], place[open..].trim())?,
            None => Self::named(place)?,
        };
        if !(1..=32).contains(&field.length) {
            return Err(format!("{} bits wide; at most 32 can be", field.length));
        }
        match mask.split_at_checked(1) {
            None => Ok(field),
            Some(("/", length)) => field.upper_bits(length.trim()),
            Some((_, mask)) => field.masked(mask.trim()),
        }
    }

    fn named(name: &str) -> Result<Self, String> {
        let mut words = name.split_whitespace();
        let name = match (words.next(), words.next(), words.next()) {
            (Some(word), None, None) => word.to_string(),
            (Some(base), Some(word), None) => format!("{base} {word}"),
            _ => String::new(),
        };
        let named = NAMED.iter().find(|named| named.0 == name);
        let &(_, base, protocols, offset, length) =
            named.ok_or_else(|| format!("unknown field '{name}'"))?;
        Ok(Self {
            base,
            protocols,
            offset,
            length,
        })
    }

    /// A field by its place: `[OFFSET:LENGTH]`, `[FIRST-LAST]` or `[OFFSET]` in bytes, in braces
    /// in bits.
    fn at(base: &str, place: &str) -> Result<Self, String> {
        let base = base.trim();
        let wrong = || format!("bad place '{base}{place}'");
        let known = BASES.iter().find(|known| known.0 == base);
        let &(_, base, protocols) = known.ok_or_else(wrong)?;
        let (inner, unit) = match place.as_bytes() {
            [b'[', .., b']'] => (&place[1..place.len() - 1], 8),
            [b'{', .., b'}'] => (&place[1..place.len() - 1], 1),
            _ => return Err(wrong()),
        };
        let number = |text: &str| match parse_unsigned(text.trim()) {
            Some(Ok(number)) if number <= 65_535 => usize::try_from(number).ok(),
            _ => None,
        };
        let (offset, length) = if let Some((offset, length)) = inner.split_once([':', ',']) {
            (number(offset), number(length))
        } else if let Some((first, last)) = inner.split_once('-') {
            let (first, last) = (number(first), number(last));
            let length = last
                .zip(first)
                .and_then(|(last, first)| last.checked_sub(first));
            (first, length.map(|length| length + 1))
        } else {
            (number(inner), Some(1))
        };
        let (offset, length) = offset.zip(length).ok_or_else(wrong)?;
        Ok(Self {
            base,
            protocols,
            offset: offset * unit,
            length: u32::try_from(length * unit).unwrap_or(u32::MAX),
        })
    }

    fn upper_bits(self, length: &str) -> Result<Self, String> {
        match length.parse() {
            Ok(length) if (1..=self.length).contains(&length) => Ok(Self { length, ..self }),
            _ => Err(format!("bad prefix '/{length}'")),
        }
    }

    fn masked(self, mask: &str) -> Result<Self, String> {
        let wrong = || format!("mask '{mask}' is not one stretch of ones within the field");
        let mask = match parse_unsigned(mask) {
            Some(Ok(mask)) => u32::try_from(mask).map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        let length = mask.count_ones();
        let below = mask.trailing_zeros();
        // Nothing but ones is left of the mask without what is below them.
        let contiguous = mask != 0 && (u64::from(mask) >> below).wrapping_add(1).is_power_of_two();
        match self.length.checked_sub(length + below) {
            Some(above) if contiguous => Ok(Self {
                offset: self.offset + above as usize,
                length,
                ..self
            }),
            _ => Err(wrong()),
        }
    }

    /// The field's value in a packet, given from its network header on.
    pub(super) fn value(&self, packet: &[u8]) -> Option<u32> {
        let bytes = match self.base {
            Base::Network => packet,
            _ => {
                let ip = Ipv4::new(packet).ok()?;
                let protocol = ip.protocol();
                let fits = match self.protocols {
                    Any => true,
                    One(one) => protocol == one,
                    TcpOrUdp => protocol == TCP || protocol == UDP,
                };
                if !fits || !ip.is_first_fragment() {
                    return None;
                }
                let transport = ip.payload();
                match (self.base, protocol) {
                    (Base::Payload, UDP) => transport.get(8..)?,
                    (Base::Payload, _) => Tcp::new(transport).ok()?.payload(),
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

    /// What its place counts from, as Click says it.
    pub(super) fn header(&self) -> &'static str {
        match self.base {
            Base::Network => "ip",
            Base::Transport => "transp",
            Base::Payload => "payload",
        }
    }

    /// How far its value is from where it stands in an address, if it lies within one of them.
    pub(super) fn shift_in_address(&self) -> Option<u32> {
        let end = self.offset + self.length as usize;
        [96, 128].into_iter().find_map(|start: usize| {
            let behind = (start + 32).checked_sub(end)?;
            let within = self.base == Base::Network && self.offset >= start;
            u32::try_from(behind).ok().filter(|_| within)
        })
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
            ("data[0:2]", 0xcafe),
            ("data{4:8}", 0xaf),
            ("ip src & 0x00ffff00", 0x0203),
        ] {
            assert_eq!(value(field), Some(expected), "{field}");
        }
    }

    #[test]
    fn packets_of_other_protocols_and_short_ones_lack_fields() {
        for field in ["tcp sport", "icmp type", "ip[29:2]", "data[1:2]", "tcp[0]"] {
            assert_eq!(value(field), None, "{field}");
        }
        let mut fragment = PACKET;
        fragment[7] = 1;
        let sport = IpField::parse("sport").expect("a field");
        assert_eq!(sport.value(&fragment), None);
    }

    #[test]
    fn wrong_fields_are_named() {
        for (field, wrong) in [
            ("ip sort", "unknown field 'ip sort'"),
            ("", "unknown field ''"),
            ("arp[1]", "bad place 'arp[1]'"),
            ("ip[1", "bad place 'ip[1'"),
            ("ip[5-3]", "bad place 'ip[5-3]'"),
            ("ip[0:5]", "40 bits wide; at most 32 can be"),
            ("ip src/33", "bad prefix '/33'"),
            ("ip src/0", "bad prefix '/0'"),
            (
                "ip tos & 0x101",
                "mask '0x101' is not one stretch of ones within the field",
            ),
            (
                "ip tos & 5",
                "mask '5' is not one stretch of ones within the field",
            ),
        ] {
            assert_eq!(IpField::parse(field), Err(wrong.to_string()), "{field}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_field_or_an_error(text in "(ip|tcp|data)?[ a-z\\[\\]{}:,0-9/&x-]{0,20}") {
            if let Ok(field) = IpField::parse(&text) {
                field.value(&PACKET);
                field.shift_in_address();
            }
        }
    }
}
