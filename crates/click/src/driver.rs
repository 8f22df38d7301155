//! Running a router until it is told to stop.
//!
//! The driver owns the router, replaces it when a new configuration has been written, and ends
//! when the router has been asked to stop and the element that manages the driver, if there is
//! one, agrees. It never waits itself: [`Driver::step`] says what to wait for.

use crate::router::Router;
use crate::time::Instant;

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take another step at once.
    Again,
    /// Wait for sockets, devices or, at most, until this moment.
    Wait(Option<Instant>),
    /// Tasks are scheduled and found nothing to do; they poll. Nothing happens before this
    /// moment unless something outside does.
    Poll(Option<Instant>),
    /// The router has stopped.
    Stop,
}

/// A router in operation.
pub struct Driver {
    router: Router,
    stopped: bool,
    replacements: u64,
}

impl Driver {
    /// Takes charge of a router.
    pub fn new(router: Router) -> Self {
        Self {
            router,
            stopped: false,
            replacements: 0,
        }
    }

    /// The router as of now.
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// How often another router has taken the first one's place: while this stays, element
    /// identifiers mean the same.
    pub fn replacements(&self) -> u64 {
        self.replacements
    }

    /// Runs a round.
    pub fn step(&mut self) -> Step {
        if self.stopped {
            return Step::Stop;
        }
        if self.router.stops() {
            // One that was told to replace itself first is replaced.
            self.stopped = !self.replace();
            return if self.stopped {
                Step::Stop
            } else {
                Step::Again
            };
        }
        // A signal comes before the timers that expire while it is on its way.
        if self.router.watches() {
            self.router.run_io();
        }
        let progress = self.router.run();
        if self.replace() {
            return Step::Again;
        }
        if self.router.run_count() <= 0 || (progress.worked && progress.runnable) {
            Step::Again
        } else if progress.runnable {
            Step::Poll(progress.next_timer)
        } else if progress.worked {
            Step::Again
        } else {
            Step::Wait(progress.next_timer)
        }
    }

    /// Puts the router in the place of this one that was written to it, if one was.
    fn replace(&mut self) -> bool {
        let Some(replacement) = self.router.take_replacement() else {
            return false;
        };
        replacement.take_state(&self.router);
        self.router.cleanup();
        self.router = *replacement;
        self.replacements += 1;
        true
    }

    /// Ends the router: elements write out what they hold back.
    pub fn finish(self) -> Router {
        self.router.cleanup();
        self.router
    }
}

impl Router {
    /// Whether the router has been asked to stop, and whoever manages the driver lets it.
    fn stops(&self) -> bool {
        while self.run_count() <= 0 {
            let goes_on = self.driver_manager().is_some_and(|id| {
                self.consult(id, |agent, context| agent.driver_stopped(context))
                    .or_else(|| self.enter(id, |element, context| element.driver_stopped(context)))
                    .unwrap_or(false)
            });
            self.deliver();
            if !goes_on {
                return true;
            }
            self.adjust_run_count(1);
        }
        false
    }
}
