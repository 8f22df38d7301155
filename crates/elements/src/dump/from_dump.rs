use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::{Raw, Timestamp as MomentArgument};
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected, Signals,
};
use sprat_packet::{Batch, Packet};

use super::file::Ending;
use super::nlanr::Cell;
use super::trace::{Format, OpenFile, mark};
use super::window::Window;
use crate::handler_call::HandlerCall;

pub(super) const FROM_DUMP: Class = Class::of::<FromDump>("FromDump")
    .ports("0/1-2")
    .processing("a/ah");
pub(super) const FROM_DAG_DUMP: Class = FROM_DUMP.named("FromDAGDump");
pub(super) const FROM_NLANR_DUMP: Class = FROM_DUMP.named("FromNLANRDump");

/// FromDump, FromDAGDump, FromNLANRDump: read packets from a trace.
///
/// ```click
/// FromDump(FILENAME [, keywords STOP, TIMING, ACTIVE, FORCE_IP, SAMPLE, START, END, INTERVAL,
///          START_AFTER, END_AFTER, END_CALL, BURST, MMAP])
/// FromDAGDump(FILENAME [, the same keywords])
/// FromNLANRDump(FILENAME [, keyword FORMAT, the same keywords])
/// ```
///
/// FromDump reads pcap files. FromDAGDump reads Endace's extensible record format: Ethernet, HDLC, ATM and
/// IP. FromNLANRDump reads NLANR's traces of first headers, whose FORMAT is `fr`, `fr+`, `tsh` or `guess`,
/// the default. Paint says which of a trace's interfaces a packet came by; bytes that it had and the trace
/// has not are counted by the extra length annotation.
///
/// FILENAME `-` is standard input. A file compressed by gzip or bzip2 is read as what it was, in routers
/// that run as a process of the host. Packets get the times of the file.
///
/// - STOP: whether the driver stops at the end of the file; false.
/// - TIMING: whether packets come at the pace of their times; false: as fast as they are taken.
/// - ACTIVE: whether it begins at once; true.
/// - FORCE_IP: only IPv4 packets come, with their header marked; others leave by output 1 if there
///   is one. False.
/// - SAMPLE: the probability with which a packet is taken; 1.
/// - START, END: only packets of times from START to before END; START_AFTER, END_AFTER: the same,
///   counted from the first packet; INTERVAL: END that long after START.
/// - END_CALL: a handler to write when END is reached.
/// - BURST: packets pushed each time it is scheduled; by default 1 if the order of work shows, a
///   batch otherwise.
/// - MMAP, FILEPOS, FORCE_LEN are accepted and decide nothing.
///
/// A file cut short ends there, with a message.
///
/// Handlers: `count`, `filename`, `encap`, `filesize`, `filepos`, `sampling_prob` (read); `active`
/// (read, write); `stop`, `reset_counts` (write); those of its task.
///
/// See Click's manual pages FromDump(n), FromDAGDump(n) and FromNLANRDump(n).
struct FromDump {
    name: String,
    format: Format,
    stop: bool,
    timing: bool,
    active: bool,
    force_ip: bool,
    /// Of 65,536 packets, how many are taken.
    sample: u32,
    window: Window,
    end_call: Option<HandlerCall>,
    burst: Option<usize>,
    file: Option<OpenFile>,
    next: Option<Packet>,
    /// With TIMING: when the first packet came, on the router's clock and in the file.
    origin: Option<(Instant, i64)>,
    count: u64,
    batch: Batch,
}

/// Reads FORMAT.
fn nlanr_cell(arguments: &mut Arguments<'_>) -> Option<Cell> {
    let name = arguments.keyword::<String>("FORMAT")?.to_ascii_lowercase();
    let cell = Cell::named(&name);
    if cell.is_none() && name != "guess" {
        arguments.error("FORMAT: expected 'fr', 'fr+', 'tsh' or 'guess'");
    }
    cell
}

impl Configure for FromDump {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id()).name;
        let name = arguments.required::<String>("FILENAME");
        let format = if class == FROM_NLANR_DUMP.name {
            Format::Nlanr(nlanr_cell(arguments))
        } else if class == FROM_DAG_DUMP.name {
            arguments.keyword::<Raw>("ENCAP");
            Format::Erf
        } else {
            Format::Pcap
        };
        let timing = arguments.position("TIMING").unwrap_or(false);
        let stop = arguments.keyword("STOP").unwrap_or(false);
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        let force_ip = arguments.keyword("FORCE_IP").unwrap_or(false);
        let sample = arguments.keyword::<f64>("SAMPLE").unwrap_or(1.0);
        if !(0.0..=1.0).contains(&sample) {
            arguments.error("SAMPLE: must be between 0 and 1");
        }
        let moment = |value: MomentArgument| value.0;
        let window = Window {
            start: arguments.keyword("START").map(moment),
            end: arguments.keyword("END").map(moment),
            start_after: arguments.keyword("START_AFTER"),
            end_after: arguments.keyword("END_AFTER"),
            interval: arguments.keyword("INTERVAL"),
        };
        let end_call = arguments.keyword("END_CALL");
        let burst = arguments
            .keyword::<usize>("BURST")
            .map(|burst| burst.max(1));
        for ignored in [
            "MMAP",
            "FILEPOS",
            "FORCE_LEN",
            "PACKET_FILEPOS",
            "EXTEND_INTERVAL",
        ] {
            arguments.keyword::<Raw>(ignored);
        }
        arguments.finish()?;
        // Between zero and one, so between zero and 65,536.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let sample = (sample * 65_536.0) as u32;
        Ok(Self {
            name: name?,
            format,
            stop,
            timing,
            active,
            force_ip,
            sample,
            window,
            end_call,
            burst,
            file: None,
            next: None,
            origin: None,
            count: 0,
            batch: Batch::new(),
        })
    }
}

impl FromDump {
    /// Reads on to the next packet that counts. Says so where there is none any more.
    fn load(&mut self, context: &mut Context<'_>) {
        while self.next.is_none() {
            let Some(file) = &mut self.file else { return };
            let packet = match file.packet(context) {
                Ok(packet) => packet,
                Err(ending) => {
                    match ending {
                        Ending::End => {}
                        Ending::Damaged => context
                            .chatter(format_args!("{}: bad packet header; giving up", self.name)),
                        Ending::Failed(error) => {
                            context.chatter(format_args!("{}: {error}", self.name))
                        }
                    }
                    return self.end(context);
                }
            };
            if !file.settled {
                file.settled = true;
                self.window.settle(packet.timestamp());
            }
            let link = file.link;
            self.consider(context, packet, link);
        }
    }

    /// Keeps a packet as the next one, where it counts.
    fn consider(&mut self, context: &mut Context<'_>, mut packet: Packet, link: u32) {
        let time = packet.timestamp();
        if self.window.start.is_some_and(|start| time < start) {
            return;
        }
        if self.window.end.is_some_and(|end| time >= end) {
            match &self.end_call {
                Some(call) => {
                    call.call(context);
                    self.window.end = None;
                }
                None => return self.end(context),
            }
        }
        if self.sample < 65_536 && context.random_below(65_536) >= self.sample {
            return;
        }
        if self.force_ip && !mark(&mut packet, link) {
            context.emit(1, packet);
            return;
        }
        self.next = Some(packet);
    }

    /// The end of the file, or of the packets that count.
    fn end(&mut self, context: &Context<'_>) {
        self.file = None;
        context.set_nonempty(false);
        if self.stop {
            context.stop_driver();
        }
    }

    /// Takes packets whose time has come until the batch has `limit`. Says when the next one's
    /// time comes, where it lies ahead.
    fn fill(
        &mut self,
        context: &mut Context<'_>,
        limit: usize,
        batch: &mut Batch,
    ) -> Option<Instant> {
        let mut due = None;
        while batch.len() < limit {
            self.load(context);
            if self.timing {
                due = self.wait(context);
                if due.is_some() {
                    break;
                }
            }
            match self.next.take() {
                Some(packet) => batch.push(packet),
                None => break,
            }
        }
        self.count += batch.len() as u64;
        due
    }

    /// How long the next packet has to wait.
    fn wait(&mut self, context: &Context<'_>) -> Option<Instant> {
        let packet = self.next.as_ref()?;
        let now = context.now();
        let (begin, first) = *self.origin.get_or_insert((now, packet.timestamp()));
        let due =
            begin + Duration::from_nanos(u64::try_from(packet.timestamp() - first).unwrap_or(0));
        (due > now).then_some(due)
    }
}

impl Element for FromDump {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if let Some(call) = &self.end_call {
            call.check(context)?;
        }
        let input = context.environment().open_input(&self.name);
        let input = input.map_err(|error| context.error(format!("{}: {error}", self.name)))?;
        let file = OpenFile::open(input, self.format);
        self.file = Some(file.map_err(|reason| context.error(format!("{}: {reason}", self.name)))?);
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
        if let Some(due) = self.fill(context, limit, &mut batch) {
            context.set_timer(0, due);
        }
        let worked = !batch.is_empty();
        context.forward(0, &mut batch);
        self.batch = batch;
        if self.file.is_some() && context.timer(0).is_none() {
            context.schedule_task();
        }
        worked
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        if context.output_pushes(0) {
            context.schedule_task();
        } else {
            context.set_nonempty(true);
        }
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        if !self.active {
            return;
        }
        if let Some(due) = self.fill(context, limit, batch) {
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
        list.read("filesize")
            .read("filepos")
            .read("sampling_prob")
            .button("stop")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "active" => Ok(self.active.to_string()),
            "filename" => Ok(self.name.clone()),
            "sampling_prob" => Ok(decimal::shortest(f64::from(self.sample) / 65_536.0)),
            "encap" => Ok(self
                .file
                .as_ref()
                .map_or_else(|| "-".into(), |file| link_name(file.link))),
            "filesize" => {
                let contents = self
                    .file
                    .as_ref()
                    .and_then(|file| file.reader.input.contents());
                Ok(contents.map_or_else(|| "-".into(), |contents| contents.len().to_string()))
            }
            "filepos" => Ok(self
                .file
                .as_ref()
                .map_or_else(|| "-".into(), |file| file.reader.position.to_string())),
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
                self.active = crate::handler_value(context, value)?;
                context.set_nonempty(self.active && self.file.is_some());
                if self.active && context.output_pushes(0) {
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

/// A link type as Click calls it.
fn link_name(link: u32) -> String {
    use super::capture::link as kind;
    match link {
        kind::ETHERNET => "ETHER".into(),
        kind::RAW | kind::RAW_BSD | kind::RAW_OPENBSD => "IP".into(),
        kind::NULL => "NULL".into(),
        kind::LINUX_SLL => "SLL".into(),
        kind::C_HDLC => "PPP_HDLC".into(),
        kind::ATM_RFC1483 => "ATM".into(),
        other => other.to_string(),
    }
}
