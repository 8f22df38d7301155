//! `sprat up` and `sprat down`: declaring what runs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use serde_json::{Value, json};
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_click::simulation::Simulation;
use sprat_host::desired::{Desired, Program};
use sprat_host::file;
use sprat_packet::Pool;

use super::{FolderArguments, complain_of};
use crate::output::{self, complain};
use crate::run::devices;

/// Declares what is to run from now on: functions, ports, and how they are joined
///
/// Only what differs from what was declared before is changed; all else goes on forwarding. Where
/// something cannot be done, nothing is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat up edge.toml\n  \
    sprat up edge.toml --check   read it, and change nothing")]
pub(crate) struct UpCommand {
    /// The file that says so: docs/edge.md
    file: PathBuf,
    /// Read the file and the programs that it names, and declare nothing
    #[arg(long)]
    check: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

impl UpCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let desired = match file::read(&self.file) {
            Ok(desired) => desired,
            Err(error) => {
                complain!("error: {error}");
                return ExitCode::FAILURE;
            }
        };
        if !check_configurations(&desired) {
            return ExitCode::FAILURE;
        }
        if self.check {
            return ExitCode::SUCCESS;
        }
        let body = match serde_json::to_value(&desired) {
            Ok(body) => body,
            Err(error) => {
                complain!("error: {error}");
                return ExitCode::FAILURE;
            }
        };
        self.folders.await_daemon();
        declare(&self.folders, &body, self.json)
    }
}

/// Ends everything that was declared
#[derive(Debug, clap::Args)]
pub(crate) struct DownCommand {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

impl DownCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let nothing = json!({ "functions": {}, "ports": {}, "chains": [], "bridges": {} });
        declare(&self.folders, &nothing, self.json)
    }
}

fn declare(folders: &FolderArguments, desired: &Value, json: bool) -> ExitCode {
    match folders.ask("PUT", "/v1/declared", Some(desired)) {
        Ok(answer) => say_changes(&answer, json),
        Err(error) => {
            complain_of(&error);
            ExitCode::FAILURE
        }
    }
}

/// Prints what has changed.
pub(super) fn say_changes(answer: &Value, json: bool) -> ExitCode {
    let changes = answer.get("changes").and_then(Value::as_array);
    let mut text = String::new();
    for change in changes.into_iter().flatten().filter_map(Value::as_str) {
        text.push_str(change);
        text.push('\n');
    }
    if text.is_empty() {
        text.push_str("nothing to change\n");
    }
    if json {
        text = format!("{answer:#}\n");
    }
    match output::print(&text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("error: standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads Click configurations as instances will, so that mistakes are shown in place.
fn check_configurations(desired: &Desired) -> bool {
    let mut sound = true;
    for (name, function) in &desired.functions {
        let Program::Click { name: file, text } = &function.program else {
            continue;
        };
        let parse = parser(Rc::new(NoLibraries), function.parameters.clone());
        match parse(&sprat_elements::library(), text, file) {
            Ok((flat, mut diagnostics)) => {
                // What an instance could not make of it would take the place of what runs.
                let builder = Builder::new(
                    sprat_elements::library(),
                    Simulation::new(),
                    Pool::growing(),
                    parse,
                );
                builder.check(&flat, &mut diagnostics);
                if diagnostics.has_errors() {
                    crate::explain::explain_with_help(&diagnostics);
                    sound = false;
                }
                let unused = |device: &&String| !devices::is_used(&flat, device);
                if let Some(device) = function.devices.iter().find(unused) {
                    complain!(
                        "error: functions.{name}: no FromDevice and no ToDevice of {file} names \
                         {device}"
                    );
                    complain!("  help: its devices are what functions.{name}.devices lists");
                    sound = false;
                }
                for hint in crate::devices::missing_when_sealed(&flat) {
                    complain!("warning: functions.{name}: {hint}");
                }
            }
            Err(diagnostics) => {
                crate::explain::explain_with_help(&diagnostics);
                sound = false;
            }
        }
    }
    sound
}
