//! A bench to try configurations on, in simulated time.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

use sprat_click::driver::Driver;
use sprat_click::environment::Environment;
use sprat_click::router::Builder;
use sprat_click::simulation::Simulation;
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
        self.driver
            .borrow()
            .router()
            .read(handler, "")
            .expect("a handler that can be read")
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
        chains::parser(),
    ));
    match builder.build(text, "config") {
        Ok((router, _)) => Ok(Driver::new(router)),
        Err(error) => Err(alloc::format!("{}", error.diagnostics)),
    }
}

/// Reads chains of declarations and names; stands in for the language until it is there.
mod chains {
    use alloc::boxed::Box;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use sprat_click::diagnostics::Landmark;
    use sprat_click::graph::{Flat, FlatConnection, FlatElement};
    use sprat_click::router::Parse;

    pub(super) fn parser() -> Parse {
        Box::new(|_, text, file| {
            let landmark = Landmark::new(file, 1, 1);
            let mut flat = Flat::default();
            for statement in split(text, &[";", "\n"]) {
                let mut before: Option<(usize, u16)> = None;
                for part in split(&statement, &["->"]) {
                    let mut part = part.trim();
                    let mut ports = (0, 0);
                    if let Some(rest) = part.strip_prefix('[') {
                        let (port, rest) = rest.split_once(']').expect("a port");
                        ports.0 = port.trim().parse().expect("a port number");
                        part = rest.trim();
                    }
                    if part.ends_with(']') && !part.ends_with(")]") {
                        let (rest, port) = part.rsplit_once('[').expect("a port");
                        ports.1 = port
                            .trim_end_matches(']')
                            .trim()
                            .parse()
                            .expect("a port number");
                        part = rest.trim();
                    }
                    if part.is_empty() {
                        continue;
                    }
                    let (name, declaration) = match part.split_once("::") {
                        Some((name, class)) => {
                            (Some(name.trim().to_string()), class.trim().to_string())
                        }
                        None => (None, part.to_string()),
                    };
                    let known = flat
                        .elements
                        .iter()
                        .position(|element| *element.name == *declaration);
                    let index = known.filter(|_| name.is_none()).unwrap_or_else(|| {
                        let (class, config) = match declaration.split_once('(') {
                            Some((class, config)) => (class.trim(), config.trim_end_matches(')')),
                            None => (&*declaration, ""),
                        };
                        let index = flat.elements.len();
                        let name = name.unwrap_or_else(|| alloc::format!("{class}@{}", index + 1));
                        flat.elements.push(FlatElement {
                            name: name.into(),
                            class: class.into(),
                            config: config.into(),
                            landmark: landmark.clone(),
                        });
                        index
                    });
                    if let Some(from) = before {
                        flat.connections.push(FlatConnection {
                            from,
                            to: (index, ports.0),
                            landmark: landmark.clone(),
                        });
                    }
                    before = Some((index, ports.1));
                }
            }
            Ok((flat, Default::default()))
        })
    }

    fn split(text: &str, separators: &[&str]) -> Vec<String> {
        let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            match rest.as_bytes()[0] {
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0
                && let Some(found) = separators
                    .iter()
                    .find(|separator| rest.starts_with(**separator))
            {
                parts.push(text[start..at].to_string());
                at += found.len();
                start = at;
            } else {
                at += 1;
            }
        }
        parts.push(text[start..].to_string());
        parts
    }
}
