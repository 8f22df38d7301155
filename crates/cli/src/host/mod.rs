//! What is declared to run, and the daemon that keeps it running.

mod act;
mod capture;
mod daemon;
mod events;
mod flow;
mod instance;
mod port;
mod ps;
mod top;
mod up;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;
use sprat_host::client::{self, ClientError};
use sprat_host::folders::Folders;

pub(crate) use act::{KillCommand, StartCommand, StopCommand};
pub(crate) use capture::CaptureCommand;
pub(crate) use daemon::{DaemonCommand, LaneCommand};
pub(crate) use events::EventsCommand;
pub(crate) use flow::{FlowCommand, SteerCommand};
pub(crate) use instance::inspect as inspect_instance;
pub(crate) use port::PortCommand;
pub(crate) use ps::PsCommand;
pub(crate) use top::TopCommand;
pub(crate) use up::{DownCommand, UpCommand};

use crate::output::complain;

/// How long a daemon may take until it listens.
const BEGINNING: Duration = Duration::from_secs(2);

/// Where a daemon has its sockets and its state.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct FolderArguments {
    /// The folder of the daemon's sockets; $XDG_RUNTIME_DIR/sprat, if not given.
    #[arg(long = "run", value_name = "FOLDER")]
    run: Option<PathBuf>,
    /// The folder of what is to outlive the machine; $XDG_STATE_HOME/sprat, if not given.
    #[arg(long = "state", value_name = "FOLDER")]
    state: Option<PathBuf>,
}

impl FolderArguments {
    fn folders(&self) -> Folders {
        let user = Folders::of_user();
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Folders {
            run: self.run.as_ref().map_or(user.run, absolute),
            state: self.state.as_ref().map_or(user.state, absolute),
        }
    }

    /// Those of the daemon to be asked: the machine's own, where this user has none.
    fn asked(&self) -> Folders {
        let (own, machine) = (self.folders(), Folders::of_machine());
        match self.run.is_none() && !own.daemon().exists() && machine.daemon().exists() {
            true => machine,
            false => own,
        }
    }

    /// Gives a daemon that was started just before the time to listen.
    fn await_daemon(&self) {
        let begun = Instant::now();
        while UnixStream::connect(self.asked().daemon()).is_err() && begun.elapsed() < BEGINNING {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks the daemon.
    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, ClientError> {
        client::ask(&self.asked(), method, path, body)
    }

    /// Asks the daemon for something.
    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        client::ask(&self.asked(), "GET", path, None)
    }
}

/// Says why a subcommand came to nothing.
fn complain_of(error: &ClientError) {
    complain!("error: {error}");
    if let ClientError::NoDaemon { .. } = error {
        complain!("  help: start one: sprat daemon");
    }
}

/// A part of a path, as a URL has it.
fn encoded(part: &str) -> String {
    let mut text = String::new();
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => text.push(byte.into()),
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}
