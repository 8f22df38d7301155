//! Fields of the IPv4 header.

use core::fmt::Write;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, IpProtocol, NoNames};
use sprat_packet::headers::Ipv4;
use sprat_packet::headers::protocol::{ICMP, TCP, UDP};

use super::fields::{Field, number};
use super::ip_options;

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        &["ip_src", "src"],
        |draft, word| {
            draft.flow.source = word.parse::<Ipv4Addr>().ok()?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip.as_ref()?.source()).ok(),
    ),
    Field::new(
        &["ip_dst", "dst"],
        |draft, word| {
            draft.flow.destination = word.parse::<Ipv4Addr>().ok()?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip.as_ref()?.destination()).ok(),
    ),
    Field::new(
        &["ip_frag", "frag"],
        |draft, word| {
            // The offset may have been said exactly before.
            draft.flags_and_offset |= match word {
                "F" => Ipv4::MORE_FRAGMENTS,
                // Which later fragment it is, nobody says: one after 800 bytes.
                "f" if draft.flags_and_offset & Ipv4::OFFSET_MASK == 0 => 100,
                "f" | "." => 0,
                "!" => Ipv4::DONT_FRAGMENT,
                _ => return None,
            };
            Some(())
        },
        |view, out| {
            let ip = view.ip.as_ref()?;
            out.push(if !ip.is_first_fragment() {
                'f'
            } else if ip.more_fragments() {
                'F'
            } else if ip.dont_fragment() {
                '!'
            } else {
                '.'
            });
            Some(())
        },
    ),
    Field::new(
        &["ip_fragoff", "fragoff"],
        |draft, word| {
            let digits = word.trim_end_matches(['+', '!']);
            let offset: u16 = number(digits)?;
            if !offset.is_multiple_of(8) || offset / 8 > Ipv4::OFFSET_MASK {
                return None;
            }
            let flag = |mark, flag| {
                if word[digits.len()..].contains(mark) {
                    flag
                } else {
                    0
                }
            };
            draft.flags_and_offset =
                (offset / 8) | flag('+', Ipv4::MORE_FRAGMENTS) | flag('!', Ipv4::DONT_FRAGMENT);
            Some(())
        },
        |view, out| {
            let ip = view.ip.as_ref()?;
            let more = if ip.more_fragments() { "+" } else { "" };
            let whole = if ip.dont_fragment() { "!" } else { "" };
            write!(out, "{}{more}{whole}", ip.fragment_offset()).ok()
        },
    ),
    Field::new(
        &["ip_len", "ip_length", "len", "length"],
        |draft, word| {
            draft.ip_length = Some(number(word)?);
            Some(())
        },
        |view, out| match &view.ip {
            Some(ip) => write!(out, "{}", ip.total_length()).ok(),
            None => write!(out, "{}", view.packet.len() + view.extra()).ok(),
        },
    ),
    Field::new(
        &["ip_capture_len", "ip_capture_length", "ip_caplen"],
        |draft, word| {
            draft.captured = Some(number(word)?);
            Some(())
        },
        |view, out| {
            let present = view.packet.network_header()?.len();
            let length = usize::from(view.ip.as_ref()?.total_length());
            write!(out, "{}", present.min(length)).ok()
        },
    ),
    Field::new(
        &["ip_proto", "proto"],
        |draft, word| {
            draft.flow.protocol = protocol(word)?;
            Some(())
        },
        |view, out| match view.ip.as_ref()?.protocol() {
            ICMP => out.write_char('I').ok(),
            TCP => out.write_char('T').ok(),
            UDP => out.write_char('U').ok(),
            other => write!(out, "{other}").ok(),
        },
    ),
    Field::new(
        &["ip_hl"],
        |draft, word| {
            draft.ip_header_length = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip.as_ref()?.header_length()).ok(),
    ),
    Field::new(
        &["ip_id", "id"],
        |draft, word| {
            draft.identification = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip.as_ref()?.identification()).ok(),
    ),
    Field::new(
        &["ip_tos", "tos"],
        |draft, word| {
            draft.type_of_service = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip.as_ref()?.type_of_service()).ok(),
    ),
    Field::new(
        &["ip_dscp", "dscp"],
        |draft, word| {
            let dscp = number::<u8>(word).filter(|dscp| *dscp < 64)?;
            draft.type_of_service = dscp << 2 | draft.type_of_service & 3;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip.as_ref()?.dscp()).ok(),
    ),
    Field::new(
        &["ip_ecn", "ecn"],
        |draft, word| {
            let ecn = ECN.iter().position(|name| *name == word);
            let ecn = match ecn {
                Some(ecn) => u8::try_from(ecn).ok()?,
                None => number::<u8>(word).filter(|ecn| *ecn < 4)?,
            };
            draft.type_of_service = draft.type_of_service & !3 | ecn;
            Some(())
        },
        |view, out| {
            out.push_str(ECN[usize::from(view.ip.as_ref()?.ecn() & 3)]);
            Some(())
        },
    ),
    Field::new(
        &["ip_ttl", "ttl"],
        |draft, word| {
            draft.time_to_live = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip.as_ref()?.time_to_live()).ok(),
    ),
    Field::new(
        &["ip_sum"],
        |draft, word| {
            draft.ip_checksum = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip.as_ref()?.checksum()).ok(),
    ),
    Field::new(
        &["ip_opt"],
        |draft, word| ip_options::parse(word, &mut draft.ip_options),
        |view, out| ip_options::write(view.ip.as_ref()?.option_bytes(), out),
    ),
];

/// The names of the two bits of explicit congestion notification.
const ECN: [&str; 4] = ["no", "ect1", "ect2", "ce"];

/// Reads a protocol: `T`, `U`, `I`, a name or a number.
pub(super) fn protocol(word: &str) -> Option<u8> {
    match word {
        "I" => Some(ICMP),
        "T" => Some(TCP),
        "U" => Some(UDP),
        _ => IpProtocol::parse(word, &NoNames)
            .ok()
            .map(|protocol| protocol.0),
    }
}
