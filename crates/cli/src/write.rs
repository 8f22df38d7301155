//! `sprat write`: writes a handler of an instance that runs.

use std::process::ExitCode;

use serde_json::json;

use crate::control::{ClientError, with_instance};
use crate::output;

/// Writes a handler of an instance that runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat write fw web.reset\n  \
    sprat write web os.log warn,web=debug")]
pub(crate) struct WriteCommand {
    /// The instance: its name, or the path of its control socket.
    instance: String,
    /// The handler, such as ELEMENT.HANDLER of a router.
    handler: String,
    /// What to write.
    #[arg(default_value = "", allow_hyphen_values = true)]
    value: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

impl WriteCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        with_instance(&self.instance, |client| {
            client.write(&self.handler, &self.value)?;
            if self.json {
                let (instance, handler) = (&self.instance, &self.handler);
                let told =
                    json!({ "instance": instance, "handler": handler, "written": self.value });
                output::print(&format!("{told:#}\n")).map_err(ClientError::Output)?;
            }
            Ok(())
        })
    }
}
