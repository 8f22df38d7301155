use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected, Signals,
};
use sprat_packet::{Batch, Packet};

use super::bucket::in_words;
use super::gap_rate::GapRate;
use super::gate::Gate;
use crate::quantity_text::bandwidth_text;

pub(super) const SHAPER: Class = Class::of::<Shaper>("Shaper")
    .processing("l/l")
    .reconfigurable();
pub(super) const BANDWIDTH_SHAPER: Class = SHAPER.named("BandwidthShaper");

/// Shaper: lets packets be pulled at a rate.
///
/// ```click
/// Shaper(RATE)
/// BandwidthShaper(RATE)
/// ```
///
/// - RATE: packets a second; for `BandwidthShaper` a bandwidth such as `384 kbps`.
///
/// The same gap is after every packet, and after every byte. What it comes short of within a second
/// is made up for in the next. While nothing may pass it says that it has no packets, so that who
/// pulls from it sleeps.
///
/// Handlers: `rate` (read, write). Its `config` is RATE as it is.
///
/// See Click's manual pages Shaper(n) and BandwidthShaper(n).
struct Shaper {
    /// Whether it counts bytes, and not packets.
    bandwidth: bool,
    rate: GapRate,
    gate: Gate,
}

impl Configure for Shaper {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let bandwidth = configuration.class_of(configuration.id()).name != SHAPER.name;
        let rate = if bandwidth {
            arguments.required("RATE").map(in_words)
        } else {
            arguments.required("RATE")
        };
        arguments.finish()?;
        Ok(Self {
            bandwidth,
            rate: GapRate::new(rate?),
            gate: Gate::default(),
        })
    }
}

impl Shaper {
    /// How many packets may pass now.
    fn allowed(&mut self, context: &Context<'_>) -> usize {
        let now = context.now();
        if self.bandwidth {
            self.rate.packets_behind(now)
        } else {
            self.rate.behind(now)
        }
    }

    fn rate_text(&self) -> String {
        if self.bandwidth {
            bandwidth_text(self.rate.rate())
        } else {
            self.rate.rate().to_string()
        }
    }
}

impl Element for Shaper {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.gate.initialize(context);
        Ok(())
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let before = batch.len();
        let most = self.allowed(context).min(limit.saturating_sub(before));
        context.pull(0, most, batch);
        let pulled = &batch.as_slice()[before..];
        self.rate.advance(if self.bandwidth {
            pulled.iter().map(Packet::len).sum()
        } else {
            pulled.len()
        });
        if self.allowed(context) == 0 {
            let wait = self.rate.wait(context.now());
            let moment = wait.map_or(Instant::NEVER, |wait| context.now() + wait);
            self.gate.close(context, moment);
        } else if batch.is_empty() {
            self.gate.signal(context);
        }
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.gate.signal(context);
        false
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.gate.open(context);
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }

    fn configuration(&self) -> Option<String> {
        Some(self.rate_text())
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("rate");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.rate_text())
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let rate = if self.bandwidth {
            in_words(crate::argument_value(context, name, value)?)
        } else {
            crate::argument_value(context, name, value)?
        };
        self.rate.set_rate(rate, context.now());
        self.gate.open(context);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn shapers_let_the_rate_pass_and_their_consumer_sleep() {
        // 1,000 packets a second; as many in bytes, at 100 bytes each.
        for shaper in ["Shaper(1000)", "BandwidthShaper(100kBps)"] {
            let bench = Bench::new(&std::format!(
                "InfiniteSource(LENGTH 100) -> Queue(100) -> {shaper} -> d :: Discard"
            ));
            bench.run_for(Duration::from_secs(3));
            let passed: u32 = bench.read("d.count").parse().unwrap();
            assert!((3000..=3001).contains(&passed), "{shaper}: {passed}");
            assert_eq!(bench.read("d.scheduled"), "false", "{shaper}");
        }
    }

    #[test]
    fn a_shaper_wakes_its_consumer_for_packets_that_come_late() {
        let bench = Bench::new("FromDevice(in) -> Queue -> Shaper(10) -> d :: Discard");
        bench.run();
        assert_eq!(bench.read("d.scheduled"), "false");
        for _ in 0..3 {
            bench.arrive("in", b"frame");
        }
        bench.run();
        assert_eq!(bench.read("d.count"), "1");
        bench.run_for(Duration::from_millis(250));
        assert_eq!(bench.read("d.count"), "3");
    }

    #[test]
    fn a_wall_clock_that_is_set_back_holds_nothing_up() {
        let bench = Bench::new("InfiniteSource -> Queue(100) -> Shaper(100) -> d :: Discard");
        for packets in ["100", "200"] {
            bench.run_for(Duration::from_secs(1));
            assert_eq!(bench.read("d.count"), packets);
            bench.simulation.step_wall_clock(-500_000_000_000_000_000);
        }
    }

    /// By hand: a packet every 50 ms, and 100 bytes.
    #[test]
    fn packets_come_evenly() {
        for shaper in ["Shaper(20)", "BandwidthShaper(2kBps)"] {
            let bench = Bench::new(&std::format!(
                "InfiniteSource(LENGTH 100) -> Queue(100) -> {shaper} -> c :: Counter -> Unqueue -> Discard"
            ));
            bench.run_for(Duration::from_millis(25));
            for count in 1_u32..60 {
                assert_eq!(bench.read("c.count"), std::format!("{count}"), "{shaper}");
                bench.run_for(Duration::from_millis(50));
            }
        }
    }

    #[test]
    fn a_rate_that_is_raised_counts_at_once() {
        let bench =
            Bench::new("InfiniteSource(LIMIT 50) -> Queue -> s :: Shaper(1) -> d :: Discard");
        bench.run();
        assert_eq!(bench.read("d.count"), "1");
        bench.write("s.rate", "10000");
        bench.run();
        assert_eq!(bench.read("d.count"), "50");
    }
}
