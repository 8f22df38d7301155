use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;
use sprat_click::collections::sort;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::{AGGREGATE, EXTRA_LENGTH, EXTRA_PACKETS, FIRST_TIMESTAMP};
use sprat_packet::{Batch, Packet};

use super::ended::{Numbers, listen};

pub(super) const AGGREGATE_LAST: Class = Class::of::<AggregateLast>("AggregateLast")
    .ports("1/1-2")
    .processing("h/h");

/// AggregateLast: passes the last packet of each value of the aggregate annotation.
///
/// ```click
/// AggregateLast([keywords NOTIFIER, STOP_AFTER_CLEAR])
/// ```
///
/// The last packet of a value is known when the value is over: where NOTIFIER says so, else when the
/// handler `clear` is written. Until then one packet of each value is held. The others leave by
/// output 1 if there is one. The one that passes speaks for all: its extra packets and extra length
/// annotations tell of the others, and its first timestamp annotation is the first packet's time.
///
/// - NOTIFIER: an AggregateIPFlows or AggregateIPAddrPair, which tells what values are over.
/// - STOP_AFTER_CLEAR: whether the driver stops after `clear`; false.
///
/// Handlers: `clear` (write) passes everything held, in ascending order of values.
///
/// See Click's manual page AggregateLast(n).
pub(super) struct AggregateLast {
    notifier: Option<String>,
    stop_after_clear: bool,
    held: HashMap<u32, Packet>,
    ended: Numbers,
    /// Whether everything is to go.
    clearing: bool,
}

impl Configure for AggregateLast {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let notifier = arguments.keyword("NOTIFIER");
        let stop_after_clear = arguments.keyword("STOP_AFTER_CLEAR").unwrap_or(false);
        arguments.finish()?;
        Ok(Self {
            notifier,
            stop_after_clear,
            held: HashMap::new(),
            ended: Numbers::default(),
            clearing: false,
        })
    }
}

/// Has a packet speak for an earlier one, too.
fn include(packet: &mut Packet, earlier: &Packet) {
    let (of_packet, of_earlier) = (packet.annotations(), earlier.annotations());
    let sum = |annotation: usize, more: u32| {
        let sum = of_packet
            .word(annotation)
            .saturating_add(of_earlier.word(annotation));
        sum.saturating_add(more)
    };
    let packets = sum(EXTRA_PACKETS, 1);
    let length = sum(
        EXTRA_LENGTH,
        u32::try_from(earlier.len()).unwrap_or(u32::MAX),
    );
    let first = of_earlier.double(FIRST_TIMESTAMP);
    packet.set_annotation_word(EXTRA_PACKETS, packets);
    packet.set_annotation_word(EXTRA_LENGTH, length);
    packet.set_annotation_double(FIRST_TIMESTAMP, first);
}

impl AggregateLast {
    /// Passes what is over.
    fn release(&mut self, context: &mut Context<'_>) {
        for number in self.ended.borrow_mut().drain(..) {
            if let Some(packet) = self.held.remove(&number) {
                context.emit(0, packet);
            }
        }
    }
}

impl Element for AggregateLast {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if let Some(notifier) = &self.notifier {
            self.ended = listen(context, notifier)?;
        }
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        self.release(context);
        for mut packet in batch.drain() {
            let value = packet.annotations().word(AGGREGATE);
            match self.held.remove(&value) {
                Some(earlier) => {
                    include(&mut packet, &earlier);
                    context.emit(1, earlier);
                }
                None => {
                    let time = packet.timestamp().cast_unsigned();
                    packet.set_annotation_double(FIRST_TIMESTAMP, time);
                }
            }
            self.held.insert(value, packet);
        }
    }

    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        self.release(context);
        if core::mem::take(&mut self.clearing) {
            let mut values: Vec<u32> = self.held.keys().copied().collect();
            sort(&mut values);
            for value in values {
                if let Some(packet) = self.held.remove(&value) {
                    context.emit(0, packet);
                }
            }
            if self.stop_after_clear {
                context.stop_driver();
            }
        }
        true
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.button("clear");
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "clear" => {
                self.clearing = true;
                context.schedule_task();
                Ok(())
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use sprat_click::simulation::Simulation;

    use crate::testing::Bench;

    /// Four packets of two flows, the second of which begins when the first is long over.
    const DUMP: &str = "!data timestamp src sport dst dport proto ip_len ip_id\n\
                        10 1.0.0.1 1 2.0.0.2 2 U 40 1\n12 1.0.0.1 1 2.0.0.2 2 U 50 2\n\
                        13 2.0.0.2 2 1.0.0.1 1 U 60 3\n5000 3.0.0.3 1 2.0.0.2 2 U 70 4\n";

    fn bench(keywords: &str) -> Bench {
        let simulation = Simulation::new();
        simulation.put_file("in", DUMP.as_bytes());
        Bench::with(
            simulation,
            &std::format!(
                "FromIPSummaryDump(in) -> flows :: AggregateIPFlows
                 -> last :: AggregateLast({keywords})
                 -> AggregateLength -> ToIPSummaryDump(last, HEADER false, FIELDS ip_id count aggregate first_timestamp);
                 last[1] -> ToIPSummaryDump(others, HEADER false, FIELDS ip_id)"
            ),
        )
    }

    fn file(bench: &Bench, name: &str) -> String {
        String::from_utf8(bench.simulation.file(name).unwrap_or_default()).expect("text")
    }

    #[test]
    fn the_last_packet_speaks_for_all_when_cleared() {
        let bench = bench("");
        bench.run();
        assert_eq!(file(&bench, "last"), "");
        assert_eq!(file(&bench, "others"), "1\n2\n");
        bench.write("last.clear", "");
        bench.run();
        assert_eq!(
            file(&bench, "last"),
            "3 3 150 10.000000\n4 1 70 5000.000000\n"
        );
    }

    #[test]
    fn a_flow_that_is_over_passes_at_once() {
        let bench = bench("NOTIFIER flows");
        bench.run();
        // The first flow is reaped when the packet at 5000 seconds comes; 20 minutes is the interval.
        assert_eq!(file(&bench, "last"), "3 3 150 10.000000\n");
        bench.write("flows.clear", "");
        bench.run();
        assert!(file(&bench, "last").ends_with("4 1 70 5000.000000\n"));
    }

    #[test]
    fn the_driver_stops_after_clearing_where_asked_to() {
        let bench = bench("STOP_AFTER_CLEAR true");
        bench.run();
        bench.write("last.clear", "");
        assert!(bench.run());
    }
}
