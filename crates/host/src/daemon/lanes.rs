//! The lanes of a daemon: started where they are missing, watched, and asked.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::Daemon;
use crate::folders::Folders;
use crate::protocol::{Answer, Request, ask};

/// How long a lane may take to begin.
const START: Duration = Duration::from_secs(10);

/// How long a lane may take to answer. Changes wait for instances to be made.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two lanes of a tenant that keep ending, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How lanes are started.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub(super) folders: Folders,
    /// The program that has the subcommand `lane`.
    pub(super) command: PathBuf,
}

impl Lanes {
    /// Asks a tenant's lane.
    pub(super) async fn ask(&self, tenant: &str, request: Request) -> Result<Answer, String> {
        let socket = self.folders.lane(tenant);
        let asked = tokio::task::spawn_blocking(move || ask(&socket, &request, PATIENCE)).await;
        match asked {
            Ok(Ok(Answer::Refused(why))) => Err(why),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(format!("the lane of {tenant} does not answer: {error}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The tenants whose lanes run.
    pub(super) fn running(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.folders.lanes());
        let names = entries.into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_suffix(".socket")?.to_string())
        });
        names
            .filter(|tenant| {
                std::os::unix::net::UnixStream::connect(self.folders.lane(tenant)).is_ok()
            })
            .collect()
    }

    /// Starts a tenant's lane where there is none; a connection to it, which ends when it does.
    pub(super) async fn ensure(&self, tenant: &str) -> Result<UnixStream, String> {
        let socket = self.folders.lane(tenant);
        if let Ok(stream) = UnixStream::connect(&socket).await {
            return Ok(stream);
        }
        let failed = |error: io::Error| format!("the lane of {tenant} cannot be started: {error}");
        let path = self.folders.lanes().join(format!("{tenant}.log"));
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let mut child = Command::new(&self.command)
            .arg("lane")
            .arg(tenant)
            .arg("--run")
            .arg(&self.folders.run)
            .arg("--state")
            .arg(&self.folders.state)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        let begin = Instant::now();
        loop {
            if let Ok(stream) = UnixStream::connect(&socket).await {
                // It may outlive the daemon; until then nothing of it is left lying about.
                tokio::spawn(async move {
                    let _ = child.wait().await;
                });
                return Ok(stream);
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!(
                    "the lane of {tenant} ended at once ({status}); {} says why",
                    path.display()
                ));
            }
            if begin.elapsed() > START {
                let _ = child.start_kill();
                return Err(format!("the lane of {tenant} does not begin"));
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Starts a tenant's lane again whenever it ends, as long as the tenant has something to run.
pub(super) fn watch(daemon: Arc<Daemon>, tenant: String, mut stream: UnixStream) {
    tokio::spawn(async move {
        let mut wait = FIRST_WAIT;
        loop {
            let begin = Instant::now();
            // Nothing is ever said here: it ends with the lane.
            let _ = stream.read(&mut [0; 1]).await;
            if begin.elapsed() > LONGEST_WAIT {
                wait = FIRST_WAIT;
            }
            loop {
                if !daemon.is_wanted(&tenant).await {
                    daemon.unwatch(&tenant).await;
                    return;
                }
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                match daemon.revive(&tenant).await {
                    Ok(again) => {
                        stream = again;
                        break;
                    }
                    Err(error) => daemon.note(&error),
                }
            }
        }
    });
}
