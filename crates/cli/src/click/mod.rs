//! `sprat click`: a Click router as an ordinary process, with the options of Click's own driver.

mod arguments;
mod dump;
mod interfaces;
mod times;
mod tunnels;
mod usage;

use std::io::Read;
use std::process::ExitCode;
use std::rc::Rc;

use sprat_click::HandlerError;
use sprat_click::diagnostics::{Diagnostic, Diagnostics};
use sprat_click::driver::Driver;
use sprat_click::language::{self, AnyClass, Source, parser};
use sprat_click::router::{Builder, Router};
use sprat_packet::Pool;
use sprat_userlevel::{
    Libraries, Process, ProcessOptions, exit_status, read_handlers, with_control_sockets,
};

pub(crate) use arguments::ClickCommand;
use arguments::{Configuration, Request};
pub(crate) use usage::complain_of_usage;

use crate::explain::explain;
use crate::output::{self, complain};

impl ClickCommand {
    /// Does what the command line asks for.
    pub(crate) fn run(self) -> ExitCode {
        if self.version {
            let version = format!(
                "click (Sprat {}) {}\n",
                env!("CARGO_PKG_VERSION"),
                sprat_click::router::CLICK_VERSION
            );
            return match print(&version) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            };
        }
        let status = match self.request() {
            Ok(request) => run(&request),
            Err(message) => {
                complain!("{message}\n{}", usage::SHORT);
                return ExitCode::FAILURE;
            }
        };
        match status {
            Ok(status) => status.into(),
            Err(Failure::Explained) => ExitCode::FAILURE,
            Err(Failure::Message(message)) => {
                complain!("{message}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Why the command could not do what was asked.
enum Failure {
    /// That has been said.
    Explained,
    /// To be said.
    Message(String),
}

fn run(request: &Request) -> Result<u8, Failure> {
    let source = read(&request.configuration)?;
    let process = Process::new(ProcessOptions {
        simulated_time: request.simulated_time,
        seed: None,
    });
    let open = match request.dump {
        Some(_) => interfaces::imagine,
        None => interfaces::open,
    };
    process.open_interfaces(Box::new(open));
    process.know_interfaces(Box::new(interfaces::addresses));
    process.open_tunnels(Box::new(tunnels::open));
    for (device, path) in &request.inputs {
        process
            .device_input(device, path)
            .map_err(|error| Failure::Message(error.to_string()))?;
    }
    for (device, path) in &request.outputs {
        process
            .device_output(device, path)
            .map_err(|error| Failure::Message(error.to_string()))?;
    }
    let libraries = Rc::new(Libraries::along(request.click_path.as_deref()));
    if request.flattens_only() {
        return flatten(&source, &libraries, request);
    }
    let parse = parser(libraries, request.definitions.clone());
    let builder = Builder::new(
        sprat_elements::library(),
        process.clone(),
        Pool::growing(),
        with_control_sockets(parse, request.control_sockets.clone()),
    );
    let builder = Rc::new(builder.hot_swap(request.hot_swap));
    let router = build(&builder, &source)?;
    if router.is_empty() && request.warnings && request.drive {
        let message = format!("{}: configuration has no elements, exiting", source.name);
        explain(&[Diagnostic::warning(message)].into_iter().collect());
    }
    let mut written = true;
    if let Some(path) = &request.output
        && let Err(Failure::Message(message)) =
            write_output(path, &router.flat_configuration().unparse())
    {
        // The router runs all the same.
        complain!("{message}");
        written = false;
    }
    if let Some(form) = request.dump {
        print(&dump::dump(&router, form))?;
    }
    let mut driver = Driver::new(router);
    let began = std::time::Instant::now();
    if request.drive && !driver.router().is_empty() {
        driver.router().start();
        process.run(&mut driver);
    }
    if request.times {
        print(&times::spent(began.elapsed()))?;
    }
    let status = answer(driver.router(), request, written);
    drop(driver.finish());
    let faults = process
        .finish()
        .map_err(|error| Failure::Message(error.to_string()))?;
    for fault in faults {
        complain!("warning: {fault}");
    }
    status
}

/// Prints a configuration without its compounds, whatever classes there are, as click-flatten does.
fn flatten(source: &Source, libraries: &Libraries, request: &Request) -> Result<u8, Failure> {
    let options = language::Options {
        classes: &AnyClass,
        requirements: libraries,
        definitions: &request.definitions,
    };
    let mut found = Diagnostics::new();
    let flat = language::parse(source.clone(), &options, &mut found);
    explain(&found);
    let flat = flat.map_err(|_| Failure::Explained)?;
    print(&flat.unparse())?;
    Ok(0)
}

/// Reads what is to be read when the router has run, and finds the exit status.
/// `well` says whether all went well before that.
fn answer(router: &Router, request: &Request, well: bool) -> Result<u8, Failure> {
    let read = read_handlers(router, &request.handlers);
    print(&read.text)?;
    for error in &read.errors {
        complain!("{error}");
    }
    let Some(handler) = &request.exit_handler else {
        return Ok(u8::from(!well || !read.errors.is_empty()));
    };
    // Whatever it says counts, even where other handlers could not be read.
    let (handler, parameters) = match handler.trim().split_once(char::is_whitespace) {
        Some((handler, parameters)) => (handler, parameters.trim_start()),
        None => (handler.trim(), ""),
    };
    let value = match router.read(handler, parameters) {
        Ok(value) => value,
        Err(HandlerError::Failed(..)) => String::new(),
        Err(error) => {
            complain!("{}", error.in_call(false));
            return Ok(NO_STATUS);
        }
    };
    Ok(exit_status(&value).unwrap_or_else(|| {
        complain!("exit handler value should be integer");
        NO_STATUS
    }))
}

/// The exit status where the exit handler gives none: Click's -1.
const NO_STATUS: u8 = 255;

fn read(configuration: &Configuration) -> Result<Source, Failure> {
    let (name, bytes) = match configuration {
        Configuration::Expression(text) => return Ok(Source::new("config", text)),
        Configuration::StandardInput => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().read_to_end(&mut bytes);
            ("<stdin>", read.map(|_| bytes))
        }
        Configuration::File(path) => (path.as_str(), std::fs::read(path)),
    };
    let bytes = bytes.map_err(|error| Failure::Message(format!("{name}: {}", plain(&error))))?;
    Source::from_bytes(name, &bytes).map_err(|error| Failure::Message(format!("{name}: {error}")))
}

/// The system's words for an error, as Click gives them, without the number that Rust adds.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].into(),
        None => text,
    }
}

fn build(builder: &Rc<Builder>, source: &Source) -> Result<Router, Failure> {
    match builder.prepare(&source.text, &source.name) {
        Ok((router, said)) => {
            explain(&said);
            Ok(router)
        }
        Err(error) => {
            explain(&error.diagnostics);
            if error.readable {
                complain!("Router could not be initialized!");
            }
            Err(Failure::Explained)
        }
    }
}

fn write_output(path: &str, text: &str) -> Result<(), Failure> {
    if path == "-" {
        return print(text);
    }
    std::fs::write(path, text)
        .map_err(|error| Failure::Message(format!("{path}: {}", plain(&error))))
}

/// Writes to the standard output.
fn print(text: &str) -> Result<(), Failure> {
    output::print(text)
        .map_err(|error| Failure::Message(format!("standard output: {}", plain(&error))))
}
