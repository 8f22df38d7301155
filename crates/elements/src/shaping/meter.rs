use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use sprat_click::arguments::{Argument, Bandwidth, NoNames};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use crate::rate_average::RateAverage;

pub(super) const METER: Class = Class::of::<Meter<false>>("Meter")
    .ports("1/2-")
    .processing("h/h");
pub(super) const BANDWIDTH_METER: Class = Class::of::<Meter<true>>("BandwidthMeter")
    .ports("1/2-")
    .processing("h/h");

/// Bits of an average that are a fraction.
const SCALE: u32 = 10;

/// The greatest rate whose average is counted.
const GREATEST: u64 = u32::MAX as u64 >> SCALE;

/// Meter: sends packets to the output that the present rate chooses.
///
/// ```click
/// Meter(RATE1, RATE2, ..., RATEn)
/// BandwidthMeter(RATE1, RATE2, ..., RATEn)
/// ```
///
/// RATE1 to RATEn rise, and there are n+1 outputs. Packets go to output 0 while fewer come than
/// RATE1 a second, to output n while RATEn or more do, and to output i while the rate lies
/// between RATEi and RATEi+1. A `Meter` counts packets, a `BandwidthMeter` bytes; the rates of
/// either are read as bandwidths such as `384 kbps`, and at most 4,194,303. The rate is an average
/// over some 16 milliseconds. All packets go to one output then: to let a fixed rate pass, use
/// `RatedSplitter`.
///
/// Handlers: `rate` (read) the present rate; `meters` (read) the limits as they are compared, without
/// anything between them; `rates` (read) the limits, a line each.
///
/// See Click's manual pages Meter(n) and BandwidthMeter(n).
struct Meter<const BANDWIDTH: bool> {
    limits: Vec<u64>,
    rate: RateAverage,
}

impl<const BANDWIDTH: bool> Configure for Meter<BANDWIDTH> {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut limits = Vec::new();
        let texts = arguments.rest();
        if texts.is_empty() {
            let message = "too few arguments to BandwidthMeter(bandwidth, ...)";
            return Err(arguments.error(message));
        }
        for (number, text) in texts.iter().enumerate() {
            let number = number + 1;
            match Bandwidth::parse(text, &NoNames) {
                Ok(Bandwidth(limit)) if limits.last().is_some_and(|before| *before >= limit) => {
                    let message = format!("rate {number} must be > rate {}", number - 1);
                    return Err(arguments.error(message));
                }
                Ok(Bandwidth(limit)) => {
                    limits.push(limit);
                    if limit > 0 && text.ends_with(|last: char| last.is_ascii_digit()) {
                        arguments.warning(format!(
                            "no units for bandwidth argument {number}, assuming Bps"
                        ));
                    }
                }
                Err(_) => {
                    return Err(arguments.error(format!("argument {number} syntax error")));
                }
            }
        }
        arguments.finish()?;
        if let Some(number) = limits.iter().position(|limit| *limit > GREATEST) {
            let number = number + 1;
            let message = format!("rate {number} too large (max {GREATEST})");
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
            rate: RateAverage::new(SCALE),
        })
    }
}

impl<const BANDWIDTH: bool> Element for Meter<BANDWIDTH> {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let amount = if BANDWIDTH {
            batch.iter().map(|packet| packet.len() as u64).sum()
        } else {
            batch.len() as u64
        };
        self.rate.add(context.now(), amount);
        let rate = self.rate.scaled();
        let passed = |limit: &u64| self.rate.scaled_of(*limit) <= rate;
        let output = self.limits.partition_point(passed);
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
            "rate" => Ok(self.rate.per_second_text(context.now())),
            "meters" => Ok(self
                .limits
                .iter()
                .map(|limit| self.rate.text_of(self.rate.scaled_of(*limit)))
                .collect()),
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

    /// By hand: when a packet comes every ten milliseconds, the average is 76 of 1,024 of a packet
    /// a millisecond as the next one comes, or 74 a second.
    #[test]
    fn the_rate_chooses_one_output_for_all() {
        for (meter, outputs) in [
            ("Meter(50, 200)", [false, true, false]),
            ("Meter(200, 300)", [true, false, false]),
            ("Meter(50, 70)", [false, false, true]),
            ("Meter(50, 90)", [false, true, false]),
            ("BandwidthMeter(5kBps, 160kbps)", [false, true, false]),
        ] {
            let bench = Bench::new(&std::format!(
                "RatedSource(RATE 100, LENGTH 100) -> m :: {meter} -> a :: Counter -> Discard;
                 m[1] -> b :: Counter -> Discard; m[2] -> c :: Counter -> Discard"
            ));
            bench.run_for(Duration::from_secs(1));
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
