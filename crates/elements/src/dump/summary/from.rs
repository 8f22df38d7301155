use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::{IpProtocol, Raw, split_words, unquote};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected, Signals,
};
use sprat_packet::{Batch, Packet};

use super::draft::Flow;
use super::fields::Field;
use super::lines::{Lines, words};
use super::netflow::Link;
use super::reader::{Reader, Syntax, read_flow, readable};
use super::tcpdump::Tcpdump;
use crate::quantity_text::binary_fraction_text;

pub(crate) const FROM_IP_SUMMARY_DUMP: Class = Class::of::<FromIpSummaryDump>("FromIPSummaryDump")
    .ports("0/1")
    .processing("a");

pub(crate) const FROM_NETFLOW_SUMMARY_DUMP: Class =
    FROM_IP_SUMMARY_DUMP.named("FromNetFlowSummaryDump");
pub(crate) const FROM_TCPDUMP: Class = FROM_IP_SUMMARY_DUMP.named("FromTcpdump");

/// FromIPSummaryDump, FromNetFlowSummaryDump, FromTcpdump: make packets of a dump's lines.
///
/// ```click
/// FromIPSummaryDump(FILENAME [, keywords STOP, TIMING, ACTIVE, ZERO, CHECKSUM, PROTO,
///                   MULTIPACKET, SAMPLE, FIELDS, FLOWID, DATA, BURST, ALLOW_NONEXISTENT])
/// FromNetFlowSummaryDump(FILENAME [, the same keywords, LINK])
/// FromTcpdump(FILENAME [, the same keywords])
/// ```
///
/// Reads what ToIPSummaryDump writes, and what people write in that form. FILENAME `-` is standard
/// input; a file compressed by gzip or bzip2 is read as what it was, in routers that run as a process of
/// the host. Each line is a packet of the fields that the last line `!data` names; the fields are
/// those of ToIPSummaryDump. A field that is `-`, or that the line has not, gets its default: zero;
/// time to live 100; lengths and protocol as below. Other lines:
///
/// - `!proto PROTOCOL`, `!flowid SOURCE PORT DESTINATION PORT [PROTOCOL]`, `!aggregate NUMBER`:
///   the defaults of packets after it;
/// - `!binary`: records as ToIPSummaryDump describes them follow;
/// - others that begin with `!`, those that begin with `#`, and empty ones: nothing.
///
/// Packets have their IP header, destination and times marked. A line that says nothing of IP, nor
/// of what IP carries, is a packet without a byte; one of Ethernet and IP begins with its Ethernet
/// header. Bytes of the IP length that a line does not give are not there; the extra length annotation
/// counts them. Where lines say the IP length and that of the payload, what is left over is header:
/// empty TCP options, then empty IP options, unless a line says which options there are.
///
/// FromNetFlowSummaryDump reads lines of fields between vertical bars, each a flow: addresses, interfaces,
/// packets, bytes, times, ports, flags, protocol and type of service, as Click's manual page lists them.
/// FromTcpdump reads what tcpdump prints of TCP, UDP and ICMP over IPv4, with its option `-n` and, if
/// wanted, `-v`; other lines are left out. It turns relative sequence numbers back.
///
/// - STOP: whether the driver stops at the end of the dump; false.
/// - TIMING: whether packets come at the pace of their times; false: as fast as they are taken.
/// - ACTIVE: whether it begins at once; true.
/// - ZERO: what no line says is zero here, whatever this says.
/// - CHECKSUM: whether checksums are computed, and all bytes of the IP length are there; false.
/// - PROTO: the default protocol; TCP.
/// - MULTIPACKET: whether a line whose `count` is above one gives so many packets, spread over the
///   time from its `first_timestamp`; false: one packet whose annotation says how many.
/// - SAMPLE: the probability with which a packet is taken; 1.
/// - FIELDS (or CONTENTS): the fields of lines before the first `!data`.
/// - FLOWID: the flow of lines that do not say it, as in `!flowid`.
/// - DATA: the dump itself, instead of a file.
/// - BURST: packets pushed each time it is scheduled; by default 1 if the order of work shows, a
///   batch otherwise.
/// - LINK: which of a flow's interfaces becomes the paint: `input`, the default, `output`, or `both`, in
///   four bits each.
/// - ALLOW_NONEXISTENT: whether a file that is not there counts as an empty one; false.
///
/// Handlers: `count`, `filename`, `encap`, `filesize`, `filepos`, `sampling_prob` (read); `active`
/// (read, write); `stop`, `reset_counts` (write); those of its task.
///
/// See Click's manual pages FromIPSummaryDump(n), FromNetFlowSummaryDump(n) and FromTcpdump(n).
struct FromIpSummaryDump {
    name: String,
    kind: Kind,
    data: Option<String>,
    settings: Settings,
    stop: bool,
    timing: bool,
    active: bool,
    allow_nonexistent: bool,
    /// Of 65,536 packets, how many are taken.
    sample: u32,
    burst: Option<usize>,
    reader: Option<Reader>,
    /// Where in the dump it ended.
    position: usize,
    next: Option<Packet>,
    /// With TIMING: when the first packet came, on the router's clock and in the dump.
    origin: Option<(Instant, i64)>,
    count: u64,
    batch: Batch,
}

/// Which of the classes it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Summary,
    NetFlow(Link),
    Tcpdump,
}

/// Reads LINK.
fn read_link(arguments: &mut Arguments<'_>) -> Link {
    let Some(name) = arguments.keyword::<String>("LINK") else {
        return Link::Input;
    };
    Link::named(&name).unwrap_or_else(|| {
        arguments.error("LINK: expected 'input', 'output' or 'both'");
        Link::Input
    })
}

/// What the reader needs to know.
struct Settings {
    fields: String,
    flow: Flow,
    flow_given: bool,
    checksums: bool,
    multipacket: bool,
}

/// All of 65,536 packets.
const ALL: u32 = 65_536;

impl Configure for FromIpSummaryDump {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id()).name;
        let kind = if class == FROM_NETFLOW_SUMMARY_DUMP.name {
            Kind::NetFlow(read_link(arguments))
        } else if class == FROM_TCPDUMP.name {
            Kind::Tcpdump
        } else {
            Kind::Summary
        };
        let data = arguments.keyword::<String>("DATA");
        let data = data.filter(|data| !data.is_empty());
        let name = match data {
            Some(_) => arguments.position("FILENAME"),
            None => Some(arguments.required::<String>("FILENAME")?),
        };
        if data.is_some() && name.is_some() {
            arguments.error("FILENAME and DATA conflict");
        }
        let name = name.unwrap_or_default();
        let mut flag = |name: &str, otherwise| arguments.keyword(name).unwrap_or(otherwise);
        let (stop, timing) = (flag("STOP", false), flag("TIMING", false));
        let (active, checksums) = (flag("ACTIVE", true), flag("CHECKSUM", false));
        let multipacket = flag("MULTIPACKET", false);
        let allow_nonexistent = flag("ALLOW_NONEXISTENT", false);
        flag("ZERO", true);
        let sample = arguments.keyword::<f64>("SAMPLE").unwrap_or(1.0);
        if sample < 0.0 {
            arguments.error("SAMPLE: must be between 0 and 1");
        } else if sample > 1.0 {
            arguments.warning("SAMPLE probability reduced to 1");
        } else if sample == 0.0 {
            arguments.warning("SAMPLE probability is 0; emitting no packets");
        }
        let sample = sample.clamp(0.0, 1.0);
        let mut flow = Flow::default();
        let mut flow_given = false;
        for name in ["DEFAULT_FLOWID", "FLOWID"] {
            let Some(Raw(text)) = arguments.keyword::<Raw>(name) else {
                continue;
            };
            flow_given = true;
            // As a dump has it, or without the first word.
            let text = text.strip_prefix("!flowid ").unwrap_or(&text);
            if let Err(what) = read_flow(&mut flow, words(text)) {
                arguments.error(format!("{name}: {what}"));
            }
        }
        for name in ["DEFAULT_PROTO", "PROTO"] {
            if let Some(IpProtocol(protocol)) = arguments.keyword(name) {
                flow.protocol = protocol;
            }
        }
        let mut fields = String::new();
        for name in ["DEFAULT_CONTENTS", "CONTENTS", "DEFAULT_FIELDS", "FIELDS"] {
            if let Some(Raw(list)) = arguments.keyword::<Raw>(name) {
                fields = list;
            }
        }
        for field in listed(&fields) {
            if let Err(what) = field {
                // Click counts the argument as the dump's line before the first.
                let dump = match name.as_str() {
                    "" | "-" => "<stdin>",
                    name => name,
                };
                arguments.warning_in_file(format!("{dump}:0"), what);
            }
        }
        let burst = arguments
            .keyword::<usize>("BURST")
            .map(|burst| burst.max(1));
        arguments.finish()?;
        // Between zero and one, so between zero and 65,536.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let sample = (sample * f64::from(ALL) + 0.5) as u32;
        Ok(Self {
            name,
            kind,
            data,
            settings: Settings {
                fields,
                flow,
                flow_given,
                checksums,
                multipacket,
            },
            stop,
            timing,
            active,
            allow_nonexistent,
            sample,
            burst,
            reader: None,
            position: 0,
            next: None,
            origin: None,
            count: 0,
            batch: Batch::new(),
        })
    }
}

/// The fields of a list of names, or what is wrong with each.
fn listed(text: &str) -> impl Iterator<Item = Result<&'static Field, String>> {
    let mut words = split_words(text);
    // As a dump has them.
    if words
        .first()
        .is_some_and(|first| matches!(first.as_str(), "!data" | "!contents"))
    {
        words.remove(0);
    }
    words.into_iter().map(|word| readable(&unquote(&word)))
}

impl FromIpSummaryDump {
    fn open(&self, context: &Context<'_>) -> Result<Reader, Rejected> {
        let (name, lines) = match &self.data {
            Some(data) => ("<data>", Lines::of_text(data.clone().into_bytes())),
            None => match context.environment().open_input(&self.name) {
                Ok(input) => (self.name.as_str(), Lines::of_input(input)),
                Err(_) if self.allow_nonexistent => {
                    (self.name.as_str(), Lines::of_text(alloc::vec::Vec::new()))
                }
                Err(error) => return Err(context.error(format!("{}: {error}", self.name))),
            },
        };
        if lines.size() == Some(0) && !self.allow_nonexistent && self.data.is_none() {
            return Err(context.error_in_file(format!("{name}:0"), "empty file"));
        }
        let name = if name == "-" { "<stdin>" } else { name };
        let mut reader = Reader::new(name.into(), lines);
        reader.fields = listed(&self.settings.fields).map(Result::ok).collect();
        reader.syntax = match self.kind {
            Kind::Summary => Syntax::Fields,
            Kind::NetFlow(link) => Syntax::NetFlow(link),
            Kind::Tcpdump => Syntax::Tcpdump(Tcpdump::default()),
        };
        reader.flow = self.settings.flow;
        reader.flow_given = self.settings.flow_given;
        reader.checksums = self.settings.checksums;
        reader.multipacket = self.settings.multipacket;
        if matches!(self.kind, Kind::Summary) {
            reader.check_banner(context);
        }
        Ok(reader)
    }

    /// Reads a packet, or a line that is none; says whether there was one.
    fn load(&mut self, context: &Context<'_>) -> bool {
        let read = self.reader.as_mut().map(|reader| reader.packet(context));
        let Some(Some(packet)) = read else {
            return false;
        };
        self.next = packet;
        true
    }

    /// The dump is at its end.
    fn end(&mut self, context: &Context<'_>) {
        if let Some(reader) = self.reader.take() {
            self.position = reader.lines.position;
            context.set_nonempty(false);
            if self.stop {
                context.stop_driver();
            }
        }
    }

    /// When the next packet is due, with TIMING, if that is not now.
    fn wait(&mut self, now: Instant) -> Option<Instant> {
        let packet = self.next.as_ref().filter(|_| self.timing)?;
        let (begin, first) = *self.origin.get_or_insert((now, packet.timestamp()));
        let passed = u64::try_from(packet.timestamp().saturating_sub(first)).unwrap_or(0);
        let due = begin + Duration::from_nanos(passed);
        (due > now).then_some(due)
    }

    /// Takes packets until there are `limit`, or the next one is not due; then its time is
    /// returned. A line that is no packet takes the place of one, and the end all of them: what
    /// else there is to do is done before.
    fn take(&mut self, context: &Context<'_>, limit: usize, batch: &mut Batch) -> Option<Instant> {
        let held = batch.len();
        let mut due = None;
        let mut turns = 0;
        while turns < limit {
            if self.next.is_none() && !self.load(context) {
                if turns == 0 {
                    self.end(context);
                }
                break;
            }
            due = self.wait(context.now());
            if due.is_some() {
                break;
            }
            match self.next.take() {
                Some(_) if !self.is_taken(context) => {}
                packet => {
                    batch.extend(packet);
                    turns += 1;
                }
            }
        }
        self.count += (batch.len() - held) as u64;
        due
    }

    /// Whether a packet is of the sample.
    fn is_taken(&self, context: &Context<'_>) -> bool {
        self.sample == ALL || context.random_below(ALL) < self.sample
    }
}

impl Element for FromIpSummaryDump {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.reader = Some(self.open(context)?);
        context.set_nonempty(self.active);
        if context.output_pushes(0) {
            context.wake_when_nonfull(0);
            if self.active {
                context.schedule_task();
            }
        }
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        if !self.active || !context.downstream_nonfull(0) {
            return false;
        }
        let limit = if self.timing {
            1
        } else {
            context.source_burst(0, self.burst)
        };
        let mut batch = core::mem::take(&mut self.batch);
        let due = self.take(context, limit, &mut batch);
        let worked = !batch.is_empty();
        context.forward(0, &mut batch);
        self.batch = batch;
        match due {
            Some(due) => context.set_timer(0, due),
            None if self.reader.is_some() => context.schedule_task(),
            None => {}
        }
        worked
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        if context.output_pushes(0) {
            context.schedule_task();
        } else {
            context.set_nonempty(self.active);
        }
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        if !self.active {
            return;
        }
        if let Some(due) = self.take(context, limit, batch) {
            context.set_nonempty(false);
            context.set_timer(0, due);
        }
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .button("reset_counts")
            .read_write("active")
            .read("filename")
            .read("encap");
        list.read("filesize").read("filepos").read("sampling_prob");
        list.button("stop").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "active" => Ok(self.active.to_string()),
            "filename" if self.name == "-" => Ok("<stdin>".into()),
            "filename" if self.data.is_some() => Ok("<data>".into()),
            "filename" => Ok(self.name.clone()),
            "encap" => Ok("IP".into()),
            "sampling_prob" => Ok(binary_fraction_text(self.sample.into(), 16)),
            "filesize" => {
                let file = self.reader.as_ref().filter(|_| self.data.is_none());
                let size = file.and_then(|reader| reader.lines.size());
                Ok(size.map_or_else(|| "-".into(), |size| size.to_string()))
            }
            "filepos" => {
                let reader = self.reader.as_ref();
                let position = reader.map_or(self.position, |reader| reader.lines.position);
                Ok(position.to_string())
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "reset_counts" => self.count = 0,
            "active" => {
                self.active = crate::value_or(context, value, "type mismatch")?;
                let going = self.active && (self.reader.is_some() || self.next.is_some());
                context.set_nonempty(going);
                if going && context.output_pushes(0) {
                    context.schedule_task();
                }
            }
            "stop" => {
                self.active = false;
                context.set_nonempty(false);
                context.stop_driver();
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
