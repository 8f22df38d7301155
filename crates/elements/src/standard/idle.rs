use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, Rejected, Signals,
};
use sprat_packet::Batch;

pub(super) const IDLE: Class = Class::of::<Idle>("Idle").ports("-/-").flow("x/y");
pub(super) const SIMPLE_IDLE: Class = IDLE.named("SimpleIdle");

/// Idle: discards what is pushed to it and gives nothing to who pulls.
///
/// ```click
/// Idle
/// SimpleIdle
/// ```
///
/// Any number of inputs and outputs, push or pull as their neighbours need. Useful to close
/// ports that must not be left unused.
///
/// See Click's manual page Idle(n).
struct Idle;

impl Configure for Idle {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for Idle {
    fn push(&mut self, _: &mut Context<'_>, _: usize, batch: &mut Batch) {
        batch.clear();
    }

    fn pull(&mut self, _: &mut Context<'_>, _: usize, _: usize, _: &mut Batch) {}

    /// It never has a packet, and says so.
    fn signals(&self) -> Signals {
        Signals::NONEMPTY
    }
}
