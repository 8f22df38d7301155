use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sprat_click::arguments::{Argument, Bandwidth, NoNames};
use sprat_click::time::SECOND;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::Batch;

pub(super) const METER: Class = Class::of::<Meter<false>>("Meter")
    .ports("1/2-")
    .processing("h/h");
pub(super) const BANDWIDTH_METER: Class = Class::of::<Meter<true>>("BandwidthMeter")
    .ports("1/2-")
    .processing("h/h");

/// Periods in a second, and the weight of the past in the average: it follows a change within
/// about a second.
const PERIODS: u64 = 16;

/// A rate averaged over about the last second: each sixteenth of a second counts for a sixteenth.
#[derive(Default)]
struct AverageRate {
    /// Periods since the clock began, of which the last is still going on.
    period: u64,
    started: bool,
    seen: u64,
    /// A second's worth, times `PERIODS` to keep its fraction.
    average: u64,
}

impl AverageRate {
    fn update(&mut self, now: Instant) {
        let period = now.0 / (SECOND / PERIODS);
        if !self.started {
            self.started = true;
            self.period = period;
        }
        // After so many periods of nothing, nothing is left.
        let elapsed = (period - self.period).min(1024);
        for _ in 0..elapsed {
            self.average = self.average - self.average / PERIODS + self.seen * PERIODS;
            self.seen = 0;
        }
        self.period = period;
    }

    fn per_second(&self) -> u64 {
        self.average / PERIODS
    }
}

/// Meter: sends packets to the output that the present rate chooses.
///
/// ```click
/// Meter(RATE1, RATE2, ..., RATEn)
/// BandwidthMeter(RATE1, RATE2, ..., RATEn)
/// ```
///
/// RATE1 to RATEn rise, and there are n+1 outputs. Packets go to output 0 while fewer come than
/// RATE1 a second, to output n while RATEn or more do, and to output i while the rate lies
/// between RATEi and RATEi+1. A `Meter` counts packets, a `BandwidthMeter` bytes; its rates are
/// bandwidths such as `384 kbps`. The rate is an average over about a second. All packets go to
/// one output then: to let a fixed rate pass, use `RatedSplitter`.
///
/// Handlers: `rate` (read) the present rate; `meters` (read) the limits, without anything between them;
/// `rates` (read) the limits, a line each.
///
/// See Click's manual pages Meter(n) and BandwidthMeter(n).
struct Meter<const BANDWIDTH: bool> {
    limits: Vec<u64>,
    rate: AverageRate,
}

impl<const BANDWIDTH: bool> Configure for Meter<BANDWIDTH> {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut limits = Vec::new();
        for (number, text) in arguments.rest().iter().enumerate() {
            let limit = if BANDWIDTH {
                Bandwidth::parse(text, &NoNames).map(|rate| rate.0)
            } else {
                u32::parse(text, &NoNames).map(u64::from)
            };
            let number = number + 1;
            match limit {
                Ok(limit) if limits.last().is_some_and(|before| *before >= limit) => {
                    let message = format!("rate {number} must be > rate {}", number - 1);
                    return Err(arguments.error(message));
                }
                Ok(limit) => limits.push(limit),
                Err(_) => {
                    return Err(arguments.error(format!("argument {number} syntax error")));
                }
            }
            if BANDWIDTH && text.ends_with(|last: char| last.is_ascii_digit()) {
                arguments.warning(format!(
                    "no units for bandwidth argument {number}, assuming Bps"
                ));
            }
        }
        arguments.finish()?;
        if limits.is_empty() {
            let message = "too few arguments to BandwidthMeter(bandwidth, ...)";
            return Err(arguments.error(message));
        }
        let outputs = configuration.outputs();
        if outputs != limits.len() + 1 {
            return Err(arguments.error(format!(
                "need {} arguments, one less than the number of output ports",
                outputs.saturating_sub(1)
            )));
        }
        Ok(Self {
            limits,
            rate: AverageRate::default(),
        })
    }
}

impl<const BANDWIDTH: bool> Element for Meter<BANDWIDTH> {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        self.rate.update(context.now());
        self.rate.seen += if BANDWIDTH {
            batch.iter().map(|packet| packet.len() as u64).sum()
        } else {
            batch.len() as u64
        };
        let rate = self.rate.per_second();
        let output = self.limits.partition_point(|limit| *limit <= rate);
        context.forward(output, batch);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("rate").read("meters").read("rates");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "rate" => {
                self.rate.update(context.now());
                Ok(self.rate.per_second().to_string())
            }
            "meters" => Ok(self.limits.iter().map(u64::to_string).collect()),
            "rates" => Ok(self
                .limits
                .iter()
                .fold(String::new(), |text, limit| format!("{text}{limit}\n"))),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn the_rate_chooses_one_output_for_all() {
        for (meter, outputs) in [
            ("Meter(50, 200)", [false, true, false]),
            ("Meter(200, 300)", [true, false, false]),
            ("Meter(50, 90)", [false, false, true]),
            ("BandwidthMeter(5kBps, 160kbps)", [false, true, false]),
        ] {
            let bench = Bench::new(&std::format!(
                "RatedSource(RATE 100, LENGTH 100) -> m :: {meter} -> a :: Counter -> Discard;
                 m[1] -> b :: Counter -> Discard; m[2] -> c :: Counter -> Discard"
            ));
            // The average needs some seconds to come close.
            bench.run_for(Duration::from_secs(8));
            for counter in ["a", "b", "c"] {
                bench.write(&std::format!("{counter}.reset"), "");
            }
            bench.run_for(Duration::from_secs(2));
            let used =
                ["a", "b", "c"].map(|counter| bench.read(&std::format!("{counter}.count")) != "0");
            assert_eq!(used, outputs, "{meter}");
        }
    }

    #[test]
    fn rates_rise_and_are_one_fewer_than_the_outputs() {
        let errors = Bench::errors("Idle -> m :: Meter(5, 4) -> Idle; m[1] -> Idle; m[2] -> Idle");
        assert!(errors.contains("rate 2 must be > rate 1"), "{errors}");
        let errors = Bench::errors("Idle -> m :: Meter(5, 6) -> Idle; m[1] -> Idle");
        let expected = "need 1 arguments, one less than the number of output ports";
        assert!(errors.contains(expected), "{errors}");
        let bench = Bench::new(
            "Idle -> m :: BandwidthMeter(5kBps, 2MBps) -> a :: Discard; m[1, 2] => a, a",
        );
        assert_eq!(bench.read("m.meters"), "50002000000");
    }
}
