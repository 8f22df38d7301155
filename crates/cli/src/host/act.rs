//! `sprat stop`, `sprat start` and `sprat kill`.

use std::process::ExitCode;

use super::up::say_changes;
use super::{FolderArguments, complain_of, encoded};

/// Has a function stop, until it is started or declared again
#[derive(Debug, clap::Args)]
pub(crate) struct StopCommand {
    /// The function.
    function: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

/// Has a function run again that was stopped
#[derive(Debug, clap::Args)]
pub(crate) struct StartCommand {
    /// The function.
    function: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

/// Ends an instance at once; another takes its place, if that is how its function is declared
#[derive(Debug, clap::Args)]
pub(crate) struct KillCommand {
    /// The instance, as `sprat ps` names it.
    instance: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

impl StopCommand {
    pub(crate) fn run(&self) -> ExitCode {
        change(&self.folders, &self.function, "stop", self.json)
    }
}

impl StartCommand {
    pub(crate) fn run(&self) -> ExitCode {
        change(&self.folders, &self.function, "start", self.json)
    }
}

fn change(folders: &FolderArguments, function: &str, action: &str, json: bool) -> ExitCode {
    let path = format!("/v1/functions/{}/{action}", encoded(function));
    match folders.ask("POST", &path, None) {
        Ok(answer) => say_changes(&answer, json),
        Err(error) => {
            complain_of(&error);
            ExitCode::FAILURE
        }
    }
}

impl KillCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let path = format!("/v1/instances/{}/kill", encoded(&self.instance));
        match self.folders.ask("POST", &path, None) {
            Ok(answer) if self.json => say_changes(&answer, true),
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => {
                complain_of(&error);
                ExitCode::FAILURE
            }
        }
    }
}
