use alloc::format;
use alloc::vec::Vec;

use sprat_click::arguments::{Argument, NoNames, split_words};
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
/// spaces; `all` or `-` alone are all that is not listed before. What is listed nowhere is dropped, and
/// so is what goes to an output that is not there. Values that an earlier argument sends elsewhere, and
/// arguments behind `all`, are warned of.
///
/// See Click's manual page AggregateFilter(n).
struct AggregateFilter {
    /// Ranges of values that do not overlap, ascending, with where they go.
    ranges: Vec<(u32, u32, Option<u32>)>,
}

/// How many values of one range that go elsewhere already are warned of.
const WARNED: usize = 256;

impl Configure for AggregateFilter {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut filter = Self { ranges: Vec::new() };
        // Outputs are counted in sixteen bits.
        let none = u32::try_from(configuration.outputs()).unwrap_or(u32::MAX);
        let mut rest = false;
        for (number, text) in arguments.rest().iter().enumerate() {
            let words = split_words(text);
            let Some((action, values)) = words.split_first() else {
                arguments.error(format!("empty pattern {number}"));
                continue;
            };
            if rest {
                arguments.warning(format!("pattern {number} matches no packets"));
                continue;
            }
            let output = match action.as_str() {
                "allow" => Some(0),
                "drop" | "deny" => None,
                port => match u32::parse(port, &NoNames) {
                    Ok(port) if port <= i32::MAX.unsigned_abs() => Some(port),
                    _ => {
                        arguments.error(format!("pattern {number}: expected a port number"));
                        continue;
                    }
                },
            };
            if values.is_empty() {
                arguments.error(format!("pattern {number} has no aggregates"));
            } else if let [all] = values
                && (all == "all" || all == "-")
            {
                filter.add(0, u32::MAX, output);
                rest = true;
                continue;
            }
            for value in values {
                let Some((low, high)) = range(value) else {
                    arguments.error(format!("pattern {number}: bad aggregate number '{value}'"));
                    continue;
                };
                for (value, known) in filter.elsewhere(low, high, output) {
                    let known = known.unwrap_or(none);
                    arguments.warning(format!(
                        "pattern {number}: aggregate {value} already filtered to output {known}"
                    ));
                }
                if low <= high {
                    filter.add(low, high, output);
                }
            }
        }
        arguments.finish()?;
        Ok(filter)
    }
}

/// Reads a value or a range.
fn range(text: &str) -> Option<(u32, u32)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| u32::parse(text, &NoNames).ok();
    Some((number(low)?, number(high)?))
}

impl AggregateFilter {
    /// Values of a range that go elsewhere already, the first of them.
    fn elsewhere(&self, low: u32, high: u32, output: Option<u32>) -> Vec<(u32, Option<u32>)> {
        let others = self.ranges.iter().filter(|range| range.2 != output);
        let values = others.flat_map(|&(first, last, known)| {
            (first.max(low)..=last.min(high)).map(move |value| (value, known))
        });
        values.take(WARNED).collect()
    }

    /// Adds what no earlier range has.
    fn add(&mut self, low: u32, high: u32, output: Option<u32>) {
        let mut merged = Vec::with_capacity(self.ranges.len() + 2);
        // From here on nothing has been said yet.
        let mut from = Some(low);
        let gap = |from: u32, to: u32, merged: &mut Vec<_>| merged.push((from, to, output));
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
    }

    fn output(&self, value: u32) -> Option<u32> {
        let after = self.ranges.partition_point(|(low, ..)| *low <= value);
        let (_, high, output) = self.ranges.get(after.checked_sub(1)?)?;
        output.filter(|_| value <= *high)
    }
}

impl Element for AggregateFilter {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            if let Some(output) = self.output(packet.annotations().word(AGGREGATE)) {
                context.emit(output as usize, packet);
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
            ("-1 5", "pattern 0: expected a port number"),
            (
                "allow 5, allow 9-x",
                "pattern 1: bad aggregate number '9-x'",
            ),
            ("allow 5 all", "pattern 0: bad aggregate number 'all'"),
            ("allow", "pattern 0 has no aggregates"),
            ("allow -, 1 5", "warning: pattern 1 matches no packets"),
            (
                "allow 5, drop 4-6",
                "warning: pattern 1: aggregate 5 already filtered to output 0",
            ),
        ] {
            // Something else is wrong, so that what is only warned of is told too.
            let errors = Bench::errors(&std::format!(
                "Idle -> AggregateFilter({arguments}) -> Idle; Idle -> Strip(x) -> Idle"
            ));
            assert!(errors.contains(wrong), "{errors}");
        }
    }

    proptest! {
        #[test]
        fn ranges_decide_as_a_search_from_the_first_would(
            filters in prop::collection::vec((0..40_u32, 0..12_u32, prop::option::of(0..3_u32)), 0..8),
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
