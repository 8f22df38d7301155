use alloc::format;
use alloc::string::String;
use core::time::Duration;

use sprat_click::arguments::Timestamp;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::timestamps::timestamp_text;
use crate::handler_call::HandlerCall;

pub(super) const TIME_FILTER: Class = Class::of::<TimeFilter>("TimeFilter")
    .ports("1/1-2")
    .processing("a/ah");
pub(super) const TIME_RANGE: Class = Class::of::<TimeRange>("TimeRange");

/// TimeFilter: passes packets of a stretch of time.
///
/// ```click
/// TimeFilter([START, END, keywords START_AFTER, START_DELAY, END_AFTER, END_DELAY, INTERVAL, STOP,
///            END_CALL])
/// ```
///
/// - START: passes packets with this timestamp or a later one; the first packet's timestamp where it is
///   missing. START_AFTER counts from the first packet's timestamp, START_DELAY from the start of the router.
/// - END, END_AFTER, END_DELAY: passes packets with an earlier timestamp than that.
/// - INTERVAL: ends so long after the start.
/// - STOP: whether the driver stops when the first packet after the end comes; false.
/// - END_CALL: a handler to write then; `$t` in its value is the packet's timestamp.
///
/// All are seconds or have a unit. Other packets go to output 1, and are dropped where it is not
/// connected.
///
/// Handlers: `start`, `end`, `interval` (read, write); `extend_interval` (write): puts the end
/// so much further off, and makes ready for END_CALL once more.
///
/// See Click's manual page TimeFilter(n).
struct TimeFilter {
    start: Bound,
    end: Bound,
    interval: Option<i64>,
    stop: bool,
    end_call: Option<HandlerCall>,
    /// Whether the end has been met with.
    ended: bool,
}

/// One end of the stretch; a moment once its origin is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    None,
    At(i64),
    /// After the first packet.
    After(i64),
    /// After the start of the router.
    Delay(i64),
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Bound {
    /// Reads the keywords of one end, beside which there may be an INTERVAL.
    fn configure(arguments: &mut Arguments<'_>, name: &str, interval: bool) -> Self {
        // Zero is as good as nothing.
        let at = arguments.position::<Timestamp>(name).filter(|at| at.0 != 0);
        let after = arguments.keyword::<Duration>(&format!("{name}_AFTER"));
        let delay = arguments.keyword::<Duration>(&format!("{name}_DELAY"));
        let given = [at.is_some(), after.is_some(), delay.is_some()];
        let given = given.iter().filter(|given| **given).count();
        if name == "START" && given > 1 {
            arguments.error("START, START_AFTER, and START_AFTER_INIT are mutually exclusive");
        } else if name == "END" && given + usize::from(interval) > 1 {
            arguments.error("END, END_AFTER, END_AFTER_INIT, and INTERVAL are mutually exclusive");
        }
        match (at, after, delay) {
            (Some(at), ..) => Self::At(at.0),
            (_, Some(after), _) => Self::After(nanoseconds(after)),
            (_, _, Some(delay)) => Self::Delay(nanoseconds(delay)),
            // With the first packet, and never.
            _ if name == "START" => Self::After(0),
            _ => Self::None,
        }
    }

    /// The moment, where it is known or none is set.
    fn moment(self, otherwise: i64) -> i64 {
        match self {
            Self::At(at) => at,
            _ => otherwise,
        }
    }

    fn fix_delay(&mut self, now: i64) {
        if let Self::Delay(delay) = *self {
            *self = Self::At(now.saturating_add(delay));
        }
    }

    fn fix_after(&mut self, first: i64) {
        if let Self::After(after) = *self {
            *self = Self::At(first.saturating_add(after));
        }
    }
}

impl Configure for TimeFilter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let interval = arguments.keyword("INTERVAL").map(nanoseconds);
        let start = Bound::configure(arguments, "START", false);
        let end = Bound::configure(arguments, "END", interval.is_some());
        let stop = arguments.keyword("STOP").unwrap_or(false);
        let end_call = arguments.keyword("END_CALL");
        if stop && end_call.is_some() {
            arguments.error("END_CALL and STOP are mutually exclusive");
        }
        arguments.finish()?;
        Ok(Self {
            start,
            end,
            interval,
            stop,
            end_call,
            ended: false,
        })
    }
}

impl TimeFilter {
    /// Puts the end an INTERVAL after the start, once that is known.
    fn fix_interval(&mut self, first: i64) {
        if let Some(interval) = self.interval
            && self.end == Bound::None
        {
            let start = self.start.moment(first);
            self.end = Bound::At(start.saturating_add(interval));
        }
    }

    /// Does what is to be done when a packet comes after the end; while that puts the end off and
    /// the packet is still after it, once more.
    fn reach_end(&mut self, context: &mut Context<'_>, timestamp: i64) {
        loop {
            let end = self.end.moment(i64::MAX);
            if timestamp < end || core::mem::replace(&mut self.ended, true) {
                return;
            }
            if self.stop {
                context.stop_driver();
            }
            let Some(call) = &self.end_call else {
                return;
            };
            let call = call.with("t", &timestamp_text(timestamp));
            let Some((handler, value)) = call.own(context) else {
                return call.call(context);
            };
            if let Err(error) = self.write(context, handler, value) {
                context.chatter(format_args!("{}: {error}", context.name()));
            }
            if self.end.moment(i64::MAX) <= end {
                return;
            }
        }
    }
}

impl Element for TimeFilter {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if let Some(call) = &self.end_call {
            call.check(context)?;
        }
        let now = context.timestamp().0;
        self.start.fix_delay(now);
        self.end.fix_delay(now);
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| {
            let timestamp = packet.timestamp();
            self.start.fix_after(timestamp);
            self.end.fix_after(timestamp);
            self.fix_interval(timestamp);
            self.reach_end(context, timestamp);
            if timestamp >= self.start.moment(i64::MIN) && timestamp < self.end.moment(i64::MAX) {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("start")
            .read_write("end")
            .read_write("interval")
            .write("extend_interval");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        let (start, end) = (self.start.moment(0), self.end.moment(0));
        match name {
            "start" => Ok(timestamp_text(start)),
            "end" => Ok(timestamp_text(end)),
            "interval" => Ok(timestamp_text(end.saturating_sub(start))),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let Timestamp(value) = crate::value_or(context, value, "expected time")?;
        match name {
            "start" => self.start = Bound::At(value),
            "end" => self.end = Bound::At(value),
            "interval" => self.end = Bound::At(self.start.moment(0).saturating_add(value)),
            "extend_interval" => self.end = Bound::At(self.end.moment(0).saturating_add(value)),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        self.ended = false;
        Ok(())
    }
}

/// TimeRange: keeps the earliest and the latest timestamp.
///
/// ```click
/// TimeRange([keyword SIMPLE])
/// ```
///
/// - SIMPLE: whether timestamps come in order, so that the last packet's is the latest; false.
///
/// Handlers: `first`, `last`, `range` (both of them), `interval` (the time between them) (read);
/// `reset` (write).
///
/// See Click's manual page TimeRange(n).
struct TimeRange {
    simple: bool,
    first: i64,
    last: i64,
}

impl Configure for TimeRange {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let simple = arguments.keyword("SIMPLE").unwrap_or(false);
        arguments.finish()?;
        Ok(Self {
            simple,
            first: 0,
            last: 0,
        })
    }
}

impl Element for TimeRange {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter() {
            let timestamp = packet.timestamp();
            if self.first == 0 {
                (self.first, self.last) = (timestamp, timestamp);
            } else if self.simple || self.last < timestamp {
                self.last = timestamp;
            } else {
                self.first = self.first.min(timestamp);
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("first")
            .read("last")
            .read("range")
            .read("interval")
            .button("reset");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        let (first, last) = (timestamp_text(self.first), timestamp_text(self.last));
        match name {
            "first" => Ok(first),
            "last" => Ok(last),
            "range" => Ok(format!("{first} {last}")),
            "interval" => Ok(timestamp_text(self.last.saturating_sub(self.first))),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "reset" => (self.first, self.last) = (0, 0),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    const TENTH: i64 = 100_000_000;

    fn bench(filter: &str) -> Bench {
        Bench::new(&std::format!(
            "FromDevice(in) -> f :: {filter} -> r :: TimeRange -> ToDevice(out)"
        ))
    }

    /// Sends packets with timestamps of so many tenths of a second; returns those that pass.
    fn pass(bench: &Bench, times: &[i64]) -> std::vec::Vec<i64> {
        for time in times {
            bench
                .simulation
                .simulated_device("in")
                .arrive(b"frame", sprat_click::Timestamp(time * TENTH));
        }
        bench.run();
        let sent = bench.simulation.simulated_device("out").take_sent();
        sent.into_iter().map(|(_, time)| time.0 / TENTH).collect()
    }

    #[test]
    fn a_stretch_is_absolute_or_counts_from_the_first_packet() {
        let times = [10, 15, 19, 20, 30];
        for (config, expected) in [
            ("START 1.5, END 2", &[15, 19][..]),
            ("START 1.9", &[19, 20, 30]),
            ("END 1.5", &[10]),
            ("1.5, 2", &[15, 19]),
            ("START_AFTER .5s, END_AFTER 1s", &[15, 19]),
            ("START_AFTER 500ms, INTERVAL 0.5", &[15, 19]),
            ("INTERVAL 0.6", &[10, 15]),
            // The clock of the simulation starts at a billion seconds.
            ("START_DELAY 1", &[]),
        ] {
            let bench = bench(&std::format!("TimeFilter({config})"));
            assert_eq!(pass(&bench, &times), expected, "{config}");
        }
    }

    #[test]
    fn the_end_stops_the_driver_or_calls_a_handler_that_may_put_it_off() {
        let bench = bench("TimeFilter(END 1, STOP true)");
        pass(&bench, &[9]);
        assert!(!bench.run());
        pass(&bench, &[10]);
        assert!(bench.run());

        let bench = Bench::new(
            "FromDevice(in) -> TimeFilter(END 1, END_CALL c.reset) -> c :: Counter -> ToDevice(out)",
        );
        assert_eq!(pass(&bench, &[5, 6, 10]), [5, 6]);
        assert_eq!(bench.read("c.count"), "0");
    }

    #[test]
    fn a_call_that_puts_the_end_off_lets_the_packet_pass() {
        let bench = bench("TimeFilter(END 1, END_CALL f.extend_interval 0.5)");
        assert_eq!(pass(&bench, &[5, 21, 24]), [5, 21, 24]);
        assert_eq!(bench.read("f.end"), "2.500000");

        let bench = Bench::new(
            "FromDevice(in) -> TimeFilter(END 1, END_CALL i.data ${t}0) -> ToDevice(out);
             i :: InfiniteSource(ACTIVE false) -> Discard",
        );
        pass(&bench, &[12]);
        assert_eq!(bench.read("i.data"), "1.2000000");
    }

    #[test]
    fn time_range_knows_the_earliest_and_the_latest() {
        let bench = bench("Null");
        pass(&bench, &[0, 20, 15, 40]);
        assert_eq!(bench.read("r.range"), "1.500000 4.000000");
        assert_eq!(bench.read("r.interval"), "2.500000");
        bench.write("r.reset", "");
        assert_eq!(bench.read("r.first"), "0.000000");
    }

    #[test]
    fn ends_exclude_each_other() {
        let errors = Bench::errors("Idle -> f :: TimeFilter(END 1, END_AFTER 1) -> Idle");
        assert!(errors.contains("mutually exclusive"), "{errors}");
    }
}
