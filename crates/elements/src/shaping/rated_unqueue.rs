use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::bucket::Bucket;

pub(super) const RATED_UNQUEUE: Class = Class::of::<RatedUnqueue<false>>("RatedUnqueue")
    .processing("l/h")
    .reconfigurable();
pub(super) const BANDWIDTH_RATED_UNQUEUE: Class =
    Class::of::<RatedUnqueue<true>>("BandwidthRatedUnqueue")
        .processing("l/h")
        .reconfigurable();

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
/// A token bucket, which begins full and is filled every millisecond: one of a single packet, as of
/// `BURST_SIZE 1`, keeps nothing of what comes beyond that, and yields somewhat less than RATE. One
/// for bytes holds 131,072 bytes more than BURST_BYTES, and a packet passes while it holds so many.
///
/// Handlers: `rate`, `active` (read, write): whether it does so at all; `calls` (read): what came of
/// asking for packets; those of its task. Its `config` is RATE as it is.
///
/// See Click's manual pages RatedUnqueue(n) and BandwidthRatedUnqueue(n).
struct RatedUnqueue<const BANDWIDTH: bool> {
    bucket: Bucket<BANDWIDTH>,
    active: bool,
    calls: Calls,
    batch: Batch,
}

/// What came of asking for packets one by one, as Click counts it.
#[derive(Default)]
struct Calls {
    all: u64,
    empty: u64,
    pushes: u64,
    failed_pulls: u64,
}

impl<const BANDWIDTH: bool> Configure for RatedUnqueue<BANDWIDTH> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let bucket = Bucket::configure(arguments);
        arguments.finish()?;
        Ok(Self {
            bucket: bucket?,
            active: true,
            calls: Calls::default(),
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
        context.pull(0, self.bucket.allowed().min(most), &mut self.batch);
        for packet in &self.batch {
            self.bucket.charge(packet.len());
        }
        let pulled = self.batch.len();
        context.forward(0, &mut self.batch);
        Some(pulled)
    }

    fn unqueue(&mut self, context: &mut Context<'_>) -> bool {
        if !self.active {
            self.calls.all += 1;
            return false;
        }
        match self.pull_allowed(context) {
            None => {
                self.calls.all += 1;
                self.calls.empty += 1;
                context.set_timer(0, self.bucket.ready_at(context.now()));
                false
            }
            Some(pulled) => {
                let more = context.upstream_nonempty(0);
                self.calls.all += pulled.max(1) as u64;
                self.calls.pushes += pulled as u64;
                self.calls.failed_pulls += u64::from(pulled == 0);
                self.calls.empty += u64::from(pulled == 0 && more);
                if pulled > 0 || more {
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

    fn configuration(&self) -> Option<String> {
        Some(self.bucket.rate_text())
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("calls")
            .read_write("rate")
            .read_write("active")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "rate" => Ok(self.bucket.rate_text()),
            "active" => Ok(self.active.to_string()),
            "calls" => Ok(format!(
                "{} calls to run_task()\n{} empty runs\n{} pushes\n{} failed pulls\n",
                self.calls.all, self.calls.empty, self.calls.pushes, self.calls.failed_pulls
            )),
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
            "active" => self.active = crate::handler_value(context, value)?,
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

    /// Packets of 100 bytes that pass in ten seconds.
    fn passed(element: &str) -> u64 {
        let bench = Bench::new(&std::format!(
            "InfiniteSource(LENGTH 100) -> Queue(10) -> {element} -> c :: Counter -> Discard"
        ));
        bench.run_for(Duration::from_secs(10));
        bench.read("c.count").parse().unwrap()
    }

    #[test]
    fn it_tells_what_it_did_and_rests_when_it_is_not_active() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 3) -> Queue -> r :: RatedUnqueue(1000) -> c :: Counter -> Discard",
        );
        bench.run();
        let calls = bench.read("r.calls");
        let lines: std::vec::Vec<&str> = calls.lines().collect();
        assert!(lines[0].ends_with(" calls to run_task()"), "{calls}");
        assert!(lines[1].ends_with(" empty runs"), "{calls}");
        assert_eq!(lines[2], "3 pushes");
        assert!(lines[3].ends_with(" failed pulls"), "{calls}");
        bench.write("r.rate", "500");
        assert_eq!(bench.read("r.config"), "500");
        assert_eq!(bench.read("r.active"), "true");

        let bench = Bench::new(
            "InfiniteSource -> Queue -> r :: RatedUnqueue(1000) -> c :: Counter -> Discard",
        );
        bench.write("r.active", "false");
        bench.run();
        assert_eq!(bench.read("c.count"), "0");
        bench.write("r.active", "true");
        bench.run();
        assert_ne!(bench.read("c.count"), "0");
    }

    #[test]
    fn packets_pass_at_the_rate_after_the_burst() {
        for (element, expected) in [
            // Full after 501 ms, and not after 500.
            ("RatedUnqueue(RATE 2)", 20),
            ("RatedUnqueue(2, BURST_SIZE 50)", 69),
            ("RatedUnqueue(2, BURST_DURATION 25)", 69),
            // Buckets of one packet, which are full after 25, 20 and 10 ms and emptied a millisecond
            // later: the last of them at 9,984, 9,996 and 9,999 ms.
            ("RatedUnqueue(40)", 385),
            ("RatedUnqueue(49)", 477),
            ("RatedUnqueue(100, BURST_SIZE 1)", 910),
            // 1,001 come after the first one if the last of them is not a moment late.
            ("RatedUnqueue(100)", 1001),
        ] {
            assert_eq!(passed(element), expected, "{element}");
        }
    }

    #[test]
    fn bytes_pass_at_the_bandwidth_after_the_burst() {
        for (element, expected) in [
            ("BandwidthRatedUnqueue(200Bps)", 21),
            ("BandwidthRatedUnqueue(1600bps, BURST_BYTES 5000)", 71),
            ("BandwidthRatedUnqueue(200Bps, BURST_DURATION 25)", 71),
            ("BandwidthRatedUnqueue(10000Bps, BURST_BYTES 100)", 1001),
        ] {
            assert_eq!(passed(element), expected, "{element}");
        }
    }

    #[test]
    fn the_rate_changes_while_it_runs_and_zero_stops() {
        let bench = Bench::new(
            "InfiniteSource -> Queue(10) -> u :: RatedUnqueue(0, BURST_SIZE 1) -> c :: Counter -> Discard",
        );
        bench.run_for(Duration::from_secs(5));
        assert_eq!(bench.read("c.count"), "0");
        bench.write("u.rate", "1000");
        assert_eq!(bench.read("u.rate"), "1000");
        bench.run_for(Duration::from_secs(5));
        assert!(bench.read("c.count").parse::<u32>().unwrap() > 2000);
    }

    #[test]
    fn two_bursts_are_one_too_many() {
        let errors =
            Bench::errors("Idle -> u :: RatedUnqueue(1, BURST_DURATION 1s, BURST_SIZE 5) -> Idle");
        assert!(
            errors.contains("cannot specify both BURST_DURATION and BURST_SIZE\n"),
            "{errors}"
        );
    }
}
