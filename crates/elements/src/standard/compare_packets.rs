use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::{Batch, Packet};

pub(super) const COMPARE_PACKETS: Class = Class::of::<ComparePackets>("ComparePackets")
    .ports("2/2")
    .processing("l/l")
    .flow("xy/xy");

/// ComparePackets: compares packets in pairs.
///
/// ```click
/// ComparePackets([keyword TIMESTAMP])
/// ```
///
/// The first packet pulled from input 0 is compared with the first pulled from input 1, and so on; they
/// leave by the outputs of the same numbers. Two differ in length, bytes, timestamp, or where their
/// network header is and how long.
///
/// - TIMESTAMP: whether timestamps are compared; true.
///
/// Handlers (all read): `diffs` the pairs that differ; `all_same` whether none does; `diff_details` how
/// many differ in what.
///
/// See Click's manual page ComparePackets(n).
struct ComparePackets {
    timestamp: bool,
    /// Of each input, packets compared already that nobody has pulled.
    compared: [VecDeque<Packet>; 2],
    /// Of each input, packets that wait for their other.
    alone: [VecDeque<Packet>; 2],
    pulled: Batch,
    different: u64,
    /// How many pairs differ in each of [`WHAT`].
    details: [u64; WHAT.len()],
}

/// What packets may differ in.
const WHAT: [&str; 5] = [
    "length",
    "data",
    "timestamp",
    "network header offset",
    "network header length",
];

impl Configure for ComparePackets {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let timestamp = arguments.keyword("TIMESTAMP").unwrap_or(true);
        arguments.finish()?;
        Ok(Self {
            timestamp,
            compared: [VecDeque::new(), VecDeque::new()],
            alone: [VecDeque::new(), VecDeque::new()],
            pulled: Batch::new(),
            different: 0,
            details: [0; WHAT.len()],
        })
    }
}

impl ComparePackets {
    /// Pulls from both inputs and compares what has come in pairs.
    fn fill(&mut self, context: &mut Context<'_>, limit: usize) {
        for (input, alone) in self.alone.iter_mut().enumerate() {
            let missing = limit.saturating_sub(alone.len());
            context.pull(input, missing, &mut self.pulled);
            alone.extend(self.pulled.drain());
        }
        while let [Some(first), Some(second)] = [self.alone[0].front(), self.alone[1].front()] {
            let differ = [
                first.len() != second.len(),
                first.data() != second.data(),
                self.timestamp && first.timestamp() != second.timestamp(),
                first.network_offset() != second.network_offset(),
                first.network_header_len() != second.network_header_len(),
            ];
            self.different += u64::from(differ.contains(&true));
            for (count, differs) in self.details.iter_mut().zip(differ) {
                *count += u64::from(differs);
            }
            for (compared, alone) in self.compared.iter_mut().zip(&mut self.alone) {
                compared.extend(alone.pop_front());
            }
        }
    }
}

impl Element for ComparePackets {
    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        if self.compared[port].is_empty() {
            self.fill(context, limit - batch.len());
        }
        while batch.len() < limit
            && let Some(packet) = self.compared[port].pop_front()
        {
            batch.push(packet);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("diffs").read("diff_details").read("all_same");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "diffs" => Ok(self.different.to_string()),
            "all_same" => Ok((self.different == 0).to_string()),
            "diff_details" => Ok(self
                .details
                .iter()
                .zip(WHAT)
                .map(|(count, what)| format!("{count} different {what}\n"))
                .collect()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    fn compare(first: &[u8], second: &[u8]) -> Bench {
        let bench = Bench::new(
            "FromDevice(a) -> Queue -> c :: ComparePackets -> Unqueue -> ToDevice(x);
             FromDevice(b) -> Queue -> [1]c; c[1] -> Unqueue -> ToDevice(y)",
        );
        bench.arrive("a", first);
        bench.arrive("b", second);
        bench.run();
        assert_eq!(bench.sent("x"), [first]);
        assert_eq!(bench.sent("y"), [second]);
        bench
    }

    #[test]
    fn comparepackets_passes_pairs_and_counts_those_that_differ() {
        let bench = compare(b"same", b"same");
        assert_eq!(bench.read("c.all_same"), "true");
        let bench = compare(b"one", b"other");
        assert_eq!(bench.read("c.diffs"), "1");
        assert_eq!(
            bench.read("c.diff_details"),
            "1 different length\n1 different data\n0 different timestamp\n\
             0 different network header offset\n0 different network header length\n"
        );
    }
}
