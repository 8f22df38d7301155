//! Patterns: what a flow's addresses and ports become.

use alloc::format;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::fmt;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, Ipv4Prefix, Names, NoNames};
use sprat_click::time::SECOND;
use sprat_packet::checksum::AddressesAndPorts;
use sprat_packet::flow::FlowKey;

use super::mapper::Request;

/// How the next value of a range is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The packet's own port where it is in the range and free, else any.
    Keep,
    /// One after the other (`#`).
    InOrder,
    /// Any (`?`).
    Random,
}

/// What varies from flow to flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    /// Nothing.
    None,
    /// The source port, between these.
    Ports(u16, u16),
    /// The source address, between these.
    Addresses(u32, u32),
}

impl Range {
    /// How many values there are.
    fn size(self) -> u32 {
        match self {
            Self::None => 1,
            Self::Ports(low, high) => u32::from(high - low) + 1,
            Self::Addresses(low, high) => (high - low).saturating_add(1),
        }
    }
}

/// `SADDR SPORT DADDR DPORT`, `SADDR DADDR`, or for pings `SADDR DADDR IDENTIFIER`.
#[derive(Debug)]
pub(super) struct Pattern {
    source: Option<Ipv4Addr>,
    source_port: Option<u16>,
    destination: Option<Ipv4Addr>,
    destination_port: Option<u16>,
    range: Range,
    choice: Choice,
    /// How many words it was written in.
    words: usize,
    /// Where in the range the next flow's value is looked for, where they go in order.
    next: Cell<u32>,
    /// The last search that found everything taken.
    exhausted: Cell<Exhausted>,
}

/// A search that found everything taken is not repeated until a flow has ended, or a second has
/// passed in which one may have timed out: a flood of new flows does not cost a search each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Exhausted {
    /// What flows carry that are rewritten so, but for what varies, and their protocol.
    rewritten: Option<(AddressesAndPorts, u8)>,
    /// In which space of flows, how many had ended by then, and in which second.
    when: (u8, u64, u64),
}

impl Pattern {
    /// Reads a pattern from its words.
    pub(super) fn parse(words: &[String], names: &dyn Names) -> Result<Self, String> {
        let (source, source_port, destination, destination_port) = match words {
            [source, destination] => (source, None, destination, None),
            // An identifier is kept where a source port is.
            [source, destination, identifier] => (source, Some(identifier), destination, None),
            [source, port, destination, destination_port] => {
                (source, Some(port), destination, Some(destination_port))
            }
            _ => return Err("syntax error".into()),
        };
        let mut pattern = Self {
            source: None,
            source_port: None,
            destination: None,
            destination_port: None,
            range: Range::None,
            choice: Choice::Keep,
            words: words.len(),
            next: Cell::new(0),
            exhausted: Cell::new(Exhausted::default()),
        };
        pattern.read_source(source, names)?;
        if let Some(text) = source_port {
            pattern.read_source_port(text)?;
        }
        if destination != "-" {
            let address =
                Ipv4Addr::parse(destination, names).map_err(|_| "bad destination address")?;
            pattern.destination = Some(address).filter(|address| !address.is_unspecified());
        }
        if let Some(text) = destination_port
            && text != "-"
        {
            pattern.destination_port = Some(single_port(text).ok_or("bad destination port")?);
        }
        Ok(pattern)
    }

    fn read_source(&mut self, text: &str, names: &dyn Names) -> Result<(), String> {
        let bad = || String::from("bad source address");
        if text == "-" {
            return Ok(());
        }
        // A name may have a dash in it.
        if let Ok(address) = Ipv4Addr::parse(text, names) {
            self.source = Some(address).filter(|address| !address.is_unspecified());
            return Ok(());
        }
        let (text, choice) = split_choice(text);
        let (low, high) = address_range(text, names).ok_or_else(bad)?;
        self.set_addresses(low, high, choice);
        Ok(())
    }

    fn set_addresses(&mut self, low: u32, high: u32, choice: Choice) {
        self.source = Some(Ipv4Addr::from_bits(low));
        // A range of one is no range, and that one is given whether it is free or not.
        if low < high {
            self.choice = choice;
            self.range = Range::Addresses(low, high);
        }
    }

    fn read_source_port(&mut self, text: &str) -> Result<(), String> {
        let bad = || String::from("bad source port");
        if text == "-" {
            return Ok(());
        }
        if !text.contains('-') {
            self.source_port = Some(single_port(text).ok_or_else(bad)?);
            return Ok(());
        }
        // Of a range of addresses before a range of ports, the first is taken.
        let (text, choice) = split_choice(text);
        let (low, high) = port_range(text).ok_or_else(bad)?;
        if low == high {
            self.range = Range::None;
            self.source_port = Some(low).filter(|port| *port > 0);
        } else {
            self.range = Range::Ports(low, high);
            self.choice = choice;
        }
        Ok(())
    }

    /// What a flow becomes: the first of the pattern's possibilities that is free. `None` where
    /// there is none. A pattern without a range has one possibility, free or not: a flow that had
    /// it ends.
    pub(super) fn apply(&self, request: &Request<'_>) -> Option<FlowKey> {
        let (key, old) = (&request.key, request.key.tuple());
        let at = |place| FlowKey::new(self.at(&old, place), key.protocol());
        if self.range == Range::None {
            return Some(at(0));
        }
        let size = self.range.size();
        let found = |place: u32| {
            self.next.set((place + 1) % size);
            at(place)
        };
        if self.choice == Choice::Keep
            && let Some(own) = self.own_place(&old)
            && request.is_free(&at(own))
        {
            return Some(found(own));
        }
        let search = Exhausted {
            rewritten: Some((self.at(&old, 0), key.protocol())),
            when: (request.space, request.table.ended(), request.now.0 / SECOND),
        };
        if self.exhausted.get() == search {
            return None;
        }
        let start = match self.choice {
            Choice::InOrder => self.next.get() % size,
            Choice::Keep | Choice::Random => request.context.random_below(size),
        };
        let mut places = (start..size).chain(0..start);
        let place = places.find(|place| request.is_free(&at(*place)));
        if place.is_none() {
            self.exhausted.set(search);
        }
        place.map(found)
    }

    /// Where in the range of ports the packet's own port stands. Addresses are not kept.
    fn own_place(&self, old: &AddressesAndPorts) -> Option<u32> {
        match self.range {
            Range::Ports(low, high) => (low..=high)
                .contains(&old.source_port)
                .then(|| u32::from(old.source_port - low)),
            _ => None,
        }
    }

    /// The pattern's possibility number `place`.
    fn at(&self, old: &AddressesAndPorts, place: u32) -> AddressesAndPorts {
        let mut source = self.source.map_or(old.source, Ipv4Addr::to_bits);
        let mut source_port = self.source_port.unwrap_or(old.source_port);
        match self.range {
            Range::None => {}
            Range::Ports(low, _) => {
                source_port = low.saturating_add(u16::try_from(place).unwrap_or(u16::MAX))
            }
            Range::Addresses(low, _) => source = low.saturating_add(place),
        }
        AddressesAndPorts {
            source,
            source_port,
            destination: self.destination.map_or(old.destination, Ipv4Addr::to_bits),
            destination_port: self.destination_port.unwrap_or(old.destination_port),
        }
    }
}

/// Reads a range of addresses: `A-B`, or a prefix `A/LEN`.
pub(super) fn address_range(text: &str, names: &dyn Names) -> Option<(u32, u32)> {
    if let Some((low, high)) = text.split_once('-') {
        let address = |text| Ipv4Addr::parse(text, names).ok().map(Ipv4Addr::to_bits);
        return Some((address(low)?, address(high)?)).filter(|(low, high)| low <= high);
    }
    let prefix = Ipv4Prefix::parse(text, names).ok()?;
    let length = prefix.length().filter(|length| *length > 0)?;
    if prefix.address.is_unspecified() {
        return None;
    }
    let first = prefix.network().to_bits();
    let last = first | !prefix.mask.to_bits();
    // The network's own address and its broadcast address are nobody's.
    Some(if length >= 31 {
        (first, last)
    } else {
        (first + 1, last - 1)
    })
}

/// Reads a range of ports, `L-H`.
pub(super) fn port_range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.split_once('-')?;
    let port = |text| u16::parse(text, &NoNames).ok();
    Some((port(low)?, port(high)?)).filter(|(low, high)| low <= high)
}

/// A port of its own: a number, and not zero.
fn single_port(text: &str) -> Option<u16> {
    u16::parse(text, &NoNames).ok().filter(|port| *port > 0)
}

fn split_choice(text: &str) -> (&str, Choice) {
    match text.as_bytes().last() {
        Some(b'#') => (&text[..text.len() - 1], Choice::InOrder),
        Some(b'?') => (&text[..text.len() - 1], Choice::Random),
        _ => (text, Choice::Keep),
    }
}

/// As Click's `patterns` handler writes it: an identifier where ports stand, what begins with zero as
/// unchanged, and of a range of addresses before ports the first.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = |address: Option<Ipv4Addr>| {
            address.map_or_else(|| "-".into(), |address| address.to_string())
        };
        let port = |port: Option<u16>| port.map_or_else(|| "-".into(), |port| port.to_string());
        let source = match self.range {
            Range::Addresses(low, high) if self.words == 2 => {
                format!("{}-{}", Ipv4Addr::from_bits(low), Ipv4Addr::from_bits(high))
            }
            _ => address(self.source),
        };
        let source_port = match self.range {
            Range::Ports(0, _) => "-".into(),
            Range::Ports(low, high) => format!("{low}-{high}"),
            _ => port(self.source_port),
        };
        let destination = address(self.destination);
        match self.words {
            2 => write!(f, "{source} {destination}"),
            _ => write!(
                f,
                "{source} {source_port} {destination} {}",
                port(self.destination_port)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Pattern, String> {
        let words: alloc::vec::Vec<String> = text.split(' ').map(String::from).collect();
        Pattern::parse(&words, &NoNames)
    }

    #[test]
    fn patterns_are_written_as_they_are_read() {
        for text in [
            "1.0.0.1 1 - -",
            "1.0.0.1 1-65535 - -",
            "- - 10.0.0.1 80",
            "1.0.0.1-1.0.0.9 -",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            parse("1.0.0.1/24 -").unwrap().to_string(),
            "1.0.0.1-1.0.0.254 -"
        );
        for (text, written) in [
            ("1.0.0.1 - 1024-65535", "1.0.0.1 1024-65535 - -"),
            ("1.0.0.1 - 0-65535", "1.0.0.1 - - -"),
            ("1.0.0.1 7-7 - -", "1.0.0.1 7 - -"),
            ("1.0.0.1-1.0.0.1# -", "1.0.0.1 -"),
            ("1.0.0.1-1.0.0.9 1-2 - -", "1.0.0.1 1-2 - -"),
            ("0.0.0.0 1 0.0.0.0 -", "- 1 - -"),
            ("1.0.0.1/24 - - -", "1.0.0.1 - - -"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), written);
        }
        assert_eq!(
            parse("1.0.0.1 1024-1026# - -").unwrap().to_string(),
            "1.0.0.1 1024-1026 - -"
        );
    }

    #[test]
    fn bad_patterns_say_which_part_is_bad() {
        assert_eq!(parse("1.0.0.x - - -").unwrap_err(), "bad source address");
        assert_eq!(
            parse("1.255.0.0-1.0.0.0 -").unwrap_err(),
            "bad source address"
        );
        for text in ["0.0.0.0/24 -", "1.0.0.1/0 -"] {
            assert_eq!(parse(text).unwrap_err(), "bad source address");
        }
        assert_eq!(parse("1.0.0.1 80# - -").unwrap_err(), "bad source port");
        assert_eq!(parse("1.0.0.1 456-19 - -").unwrap_err(), "bad source port");
        assert_eq!(
            parse("1.0.0.1 456-65536 - -").unwrap_err(),
            "bad source port"
        );
        assert_eq!(
            parse("1.0.0.1 1 1.2 -").unwrap_err(),
            "bad destination address"
        );
        assert_eq!(
            parse("1.0.0.1 1 1.2.3.4 x").unwrap_err(),
            "bad destination port"
        );
        assert_eq!(parse("1.0.0.1").unwrap_err(), "syntax error");
    }
}
