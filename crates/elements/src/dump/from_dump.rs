use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use sprat_click::arguments::{Raw, Timestamp as MomentArgument};
use sprat_click::environment::{AccessError, Input};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected, Signals,
};
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::headers::Ipv4;
use sprat_packet::{Batch, DEFAULT_HEADROOM, Packet};

use super::capture::{FILE_HEADER, FileHeader, RECORD_HEADER, RecordHeader, network_offset};
use crate::handler_call::HandlerCall;

pub(super) const FROM_DUMP: Class = Class::of::<FromDump>("FromDump")
    .ports("0/1-2")
    .processing("a/ah");

/// FromDump: reads packets from a pcap file.
///
/// ```click
/// FromDump(FILENAME [, keywords STOP, TIMING, ACTIVE, FORCE_IP, SAMPLE, START, END, INTERVAL,
///          START_AFTER, END_AFTER, END_CALL, BURST, MMAP])
/// ```
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
/// Handlers: `count`, `filename`, `encap`, `filesize`, `filepos` (read); `active` (read, write);
/// `stop`, `reset_counts` (write); those of its task.
///
/// See Click's manual page FromDump(n).
struct FromDump {
    name: String,
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

/// Which packets count, by their times.
#[derive(Default)]
struct Window {
    start: Option<i64>,
    end: Option<i64>,
    start_after: Option<Duration>,
    end_after: Option<Duration>,
    interval: Option<Duration>,
}

impl Window {
    /// Counts what is relative from the file's first packet.
    fn settle(&mut self, first: i64) {
        let after = |span: Duration| {
            first.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
        };
        self.start = self.start.or(self.start_after.take().map(after));
        self.end = self.end.or(self.end_after.take().map(after));
        if let Some(interval) = self.interval.take() {
            let start = self.start.unwrap_or(first);
            self.end =
                Some(start.saturating_add(i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX)));
        }
    }
}

/// A capture being read.
struct OpenFile {
    reader: Reader,
    header: FileHeader,
    /// Whether the window has been counted from the first packet.
    settled: bool,
}

/// A file's bytes, in order.
struct Reader {
    input: Box<dyn Input>,
    /// Whether the file lies in memory, so that nothing need be read.
    in_memory: bool,
    position: usize,
    /// What has been read of a file that does not.
    buffer: Vec<u8>,
    /// Where in the buffer the next byte is, and where what has been read ends.
    at: usize,
    end: usize,
}

/// Bytes read from a file at a time.
const READ_SIZE: usize = 64 << 10;

/// Why there is no further record.
enum Ending {
    /// The file is at its end.
    End,
    /// The file ends inside a record, or a record cannot be.
    Damaged,
    Failed(AccessError),
}

impl OpenFile {
    fn open(input: Box<dyn Input>) -> Result<Self, &'static str> {
        let mut reader = Reader {
            in_memory: input.contents().is_some(),
            input,
            position: 0,
            buffer: Vec::new(),
            at: 0,
            end: 0,
        };
        let bytes = reader.at_least(FILE_HEADER).ok();
        let bytes = bytes.and_then(<[u8]>::first_chunk).copied();
        let bytes: [u8; FILE_HEADER] = bytes.ok_or("not a tcpdump file (too short)")?;
        reader.advance(FILE_HEADER);
        let header = FileHeader::parse(&bytes).ok_or("not a tcpdump file (bad magic number)")?;
        Ok(Self {
            reader,
            header,
            settled: false,
        })
    }

    /// The next record as a packet.
    fn packet(&mut self, context: &Context<'_>) -> Result<Packet, Ending> {
        let mut bytes = self.reader.at_least(RECORD_HEADER)?;
        let header = bytes.first_chunk().ok_or(Ending::Damaged)?;
        let record: RecordHeader = self.header.record(header).ok_or(Ending::Damaged)?;
        let end = RECORD_HEADER + record.captured as usize;
        if bytes.len() < end {
            bytes = self.reader.at_least(end)?;
        }
        let frame = &bytes[RECORD_HEADER..end];
        let pool = context.pool();
        let mut packet = pool.packet_uninitialised(DEFAULT_HEADROOM, frame.len());
        packet.data_mut().copy_from_slice(frame);
        self.reader.advance(end);
        packet.set_timestamp(record.timestamp);
        packet.set_mac_header(0);
        if record.original > record.captured {
            packet.set_annotation_word(EXTRA_LENGTH, record.original - record.captured);
        }
        Ok(packet)
    }
}

impl Reader {
    /// What is at hand of the bytes to come, which are `count` at least.
    #[inline]
    fn at_least(&mut self, count: usize) -> Result<&[u8], Ending> {
        if self.in_memory {
            let contents = self.input.contents().unwrap_or_default();
            let rest = contents.get(self.position..).unwrap_or_default();
            return match rest.len() {
                0 => Err(Ending::End),
                length if length < count => Err(Ending::Damaged),
                _ => Ok(rest),
            };
        }
        if self.end - self.at < count {
            self.read(count)?;
        }
        Ok(&self.buffer[self.at..self.end])
    }

    /// Goes on by so many bytes, which were at hand.
    #[inline]
    fn advance(&mut self, count: usize) {
        self.position += count;
        if !self.in_memory {
            self.at += count;
        }
    }

    /// Reads until there are so many bytes.
    fn read(&mut self, count: usize) -> Result<(), Ending> {
        self.buffer.copy_within(self.at..self.end, 0);
        self.end -= self.at;
        self.at = 0;
        while self.end < count {
            // Room for a whole read, so that it need not be buffered elsewhere.
            if self.buffer.len() < self.end + READ_SIZE {
                self.buffer.resize(self.end + READ_SIZE, 0);
            }
            let free = &mut self.buffer[self.end..];
            match self.input.read(free).map_err(Ending::Failed)? {
                0 if self.end == 0 => return Err(Ending::End),
                0 => return Err(Ending::Damaged),
                read => self.end += read,
            }
        }
        Ok(())
    }
}

impl Configure for FromDump {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let name = arguments.required::<String>("FILENAME");
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
            let link = file.header.link;
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

/// Marks the IPv4 header of a frame; `false` where there is none that is whole.
fn mark(packet: &mut Packet, link: u32) -> bool {
    let Some((offset, true)) = network_offset(link, packet.data()) else {
        return false;
    };
    let Some(Ok(header)) = packet.data().get(offset..).map(Ipv4::new) else {
        return false;
    };
    let (length, destination) = (header.header_length(), header.destination());
    packet.set_network_header(offset, length);
    packet.set_destination(destination);
    true
}

impl Element for FromDump {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if let Some(call) = &self.end_call {
            call.check(context)?;
        }
        let input = context.environment().open_input(&self.name);
        let input = input.map_err(|error| context.error(format!("{}: {error}", self.name)))?;
        let file = OpenFile::open(input);
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
        list.read("filesize").read("filepos").button("stop").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "active" => Ok(self.active.to_string()),
            "filename" => Ok(self.name.clone()),
            "encap" => Ok(self
                .file
                .as_ref()
                .map_or_else(|| "-".into(), |file| link_name(file.header.link))),
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
        other => other.to_string(),
    }
}
