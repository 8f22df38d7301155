use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::arguments::{Argument, ArgumentError, Names, Word};
use sprat_click::decimal;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

pub(super) const RANDOM_SAMPLE: Class = Class::of::<RandomSample>("RandomSample")
    .ports("1/1-2")
    .processing("a/ah")
    .reconfigurable()
    .arguments(&[("active", "ACTIVE")]);
pub(super) const PROB_SPLITTER: Class = RANDOM_SAMPLE.named("ProbSplitter");
pub(super) const RANDOM_BIT_ERRORS: Class = Class::of::<RandomBitErrors>("RandomBitErrors");

/// A probability, kept as how many of 2^32 random numbers mean yes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Probability {
    value: f64,
    threshold: u64,
}

impl Probability {
    fn new(value: f64) -> Option<Self> {
        if !(0.0..=1.0).contains(&value) {
            return None;
        }
        // At most 2^32, which both types hold exactly.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let threshold = (value * 4_294_967_296.0 + 0.5) as u64;
        Some(Self { value, threshold })
    }

    fn happens(self, context: &Context<'_>) -> bool {
        u64::from(context.random()) < self.threshold
    }

    fn complement(self) -> Self {
        Self {
            value: 1.0 - self.value,
            threshold: (1 << 32) - self.threshold,
        }
    }
}

impl Argument for Probability {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        Self::new(f64::parse(text, names)?)
            .ok_or_else(|| ArgumentError::other("must be between 0 and 1"))
    }
}

/// A number that is a probability, if it is between 0 and 1.
struct Share(Option<Probability>);

impl Argument for Share {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        f64::parse(text, names).map(|value| Self(Probability::new(value)))
    }
}

/// Reads a probability written to a handler.
fn written(value: &str, names: &dyn Names) -> Result<Probability, HandlerError> {
    Probability::parse(value.trim(), names)
        .map_err(|_| HandlerError::failed("Must be given a number between 0.0 and 1.0"))
}

/// RandomSample: passes packets with some probability.
///
/// ```click
/// RandomSample(P [, keywords DROP, SAMPLE, ACTIVE])
/// ProbSplitter(P)
/// ```
///
/// - P or SAMPLE: the probability that a packet goes to output 0. The others go to output 1, and
///   are dropped where it is not connected. Of ProbSplitter, Click's older element, P is the probability
///   that a packet goes to output 1.
/// - DROP: the probability that one does not; instead of P.
/// - ACTIVE: while it is false, all packets go to output 0; true.
///
/// Handlers: `sampling_prob`, `drop_prob`, `active` (read, write); `drops` (read): packets that
/// did not go to output 0; `clear_counts` (write). ProbSplitter has `prob` too (read, write), its P.
///
/// See Click's manual pages RandomSample(n) and ProbSplitter(n).
struct RandomSample {
    sample: Probability,
    /// Whether it is a ProbSplitter.
    splits: bool,
    active: bool,
    drops: u64,
}

impl Configure for RandomSample {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id()).name;
        let splits = class == PROB_SPLITTER.name;
        let drop = arguments.keyword::<Share>("DROP");
        let sample = arguments.keyword::<Share>("SAMPLE");
        let first = if splits {
            Some(arguments.required::<Share>("P"))
        } else {
            arguments.position::<Share>("P").map(Ok)
        };
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        arguments.finish()?;
        if drop.is_some() && sample.is_some() {
            return Err(arguments.error("give at most one of SAMPLE and DROP"));
        }
        let chosen = match (drop, sample, first.transpose()?) {
            (Some(drop), ..) => drop.0.map(Probability::complement),
            (_, Some(sample), _) => sample.0,
            (.., Some(first)) if splits => first.0.map(Probability::complement),
            (.., first) => first.and_then(|first| first.0),
        };
        let Some(sample) = chosen else {
            return Err(arguments.error("sampling probability must be between 0 and 1"));
        };
        Ok(Self {
            sample,
            splits,
            active,
            drops: 0,
        })
    }
}

impl Element for RandomSample {
    fn configuration(&self) -> Option<String> {
        let probability = decimal::shortest(self.sample.value);
        (!self.splits).then(|| format!("SAMPLE {probability}, ACTIVE {}", self.active))
    }

    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        if !self.active {
            return;
        }
        batch.filter(|packet| {
            if self.sample.happens(context) {
                return Some(packet);
            }
            self.drops += 1;
            context.emit(1, packet);
            None
        });
    }

    fn keep_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.drops = old.drops;
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("sampling_prob")
            .read_write("drop_prob")
            .read_write("active")
            .read("drops")
            .button("clear_counts");
        if self.splits {
            list.read_write("prob");
        }
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "sampling_prob" => Ok(decimal::shortest(self.sample.value)),
            "drop_prob" | "prob" => Ok(decimal::shortest(self.sample.complement().value)),
            "active" => Ok(self.active.to_string()),
            "drops" => Ok(self.drops.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "sampling_prob" => self.sample = written(value, &context.names())?,
            "drop_prob" | "prob" => {
                self.sample = written(value, &context.names())?.complement();
            }
            "active" => self.active = crate::argument_value(context, name, value)?,
            "clear_counts" => self.drops = 0,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

/// What happens to a bit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flip,
    Set,
    Clear,
}

impl Argument for Kind {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        match &*Word::parse(text, names)?.0 {
            "flip" => Ok(Self::Flip),
            "set" => Ok(Self::Set),
            "clear" => Ok(Self::Clear),
            "" => Ok(Self::Flip),
            other => Err(ArgumentError::other(format!(
                "bad action '{other}' (must be 'set', 'clear', or 'flip')"
            ))),
        }
    }
}

/// RandomBitErrors: changes bits of packets with some probability.
///
/// ```click
/// RandomBitErrors(P [, KIND, ACTIVE])
/// ```
///
/// - P: the probability that a bit is changed, each on its own.
/// - KIND: `flip`, the default, `set` or `clear`.
/// - ACTIVE: whether it changes any; true.
///
/// Handlers: `p_bit_error`, `error_kind`, `active` (read, write).
///
/// See Click's manual page RandomBitErrors(n).
struct RandomBitErrors {
    probability: Probability,
    kind: Kind,
    active: bool,
}

impl Configure for RandomBitErrors {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let probability = arguments.required("P");
        let kind = arguments.position::<Word>("KIND");
        let active = arguments.position("ACTIVE").unwrap_or(true);
        arguments.finish()?;
        let Share(probability) = probability?;
        let kind = kind.map_or(Ok(Kind::Flip), |Word(kind)| {
            Kind::parse(&kind, arguments.names())
        });
        let kind = kind.map_err(|error| arguments.error(format!("{error}")))?;
        let Some(probability) = probability else {
            return Err(arguments.error("drop probability must be between 0 and 1"));
        };
        if probability.threshold == 0 {
            arguments.warning("zero bit error probability (underflow?)");
        }
        Ok(Self {
            probability,
            kind,
            active,
        })
    }
}

impl Element for RandomBitErrors {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        if !self.active {
            return;
        }
        for packet in batch.iter_mut() {
            for byte in packet.data_mut() {
                let mut errors = 0_u8;
                for bit in 0..8 {
                    errors |= u8::from(self.probability.happens(context)) << bit;
                }
                match self.kind {
                    Kind::Flip => *byte ^= errors,
                    Kind::Set => *byte |= errors,
                    Kind::Clear => *byte &= !errors,
                }
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("p_bit_error")
            .read_write("error_kind")
            .read_write("active");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "p_bit_error" => Ok(decimal::shortest(self.probability.value)),
            "error_kind" => Ok(match self.kind {
                Kind::Flip => "flip",
                Kind::Set => "set",
                Kind::Clear => "clear",
            }
            .into()),
            "active" => Ok(self.active.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "p_bit_error" => self.probability = crate::handler_value(context, value)?,
            "error_kind" => self.kind = crate::handler_value(context, value)?,
            "active" => self.active = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn random_sample_passes_the_share_it_is_told() {
        let bench = Bench::new(
            "i :: InfiniteSource(LIMIT 10000) -> r :: RandomSample(0.25) -> c :: Counter -> Discard;
             r[1] -> Discard",
        );
        bench.run();
        let passed: u32 = bench.read("c.count").parse().unwrap();
        // Six standard deviations of 10,000 trials at a quarter are 260.
        assert!(passed.abs_diff(2500) < 260, "{passed}");
        assert_eq!(bench.read("r.drops").parse(), Ok(10000 - passed));
    }

    #[test]
    fn certain_and_impossible_are_exact() {
        for (config, expected) in [
            ("1", "100"),
            ("0", "0"),
            ("DROP 1", "0"),
            ("SAMPLE 1", "100"),
            ("0, ACTIVE false", "100"),
        ] {
            let bench = Bench::new(&std::format!(
                "InfiniteSource(LIMIT 100) -> RandomSample({config}) -> c :: Counter -> Discard"
            ));
            bench.run();
            assert_eq!(bench.read("c.count"), expected, "{config}");
        }
        let errors = Bench::errors("Idle -> r :: RandomSample(1.5) -> Idle");
        let expected = "sampling probability must be between 0 and 1";
        assert!(errors.contains(expected), "{errors}");
    }

    #[test]
    fn bit_errors_flip_set_or_clear() {
        for (config, expected) in [
            ("1", [0x0f, 0xff]),
            ("1, set", [0xff, 0xff]),
            ("1, clear", [0, 0]),
            ("0", [0xf0, 0]),
            ("1, flip, false", [0xf0, 0]),
        ] {
            let bench = Bench::new(&std::format!(
                "FromDevice(in) -> RandomBitErrors({config}) -> ToDevice(out)"
            ));
            bench.arrive("in", &[0xf0, 0]);
            bench.run();
            assert_eq!(bench.sent("out"), [expected], "{config}");
        }
    }
}
