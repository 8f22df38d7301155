use alloc::string::String;

use hashbrown::HashSet;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;
use sprat_packet::annotations::AGGREGATE;

use super::ended::{Numbers, listen};

pub(super) const AGGREGATE_FIRST: Class = Class::of::<AggregateFirst>("AggregateFirst")
    .ports("1/1-2")
    .processing("a/ah");

/// AggregateFirst: passes the first packet of each value of the aggregate annotation.
///
/// ```click
/// AggregateFirst([keyword NOTIFIER])
/// ```
///
/// All others leave by output 1 if there is one.
///
/// - NOTIFIER: an AggregateIPFlows or AggregateIPAddrPair, which tells what values will not come
///   again. What is known of them is forgotten.
///
/// See Click's manual page AggregateFirst(n).
struct AggregateFirst {
    notifier: Option<String>,
    seen: HashSet<u32>,
    ended: Numbers,
}

impl Configure for AggregateFirst {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let notifier = arguments.keyword("NOTIFIER");
        arguments.finish()?;
        Ok(Self {
            notifier,
            seen: HashSet::new(),
            ended: Numbers::default(),
        })
    }
}

impl Element for AggregateFirst {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if let Some(notifier) = &self.notifier {
            self.ended = listen(context, notifier)?;
        }
        Ok(())
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| {
            if self.seen.insert(packet.annotations().word(AGGREGATE)) {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
        for number in self.ended.borrow_mut().drain(..) {
            self.seen.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use crate::testing::Bench;

    #[test]
    fn the_first_packet_of_each_value_passes() {
        let bench = Bench::new(
            "FromDevice(in) -> AggregateLength -> f :: AggregateFirst -> ToDevice(first);
             f[1] -> ToDevice(others)",
        );
        for (length, mark) in [(60, 1), (60, 2), (61, 3), (60, 4), (61, 5)] {
            let mut frame = std::vec![0; length];
            frame[0] = mark;
            bench.arrive("in", &frame);
        }
        bench.run();
        let marks =
            |device| -> Vec<u8> { bench.sent(device).iter().map(|frame| frame[0]).collect() };
        assert_eq!(marks("first"), [1, 3]);
        assert_eq!(marks("others"), [2, 4, 5]);
    }

    #[test]
    fn notifiers_must_be_elements_that_number_flows() {
        let errors = Bench::errors("Idle -> c :: Counter -> AggregateFirst(NOTIFIER c) -> Idle");
        assert!(
            errors.contains("NOTIFIER: 'c' is no element that numbers flows"),
            "{errors}"
        );
    }
}
