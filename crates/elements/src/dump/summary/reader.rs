use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::Context;
use sprat_click::arguments::unquote;
use sprat_packet::Packet;

use super::binary::encoding;
use super::draft::{Draft, Flow};
use super::fields::{Field, number};
use super::ip_fields::protocol;
use super::lines::{Lines, words};
use super::netflow::{self, Link};
use super::tcpdump::{Outcome, Tcpdump};

/// What a dump's lines look like.
pub(super) enum Syntax {
    /// The fields that it names itself.
    Fields,
    NetFlow(Link),
    Tcpdump(Tcpdump),
}

/// Makes packets of a dump's lines.
pub(super) struct Reader {
    /// What messages call the dump.
    pub(super) name: String,
    pub(super) lines: Lines,
    pub(super) syntax: Syntax,
    /// The fields of a line; `None`: one that nobody knows.
    pub(super) fields: Vec<Option<&'static Field>>,
    /// What lines do not say of their flow.
    pub(super) flow: Flow,
    /// Whether checksums are computed.
    pub(super) checksums: bool,
    /// Whether a line that stands for several packets gives several.
    pub(super) multipacket: bool,
    aggregate: u32,
    draft: Draft,
    line: Vec<u8>,
    /// Where the dump is binary from here on: a record as a line.
    unpacked: Option<String>,
    repeats: Repeats,
    /// Whether a line that is no packet has been complained about.
    complained: bool,
}

/// The packets that the last line still has to give.
#[derive(Clone, Copy, Default)]
struct Repeats {
    /// How many it gives in all.
    all: u32,
    given: u32,
    /// Times of the first and the last, in nanoseconds.
    first: i64,
    last: i64,
}

impl Reader {
    pub(super) fn new(name: String, lines: Lines) -> Self {
        Self {
            name,
            lines,
            syntax: Syntax::Fields,
            fields: Vec::new(),
            flow: Flow::default(),
            checksums: false,
            multipacket: false,
            aggregate: 0,
            draft: Draft::default(),
            line: Vec::new(),
            unpacked: None,
            repeats: Repeats::default(),
            complained: false,
        }
    }

    /// The next packet; `None` at the end of the dump.
    pub(super) fn packet(&mut self, context: &Context<'_>) -> Option<Packet> {
        while self.repeats.given >= self.repeats.all {
            let mut line = core::mem::take(&mut self.line);
            let more = match self.unpacked {
                Some(_) => self.lines.record(&mut line),
                None => self.lines.next(&mut line).map(|more| more.then_some(true)),
            };
            let more = more.unwrap_or_else(|error| {
                context.chatter(format_args!("{}: {error}", self.name));
                None
            });
            match more {
                Some(true) => {
                    let text = String::from_utf8_lossy(&line);
                    self.read_line(context, text.trim_end_matches(['\n', '\r']));
                }
                Some(false) => self.read_record(context, &line),
                None => {}
            }
            self.line = line;
            more?;
        }
        let repeats = self.repeats;
        if repeats.all > 1 {
            let steps = i64::from(repeats.all) - 1;
            let span = i128::from(repeats.last) - i128::from(repeats.first);
            let passed = span * i128::from(repeats.given) / i128::from(steps);
            self.draft.timestamp = repeats.first + i64::try_from(passed).unwrap_or(0);
        }
        self.repeats.given += 1;
        Some(self.draft.packet(context.pool(), self.checksums))
    }

    fn read_line(&mut self, context: &Context<'_>, line: &str) {
        match line.trim_start().as_bytes().first() {
            None | Some(b'#') => {}
            Some(b'!') => {
                if matches!(self.syntax, Syntax::Fields) {
                    self.read_directive(context, line.trim_start());
                }
            }
            Some(_) => self.read_packet(context, line),
        }
    }

    /// Reads a line that says something about those after it. What it does not know, it leaves.
    fn read_directive(&mut self, context: &Context<'_>, line: &str) {
        let mut words = words(line);
        match words.next() {
            Some("!data" | "!contents") => {
                let names: Vec<String> = words.map(unquote).collect();
                self.set_fields(context, &names);
            }
            Some("!proto") => match words.next().and_then(protocol) {
                Some(protocol) => self.flow.protocol = protocol,
                None => self.complain(context, "bad protocol"),
            },
            Some("!flowid") => match read_flow(&mut self.flow, words) {
                Some(()) => {}
                None => self.complain(context, "bad flow ID"),
            },
            Some("!aggregate") => match words.next().and_then(number) {
                Some(aggregate) => self.aggregate = aggregate,
                None => self.complain(context, "bad aggregate"),
            },
            Some("!binary") => self.unpacked = Some(String::new()),
            _ => {}
        }
    }

    fn set_fields(&mut self, context: &Context<'_>, names: &[String]) {
        self.fields.clear();
        for name in names {
            let field = Field::find(name);
            if field.is_none() {
                context.chatter(format_args!(
                    "{}:{}: warning: unknown content type '{name}'",
                    self.name, self.lines.number
                ));
            }
            self.fields.push(field);
        }
    }

    /// Reads a record that is a packet, which has the fields of a line.
    fn read_record(&mut self, context: &Context<'_>, record: &[u8]) {
        let mut line = self.unpacked.take().unwrap_or_default();
        line.clear();
        let mut rest = record;
        for field in &self.fields {
            let unpacked = field.and_then(encoding).and_then(|encoding| {
                let unpacked = encoding.unpack(&mut rest, &mut line);
                line.push(' ');
                unpacked
            });
            if unpacked.is_none() {
                break;
            }
        }
        self.read_packet(context, &line);
        self.unpacked = Some(line);
    }

    /// Reads a line that is a packet: one with a value at least for some field.
    fn read_packet(&mut self, context: &Context<'_>, line: &str) {
        // The details of a packet may stand on the line before.
        let timestamp = self.draft.timestamp;
        self.draft.reset(self.flow, self.aggregate);
        let outcome = match &mut self.syntax {
            Syntax::Fields => {
                let mut read = 0;
                for (field, word) in self.fields.iter().zip(words(line)) {
                    let value = field.and_then(|field| field.read);
                    if let Some(value) = value.filter(|_| word != "-") {
                        read += usize::from(value(&mut self.draft, word).is_some());
                    }
                }
                if read > 0 {
                    Outcome::Packet
                } else {
                    Outcome::Malformed
                }
            }
            Syntax::NetFlow(link) => {
                match netflow::read(&mut self.draft, line, *link, self.multipacket) {
                    Some(()) => Outcome::Packet,
                    None => Outcome::Malformed,
                }
            }
            Syntax::Tcpdump(tcpdump) => {
                self.draft.timestamp = timestamp;
                tcpdump.read(&mut self.draft, line)
            }
        };
        if outcome != Outcome::Packet {
            if outcome == Outcome::Malformed && !self.complained {
                self.complain(context, "packet parse error");
                self.complained = true;
            }
            return;
        }
        let last = self.draft.timestamp;
        let count = self.draft.count;
        if self.multipacket {
            self.draft.count = 1;
        }
        self.repeats = Repeats {
            all: if self.multipacket { count } else { 1 },
            given: 0,
            first: self.draft.first_timestamp.unwrap_or(last),
            last,
        };
    }

    fn complain(&self, context: &Context<'_>, what: &str) {
        context.chatter(format_args!("{}:{}: {what}", self.name, self.lines.number));
    }
}

/// Reads a flow: source address and port, destination address and port, and maybe its protocol.
/// `-` leaves what was there.
pub(super) fn read_flow<'a>(
    flow: &mut Flow,
    mut words: impl Iterator<Item = &'a str>,
) -> Option<()> {
    fn value<T>(old: T, word: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if word == "-" { Some(old) } else { parse(word) }
    }
    let address = |word: &str| word.parse::<Ipv4Addr>().ok();
    let read = Flow {
        source: value(flow.source, words.next()?, address)?,
        source_port: value(flow.source_port, words.next()?, number)?,
        destination: value(flow.destination, words.next()?, address)?,
        destination_port: value(flow.destination_port, words.next()?, number)?,
        protocol: value(flow.protocol, words.next().unwrap_or("-"), protocol)?,
    };
    *flow = read;
    Some(())
}
