use alloc::vec::Vec;

use sprat_click::arguments::{Argument, split_words, unquote};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, ElementId, Phase, Rejected,
};

pub(super) const SCHEDULE_INFO: Class = Class::of::<ScheduleInfo>("ScheduleInfo")
    .ports("0/0")
    .phase(Phase::Information);

/// ScheduleInfo: gives tasks their shares of the processor.
///
/// ```click
/// ScheduleInfo(ELEMENT SHARE, ELEMENT SHARE, ...)
/// ```
///
/// An element whose SHARE is 2 is scheduled twice as often as one whose SHARE is 1, which is
/// what elements have that no ScheduleInfo names. Shares may be fractions.
///
/// See Click's manual page ScheduleInfo(n).
struct ScheduleInfo {
    shares: Vec<(ElementId, u32)>,
}

/// The tickets of a task with a share of one.
const TICKETS: f64 = 1024.0;

/// No task gets more than this.
const MOST: f64 = 32.0;

impl Configure for ScheduleInfo {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut shares = Vec::new();
        for entry in arguments.rest() {
            let words = split_words(&entry);
            let share = match words.as_slice() {
                [] => continue,
                [_, share] => f64::parse(share, arguments.names()).ok(),
                _ => None,
            };
            let Some(share) = share.filter(|share| *share >= 0.0) else {
                arguments.error("expected 'ELEMENTNAME PARAM'");
                continue;
            };
            // It is no mistake to name an element that is not there.
            if let Some(id) = configuration.find(&unquote(&words[0])) {
                // Both bounds are small, and a fraction of a ticket is none.
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                shares.push((id, (share.min(MOST) * TICKETS) as u32));
            }
        }
        // What cannot be read is told, and no reason not to run.
        Ok(Self { shares })
    }
}

impl Element for ScheduleInfo {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        for (id, tickets) in &self.shares {
            context.router().set_tickets(*id, *tickets);
        }
        Ok(())
    }
}
