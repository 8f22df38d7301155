//! Lines as tcpdump prints them, of IPv4.
//!
//! Both its old form (`1.0.0.1.5 > 1.0.0.2.80: S 1:1(0) win 100 <mss 1460>`) and the new one
//! (`IP 1.0.0.1.5 > 1.0.0.2.80: Flags [S], seq 1, win 100, options [mss 1460], length 0`) are read, with what
//! `-v` says in parentheses. Sequence numbers that tcpdump shows relative to a connection's first are turned
//! back.

use core::net::Ipv4Addr;

use hashbrown::HashMap;
use sprat_packet::headers::Ipv4;
use sprat_packet::headers::protocol::{ICMP, TCP, UDP};
use sprat_packet::headers::{icmp_type, tcp_flags};

use super::Draft;
use super::fields::number;
use super::tcp_options::{self, Shown};

type End = (Ipv4Addr, u16);

/// What is remembered between lines.
#[derive(Default)]
pub(super) struct Tcpdump {
    /// What relative numbers of a connection begin with: those of its lower end, and of the other.
    connections: HashMap<(End, End), [u32; 2]>,
    /// What a line said of the packet on the next one.
    details: Details,
}

/// What stands in parentheses.
#[derive(Clone, Copy, Default)]
struct Details {
    type_of_service: u8,
    time_to_live: Option<u8>,
    identification: u16,
    dont_fragment: bool,
    length: Option<u32>,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Packet,
    /// It is about no packet of IPv4, or its packet is on the next line.
    Nothing,
    Malformed,
}

impl Tcpdump {
    /// Reads a line into a packet to be.
    pub(super) fn read(&mut self, draft: &mut Draft, line: &str) -> Outcome {
        let text = match line.starts_with([' ', '\t']) {
            // Goes on with the packet of the line before.
            true => line.trim_start(),
            false => match self.begin(draft, line) {
                Some(text) => text,
                None => return Outcome::Nothing,
            },
        };
        let Some((ends, rest)) = text.split_once(": ") else {
            return Outcome::Nothing;
        };
        // What follows a packet, such as its bytes, has no ends.
        if !ends.contains(" > ") {
            return Outcome::Nothing;
        }
        match self.packet(draft, ends, rest) {
            Some(()) => {
                self.details.apply(draft);
                Outcome::Packet
            }
            None => Outcome::Malformed,
        }
    }

    /// Reads the time and what follows it; what stands behind, where it is of IPv4.
    fn begin<'a>(&mut self, draft: &mut Draft, line: &'a str) -> Option<&'a str> {
        self.details = Details::default();
        let (time, mut rest) = line.split_once(' ')?;
        draft.timestamp = clock(time)?;
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("IP ") {
            rest = after;
        }
        if let Some(inside) = rest.strip_prefix('(') {
            let end = closing(inside)?;
            self.details.read(&inside[..end]);
            rest = inside[end..].strip_prefix(')')?.trim_start();
        }
        rest.starts_with(|c: char| c.is_ascii_digit())
            .then_some(rest)
    }

    fn packet(&mut self, draft: &mut Draft, ends: &str, rest: &str) -> Option<()> {
        let (source, destination) = ends.split_once(" > ")?;
        let (source, destination) = (end(source)?, end(destination.trim())?);
        (draft.flow.source, draft.flow.source_port) = (source.0, source.1.unwrap_or(0));
        (draft.flow.destination, draft.flow.destination_port) =
            (destination.0, destination.1.unwrap_or(0));
        let lower = rest.to_ascii_lowercase();
        if lower.starts_with("icmp") {
            draft.flow.protocol = ICMP;
            icmp(draft, &lower)
        } else if source.1.is_none() {
            None
        } else if rest.starts_with("Flags [") || old_flags(rest).is_some() {
            draft.flow.protocol = TCP;
            self.tcp(draft, rest)
        } else {
            draft.flow.protocol = UDP;
            // What is not decoded ends in its length, and so do most that are.
            let length = after(&lower, "length ").or_else(|| after(&lower, "udp "));
            draft.payload_length = length.or_else(|| parenthesized(&lower));
            Some(())
        }
    }

    fn tcp(&mut self, draft: &mut Draft, rest: &str) -> Option<()> {
        let text = match rest.strip_prefix("Flags [") {
            Some(inside) => inside.split_once(']')?.0,
            None => old_flags(rest)?,
        };
        let mut flags = letters(text)?;
        let sequence = if rest.starts_with("Flags [") {
            behind(rest, "seq ")
        } else {
            rest.split(' ').nth(1).filter(|word| word.contains(':'))
        };
        let first = sequence.map_or(Some(0), |text| number(leading(text)));
        draft.sequence = first?;
        if let Some(acknowledgement) = after(rest, "ack ") {
            flags |= u16::from(tcp_flags::ACK);
            draft.acknowledgement = acknowledgement;
        }
        draft.tcp_flags = flags;
        draft.window = after(rest, "win ").unwrap_or(0);
        draft.urgent = after(rest, "urg ").unwrap_or(0);
        draft.payload_length = after(rest, "length ").or_else(|| sequence.and_then(parenthesized));
        let options = between(rest, "options [", "]").or_else(|| between(rest, "<", ">"));
        if let Some(options) = options {
            read_options(options, &mut draft.tcp_options);
        }
        self.details.dont_fragment |= rest.contains("(DF)");
        self.absolute(draft);
        Some(())
    }

    /// Turns relative numbers back: those of every segment with an acknowledgement but the first of its
    /// connection, and SYNs.
    fn absolute(&mut self, draft: &mut Draft) {
        let flags = draft.tcp_flags;
        if flags & u16::from(tcp_flags::ACK) == 0 {
            return;
        }
        let from = (draft.flow.source, draft.flow.source_port);
        let to = (draft.flow.destination, draft.flow.destination_port);
        let reversed = usize::from(from > to);
        let key = if reversed == 0 {
            (from, to)
        } else {
            (to, from)
        };
        match self.connections.get(&key) {
            Some(first) if flags & u16::from(tcp_flags::SYN) == 0 => {
                draft.sequence = draft.sequence.wrapping_add(first[reversed]);
                draft.acknowledgement = draft.acknowledgement.wrapping_add(first[1 - reversed]);
            }
            _ => {
                let mut first = [draft.sequence, draft.acknowledgement.wrapping_sub(1)];
                first.rotate_left(reversed);
                self.connections.insert(key, first);
            }
        }
    }
}

impl Details {
    fn read(&mut self, text: &str) {
        let hexadecimal = between(text, "tos 0x", ",").map(|digits| digits.trim());
        self.type_of_service = hexadecimal
            .and_then(|digits| u8::from_str_radix(leading_hexadecimal(digits), 16).ok())
            .unwrap_or(0);
        self.time_to_live = after(text, "ttl ");
        self.identification = after(text, "id ").unwrap_or(0);
        self.dont_fragment = between(text, "flags [", "]").is_some_and(|it| it.contains("DF"));
        self.length = after(text, "length ");
    }

    fn apply(&self, draft: &mut Draft) {
        draft.type_of_service = self.type_of_service;
        draft.identification = self.identification;
        if let Some(time_to_live) = self.time_to_live {
            draft.time_to_live = time_to_live;
        }
        if self.dont_fragment {
            draft.flags_and_offset = Ipv4::DONT_FRAGMENT;
        }
        draft.ip_length = self.length;
        // Of lengths and options, all is known that can be.
        draft.has_ip_options = true;
        draft.has_tcp_options = true;
        draft.network = true;
    }
}

/// `HH:MM:SS.FRACTION`, counted from midnight, or `SECONDS.FRACTION`.
fn clock(text: &str) -> Option<i64> {
    let text = text.trim_end_matches(':');
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut seconds = 0_i64;
    for part in whole.split(':') {
        seconds = seconds.checked_mul(60)?.checked_add(number(part)?)?;
    }
    let mut nanoseconds = 0;
    for digit in fraction.bytes().chain(core::iter::repeat(b'0')).take(9) {
        nanoseconds = nanoseconds * 10 + i64::from(digit.checked_sub(b'0').filter(|it| *it < 10)?);
    }
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

/// `ADDRESS` or `ADDRESS.PORT`.
fn end(text: &str) -> Option<(Ipv4Addr, Option<u16>)> {
    if let Ok(address) = text.parse() {
        return Some((address, None));
    }
    let (address, port) = text.rsplit_once('.')?;
    Some((address.parse().ok()?, Some(number(port)?)))
}

/// The flags that an old line begins with: `SFP`, `.`.
fn old_flags(rest: &str) -> Option<&str> {
    let word = rest.split(' ').next()?;
    letters(word).map(|_| word)
}

/// Flags by tcpdump's letters, of which the dot is ACK.
fn letters(text: &str) -> Option<u16> {
    if text == "none" {
        return Some(0);
    }
    let flag = |letter| {
        Some(match letter {
            'F' => tcp_flags::FIN,
            'S' => tcp_flags::SYN,
            'R' => tcp_flags::RST,
            'P' => tcp_flags::PSH,
            '.' => tcp_flags::ACK,
            'U' => tcp_flags::URG,
            'E' => tcp_flags::ECE,
            'W' => tcp_flags::CWR,
            _ => return None,
        })
    };
    let read = text
        .chars()
        .try_fold(0, |flags, letter| Some(flags | u16::from(flag(letter)?)));
    read.filter(|_| !text.is_empty())
}

/// Reads options as tcpdump shows them: `mss 1460,nop,wscale 7,sackOK,TS val 1 ecr 2,sack 1 {5:9}`.
fn read_options(text: &str, out: &mut alloc::vec::Vec<u8>) {
    use alloc::format;
    use alloc::string::String;
    let mut list = String::new();
    for option in text.split(',') {
        let words: alloc::vec::Vec<&str> = option.split_whitespace().collect();
        let item = match words.as_slice() {
            ["mss", size] => format!("mss{size};"),
            ["wscale", shift] => format!("wscale{shift};"),
            ["sackOK", ..] => "sackok;".into(),
            ["TS", "val", value, "ecr", echo] => format!("ts{value}:{echo};"),
            ["timestamp", value, echo] => format!("ts{value}:{echo};"),
            ["nop"] => "nop;".into(),
            ["eol"] => "eol;".into(),
            ["sack", _, blocks] => blocks
                .trim_matches(['{', '}'])
                .split("}{")
                .fold(String::new(), |text, block| format!("{text}sack{block};")),
            _ => continue,
        };
        list.push_str(&item);
    }
    // Options that cannot be are left out.
    tcp_options::parse(list.trim_end_matches(';'), Shown::All, out);
}

fn icmp(draft: &mut Draft, text: &str) -> Option<()> {
    draft.icmp_kind = if text.contains("echo request") {
        icmp_type::ECHO
    } else if text.contains("echo reply") {
        icmp_type::ECHO_REPLY
    } else if text.contains("unreachable") {
        icmp_type::UNREACHABLE
    } else if text.contains("time exceeded") {
        icmp_type::TIME_EXCEEDED
    } else {
        return None;
    };
    draft.icmp_identifier = after(text, "id ").unwrap_or(0);
    draft.icmp_sequence = after(text, "seq ").unwrap_or(0);
    draft.icmp = true;
    draft.payload_length = after(text, "length ");
    Some(())
}

/// What stands behind a word that begins the text or follows a space or a parenthesis.
fn behind<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(at) = text.get(from..)?.find(word) {
        let at = from + at;
        if at == 0 || text[..at].ends_with([' ', '(']) {
            return Some(&text[at + word.len()..]);
        }
        from = at + word.len();
    }
    None
}

/// The number behind a word.
fn after<T: TryFrom<u64>>(text: &str, word: &str) -> Option<T> {
    number(leading(behind(text, word)?))
}

/// The digits that a text begins with.
fn leading(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit());
    &text[..end.unwrap_or(text.len())]
}

fn leading_hexadecimal(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_hexdigit());
    &text[..end.unwrap_or(text.len())]
}

/// The number in the last parentheses.
fn parenthesized(text: &str) -> Option<u32> {
    let (_, inside) = text.rsplit_once('(')?;
    number(leading(inside))
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

/// Where the parenthesis ends that the text stands in.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_u32;
    text.bytes().position(|byte| {
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return true,
            b')' => depth -= 1,
            _ => {}
        }
        false
    })
}
