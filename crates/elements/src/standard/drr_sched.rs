use alloc::vec::Vec;

use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::{Batch, Packet};

pub(super) const DRR_SCHED: Class = Class::of::<DrrSched>("DRRSched")
    .ports("1-/1")
    .processing("l/l");

const DEFAULT_QUANTUM: u32 = 500;

/// DRRSched: pulls from its inputs so that each gets the same share of bytes.
///
/// ```click
/// DRRSched([QUANTUM])
/// ```
///
/// Deficit round robin (Shreedhar and Varghese, "Efficient Fair Queueing using Deficit Round
/// Robin", 1995): each turn allows an input QUANTUM (500) bytes more, and it is served while its
/// next packet fits into what it has been allowed. An input without packets loses its allowance.
///
/// See Click's manual page DRRSched(n).
struct DrrSched {
    quantum: usize,
    inputs: Vec<Allowance>,
    next: usize,
    /// Whether the present turn has not been granted its quantum yet.
    fresh: bool,
    pulled: Batch,
}

#[derive(Default)]
struct Allowance {
    /// The packet that did not fit yet.
    head: Option<Packet>,
    deficit: usize,
}

impl Configure for DrrSched {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let quantum = arguments.position("QUANTUM").unwrap_or(DEFAULT_QUANTUM);
        arguments.finish()?;
        if quantum == 0 {
            return Err(arguments.error("QUANTUM must be > 0"));
        }
        let mut inputs = Vec::new();
        inputs.resize_with(configuration.inputs(), Allowance::default);
        Ok(Self {
            quantum: quantum as usize,
            inputs,
            next: 0,
            fresh: true,
            pulled: Batch::new(),
        })
    }
}

impl DrrSched {
    /// The next packet of the input whose turn it is, pulled where none is held.
    fn head(&mut self, context: &mut Context<'_>) -> Option<Packet> {
        if let Some(packet) = self.inputs[self.next].head.take() {
            return Some(packet);
        }
        if context.upstream_nonempty(self.next) {
            context.pull(self.next, 1, &mut self.pulled);
        }
        self.pulled.drain().next()
    }

    fn end_turn(&mut self) {
        self.next = (self.next + 1) % self.inputs.len();
        self.fresh = true;
    }

    fn pull_one(&mut self, context: &mut Context<'_>) -> Option<Packet> {
        let mut in_vain = 0;
        while in_vain < self.inputs.len() {
            let Some(packet) = self.head(context) else {
                self.inputs[self.next].deficit = 0;
                self.end_turn();
                in_vain += 1;
                continue;
            };
            in_vain = 0;
            let input = &mut self.inputs[self.next];
            if self.fresh {
                input.deficit += self.quantum;
                self.fresh = false;
            }
            if packet.len() <= input.deficit {
                input.deficit -= packet.len();
                return Some(packet);
            }
            input.head = Some(packet);
            self.end_turn();
        }
        None
    }
}

impl Element for DrrSched {
    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        while batch.len() < limit {
            match self.pull_one(context) {
                Some(packet) => batch.push(packet),
                None => break,
            }
        }
    }

    fn take_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            for (input, before) in self.inputs.iter_mut().zip(&mut old.inputs) {
                input.head = before.head.take();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn inputs_share_bytes_and_not_packets() {
        let bench = Bench::new(
            "InfiniteSource(LENGTH 1000) -> a :: Counter -> s :: DRRSched -> Unqueue(LIMIT 1100) \
             -> Discard; InfiniteSource(LENGTH 100) -> b :: Counter -> [1] s",
        );
        bench.run();
        // Of eleven packets one is long, or as many bytes would not go each way; one packet of
        // each input may be held back.
        let long: u32 = bench.read("a.count").parse().unwrap();
        let short: u32 = bench.read("b.count").parse().unwrap();
        assert!(long.abs_diff(100) <= 1, "{long}");
        assert!(short.abs_diff(1000) <= 5, "{short}");
    }

    #[test]
    fn an_input_alone_gets_everything_and_packets_above_the_quantum_pass() {
        let bench = Bench::new(
            "InfiniteSource(LENGTH 1500, LIMIT 9) -> s :: DRRSched(100) -> d :: Discard;
             Idle -> [1] s",
        );
        bench.run();
        assert_eq!(bench.read("d.count"), "9");
    }
}
