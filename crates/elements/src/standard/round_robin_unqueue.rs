use alloc::format;
use alloc::string::String;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const ROUND_ROBIN_UNQUEUE: Class = Class::of::<RoundRobinUnqueue>("RoundRobinUnqueue")
    .ports("-/-")
    .processing("l/h");

/// RoundRobinUnqueue: pulls from its inputs in turn and pushes to the outputs of the same numbers.
///
/// ```click
/// RoundRobinUnqueue([BURST])
/// ```
///
/// It pulls BURST packets, 1 unless given, from one input each time it is scheduled; with a BURST of 0 as
/// many as there are. It has as many outputs as inputs.
///
/// Handlers: `packets` (read): how many so far; those of its task.
///
/// See Click's class RoundRobinUnqueue, of its folder `local`.
pub(crate) struct RoundRobinUnqueue {
    burst: usize,
    next: usize,
    packets: u64,
    batch: Batch,
}

impl Configure for RoundRobinUnqueue {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let burst = arguments.position::<i32>("BURST").unwrap_or(1);
        arguments.finish()?;
        Ok(Self {
            burst: match usize::try_from(burst) {
                Ok(0) => usize::MAX,
                Ok(burst) => burst,
                // As Click, which has pulled one when it looks.
                Err(_) => 1,
            },
            next: 0,
            packets: 0,
            batch: Batch::new(),
        })
    }
}

impl Element for RoundRobinUnqueue {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let inputs = context.inputs();
        if inputs != context.outputs() {
            return Err(context.error("number of outputs must equal to number of inputs"));
        }
        for input in 0..inputs {
            context.wake_when_nonempty(input);
        }
        if inputs > 0 {
            context.schedule_task();
        }
        Ok(())
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        let inputs = context.inputs();
        if inputs == 0 {
            return false;
        }
        let input = self.next;
        self.next = (input + 1) % inputs;
        context.pull(input, self.burst, &mut self.batch);
        let worked = !self.batch.is_empty();
        self.packets += self.batch.len() as u64;
        context.forward(input, &mut self.batch);
        if (0..inputs).any(|input| context.upstream_nonempty(input)) {
            context.schedule_task();
        }
        worked
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("packets").task();
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "packets" => Ok(format!("{} packets\n", self.packets)),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn roundrobinunqueue_serves_each_input_once_a_round() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 5) -> Queue -> u :: RoundRobinUnqueue(2) -> a :: Counter -> Discard;
             InfiniteSource(LIMIT 3) -> Queue -> [1] u [1] -> b :: Counter -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("a.count"), "5");
        assert_eq!(bench.read("b.count"), "3");
        assert_eq!(bench.read("u.packets"), "8 packets\n");
    }

    #[test]
    fn roundrobinunqueue_has_as_many_outputs_as_inputs() {
        assert_eq!(
            Bench::errors(
                "InfiniteSource -> Queue -> u :: RoundRobinUnqueue; u [0] -> Discard; u [1] -> Discard"
            ),
            "config:1: While initializing 'u :: RoundRobinUnqueue':\n  \
             number of outputs must equal to number of inputs\n"
        );
    }
}
