use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

const fn class<T: Configure>(name: &'static str) -> Class {
    Class::of::<T>(name).ports("1-/1").processing("l/l")
}

pub(super) const ROUND_ROBIN_SCHED: Class = class::<RoundRobinSched<true>>("RoundRobinSched");
pub(super) const SIMPLE_ROUND_ROBIN_SCHED: Class =
    class::<RoundRobinSched<false>>("SimpleRoundRobinSched");
pub(super) const PRIO_SCHED: Class = class::<PrioSched<true>>("PrioSched");
pub(super) const SIMPLE_PRIO_SCHED: Class = class::<PrioSched<false>>("SimplePrioSched");
pub(super) const RANDOM_SCHED: Class = class::<RandomSched>("RandomSched");

/// RoundRobinSched: pulls from its inputs in turn.
///
/// ```click
/// RoundRobinSched
/// SimpleRoundRobinSched
/// ```
///
/// An input that has no packets is passed over. `RoundRobinSched` does not even ask inputs that
/// have said so; `SimpleRoundRobinSched` asks every one.
///
/// See Click's manual page RoundRobinSched(n).
struct RoundRobinSched<const LISTENS: bool> {
    next: usize,
}

impl<const LISTENS: bool> Configure for RoundRobinSched<LISTENS> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self { next: 0 })
    }
}

impl<const LISTENS: bool> Element for RoundRobinSched<LISTENS> {
    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let inputs = context.inputs();
        let mut in_vain = 0;
        while batch.len() < limit && in_vain < inputs {
            let before = batch.len();
            if !LISTENS || context.upstream_nonempty(self.next) {
                context.pull(self.next, 1, batch);
            }
            in_vain = if batch.len() > before { 0 } else { in_vain + 1 };
            self.next = (self.next + 1) % inputs;
        }
    }
}

/// PrioSched: pulls from the first of its inputs that has packets.
///
/// ```click
/// PrioSched
/// SimplePrioSched
/// ```
///
/// Input 1 has its turn only while input 0 has nothing, and so on. `PrioSched` does not even ask
/// inputs that have said that they are empty; `SimplePrioSched` asks every one.
///
/// See Click's manual page PrioSched(n).
struct PrioSched<const LISTENS: bool>;

impl<const LISTENS: bool> Configure for PrioSched<LISTENS> {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl<const LISTENS: bool> Element for PrioSched<LISTENS> {
    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        for input in 0..context.inputs() {
            if batch.len() >= limit {
                break;
            }
            if !LISTENS || context.upstream_nonempty(input) {
                context.pull(input, limit - batch.len(), batch);
            }
        }
    }
}

/// RandomSched: pulls from an input chosen at random.
///
/// ```click
/// RandomSched
/// ```
///
/// Where the chosen input has no packets, those after it are asked in turn.
struct RandomSched;

impl Configure for RandomSched {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for RandomSched {
    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        let inputs = context.inputs();
        let choices = u32::try_from(inputs).unwrap_or(u32::MAX);
        while batch.len() < limit {
            let before = batch.len();
            let first = context.random_below(choices) as usize;
            for input in (first..inputs).chain(0..first) {
                if context.upstream_nonempty(input) {
                    context.pull(input, 1, batch);
                }
                if batch.len() > before {
                    break;
                }
            }
            if batch.len() == before {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    fn order(sched: &str) -> std::vec::Vec<u8> {
        let bench = Bench::new(&std::format!(
            "InfiniteSource(a, LIMIT 2) -> s :: {sched} -> Unqueue -> ToDevice(out);
             Idle -> [1] s; InfiniteSource(b, LIMIT 3) -> [2] s"
        ));
        bench.run();
        bench.sent("out").concat()
    }

    #[test]
    fn round_robin_takes_turns_and_passes_over_the_empty() {
        assert_eq!(order("RoundRobinSched"), b"ababb");
        assert_eq!(order("SimpleRoundRobinSched"), b"ababb");
    }

    #[test]
    fn priority_serves_later_inputs_only_while_earlier_ones_are_empty() {
        assert_eq!(order("PrioSched"), b"aabbb");
        assert_eq!(order("SimplePrioSched"), b"aabbb");
    }

    #[test]
    fn random_sched_finds_every_packet() {
        let mut found = order("RandomSched");
        found.sort_unstable();
        assert_eq!(found, b"aabbb");
    }

    #[test]
    fn a_consumer_behind_a_scheduler_sleeps_until_any_input_has_packets() {
        let bench = Bench::new(
            "FromDevice(a) -> Queue -> s :: PrioSched -> d :: Discard;
             FromDevice(b) -> Queue -> [1] s",
        );
        bench.run();
        assert_eq!(bench.read("d.scheduled"), "false");
        bench.arrive("b", b"frame");
        bench.run();
        assert_eq!(bench.read("d.count"), "1");
    }
}
