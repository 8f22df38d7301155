use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const UNQUEUE: Class = Class::of::<Unqueue>("Unqueue").processing("l/h");

pub(super) const UNQUEUE_2: Class = UNQUEUE.named("Unqueue2");

/// Unqueue, Unqueue2: pull packets and push them on, as fast as they can.
///
/// ```click
/// Unqueue([BURST, keywords ACTIVE, LIMIT, BURST])
/// Unqueue2([BURST, keywords ACTIVE, LIMIT, BURST, QUIET])
/// ```
///
/// `Unqueue2` pulls no more than there is room for in the queues behind it, of those that say so. Its BURST
/// of 0 means as many as there are.
///
/// - BURST: packets pulled each time it is scheduled; 1. Negative: as many as there are.
/// - ACTIVE: whether it pulls at all; true.
/// - LIMIT: stops after so many packets; negative, the default: never.
///
/// Handlers: `count` (read) packets so far; `reset` (write) sets it to zero and goes on after a
/// LIMIT; `active`, `limit`, `burst` (read, write); those of its task.
///
/// See Click's manual pages Unqueue(n) and Unqueue2(n).
struct Unqueue {
    burst: Option<usize>,
    active: bool,
    limit: Option<u64>,
    count: u64,
    batch: Batch,
    /// Whether it pulls only what there is room for.
    considerate: bool,
}

/// A number where negative means "no bound".
fn bound(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
}

impl Configure for Unqueue {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let considerate = configuration.class_of(configuration.id()).name == UNQUEUE_2.name;
        let mut burst = arguments
            .position::<i32>("BURST")
            .map(|burst| usize::try_from(burst).unwrap_or(usize::MAX));
        if considerate {
            burst = burst.map(|burst| if burst == 0 { usize::MAX } else { burst });
            arguments.keyword::<bool>("QUIET");
        }
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        let limit = arguments.keyword("LIMIT").and_then(bound);
        arguments.finish()?;
        Ok(Self {
            burst,
            active,
            limit,
            count: 0,
            batch: Batch::new(),
            considerate,
        })
    }
}

impl Unqueue {
    fn left(&self) -> u64 {
        self.limit
            .map_or(u64::MAX, |limit| limit.saturating_sub(self.count))
    }
}

impl Element for Unqueue {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if self.burst == Some(0) {
            context.warning("BURST size 0, no packets will be pulled");
        }
        context.wake_when_nonempty(0);
        if self.considerate {
            context.wake_when_nonfull(0);
        }
        if self.active {
            context.schedule_task();
        }
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        if !self.active || left == 0 {
            return false;
        }
        let mut limit = context.burst(self.burst).min(left);
        if self.considerate {
            limit = limit.min(context.room_behind(0));
            if limit == 0 {
                return false;
            }
        }
        context.pull(0, limit, &mut self.batch);
        let worked = !self.batch.is_empty();
        self.count += self.batch.len() as u64;
        context.forward(0, &mut self.batch);
        if worked || context.upstream_nonempty(0) {
            context.schedule_task();
        }
        worked
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count")
            .button("reset")
            .read_write("active")
            .read_write("limit")
            .read_write("burst")
            .task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "active" => Ok(self.active.to_string()),
            "limit" => Ok(self
                .limit
                .map_or_else(|| "-1".into(), |limit| limit.to_string())),
            "burst" => Ok(self.burst.unwrap_or(1).to_string()),
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
            "reset" => self.count = 0,
            "active" => self.active = crate::value_or(context, value, "syntax error")?,
            "limit" => self.limit = bound(crate::value_or(context, value, "syntax error")?),
            "burst" => {
                let burst: i32 = crate::value_or(context, value, "syntax error")?;
                self.burst = Some(usize::try_from(burst).unwrap_or(usize::MAX));
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        if self.active && self.left() > 0 {
            context.schedule_task();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn a_considerate_unqueue_fills_the_queue_behind_it_and_no_more() {
        for (class, dropped, kept) in [("Unqueue", "7", "0"), ("Unqueue2", "0", "7")] {
            let bench = Bench::new(&std::format!(
                "InfiniteSource(LIMIT 10) -> a :: Queue(50) -> u :: {class}(ACTIVE false)
                 -> b :: Queue(3) -> v :: Unqueue(ACTIVE false) -> Discard"
            ));
            bench.run();
            bench.write("u.active", "true");
            bench.run();
            assert_eq!(bench.read("b.drops"), dropped, "{class}");
            assert_eq!(bench.read("a.length"), kept, "{class}");
            bench.write("v.active", "true");
            bench.run();
            assert_eq!(bench.read("a.length"), "0", "{class}");
        }
    }

    // By hand: the source fills the queue in its first turn and asks for the stop in its second, and
    // the Unqueue has one turn between them. In Click no task runs once a stop has been asked for.
    #[test]
    fn tasks_have_no_turn_when_the_router_is_to_stop_until_it_goes_on() {
        let source = "InfiniteSource(LIMIT 10, BURST 10, STOP true) -> Queue -> Unqueue(1) -> c :: Counter -> Discard";
        let bench = Bench::new(source);
        assert!(bench.run());
        assert_eq!(bench.read("c.count"), "1");
        let bench = Bench::new(&std::format!(
            "{source}; DriverManager(pause, wait 1s, stop)"
        ));
        bench.run_for(core::time::Duration::from_secs(2));
        assert_eq!(bench.read("c.count"), "10");
    }
}
