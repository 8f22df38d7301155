use alloc::vec::Vec;

use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::{Batch, Packet};

pub(super) const DRR_SCHED: Class = Class::of::<DrrSched>("DRRSched")
    .ports("1-/1")
    .processing("l/l");

const DEFAULT_QUANTUM: i32 = 500;

/// DRRSched: pulls from its inputs so that each gets the same share of bytes.
///
/// ```click
/// DRRSched([QUANTUM])
/// ```
///
/// Deficit round robin (Shreedhar and Varghese, "Efficient Fair Queueing using Deficit Round
/// Robin", 1995): each turn allows an input QUANTUM (500) bytes more, and it is served while its
/// next packet fits into what it has been allowed. An input without packets loses its allowance. As
/// in Click, the very first turn of the first input allows it nothing.
///
/// See Click's manual page DRRSched(n).
struct DrrSched {
    quantum: usize,
    inputs: Vec<Allowance>,
    next: usize,
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
        let Some(quantum) = usize::try_from(quantum).ok().filter(|bytes| *bytes > 0) else {
            return Err(arguments.error("bad QUANTUM"));
        };
        let mut inputs = Vec::new();
        inputs.resize_with(configuration.inputs(), Allowance::default);
        Ok(Self {
            quantum,
            inputs,
            next: 0,
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

    fn pull_one(&mut self, context: &mut Context<'_>) -> Option<Packet> {
        let mut in_vain = 0;
        while in_vain < self.inputs.len() {
            let head = self.head(context);
            let input = &mut self.inputs[self.next];
            match head {
                Some(packet) if packet.len() <= input.deficit => {
                    input.deficit -= packet.len();
                    return Some(packet);
                }
                Some(packet) => {
                    input.head = Some(packet);
                    in_vain = 0;
                }
                None => {
                    input.deficit = 0;
                    in_vain += 1;
                }
            }
            self.next = (self.next + 1) % self.inputs.len();
            self.inputs[self.next].deficit += self.quantum;
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

    // By hand, after Click's drr.cc: the first input's first packet waits for its second turn.
    #[test]
    fn the_first_turn_allows_nothing() {
        let bench = Bench::new(
            "InfiniteSource(a, 2) -> s :: DRRSched -> Unqueue -> ToDevice(out);
             InfiniteSource(b, 2) -> [1] s; InfiniteSource(c, 2) -> [2] s",
        );
        bench.run();
        assert_eq!(bench.sent("out").concat(), b"bbccaa");
        let errors = Bench::errors("Idle -> DRRSched(-1) -> Discard");
        assert!(errors.contains("  bad QUANTUM"), "{errors}");
    }
}
