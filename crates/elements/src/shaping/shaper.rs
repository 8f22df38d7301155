use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected, Signals,
};
use sprat_packet::Batch;

use super::bucket::Bucket;
use super::gate::Gate;
use super::unit;

pub(super) const SHAPER: Class = Class::of::<Shaper<false>>("Shaper")
    .processing("l/l")
    .reconfigurable();
pub(super) const BANDWIDTH_SHAPER: Class = Class::of::<Shaper<true>>("BandwidthShaper")
    .processing("l/l")
    .reconfigurable();

/// Shaper: lets packets be pulled at a rate.
///
/// ```click
/// Shaper(RATE [, keywords BURST_DURATION, BURST_SIZE])
/// BandwidthShaper(RATE [, keywords BURST_DURATION, BURST_BYTES])
/// ```
///
/// - RATE: packets a second; for `BandwidthShaper` a bandwidth such as `384 kbps`.
/// - BURST_DURATION: what comes in this time may pass at once after a pause; 20 ms.
/// - BURST_SIZE, BURST_BYTES: so many packets or bytes may; instead of BURST_DURATION.
///
/// A token bucket, which begins full. While nothing may pass it says that it has no packets, so
/// that who pulls from it sleeps.
///
/// Handlers: `rate` (read, write). Its `config` is RATE as it is.
///
/// See Click's manual pages Shaper(n) and BandwidthShaper(n).
struct Shaper<const BANDWIDTH: bool> {
    bucket: Bucket,
    gate: Gate,
}

impl<const BANDWIDTH: bool> Configure for Shaper<BANDWIDTH> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let bucket = Bucket::configure(arguments, unit(BANDWIDTH));
        arguments.finish()?;
        Ok(Self {
            bucket: bucket?,
            gate: Gate::default(),
        })
    }
}

impl<const BANDWIDTH: bool> Element for Shaper<BANDWIDTH> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.gate.initialize(context);
        Ok(())
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        self.bucket.fill(context.now());
        while batch.len() < limit && self.bucket.allows() {
            let before = batch.len();
            let most = self.bucket.allowed().min(limit - before);
            context.pull(0, most, batch);
            for packet in &batch.as_slice()[before..] {
                self.bucket.charge(packet.len());
            }
            if batch.len() - before < most {
                break;
            }
        }
        if !self.bucket.allows() {
            self.gate.close(context, self.bucket.ready_at());
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
        Some(self.bucket.rate_text())
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("rate");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "rate" => Ok(self.bucket.rate_text()),
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
            "rate" => self.bucket.write_rate(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
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
        // 1,000 packets a second and 20 at once; as many in bytes, at 100 bytes each.
        for shaper in ["Shaper(1000)", "BandwidthShaper(100kBps)"] {
            let bench = Bench::new(&std::format!(
                "InfiniteSource(LENGTH 100) -> Queue(100) -> {shaper} -> d :: Discard"
            ));
            bench.run_for(Duration::from_secs(3));
            let passed: u32 = bench.read("d.count").parse().unwrap();
            assert!((3018..=3021).contains(&passed), "{shaper}: {passed}");
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
    fn a_rate_that_is_raised_counts_at_once() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 50) -> Queue -> s :: Shaper(1, BURST_SIZE 1) -> d :: Discard",
        );
        bench.run();
        assert_eq!(bench.read("d.count"), "1");
        bench.write("s.rate", "100000");
        bench.run();
        assert_eq!(bench.read("d.count"), "50");
    }
}
