//! A bench to try configurations on, in simulated time.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use sprat_click::driver::{Driver, Step};
use sprat_click::environment::Environment;
use sprat_click::language::NoLibraries;
use sprat_click::router::Builder;
use sprat_click::simulation::Simulation;
use sprat_click::state::StateError;
use sprat_packet::Pool;

/// A configuration that runs in a simulation.
pub(crate) struct Bench {
    pub(crate) simulation: Rc<Simulation>,
    driver: RefCell<Driver>,
}

/// How long a run lasts on the simulated clock, unless all is quiet before.
const LIMIT: Duration = Duration::from_millis(10);

impl Bench {
    /// Sets a configuration up that is right.
    pub(crate) fn new(text: &str) -> Self {
        Self::with(Simulation::new(), text)
    }

    /// Sets a configuration up in a simulation that has been prepared.
    pub(crate) fn with(simulation: Rc<Simulation>, text: &str) -> Self {
        match build(&simulation, text) {
            Ok(driver) => Self {
                simulation,
                driver: RefCell::new(driver),
            },
            Err(errors) => panic!("{errors}"),
        }
    }

    /// The messages about a configuration that is wrong.
    pub(crate) fn errors(text: &str) -> String {
        build(&Simulation::new(), text)
            .err()
            .expect("a configuration with errors")
    }

    /// Runs until nothing happens any more, or for ten simulated milliseconds.
    pub(crate) fn run(&self) -> bool {
        self.run_for(LIMIT)
    }

    /// Runs for some simulated time; returns whether the driver stopped.
    pub(crate) fn run_for(&self, span: Duration) -> bool {
        self.simulation.run(&mut self.driver.borrow_mut(), span)
    }

    /// Runs one round of the driver.
    pub(crate) fn step(&self) -> Step {
        self.driver.borrow_mut().step()
    }

    /// How often an element's task has run.
    pub(crate) fn runs(&self, element: &str) -> u64 {
        let driver = self.driver.borrow();
        let id = driver.router().find(element).expect("an element");
        driver.router().task_runs(id)
    }

    /// Puts another configuration in this one's place, which takes over what it can.
    pub(crate) fn replace(&self, text: &str) {
        let driver = build(&self.simulation, text).expect("a right configuration");
        driver.router().take_state(self.driver.borrow().router());
        self.driver.replace(driver);
    }

    /// What its elements hold, for another instance.
    pub(crate) fn export(&self) -> Vec<u8> {
        self.driver.borrow().router().export_state()
    }

    /// Takes in what another instance held.
    pub(crate) fn import(&self, state: &[u8]) -> Result<(), StateError> {
        self.driver.borrow().router().import_state(state)
    }

    /// Has a frame arrive at a device, now.
    pub(crate) fn arrive(&self, device: &str, frame: &[u8]) {
        self.simulation
            .simulated_device(device)
            .arrive(frame, self.simulation.timestamp());
    }

    /// Takes the frames sent on a device.
    pub(crate) fn sent(&self, device: &str) -> Vec<Vec<u8>> {
        self.simulation
            .simulated_device(device)
            .take_sent()
            .into_iter()
            .map(|(frame, _)| frame)
            .collect()
    }

    /// Reads a handler that is there.
    pub(crate) fn read(&self, handler: &str) -> String {
        let (handler, parameters) = handler.split_once(' ').unwrap_or((handler, ""));
        self.driver
            .borrow()
            .router()
            .read(handler, parameters)
            .expect("a handler that can be read")
    }

    /// What a handler says to a value that it refuses.
    pub(crate) fn write_fails(&self, handler: &str, value: &str) -> Option<String> {
        let written = self.driver.borrow().router().write(handler, value);
        written.err().map(|error| alloc::format!("{error}"))
    }

    /// Writes a handler that takes the value.
    pub(crate) fn write(&self, handler: &str, value: &str) {
        self.driver
            .borrow()
            .router()
            .write(handler, value)
            .expect("a handler that takes the value");
    }
}

fn build(simulation: &Rc<Simulation>, text: &str) -> Result<Driver, String> {
    let builder = Rc::new(Builder::new(
        crate::library(),
        simulation.clone(),
        Pool::growing(),
        sprat_click::language::parser(Rc::new(NoLibraries), Vec::new()),
    ));
    match builder.build(text, "config") {
        Ok((router, _)) => Ok(Driver::new(router)),
        Err(error) => Err(alloc::format!("{}", error.diagnostics)),
    }
}

#[cfg(test)]
mod tests {
    use super::Bench;

    #[test]
    fn ports_are_looked_at_in_one_respect_after_another() {
        for (text, expected) in [
            // Which ports there are, in the order of those that connections lead to; nothing else then.
            (
                "d :: Discard;\ns :: InfiniteSource;\nd -> [1] d; s [2] -> u :: Unqueue; s -> u",
                "config:1: 'd :: Discard' has no input 1\n\
                 config:1: 'd :: Discard' has no output 0\n\
                 config:2: 's :: InfiniteSource' has no output 2\n",
            ),
            // Which push and which pull; Click says of these not where they are.
            (
                "InfiniteSource -> Unqueue -> Unqueue -> c :: Counter -> Unqueue -> Discard; Print",
                "'Unqueue@2 :: Unqueue' push output 0 connected to 'Unqueue@3 :: Unqueue' pull input 0\n\
                agnostic 'c :: Counter' in mixed context: push input 0, pull output 0\n",
            ),
            // Which are used twice, or not at all: all inputs, then all outputs.
            (
                "i :: InfiniteSource; j :: InfiniteSource;\n\
                 i -> q :: Queue; i -> q; i -> d :: Discard; i -> e :: Discard;\n\
                 p :: Print; q -> Unqueue -> Print",
                "config:1: illegal reuse of 'i :: InfiniteSource' push output 0\n\
                 config:1: illegal reuse of 'i :: InfiniteSource' push output 0\n\
                 config:3: 'p :: Print' input 0 unused\n\
                 config:1: 'j :: InfiniteSource' output 0 unused\n\
                 config:3: 'p :: Print' output 0 unused\n\
                 config:3: 'Print@8 :: Print' output 0 unused\n",
            ),
        ] {
            assert_eq!(Bench::errors(text), expected, "{text}");
        }
    }
}
