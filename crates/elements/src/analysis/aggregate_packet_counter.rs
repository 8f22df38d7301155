use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hashbrown::HashMap;
use sprat_click::arguments::{Annotation, Argument};
use sprat_click::collections::sort;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::annotations::{AGGREGATE, PACKET_NUMBER};
use sprat_packet::{Batch, Packet};

pub(super) const AGGREGATE_PACKET_COUNTER: Class =
    Class::of::<AggregatePacketCounter>("AggregatePacketCounter")
        .ports("1-/=")
        .flow("#/#");

/// AggregatePacketCounter: counts packets by aggregate annotation and packet number.
///
/// ```click
/// AggregatePacketCounter([keyword ANNO])
/// ```
///
/// Packets from input N go to output N. Of each value of the aggregate annotation it counts how often each
/// packet number came by each input, so that what was sent can be compared to what arrived.
///
/// - ANNO: the annotation of four bytes with the packet number; PACKET_NUMBER. NONE: all packets of an
///   aggregate have the number 0.
///
/// Handlers: `count` (read): packets in all; `received AGGREGATE` (read): the numbers that came by any
/// input, one a line; `undelivered AGGREGATE` (read): those that came by input 0 and not by input 1;
/// `clear` (write): forgets everything.
///
/// See Click's manual page AggregatePacketCounter(n).
struct AggregatePacketCounter {
    annotation: Option<usize>,
    inputs: usize,
    /// By aggregate and packet number: whether it came by input 0, by input 1, at all.
    seen: HashMap<u32, HashMap<u32, [bool; 2]>>,
    count: u64,
}

impl Configure for AggregatePacketCounter {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let annotation = arguments.keyword_with("ANNO", |text, names| match text {
            "NONE" => Ok(None),
            _ => Annotation::parse(text, names).map(Some),
        });
        let wrong = |annotation: Annotation| annotation.size.is_some_and(|size| size != 4);
        if annotation.flatten().is_some_and(wrong) {
            arguments.error("ANNO: must be an annotation of four bytes");
        }
        let annotation = match annotation {
            None => Some(PACKET_NUMBER),
            Some(named) => named.map(|annotation| usize::from(annotation.offset)),
        };
        arguments.finish()?;
        Ok(Self {
            annotation,
            inputs: configuration.inputs(),
            seen: HashMap::new(),
            count: 0,
        })
    }
}

impl AggregatePacketCounter {
    fn add(&mut self, port: usize, packet: &Packet) {
        self.count += 1;
        let annotations = packet.annotations();
        let number = self.annotation.map_or(0, |at| annotations.word(at));
        let flow = self.seen.entry(annotations.word(AGGREGATE)).or_default();
        let seen = flow.entry(number).or_default();
        if let Some(seen) = seen.get_mut(port) {
            *seen = true;
        }
    }

    /// The numbers of an aggregate for which `wanted` holds.
    fn numbers(&self, aggregate: u32, wanted: impl Fn(&[bool; 2]) -> bool) -> String {
        let flow = self.seen.get(&aggregate).into_iter().flatten();
        let numbers = flow.filter(|(_, seen)| wanted(seen));
        let mut numbers: Vec<u32> = numbers.map(|(number, _)| *number).collect();
        sort(&mut numbers);
        numbers
            .into_iter()
            .fold(String::new(), |text, number| format!("{text}{number}\n"))
    }
}

/// Reads the aggregate that is asked about; 0 where none is.
fn number(context: &Context<'_>, parameters: &str) -> Result<u32, HandlerError> {
    match parameters.trim() {
        "" => Ok(0),
        text => crate::value_or(context, text, "argument should be aggregate number"),
    }
}

impl Element for AggregatePacketCounter {
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        for packet in batch.iter() {
            self.add(port, packet);
        }
        context.forward(port, batch);
    }

    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        context.pull(port, limit, batch);
        for packet in batch.iter() {
            self.add(port, packet);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("count").read_with_parameters("received");
        if self.inputs >= 2 {
            list.read_with_parameters("undelivered");
        }
        list.button("clear");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        match name {
            "count" => Ok(self.count.to_string()),
            "received" => {
                let aggregate = number(context, parameters)?;
                Ok(self.numbers(aggregate, |_| true))
            }
            "undelivered" => {
                let aggregate = number(context, parameters)?;
                Ok(self.numbers(aggregate, |[sent, arrived]| *sent && !arrived))
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "clear" => {
                self.seen.clear();
                self.count = 0;
                Ok(())
            }
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use sprat_click::simulation::Simulation;

    use crate::testing::Bench;

    #[test]
    fn what_was_sent_and_did_not_arrive_is_told_by_aggregate() {
        let simulation = Simulation::new();
        let sent = "!data aggregate count\n7 11\n7 12\n7 13\n8 20\n";
        simulation.put_file("sent", sent.as_bytes());
        simulation.put_file("arrived", b"!data aggregate count\n7 12\n7 14\n8 20\n");
        // The count of a line goes into the annotation at byte 24, less one.
        let bench = Bench::with(
            simulation,
            "FromIPSummaryDump(sent) -> [0] c :: AggregatePacketCounter(ANNO 24/4) [0] -> Discard;
             FromIPSummaryDump(arrived) -> [1] c [1] -> a :: Counter -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("c.count"), "7");
        assert_eq!(bench.read("a.count"), "3");
        assert_eq!(bench.read("c.received 7"), "10\n11\n12\n13\n");
        assert_eq!(bench.read("c.undelivered 7"), "10\n12\n");
        assert_eq!(bench.read("c.undelivered 8"), "");
        bench.write("c.clear", "");
        assert_eq!(bench.read("c.received 7"), "");
        assert_eq!(bench.read("c.count"), "0");
    }

    #[test]
    fn without_an_annotation_all_packets_have_the_number_zero() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 3) -> c :: AggregatePacketCounter(ANNO NONE) -> Discard",
        );
        bench.run();
        assert_eq!(bench.read("c.received 0"), "0\n");
        let errors = Bench::errors("Idle -> AggregatePacketCounter(ANNO PAINT) -> Idle");
        assert!(
            errors.contains("ANNO: must be an annotation of four bytes"),
            "{errors}"
        );
    }
}
