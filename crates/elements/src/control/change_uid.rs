use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Phase, Rejected};

pub(super) const CHANGE_UID: Class = Class::of::<ChangeUID>("ChangeUID")
    .ports("0/0")
    .phase(Phase::Early);

/// ChangeUID: sees to it that the router has no more rights than who started it.
///
/// ```click
/// ChangeUID
/// ```
///
/// A router that runs with the rights of another user than the one who started it, as a set-uid program
/// does, is an error: `sprat` never gives itself such rights, and an instance has none to give up. All
/// others go on.
///
/// See Click's manual page ChangeUID(n).
struct ChangeUID;

impl Configure for ChangeUID {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for ChangeUID {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if context.environment().has_borrowed_rights() {
            return Err(context.error("the program has the rights of another user"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[test]
    fn changeuid_stands_beside_the_router_and_takes_nothing() {
        let bench = Bench::new("ChangeUID; Idle -> c :: Counter -> Discard");
        bench.run();
        assert_eq!(bench.read("c.count"), "0");
        let errors = Bench::errors("ChangeUID(0)");
        assert!(errors.contains("too many arguments"), "{errors}");
    }
}
