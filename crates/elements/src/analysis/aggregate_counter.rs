use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use hashbrown::HashMap;
use sprat_click::arguments::{Argument, Raw};
use sprat_click::collections::sort;
use sprat_click::decimal;
use sprat_click::environment::AccessError;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::{AGGREGATE, EXTRA_LENGTH, EXTRA_PACKETS};
use sprat_packet::{Batch, Packet};

use crate::handler_call::{HandlerCall, Trigger};

pub(super) const AGGREGATE_COUNTER: Class = Class::of::<AggregateCounter>("AggregateCounter")
    .ports("1-2/1-2")
    .processing("a/ah");

/// AggregateCounter: counts packets or bytes for each value of the aggregate annotation.
///
/// ```click
/// AggregateCounter([keywords BYTES, IP_BYTES, MULTIPACKET, EXTRA_LENGTH, AGGREGATE_STOP,
///                  AGGREGATE_FREEZE, AGGREGATE_CALL, COUNT_STOP, COUNT_FREEZE, COUNT_CALL, BANNER])
/// ```
///
/// A frozen counter counts values it has seen before and no others; what comes in by the second
/// input is always counted so. Packets that are not counted leave by output 1 if there is one and the
/// element is pushed to.
///
/// - BYTES: whether bytes are counted, not packets; false. IP_BYTES: whether those of the link's
///   header do not count; false.
/// - MULTIPACKET: whether a packet that stands for several counts as so many; true.
/// - EXTRA_LENGTH: whether bytes of a packet that were not captured count; true.
/// - AGGREGATE_STOP, AGGREGATE_FREEZE, AGGREGATE_CALL: when N values have been seen and another comes,
///   the driver stops, the counter freezes, or (`N HANDLER [VALUE]`) a handler is written. At most one of
///   them.
/// - COUNT_STOP, COUNT_FREEZE, COUNT_CALL: the same when the count of all is N.
/// - BANNER: lines for written files; none.
///
/// Handlers: `write_text_file`, `write_ip_file`, `write_pdf_file`, `write_file` (write) FILE, or `-` for
/// standard output: a line for each value in ascending order with its count, the value as a number or as
/// an address, or with its part of the whole, or two numbers of 32 bits for each. Before them stand
/// `!IPAggregate 1.0`, the banner, how many there are (`!num_nonzero`) and how they are packed
/// (`!packed_le`); `freeze`, `active`, `banner`, `aggregate_call`, `count_call` (read, write);
/// `nagg`, `count` (read): values seen, and all that was counted; `stop` (write) counts no more and stops
/// the driver; `counts_pdf` (write) makes each count a value, counted as often as it stands there; `clear`
/// (write). Keywords and handlers have their names of older Clicks too: CALL_AFTER_AGG, `write_ascii_file`,
/// `reaggregate_counts` and so on.
///
/// See Click's manual page AggregateCounter(n).
struct AggregateCounter {
    bytes: bool,
    ip_bytes: bool,
    multipacket: bool,
    extra_length: bool,
    frozen: bool,
    active: bool,
    counts: HashMap<u32, u32>,
    total: u64,
    after_values: Option<Limit>,
    after_total: Option<Limit>,
    banner: String,
}

/// How values and counts are written.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Addresses,
    Parts,
    Packed,
}

/// What happens when there are so many.
type Limit = Trigger;

/// Reads the three keywords for one count.
fn limit(arguments: &mut Arguments<'_>, element: &str, what: &str, older: &str) -> Option<Limit> {
    let [stop, freeze, call] = ["STOP", "FREEZE", "CALL"].map(|does| format!("{what}_{does}"));
    let mut given = Vec::new();
    for (does, name, handler, value) in [
        ("STOP", &stop, "stop", ""),
        ("FREEZE", &freeze, "freeze", "true"),
    ] {
        for name in [name.clone(), format!("{does}_AFTER_{older}")] {
            let call = || HandlerCall::new(format!("{element}.{handler}"), value);
            given.extend(arguments.keyword(&name).map(|at| Limit::new(at, call())));
        }
    }
    for name in [call.clone(), format!("CALL_AFTER_{older}")] {
        let Some(Raw(text)) = arguments.keyword(&name) else {
            continue;
        };
        match Limit::parse(&text, arguments.names()) {
            Ok(limit) => given.push(limit),
            Err(_) => {
                let counted = match what {
                    "COUNT" => "count",
                    _ => "number of aggregates",
                };
                arguments.error(format!("{call} first word should be unsigned ({counted})"));
            }
        }
    }
    let mut given = given.into_iter();
    let first = given.next();
    if given.next().is_some() {
        arguments.error(format!(
            "'{freeze}', '{stop}', and '{call}' are mutually exclusive"
        ));
    }
    first
}

impl Configure for AggregateCounter {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut flag = |name: &str, otherwise: bool| arguments.keyword(name).unwrap_or(otherwise);
        let (bytes, ip_bytes) = (flag("BYTES", false), flag("IP_BYTES", false));
        let (multipacket, extra_length) = (flag("MULTIPACKET", true), flag("EXTRA_LENGTH", true));
        let after_values = limit(arguments, configuration.name(), "AGGREGATE", "AGG");
        let after_total = limit(arguments, configuration.name(), "COUNT", "COUNT");
        let banner = arguments.keyword("BANNER").unwrap_or_default();
        arguments.finish()?;
        Ok(Self {
            bytes,
            ip_bytes,
            multipacket,
            extra_length,
            frozen: false,
            active: true,
            counts: HashMap::new(),
            total: 0,
            after_values,
            after_total,
            banner,
        })
    }
}

impl AggregateCounter {
    /// What a packet counts for.
    fn amount(&self, packet: &Packet) -> u32 {
        let annotations = packet.annotations();
        if !self.bytes {
            let others = if self.multipacket {
                annotations.word(EXTRA_PACKETS)
            } else {
                0
            };
            return others.saturating_add(1);
        }
        let length = match packet.network_header() {
            Some(header) if self.ip_bytes => header.len(),
            _ => packet.len(),
        };
        let extra = if self.extra_length {
            annotations.word(EXTRA_LENGTH)
        } else {
            0
        };
        u32::try_from(length)
            .unwrap_or(u32::MAX)
            .saturating_add(extra)
    }

    /// Counts a packet; says whether it did.
    #[inline]
    fn count(&mut self, context: &mut Context<'_>, packet: &Packet, frozen: bool) -> bool {
        if !self.active {
            return false;
        }
        let value = packet.annotations().word(AGGREGATE);
        let amount = self.amount(packet);
        match self.counts.get_mut(&value) {
            Some(count) => *count = count.saturating_add(amount),
            None if frozen || self.frozen => return false,
            None if amount == 0 => return true,
            None => {
                let values = self.counts.len() as u64;
                if let Some(limit) = self.after_values.take_if(|limit| values >= limit.at()) {
                    self.reach(limit, context);
                    // There may be other rules now.
                    return self.count(context, packet, frozen);
                }
                self.counts.insert(value, amount);
            }
        }
        self.total += u64::from(amount);
        let total = self.total;
        if let Some(limit) = self.after_total.take_if(|limit| total >= limit.at()) {
            self.reach(limit, context);
        }
        true
    }

    /// Does what a limit says.
    #[cold]
    fn reach(&mut self, limit: Limit, context: &mut Context<'_>) {
        let call = limit.into_call();
        let Some((handler, value)) = call.own(context) else {
            return call.call(context);
        };
        if let Err(error) = self.write(context, handler, value) {
            context.chatter(format_args!("{}: {error}", context.name()));
        }
    }

    /// Values and their counts in ascending order.
    fn sorted(&self) -> Vec<(u32, u32)> {
        let mut sorted: Vec<_> = self
            .counts
            .iter()
            .map(|(value, count)| (*value, *count))
            .collect();
        sort(&mut sorted);
        sorted
    }

    fn write_file(&self, context: &Context<'_>, name: &str, form: Form) -> Result<(), AccessError> {
        let mut file = context.environment().open_output(name, false)?;
        file.write(b"!IPAggregate 1.0\n")?;
        if !self.banner.is_empty() {
            file.write(self.banner.as_bytes())?;
            if !self.banner.ends_with('\n') {
                file.write(b"\n")?;
            }
        }
        file.write(format!("!num_nonzero {}\n", self.counts.len()).as_bytes())?;
        file.write(match form {
            Form::Text | Form::Parts => b"",
            Form::Addresses => b"!ip\n",
            Form::Packed => b"!packed_le\n",
        })?;
        for (value, count) in self.sorted() {
            match form {
                Form::Text => file.write(format!("{value} {count}\n").as_bytes())?,
                Form::Addresses => {
                    let address = Ipv4Addr::from_bits(value);
                    file.write(format!("{address} {count}\n").as_bytes())?;
                }
                Form::Parts => {
                    // The whole is less than 2^53 but for ages.
                    #[expect(clippy::cast_precision_loss)]
                    let part = f64::from(count) / self.total as f64;
                    let part = decimal::general(part, 12, false);
                    file.write(format!("{value} {part}\n").as_bytes())?;
                }
                Form::Packed => {
                    file.write(&value.to_le_bytes())?;
                    file.write(&count.to_le_bytes())?;
                }
            }
        }
        file.flush()
    }

    fn reaggregate(&mut self) {
        let counts = core::mem::take(&mut self.counts);
        for count in counts.into_values() {
            *self.counts.entry(count).or_insert(0) += 1;
        }
        self.total = self.counts.values().map(|count| u64::from(*count)).sum();
    }
}

impl Element for AggregateCounter {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        for limit in [&self.after_values, &self.after_total]
            .into_iter()
            .flatten()
        {
            limit.check(context)?;
        }
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        let sorts = context.outputs() > 1;
        batch.filter(|packet| {
            if self.count(context, &packet, port == 1) || !sorts {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
        context.forward(0, batch);
    }

    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        let input = port.min(context.inputs() - 1);
        context.pull(input, limit, batch);
        for packet in batch.iter() {
            self.count(context, packet, input == 1);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        for name in [
            "write_file",
            "write_text_file",
            "write_ascii_file",
            "write_ip_file",
            "write_pdf_file",
        ] {
            list.write(name);
        }
        for name in ["freeze", "active", "banner"] {
            list.read_write(name);
        }
        for name in [
            "aggregate_call",
            "count_call",
            "call_after_agg",
            "call_after_count",
        ] {
            list.read_write(name);
        }
        list.read("nagg").read("count");
        for name in ["stop", "counts_pdf", "reaggregate_counts", "clear"] {
            list.button(name);
        }
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        let call = |limit: &Option<Limit>| limit.as_ref().map(Limit::to_string).unwrap_or_default();
        Ok(match name {
            "freeze" => self.frozen.to_string(),
            "active" => self.active.to_string(),
            "banner" => self.banner.clone(),
            "aggregate_call" | "call_after_agg" => call(&self.after_values),
            "count_call" | "call_after_count" => call(&self.after_total),
            "nagg" => self.counts.len().to_string(),
            "count" => self.total.to_string(),
            _ => return Err(HandlerError::NoHandler(name.into())),
        })
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let call = |name: &str| -> Result<_, HandlerError> {
            if value.trim().is_empty() {
                return Ok(None);
            }
            let limit = Limit::parse(value.trim(), &context.names()).map_err(|_| {
                let expected = format!("argument to '{name}' should be 'N HANDLER [VALUE]'");
                HandlerError::failed(expected)
            });
            limit.map(Some)
        };
        match name {
            "write_text_file" | "write_ascii_file" | "write_ip_file" | "write_pdf_file"
            | "write_file" => {
                let file = value.trim();
                let form = match name {
                    "write_file" => Form::Packed,
                    "write_ip_file" => Form::Addresses,
                    "write_pdf_file" => Form::Parts,
                    _ => Form::Text,
                };
                self.write_file(context, file, form)
                    .map_err(|error| HandlerError::failed(format!("{file}: {error}")))?;
            }
            "freeze" => self.frozen = crate::value_or(context, value, "type mismatch")?,
            "active" => self.active = crate::value_or(context, value, "type mismatch")?,
            "banner" => {
                self.banner = match value {
                    "" | "\n" => String::new(),
                    text if text.ends_with('\n') => text.into(),
                    text => format!("{text}\n"),
                };
            }
            "aggregate_call" | "call_after_agg" => self.after_values = call("aggregate_call")?,
            "count_call" | "call_after_count" => self.after_total = call("count_call")?,
            "stop" => {
                self.active = false;
                context.stop_driver();
            }
            "counts_pdf" | "reaggregate_counts" => self.reaggregate(),
            "clear" => {
                self.counts.clear();
                self.total = 0;
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }

    fn take_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.counts = core::mem::take(&mut old.counts);
            (self.total, self.frozen, self.active) = (old.total, old.frozen, old.active);
        }
    }
}

#[cfg(test)]
#[path = "aggregate_counter_tests.rs"]
mod tests;
