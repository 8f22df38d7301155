//! The lanes of a daemon: started where they are missing, watched, and asked.

use std::collections::{BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::groups::Groups;
use super::{Daemon, crashes};
use crate::folders::Folders;
use crate::protocol::{Answer, Event, Request, ask_with, line};

/// How long a lane may take to begin.
const START: Duration = Duration::from_secs(10);

/// How long a lane may take to answer. Changes wait for instances to be made.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two processes of a lane that keeps ending, at first and at most.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long after it failed a port is opened again.
const PORT_WAIT: Duration = Duration::from_millis(200);

/// How lanes are started.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub(super) folders: Folders,
    /// The program that has the subcommand `lane`.
    pub(super) command: PathBuf,
    pub(super) groups: Groups,
}

impl Lanes {
    /// Asks a lane.
    pub(super) async fn ask(&self, lane: &str, request: Request) -> Result<Answer, String> {
        self.ask_with(lane, request, Vec::new()).await
    }

    /// The same, with descriptors.
    pub(super) async fn ask_with(
        &self,
        lane: &str,
        request: Request,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Answer, String> {
        let socket = self.folders.lane(lane);
        let ask = move || {
            let borrowed: Vec<_> = descriptors.iter().map(|owned| owned.as_fd()).collect();
            ask_with(&socket, &request, &borrowed, PATIENCE)
        };
        match tokio::task::spawn_blocking(ask).await {
            Ok(Ok(Answer::Refused(why))) => Err(why),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(format!("the lane {lane} does not answer: {error}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The lanes that run.
    pub(super) fn running(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.folders.lanes());
        let names = entries.into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_suffix(".socket")?.to_string())
        });
        names
            .filter(|lane| std::os::unix::net::UnixStream::connect(self.folders.lane(lane)).is_ok())
            .collect()
    }

    /// Ends a lane, which cannot remove its socket itself.
    pub(super) async fn end(&self, lane: &str) -> Result<(), String> {
        self.ask(lane, Request::End).await?;
        let _ = std::fs::remove_file(self.folders.lane(lane));
        Ok(())
    }

    /// Starts a lane where there is none; a connection to it, which ends when it does.
    pub(super) async fn ensure(&self, lane: &str) -> Result<UnixStream, String> {
        let socket = self.folders.lane(lane);
        if let Ok(stream) = UnixStream::connect(&socket).await {
            return Ok(stream);
        }
        let failed = |error: io::Error| format!("the lane {lane} cannot be started: {error}");
        let path = self.folders.lanes().join(format!("{lane}.log"));
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let mut child = Command::new(&self.command)
            .arg("lane")
            .arg(lane)
            .arg("--run")
            .arg(&self.folders.run)
            .arg("--state")
            .arg(&self.folders.state)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            .spawn()
            .map_err(failed)?;
        // Before it has been told to do anything.
        if let Some(process) = child.id() {
            self.groups.admit(lane, process);
        }
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
                    "the lane {lane} ended at once ({status}); {} says why",
                    path.display()
                ));
            }
            if begin.elapsed() > START {
                let _ = child.start_kill();
                return Err(format!("the lane {lane} does not begin"));
            }
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Hears what happens in a lane, and starts it again whenever it ends, as long as it has something to
/// run.
pub(super) fn watch(daemon: Arc<Daemon>, lane: String, mut stream: UnixStream) {
    tokio::spawn(async move {
        let mut wait = FIRST_WAIT;
        loop {
            let begin = Instant::now();
            hear(&daemon, &lane, stream).await;
            if begin.elapsed() > LONGEST_WAIT {
                wait = FIRST_WAIT;
            }
            loop {
                if !daemon.is_wanted(&lane).await {
                    daemon.unwatch(&lane).await;
                    return;
                }
                sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
                match daemon.revive(&lane).await {
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

/// Hears what happens in a lane until it ends.
async fn hear(daemon: &Arc<Daemon>, lane: &str, mut stream: UnixStream) {
    let Ok(request) = line(&Request::Watch) else {
        return;
    };
    if stream.write_all(&request).await.is_err() {
        return;
    }
    daemon.happenings.say(Some(lane), Event::LaneStarted);
    let mut counted = daemon.lanes.groups.ended_for_memory(lane);
    // Whether the kernel has ended anything of the tenant since this was last asked.
    let mut out_of_memory = || {
        let before = counted;
        counted = daemon.lanes.groups.ended_for_memory(lane);
        counted > before
    };
    let mut opening: HashMap<String, AbortHandle> = HashMap::new();
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        let Ok(mut event) = serde_json::from_str::<Event>(&text) else {
            daemon.note(&format!("the lane {lane} tells what nobody understands"));
            continue;
        };
        match &mut event {
            Event::Died {
                instance,
                at,
                how,
                report,
            } => {
                if out_of_memory() {
                    how.push_str(", as its tenant was out of memory");
                }
                let folder = daemon.lanes.folders.crashes();
                *report = crashes::write(&folder, instance, *at, report);
            }
            Event::PortFailed { port, spec, .. } => {
                let again = open_again(daemon.clone(), lane.into(), port.clone(), spec.clone());
                let again = tokio::spawn(again).abort_handle();
                if let Some(old) = opening.insert(port.clone(), again) {
                    old.abort();
                }
            }
            _ => {}
        }
        daemon.happenings.say(Some(lane), event);
    }
    let ended = Event::LaneEnded {
        out_of_memory: out_of_memory(),
    };
    daemon.happenings.say(Some(lane), ended);
    for opening in opening.into_values() {
        opening.abort();
    }
}

/// Opens a port that has failed as soon as that is possible, while it is declared.
async fn open_again(daemon: Arc<Daemon>, lane: String, port: String, spec: String) {
    loop {
        sleep(PORT_WAIT).await;
        let declared = daemon.declared.lock().await;
        if declared.0.ports.get(&port) != Some(&spec) {
            return;
        }
        let given = daemon
            .lanes
            .give_port(&lane, &port, &spec, &declared.0)
            .await;
        if given.is_ok() {
            return;
        }
    }
}
