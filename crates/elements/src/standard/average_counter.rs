use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::Batch;

pub(super) const AVERAGE_COUNTER: Class = Class::of::<AverageCounter>("AverageCounter");

/// AverageCounter: counts packets and bytes, and their rates from the first to the last.
///
/// ```click
/// AverageCounter([IGNORE])
/// ```
///
/// - IGNORE: for so many seconds from the first packet on nothing is counted; 0.
///
/// Handlers: `count`, `byte_count`, `time` (read): packets, bytes, and seconds from the first packet
/// to the last; `rate`, `byte_rate` (read) a second of that time, without IGNORE and to the
/// millisecond, of which it is one at least; `reset` (write).
///
/// See Click's manual page AverageCounter(n).
struct AverageCounter {
    ignore: Duration,
    count: u64,
    bytes: u64,
    first: Option<Instant>,
    last: Instant,
}

impl Configure for AverageCounter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let ignore = arguments.position("IGNORE").unwrap_or(0);
        arguments.finish()?;
        Ok(Self {
            ignore: Duration::from_secs(ignore),
            count: 0,
            bytes: 0,
            first: None,
            last: Instant(0),
        })
    }
}

impl AverageCounter {
    fn seconds(&self) -> f64 {
        self.first
            .map_or(0.0, |first| (self.last - first).as_secs_f64())
    }

    fn per_second(&self, amount: u64) -> String {
        let time = self.first.map_or(0, |first| {
            let milliseconds = |instant: Instant| instant.0 / 1_000_000;
            milliseconds(self.last) - milliseconds(first)
        });
        let ignored = u64::try_from(self.ignore.as_millis()).unwrap_or(u64::MAX);
        let time = time.saturating_sub(ignored).max(1);
        decimal::general(amount as f64 * 1000.0 / time as f64, 12, false)
    }
}

impl Element for AverageCounter {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let now = context.now();
        let first = *self.first.get_or_insert(now);
        if now - first >= self.ignore {
            self.count += batch.len() as u64;
            self.bytes += batch.iter().map(|packet| packet.len() as u64).sum::<u64>();
        }
        self.last = now;
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .read("byte_count")
            .read("time")
            .read("rate")
            .read("byte_rate")
            .button("reset");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "byte_count" => Ok(self.bytes.to_string()),
            "time" => Ok(decimal::shortest(self.seconds())),
            "rate" => Ok(self.per_second(self.count)),
            "byte_rate" => Ok(self.per_second(self.bytes)),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "reset" => {
                (self.count, self.bytes) = (0, 0);
                self.first = None;
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn the_rate_is_that_between_the_first_and_the_last_packet() {
        let bench = Bench::new("FromDevice(in) -> c :: AverageCounter -> Discard");
        bench.run_for(Duration::from_secs(5));
        for _ in 0..11 {
            bench.arrive("in", &[0; 100]);
            bench.run_for(Duration::from_millis(500));
        }
        bench.run_for(Duration::from_secs(5));
        assert_eq!(bench.read("c.count"), "11");
        // Eleven in five seconds.
        assert_eq!(bench.read("c.time"), "5");
        assert_eq!(bench.read("c.rate"), "2.2");
        assert_eq!(bench.read("c.byte_rate"), "220");
    }

    #[test]
    fn the_first_seconds_can_be_ignored() {
        let bench = Bench::new("FromDevice(in) -> c :: AverageCounter(3) -> Discard");
        for _ in 0..5 {
            bench.arrive("in", &[0; 100]);
            bench.run_for(Duration::from_secs(1));
        }
        assert_eq!(bench.read("c.count"), "2");
        bench.write("c.reset", "");
        assert_eq!(bench.read("c.rate"), "0");
    }
}
