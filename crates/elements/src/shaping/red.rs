use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::Raw;
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::Batch;

use super::queues::{Direction, Queues};
use crate::quantity_text::binary_fraction_text;

pub(super) const RED: Class = Class::of::<Red>("RED")
    .ports("1/1-2")
    .processing("a/ah")
    .arguments(&[
        ("min_thresh", "0 MIN_THRESH"),
        ("max_thresh", "1 MAX_THRESH"),
        ("max_p", "2 MAX_P"),
    ]);

/// Bits of fraction that the average length keeps.
const FRACTION: u32 = 10;

/// Nanoseconds in which empty queues count for a packet, and after how many of them nothing is left of
/// what was there before.
const EMPTY_PERIOD: u64 = 20_000_000;
const FORGOTTEN: u64 = 100;

/// How slowly the average follows the length: each packet counts for 1/16.
const DEFAULT_STABILITY: u32 = 4;

pub(super) const ADAPTIVE_RED: Class = RED.named("AdaptiveRED");

/// The longest queue that it can be told of.
const MOST: u32 = 0xffff;

/// How often an AdaptiveRED adapts.
const ADAPT_INTERVAL: Duration = Duration::from_millis(500);

/// RED, AdaptiveRED: drop packets early, as the queues behind it fill.
///
/// ```click
/// RED(MIN_THRESH, MAX_THRESH, MAX_P [, keywords QUEUES, STABILITY, GENTLE])
/// AdaptiveRED(TARGET, MAX_P [, keywords QUEUES, STABILITY, GENTLE])
/// ```
///
/// Random Early Detection (Floyd and Jacobson, "Random Early Detection Gateways for Congestion
/// Avoidance", 1993). It averages the number of packets in the queues it watches and marks
/// packets with a probability that rises with it:
///
/// - up to MIN_THRESH packets, none;
/// - up to MAX_THRESH, linearly from 0 to MAX_P;
/// - beyond, linearly from MAX_P at MAX_THRESH to 1 at twice that, or, with GENTLE false (true),
///   every packet. SIMPLE true is the same as GENTLE false.
///
/// Marked packets go to output 1, and are dropped where it is not connected. The queues are
/// those of QUEUES, names separated by spaces; without, the nearest ones: after a push element,
/// before a pull element. The length counts for 2^-STABILITY (4) of the average.
///
/// AdaptiveRED sets itself ("Adaptive RED", Floyd, Gummadi and Shenker, 2001): MIN_THRESH is half of
/// TARGET and MAX_THRESH three halves. Every half second, MAX_P grows by a hundredth, or a quarter of itself
/// if that is less, while the average is above the middle fifth between them, and shrinks by a tenth while
/// it is below; it stays between 0.01 and 0.5.
///
/// Handlers: `min_thresh`, `max_thresh`, `max_p` (read, write); `avg_queue_size`, `drops`,
/// `queues`, `stats` (read). Its `config` is what they are at.
///
/// See Click's manual pages RED(n) and AdaptiveRED(n).
struct Red {
    minimum: u32,
    maximum: u32,
    probability: f64,
    simple: bool,
    adaptive: bool,
    stability: u32,
    names: Option<String>,
    queues: Queues,
    /// The names of the queues, each behind a space.
    queue_names: String,
    /// The average length, times 2^FRACTION.
    average: i64,
    /// In which period a packet last met empty queues.
    empty: Option<u64>,
    /// Packets since the last that was marked, while the average is above MIN_THRESH.
    unmarked: u32,
    drops: u64,
}

impl Configure for Red {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let adaptive = configuration.class_of(configuration.id()).name == ADAPTIVE_RED.name;
        let (minimum, maximum) = if adaptive {
            let target = arguments.required::<u16>("TARGET").map(u32::from);
            (
                target.map(|it| it / 2),
                target.map(|it| (it * 3 / 2).min(MOST)),
            )
        } else {
            let minimum = arguments.required::<u32>("MIN_THRESH");
            let maximum = arguments.required::<u32>("MAX_THRESH");
            (minimum, maximum)
        };
        let probability = arguments.required::<f64>("MAX_P");
        let names = arguments.keyword::<Raw>("QUEUES").map(|names| names.0);
        let stability = arguments
            .keyword::<u32>("STABILITY")
            .unwrap_or(DEFAULT_STABILITY);
        let gentle = arguments.keyword("GENTLE").unwrap_or(true);
        let simple = arguments.keyword("SIMPLE").unwrap_or(!gentle);
        arguments.finish()?;
        let red = Self {
            minimum: minimum?,
            maximum: maximum?,
            probability: probability?,
            simple,
            adaptive,
            stability,
            names,
            queues: Queues::default(),
            queue_names: String::new(),
            average: 0,
            empty: None,
            unmarked: 0,
            drops: 0,
        };
        red.check().map_err(|message| arguments.error(message))?;
        Ok(red)
    }
}

impl Red {
    /// What is wrong with what it is told.
    fn check(&self) -> Result<(), String> {
        if self.maximum > MOST {
            return Err(format!("MAX_THRESH must be <= {MOST}"));
        }
        if self.minimum > self.maximum {
            return Err("MIN_THRESH must be <= MAX_THRESH".into());
        }
        if !(0.0..=1.0).contains(&self.probability) {
            return Err("MAX_P must be between 0 and 1".into());
        }
        if self.stability > 16 {
            return Err("STABILITY must be between 0 and 16".into());
        }
        Ok(())
    }

    /// Moves the average towards the present length, once; while there is nothing, once for every period
    /// that has begun since the last time.
    fn measure(&mut self, now: Instant) {
        let length = self.queues.packets();
        let times = if length > 0 {
            self.empty = None;
            1
        } else {
            let period = now.0 / EMPTY_PERIOD;
            let before = self.empty.replace(period);
            before.map_or(1, |before| period.saturating_sub(before))
        };
        if length == 0 && times >= FORGOTTEN {
            self.average = 0;
            return;
        }
        let length = i64::try_from(length).unwrap_or(i64::MAX >> (FRACTION + 1)) << FRACTION;
        let half = (1 << self.stability) >> 1;
        for _ in 0..times {
            self.average += (length + half - self.average) >> self.stability;
        }
    }

    fn average_length(&self) -> f64 {
        self.average as f64 / f64::from(1_u32 << FRACTION)
    }

    fn average_text(&self) -> String {
        binary_fraction_text(self.average.unsigned_abs(), FRACTION)
    }

    /// The probability of a mark at the present average, before it is spread out.
    fn mark_probability(&self) -> f64 {
        let average = self.average_length();
        let (minimum, maximum) = (f64::from(self.minimum), f64::from(self.maximum));
        if average <= minimum {
            0.0
        } else if average <= maximum {
            self.probability * (average - minimum) / (maximum - minimum)
        } else if self.simple || average >= 2.0 * maximum {
            1.0
        } else {
            self.probability + (1.0 - self.probability) * (average - maximum) / maximum
        }
    }

    /// Moves the highest probability so that the average comes to the middle.
    fn adapt(&mut self) {
        let (minimum, maximum) = (f64::from(self.minimum), f64::from(self.maximum));
        let at = |part: f64| minimum + part * (maximum - minimum);
        let average = self.average_length();
        if average > at(0.6) && self.probability <= 0.5 {
            self.probability += (self.probability / 4.0).min(0.01);
        } else if average < at(0.4) && self.probability >= 0.01 {
            self.probability *= 0.9;
        }
    }

    /// Whether the next packet is marked. Marks are spread out evenly: the more packets have
    /// passed since the last, the likelier the next (section 7 of the article).
    fn marks(&mut self, context: &Context<'_>) -> bool {
        self.measure(context.now());
        let basic = self.mark_probability();
        if basic <= 0.0 {
            self.unmarked = 0;
            return false;
        }
        let left = 1.0 - f64::from(self.unmarked) * basic;
        self.unmarked += 1;
        let marked = left <= basic || f64::from(context.random()) < basic / left * 4_294_967_296.0;
        if marked {
            self.unmarked = 0;
        }
        marked
    }
}

impl Element for Red {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.queues = match &self.names {
            Some(names) => Queues::named(context, names)?,
            None if context.input_pulls(0) => Queues::nearest(context, Direction::Upstream),
            None => Queues::nearest(context, Direction::Downstream),
        };
        if self.queues.none_found() {
            return Err(context.error("no nearby Queues"));
        }
        for id in self.queues.elements() {
            self.queue_names.push(' ');
            self.queue_names.push_str(context.router().name(id));
        }
        if self.adaptive {
            context.set_timer_after(0, ADAPT_INTERVAL);
        }
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.adapt();
        context.set_timer_after(0, ADAPT_INTERVAL);
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| {
            if !self.marks(context) {
                return Some(packet);
            }
            self.drops += 1;
            context.emit(1, packet);
            None
        });
    }

    fn configuration(&self) -> Option<String> {
        let gentle = if self.simple { ", GENTLE false" } else { "" };
        (!self.adaptive).then(|| {
            format!(
                "{}, {}, {}, QUEUES{}, STABILITY {}{gentle}",
                self.minimum,
                self.maximum,
                decimal::shortest(self.probability),
                self.queue_names,
                self.stability
            )
        })
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("min_thresh")
            .read_write("max_thresh")
            .read_write("max_p")
            .read("avg_queue_size")
            .read("drops")
            .read("queues")
            .read("stats");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "min_thresh" => Ok(self.minimum.to_string()),
            "max_thresh" => Ok(self.maximum.to_string()),
            "max_p" => Ok(decimal::shortest(self.probability)),
            "avg_queue_size" => Ok(self.average_text()),
            "drops" => Ok(self.drops.to_string()),
            "queues" => Ok(self.queues.elements().fold(String::new(), |text, id| {
                format!("{text}{}\n", context.router().name(id))
            })),
            "stats" => Ok(format!(
                "{} current queue\n{} avg queue\n{} drops\n",
                self.queues.packets(),
                self.average_text(),
                self.drops
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
        let before = (self.minimum, self.maximum, self.probability);
        match name {
            "min_thresh" => self.minimum = crate::argument_value(context, name, value)?,
            "max_thresh" => self.maximum = crate::argument_value(context, name, value)?,
            "max_p" => self.probability = crate::argument_value(context, name, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        self.check().map_err(|message| {
            (self.minimum, self.maximum, self.probability) = before;
            HandlerError::failed(message)
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    /// A queue of `length` packets that stays so while 1,000 packets come by; how many of them
    /// are marked.
    fn marked(config: &str, length: usize) -> u32 {
        let bench = Bench::new(&std::format!(
            "FromDevice(fill) -> q :: Queue(1000) -> Idle;
             i :: InfiniteSource(LIMIT 200, ACTIVE false) -> r :: RED({config}, QUEUES q) -> Discard;
             r[1] -> Discard"
        ));
        for _ in 0..length {
            bench.arrive("fill", b"frame");
        }
        bench.run();
        // The average comes close to the length before marks are counted.
        bench.write("i.active", "true");
        bench.run();
        let before: u32 = bench.read("r.drops").parse().unwrap();
        bench.write("i.limit", "1200");
        bench.run();
        bench.read("r.drops").parse::<u32>().unwrap() - before
    }

    /// By hand, of 1024: one packet in the queue adds a 16th of 1024, two then a 16th of 2048 - 64; and of
    /// three digits only 0.184 is nearer to 188 than to its neighbours.
    #[test]
    fn the_average_has_as_many_digits_as_it_needs() {
        let bench = Bench::new("FromDevice(in) -> r :: RED(5, 50, 1) -> q :: Queue -> Idle");
        assert_eq!(bench.read("r.avg_queue_size"), "0");
        for expected in ["0", "0.0625", "0.184"] {
            bench.arrive("in", b"frame");
            bench.run();
            assert_eq!(bench.read("r.avg_queue_size"), expected);
        }
    }

    /// By hand, of 1024: 188, as above, goes down to 176 with the first packet that meets an empty queue,
    /// and to 165, 155, 145, 136, 128 and 120 in the six periods of 20 ms from 40 ms to 160: each run takes
    /// ten milliseconds.
    #[test]
    fn the_average_falls_while_the_queue_is_empty() {
        let bench = Bench::new(
            "FromDevice(in) -> r :: RED(5, 50, 1) -> Queue -> u :: Unqueue(ACTIVE false) -> Discard",
        );
        for _ in 0..3 {
            bench.arrive("in", b"frame");
            bench.run();
        }
        bench.write("u.active", "true");
        bench.run();
        for (milliseconds, expected) in [(0, "0.172"), (0, "0.172"), (100, "0.117"), (2000, "0")] {
            bench
                .simulation
                .advance(core::time::Duration::from_millis(milliseconds));
            bench.arrive("in", b"frame");
            bench.run();
            assert_eq!(bench.read("r.avg_queue_size"), expected);
        }
    }

    #[test]
    fn marks_rise_with_the_average_length() {
        assert_eq!(marked("10, 50, 0.1", 10), 0);
        // Half way the probability is 0.05; the distance between marks is then spread evenly
        // over 1 to 20 packets, 10.5 on average.
        let half = marked("10, 50, 0.1", 30);
        assert!((80..=112).contains(&half), "{half}");
        assert_eq!(marked("10, 50, 0.1", 200), 1000);
        assert_eq!(marked("10, 50, 0.1, SIMPLE true", 60), 1000);
    }

    #[test]
    fn the_probability_follows_the_average_and_stays_between_its_bounds() {
        let bench = Bench::new(
            "FromDevice(fill) -> q :: Queue(1000) -> u :: Unqueue(ACTIVE false) -> Discard;
             RatedSource(RATE 100) -> r :: AdaptiveRED(20, 0.02, QUEUES q) -> Discard",
        );
        assert_eq!(bench.read("r.min_thresh"), "10");
        assert_eq!(bench.read("r.max_thresh"), "30");
        let probability = || bench.read("r.max_p").parse::<f64>().unwrap();
        // Nothing waits: two tenths less in a second.
        bench.run_for(core::time::Duration::from_millis(1100));
        assert!((probability() - 0.02 * 0.81).abs() < 1e-9);
        bench.run_for(core::time::Duration::from_secs(60));
        assert!((0.009..0.01).contains(&probability()));
        // Above the middle it rises, at last by a hundredth each half second.
        for _ in 0..29 {
            bench.arrive("fill", b"frame");
        }
        bench.run_for(core::time::Duration::from_secs(10));
        let before = probability();
        bench.run_for(core::time::Duration::from_secs(1));
        assert!((probability() - before - 0.02).abs() < 1e-9);
        bench.run_for(core::time::Duration::from_secs(60));
        assert!((0.5..=0.51).contains(&probability()));
    }

    #[test]
    fn the_nearest_queues_are_found_both_ways() {
        let bench = Bench::new(
            "Idle -> push :: RED(1, 2, 0.1) -> s :: Switch -> a :: Queue -> Unqueue -> c :: Queue -> Idle;
             s[1] -> b :: SimpleQueue -> pull :: RED(1, 2, 0.1) -> Idle",
        );
        assert_eq!(bench.read("push.queues"), "a\nb\n");
        assert_eq!(bench.read("pull.queues"), "b\n");
    }

    #[test]
    fn red_needs_queues_and_thresholds_in_order() {
        for (config, error) in [
            ("RED(1, 2, 0.1)", "no nearby Queues"),
            ("RED(3, 2, 0.1)", "MIN_THRESH must be <= MAX_THRESH"),
            ("RED(1, 2, 1.5)", "MAX_P must be between 0 and 1"),
            ("RED(1, 2, 0.1, QUEUES x)", "no element named 'x'"),
            ("RED(1, 2, 0.1, QUEUES i)", "'i' is not a Storage element"),
        ] {
            let errors = Bench::errors(&std::format!("i :: Idle -> r :: {config} -> Discard"));
            assert!(errors.contains(error), "{errors}");
        }
    }
}
