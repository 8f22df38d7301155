use alloc::format;
use alloc::vec::Vec;
use core::time::Duration;

use sprat_click::arguments::unquote;
use sprat_click::router::HandlerTarget;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};

pub(super) const QUIT_WATCHER: Class = Class::of::<QuitWatcher>("QuitWatcher").ports("0/0");

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// QuitWatcher: stops the driver when an element has nothing more to do.
///
/// ```click
/// QuitWatcher(ELEMENT, ...)
/// ```
///
/// Looks at the ELEMENTs once a second, and stops the driver when the task of one of them is no longer
/// scheduled.
///
/// See Click's manual page QuitWatcher(n).
struct QuitWatcher {
    /// Handlers that say whether a task is scheduled.
    scheduled: Vec<HandlerTarget>,
}

impl Configure for QuitWatcher {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let mut scheduled = Vec::new();
        for name in arguments.rest() {
            let name = unquote(&name);
            match configuration.find(&name) {
                Some(id) => scheduled.push(HandlerTarget::Element(id, "scheduled".into())),
                None => {
                    arguments.error(format!("no element named '{name}'"));
                }
            }
        }
        arguments.check()?;
        Ok(Self { scheduled })
    }
}

impl Element for QuitWatcher {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        for handler in &self.scheduled {
            if let Err(error) = context.router().handler_flags(handler) {
                return Err(context.error(format!("{error}")));
            }
        }
        context.set_timer_after(0, INTERVAL);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        let router = context.router();
        let idle = |handler| {
            router
                .read_target(handler, "")
                .is_ok_and(|value| value == "false")
        };
        if self.scheduled.iter().any(idle) {
            context.stop_driver();
        } else {
            context.set_timer_after(0, INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use crate::testing::Bench;

    #[test]
    fn the_driver_stops_when_a_watched_task_does() {
        // The task of the one that polls stays scheduled, that of the other does not.
        let bench = Bench::new(
            "p :: InfiniteSource(LIMIT 5) -> SimpleQueue -> u :: Unqueue -> Discard; QuitWatcher(u)",
        );
        assert!(!bench.run_for(Duration::from_millis(1500)));
        let bench = Bench::new(
            "i :: InfiniteSource(LIMIT 5) -> SimpleQueue -> u :: Unqueue -> Discard;
             QuitWatcher(u, i)",
        );
        assert!(!bench.run_for(Duration::from_millis(900)));
        assert!(bench.run_for(Duration::from_millis(200)));
    }

    #[test]
    fn what_is_watched_must_be_there_and_have_a_task() {
        let errors = Bench::errors("QuitWatcher(a)");
        assert!(errors.contains("no element named 'a'"), "{errors}");
        let errors = Bench::errors("Idle -> n :: Null -> Idle; QuitWatcher(n)");
        assert!(errors.contains("no 'n.scheduled' handler"), "{errors}");
    }
}
