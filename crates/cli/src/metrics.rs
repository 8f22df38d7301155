//! `sprat metrics`: what host and instance count.

use std::process::ExitCode;

use crate::control::{ClientError, METRICS, with_instance};
use crate::output;

/// Prints what an instance that runs counts, and the host for it, as Prometheus text.
#[derive(Debug, clap::Args)]
pub(crate) struct MetricsCommand {
    /// The instance: its name, or the path of its control socket.
    instance: String,
}

impl MetricsCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        with_instance(&self.instance, |client| {
            let text = client.read(METRICS, "")?;
            output::print_foreign(&text).map_err(ClientError::Output)
        })
    }
}
