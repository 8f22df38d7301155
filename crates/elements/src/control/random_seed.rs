use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};

pub(super) const RANDOM_SEED: Class = Class::of::<RandomSeed>("RandomSeed")
    .ports("0/0")
    .arguments(&[("seed", "0 SEED")]);

/// RandomSeed: says what the router's random choices follow from.
///
/// ```click
/// RandomSeed([SEED])
/// ```
///
/// With a SEED, a number, they are the same each time the router runs. Without, they are not.
///
/// Handlers: `seed` (write): the same, with or without a number.
///
/// See Click's manual page RandomSeed(n).
struct RandomSeed {
    seed: Option<u32>,
}

impl Configure for RandomSeed {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let seed = arguments.position("SEED");
        arguments.finish()?;
        Ok(Self { seed })
    }
}

fn seed(context: &Context<'_>, seed: Option<u32>) {
    let seed = seed.map_or_else(|| context.environment().random_seed(), u64::from);
    context.router().seed_random(seed);
}

impl Element for RandomSeed {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        seed(context, self.seed);
        Ok(())
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.write("seed");
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        if name != "seed" {
            return Err(HandlerError::NoHandler(name.into()));
        }
        let given = match value.trim() {
            "" => None,
            number => Some(crate::argument_value(context, name, number)?),
        };
        seed(context, given);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn the_same_seed_gives_the_same_choices() {
        let bench = Bench::new("r :: RandomSeed(7); s :: Script(TYPE PASSIVE)");
        let numbers = || std::format!("{} {}", bench.read("s.random"), bench.read("s.random"));
        let first = numbers();
        assert_ne!(numbers(), first);
        bench.write("r.seed", "7");
        assert_eq!(numbers(), first);
        bench.write("r.seed", "8");
        assert_ne!(numbers(), first);
        assert!(bench.write_fails("r.seed", "x").is_some());
        let again = Bench::new("r :: RandomSeed(7); s :: Script(TYPE PASSIVE)");
        let numbers = std::format!("{} {}", again.read("s.random"), again.read("s.random"));
        assert_eq!(numbers, first);
    }
}
