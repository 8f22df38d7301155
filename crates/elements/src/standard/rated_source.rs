use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::Bandwidth;
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected, Signals,
};
use sprat_packet::Batch;

use super::generator::Generator;
use crate::shaping::bucket::Bucket;

pub(super) const RATED_SOURCE: Class = Class::of::<RatedSource>("RatedSource").ports("0/1");
pub(super) const TIMED_SOURCE: Class = Class::of::<TimedSource>("TimedSource")
    .ports("0/1")
    .processing("h/h");

const DEFAULT_RATE: u32 = 10;

/// RatedSource: makes packets at a rate.
///
/// ```click
/// RatedSource([DATA, RATE, LIMIT, ACTIVE, keywords LENGTH, BANDWIDTH, TIMESTAMP, STOP, END_CALL])
/// ```
///
/// - DATA: the packet's bytes; by default a text of 69 characters.
/// - RATE: packets a second; 10.
/// - LIMIT: packets to make; negative, the default: without end.
/// - ACTIVE: whether it makes any; true.
/// - LENGTH: the packet's length; DATA is repeated or cut to it. Negative: DATA's own.
/// - BANDWIDTH: a bandwidth such as `384 kbps`, from which and the packet's length RATE follows.
/// - TIMESTAMP: whether packets get the present time; true.
/// - STOP: whether the driver stops when LIMIT is reached; false.
/// - END_CALL: a handler to write when LIMIT is reached.
///
/// Handlers: `count` (read); `reset` (write) starts the count anew; `data`, `rate`, `limit`,
/// `active` (read, write); `length` (write).
///
/// See Click's manual page RatedSource(n).
struct RatedSource {
    generator: Generator,
    bucket: Bucket,
    active: bool,
    batch: Batch,
}

/// Packets that a bandwidth has room for in a second, one at least.
fn rate_for(bandwidth: Bandwidth, length: usize) -> u64 {
    (bandwidth.0 / length.max(1) as u64).max(1)
}

impl Configure for RatedSource {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mut generator = Generator::with_data(arguments);
        let rate = arguments.position::<u32>("RATE").unwrap_or(DEFAULT_RATE);
        generator.read_limit(arguments);
        let active = arguments.position("ACTIVE").unwrap_or(true);
        let bandwidth = arguments.keyword("BANDWIDTH");
        generator.read_keywords(arguments);
        arguments.finish()?;
        let rate = bandwidth.map_or(u64::from(rate), |bandwidth| {
            rate_for(bandwidth, generator.packet_length())
        });
        Ok(Self {
            generator,
            bucket: Bucket::for_source(rate),
            active,
            batch: Batch::new(),
        })
    }
}

/// What a RatedSource says of anything that it cannot read.
const SYNTAX_ERROR: &str = "syntax error";

impl RatedSource {
    /// Packets that are due, up to `most`.
    fn due(&mut self, context: &Context<'_>, most: usize) -> usize {
        self.bucket.fill(context.now());
        if !self.active {
            return 0;
        }
        self.bucket.allowed().min(most).min(self.generator.left())
    }

    fn make(&mut self, context: &mut Context<'_>, count: usize, batch: &mut Batch) {
        self.generator.make(context, count, batch);
        for _ in 0..count {
            self.bucket.charge(0);
        }
    }

    /// Sees to it that the next packet is made, or offered, when it is due.
    fn wait(&self, context: &Context<'_>) {
        let goes_on = self.active && self.generator.left() > 0;
        let moment = if goes_on {
            self.bucket.ready_exactly_at()
        } else {
            Instant::NEVER
        };
        context.set_timer(0, moment);
    }

    fn push_due(&mut self, context: &mut Context<'_>) -> usize {
        if self.active && self.generator.left() == 0 {
            self.generator.end(context);
            return 0;
        }
        let most = context.source_burst(0, None);
        let count = self.due(context, most);
        let mut batch = core::mem::take(&mut self.batch);
        self.make(context, count, &mut batch);
        context.forward(0, &mut batch);
        self.batch = batch;
        if count > 0 {
            context.schedule_task();
        } else {
            self.wait(context);
        }
        count
    }

    fn resume(&mut self, context: &Context<'_>) {
        if context.output_pushes(0) {
            context.schedule_task();
        } else {
            context.set_nonempty(self.due(context, 1) > 0);
            self.wait(context);
        }
    }
}

impl Element for RatedSource {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.generator.initialize(context)?;
        self.resume(context);
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.push_due(context) > 0
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        if context.output_pushes(0) {
            self.push_due(context);
        } else {
            context.set_nonempty(true);
        }
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let count = self.due(context, limit);
        self.make(context, count, batch);
        if count == 0 {
            context.set_nonempty(false);
            self.wait(context);
            if self.active && self.generator.left() == 0 {
                self.generator.end(context);
            }
        }
    }

    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.generator.handlers(list);
        list.read_write("rate").read_write("active").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "rate" => Ok(self.bucket.rate_text()),
            "active" => Ok(self.active.to_string()),
            _ => self.generator.read(name),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "rate" => {
                let rate = crate::value_or::<u32>(context, value, SYNTAX_ERROR)?;
                self.bucket.change_rate(context, rate.into());
            }
            "active" => {
                let active = crate::value_or(context, value, SYNTAX_ERROR)?;
                // What would have been made while it was not active is not made afterwards.
                if active && !self.active {
                    self.bucket = Bucket::for_source(self.bucket.rate());
                }
                self.active = active;
            }
            _ => self.generator.write(context, name, value, SYNTAX_ERROR)?,
        }
        self.resume(context);
        Ok(())
    }
}

const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);

/// TimedSource: makes a packet every so often.
///
/// ```click
/// TimedSource([INTERVAL, DATA, keywords LENGTH, LIMIT, ACTIVE, TIMESTAMP, STOP, END_CALL])
/// ```
///
/// - INTERVAL: the time between packets, and before the first; half a second.
/// - The others are those of RatedSource.
///
/// Handlers: `count` (read); `reset` (write) starts the count anew; `data`, `interval`, `limit`,
/// `active` (read, write); `length` (write).
///
/// See Click's manual page TimedSource(n).
struct TimedSource {
    generator: Generator,
    interval: Duration,
    active: bool,
    next: Instant,
    batch: Batch,
}

impl Configure for TimedSource {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let interval = arguments.position("INTERVAL").unwrap_or(DEFAULT_INTERVAL);
        let mut generator = Generator::with_data(arguments);
        generator.read_limit(arguments);
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        generator.read_keywords(arguments);
        arguments.finish()?;
        if interval.is_zero() {
            return Err(arguments.error("INTERVAL must be > 0"));
        }
        Ok(Self {
            generator,
            interval,
            active,
            next: Instant(0),
            batch: Batch::new(),
        })
    }
}

impl TimedSource {
    fn restart(&mut self, context: &Context<'_>) {
        self.next = context.now() + self.interval;
        context.set_timer(
            0,
            if self.active {
                self.next
            } else {
                Instant::NEVER
            },
        );
    }
}

impl Element for TimedSource {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.generator.initialize(context)?;
        self.restart(context);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        if self.generator.left() == 0 {
            self.generator.end(context);
            return;
        }
        self.generator.make(context, 1, &mut self.batch);
        context.forward(0, &mut self.batch);
        // Counted from when it was due, so that lateness does not add up.
        self.next = (self.next + self.interval).max(context.now());
        context.set_timer(0, self.next);
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.generator.handlers(list);
        list.read_write("interval").read_write("active");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "interval" => Ok(decimal::shortest(self.interval.as_secs_f64())),
            "active" => Ok(self.active.to_string()),
            _ => self.generator.read(name),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "interval" => {
                let complaint = "bad interval";
                let interval: Duration = crate::value_or(context, value, complaint)?;
                if interval.is_zero() {
                    return Err(HandlerError::failed(complaint));
                }
                self.interval = interval;
            }
            "active" => self.active = crate::value_or(context, value, "bad active")?,
            _ => self
                .generator
                .write(context, name, value, "expected integer")?,
        }
        self.restart(context);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use sprat_click::simulation::START;

    use crate::testing::Bench;

    #[test]
    fn a_rated_source_keeps_its_rate_exactly() {
        for (config, count) in [
            ("", 100),
            ("RATE 7", 70),
            ("RATE 12345", 123_450),
            ("BANDWIDTH 8000bps, LENGTH 50", 200),
            ("RATE 1000, LIMIT 30", 30),
        ] {
            for path in ["->", "-> Unqueue ->"] {
                let bench = Bench::new(&std::format!(
                    "s :: RatedSource({config}) {path} c :: Counter -> Discard"
                ));
                bench.run_for(Duration::from_secs(10));
                // The first at once, and one at the very end where it is due then.
                let made: u64 = bench.read("c.count").parse().unwrap();
                assert!(
                    (count..=count + 1).contains(&made),
                    "{config} {path}: {made}"
                );
                assert_eq!(bench.read("s.count").parse(), Ok(made), "{config}");
            }
        }
    }

    #[test]
    fn a_source_that_was_not_active_does_not_catch_up() {
        let bench =
            Bench::new("s :: RatedSource(RATE 100, ACTIVE false) -> c :: Counter -> Discard");
        bench.run_for(Duration::from_secs(5));
        assert_eq!(bench.read("c.count"), "0");
        bench.write("s.active", "true");
        bench.run_for(Duration::from_millis(95));
        assert_eq!(bench.read("c.count"), "10");
    }

    #[test]
    fn the_consumer_of_a_rated_source_sleeps_between_packets() {
        let bench = Bench::new("RatedSource(RATE 2) -> d :: Discard");
        bench.run();
        assert_eq!(bench.read("d.count"), "1");
        assert_eq!(bench.read("d.scheduled"), "false");
    }

    #[test]
    fn a_timed_source_makes_packets_an_interval_apart() {
        let bench = Bench::new("s :: TimedSource(0.3, x, LIMIT 3, STOP true) -> ToDevice(out)");
        assert!(bench.run_for(Duration::from_secs(10)));
        let sent = bench.simulation.simulated_device("out").take_sent();
        let times: std::vec::Vec<_> = sent
            .iter()
            .map(|(_, time)| (time.0 - START.0) / 1_000_000)
            .collect();
        assert_eq!(times, [300, 600, 900]);
        assert_eq!(bench.read("s.interval"), "0.3");
    }
}
