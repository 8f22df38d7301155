mod handlers;

use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::{Raw, Timestamp as MomentArgument};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected, Signals,
};
use sprat_packet::{Batch, Packet};

use self::handlers::Facts;
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
/// - END_CALL: a handler to write when END is reached or the file is at its end; by default its own
///   `active false` where there is an END.
/// - BURST: packets pushed each time it is scheduled; by default 1 if the order of work shows, a
///   batch otherwise.
/// - FILEPOS: the place in the file, in bytes, at which a record begins that is read first.
/// - MMAP, FORCE_LEN are accepted and decide nothing.
///
/// A file cut short ends there, with a message.
///
/// Handlers: `count`, `filename`, `encap`, `filesize`, `sampling_prob`, `packet_filepos` (read): where in
/// the file the record of the last packet begins; `active`, `filepos` (read, write): writing it goes on
/// from another record; `extend_interval` (write): puts END so much later and becomes active;
/// `reset_timing`, `stop`, `reset_counts` (write); those of its task.
///
/// See Click's manual pages FromDump(n), FromDAGDump(n) and FromNLANRDump(n).
struct FromDump {
    name: String,
    format: Format,
    stop: bool,
    /// Whether packets of some time are the last.
    ends: bool,
    timing: bool,
    active: bool,
    force_ip: bool,
    /// Of 65,536 packets, how many are taken.
    sample: u32,
    window: Window,
    end_call: Option<HandlerCall>,
    /// Whether that is about to be called: what comes next waits for what it does.
    calls: bool,
    burst: Option<usize>,
    file: Option<OpenFile>,
    /// What is known of a file that has been read to its end.
    ended: Option<Facts>,
    next: Option<Packet>,
    /// Where in the file the records of the next packet and of the last one begin.
    next_position: usize,
    packet_position: usize,
    /// Where the file is read from, if not from its beginning.
    start_position: Option<usize>,
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
        if sample > 1.0 {
            arguments.warning("SAMPLE probability reduced to 1");
        } else if sample == 0.0 {
            arguments.warning("SAMPLE probability is 0; emitting no packets");
        } else if sample < 0.0 {
            arguments.error("SAMPLE: must be between 0 and 1");
        }
        let sample = sample.clamp(0.0, 1.0);
        let moment = |value: MomentArgument| value.0;
        let window = Window {
            start: arguments.keyword("START").map(moment),
            end: arguments.keyword("END").map(moment),
            start_after: arguments.keyword("START_AFTER"),
            end_after: arguments.keyword("END_AFTER"),
            interval: arguments.keyword("INTERVAL"),
            reached: None,
        };
        if window.start.is_some() && window.start_after.is_some() {
            arguments.error("START and START_AFTER are mutually exclusive");
        }
        let ends = [
            window.end.is_some(),
            window.end_after.is_some(),
            window.interval.is_some(),
        ];
        let ends = ends.into_iter().filter(|given| *given).count();
        if ends > 1 {
            arguments.error("END, END_AFTER, and INTERVAL are mutually exclusive");
        }
        let end_call: Option<HandlerCall> = arguments.keyword("END_CALL");
        if stop && end_call.is_some() {
            arguments.error("END_CALL and STOP are mutually exclusive");
        }
        let burst = arguments
            .keyword::<usize>("BURST")
            .map(|burst| burst.max(1));
        let start_position = arguments.keyword::<u32>("FILEPOS");
        for ignored in ["MMAP", "FORCE_LEN"] {
            arguments.keyword::<Raw>(ignored);
        }
        arguments.finish()?;
        // Between zero and one, so between zero and 65,536.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let sample = (sample * 65_536.0 + 0.5) as u32;
        Ok(Self {
            name: name?,
            format,
            stop,
            ends: ends > 0,
            timing,
            active,
            force_ip,
            sample,
            window,
            end_call,
            calls: false,
            burst,
            file: None,
            ended: None,
            next: None,
            next_position: 0,
            packet_position: 0,
            start_position: start_position.map(|position| position as usize),
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
            self.next_position = file.reader.position;
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
                    self.packet_position = self.next_position;
                    self.ended = self.file.take().as_ref().map(Facts::of);
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
            self.window.reach_end();
            self.end(context);
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
    fn end(&mut self, context: &mut Context<'_>) {
        if let Some(call) = &self.end_call {
            call.call(context);
            self.calls = true;
        } else if self.stop || self.ends {
            self.active = false;
        }
        if !self.active || self.file.is_none() {
            context.set_nonempty(false);
        }
        if self.stop {
            context.stop_driver();
        }
    }

    /// Goes on with the record that begins at `position`.
    fn seek(&mut self, context: &Context<'_>, position: usize) -> Result<(), String> {
        let input = context.environment().open_input(&self.name);
        let input = input.map_err(|error| error.to_string())?;
        let mut file = OpenFile::open(input, self.format)?;
        file.settled = self.file.as_ref().is_some_and(|file| file.settled);
        file.reader.skip_to(position);
        self.file = Some(file);
        self.next = None;
        Ok(())
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
            if !self.active || core::mem::take(&mut self.calls) {
                break;
            }
            if self.timing {
                due = self.wait(context);
                if due.is_some() {
                    break;
                }
            }
            match self.next.take() {
                Some(packet) => {
                    batch.push(packet);
                    self.packet_position = self.next_position;
                }
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
        let mut file =
            file.map_err(|reason| context.error_in_file(self.name.as_str(), reason.to_string()))?;
        if let Some(position) = self.start_position {
            file.reader.skip_to(position);
        }
        self.file = Some(file);
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
        let going = self.active && self.file.is_some();
        if going && context.timer(0).is_none() {
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
        handlers::list(list);
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        self.read_handler(name)
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.write_handler(context, name, value)
    }
}
