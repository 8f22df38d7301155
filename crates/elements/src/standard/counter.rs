use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::arguments::{Argument, Raw};
use sprat_click::state::{Carrier, Damaged};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use crate::handler_call::Trigger;
use crate::rate_average::RateAverage;

pub(super) const COUNTER: Class = Class::of::<Counter>("Counter");

/// Counter: counts packets and bytes.
///
/// ```click
/// Counter([keywords COUNT_CALL, BYTE_COUNT_CALL])
/// ```
///
/// - COUNT_CALL: `N HANDLER [VALUE]`: when the Nth packet comes, writes VALUE to HANDLER, before
///   the packet goes on.
/// - BYTE_COUNT_CALL: the same for the packet that makes it N bytes or more. Either is done again
///   after a reset.
///
/// Handlers: `count`, `byte_count` (read) since the last reset; `rate`, `byte_rate`, `bit_rate`
/// (read) a second, averaged over some 16 milliseconds; `reset`, `reset_counts` (write);
/// `count_call` (read, write), of which only N is read; `byte_count_call` (write).
///
/// See Click's manual page Counter(n).
struct Counter {
    count: u64,
    bytes: u64,
    count_call: Option<Trigger>,
    byte_count_call: Option<Trigger>,
    packet_rate: RateAverage,
    byte_rate: RateAverage,
}

impl Configure for Counter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mut call = |name: &str| {
            let Raw(text) = arguments.keyword(name)?;
            let call = Trigger::parse(&text, arguments.names());
            if call.is_err() {
                arguments.error(format!("{name} type mismatch"));
            }
            call.ok()
        };
        let (count_call, byte_count_call) = (call("COUNT_CALL"), call("BYTE_COUNT_CALL"));
        arguments.finish()?;
        Ok(Self {
            count: 0,
            bytes: 0,
            count_call,
            byte_count_call,
            packet_rate: RateAverage::new(10),
            byte_rate: RateAverage::new(4),
        })
    }
}

/// What is written to `count_call` and its like: a count and the handler to write.
fn trigger(context: &Context<'_>, name: &str, value: &str) -> Result<Trigger, HandlerError> {
    crate::handler_value(context, value).map_err(|_| {
        HandlerError::failed(format!("'{name}' first word should be unsigned (count)"))
    })
}

impl Element for Counter {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        for trigger in [&self.count_call, &self.byte_count_call]
            .into_iter()
            .flatten()
        {
            trigger.check(context)?;
        }
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let bytes: u64 = batch.iter().map(|packet| packet.len() as u64).sum();
        self.count += batch.len() as u64;
        self.bytes += bytes;
        let now = context.now();
        self.packet_rate.add(now, batch.len() as u64);
        self.byte_rate.add(now, bytes);
        // A call that came to be after its count waits for the next one.
        if self
            .count_call
            .as_ref()
            .is_some_and(|call| call.at() == self.count)
        {
            Trigger::fire(&mut self.count_call, self.count, context);
        }
        Trigger::fire(&mut self.byte_count_call, self.bytes, context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .read("byte_count")
            .read("rate")
            .read("bit_rate")
            .read("byte_rate");
        list.button("reset")
            .button("reset_counts")
            .read_write("count_call")
            .write("byte_count_call");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        let now = context.now();
        match name {
            "count" => Ok(self.count.to_string()),
            "byte_count" => Ok(self.bytes.to_string()),
            "count_call" => {
                let call = self.count_call.as_ref();
                Ok(call.map(|call| call.at().to_string()).unwrap_or_default())
            }
            "rate" => Ok(self.packet_rate.per_second_text(now)),
            "byte_rate" => Ok(self.byte_rate.per_second_text(now)),
            "bit_rate" => Ok(self.byte_rate.eightfold_text(now)),
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
            "reset" | "reset_counts" => {
                self.count = 0;
                self.bytes = 0;
                Trigger::begin_anew(&mut self.count_call);
                Trigger::begin_anew(&mut self.byte_count_call);
            }
            "count_call" => self.count_call = Some(trigger(context, name, value)?),
            "byte_count_call" => self.byte_count_call = Some(trigger(context, name, value)?),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }

    fn carry_state(
        &mut self,
        _: &mut Context<'_>,
        carrier: &mut Carrier<'_>,
    ) -> Result<(), Damaged> {
        let (mut count, mut bytes) = (self.count, self.bytes);
        carrier.u64(&mut count)?;
        carrier.u64(&mut bytes)?;
        if !carrier.goes_out() {
            // What is too much for anybody to have counted could not be counted on from.
            if count.max(bytes) > u64::MAX >> 1 {
                return Err(Damaged);
            }
            // Something may have been counted here already.
            self.count += count;
            self.bytes += bytes;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn every_packet_is_accounted_for() {
        let bench = Bench::new(
            "FromDevice(in) -> t :: Tee -> q :: Queue(3) -> u :: Unqueue -> d :: Discard; t[1] -> Idle",
        );
        for number in 0..5 {
            bench.arrive("in", &[number; 60]);
        }
        bench.run();
        let lines = "FromDevice@1\tFromDevice\t5\t5\nt\tTee\t5\t10\nq\tQueue\t5\t3\nu\tUnqueue\t3\t3\n\
                     d\tDiscard\t3\t0\nIdle@6\tIdle\t5\t0\n";
        assert_eq!(bench.read("traffic"), lines);
    }

    #[test]
    fn counter_counts_packets_and_bytes() {
        let bench = Bench::new("FromDevice(in) -> c :: Counter -> Discard");
        bench.arrive("in", &[1; 60]);
        bench.arrive("in", &[2; 100]);
        bench.run();
        assert_eq!(bench.read("c.count"), "2");
        assert_eq!(bench.read("c.byte_count"), "160");
        bench.write("c.reset", "");
        assert_eq!(bench.read("c.count"), "0");
    }

    /// By hand: a packet and its 64 bytes count for a sixteenth in the millisecond after, in 1,024ths
    /// and in sixteenths.
    #[test]
    fn rates_are_averages_over_milliseconds() {
        let bench =
            Bench::new("FromDevice(in) -> c :: Counter -> Discard; TimedSource(0.001) -> Discard");
        bench.arrive("in", &[1; 64]);
        bench.run_for(core::time::Duration::from_micros(1500));
        assert_eq!(bench.read("c.rate"), "62.5");
        assert_eq!(bench.read("c.byte_rate"), "4000");
        assert_eq!(bench.read("c.bit_rate"), "32000");
        bench.run_for(core::time::Duration::from_secs(1));
        assert_eq!(bench.read("c.rate"), "0");
    }

    #[test]
    fn calls_come_once_for_each_count_that_begins() {
        let bench = Bench::new(
            "s :: InfiniteSource(LIMIT 3) -> c :: Counter(COUNT_CALL 2 s.data x, BYTE_COUNT_CALL 2 d.reset)
             -> Discard; Idle -> d :: Counter -> Discard",
        );
        assert_eq!(bench.read("c.count_call"), "2");
        bench.run();
        assert_eq!(bench.read("s.data"), "x");
        bench.write("s.data", "y");
        bench.write("s.reset", "");
        bench.run();
        assert_eq!(
            (&*bench.read("s.data"), &*bench.read("c.count")),
            ("y", "6")
        );
        bench.write("c.reset", "");
        bench.write("s.reset", "");
        bench.run();
        assert_eq!(
            (&*bench.read("s.data"), &*bench.read("c.count")),
            ("x", "3")
        );
        // What is written after the third packet does not happen at the third packet.
        bench.write("c.count_call", "2 s.data z");
        bench.write("s.reset", "");
        bench.run();
        assert_eq!(bench.read("s.data"), "x");
    }
}
