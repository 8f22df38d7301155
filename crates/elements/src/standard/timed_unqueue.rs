use alloc::string::String;
use core::time::Duration;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::Batch;

use crate::quantity_text::interval_text;

pub(super) const TIMED_UNQUEUE: Class =
    Class::of::<TimedUnqueue<1>>("TimedUnqueue").processing("l/h");
pub(super) const BURSTER: Class = Class::of::<TimedUnqueue<8>>("Burster").processing("l/h");
pub(super) const TIMED_SINK: Class = Class::of::<TimedSink>("TimedSink")
    .ports("1/0")
    .processing("l/l");

/// Reads INTERVAL, which is more than nothing.
fn interval(
    arguments: &mut Arguments<'_>,
    otherwise: Option<Duration>,
) -> Result<Duration, Rejected> {
    let interval = match otherwise {
        Some(otherwise) => arguments.position("INTERVAL").unwrap_or(otherwise),
        None => arguments.required("INTERVAL")?,
    };
    if interval.is_zero() {
        return Err(arguments.error("INTERVAL must be > 0"));
    }
    Ok(interval)
}

/// TimedUnqueue: pulls packets every so often and pushes them on.
///
/// ```click
/// TimedUnqueue(INTERVAL [, BURST])
/// Burster(INTERVAL [, BURST])
/// ```
///
/// Every INTERVAL seconds, in whole milliseconds, it pulls BURST packets at most: 1 where it is
/// missing, and 8 for a `Burster`. It begins at once, and sleeps while what is before it says that it
/// has nothing: the next packet then goes on when it comes.
///
/// Handlers: `interval` (read, write), from the next packet on.
///
/// See Click's manual pages TimedUnqueue(n) and Burster(n).
struct TimedUnqueue<const BURST: u32> {
    interval: Duration,
    /// When it pulls next, unless it sleeps.
    due: Option<Instant>,
    burst: usize,
    batch: Batch,
}

impl<const BURST: u32> Configure for TimedUnqueue<BURST> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let interval = interval(arguments, None);
        let burst = arguments.position::<u32>("BURST").unwrap_or(BURST);
        arguments.finish()?;
        if burst == 0 {
            return Err(arguments.error("bad BURST"));
        }
        Ok(Self {
            interval: in_milliseconds(interval?),
            due: None,
            burst: burst as usize,
            batch: Batch::new(),
        })
    }
}

/// To the nearest millisecond, and one at least.
fn in_milliseconds(interval: Duration) -> Duration {
    let whole = (interval + Duration::from_micros(500)).as_millis();
    Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX).max(1))
}

impl<const BURST: u32> TimedUnqueue<BURST> {
    fn unqueue(&mut self, context: &mut Context<'_>) -> bool {
        context.pull(0, self.burst, &mut self.batch);
        if self.batch.is_empty() && !context.upstream_nonempty(0) {
            self.due = None;
            return false;
        }
        context.forward(0, &mut self.batch);
        let now = context.now();
        // Counted from when it was due, so that lateness does not add up.
        let next = (self.due.unwrap_or(now) + self.interval).max(now);
        self.due = Some(next);
        context.set_timer(0, next);
        true
    }
}

impl<const BURST: u32> Element for TimedUnqueue<BURST> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.wake_when_nonempty(0);
        context.schedule_task();
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        // What came while it waits goes on when its time has come.
        context.timer(0).is_none() && self.unqueue(context)
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.unqueue(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("interval");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(interval_text(self.interval))
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.interval = in_milliseconds(written_interval(context, value)?);
        Ok(())
    }
}

/// TimedSink: pulls a packet every so often and drops it.
///
/// ```click
/// TimedSink([INTERVAL])
/// ```
///
/// INTERVAL is half a second where it is missing.
///
/// Handlers: `interval` (read, write), from the next packet on.
///
/// See Click's manual page TimedSink(n).
struct TimedSink {
    interval: Duration,
    next: Instant,
    batch: Batch,
}

impl Configure for TimedSink {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let interval = interval(arguments, Some(Duration::from_millis(500)));
        arguments.finish()?;
        Ok(Self {
            interval: interval?,
            next: Instant(0),
            batch: Batch::new(),
        })
    }
}

impl TimedSink {
    fn wait(&mut self, context: &Context<'_>, since: Instant) {
        self.next = (since + self.interval).max(context.now());
        context.set_timer(0, self.next);
    }
}

impl Element for TimedSink {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.wait(context, context.now());
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        context.pull(0, 1, &mut self.batch);
        self.batch.clear();
        self.wait(context, self.next);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("interval");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(interval_text(self.interval))
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        self.interval = written_interval(context, value)?;
        Ok(())
    }
}

/// Reads what is written to `interval`, which is more than nothing.
fn written_interval(context: &Context<'_>, value: &str) -> Result<Duration, HandlerError> {
    let complaint = "bad interval";
    match crate::value_or(context, value, complaint)? {
        Duration::ZERO => Err(HandlerError::failed(complaint)),
        interval => Ok(interval),
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn so_many_packets_pass_every_interval() {
        for (element, passed) in [
            ("TimedUnqueue(100ms)", "11"),
            ("TimedUnqueue(100ms, 3)", "33"),
            ("Burster(0.1)", "88"),
        ] {
            let bench = Bench::new(&std::format!(
                "InfiniteSource -> {element} -> c :: Counter -> Discard"
            ));
            bench.run_for(Duration::from_millis(1050));
            assert_eq!(bench.read("c.count"), passed, "{element}");
        }
    }

    #[test]
    fn what_comes_while_it_sleeps_goes_on_when_it_comes() {
        let bench = Bench::new(
            "FromDevice(in) -> Queue -> u :: TimedUnqueue(1) -> c :: Counter -> Discard",
        );
        bench.run_for(Duration::from_millis(1500));
        for (wait, count) in [(10, "1"), (900, "1"), (200, "2")] {
            bench.arrive("in", b"frame");
            bench.run_for(Duration::from_millis(wait));
            assert_eq!(bench.read("c.count"), count);
        }
        assert_eq!(bench.read("u.interval"), "1.000000s");
    }

    #[test]
    fn a_timed_sink_takes_one_packet_each_time() {
        let bench = Bench::new("s :: InfiniteSource -> t :: TimedSink(0.2)");
        bench.run_for(Duration::from_millis(1050));
        assert_eq!(bench.read("s.count"), "5");
        assert_eq!(bench.read("t.interval"), "200ms");
        bench.write("t.interval", "50ms");
        // At 1,200 ms as before, and at 1,250 and 1,300.
        bench.run_for(Duration::from_millis(255));
        assert_eq!(bench.read("s.count"), "8");
        assert_eq!(
            bench.write_fails("t.interval", "0").as_deref(),
            Some("bad interval")
        );
    }

    #[test]
    fn no_interval_is_refused() {
        let errors = Bench::errors("Idle -> b :: Burster(0) -> Idle");
        assert!(errors.contains("INTERVAL must be > 0"), "{errors}");
    }
}
