//! `sprat daemon`, and the lanes it starts.

use std::path::PathBuf;
use std::process::ExitCode;

use sprat_host::{Programs, daemon, lane};

use super::FolderArguments;
use crate::embedded;
use crate::output::complain;

/// Keeps what `sprat up` declares running, until it is ended by a signal
///
/// Instances run in processes of their own, one for each tenant, and go on without the daemon: the
/// next one finds them again. Whoever may write to its socket may do everything; it is its owner's
/// alone, unless `--group` names others.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat daemon &\n  \
    sprat up edge.toml && sprat ps")]
pub(crate) struct DaemonCommand {
    /// A group whose members may do everything with the daemon, too
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    #[command(flatten)]
    folders: FolderArguments,
}

impl DaemonCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let folders = self.folders.folders();
        let command = match std::env::current_exe() {
            Ok(command) => command,
            Err(error) => {
                complain!("error: sprat does not find itself: {error}");
                return ExitCode::FAILURE;
            }
        };
        let group = match self.group.as_deref().map(group_number).transpose() {
            Ok(group) => group,
            Err(error) => {
                complain!("error: --group: {error}");
                return ExitCode::FAILURE;
            }
        };
        let socket = folders.daemon();
        let ready = || complain!("listening on {}", socket.display());
        match daemon::run(&folders, plain(command), group, ready) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// The number of a group of this machine.
fn group_number(name: &str) -> Result<u32, String> {
    let groups = std::fs::read_to_string("/etc/group");
    let groups = groups.map_err(|error| format!("/etc/group: {error}"))?;
    let mut lines = groups.lines().map(|line| line.split(':'));
    lines
        .find_map(|mut fields| {
            let own = fields.next() == Some(name);
            fields.nth(1).filter(|_| own)?.parse().ok()
        })
        .ok_or_else(|| format!("no group {name} in /etc/group; groupadd --system {name} makes it"))
}

/// The path of a program that was replaced on disk meanwhile: the one that is there now.
fn plain(command: PathBuf) -> PathBuf {
    match command.to_string_lossy().strip_suffix(" (deleted)") {
        Some(path) => PathBuf::from(path),
        None => command,
    }
}

/// Runs the instances of one tenant; the daemon starts it
#[derive(Debug, clap::Args)]
pub(crate) struct LaneCommand {
    /// Whose.
    tenant: String,
    #[command(flatten)]
    folders: FolderArguments,
}

impl LaneCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let programs = Programs {
            click: embedded::IMAGE,
            symbols: embedded::SYMBOLS,
        };
        match lane::run(&self.folders.folders(), &self.tenant, programs) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
