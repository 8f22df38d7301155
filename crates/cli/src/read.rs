//! `sprat read`: reads a handler of an instance that runs.

use std::process::ExitCode;

use serde_json::json;

use crate::control::{ClientError, with_instance};
use crate::output;

/// Reads a handler of an instance that runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat read fw web.count\n  \
    sprat read fw list\n  \
    sprat read web os.tasks")]
pub(crate) struct ReadCommand {
    /// The instance: its name, or the path of its control socket.
    instance: String,
    /// The handler: ELEMENT.HANDLER of a router, os.tasks, os.heap, os.log or os.metrics of a
    /// service.
    handler: String,
    /// What the handler is given, where it takes something.
    #[arg(default_value = "")]
    argument: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl ReadCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        with_instance(&self.instance, |client| {
            let mut value = client.read(&self.handler, &self.argument)?;
            if self.json {
                let value = String::from_utf8_lossy(&value);
                let (instance, handler) = (&self.instance, &self.handler);
                let told = json!({ "instance": instance, "handler": handler, "value": value });
                return output::print(&format!("{told:#}\n")).map_err(ClientError::Output);
            }
            // For a terminal; a program that reads this trims it.
            if !value.ends_with(b"\n") {
                value.push(b'\n');
            }
            output::print_foreign(&value).map_err(ClientError::Output)
        })
    }
}
