use sprat_click::{Arguments, Class, Configuration, Configure, Element, Rejected};

pub(super) const NULL: Class = Class::of::<Null>("Null");

/// Null: passes packets on unchanged.
///
/// ```click
/// Null
/// ```
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
