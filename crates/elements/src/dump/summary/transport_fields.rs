//! Fields of TCP, UDP and ICMP headers.

use alloc::string::String;
use core::fmt::Write;

use sprat_click::arguments::{Argument, NoNames};
use sprat_packet::headers::{icmp_type, unreachable_code};

use super::View;
use super::fields::{Field, number};
use super::tcp_options::{self, Shown};
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

pub(super) const FIELDS: &[Field] = &[
    Field::new(
        &["sport"],
        |draft, word| {
            draft.flow.source_port = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ports()?[0]).ok(),
    ),
    Field::new(
        &["dport"],
        |draft, word| {
            draft.flow.destination_port = number(word)?;
            Some(())
        },
        |view, out| write!(out, "{}", view.ports()?[1]).ok(),
    ),
    numeric!(&["tcp_seq"], sequence, view => view.tcp()?.sequence()),
    numeric!(&["tcp_ack"], acknowledgement, view => view.tcp()?.acknowledgement()),
    Field::new(
        &["tcp_flags"],
        |draft, word| {
            draft.tcp_flags = flags(word)?;
            Some(())
        },
        |view, out| {
            let tcp = view.tcp()?;
            let nonce = tcp.data_offset_and_reserved() & 1;
            let flags = u16::from_be_bytes([nonce, tcp.flags()]);
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
    numeric!(&["tcp_window", "tcp_win"], window, view => view.tcp()?.window()),
    numeric!(&["tcp_urp"], urgent, view => view.tcp()?.urgent()),
    numeric!(&["tcp_off"], tcp_header_length, view => view.tcp()?.header_length()),
    numeric!(&["tcp_sum"], tcp_checksum, view => view.tcp()?.checksum()),
    Field::new(
        &["tcp_opt"],
        |draft, word| tcp_options::parse(word, &mut draft.tcp_options),
        |view, out| write_options(view, Shown::All, out),
    ),
    Field::new(
        &["tcp_ntopt"],
        |draft, word| tcp_options::parse(word, &mut draft.tcp_options),
        |view, out| write_options(view, Shown::NoTimestamps, out),
    ),
    Field::new(
        &["tcp_sack"],
        |draft, word| tcp_options::parse(word, &mut draft.tcp_options),
        |view, out| write_options(view, Shown::Sack, out),
    ),
    Field::new(
        &["udp_len", "udp_length"],
        |draft, word| {
            draft.udp_length = Some(number(word)?);
            Some(())
        },
        |view, out| write!(out, "{}", view.udp()?.length()).ok(),
    ),
    numeric!(&["udp_sum"], udp_checksum, view => view.udp()?.checksum()),
    Field::new(&["icmp_type"], read_icmp_type, |view, out| {
        write!(out, "{}", view.icmp()?.kind()).ok()
    }),
    Field::new(&["icmp_type_name"], read_icmp_type, |view, out| {
        let kind = view.icmp()?.kind();
        match names::type_name(kind) {
            Some(name) => out.write_str(name).ok(),
            None => write!(out, "{kind}").ok(),
        }
    }),
    Field::new(&["icmp_code"], read_icmp_code, |view, out| {
        write!(out, "{}", view.icmp()?.code()).ok()
    }),
    Field::new(&["icmp_code_name"], read_icmp_code, |view, out| {
        let icmp = view.icmp()?;
        match names::code_name(icmp.kind(), icmp.code()) {
            Some(name) => out.write_str(name).ok(),
            None => write!(out, "{}", icmp.code()).ok(),
        }
    }),
    numeric!(&["icmp_sum"], icmp_checksum, view => view.icmp()?.checksum()),
    numeric!(&["icmp_flowid", "icmp_id"], icmp_identifier, view => {
        let icmp = view.icmp()?;
        names::has_identifier(icmp.kind()).then(|| icmp.identifier())?
    }),
    numeric!(&["icmp_seq"], icmp_sequence, view => {
        let icmp = view.icmp()?;
        names::has_identifier(icmp.kind()).then(|| icmp.sequence())?
    }),
    numeric!(&["icmp_nextmtu"], icmp_sequence, view => {
        let icmp = view.icmp()?;
        let kind = (icmp.kind(), icmp.code());
        (kind == (icmp_type::UNREACHABLE, unreachable_code::NEED_FRAGMENT))
            .then(|| icmp.next_hop_mtu())?
    }),
];

fn write_options(view: &View<'_>, shown: Shown, out: &mut String) -> Option<()> {
    tcp_options::write(view.tcp()?.option_bytes(), shown, out);
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
    Some(())
}

/// Reads a code, by the names of the type that the line has said before it.
fn read_icmp_code(draft: &mut super::Draft, word: &str) -> Option<()> {
    draft.icmp_code = names::parse_code(draft.icmp_kind, word, &NoNames).ok()?;
    Some(())
}
