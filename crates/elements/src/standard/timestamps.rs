use alloc::string::{String, ToString};

use sprat_click::arguments::{Argument, ArgumentError, Names, Timestamp, Word};
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::{Batch, Packet, annotations};

use crate::dump::text::Seconds;

pub(super) const SET_TIMESTAMP: Class = Class::of::<SetTimestamp>("SetTimestamp");
pub(super) const SET_TIMESTAMP_DELTA: Class = Class::of::<SetTimestampDelta>("SetTimestampDelta");
pub(super) const STORE_TIMESTAMP: Class = Class::of::<StoreTimestamp>("StoreTimestamp");
pub(super) const TIMESTAMP_ACCUM: Class = Class::of::<TimestampAccum>("TimestampAccum");
pub(super) const ADJUST_TIMESTAMP: Class = Class::of::<AdjustTimestamp>("AdjustTimestamp");

/// A moment or a difference of moments as Click's handlers give it: seconds with six decimals,
/// or nine where those would not do. `nanoseconds` may be negative.
pub(crate) fn timestamp_text(nanoseconds: i64) -> String {
    Seconds(nanoseconds).to_string()
}

/// The "first timestamp" annotation, in nanoseconds since the epoch.
pub(crate) fn first_timestamp(packet: &Packet) -> i64 {
    packet
        .annotations()
        .double(annotations::FIRST_TIMESTAMP)
        .cast_signed()
}

/// Sets the "first timestamp" annotation.
pub(crate) fn set_first_timestamp(packet: &mut Packet, nanoseconds: i64) {
    packet.set_annotation_double(annotations::FIRST_TIMESTAMP, nanoseconds.cast_unsigned());
}

/// SetTimestamp: sets packets' timestamp.
///
/// ```click
/// SetTimestamp([TIMESTAMP, keyword FIRST])
/// ```
///
/// - TIMESTAMP: seconds since the epoch; the present time where it is missing.
/// - FIRST: whether to set the "first timestamp" annotation instead; false.
///
/// See Click's manual page SetTimestamp(n).
struct SetTimestamp {
    timestamp: Option<i64>,
    first: bool,
}

impl Configure for SetTimestamp {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let timestamp = arguments
            .position::<Timestamp>("TIMESTAMP")
            .map(|timestamp| timestamp.0);
        let first = arguments.keyword("FIRST").unwrap_or(false);
        let delta = arguments.keyword("DELTA").unwrap_or(false);
        arguments.finish()?;
        if delta {
            let text = "SetTimestamp(DELTA) is deprecated, use SetTimestampDelta(TYPE FIRST)";
            return Err(arguments.error(text));
        }
        Ok(Self { timestamp, first })
    }
}

impl Element for SetTimestamp {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let timestamp = self.timestamp.unwrap_or_else(|| context.timestamp().0);
        for packet in batch.iter_mut() {
            if self.first {
                set_first_timestamp(packet, timestamp);
            } else {
                packet.set_timestamp(timestamp);
            }
        }
    }
}

/// What a timestamp is measured against.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The first timestamp seen.
    Range,
    /// The present time.
    Now,
    /// The packet's own "first timestamp" annotation.
    First,
}

impl Argument for Origin {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        match &*Word::parse(text, names)?.0 {
            "RANGE" => Ok(Self::Range),
            "NOW" => Ok(Self::Now),
            "FIRST" => Ok(Self::First),
            _ => Err(ArgumentError::other("bad TYPE")),
        }
    }
}

/// SetTimestampDelta: replaces timestamps by differences.
///
/// ```click
/// SetTimestampDelta([keyword TYPE])
/// ```
///
/// Packets whose timestamp is not set pass as they are. The others get the time from
///
/// - TYPE RANGE, the default: the first timestamp that came here to theirs;
/// - TYPE NOW: theirs to the present;
/// - TYPE FIRST: their "first timestamp" annotation to theirs.
///
/// Handlers: `first` (read): the first timestamp that came, for TYPE RANGE; `reset` (write): the next
/// packet's is the first.
///
/// See Click's manual page SetTimestampDelta(n).
struct SetTimestampDelta {
    origin: Origin,
    first: Option<i64>,
}

impl Configure for SetTimestampDelta {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let origin = arguments.position("TYPE").unwrap_or(Origin::Range);
        arguments.finish()?;
        Ok(Self {
            origin,
            first: None,
        })
    }
}

impl Element for SetTimestampDelta {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let now = context.timestamp().0;
        for packet in batch.iter_mut() {
            let timestamp = packet.timestamp();
            if timestamp == 0 {
                continue;
            }
            let delta = match self.origin {
                Origin::Range => {
                    let first = *self.first.get_or_insert(timestamp);
                    timestamp.saturating_sub(first)
                }
                Origin::Now => now.saturating_sub(timestamp),
                Origin::First => timestamp.saturating_sub(first_timestamp(packet)),
            };
            packet.set_timestamp(delta);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("first").button("reset");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            // With an end of line, as Click has it.
            "first" => Ok(timestamp_text(self.first.unwrap_or(0)) + "\n"),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "reset" => self.first = None,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

/// AdjustTimestamp: moves packets' timestamps.
///
/// ```click
/// AdjustTimestamp([TIME, keywords FIRST, ALL])
/// ```
///
/// Adds TIME seconds (0), which may be negative. Timestamps of zero are not set, and stay so unless
/// ALL (false) is true. With FIRST true (false) it is the "first timestamp" annotation that is moved.
///
/// Handlers: `time` (read, write).
///
/// See Click's manual page AdjustTimestamp(n).
struct AdjustTimestamp {
    time: i64,
    first: bool,
    all: bool,
}

/// Seconds with a sign, `+1.5` or `-1`.
fn signed(text: &str, names: &dyn Names) -> Result<i64, ArgumentError> {
    let text = text.strip_prefix('+').unwrap_or(text);
    Timestamp::parse(text, names).map(|timestamp| timestamp.0)
}

impl Configure for AdjustTimestamp {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let time = arguments.position_with("TIME", signed).unwrap_or(0);
        let first = arguments.keyword("FIRST").unwrap_or(false);
        let all = arguments.keyword("ALL").unwrap_or(false);
        arguments.finish()?;
        Ok(Self { time, first, all })
    }
}

impl Element for AdjustTimestamp {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let timestamp = if self.first {
                first_timestamp(packet)
            } else {
                packet.timestamp()
            };
            if timestamp == 0 && !self.all {
                continue;
            }
            let timestamp = timestamp.saturating_add(self.time);
            if self.first {
                set_first_timestamp(packet, timestamp);
            } else {
                packet.set_timestamp(timestamp);
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("time");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "time" => Ok(timestamp_text(self.time)),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        if name != "time" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        self.time = signed(value.trim(), &context.names())
            .map_err(|_| HandlerError::failed("expected timestamp"))?;
        Ok(())
    }
}

/// StoreTimestamp: writes packets' timestamps into their bytes.
///
/// ```click
/// StoreTimestamp([keywords OFFSET, TAIL])
/// ```
///
/// One of the two must be given. The timestamp takes eight bytes: seconds and nanoseconds, each a number
/// of four bytes in the processor's byte order.
///
/// - OFFSET: where it goes; packets that are too short are extended.
/// - TAIL: true puts it behind the packet.
///
/// See Click's manual page StoreTimestamp(n).
struct StoreTimestamp {
    offset: Option<usize>,
}

impl Configure for StoreTimestamp {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.keyword::<u16>("OFFSET");
        let tail = arguments.keyword("TAIL").unwrap_or(false);
        if offset.is_some() == tail {
            arguments.error("must supply exactly one of 'OFFSET' and 'TAIL'");
        }
        arguments.finish()?;
        Ok(Self {
            offset: offset.map(usize::from),
        })
    }
}

impl Element for StoreTimestamp {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let timestamp = packet.timestamp();
            let offset = self.offset.unwrap_or(packet.len());
            let missing = (offset + 8).saturating_sub(packet.len());
            if missing > 0 {
                packet.append(missing).fill(0);
            }
            let place = &mut packet.data_mut()[offset..offset + 8];
            let half = |number: i64| i32::try_from(number).unwrap_or(i32::MAX).to_ne_bytes();
            place[..4].copy_from_slice(&half(timestamp.div_euclid(1_000_000_000)));
            place[4..].copy_from_slice(&half(timestamp.rem_euclid(1_000_000_000)));
        }
    }
}

/// TimestampAccum: adds up how old packets are.
///
/// ```click
/// TimestampAccum
/// ```
///
/// Counts packets, and the time from their timestamps until they come here.
///
/// Handlers: `count`, `time`, `average_time` (read): packets, their times together and on average, in
/// seconds; `reset_counts` (write).
///
/// See Click's manual page TimestampAccum(n).
#[derive(Default)]
struct TimestampAccum {
    count: u64,
    /// Nanoseconds.
    time: i64,
}

impl Configure for TimestampAccum {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self::default())
    }
}

impl TimestampAccum {
    fn seconds(&self) -> f64 {
        self.time as f64 / 1e9
    }
}

impl Element for TimestampAccum {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let now = context.timestamp().0;
        for packet in batch.iter() {
            self.count += 1;
            self.time = self.time.saturating_add(now - packet.timestamp());
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .read("time")
            .read("average_time")
            .button("reset_counts");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "time" => Ok(decimal::general(self.seconds(), 12, false)),
            "average_time" => Ok(decimal::general(
                self.seconds() / self.count as f64,
                12,
                false,
            )),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        if name != "reset_counts" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        *self = Self::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::timestamp_text;
    use crate::testing::Bench;

    const TENTH: i64 = 100_000_000;

    /// The timestamps, in tenths of a second, of packets that went through `elements`.
    fn through(elements: &str, times: &[i64]) -> std::vec::Vec<i64> {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> {elements} -> ToDevice(out)"
        ));
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
    fn adjusting_leaves_unset_timestamps_unless_told() {
        assert_eq!(
            through("AdjustTimestamp(-1)", &[1, 2, 10, 12]),
            [-9, -8, 0, 2]
        );
        assert_eq!(through("AdjustTimestamp(+1.5)", &[-9, 0, 2]), [6, 0, 17]);
        assert_eq!(through("AdjustTimestamp(0.1, ALL true)", &[-9, 0]), [-8, 1]);
    }

    #[test]
    fn set_timestamp_sets_one_of_two_timestamps() {
        assert_eq!(through("SetTimestamp(2.5)", &[7]), [25]);
        assert_eq!(through("SetTimestamp(2.5, FIRST true)", &[7]), [7]);
        // The clock of the simulation starts at a billion seconds.
        assert_eq!(through("SetTimestamp", &[7]), [10_000_000_000]);
    }

    #[test]
    fn what_is_no_longer_said_is_refused() {
        for (element, said) in [
            (
                "SetTimestamp(DELTA true)",
                "  SetTimestamp(DELTA) is deprecated, use SetTimestampDelta(TYPE FIRST)\n",
            ),
            ("SetTimestampDelta(TYPE x)", "bad TYPE\n"),
        ] {
            let errors = Bench::errors(&std::format!("Idle -> {element} -> Discard"));
            assert!(errors.contains(said), "{errors}");
        }
    }

    #[test]
    fn deltas_are_from_the_first_packet_or_the_first_timestamp_to_the_packet() {
        assert_eq!(
            through("SetTimestampDelta", &[15, 0, 25, 12]),
            [0, 0, 10, -3]
        );
        assert_eq!(
            through(
                "SetTimestamp(1, FIRST true) -> SetTimestampDelta(TYPE FIRST)",
                &[15]
            ),
            [5]
        );
        assert_eq!(
            through("SetTimestampDelta(NOW)", &[10_000_000_000 - 4]),
            [4]
        );
    }

    #[test]
    fn timestamps_are_written_with_six_or_nine_decimals() {
        assert_eq!(timestamp_text(1_500_000_000), "1.500000");
        assert_eq!(timestamp_text(-1_500_000_001), "-1.500000001");
        assert_eq!(timestamp_text(0), "0.000000");
    }

    #[test]
    fn timestamps_are_stored_where_asked() {
        for (config, place, length) in [("OFFSET 2", 2, 10), ("TAIL true", 3, 11)] {
            let bench = Bench::new(&std::format!(
                "RatedSource(abc, 1000, 1) -> SetTimestamp(5.000000007)
                 -> StoreTimestamp({config}) -> ToDevice(out)"
            ));
            bench.run();
            let sent = &bench.sent("out")[0];
            assert_eq!(sent.len(), length);
            assert_eq!(sent[place..place + 4], 5_u32.to_ne_bytes());
            assert_eq!(sent[place + 4..place + 8], 7_u32.to_ne_bytes());
        }
        let errors = Bench::errors("Idle -> StoreTimestamp -> Discard");
        assert!(
            errors.contains("exactly one of 'OFFSET' and 'TAIL'"),
            "{errors}"
        );
    }

    #[test]
    fn the_age_of_packets_is_added_up() {
        let bench = Bench::new(
            "RatedSource(abc, 1000, 2) -> AdjustTimestamp(-3) -> t :: TimestampAccum -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("t.count"), "2");
        assert_eq!(bench.read("t.average_time"), "3");
        assert_eq!(bench.read("t.time"), "6");
        bench.write("t.reset_counts", "");
        assert_eq!(bench.read("t.time"), "0");
    }
}
