//! Dumps of single flows, each in a file of its own.

mod pattern;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::net::Ipv4Addr;

use hashbrown::HashMap;
use sprat_click::environment::AccessError;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::AGGREGATE;
use sprat_packet::headers::protocol::{TCP, UDP};
use sprat_packet::headers::tcp_flags;
use sprat_packet::{Batch, Packet};

use super::View;
use super::fields::Field;
use crate::analysis::ended::{Numbers, listen};
use crate::dump::text::Seconds;
use pattern::Pattern;

pub(crate) const TO_IP_FLOW_DUMPS: Class = Class::of::<ToIpFlowDumps>("ToIPFlowDumps")
    .ports("1/0-1")
    .processing("a/ah");

/// ToIPFlowDumps: writes a dump for each flow of TCP or UDP.
///
/// ```click
/// ToIPFlowDumps(FILEPATTERN [, keywords NOTIFIER, ABSOLUTE_TIME, ABSOLUTE_SEQ, TCP_OPT, ALL_TCP_OPT,
///               TCP_WINDOW, IP_ID, MINCOUNT])
/// ```
///
/// Writes dumps as ToIPSummaryDump does, one for each value of the aggregate annotation, which an
/// AggregateIPFlows before it sets. Packets leave by output 0 where there is one. FILEPATTERN is the name of
/// the files, in which `%n` is the aggregate, `%x` and `%X` the same in hexadecimal, `%s` and `%d` the
/// source and destination address, `%S` and `%D` the ports, `%p` the protocol (`T`, `U`) and `%%` a per
/// cent sign. `%.0n` to `%.3n` are its bytes, `%.4n` and `%.5n` its halves, `%.0s` to `%.3s` an address's
/// bytes; a width, and a zero before it to fill up with zeros, may follow the sign, as in `%03n`. The folder
/// must be there.
///
/// Times are counted from just before a flow's first packet, and sequence numbers from the first in each
/// direction; lines `!first_time` and `!first_seq` say what they were.
///
/// - NOTIFIER: an AggregateIPFlows that says which flows are over, whose files are then written; otherwise
///   that is when the router stops or `clear` is written, and every 1,000 packets.
/// - ABSOLUTE_TIME, ABSOLUTE_SEQ: whether times and numbers are those of the packets; false.
/// - TCP_OPT: whether TCP options other than timestamps are written; ALL_TCP_OPT: all; false.
/// - TCP_WINDOW, IP_ID: whether these fields are; false.
/// - MINCOUNT: flows of fewer packets are not written; 0.
///
/// Handlers: `clear` (write): ends all flows.
///
/// Click's keywords BINARY and GZIP are refused.
///
/// See Click's manual page ToIPFlowDumps(n).
struct ToIpFlowDumps {
    pattern: Pattern,
    notifier: Option<String>,
    absolute_time: bool,
    absolute_sequence: bool,
    /// Fields of each line beyond those that every line has.
    fields: Vec<&'static Field>,
    least: u64,
    flows: HashMap<u32, Flow>,
    ended: Numbers,
    batch: Batch,
}

/// What a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowId {
    aggregate: u32,
    addresses: [Ipv4Addr; 2],
    ports: [u16; 2],
    protocol: u8,
}

struct Flow {
    id: FlowId,
    name: String,
    /// Whether the file is there and has its header.
    begun: bool,
    count: u64,
    /// Packets in `lines`.
    pending: u64,
    first_time: i64,
    first_sequence: [Option<u32>; 2],
    /// What goes into the header.
    notes: String,
    lines: String,
}

/// Packets that are held before they are written.
const PENDING: u64 = 1000;

impl Configure for ToIpFlowDumps {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let pattern = arguments.required::<String>("FILEPATTERN");
        let notifier = arguments.keyword("NOTIFIER");
        let mut flag = |name: &str| arguments.keyword(name).unwrap_or(false);
        let (absolute_time, absolute_sequence) = (flag("ABSOLUTE_TIME"), flag("ABSOLUTE_SEQ"));
        let mut names = Vec::new();
        for (keyword, field) in [("IP_ID", "ip_id"), ("TCP_WINDOW", "tcp_window")] {
            if flag(keyword) {
                names.push(field);
            }
        }
        match (flag("ALL_TCP_OPT"), flag("TCP_OPT")) {
            (true, _) => names.push("tcp_opt"),
            (_, true) => names.push("tcp_ntopt"),
            _ => {}
        }
        let (binary, compressed) = (flag("BINARY"), flag("GZIP"));
        for (wanted, name) in [(binary, "BINARY"), (compressed, "GZIP")] {
            if wanted {
                arguments.error(format!("{name}: dumps of flows are plain text here"));
            }
        }
        let least = arguments.keyword::<u32>("MINCOUNT").unwrap_or(0);
        let pattern = pattern.and_then(|text| {
            Pattern::parse(&text)
                .map_err(|escape| arguments.error(format!("FILEPATTERN: bad escape '{escape}'")))
        });
        arguments.finish()?;
        Ok(Self {
            pattern: pattern?,
            notifier,
            absolute_time,
            absolute_sequence,
            fields: names.into_iter().filter_map(Field::find).collect(),
            least: u64::from(least),
            flows: HashMap::new(),
            ended: Numbers::default(),
            batch: Batch::new(),
        })
    }
}

/// The flow of a packet of TCP or UDP.
fn flow_id(view: &View<'_>) -> Option<FlowId> {
    let ip = view.ip_header()?;
    let protocol = ip.protocol();
    matches!(protocol, TCP | UDP).then_some(())?;
    Some(FlowId {
        aggregate: view.packet.annotations().word(AGGREGATE),
        addresses: [ip.source(), ip.destination()],
        ports: [view.port(0)?, view.port(2)?],
        protocol,
    })
}

impl Flow {
    /// The number of a direction counted from its first, which is said where it is new.
    fn relative(&mut self, direction: usize, number: u32) -> u32 {
        let first = match self.first_sequence[direction] {
            Some(first) => first,
            None => {
                self.first_sequence[direction] = Some(number);
                let sign = if direction == 0 { '>' } else { '<' };
                let notes = if self.begun {
                    &mut self.lines
                } else {
                    &mut self.notes
                };
                // Writing to a string cannot fail.
                let _ = writeln!(notes, "!first_seq {sign} {number}");
                number
            }
        };
        number.wrapping_sub(first)
    }
}

impl ToIpFlowDumps {
    fn add(&mut self, context: &Context<'_>, packet: &Packet) {
        let view = View::new(packet, true, false);
        let Some(id) = flow_id(&view) else { return };
        if id.aggregate == 0 {
            return;
        }
        let pattern = &self.pattern;
        let flow = self.flows.entry(id.aggregate).or_insert_with(|| Flow {
            id,
            name: pattern.expand(&id),
            begun: false,
            count: 0,
            pending: 0,
            first_time: packet.timestamp().saturating_sub(1000),
            first_sequence: [None; 2],
            notes: String::new(),
            lines: String::new(),
        });
        let from = if self.absolute_time {
            0
        } else {
            flow.first_time
        };
        let direction = usize::from(packet.annotations().paint() & 1);
        let sign = if direction == 0 { '>' } else { '<' };
        let time = Seconds(packet.timestamp().saturating_sub(from));
        let mut line = format!("{time} {sign}");
        let length = view.payload_length();
        // Writing to a string cannot fail; so below.
        if let Some(tcp) = view.tcp_header() {
            let (mut sequence, mut acknowledgement) = (tcp.sequence(), tcp.acknowledgement());
            let acknowledges = tcp.has_any(tcp_flags::ACK);
            if !self.absolute_sequence {
                sequence = flow.relative(direction, sequence);
                if acknowledges {
                    acknowledgement = flow.relative(1 - direction, acknowledgement);
                }
            }
            line.push(' ');
            if let Some(flags) = Field::find("tcp_flags") {
                (flags.write)(&view, &mut line);
            }
            let shown = if acknowledges { acknowledgement } else { 0 };
            let _ = write!(line, " {sequence} {length} {shown}");
        } else if flow.id.protocol == TCP {
            line.push_str(" - - - -");
        } else {
            let _ = write!(line, " {length}");
        }
        for field in &self.fields {
            line.push(' ');
            let begin = line.len();
            if (field.write)(&view, &mut line).is_none() {
                line.truncate(begin);
                line.push('-');
            }
        }
        line.push('\n');
        flow.lines.push_str(&line);
        flow.count += 1;
        flow.pending += 1;
        if flow.pending >= PENDING {
            self.write_out(context, id.aggregate);
        }
    }

    /// Writes what is held of a flow.
    fn write_out(&mut self, context: &Context<'_>, aggregate: u32) {
        let Some(flow) = self.flows.get_mut(&aggregate) else {
            return;
        };
        if flow.count < self.least || flow.pending == 0 {
            return;
        }
        let mut text = String::new();
        if !flow.begun {
            text = header(flow, &self.fields, !self.absolute_time);
        }
        text.push_str(&flow.lines);
        let written = write(context, &flow.name, flow.begun, &text);
        if let Err(error) = written {
            context.chatter(format_args!("{}: {error}", flow.name));
        }
        flow.begun = true;
        flow.pending = 0;
        flow.lines.clear();
    }

    /// Writes and forgets flows that are over.
    fn end(&mut self, context: &Context<'_>, aggregates: &[u32]) {
        for aggregate in aggregates {
            self.write_out(context, *aggregate);
            self.flows.remove(aggregate);
        }
    }

    fn end_all(&mut self, context: &Context<'_>) {
        let all: Vec<u32> = self.flows.keys().copied().collect();
        self.end(context, &all);
    }

    fn add_all(&mut self, context: &Context<'_>, batch: &Batch) {
        for packet in batch {
            // A number may come again as another flow's.
            if !self.ended.borrow().is_empty() {
                let over = core::mem::take(&mut *self.ended.borrow_mut());
                self.end(context, &over);
            }
            self.add(context, packet);
        }
    }
}

/// What a flow's dump begins with.
fn header(flow: &Flow, fields: &[&'static Field], relative_time: bool) -> String {
    let mut text = String::from("!IPSummaryDump 1.3\n!data timestamp direction");
    text.push_str(match flow.id.protocol {
        TCP => " tcp_flags tcp_seq payload_len tcp_ack",
        _ => " payload_len",
    });
    for field in fields {
        text.push(' ');
        text.push_str(field.name());
    }
    let [source, destination] = flow.id.addresses;
    let [source_port, destination_port] = flow.id.ports;
    let protocol = if flow.id.protocol == TCP { 'T' } else { 'U' };
    let aggregate = flow.id.aggregate;
    let _ = write!(
        text,
        "\n!flowid {source} {source_port} {destination} {destination_port} {protocol}\n\
         !aggregate {aggregate}\n{}",
        flow.notes
    );
    if relative_time {
        let _ = writeln!(text, "!first_time {}", Seconds(flow.first_time));
    }
    text
}

fn write(context: &Context<'_>, name: &str, append: bool, text: &str) -> Result<(), AccessError> {
    let mut file = context.environment().open_output(name, append)?;
    file.write(text.as_bytes())?;
    file.flush()
}

impl Element for ToIpFlowDumps {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        // Flows that are over are told one packet after the other.
        context.observe_order();
        if let Some(notifier) = &self.notifier {
            self.ended = listen(context, notifier)?;
        }
        if context.input_pulls(0) && context.outputs() == 0 {
            context.wake_when_nonempty(0);
            context.schedule_task();
        }
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        self.add_all(context, batch);
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        let mut batch = core::mem::take(&mut self.batch);
        context.pull(0, context.burst(None), &mut batch);
        let worked = !batch.is_empty();
        self.add_all(context, &batch);
        batch.clear();
        self.batch = batch;
        if worked || context.upstream_nonempty(0) {
            context.schedule_task();
        }
        worked
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.button("clear").read("flows").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "flows" => Ok(self.flows.len().to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "clear" => {
                self.end_all(context);
                Ok(())
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn cleanup(&mut self, context: &mut Context<'_>) {
        self.end_all(context);
    }
}
