use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::bucket::Bucket;
use super::unit;

pub(super) const RATED_UNQUEUE: Class =
    Class::of::<RatedUnqueue<false>>("RatedUnqueue").processing("l/h");
pub(super) const BANDWIDTH_RATED_UNQUEUE: Class =
    Class::of::<RatedUnqueue<true>>("BandwidthRatedUnqueue").processing("l/h");

/// Packets pulled before others have their turn.
const BURST: usize = 32;

/// RatedUnqueue: pulls packets at a rate and pushes them on.
///
/// ```click
/// RatedUnqueue(RATE [, keywords BURST_DURATION, BURST_SIZE])
/// BandwidthRatedUnqueue(RATE [, keywords BURST_DURATION, BURST_BYTES])
/// ```
///
/// - RATE: packets a second; for `BandwidthRatedUnqueue` a bandwidth such as `384 kbps`.
/// - BURST_DURATION: what comes in this time may pass at once after a pause; 20 ms.
/// - BURST_SIZE, BURST_BYTES: so many packets or bytes may; instead of BURST_DURATION.
///
/// A token bucket, which begins full. Waits of a millisecond or more end on the next tick of a
/// millisecond clock: a bucket of a single packet, as of `BURST_SIZE 1`, keeps nothing of what
/// comes between, and yields somewhat less than RATE; any larger one yields RATE exactly.
///
/// Handlers: `rate` (read, write); those of its task.
///
/// See Click's manual pages RatedUnqueue(n) and BandwidthRatedUnqueue(n).
struct RatedUnqueue<const BANDWIDTH: bool> {
    bucket: Bucket,
    batch: Batch,
}

impl<const BANDWIDTH: bool> Configure for RatedUnqueue<BANDWIDTH> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let bucket = Bucket::configure(arguments, unit(BANDWIDTH));
        arguments.finish()?;
        Ok(Self {
            bucket: bucket?,
            batch: Batch::new(),
        })
    }
}

impl<const BANDWIDTH: bool> RatedUnqueue<BANDWIDTH> {
    /// Pulls what may pass now; returns how many packets that were, or `None` where none may.
    fn pull_allowed(&mut self, context: &mut Context<'_>) -> Option<usize> {
        self.bucket.fill(context.now());
        if !self.bucket.allows() {
            return None;
        }
        let most = context.burst(None).min(BURST);
        let mut pulled = 0;
        while pulled < most && self.bucket.allows() {
            let limit = self.bucket.allowed().min(most - pulled);
            context.pull(0, limit, &mut self.batch);
            let got = self.batch.len() - pulled;
            for packet in &self.batch.as_slice()[pulled..] {
                self.bucket.charge(packet.len());
            }
            pulled += got;
            if got < limit {
                break;
            }
        }
        context.forward(0, &mut self.batch);
        Some(pulled)
    }

    fn unqueue(&mut self, context: &mut Context<'_>) -> bool {
        match self.pull_allowed(context) {
            None => {
                context.set_timer(0, self.bucket.ready_at());
                false
            }
            Some(pulled) => {
                if pulled > 0 || context.upstream_nonempty(0) {
                    context.schedule_task();
                }
                pulled > 0
            }
        }
    }
}

impl<const BANDWIDTH: bool> Element for RatedUnqueue<BANDWIDTH> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.wake_when_nonempty(0);
        context.schedule_task();
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.unqueue(context)
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.unqueue(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("rate").task();
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
        context.schedule_task();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    /// Packets of 100 bytes that pass in ten seconds; how many may, by hand, is between
    /// `burst + rate * 10` and one packet less.
    fn passed(element: &str) -> u64 {
        let bench = Bench::new(&std::format!(
            "InfiniteSource(LENGTH 100) -> Queue(10) -> {element} -> c :: Counter -> Discard"
        ));
        bench.run_for(Duration::from_secs(10));
        bench.read("c.count").parse().unwrap()
    }

    #[test]
    fn packets_pass_at_the_rate_after_the_burst() {
        for (element, least, most) in [
            ("RatedUnqueue(RATE 2)", 20, 21),
            ("RatedUnqueue(2, BURST_SIZE 50)", 69, 70),
            ("RatedUnqueue(2, BURST_DURATION 25)", 69, 70),
            ("RatedUnqueue(40)", 400, 401),
            ("RatedUnqueue(49)", 490, 491),
            ("RatedUnqueue(100)", 1001, 1002),
            // A bucket of one packet, which is full after 10 ms and emptied after 11.
            ("RatedUnqueue(100, BURST_SIZE 1)", 909, 911),
            ("RatedUnqueue(100, BURST_SIZE 2)", 1001, 1002),
            ("RatedUnqueue(7919)", 79_190 + 157, 79_190 + 159),
        ] {
            let passed = passed(element);
            assert!((least..=most).contains(&passed), "{element}: {passed}");
        }
    }

    #[test]
    fn bytes_pass_at_the_bandwidth_after_the_burst() {
        for (element, least, most) in [
            ("BandwidthRatedUnqueue(200Bps)", 20, 21),
            ("BandwidthRatedUnqueue(1600bps, BURST_BYTES 5000)", 70, 71),
            ("BandwidthRatedUnqueue(200Bps, BURST_DURATION 25)", 70, 71),
            (
                "BandwidthRatedUnqueue(10000Bps, BURST_BYTES 100)",
                1001,
                1002,
            ),
            ("BandwidthRatedUnqueue(8Mbps)", 100_000 + 200, 100_000 + 202),
        ] {
            let passed = passed(element);
            assert!((least..=most).contains(&passed), "{element}: {passed}");
        }
    }

    #[test]
    fn the_rate_changes_while_it_runs_and_zero_stops() {
        let bench = Bench::new(
            "InfiniteSource -> Queue(10) -> u :: RatedUnqueue(0, BURST_SIZE 1) -> c :: Counter -> Discard",
        );
        bench.run_for(Duration::from_secs(5));
        assert_eq!(bench.read("c.count"), "1");
        bench.write("u.rate", "1000");
        assert_eq!(bench.read("u.rate"), "1000");
        bench.run_for(Duration::from_secs(5));
        assert!(bench.read("c.count").parse::<u32>().unwrap() > 2000);
    }

    #[test]
    fn two_bursts_are_one_too_many() {
        let errors =
            Bench::errors("Idle -> u :: RatedUnqueue(1, BURST_DURATION 1s, BURST_SIZE 5) -> Idle");
        assert!(errors.contains("cannot specify both"), "{errors}");
    }
}
