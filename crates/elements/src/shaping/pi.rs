use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::Raw;
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::queues::{Direction, Queues};

pub(super) const PI: Class = Class::of::<Pi>("PI").ports("1/1-2").processing("a/ah");

/// PI: drops packets so that the queues behind it stay at one length.
///
/// ```click
/// PI(W, A, B, TARGET [, keyword QUEUES])
/// ```
///
/// A proportional-integral controller (Hollot, Misra, Towsley and Gong, "On Designing Improved Controllers
/// for AQM Routers Supporting TCP Flows", 2001). W times a second it looks at the number of packets in the
/// queues it watches, and adds A times what they are above TARGET, less B times what they were above it the
/// time before, to the probability with which each packet is marked. The article's example has W 170,
/// A 1.822e-5, B 1.816e-5.
///
/// Marked packets go to output 1, and are dropped where it is not connected. The queues are those of
/// QUEUES, names separated by spaces; without, the nearest ones: after a push element, before a pull
/// element.
///
/// Handlers: `w`, `a`, `b`, `target_q`, `p` (the probability), `drops`, `queues` (read).
///
/// See Click's class PI.
struct Pi {
    rate: f64,
    a: f64,
    b: f64,
    target: u32,
    names: Option<String>,
    queues: Queues,
    probability: f64,
    /// How far above TARGET the queues were.
    excess: f64,
    drops: u64,
}

impl Configure for Pi {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let rate = arguments.required::<f64>("W");
        let a = arguments.required::<f64>("A");
        let b = arguments.required::<f64>("B");
        let target = arguments.required::<u32>("TARGET");
        let names = arguments.keyword::<Raw>("QUEUES").map(|names| names.0);
        // Slower or faster than timers go.
        if rate.is_ok_and(|rate| !(0.001..=1_000_000.0).contains(&rate)) {
            arguments.error("W must be between 0.001 and 1000000");
        }
        arguments.finish()?;
        Ok(Self {
            rate: rate?,
            a: a?,
            b: b?,
            target: target?,
            names,
            queues: Queues::default(),
            probability: 0.0,
            excess: 0.0,
            drops: 0,
        })
    }
}

impl Pi {
    fn control(&mut self) {
        let excess = self.queues.packets() as f64 - f64::from(self.target);
        let step = self.a * excess - self.b * self.excess;
        self.probability = (self.probability + step).clamp(0.0, 1.0);
        self.excess = excess;
    }
}

impl Element for Pi {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.queues = match &self.names {
            Some(names) => Queues::named(context, names)?,
            None if context.input_pulls(0) => Queues::nearest(context, Direction::Upstream),
            None => Queues::nearest(context, Direction::Downstream),
        };
        if self.queues.none_found() {
            return Err(context.error("no nearby Queues"));
        }
        // The queues are as they should be before it begins.
        self.run_timer(context, 0);
        self.probability = 0.0;
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.control();
        context.set_timer_after(0, Duration::from_secs_f64(1.0 / self.rate));
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        if self.probability <= 0.0 {
            return;
        }
        batch.filter(|packet| {
            if f64::from(context.random()) >= self.probability * 4_294_967_296.0 {
                return Some(packet);
            }
            self.drops += 1;
            context.emit(1, packet);
            None
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("w").read("a").read("b").read("target_q");
        list.read("p").read("drops").read("queues");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "w" => Ok(decimal::shortest(self.rate)),
            "a" => Ok(decimal::shortest(self.a)),
            "b" => Ok(decimal::shortest(self.b)),
            "target_q" => Ok(self.target.to_string()),
            "p" => Ok(decimal::shortest(self.probability)),
            "drops" => Ok(self.drops.to_string()),
            "queues" => Ok(self.queues.elements().fold(String::new(), |text, id| {
                format!("{text}{}\n", context.router().name(id))
            })),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn the_probability_is_that_of_the_difference_equation() {
        let bench = Bench::new(
            "FromDevice(fill) -> q :: Queue(1000) -> Idle;
             Idle -> p :: PI(10, 0.01, 0.008, 5, QUEUES q) -> Discard",
        );
        for _ in 0..15 {
            bench.arrive("fill", b"frame");
        }
        bench.run_for(Duration::from_millis(10));
        let probability = || bench.read("p.p").parse::<f64>().unwrap();
        assert_eq!(probability(), 0.0);
        // By hand: 10 above the target, 5 below it the time before; then 10 above both times.
        bench.run_for(Duration::from_millis(100));
        assert!(
            (probability() - (0.1 + 0.04)).abs() < 1e-9,
            "{}",
            probability()
        );
        bench.run_for(Duration::from_millis(100));
        assert!(
            (probability() - (0.14 + 0.1 - 0.08)).abs() < 1e-9,
            "{}",
            probability()
        );
    }

    #[test]
    fn so_many_packets_are_marked_as_the_probability_says() {
        let bench = Bench::new(
            "FromDevice(fill) -> q :: Queue(1000) -> Idle;
             i :: InfiniteSource(LIMIT 10000, ACTIVE false) -> p :: PI(0.001, 0.005, 0, 0, QUEUES q)
             -> Discard; p[1] -> m :: Counter -> Discard",
        );
        for _ in 0..100 {
            bench.arrive("fill", b"frame");
        }
        bench.run_for(Duration::from_secs(1001));
        assert_eq!(bench.read("p.p"), "0.5");
        bench.write("i.active", "true");
        bench.run();
        let marked: u32 = bench.read("m.count").parse().unwrap();
        assert!((4700..=5300).contains(&marked), "{marked}");
        assert_eq!(bench.read("p.drops"), std::format!("{marked}"));
    }

    #[test]
    fn a_controller_needs_queues_and_a_rate() {
        let errors = Bench::errors("Idle -> PI(0, 1, 1, 5) -> Discard");
        assert!(errors.contains("W must be between"), "{errors}");
        let errors = Bench::errors("Idle -> PI(1, 1, 1, 5) -> Discard");
        assert!(errors.contains("no nearby Queues"), "{errors}");
    }
}
