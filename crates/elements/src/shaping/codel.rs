use alloc::format;
use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::{Milliseconds, Raw};
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::{Batch, Packet};

use super::queues::{Direction, Queues};
use crate::standard::timestamps::{first_timestamp, set_first_timestamp};

pub(super) const CODEL: Class = Class::of::<CoDel>("CoDel").processing("l/l");

pub(super) const DEFAULT_TARGET: Duration = Duration::from_millis(5);
pub(super) const DEFAULT_INTERVAL: Duration = Duration::from_millis(100);

/// CoDel: drops packets while they wait too long in the queues before it.
///
/// ```click
/// CoDel([keywords TARGET, INTERVAL, QUEUES])
/// ```
///
/// Controlled delay (RFC 8289). When packets have waited longer than TARGET (5 ms) for a whole
/// INTERVAL (100 ms), it drops one, and then one after ever shorter times, until the wait falls
/// below TARGET or one packet is left. Numbers without a unit are milliseconds. How long a
/// packet waited is told by its "first timestamp" annotation, which is then set to the wait; a
/// packet without one passes.
///
/// ```click
/// ... -> SetTimestamp(FIRST true) -> Queue(200) -> CoDel(5, 100) -> ...
/// ```
///
/// The queues are those of QUEUES, names separated by spaces; without, the nearest before it.
///
/// Handlers: `target`, `interval` (read, write), in milliseconds; `state` (read): 1 while it
/// drops; `drops`, `sojourn_time` (of the last packet, in microseconds), `queues` (read).
///
/// See Click's manual page CoDel(n).
struct CoDel {
    target: Duration,
    names: Option<String>,
    queues: Queues,
    control: Control,
    drops: u64,
    sojourn: i64,
    pulled: Batch,
}

/// The state of RFC 8289, section 5. Times are nanoseconds of the wall clock.
pub(super) struct Control {
    interval: i64,
    /// When the wait will have been above the target for an interval.
    first_above: Option<i64>,
    pub(super) dropping: bool,
    drop_next: i64,
    /// Packets dropped since dropping began, and at the end of the time before.
    count: u32,
    last_count: u32,
}

/// One step of the control: what to do with the packet at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    Drop,
}

pub(super) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Control {
    pub(super) fn new(interval: i64) -> Self {
        Self {
            interval,
            first_above: None,
            dropping: false,
            drop_next: 0,
            count: 0,
            last_count: 0,
        }
    }

    /// The time after `from` at which the next packet is dropped: interval / sqrt(count).
    fn control_law(&self, from: i64) -> i64 {
        // The root of a million times the count is a thousand times its root.
        let root = (u64::from(self.count.max(1)) * 1_000_000).isqrt();
        let step = self.interval.unsigned_abs().saturating_mul(1000) / root;
        from.saturating_add(i64::try_from(step).unwrap_or(i64::MAX))
    }

    /// Whether the wait has been too long for an interval.
    fn may_drop(&mut self, now: i64, below: bool) -> bool {
        if below {
            self.first_above = None;
            return false;
        }
        match self.first_above {
            None => {
                self.first_above = Some(now.saturating_add(self.interval));
                false
            }
            Some(moment) => now >= moment,
        }
    }

    /// There is no packet left.
    pub(super) fn end(&mut self) {
        self.first_above = None;
        self.dropping = false;
    }

    /// Judges a packet at `now`; `below` says that its wait is short or the queue all but empty.
    pub(super) fn judge(&mut self, now: i64, below: bool) -> Verdict {
        let may_drop = self.may_drop(now, below);
        if self.dropping {
            if !may_drop {
                self.dropping = false;
                return Verdict::Pass;
            }
            if now < self.drop_next {
                return Verdict::Pass;
            }
            self.count += 1;
            self.drop_next = self.control_law(self.drop_next);
            return Verdict::Drop;
        }
        if !may_drop {
            return Verdict::Pass;
        }
        self.dropping = true;
        // Where it dropped not long ago, it takes up the rate that controlled the queue then.
        let recent = self.count - self.last_count;
        let since = now.saturating_sub(self.drop_next);
        self.count = if recent > 1 && since < self.interval.saturating_mul(16) {
            recent
        } else {
            1
        };
        self.last_count = self.count;
        self.drop_next = self.control_law(now);
        Verdict::Drop
    }
}

impl Configure for CoDel {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let target = arguments.position::<Milliseconds>("TARGET");
        let interval = arguments.position::<Milliseconds>("INTERVAL");
        let names = arguments.keyword::<Raw>("QUEUES").map(|names| names.0);
        arguments.finish()?;
        let interval = interval.map_or(DEFAULT_INTERVAL, |interval| interval.0);
        Ok(Self {
            target: target.map_or(DEFAULT_TARGET, |target| target.0),
            names,
            queues: Queues::default(),
            control: Control::new(nanoseconds(interval)),
            drops: 0,
            sojourn: 0,
            pulled: Batch::new(),
        })
    }
}

impl CoDel {
    /// Pulls the next packet that is not dropped.
    fn next(&mut self, context: &mut Context<'_>, now: i64) -> Option<Packet> {
        loop {
            context.pull(0, 1, &mut self.pulled);
            let Some(mut packet) = self.pulled.drain().next() else {
                self.control.end();
                return None;
            };
            let entered = first_timestamp(&packet);
            if entered == 0 {
                return Some(packet);
            }
            self.sojourn = now.saturating_sub(entered).max(0);
            set_first_timestamp(&mut packet, self.sojourn);
            let below = self.sojourn < nanoseconds(self.target) || self.queues.packets() == 0;
            match self.control.judge(now, below) {
                Verdict::Pass => return Some(packet),
                Verdict::Drop => self.drops += 1,
            }
        }
    }
}

impl Element for CoDel {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.queues = match &self.names {
            Some(names) => Queues::named(context, names)?,
            None => Queues::nearest(context, Direction::Upstream),
        };
        if self.queues.none_found() {
            return Err(context.error("no nearby Queues"));
        }
        Ok(())
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let now = context.timestamp().0;
        while batch.len() < limit {
            match self.next(context, now) {
                Some(packet) => batch.push(packet),
                None => return,
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("target")
            .read_write("interval")
            .read("state")
            .read("drops")
            .read("sojourn_time")
            .read("queues");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "target" => Ok(decimal::shortest(self.target.as_secs_f64() * 1000.0)),
            "interval" => Ok(decimal::shortest(self.control.interval as f64 / 1e6)),
            "state" => Ok(u8::from(self.control.dropping).to_string()),
            "drops" => Ok(self.drops.to_string()),
            "sojourn_time" => Ok((self.sojourn / 1000).to_string()),
            "queues" => Ok(self.queues.elements().fold(String::new(), |text, id| {
                format!("{text}{}\n", context.router().name(id))
            })),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        let Milliseconds(value) = crate::handler_value(context, value)?;
        match name {
            "target" => self.target = value,
            "interval" => self.control.interval = nanoseconds(value),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Control, Verdict};
    use crate::testing::Bench;

    const MILLISECOND: i64 = 1_000_000;

    #[test]
    fn drops_come_after_an_interval_and_then_ever_closer() {
        let mut control = Control::new(100 * MILLISECOND);
        let drops: std::vec::Vec<i64> = (0..400)
            .filter(|now| control.judge(now * MILLISECOND, false) == Verdict::Drop)
            .collect();
        // By hand: the wait is above the target from 0 on, so the first at 100; then each after
        // 100 / sqrt(count): 100, 70.7, 57.7, 50, and so on, at the next millisecond.
        assert_eq!(drops, [100, 200, 271, 329, 379]);
        assert_eq!(control.judge(400 * MILLISECOND, true), Verdict::Pass);
        assert!(!control.dropping);
    }

    #[test]
    fn a_short_wait_begins_the_interval_anew() {
        let mut control = Control::new(100 * MILLISECOND);
        for now in 0..1000 {
            let below = now % 90 == 0;
            assert_eq!(control.judge(now * MILLISECOND, below), Verdict::Pass);
        }
    }

    #[test]
    fn a_standing_queue_is_worked_off_and_a_short_one_left_alone() {
        // 1,100 packets a second come and 1,000 leave; without drops the queue would fill.
        let bench = Bench::new(
            "RatedSource(RATE 1100) -> SetTimestamp(FIRST true) -> q :: Queue(5000) -> c :: CoDel \
             -> u :: RatedUnqueue(1000) -> Discard",
        );
        bench.run_for(Duration::from_secs(20));
        let drops: u32 = bench.read("c.drops").parse().unwrap();
        let length: u32 = bench.read("q.length").parse().unwrap();
        assert!((1000..2000).contains(&drops), "{drops}");
        assert!(length < 400, "{length}");

        let bench = Bench::new(
            "RatedSource(RATE 900) -> SetTimestamp(FIRST true) -> q :: Queue(5000) -> c :: CoDel \
             -> RatedUnqueue(1000) -> Discard",
        );
        bench.run_for(Duration::from_secs(5));
        assert_eq!(bench.read("c.drops"), "0");
    }
}
