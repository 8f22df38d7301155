use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use sprat_click::arguments::Raw;
use sprat_click::environment::{AccessError, Output};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::{EXTRA_LENGTH, EXTRA_PACKETS, FIRST_TIMESTAMP};
use sprat_packet::{Batch, Packet};

use super::View;
use super::binary::{Encoding, TEXT, encoding};
use super::fields::{Field, parse_list};
use super::lines::words;
use super::payload::write_quoted;
use crate::dump::text::Seconds;

pub(crate) const TO_IP_SUMMARY_DUMP: Class = Class::of::<ToIpSummaryDump>("ToIPSummaryDump")
    .ports("1/0-1")
    .processing("a/ah");

/// ToIPSummaryDump: writes a line of chosen fields for each packet.
///
/// ```click
/// ToIPSummaryDump(FILENAME [, keywords FIELDS, HEADER, VERBOSE, BANNER, MULTIPACKET, BAD_PACKETS,
///                 CAREFUL_TRUNC, EXTRA_LENGTH, BINARY, UNBUFFERED])
/// ```
///
/// FILENAME `-` is standard output. Packets leave by output 0 where there is one. A field that a
/// packet has not is `-`.
///
/// - FIELDS (or CONTENTS): the fields, separated by spaces; `timestamp ip_src`. A name may have spaces
///   for underscores, if quoted, and lack the `ip_` that it begins with. Fields are:
///   - `timestamp`, `ts_sec`, `ts_usec`, `ts_usec1` (in microseconds), `ntimestamp` (to the
///     nanosecond), and the same of a flow's first packet: `first_timestamp`, …;
///   - `ip_src`, `ip_dst`, `ip_proto` (`T`, `U`, `I` or a number), `ip_len`, `ip_capture_len`,
///     `ip_hl`, `ip_id`, `ip_tos`, `ip_dscp`, `ip_ecn` (`no`, `ect1`, `ect2`, `ce`), `ip_ttl`,
///     `ip_sum`, `ip_frag` (`F` first fragment, `f` later one, `!` must not be cut, `.` none of
///     these), `ip_fragoff` (in bytes; `+`: more follow, `!`: must not be cut), `ip_opt`;
///   - `sport`, `dport`, `tcp_seq`, `tcp_ack`, `tcp_flags` (letters of `FSRPAUECN`, `.` none),
///     `tcp_window`, `tcp_urp`, `tcp_off` (header length in bytes), `tcp_sum`, `tcp_opt`,
///     `tcp_ntopt` (without timestamps), `tcp_sack`, `udp_len`, `udp_sum`;
///   - `icmp_type`, `icmp_type_name`, `icmp_code`, `icmp_code_name`, `icmp_flowid`, `icmp_seq`,
///     `icmp_nextmtu`, `icmp_sum`;
///   - `payload` (a quoted string), `payload_len`, `payload_md5`, `payload_md5_hex`,
///     `capture_len`, `wire_len`;
///   - `count` (packets that it stands for), `link` or `paint`, `direction` (paint 0 is `>`, 1 is
///     `<`), `aggregate`, `eth_src`, `eth_dst`, `eth_type`.
/// - HEADER: whether the lines `!IPSummaryDump` and `!data` come first; true.
/// - VERBOSE: whether the header says when the dump was made; false.
/// - BANNER: what the header says of who made the dump.
/// - MULTIPACKET: whether a packet that stands for several is written as that many, which share its
///   length and its time from the first to the last; false.
/// - BAD_PACKETS: whether a line `!bad` goes before a packet whose headers are wrong; false.
/// - CAREFUL_TRUNC: whether that includes packets shorter than their IP length; true.
/// - EXTRA_LENGTH: whether the extra length annotation counts into a packet's length; true.
/// - BINARY: whether records are packed into bytes, as Click's manual page describes, which takes
///   less room; not for `payload` and names of ICMP codes; false.
/// - UNBUFFERED: whether each line is written at once; false.
///
/// Handlers: `count`, `filename` (read); `flush` (write); those of its task.
///
/// See Click's manual page ToIPSummaryDump(n).
struct ToIpSummaryDump {
    name: String,
    fields: Vec<&'static Field>,
    header: bool,
    verbose: bool,
    banner: String,
    multipacket: bool,
    bad_packets: bool,
    careful: bool,
    extra_length: bool,
    unbuffered: bool,
    /// Whether any field is of IP, or of what IP carries.
    network: bool,
    /// How each field is packed, where the dump is binary.
    binary: Option<Vec<Encoding>>,
    file: Option<Box<dyn Output>>,
    count: u64,
    line: String,
    record: Vec<u8>,
    batch: Batch,
}

impl Configure for ToIpSummaryDump {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let name = arguments.required::<String>("FILENAME");
        let mut fields = None;
        for name in ["FIELDS", "CONTENTS", "DATA"] {
            fields = arguments.keyword::<Raw>(name).or(fields);
        }
        let banner = arguments.keyword::<String>("BANNER").unwrap_or_default();
        let mut flag = |name: &str, otherwise| arguments.keyword(name).unwrap_or(otherwise);
        let (header, verbose) = (flag("HEADER", true), flag("VERBOSE", false));
        let (multipacket, bad_packets) = (flag("MULTIPACKET", false), flag("BAD_PACKETS", false));
        let careful = flag("CAREFUL_TRUNC", true);
        let (extra_length, unbuffered) = (flag("EXTRA_LENGTH", true), flag("UNBUFFERED", false));
        let binary = flag("BINARY", false);
        let list = fields.map_or_else(|| "timestamp ip_src".into(), |Raw(list)| list);
        let mut fields = Vec::new();
        for field in parse_list(&list) {
            match field {
                Ok(field) => fields.push(field),
                Err(name) => {
                    arguments.error(format!("unknown content type '{name}'"));
                }
            }
        }
        if fields.is_empty() {
            arguments.error("no contents specified");
        }
        let mut encodings = Vec::new();
        for field in fields.iter().filter(|_| binary) {
            match encoding(field) {
                Some(encoding) => encodings.push(encoding),
                None => {
                    arguments.error(format!("cannot use field {} with BINARY", field.name()));
                }
            }
        }
        arguments.finish()?;
        Ok(Self {
            name: name?,
            network: fields.iter().any(|field| field.network),
            fields,
            header,
            verbose,
            banner,
            multipacket,
            bad_packets,
            careful,
            extra_length,
            unbuffered,
            binary: binary.then_some(encodings),
            file: None,
            count: 0,
            line: String::new(),
            record: Vec::new(),
            batch: Batch::new(),
        })
    }
}

impl ToIpSummaryDump {
    /// Writes what comes before the first packet.
    fn write_header(&mut self, context: &Context<'_>) -> Result<(), AccessError> {
        let Some(file) = self.file.as_mut().filter(|_| self.header) else {
            return Ok(());
        };
        // Writing to a string cannot fail.
        let mut text = String::from("!IPSummaryDump 1.3\n");
        if !self.banner.is_empty() {
            text.push_str("!creator ");
            write_quoted(self.banner.as_bytes(), &mut text);
            text.push('\n');
        }
        if self.verbose {
            let _ = writeln!(text, "!runtime {}", Seconds(context.timestamp().0));
        }
        text.push_str("!data");
        for field in &self.fields {
            text.push(' ');
            text.push_str(match field.name() {
                "ntimestamp" if self.binary.is_none() => "timestamp",
                name => name,
            });
        }
        text.push('\n');
        if self.binary.is_some() {
            text.push_str("!binary\n");
        }
        file.write(text.as_bytes())
    }

    /// Writes packets; what goes wrong is said once, and nothing is written after it.
    fn write_all(&mut self, context: &Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let written = match packet.annotations().word(EXTRA_PACKETS) {
                extra if extra > 0 && self.multipacket => self.write_several(packet, extra),
                _ => self.write_one(packet),
            };
            if let Err(error) = written {
                context.chatter(format_args!("{}: {error}", self.name));
                self.file = None;
            }
        }
    }

    /// Writes a packet that stands for `extra` more, and leaves it standing for the last of them.
    fn write_several(&mut self, packet: &mut Packet, extra: u32) -> Result<(), AccessError> {
        let count = extra as usize + 1;
        let last = packet.timestamp();
        let first = packet.annotations().double(FIRST_TIMESTAMP).cast_signed();
        let mut step = 0;
        if first != 0 {
            step = last.saturating_sub(first) / i64::from(extra);
            packet.set_timestamp(first);
        }
        let mut length = packet.len();
        if self.extra_length {
            length += packet.annotations().word(EXTRA_LENGTH) as usize;
        }
        length = length.max(packet.len() * count);
        packet.set_annotation_word(EXTRA_PACKETS, 0);
        for left in (1..=count).rev() {
            let each = length / left;
            length -= each;
            let beyond = u32::try_from(each - packet.len()).unwrap_or(u32::MAX);
            packet.set_annotation_word(EXTRA_LENGTH, beyond);
            self.write_one(packet)?;
            packet.set_timestamp(match left {
                1 => last,
                _ => packet.timestamp() + step,
            });
        }
        Ok(())
    }

    fn write_one(&mut self, packet: &mut Packet) -> Result<(), AccessError> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let view = View::new(packet, self.extra_length, self.careful);
        let line = &mut self.line;
        line.clear();
        for (number, field) in self.fields.iter().enumerate() {
            if number > 0 {
                line.push(' ');
            }
            let begin = line.len();
            if (field.write)(&view, line).is_none() {
                line.truncate(begin);
                line.push('-');
            }
        }
        line.push('\n');
        if self.bad_packets
            && let Some(bad) = view.bad()
        {
            let line = format!("!bad {bad}\n");
            if self.binary.is_some() {
                // A line is far shorter than four thousand million bytes.
                let size = u32::try_from(line.len() + 4).unwrap_or(0);
                file.write(&(size | TEXT).to_be_bytes())?;
            }
            file.write(line.as_bytes())?;
        }
        if let Some(encodings) = &self.binary {
            pack(encodings, &view, &self.line, &mut self.record);
        }
        let written = match self.binary {
            Some(_) => &self.record,
            None => self.line.as_bytes(),
        };
        file.write(written)?;
        self.count += 1;
        if self.unbuffered {
            file.flush()?;
        }
        // What IP has told of the length need not be counted a second time.
        if view.is_ip() && self.network {
            let extra = view.extra();
            packet.set_annotation_word(EXTRA_LENGTH, extra);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), AccessError> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush())
    }
}

/// Packs the fields of a line into a record.
fn pack(encodings: &[Encoding], view: &View<'_>, line: &str, record: &mut Vec<u8>) {
    record.clear();
    record.extend([0; 4]);
    for (encoding, word) in encodings.iter().zip(words(line)) {
        encoding.pack(view, word, record);
    }
    let size = u32::try_from(record.len()).unwrap_or(0);
    record[..4].copy_from_slice(&size.to_be_bytes());
}

impl Element for ToIpSummaryDump {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        // The order of lines shows the order of packets.
        context.observe_order();
        let file = context.environment().open_output(&self.name, false);
        let fail = |name: &str, error: AccessError| context.error(format!("{name}: {error}"));
        self.file = Some(file.map_err(|error| fail(&self.name, error))?);
        self.write_header(context)
            .map_err(|error| fail(&self.name, error))?;
        if context.input_pulls(0) && context.outputs() == 0 {
            context.wake_when_nonempty(0);
            context.schedule_task();
        }
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        self.write_all(context, batch);
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        let mut batch = core::mem::take(&mut self.batch);
        context.pull(0, context.burst(None), &mut batch);
        let worked = !batch.is_empty();
        self.write_all(context, &mut batch);
        batch.clear();
        self.batch = batch;
        if worked || context.upstream_nonempty(0) {
            context.schedule_task();
        }
        worked
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count").read("filename").button("flush").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "filename" => Ok(self.name.clone()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "flush" => self
                .flush()
                .map_err(|error| HandlerError::failed(error.to_string())),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn cleanup(&mut self, context: &mut Context<'_>) {
        if let Err(error) = self.flush() {
            context.chatter(format_args!("{}: {error}", self.name));
        }
    }
}
