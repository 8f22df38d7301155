use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

pub(super) const CPU_SWITCH: Class = Class::of::<CpuSwitch>("CPUSwitch")
    .ports("1/1-")
    .processing("h/h");

/// CPUSwitch: sends packets to the output of the processor that works on them.
///
/// ```click
/// CPUSwitch
/// ```
///
/// A router here runs on one thread, so all packets leave by output 0.
///
/// See Click's manual page CPUSwitch(n).
struct CpuSwitch;

impl Configure for CpuSwitch {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for CpuSwitch {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        context.forward(0, batch);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn a_router_of_one_thread_uses_the_first_output() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 5) -> s :: CPUSwitch; s[0] -> a :: Counter -> Discard;
             s[1] -> b :: Counter -> Discard",
        );
        bench.run();
        assert_eq!(
            (bench.read("a.count"), bench.read("b.count")),
            ("5".into(), "0".into())
        );
    }

    #[test]
    fn the_queue_of_a_processor_gives_its_packets_to_whoever_pulls() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 500) -> q :: CPUQueue; q[0] -> a :: Unqueue(LIMIT 3) -> Discard;
             q[1] -> b :: Unqueue(ACTIVE false) -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("q.capacity"), "128");
        assert_eq!(bench.read("q.length"), "128");
        assert_eq!(bench.read("a.count"), "3");
        bench.write("b.limit", "2");
        bench.write("b.active", "true");
        bench.run();
        assert_eq!(bench.read("b.count"), "2");
    }
}
