//! What all rewriters have in common: input specifications, a table of flows, and its limits.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use core::time::Duration;

use sprat_click::arguments::{Annotation, Raw};
use sprat_click::{Arguments, Configuration, Context, HandlerError, HandlerList, Rejected};
use sprat_packet::Packet;
use sprat_packet::flow::FlowKey;

use super::flow_table::{Direction, Flow, FlowId, FlowTable, NewFlow, Tick};
use super::input_spec::{self, InputSpec};

/// Flows a table holds unless MAPPING_CAPACITY says otherwise: enough for any link, and a bound on
/// what a flood of new flows can take.
const DEFAULT_CAPACITY: usize = 1 << 20;

/// How often flows that have lived out their time are looked for.
const DEFAULT_REAP_INTERVAL: Duration = Duration::from_mins(15);

/// The timer that reaps.
pub(super) const REAP_TIMER: usize = 0;

/// What is to be done with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Drop,
    /// It leaves by this output as it is.
    Pass(u16),
    /// It belongs to a flow.
    Flow(FlowId, Direction),
}

/// The common part of a rewriter.
pub(super) struct Rewriter {
    specs: Vec<InputSpec>,
    pub(super) table: FlowTable,
    capacity: usize,
    failures: u64,
    reap_interval: Duration,
    /// The annotation in which replies get what the flow's first packet had there.
    reply_annotation: Option<usize>,
    /// Whether packets get their new destination as an annotation.
    pub(super) sets_destination: bool,
}

impl Rewriter {
    /// Reads the arguments that all rewriters take: keywords first, then what is left as input
    /// specifications. `timeouts` are those of the table's lists.
    pub(super) fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
        timeouts: &[Duration],
    ) -> Result<Self, Rejected> {
        let capacity = capacity(arguments);
        let reap_interval = arguments
            .keyword("REAP_INTERVAL")
            .unwrap_or(DEFAULT_REAP_INTERVAL);
        for old in ["REAP_TCP", "REAP_TCP_DONE", "REAP_UDP"] {
            arguments.keyword::<Raw>(old);
        }
        let reply_annotation = arguments
            .keyword::<Annotation>("REPLY_ANNO")
            .map(|annotation| {
                annotation
                    .sized(1)
                    .map_err(|error| arguments.error(format!("REPLY_ANNO: {error}")))
            });
        let sets_destination = arguments.keyword("DST_ANNO").unwrap_or(true);
        let specs = input_spec::parse_all(arguments, configuration);
        arguments.finish()?;
        Ok(Self {
            specs,
            table: FlowTable::new(timeouts, configuration.environment().random_seed()),
            capacity: capacity.unwrap_or(DEFAULT_CAPACITY),
            failures: 0,
            reap_interval,
            reply_annotation: reply_annotation.transpose()?,
            sets_destination,
        })
    }

    /// Starts the timer that reaps.
    pub(super) fn start(&self, context: &Context<'_>) {
        context.set_timer_after(REAP_TIMER, self.reap_interval);
    }

    /// Removes flows that have lived out their time, and sets the timer again.
    pub(super) fn reap(&mut self, context: &Context<'_>) {
        let specs = &mut self.specs;
        self.table
            .reap(Tick::at(context.now()), &mut |flow| ended(specs, flow));
        self.start(context);
    }

    /// The flow that a packet with this key belongs to.
    #[inline]
    pub(super) fn find(&mut self, key: &FlowKey, now: Tick) -> Option<(FlowId, Direction)> {
        let (id, direction) = self.table.find(key)?;
        if self.table.is_expired(id, now) {
            self.remove(id);
            return None;
        }
        Some((id, direction))
    }

    /// What is to be done with a packet of no known flow that came in at `input`: where the input's
    /// specification says so, it begins a flow.
    pub(super) fn begin(
        &mut self,
        context: &Context<'_>,
        packet: &Packet,
        input: usize,
        new: (FlowKey, u8, Duration),
        now: Tick,
    ) -> Verdict {
        let (original, class, guarantee) = new;
        let Some(spec) = self.specs.get_mut(input) else {
            return Verdict::Drop;
        };
        match spec {
            InputSpec::Drop => return Verdict::Drop,
            InputSpec::Pass(output) => return Verdict::Pass(*output),
            _ => {}
        }
        let table = &self.table;
        let Some((rewritten, outputs)) =
            spec.rewrite(&original, context, &|key| table.is_free(key))
        else {
            self.failures += 1;
            return Verdict::Drop;
        };
        let reply_annotation = self
            .reply_annotation
            .map_or(0, |offset| packet.annotations().byte(offset));
        // Inputs are counted in sixteen bits.
        let owner = u16::try_from(input).unwrap_or(u16::MAX);
        let flow = NewFlow {
            original,
            rewritten,
            owner,
            outputs,
            class,
            guarantee,
            reply_annotation,
        };
        let id = self.table.insert(&flow, now);
        if self.table.len() > self.capacity && !self.make_room(id, now) {
            return Verdict::Drop;
        }
        Verdict::Flow(id, Direction::Forward)
    }

    /// Gives up the least wanted flow for `newcomer`; `false` where that is the newcomer itself.
    fn make_room(&mut self, newcomer: FlowId, now: Tick) -> bool {
        match self.table.least_wanted(now) {
            Some(other) if other != newcomer => {
                self.remove(other);
                true
            }
            _ => {
                self.remove(newcomer);
                self.failures += 1;
                false
            }
        }
    }

    fn remove(&mut self, id: FlowId) {
        ended(&mut self.specs, self.table.flow(id));
        self.table.remove(id);
    }

    /// What is to be done with a packet that can belong to no flow.
    pub(super) fn without_flow(&self, input: usize) -> Verdict {
        match self.specs.get(input) {
            Some(InputSpec::Pass(output)) => Verdict::Pass(*output),
            _ => Verdict::Drop,
        }
    }

    /// Sets the annotations of a packet that has been rewritten.
    #[inline]
    pub(super) fn annotate(&self, packet: &mut Packet, id: FlowId, direction: Direction) {
        let flow = self.table.flow(id);
        if self.sets_destination {
            let key = match direction {
                Direction::Forward => flow.rewritten,
                Direction::Reply => flow.original.reversed(),
            };
            packet.set_destination(key.destination());
        }
        self.annotate_reply(packet, id, direction);
    }

    /// Gives a reply the annotation that its flow's first packet had.
    #[inline]
    pub(super) fn annotate_reply(&self, packet: &mut Packet, id: FlowId, direction: Direction) {
        if direction == Direction::Reply
            && let Some(offset) = self.reply_annotation
        {
            packet.set_annotation_byte(offset, self.table.flow(id).reply_annotation);
        }
    }

    /// Takes over the flows of a rewriter that this one replaces.
    pub(super) fn take_flows(&mut self, old: &mut Self, now: Tick) {
        if self.specs.len() == old.specs.len() {
            let flows: Vec<Flow> = old.table.iter().map(|(_, flow)| flow.clone()).collect();
            for flow in flows {
                let new = NewFlow {
                    original: flow.original,
                    rewritten: flow.rewritten,
                    owner: flow.owner,
                    outputs: flow.outputs,
                    class: flow.class,
                    guarantee: Duration::ZERO,
                    reply_annotation: flow.reply_annotation,
                };
                let id = self.table.insert(&new, now);
                self.table.flow_mut(id).state = flow.state;
            }
        }
    }

    /// Reads one of the handlers of rewriters whose flows are all of one kind.
    pub(super) fn read_single(
        &self,
        context: &Context<'_>,
        name: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "table" | "mappings" => Ok(self.table_text(None, Tick::at(context.now()))),
            _ => self.read(name),
        }
    }

    /// Lists the handlers all rewriters have.
    pub(super) fn handlers(&self, list: &mut HandlerList) {
        for name in [
            "nmappings",
            "mapping_failures",
            "patterns",
            "size",
            "table_size",
            "capacity",
        ] {
            list.read(name);
        }
        list.button("clear");
        for number in 0..self.specs.len() {
            list.read_write(format!("pattern{number}"));
        }
    }

    /// Reads one of them.
    pub(super) fn read(&self, name: &str) -> Result<String, HandlerError> {
        match name {
            "nmappings" | "size" | "table_size" => Ok(self.table.len().to_string()),
            "mapping_failures" => Ok(self.failures.to_string()),
            "capacity" => Ok(self.capacity.to_string()),
            "patterns" => Ok(self.specs.iter().map(|spec| format!("{spec}\n")).collect()),
            _ => match self.numbered(name) {
                Some(spec) => Ok(self.specs[spec].to_string()),
                None => Err(HandlerError::NoHandler(name.into())),
            },
        }
    }

    fn numbered(&self, name: &str) -> Option<usize> {
        name.strip_prefix("pattern")?
            .parse()
            .ok()
            .filter(|number| *number < self.specs.len())
    }

    /// Writes one of them.
    pub(super) fn write(
        &mut self,
        name: &str,
        value: &str,
        parse: impl FnOnce(&str) -> Result<InputSpec, String>,
    ) -> Result<(), HandlerError> {
        if name == "clear" {
            self.table.retain(|_| false);
            for spec in &mut self.specs {
                if let InputSpec::Pattern(rewriting) = spec {
                    rewriting.pattern.flows = 0;
                }
            }
            return Ok(());
        }
        let Some(number) = self.numbered(name) else {
            return Err(HandlerError::NoHandler(name.into()));
        };
        let spec = parse(value)
            .map_err(|message| HandlerError::failed(format!("input spec {number}: {message}")))?;
        self.specs[number] = spec;
        self.table.retain(|flow| usize::from(flow.owner) != number);
        Ok(())
    }

    /// The flows of a protocol, two lines each: forward and in reply.
    pub(super) fn table_text(&self, protocol: Option<u8>, now: Tick) -> String {
        let mut text = String::new();
        let flows = self
            .table
            .iter()
            .filter(|(id, _)| !self.table.is_expired(*id, now));
        for (_, flow) in flows
            .filter(|(_, flow)| protocol.is_none_or(|number| flow.original.protocol() == number))
        {
            let [forward, reply] = flow.outputs;
            let (there, back) = (flow.rewritten, flow.original.reversed());
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{} => {} [*{forward} {reply}] i{}",
                tuple(&flow.original),
                tuple(&there),
                flow.owner
            );
            let _ = writeln!(
                text,
                "{} => {} [{forward} *{reply}] i{}",
                tuple(&flow.rewritten.reversed()),
                tuple(&back),
                flow.owner
            );
        }
        text
    }

    /// What a packet with this key becomes: `SADDR SPORT DADDR DPORT`; nothing where no flow is known.
    pub(super) fn lookup_text(&self, key: &FlowKey) -> String {
        let Some((id, direction)) = self.table.find(key) else {
            return String::new();
        };
        let flow = self.table.flow(id);
        let new = match direction {
            Direction::Forward => flow.rewritten,
            Direction::Reply => flow.original.reversed(),
        };
        format!(
            "{} {} {} {}",
            new.source(),
            new.source_port(),
            new.destination(),
            new.destination_port()
        )
    }
}

/// Tells the specification that made a flow that it is no more.
fn ended(specs: &mut [InputSpec], flow: &Flow) {
    if let Some(spec) = specs.get_mut(usize::from(flow.owner)) {
        spec.flow_ended();
    }
}

fn tuple(key: &FlowKey) -> String {
    format!(
        "({}, {}, {}, {})",
        key.source(),
        key.source_port(),
        key.destination(),
        key.destination_port()
    )
}

/// MAPPING_CAPACITY: a number. The name of another rewriter, with which Click shares the capacity,
/// leaves each with its own.
fn capacity(arguments: &mut Arguments<'_>) -> Option<usize> {
    let text = arguments.keyword::<Raw>("MAPPING_CAPACITY");
    let text = text.or_else(|| arguments.keyword::<Raw>("CAPACITY"))?;
    match text.0.parse::<usize>() {
        Ok(number) => Some(number),
        Err(_)
            if text
                .0
                .starts_with(|first: char| first.is_ascii_alphabetic()) =>
        {
            None
        }
        Err(_) => {
            arguments.error("MAPPING_CAPACITY: invalid number");
            None
        }
    }
}
