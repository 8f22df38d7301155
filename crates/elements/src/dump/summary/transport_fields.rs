//! Fields of TCP, UDP and ICMP headers.

use alloc::string::String;
use core::fmt::Write;

use sprat_click::arguments::{Argument, NoNames};
use sprat_packet::headers::{icmp_type, unreachable_code};

use super::View;
use super::fields::{Field, number};
use super::tcp_options::{self, Shown};
use super::view::{half_word, word};
use crate::icmp::names::{self, IcmpType};

/// A field that is a mere number: its names, where it goes in a packet to be, and where it stands
/// in a packet.
macro_rules! numeric {
    ($names:expr, $slot:ident, $view:ident => $value:expr) => {
        Field::new(
            $names,
            |draft, word| {
                draft.$slot = number(word)?;
                Some(())
            },
            |$view, out| {
                let value = $value;
                write!(out, "{value}").ok()
            },
        )
    };
}

/// The same for a field that only ICMP has.
macro_rules! numeric_icmp {
    ($names:expr, $slot:ident, $view:ident => $value:expr) => {
        Field::new(
            $names,
            |draft, word| {
                draft.$slot = number(word)?;
                draft.icmp = true;
                Some(())
            },
            |$view, out| {
                let value = $value;
                write!(out, "{value}").ok()
            },
        )
    };
}

/// The same for options of which some are shown. Those that show more override the others.
macro_rules! options {
    ($name:expr, $shown:expr, $pass:expr) => {
        Field::new(
            &[$name],
            |draft, word| {
                tcp_options::parse(word, $shown, &mut draft.tcp_options)?;
                draft.has_tcp_options = true;
                Some(())
            },
            |view, out| write_options(view, $shown, out),
        )
        .in_pass($pass)
    };
}

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        &["sport"],
        |draft, word| {
            draft.flow.source_port = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.port(0)?).ok(),
    ),
    Field::new(
        &["dport"],
        |draft, word| {
            draft.flow.destination_port = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.port(2)?).ok(),
    ),
    numeric!(&["tcp_seq", "tcp_seqno"], sequence, view => word(view.tcp(8)?, 4)?),
    numeric!(&["tcp_ack", "tcp_ackno"], acknowledgement, view => word(view.tcp(12)?, 8)?),
    Field::new(
        &["tcp_flags"],
        |draft, word| {
            draft.tcp_flags = flags(word)?;
            Some(())
        },
        |view, out| {
            let flags = half_word(view.tcp(14)?, 12)? & 0xfff;
            if flags == 0 {
                out.push('.');
            }
            let letters = FLAGS.chars().enumerate();
            out.extend(
                letters.filter_map(|(bit, letter)| (flags >> bit & 1 == 1).then_some(letter)),
            );
            Some(())
        },
    ),
    numeric!(&["tcp_window", "tcp_win"], window, view => half_word(view.tcp(16)?, 14)?),
    numeric!(&["tcp_urp"], urgent, view => half_word(view.tcp(20)?, 18)?),
    Field::new(
        &["tcp_off"],
        |draft, word| {
            draft.tcp_header_length = Some(usize::from(number::<u8>(word)?));
            Some(())
        },
        |view, out| write!(out, "{}", (view.tcp(13)?[12] >> 4) * 4).ok(),
    ),
    numeric!(&["tcp_sum"], tcp_checksum, view => half_word(view.tcp(18)?, 16)?),
    options!("tcp_opt", Shown::All, 2),
    options!("tcp_ntopt", Shown::NoTimestamps, 1),
    options!("tcp_sack", Shown::Sack, 0),
    Field::new(
        &["udp_len", "udp_length"],
        |draft, word| {
            draft.udp_length = Some(number(word)?);
            Some(())
        },
        |view, out| write!(out, "{}", half_word(view.udp(6)?, 4)?).ok(),
    ),
    numeric!(&["udp_sum"], udp_checksum, view => half_word(view.udp(8)?, 6)?),
    Field::new(&["icmp_type"], read_icmp_type, |view, out| {
        write!(out, "{}", view.icmp(1)?[0]).ok()
    }),
    Field::new(&["icmp_type_name"], read_icmp_type, |view, out| {
        let kind = view.icmp(1)?[0];
        match names::type_name(kind) {
            Some(name) => out.write_str(name).ok(),
            None => write!(out, "{kind}").ok(),
        }
    }),
    Field::new(&["icmp_code"], read_icmp_code, |view, out| {
        write!(out, "{}", view.icmp(2)?[1]).ok()
    })
    .in_pass(1),
    Field::new(&["icmp_code_name"], read_icmp_code, |view, out| {
        let icmp = view.icmp(2)?;
        match names::code_name(icmp[0], icmp[1]) {
            Some(name) => out.write_str(name).ok(),
            None => write!(out, "{}", icmp[1]).ok(),
        }
    })
    .in_pass(1),
    numeric_icmp!(&["icmp_sum"], icmp_checksum, view => half_word(view.icmp(4)?, 2)?),
    numeric_icmp!(&["icmp_flowid", "icmp_id"], icmp_identifier, view => {
        names::has_identifier(view.icmp(1)?[0]).then_some(())?;
        half_word(view.icmp(6)?, 4)?
    }),
    numeric_icmp!(&["icmp_seq"], icmp_sequence, view => {
        names::has_identifier(view.icmp(1)?[0]).then_some(())?;
        half_word(view.icmp(8)?, 6)?
    }),
    numeric_icmp!(&["icmp_nextmtu"], icmp_sequence, view => {
        let kind = half_word(view.icmp(2)?, 0)?.to_be_bytes();
        (kind == [icmp_type::UNREACHABLE, unreachable_code::NEED_FRAGMENT]).then_some(())?;
        half_word(view.icmp(8)?, 6)?
    }),
];

fn write_options(view: &View<'_>, shown: Shown, out: &mut String) -> Option<()> {
    tcp_options::write(view.tcp_options(shown)?, shown, out);
    Some(())
}

/// The flags' letters, from the lowest bit on.
const FLAGS: &str = "FSRPAUECN";

/// Reads flags as letters (`.`: none) or as a number.
pub(super) fn flags(word: &str) -> Option<u16> {
    if word == "." {
        return Some(0);
    }
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return number(word);
    }
    word.chars().try_fold(0, |flags, letter| {
        // Old dumps have letters of their own for the bits that got their meaning in RFC 3168.
        let letter = match letter {
            'X' => 'E',
            'Y' | 'W' => 'C',
            other => other,
        };
        FLAGS.find(letter).map(|bit| flags | 1 << bit)
    })
}

fn read_icmp_type(draft: &mut super::Draft, word: &str) -> Option<()> {
    draft.icmp_kind = IcmpType::parse(word, &NoNames).ok()?.0;
    draft.icmp = true;
    Some(())
}

/// Reads a code, by the names of the type that the line has said before it.
fn read_icmp_code(draft: &mut super::Draft, word: &str) -> Option<()> {
    draft.icmp_code = names::parse_code(draft.icmp_kind, word, &NoNames).ok()?;
    draft.icmp = true;
    Some(())
}
