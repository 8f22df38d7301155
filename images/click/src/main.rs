//! The ready-made middlebox: a Click router with every element.
//!
//! The configuration text comes with the boot page, the devices it names from the command line. With
//! the feature `fixed` the image is that of one configuration (`fixed.rs`): it holds the text itself,
//! and of the elements only those that the text uses.
//! Between yields the router runs until it has nothing to do; a yield lasts until frames or a
//! request come, or the router's next timer expires. When the monitor asks it to end, the router
//! finishes what has arrived and writes out what its elements hold back.
#![cfg_attr(sprat_target = "vm", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg_attr(feature = "fixed", path = "fixed.rs")]
#[cfg_attr(not(feature = "fixed"), path = "open.rs")]
mod content;
mod control;
mod environment;
mod statistics;

use alloc::rc::Rc;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;

use sprat::Status;
use sprat::abi::boot::DeviceKind;
use sprat::parameters::{ANY_NAME, Declaration, Given, ParameterError, ParameterType, Parameters};
use sprat::time::Instant;
use sprat_click::driver::{Driver, Step};
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;

use control::RouterHandlers;
use environment::Machine;
use statistics::Statistics;

/// Rounds in a row before the monitor gets a turn though the router has more to do: enough to fill
/// every ring once, so that nothing waits longer for room.
const ROUNDS: usize = 8;

const DECLARED: &[Declaration] = &[
    Declaration {
        name: "file",
        kind: ParameterType::Text,
        default: Some(content::FILE),
        help: "what the configuration is called in messages",
    },
    Declaration {
        name: ANY_NAME,
        kind: ParameterType::Text,
        default: Some(""),
        help: "sets the configuration's variable of that name",
    },
];

sprat::manifest! {
    parameters: Definitions,
    |manifest| manifest
        .device(ANY_NAME, DeviceKind::Network, false)
        .device(ANY_NAME, DeviceKind::InputFile, false)
        .device(ANY_NAME, DeviceKind::OutputFile, false)
}
sprat::entry!(run);

/// What the command line says: the configuration's name and its variables.
struct Definitions {
    file: &'static str,
    variables: Vec<(String, String)>,
}

impl Parameters for Definitions {
    const DECLARED: &'static [Declaration] = DECLARED;

    fn from_given(given: &Given) -> Result<Self, ParameterError> {
        let own = |name: &str| matches!(name, "file" | "log");
        Ok(Self {
            file: given.value(&DECLARED[0])?,
            variables: given
                .pairs()
                .filter(|(name, _)| !own(name))
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        })
    }
}

/// The status of an instance without a router.
const REFUSED: Status = Status(1);

fn run(definitions: Definitions) -> Result<(), Status> {
    let file = definitions.file;
    let given = sprat::place::configuration();
    let text = match given.is_empty() {
        true => content::CONFIGURATION,
        false => given,
    };
    let text = str::from_utf8(text).map_err(|error| {
        say(format_args!(
            "{file}: not UTF-8 text (byte {})\n",
            error.valid_up_to()
        ));
        REFUSED
    })?;
    let machine = Rc::new(Machine::new());
    let builder = Builder::new(
        content::library(),
        machine.clone(),
        sprat::network::pool(),
        parser(Rc::new(NoLibraries), definitions.variables),
    )
    .hot_swap(true);
    let (router, warnings) = Rc::new(builder).build(text, file).map_err(|error| {
        say(format_args!("{}", error.diagnostics));
        let hints = error.diagnostics.iter().filter_map(|one| one.help.as_ref());
        hints.for_each(|help| say(format_args!("  help: {help}\n")));
        if error.readable {
            say(format_args!("Router could not be initialized!\n"));
        }
        REFUSED
    })?;
    say(format_args!("{warnings}"));
    let driver = Rc::new(RefCell::new(Driver::new(router)));
    sprat::control::serve_with(RouterHandlers::new(driver.clone()));
    drive(&driver, &mut Statistics::new(machine));
    // The handlers hold the driver too; nobody asks any more.
    driver.borrow().router().cleanup();
    Ok(())
}

/// Writes to the console.
fn say(text: fmt::Arguments<'_>) {
    sprat::place::write_console(text.to_string().as_bytes());
}

/// Runs the router until it stops or the monitor asks it to.
fn drive(driver: &RefCell<Driver>, statistics: &mut Statistics) {
    let mut rounds = 0;
    loop {
        let step = driver.borrow_mut().step();
        let deadline = match step {
            Step::Stop => break,
            Step::Again if rounds < ROUNDS => {
                rounds += 1;
                continue;
            }
            Step::Again => Some(Instant::from_nanoseconds(0)),
            // All that arrived is done; what timers would still do is given up.
            Step::Wait(_) | Step::Poll(_) if sprat::control::stopping() => break,
            Step::Wait(timer) | Step::Poll(timer) => {
                timer.map(|timer| Instant::from_nanoseconds(timer.0))
            }
        };
        rounds = 0;
        statistics.update(&driver.borrow());
        sprat::wait_until(deadline);
    }
    statistics.update(&driver.borrow());
}
