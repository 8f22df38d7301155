use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;
use sprat_packet::annotations::AGGREGATE;

pub(super) const AGGREGATE_PAINT: Class = Class::of::<AggregatePaint>("AggregatePaint");

/// AggregatePaint: sets the aggregate annotation to the paint.
///
/// ```click
/// AggregatePaint([LENGTH, keyword INCREMENTAL])
/// ```
///
/// - LENGTH: how many of the paint's lower bits, 1 to 8; all 8.
/// - INCREMENTAL: whether the old aggregate is moved up by LENGTH bits and kept, so that packets are
///   told apart by both; false.
///
/// See Click's manual page AggregatePaint(n).
struct AggregatePaint {
    length: u32,
    incremental: bool,
}

impl Configure for AggregatePaint {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let length = arguments.position("LENGTH").unwrap_or(8);
        let incremental = arguments.keyword("INCREMENTAL").unwrap_or(false);
        arguments.finish()?;
        if !(1..=8).contains(&length) {
            return Err(arguments.error("LENGTH: must be between 1 and 8"));
        }
        Ok(Self {
            length,
            incremental,
        })
    }
}

impl Element for AggregatePaint {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let annotations = packet.annotations();
            let paint = u32::from(annotations.paint()) & ((1 << self.length) - 1);
            let above = match self.incremental {
                true => annotations.word(AGGREGATE) << self.length,
                false => 0,
            };
            packet.set_annotation_word(AGGREGATE, above | paint);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};

    use crate::testing::Bench;

    /// The aggregate of one packet that comes painted.
    fn aggregate(paint: u8, elements: &str) -> String {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> Paint({paint}) -> {elements} -> c :: AggregateCounter -> Discard"
        ));
        bench.arrive("in", &[0; 60]);
        bench.run();
        bench.write("c.write_ascii_file", "counts");
        let counts = bench.simulation.file("counts").unwrap_or_default();
        let text = String::from_utf8(counts).expect("text");
        let line = text.lines().last().expect("one line");
        line.split(' ').next().expect("a value").to_string()
    }

    #[test]
    fn the_aggregate_is_the_paint_or_its_lower_bits() {
        assert_eq!(aggregate(0xb5, "AggregatePaint"), "181");
        assert_eq!(aggregate(0xb5, "AggregatePaint(3)"), "5");
    }

    #[test]
    fn incremental_paint_stands_below_what_was_there() {
        // Sixty is the packet's length: 60 * 2^4 + 5.
        let elements = "AggregateLength -> AggregatePaint(4, INCREMENTAL true)";
        assert_eq!(aggregate(0xb5, elements), "965");
    }

    #[test]
    fn lengths_beyond_a_byte_are_refused() {
        let errors = Bench::errors("Idle -> AggregatePaint(9) -> Idle");
        assert!(
            errors.contains("LENGTH: must be between 1 and 8"),
            "{errors}"
        );
    }
}
