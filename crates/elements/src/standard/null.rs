use sprat_click::{Arguments, Class, Configuration, Configure, Element, Rejected};

pub(super) const NULL: Class = Class::of::<Null>("Null");
pub(super) const PUSH_NULL: Class = Class::of::<Null>("PushNull").processing("h/h");
pub(super) const PULL_NULL: Class = Class::of::<Null>("PullNull").processing("l/l");

/// Null: passes packets on unchanged.
///
/// ```click
/// Null
/// PushNull
/// PullNull
/// ```
///
/// `PushNull` and `PullNull` stand in push and pull paths alone, and so decide what agnostic
/// elements around them are.
///
/// See Click's manual page Null(n).
struct Null;

impl Configure for Null {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for Null {}
