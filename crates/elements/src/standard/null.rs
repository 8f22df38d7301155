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

pub(super) const ALIGN: Class = Class::of::<Align>("Align");

/// Align: sees to it that packets' data begin where memory access wants them.
///
/// ```click
/// Align(MODULUS, OFFSET)
/// ```
///
/// MODULUS is 2, 4 or 8 and OFFSET below it. Packets pass unchanged: nothing here minds where
/// they begin, so none is copied. The element stands for configurations made for Click.
///
/// See Click's manual page Align(n).
struct Align;

impl Configure for Align {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let modulus = arguments.required::<u32>("MODULUS");
        let offset = arguments.required::<u32>("OFFSET");
        arguments.finish()?;
        if !matches!(modulus?, 2 | 4 | 8) {
            return Err(arguments.error("MODULUS must be 2, 4, or 8"));
        }
        if offset? >= modulus? {
            return Err(arguments.error("OFFSET must be less than MODULUS"));
        }
        Ok(Self)
    }
}

impl Element for Align {}
