use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::Bandwidth;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected, Signals,
};
use sprat_packet::Batch;

use super::generator::Generator;
use crate::quantity_text::interval_text;
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
/// A token bucket that is filled every millisecond: of up to 200 packets a second two come at once
/// at first and after a pause, of more a hundredth of what comes in a second. With BANDWIDTH it is
/// as many packets as LENGTH doubled, where that is more.
///
/// Handlers: `count` (read); `reset` (write) starts the count anew; `data`, `rate`, `limit`,
/// `active`, `length` (read, write).
///
/// See Click's manual page RatedSource(n).
struct RatedSource {
    generator: Generator,
    bucket: Bucket<false>,
    active: bool,
    batch: Batch,
}

/// A bucket for as many packets of `length` as a bandwidth has room for.
fn for_bandwidth(bandwidth: Bandwidth, generator: &Generator) -> Bucket<false> {
    let rate = bandwidth.0 / generator.packet_length().max(1) as u64;
    let least = 2 * generator.given_length().unwrap_or(0);
    Bucket::for_source(
        u32::try_from(rate).unwrap_or(u32::MAX),
        u32::try_from(least).unwrap_or(u32::MAX),
    )
}

impl Configure for RatedSource {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mut generator = Generator::with_data(arguments);
        let rate = arguments.position("RATE").unwrap_or(DEFAULT_RATE);
        generator.read_limit(arguments);
        let active = arguments.position("ACTIVE").unwrap_or(true);
        let bandwidth = arguments.keyword("BANDWIDTH");
        generator.read_keywords(arguments);
        arguments.finish()?;
        let bucket = match bandwidth {
            Some(bandwidth @ Bandwidth(1..)) => for_bandwidth(bandwidth, &generator),
            _ => Bucket::for_source(rate, 0),
        };
        Ok(Self {
            generator,
            bucket,
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
        if !self.active || self.generator.left() == 0 {
            return 0;
        }
        self.bucket.fill(context.now());
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
            self.bucket.ready_at(context.now())
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
        if name == "rate" {
            let rate = crate::value_or(context, value, SYNTAX_ERROR)?;
            self.bucket.change_rate(rate);
        } else {
            if name == "active" {
                self.active = crate::value_or(context, value, SYNTAX_ERROR)?;
            } else {
                self.generator.write(context, name, value, SYNTAX_ERROR)?;
            }
            // One that has come to its limit waits to be told to go on, as Click's does.
            if name == "limit" && context.output_pushes(0) {
                return Ok(());
            }
            if !context.task_scheduled() {
                self.bucket.begin_anew();
            }
        }
        self.resume(context);
        Ok(())
    }
}

const DEFAULT_INTERVAL: Duration = Duration::from_millis(500);

/// TimedSource: makes a packet every so often.
///
/// ```click
/// TimedSource([INTERVAL, DATA, keywords LIMIT, ACTIVE, STOP, HEADROOM, LENGTH, TIMESTAMP, END_CALL])
/// ```
///
/// - INTERVAL: the time between packets, and before the first; half a second.
/// - HEADROOM: bytes to keep free before packets; all of them have room enough, whatever it is.
/// - The others are those of RatedSource.
///
/// Handlers: `count` (read); `reset` (write) starts the count anew; `data`, `interval`, `limit`,
/// `active`, `headroom`, `length` (read, write). Another `interval` counts from the next packet on.
/// One that rests makes a packet at once when `active` or `reset` is written.
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
    fn wait_until(&mut self, context: &Context<'_>, moment: Instant) {
        self.next = moment;
        context.set_timer(0, moment);
    }
}

impl Element for TimedSource {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.generator.initialize(context)?;
        if self.active {
            self.wait_until(context, context.now() + self.interval);
        }
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        if !self.active {
            return;
        }
        if self.generator.left() == 0 {
            self.generator.end(context);
            return;
        }
        self.generator.make(context, 1, &mut self.batch);
        context.forward(0, &mut self.batch);
        // Counted from when it was due, so that lateness does not add up.
        let next = (self.next + self.interval).max(context.now());
        self.wait_until(context, next);
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.generator.handlers(list);
        list.read_write("interval")
            .read_write("active")
            .read_write("headroom");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "interval" => Ok(interval_text(self.interval)),
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
        // One that has come to its limit waits to be told to go on, as Click's does.
        if name != "limit" && self.active && context.timer(0).is_none() {
            self.wait_until(context, context.now());
        }
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
        // By hand: two are there at first, and of more than 200 a second a hundredth of them.
        for (config, count) in [
            ("", 101),
            ("RATE 7", 71),
            ("RATE 12000", 120 + 12 * 9999),
            ("BANDWIDTH 8000bps, LENGTH 50", 100 + 199),
            ("RATE 1000, LIMIT 30", 30),
        ] {
            for path in ["->", "-> Unqueue ->"] {
                let bench = Bench::new(&std::format!(
                    "s :: RatedSource({config}) {path} c :: Counter -> Discard"
                ));
                bench.run_for(Duration::from_micros(9_999_500));
                let made = bench.read("c.count");
                assert_eq!(made.parse(), Ok(count), "{config} {path}");
                assert_eq!(bench.read("s.count"), made, "{config}");
            }
        }
    }

    /// By hand: two packets at first, and one every ten milliseconds, or eleven.
    #[test]
    fn a_source_that_was_not_active_does_not_catch_up() {
        let bench =
            Bench::new("s :: RatedSource(RATE 100, ACTIVE false) -> c :: Counter -> Discard");
        bench.run_for(Duration::from_secs(5));
        assert_eq!(bench.read("c.count"), "0");
        bench.write("s.active", "true");
        bench.run_for(Duration::from_millis(95));
        assert_eq!(bench.read("c.count"), "11");
    }

    /// From Click's source: only `active` and `reset` wake one that has come to its limit.
    #[test]
    fn another_limit_alone_does_not_wake_a_source() {
        let bench = Bench::new("s :: RatedSource(RATE 100, LIMIT 1) -> c :: Counter -> Discard");
        bench.run_for(Duration::from_secs(1));
        bench.write("s.limit", "2");
        bench.run_for(Duration::from_secs(1));
        assert_eq!(bench.read("c.count"), "1");
        bench.write("s.active", "true");
        bench.run_for(Duration::from_secs(1));
        assert_eq!(bench.read("c.count"), "2");
    }

    #[test]
    fn the_consumer_of_a_rated_source_sleeps_between_packets() {
        let bench = Bench::new("RatedSource(RATE 2) -> d :: Discard");
        bench.run();
        assert_eq!(bench.read("d.count"), "2");
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
        assert_eq!(bench.read("s.interval"), "300ms");
    }

    #[test]
    fn a_timed_source_that_rests_is_woken_by_hand() {
        let bench =
            Bench::new("s :: TimedSource(1, LIMIT 1, HEADROOM 9) -> c :: Counter -> Discard");
        bench.run_for(Duration::from_millis(2500));
        assert_eq!(bench.read("c.count"), "1");
        bench.write("s.interval", "4");
        bench.write("s.reset", "");
        bench.run_for(Duration::from_millis(1));
        assert_eq!(bench.read("c.count"), "2");
        assert_eq!(bench.read("s.interval"), "4.000000s");
        assert_eq!(bench.read("s.headroom"), "9");
    }
}
