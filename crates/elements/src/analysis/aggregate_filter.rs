use alloc::format;
use alloc::vec::Vec;

use sprat_click::arguments::split_words;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;
use sprat_packet::annotations::AGGREGATE;

pub(super) const AGGREGATE_FILTER: Class = Class::of::<AggregateFilter>("AggregateFilter")
    .ports("1/1-254")
    .processing("h/h");

/// AggregateFilter: sends packets where the value of their aggregate annotation says.
///
/// ```click
/// AggregateFilter(ACTION AGGREGATES, ...)
/// ```
///
/// The first argument that lists a packet's value decides. ACTION is the number of an output, `allow`
/// for output 0, or `drop` or `deny`. AGGREGATES are values and ranges such as `0-98`, separated by
/// spaces; `all` and `-` are all. What is listed nowhere is dropped. Values that an earlier argument
/// has already, and arguments of which nothing is left, are warned of.
///
/// See Click's manual page AggregateFilter(n).
struct AggregateFilter {
    /// Ranges of values that do not overlap, ascending, with where they go.
    ranges: Vec<(u32, u32, Option<u8>)>,
}

impl Configure for AggregateFilter {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut filter = Self { ranges: Vec::new() };
        for (number, text) in arguments.rest().iter().enumerate() {
            let words = split_words(text);
            let number = number + 1;
            let Some((action, values)) = words.split_first() else {
                arguments.error(format!("argument {number}: empty filter"));
                continue;
            };
            let output = match action.as_str() {
                "allow" => Some(0),
                "drop" | "deny" => None,
                port => match port.parse::<u8>() {
                    Ok(port) if usize::from(port) < configuration.outputs() => Some(port),
                    _ => {
                        arguments.error(format!("argument {number}: bad action '{action}'"));
                        continue;
                    }
                },
            };
            let mut added = false;
            for value in values {
                let Some((low, high)) = range(value) else {
                    arguments.error(format!("argument {number}: bad aggregate '{value}'"));
                    continue;
                };
                if filter.add(low, high, output) {
                    added = true;
                } else {
                    arguments.warning(format!("argument {number}: aggregate '{value}' ignored"));
                }
            }
            if !added {
                arguments.warning(format!("argument {number}: matches no packets"));
            }
        }
        arguments.finish()?;
        Ok(filter)
    }
}

/// Reads a value or a range.
fn range(text: &str) -> Option<(u32, u32)> {
    if text == "all" || text == "-" {
        return Some((0, u32::MAX));
    }
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high).then_some((low, high))
}

impl AggregateFilter {
    /// Adds what no earlier range has; says whether that was anything.
    fn add(&mut self, low: u32, high: u32, output: Option<u8>) -> bool {
        let mut merged = Vec::with_capacity(self.ranges.len() + 2);
        let mut added = false;
        // From here on nothing has been said yet.
        let mut from = Some(low);
        let mut gap = |from: u32, to: u32, merged: &mut Vec<_>| {
            added = true;
            merged.push((from, to, output));
        };
        for &known in &self.ranges {
            let (first, last, _) = known;
            if let Some(start) = from
                && first > start
            {
                let end = high.min(first - 1);
                if start <= end {
                    gap(start, end, &mut merged);
                }
                from = Some(first);
            }
            merged.push(known);
            if let Some(start) = from
                && last >= start
            {
                from = last.checked_add(1);
            }
            from = from.filter(|start| *start <= high);
        }
        if let Some(start) = from {
            gap(start, high, &mut merged);
        }
        self.ranges = merged;
        added
    }

    fn output(&self, value: u32) -> Option<u8> {
        let after = self.ranges.partition_point(|(low, ..)| *low <= value);
        let (_, high, output) = self.ranges.get(after.checked_sub(1)?)?;
        output.filter(|_| value <= *high)
    }
}

impl Element for AggregateFilter {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            if let Some(output) = self.output(packet.annotations().word(AGGREGATE)) {
                context.emit(usize::from(output), packet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::testing::Bench;

    #[test]
    fn the_first_argument_that_lists_a_value_decides() {
        let bench = Bench::new(
            "FromDevice(in) -> AggregateLength
             -> f :: AggregateFilter(deny 61, 1 60-62 70, allow 0-99);
             f[0] -> ToDevice(out); f[1] -> ToDevice(other)",
        );
        for length in [60, 61, 62, 63, 70, 100] {
            bench.arrive("in", &std::vec![0; length]);
        }
        bench.run();
        let lengths = |device| -> Vec<usize> { bench.sent(device).iter().map(Vec::len).collect() };
        assert_eq!(lengths("other"), [60, 62, 70]);
        assert_eq!(lengths("out"), [63]);
    }

    #[test]
    fn wrong_filters_are_named() {
        for (arguments, wrong) in [
            ("2 5", "argument 1: bad action '2'"),
            ("allow 5, allow 9-3", "argument 2: bad aggregate '9-3'"),
        ] {
            let errors = Bench::errors(&std::format!(
                "Idle -> AggregateFilter({arguments}) -> Idle"
            ));
            assert!(errors.contains(wrong), "{errors}");
        }
    }

    proptest! {
        #[test]
        fn ranges_decide_as_a_search_from_the_first_would(
            filters in prop::collection::vec((0..40_u32, 0..12_u32, prop::option::of(0..3_u8)), 0..8),
        ) {
            let mut filter = AggregateFilter { ranges: Vec::new() };
            for (low, length, output) in &filters {
                filter.add(*low, low + length, *output);
            }
            for value in 0..60 {
                let first = filters
                    .iter()
                    .find(|(low, length, _)| (*low..=low + length).contains(&value));
                prop_assert_eq!(filter.output(value), first.and_then(|(_, _, output)| *output));
            }
        }
    }
}
