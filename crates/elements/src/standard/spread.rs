use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

pub(super) const ROUND_ROBIN_SWITCH: Class = class::<RoundRobinSwitch>("RoundRobinSwitch");
pub(super) const RANDOM_SWITCH: Class = class::<RandomSwitch>("RandomSwitch");
pub(super) const HASH_SWITCH: Class = class::<HashSwitch>("HashSwitch");

const fn class<T: Configure>(name: &'static str) -> Class {
    Class::of::<T>(name).ports("1/1-").processing("h/h")
}

/// RoundRobinSwitch: sends packets to its outputs in turn.
///
/// ```click
/// RoundRobinSwitch
/// ```
///
/// See Click's manual page RoundRobinSwitch(n).
struct RoundRobinSwitch {
    next: usize,
}

impl Configure for RoundRobinSwitch {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self { next: 0 })
    }
}

impl Element for RoundRobinSwitch {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let outputs = context.outputs();
        for packet in batch.drain() {
            context.emit(self.next, packet);
            self.next += 1;
            if self.next >= outputs {
                self.next = 0;
            }
        }
    }
}

/// RandomSwitch: sends each packet to an output chosen at random.
///
/// ```click
/// RandomSwitch
/// ```
///
/// Every output is as likely as any other.
///
/// See Click's manual page RandomSwitch(n).
struct RandomSwitch;

impl Configure for RandomSwitch {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for RandomSwitch {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let outputs = u32::try_from(context.outputs()).unwrap_or(u32::MAX);
        for packet in batch.drain() {
            let output = context.random_below(outputs);
            context.emit(output as usize, packet);
        }
    }
}

/// HashSwitch: sends each packet to an output chosen by a hash of some of its bytes.
///
/// ```click
/// HashSwitch(OFFSET, LENGTH)
/// ```
///
/// Packets that agree in the LENGTH bytes from OFFSET on go to the same output: with the bytes
/// of the addresses, flows stay together. The hash is Click's: the sum of the bytes modulo the number
/// of outputs; for 2, 4 and 8 outputs its low bits and those from the fifth on, by exclusive or.
/// Packets that end before go to output 0.
///
/// See Click's manual page HashSwitch(n).
struct HashSwitch {
    offset: usize,
    length: usize,
}

impl Configure for HashSwitch {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.required::<u32>("OFFSET");
        let length = arguments.required::<u32>("LENGTH");
        arguments.finish()?;
        let (offset, length) = (offset?, length?);
        if length == 0 {
            return Err(arguments.error("length must be > 0"));
        }
        Ok(Self {
            offset: offset as usize,
            length: length as usize,
        })
    }
}

/// Which of so many outputs bytes go to.
fn hash(bytes: &[u8], outputs: u32) -> u32 {
    let sum = bytes.iter().fold(0_u32, |sum, byte| sum + u32::from(*byte));
    match outputs {
        0 => 0,
        2 | 4 | 8 => (sum ^ sum >> 4) & (outputs - 1),
        _ => sum % outputs,
    }
}

impl Element for HashSwitch {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        let outputs = u32::try_from(context.outputs()).unwrap_or(u32::MAX);
        for packet in batch.drain() {
            let bytes = packet
                .data()
                .get(self.offset..)
                .and_then(|rest| rest.get(..self.length));
            let output = bytes.map_or(0, |bytes| hash(bytes, outputs));
            context.emit(output as usize, packet);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn round_robin_switch_takes_turns_across_batches() {
        let bench = Bench::new(
            "FromDevice(in) -> s :: RoundRobinSwitch -> ToDevice(a); s[1] -> ToDevice(b);
             s[2] -> ToDevice(c)",
        );
        for frame in 0..4 {
            bench.arrive("in", &[frame]);
        }
        bench.run();
        bench.arrive("in", &[4]);
        bench.run();
        assert_eq!(bench.sent("a"), [[0], [3]]);
        assert_eq!(bench.sent("b"), [[1], [4]]);
        assert_eq!(bench.sent("c"), [[2]]);
    }

    #[test]
    fn random_switch_uses_every_output_about_equally() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 4000) -> s :: RandomSwitch -> a :: Counter -> Discard;
             s[1] -> b :: Counter -> Discard",
        );
        bench.run();
        let a: u32 = bench.read("a.count").parse().unwrap();
        let b: u32 = bench.read("b.count").parse().unwrap();
        assert_eq!(a + b, 4000);
        // Six standard deviations of 4,000 throws of a coin are 190.
        assert!(a.abs_diff(2000) < 190, "{a}");
    }

    #[test]
    fn hash_switch_keeps_flows_together_and_spreads_them() {
        let bench = Bench::new(
            "FromDevice(in) -> s :: HashSwitch(1, 2) -> ToDevice(a); s[1] -> ToDevice(b)",
        );
        for flow in 0..=255 {
            bench.arrive("in", &[0, flow, 9]);
            bench.arrive("in", &[1, flow, 9]);
        }
        bench.run();
        let (a, b) = (bench.sent("a"), bench.sent("b"));
        assert_eq!(a.len() + b.len(), 512);
        for frames in [a, b] {
            assert!(frames.len() > 160, "{}", frames.len());
            for pair in frames.chunks(2) {
                assert_eq!(pair[0][1..], pair[1][1..]);
            }
        }
    }

    #[test]
    fn hash_switch_goes_by_the_sum_of_bytes() {
        // By hand: 0x85 + 0x92 is 0x117, of which 7 ^ 1 has the low bits 10, and which is 0 modulo 3.
        for (outputs, expected) in [(3, 0), (4, 2)] {
            let others: std::string::String = (1..outputs)
                .map(|output| std::format!("s[{output}] -> ToDevice(out{output});"))
                .collect();
            let bench = Bench::new(&std::format!(
                "FromDevice(in) -> s :: HashSwitch(1, 2) -> ToDevice(out0); {others}"
            ));
            bench.arrive("in", &[7, 0x85, 0x92]);
            bench.run();
            assert_eq!(
                bench.sent(&std::format!("out{expected}")).len(),
                1,
                "{outputs}"
            );
        }
    }

    #[test]
    fn hash_switch_sends_short_packets_to_output_zero() {
        let bench = Bench::new(
            "FromDevice(in) -> s :: HashSwitch(4, 4) -> ToDevice(a); s[1] -> ToDevice(b)",
        );
        for byte in 0..16 {
            bench.arrive("in", &[byte; 7]);
        }
        bench.run();
        assert_eq!(bench.sent("a").len(), 16);
    }
}
