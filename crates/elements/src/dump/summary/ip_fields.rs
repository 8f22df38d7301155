//! Fields of the IPv4 header.

use alloc::string::String;
use core::fmt::Write;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, IpProtocol, NoNames};
use sprat_packet::headers::Ipv4;
use sprat_packet::headers::protocol::{ICMP, TCP, UDP};

use super::fields::{Field, number};
use super::ip_options;
use super::view::{half_word, word};

/// What makes a packet a fragment: more follow, or it is not the first.
const FRAGMENT: u16 = Ipv4::MORE_FRAGMENTS | Ipv4::OFFSET_MASK;

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        &["ip_src"],
        |draft, word| {
            draft.flow.source = word.parse::<Ipv4Addr>().ok()?;
            Some(())
        },
        |view, out| {
            let address = word(view.ip(16)?, 12)?;
            write!(out, "{}", Ipv4Addr::from(address)).ok()
        },
    ),
    Field::new(
        &["ip_dst"],
        |draft, word| {
            draft.flow.destination = word.parse::<Ipv4Addr>().ok()?;
            Some(())
        },
        |view, out| {
            let address = word(view.ip(20)?, 16)?;
            write!(out, "{}", Ipv4Addr::from(address)).ok()
        },
    ),
    Field::new(
        &["ip_frag"],
        |draft, word| {
            draft.flags_and_offset = fragment(word)?;
            Some(())
        },
        |view, out| {
            let field = half_word(view.ip(8)?, 6)?;
            out.push(if field & Ipv4::OFFSET_MASK != 0 {
                'f'
            } else if field & FRAGMENT != 0 {
                'F'
            } else if field & Ipv4::DONT_FRAGMENT != 0 {
                '!'
            } else {
                '.'
            });
            Some(())
        },
    ),
    Field::new(
        &["ip_fragoff"],
        |draft, word| {
            draft.flags_and_offset = fragment(word).or_else(|| flags_and_offset(word))?;
            Some(())
        },
        |view, out| write_offset(half_word(view.ip(8)?, 6)?, out).ok(),
    )
    .in_pass(1),
    Field::new(
        &["ip_len", "ip_length", "length"],
        |draft, word| {
            draft.ip_length = Some(number(word)?);
            Some(())
        },
        |view, out| {
            let length = match view.is_ip() {
                true => u32::from(half_word(view.ip(4)?, 2)?),
                false => u32::try_from(view.len()).ok()?,
            };
            write!(out, "{}", length + view.counted_extra()).ok()
        },
    ),
    Field::new(
        &["ip_capture_len", "ip_capture_length", "ip_caplen"],
        // How much of a packet there was is no property of one that is made anew.
        |_, word| number::<u32>(word).map(drop),
        |view, out| {
            let length = match view.is_ip() {
                true => view.ip(4)?.len(),
                false => view.len(),
            };
            write!(out, "{length}").ok()
        },
    ),
    Field::new(
        &["ip_proto", "ip_p"],
        |draft, word| {
            draft.flow.protocol = protocol(word)?;
            Some(())
        },
        |view, out| match view.ip(10)?[9] {
            ICMP => out.write_char('I').ok(),
            TCP => out.write_char('T').ok(),
            UDP => out.write_char('U').ok(),
            other => write!(out, "{other}").ok(),
        },
    ),
    Field::new(
        &["ip_hl"],
        |draft, word| {
            draft.ip_header_length = Some(usize::from(number::<u8>(word)?));
            Some(())
        },
        |view, out| write!(out, "{}", (view.ip(1)?[0] & 15) * 4).ok(),
    ),
    Field::new(
        &["ip_id"],
        |draft, word| {
            draft.identification = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", half_word(view.ip(6)?, 4)?).ok(),
    ),
    Field::new(
        &["ip_tos"],
        |draft, word| {
            draft.type_of_service = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip(2)?[1]).ok(),
    ),
    Field::new(
        &["ip_dscp"],
        |draft, word| {
            draft.type_of_service = number::<u8>(word)? << 2 | draft.type_of_service & 3;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip(2)?[1] >> 2).ok(),
    ),
    Field::new(
        &["ip_ecn"],
        |draft, word| {
            draft.type_of_service = draft.type_of_service & !3 | congestion(word)?;
            Some(())
        },
        |view, out| {
            out.push_str(ECN[usize::from(view.ip(2)?[1] & 3)]);
            Some(())
        },
    ),
    Field::new(
        &["ip_ttl"],
        |draft, word| {
            draft.time_to_live = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ip(9)?[8]).ok(),
    ),
    Field::new(
        &["ip_sum"],
        |draft, word| {
            draft.ip_checksum = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", half_word(view.ip(12)?, 10)?).ok(),
    ),
    Field::new(
        &["ip_opt"],
        |draft, word| {
            ip_options::parse(word, &mut draft.ip_options)?;
            draft.has_ip_options = true;
            Some(())
        },
        |view, out| {
            ip_options::write(view.ip_options()?, out);
            Some(())
        },
    ),
];

/// The names of the two bits of explicit congestion notification, and those of the standard.
const ECN: [&str; 4] = ["no", "ect1", "ect2", "ce"];
const STANDARD_ECN: [&str; 4] = ["Not-ECT", "ECT(1)", "ECT(0)", "CE"];

/// Reads the two bits of explicit congestion notification: by name or number.
pub(super) fn congestion(word: &str) -> Option<u8> {
    let named = |names: [&str; 4]| names.iter().position(|name| *name == word);
    match named(ECN).or_else(|| named(STANDARD_ECN)) {
        Some(ecn) => u8::try_from(ecn).ok(),
        None => number::<u8>(word).filter(|ecn| *ecn < 4),
    }
}

/// Reads the letter that says whether a packet is a fragment.
fn fragment(word: &str) -> Option<u16> {
    Some(match word {
        "F" => Ipv4::MORE_FRAGMENTS,
        // Which later fragment it is, nobody says: one after 800 bytes.
        "f" => 100,
        "." => 0,
        "!" => Ipv4::DONT_FRAGMENT,
        _ => return None,
    })
}

/// Reads an offset in bytes, with `+` where more fragments follow and `!` where there must be
/// none.
pub(super) fn flags_and_offset(word: &str) -> Option<u16> {
    let digits = word.trim_end_matches(['+', '!']);
    let offset = match digits {
        "" => 0,
        digits => number::<u16>(digits)? / 8,
    };
    let marks = &word[digits.len()..];
    let flag = |mark, flag| if marks.contains(mark) { flag } else { 0 };
    Some(offset | flag('+', Ipv4::MORE_FRAGMENTS) | flag('!', Ipv4::DONT_FRAGMENT))
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
