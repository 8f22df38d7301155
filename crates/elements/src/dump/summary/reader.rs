use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::Context;
use sprat_click::arguments::unquote;
use sprat_packet::Packet;
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::headers::protocol::UDP;
use sprat_packet::headers::{Ipv4Mut, UdpMut};

use super::binary::encoding;
use super::draft::{Draft, Flow};
use super::fields::{Field, number};
use super::ip_fields::protocol;
use super::lines::{Lines, values, words};
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
    /// Whether somebody has said it, so that all packets are IP.
    pub(super) flow_given: bool,
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
    /// Where the last line stands for several packets, the next of them.
    made: Option<Packet>,
    /// Whether a line that is no packet has been complained about.
    complained: bool,
}

/// The version of dumps that is known, and older ones that differ in the second number.
const MAJOR_VERSION: u32 = 1;
const MINOR_VERSION: u32 = 3;

/// What a dump without a banner may begin with.
const BEGINNINGS: [&str; 5] = ["!creator", "!data", "!contents", "!proto", "!flowid"];

/// The packets that the last line still has to give.
#[derive(Clone, Copy, Default)]
struct Repeats {
    /// How many are left.
    left: u32,
    /// Time of the last, and what each before it is later than the one before, in nanoseconds.
    last: i64,
    step: i64,
    /// Bytes that are left for them all, and bytes of each but the last.
    length: usize,
    each: usize,
}

impl Reader {
    pub(super) fn new(name: String, lines: Lines) -> Self {
        Self {
            name,
            lines,
            syntax: Syntax::Fields,
            fields: Vec::new(),
            flow: Flow::default(),
            flow_given: false,
            checksums: false,
            multipacket: false,
            aggregate: 0,
            draft: Draft::default(),
            line: Vec::new(),
            unpacked: None,
            repeats: Repeats::default(),
            made: None,
            complained: false,
        }
    }

    /// Warns of a dump that does not begin as dumps do.
    pub(super) fn check_banner(&mut self, context: &Context<'_>) {
        let mut line = Vec::new();
        if !matches!(self.lines.peek(&mut line), Ok(true)) {
            return;
        }
        let line = String::from_utf8_lossy(&line);
        // No line has been read yet.
        let warn = |what: &str| context.warning_in_file(format!("{}:0", self.name), what);
        if let Some(version) = line.strip_prefix("!IPSummaryDump") {
            let mut numbers = version.trim().split('.').map(str::parse::<u32>);
            if let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next())
                && (major != MAJOR_VERSION || minor > MINOR_VERSION)
            {
                warn(&format!("unexpected IPSummaryDump version {major}.{minor}"));
            }
        } else if self.fields.is_empty() && !BEGINNINGS.iter().any(|it| line.starts_with(it)) {
            warn("missing banner line; is this an IP summary dump?");
        }
    }

    /// The next packet, or nothing where a line is none; `None` at the end of the dump.
    pub(super) fn packet(&mut self, context: &Context<'_>) -> Option<Option<Packet>> {
        while self.repeats.left == 0 {
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
            let about = matches!(line.first(), None | Some(b'!' | b'#' | b'\n' | b'\r'));
            self.line = line;
            if self.repeats.left == 0 && (!more? || !about) {
                return Some(None);
            }
        }
        Some(Some(self.repeat(context)))
    }

    /// Makes one of the packets of the last line.
    fn repeat(&mut self, context: &Context<'_>) -> Packet {
        let Some(mut packet) = self.made.take() else {
            self.repeats.left = 0;
            return self.draft.packet(context.pool(), self.checksums);
        };
        self.repeats.left -= 1;
        let repeats = &mut self.repeats;
        let length = match repeats.left {
            0 => {
                packet.set_timestamp(repeats.last);
                repeats.length
            }
            _ => {
                let next = packet.duplicate(context.pool());
                self.made = Some(next);
                repeats.each
            }
        };
        repeats.length = repeats.length.saturating_sub(length);
        if let Some(next) = &mut self.made {
            next.set_timestamp(packet.timestamp() + repeats.step);
        }
        set_length(&mut packet, length);
        packet
    }

    /// Sees to it that the packets of a line that stands for several share its time and length.
    fn share(&mut self, context: &Context<'_>) {
        let last = self.draft.timestamp;
        let count = self.draft.count;
        self.made = None;
        self.repeats = Repeats {
            left: 1,
            ..Repeats::default()
        };
        if !self.multipacket || count < 2 {
            return;
        }
        self.draft.count = 1;
        let mut packet = self.draft.packet(context.pool(), self.checksums);
        let extra = packet.annotations().word(EXTRA_LENGTH) as usize;
        let mut length = packet.len() + extra;
        // Each has all the bytes that are here.
        let each = (length / count as usize).max(packet.len());
        length = length.max(each * count as usize);
        let mut step = 0;
        if let Some(first) = self.draft.first_timestamp.filter(|first| *first != 0) {
            step = last.saturating_sub(first) / i64::from(count - 1);
            packet.set_timestamp(first);
        }
        self.repeats = Repeats {
            left: count,
            last,
            step,
            length,
            each,
        };
        self.made = Some(packet);
    }

    fn read_line(&mut self, context: &Context<'_>, line: &str) {
        match line.as_bytes().first() {
            None | Some(b'#') => {}
            Some(b'!') => {
                if matches!(self.syntax, Syntax::Fields) {
                    self.read_directive(context, line);
                }
            }
            Some(_) if line.trim_start().is_empty() => {}
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
            Some("!proto") => match (words.next(), words.next()) {
                (Some(word), None) => match protocol(word) {
                    Some(protocol) => self.flow.protocol = protocol,
                    None => self.complain(context, "bad protocol in !proto"),
                },
                _ => self.complain(context, "bad !proto"),
            },
            Some("!flowid") => match read_flow(&mut self.flow, words) {
                Ok(()) => self.flow_given = true,
                Err(what) => self.complain(context, what),
            },
            Some("!aggregate") => match words.next().and_then(number) {
                Some(aggregate) => self.aggregate = aggregate,
                None => self.complain(context, "bad !aggregate specification"),
            },
            Some("!binary") => {
                if words.next().is_some() {
                    self.complain(context, "bad !binary specification");
                }
                self.unpacked = Some(String::new());
            }
            _ => {}
        }
    }

    fn set_fields(&mut self, context: &Context<'_>, names: &[String]) {
        self.fields.clear();
        for name in names {
            let field = readable(name);
            if let Err(what) = &field {
                context.chatter(format_args!(
                    "{}:{}: warning: {what}",
                    self.name, self.lines.number
                ));
            }
            self.fields.push(field.ok());
        }
        if self.fields.is_empty() {
            self.complain(context, "no contents specified");
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
                let passes = self.fields.iter().flatten().map(|field| field.pass).max();
                let mut read = 0;
                for pass in 0..=passes.unwrap_or(0) {
                    for (field, word) in self.fields.iter().zip(values(line)) {
                        let field =
                            field.filter(|field| field.pass == pass && !matches!(word, "" | "-"));
                        let Some((field, value)) = field.and_then(|it| Some((it, it.read?))) else {
                            continue;
                        };
                        if value(&mut self.draft, word).is_some() {
                            read += 1;
                            self.draft.network |= field.network;
                        }
                    }
                }
                self.draft.network |= self.flow_given;
                if read > 0 {
                    Outcome::Packet
                } else {
                    Outcome::Malformed
                }
            }
            Syntax::NetFlow(link) => match netflow::read(&mut self.draft, line, *link) {
                Some(()) => Outcome::Packet,
                None => Outcome::Malformed,
            },
            Syntax::Tcpdump(tcpdump) => {
                self.draft.timestamp = timestamp;
                tcpdump.read(&mut self.draft, line)
            }
        };
        if outcome != Outcome::Packet {
            if outcome == Outcome::Malformed && !self.complained {
                let known = self.fields.is_empty() && matches!(self.syntax, Syntax::Fields);
                self.complain(
                    context,
                    if known {
                        "no '!data' provided"
                    } else {
                        "packet parse error"
                    },
                );
                self.complained = true;
            }
            return;
        }
        self.share(context);
    }

    fn complain(&self, context: &Context<'_>, what: &str) {
        context.chatter(format_args!("{}:{}: {what}", self.name, self.lines.number));
    }
}

/// The field of a name that dumps may have.
///
/// # Errors
/// What is wrong with it.
pub(super) fn readable(name: &str) -> Result<&'static Field, String> {
    let field = Field::find(name).filter(|field| field.read.is_some());
    field.ok_or_else(|| format!("unknown content type '{name}'"))
}

/// Reads a flow: source address and port, destination address and port, and maybe its protocol.
/// `-` leaves what was there.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_flow<'a>(
    flow: &mut Flow,
    words: impl Iterator<Item = &'a str>,
) -> Result<(), &'static str> {
    fn value<T>(old: T, word: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        if word == "-" { Some(old) } else { parse(word) }
    }
    let address = |word: &str| word.parse::<Ipv4Addr>().ok();
    let mut words = words;
    let mut ends = || {
        Some(Flow {
            source: value(flow.source, words.next()?, address)?,
            source_port: value(flow.source_port, words.next()?, number)?,
            destination: value(flow.destination, words.next()?, address)?,
            destination_port: value(flow.destination_port, words.next()?, number)?,
            protocol: flow.protocol,
        })
    };
    *flow = ends().ok_or("bad !flowid specification")?;
    let word = words.next().unwrap_or("-");
    flow.protocol = value(flow.protocol, word, protocol).ok_or("bad protocol in !flowid")?;
    Ok(())
}

/// Has a packet be of `length` bytes, as far as IP and its annotation tell.
fn set_length(packet: &mut Packet, length: usize) {
    let present = packet.len();
    let extra = u32::try_from(length.saturating_sub(present)).unwrap_or(u32::MAX);
    packet.set_annotation_word(EXTRA_LENGTH, extra);
    let before = packet.network_offset().unwrap_or(0).unsigned_abs();
    let header = packet.network_header_len();
    let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) else {
        return;
    };
    let length = u16::try_from(length.saturating_sub(before)).unwrap_or(u16::MAX);
    if ip.total_length() == length {
        return;
    }
    ip.set_total_length(length);
    let datagram = ip.protocol() == UDP;
    if let Some(Ok(mut udp)) = packet.transport_header_mut().map(UdpMut::new)
        && datagram
    {
        let header = u16::try_from(header).unwrap_or(0);
        udp.set_length(length.saturating_sub(header));
    }
}
