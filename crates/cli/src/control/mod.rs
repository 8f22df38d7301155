//! Reaching instances that run: where their control sockets are, and talking to them.
//!
//! `sprat run` listens on a socket (`run/control/`), the commands `read`, `write`, `logs` and
//! `metrics` connect to it. What is spoken there is Click's control protocol,
//! Click::ControlSocket/1.3, so that programs made for Click's ControlSocket can talk to an instance
//! too. The handlers whose names begin with `sprat.` are answered by the host:
//!
//! | handler | what |
//! |---|---|
//! | `sprat.console OFFSET [wait]` | what the instance wrote to its console from there on: a line with the offset of what comes next, or `end`, then the text. With `wait`, where there is none yet, after a second at most |
//! | `sprat.metrics` | what host and instance count, as Prometheus text |

pub(crate) mod address;
mod client;

pub(crate) use client::{Client, ClientError};

pub(crate) use sprat_host::control::{CONSOLE, METRICS};

use std::process::ExitCode;

use crate::output::complain;

/// Does something with an instance that runs; says what is wrong where that fails.
pub(crate) fn with_instance(
    instance: &str,
    act: impl FnOnce(&mut Client) -> Result<(), ClientError>,
) -> ExitCode {
    let Err(error) = Client::connect(instance).and_then(|mut client| act(&mut client)) else {
        return ExitCode::SUCCESS;
    };
    complain!("error: {error}");
    if let Some(help) = error.help().or_else(|| error.help_with(instance)) {
        complain!("  help: {help}");
    }
    ExitCode::FAILURE
}
