//! Fields of the IPv4 header.

use alloc::string::String;
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
            draft.flags_and_offset = flags_and_offset(word)?;
            Some(())
        },
        |view, out| write_offset(view.ip.as_ref()?.flags_and_offset(), out).ok(),
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
            draft.type_of_service = draft.type_of_service & !3 | congestion(word)?;
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
        |view, out| {
            ip_options::write(view.ip.as_ref()?.option_bytes(), out);
            Some(())
        },
    ),
];

/// The names of the two bits of explicit congestion notification.
const ECN: [&str; 4] = ["no", "ect1", "ect2", "ce"];

/// Reads the two bits of explicit congestion notification: by name or number.
pub(super) fn congestion(word: &str) -> Option<u8> {
    match ECN.iter().position(|name| *name == word) {
        Some(ecn) => u8::try_from(ecn).ok(),
        None => number::<u8>(word).filter(|ecn| *ecn < 4),
    }
}

/// Reads an offset in bytes, with `+` where more fragments follow and `!` where there must be
/// none.
pub(super) fn flags_and_offset(word: &str) -> Option<u16> {
    let digits = word.trim_end_matches(['+', '!']);
    let offset: u16 = number(digits)?;
    if !offset.is_multiple_of(8) || offset / 8 > Ipv4::OFFSET_MASK {
        return None;
    }
    let marks = &word[digits.len()..];
    let flag = |mark, flag| if marks.contains(mark) { flag } else { 0 };
    Some((offset / 8) | flag('+', Ipv4::MORE_FRAGMENTS) | flag('!', Ipv4::DONT_FRAGMENT))
}

/// Writes an offset so.
pub(super) fn write_offset(field: u16, out: &mut String) -> core::fmt::Result {
    let mark = |flag, mark| if field & flag == 0 { "" } else { mark };
    let more = mark(Ipv4::MORE_FRAGMENTS, "+");
    let whole = mark(Ipv4::DONT_FRAGMENT, "!");
    write!(out, "{}{more}{whole}", (field & Ipv4::OFFSET_MASK) * 8)
}

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
