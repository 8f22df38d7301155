use alloc::string::String;
use core::time::Duration;

use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::Batch;

pub(super) const TIMED_UNQUEUE: Class =
    Class::of::<TimedUnqueue<1>>("TimedUnqueue").processing("l/h");
pub(super) const BURSTER: Class = Class::of::<TimedUnqueue<8>>("Burster").processing("l/h");
pub(super) const TIMED_SINK: Class = Class::of::<TimedSink>("TimedSink")
    .ports("1/0")
    .processing("l/l");

/// When something that is done every so often is done next.
struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Instant(0),
        }
    }

    fn start(&mut self, context: &Context<'_>) {
        self.next = context.now() + self.interval;
        context.set_timer(0, self.next);
    }

    /// Counts from when it was due, so that lateness does not add up.
    fn again(&mut self, context: &Context<'_>) {
        self.next = (self.next + self.interval).max(context.now());
        context.set_timer(0, self.next);
    }
}

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
/// Every INTERVAL seconds it pulls BURST packets at most: 1 where it is missing, and 8 for a
/// `Burster`.
///
/// Handlers: `interval` (read, write).
///
/// See Click's manual pages TimedUnqueue(n) and Burster(n).
struct TimedUnqueue<const BURST: u32> {
    pace: Pace,
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
            pace: Pace::new(interval?),
            burst: burst as usize,
            batch: Batch::new(),
        })
    }
}

impl<const BURST: u32> Element for TimedUnqueue<BURST> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.pace.start(context);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        context.pull(0, self.burst, &mut self.batch);
        context.forward(0, &mut self.batch);
        self.pace.again(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("interval");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "interval" => Ok(decimal::shortest(self.pace.interval.as_secs_f64())),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        if name != "interval" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        let interval: Duration = crate::handler_value(context, value)?;
        if interval.is_zero() {
            return Err(HandlerError::failed("interval must be > 0"));
        }
        self.pace.interval = interval;
        self.pace.start(context);
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
/// See Click's manual page TimedSink(n).
struct TimedSink {
    pace: Pace,
    batch: Batch,
}

impl Configure for TimedSink {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let interval = interval(arguments, Some(Duration::from_millis(500)));
        arguments.finish()?;
        Ok(Self {
            pace: Pace::new(interval?),
            batch: Batch::new(),
        })
    }
}

impl Element for TimedSink {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.pace.start(context);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        context.pull(0, 1, &mut self.batch);
        self.batch.clear();
        self.pace.again(context);
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn so_many_packets_pass_every_interval() {
        for (element, passed) in [
            ("TimedUnqueue(100ms)", "10"),
            ("TimedUnqueue(100ms, 3)", "30"),
            ("Burster(0.1)", "80"),
        ] {
            let bench = Bench::new(&std::format!(
                "InfiniteSource -> {element} -> c :: Counter -> Discard"
            ));
            bench.run_for(Duration::from_millis(1050));
            assert_eq!(bench.read("c.count"), passed, "{element}");
        }
    }

    #[test]
    fn a_timed_sink_takes_one_packet_each_time() {
        let bench = Bench::new("s :: InfiniteSource -> TimedSink(0.2)");
        bench.run_for(Duration::from_millis(1050));
        assert_eq!(bench.read("s.count"), "5");
    }

    #[test]
    fn no_interval_is_refused() {
        let errors = Bench::errors("Idle -> b :: Burster(0) -> Idle");
        assert!(errors.contains("INTERVAL must be > 0"), "{errors}");
    }
}
