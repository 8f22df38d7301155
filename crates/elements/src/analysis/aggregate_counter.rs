use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hashbrown::HashMap;
use sprat_click::collections::sort;
use sprat_click::environment::AccessError;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::{AGGREGATE, EXTRA_LENGTH, EXTRA_PACKETS};
use sprat_packet::{Batch, Packet};

use crate::handler_call::Trigger;

pub(super) const AGGREGATE_COUNTER: Class = Class::of::<AggregateCounter>("AggregateCounter")
    .ports("1-2/1-2")
    .processing("a/ah");

/// AggregateCounter: counts packets or bytes for each value of the aggregate annotation.
///
/// ```click
/// AggregateCounter([keywords BYTES, IP_BYTES, MULTIPACKET, EXTRA_LENGTH, STOP_AFTER_AGG,
///                  FREEZE_AFTER_AGG, CALL_AFTER_AGG, STOP_AFTER_COUNT, FREEZE_AFTER_COUNT,
///                  CALL_AFTER_COUNT, BANNER])
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
/// - STOP_AFTER_AGG, FREEZE_AFTER_AGG, CALL_AFTER_AGG: when N values have been seen, the driver stops,
///   the counter freezes, or (`N HANDLER [VALUE]`) a handler is written. At most one of them.
/// - STOP_AFTER_COUNT, FREEZE_AFTER_COUNT, CALL_AFTER_COUNT: the same when the count of all is N.
/// - BANNER: what written files begin with; nothing.
///
/// Handlers: `write_ascii_file`, `write_file` (write) FILE, or `-` for standard output: a line for each
/// value in ascending order with its count, or two numbers of 32 bits for each, after lines that say
/// how many there are (`$num_nonzero`) and how they are packed (`$packed_le`); `freeze`, `active`,
/// `banner`, `call_after_agg`, `call_after_count` (read, write); `nagg`, `count` (read): values seen,
/// and all that was counted; `stop` (write) counts no more and stops the driver; `reaggregate_counts`
/// (write) makes each count a value, counted as often as it stands there; `clear` (write).
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

/// What happens when there are so many.
enum Limit {
    Stop(u64),
    Freeze(u64),
    Call(Trigger),
}

impl Limit {
    /// Reads the three keywords for one count.
    fn configure(arguments: &mut Arguments<'_>, [stop, freeze, call]: [&str; 3]) -> Option<Self> {
        let given = [
            arguments.keyword(stop).map(Self::Stop),
            arguments.keyword(freeze).map(Self::Freeze),
            arguments.keyword(call).map(Self::Call),
        ];
        let mut given = given.into_iter().flatten();
        let first = given.next();
        if given.next().is_some() {
            arguments.error(format!(
                "'{stop}', '{freeze}' and '{call}' are mutually exclusive"
            ));
        }
        first
    }
}

impl Configure for AggregateCounter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mut flag = |name: &str, otherwise: bool| arguments.keyword(name).unwrap_or(otherwise);
        let (bytes, ip_bytes) = (flag("BYTES", false), flag("IP_BYTES", false));
        let (multipacket, extra_length) = (flag("MULTIPACKET", true), flag("EXTRA_LENGTH", true));
        let after_values = Limit::configure(
            arguments,
            ["STOP_AFTER_AGG", "FREEZE_AFTER_AGG", "CALL_AFTER_AGG"],
        );
        let after_total = Limit::configure(
            arguments,
            ["STOP_AFTER_COUNT", "FREEZE_AFTER_COUNT", "CALL_AFTER_COUNT"],
        );
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
        if amount == 0 {
            return true;
        }
        match self.counts.get_mut(&value) {
            Some(count) => *count = count.saturating_add(amount),
            None if frozen || self.frozen => return false,
            None => {
                self.counts.insert(value, amount);
                let values = self.counts.len() as u64;
                reached(&mut self.after_values, values, &mut self.frozen, context);
            }
        }
        self.total += u64::from(amount);
        reached(&mut self.after_total, self.total, &mut self.frozen, context);
        true
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

    fn write_file(
        &self,
        context: &Context<'_>,
        name: &str,
        ascii: bool,
    ) -> Result<(), AccessError> {
        let mut file = context.environment().open_output(name, false)?;
        if !self.banner.is_empty() {
            file.write(self.banner.as_bytes())?;
            if !self.banner.ends_with('\n') {
                file.write(b"\n")?;
            }
        }
        file.write(format!("$num_nonzero {}\n", self.counts.len()).as_bytes())?;
        if !ascii {
            file.write(b"$packed_le\n")?;
        }
        for (value, count) in self.sorted() {
            if ascii {
                file.write(format!("{value} {count}\n").as_bytes())?;
            } else {
                file.write(&value.to_le_bytes())?;
                file.write(&count.to_le_bytes())?;
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

/// Does what a limit says, once, where a count has come to it.
#[inline]
fn reached(limit: &mut Option<Limit>, count: u64, frozen: &mut bool, context: &mut Context<'_>) {
    let there = match limit {
        None => false,
        Some(Limit::Stop(at) | Limit::Freeze(at)) => count >= *at,
        Some(Limit::Call(_)) => true,
    };
    if !there {
        return;
    }
    match limit.take() {
        Some(Limit::Stop(_)) => context.stop_driver(),
        Some(Limit::Freeze(_)) => *frozen = true,
        Some(Limit::Call(trigger)) => {
            let mut trigger = Some(trigger);
            Trigger::fire(&mut trigger, count, context);
            *limit = trigger.map(Limit::Call);
        }
        None => {}
    }
}

impl Element for AggregateCounter {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        for limit in [&self.after_values, &self.after_total]
            .into_iter()
            .flatten()
        {
            if let Limit::Call(trigger) = limit {
                trigger.check(context)?;
            }
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
        list.write("write_ascii_file")
            .write("write_file")
            .read_write("freeze")
            .read_write("active")
            .read_write("banner")
            .read_write("call_after_agg")
            .read_write("call_after_count");
        list.read("nagg")
            .read("count")
            .button("stop")
            .button("reaggregate_counts")
            .button("clear");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        let call = |limit: &Option<Limit>| match limit {
            Some(Limit::Call(trigger)) => trigger.to_string(),
            _ => String::new(),
        };
        Ok(match name {
            "freeze" => self.frozen.to_string(),
            "active" => self.active.to_string(),
            "banner" => self.banner.clone(),
            "call_after_agg" => call(&self.after_values),
            "call_after_count" => call(&self.after_total),
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
        let call = || -> Result<_, HandlerError> {
            if value.trim().is_empty() {
                return Ok(None);
            }
            Ok(Some(Limit::Call(crate::handler_value(context, value)?)))
        };
        match name {
            "write_ascii_file" | "write_file" => {
                let file = value.trim();
                self.write_file(context, file, name == "write_ascii_file")
                    .map_err(|error| HandlerError::failed(format!("{file}: {error}")))?;
            }
            "freeze" => self.frozen = crate::handler_value(context, value)?,
            "active" => self.active = crate::handler_value(context, value)?,
            "banner" => self.banner = value.into(),
            "call_after_agg" => self.after_values = call()?,
            "call_after_count" => self.after_total = call()?,
            "stop" => {
                self.active = false;
                context.stop_driver();
            }
            "reaggregate_counts" => self.reaggregate(),
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
mod tests {
    use crate::testing::Bench;

    /// A counter of lengths, so that a packet's length is its value.
    fn counter(arguments: &str) -> Bench {
        Bench::new(&std::format!(
            "FromDevice(in) -> AggregateLength -> c :: AggregateCounter({arguments});
             c[0] -> ToDevice(out); c[1] -> ToDevice(rest)"
        ))
    }

    fn arrive(bench: &Bench, lengths: &[usize]) {
        for length in lengths {
            bench.arrive("in", &std::vec![0; *length]);
        }
        bench.run();
    }

    fn ascii(bench: &Bench) -> std::string::String {
        bench.write("c.write_ascii_file", "counts");
        let bytes = bench.simulation.file("counts").expect("it was written");
        std::string::String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn each_value_has_a_count_and_values_ascend() {
        let bench = counter("BANNER !counts");
        arrive(&bench, &[100, 60, 100, 61]);
        assert_eq!(
            ascii(&bench),
            "!counts\n$num_nonzero 3\n60 1\n61 1\n100 2\n"
        );
        assert_eq!(bench.read("c.count"), "4");
    }

    #[test]
    fn bytes_are_counted_where_that_is_asked() {
        let bench = counter("BYTES true");
        arrive(&bench, &[100, 60, 100]);
        assert_eq!(ascii(&bench), "$num_nonzero 2\n60 60\n100 200\n");
    }

    #[test]
    fn packed_files_hold_two_words_for_each_value() {
        let bench = counter("");
        arrive(&bench, &[258, 258, 60]);
        bench.write("c.write_file", "packed");
        let bytes = bench.simulation.file("packed").expect("it was written");
        let numbers = [60, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 2, 0, 0, 0];
        assert_eq!(
            bytes,
            [&b"$num_nonzero 2\n$packed_le\n"[..], &numbers].concat()
        );
    }

    #[test]
    fn a_frozen_counter_lets_new_values_out_the_other_way() {
        let bench = counter("FREEZE_AFTER_AGG 2");
        arrive(&bench, &[60, 61, 62, 60]);
        assert_eq!(bench.read("c.freeze"), "true");
        assert_eq!(bench.sent("out").len(), 3);
        assert_eq!(bench.sent("rest").len(), 1);
        assert_eq!(ascii(&bench), "$num_nonzero 2\n60 2\n61 1\n");
    }

    #[test]
    fn the_second_input_is_frozen() {
        let bench = Bench::new(
            "FromDevice(in) -> AggregateLength -> c :: AggregateCounter;
             FromDevice(other) -> AggregateLength -> [1]c;
             c[0] -> ToDevice(out); c[1] -> ToDevice(rest)",
        );
        arrive(&bench, &[60]);
        bench.arrive("other", &[0; 60]);
        bench.arrive("other", &[0; 61]);
        bench.run();
        assert_eq!(bench.sent("rest").len(), 1);
        assert_eq!(ascii(&bench), "$num_nonzero 1\n60 2\n");
    }

    #[test]
    fn counts_can_become_values() {
        let bench = counter("");
        arrive(&bench, &[60, 61, 61, 62, 62]);
        bench.write("c.reaggregate_counts", "");
        assert_eq!(ascii(&bench), "$num_nonzero 2\n1 1\n2 2\n");
    }

    #[test]
    fn a_handler_is_called_when_enough_is_counted() {
        let bench = counter("CALL_AFTER_COUNT 3 c.active false");
        arrive(&bench, &[60, 60, 60, 60]);
        assert_eq!(bench.read("c.count"), "3");
        let errors =
            Bench::errors("Idle -> AggregateCounter(STOP_AFTER_AGG 1, FREEZE_AFTER_AGG 2) -> Idle");
        assert!(errors.contains("mutually exclusive"), "{errors}");
    }
}
