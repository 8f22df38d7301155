//! The daemon: keeps what was declared, and sees to it that every lane there is to be does its part.

mod api;
mod crashes;
mod gifts;
mod groups;
mod happenings;
mod lanes;
mod metrics;
mod store;
mod stream;

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::desired::{Desired, instance_names};
use crate::folders::{FolderError, Folders};
use crate::protocol::{Answer, Event, Given, Request, Status};
use groups::Groups;
use happenings::Happenings;
use lanes::Lanes;
use store::Store;
pub use store::StoreError;

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its socket cannot be had.
    #[error("the socket {}: {source}", path.display())]
    Socket {
        /// Where it was to be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system refuses something else.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// How long whoever is being answered has when the daemon is to end.
const FAREWELL: Duration = Duration::from_secs(1);

/// What the daemon knows.
struct Daemon {
    lanes: Lanes,
    /// What is declared, and the store it is kept in. Whoever changes it holds it until all lanes
    /// have followed.
    declared: Mutex<(Desired, Store)>,
    watched: Mutex<BTreeSet<String>>,
    happenings: Happenings,
}

/// Runs until it is told to end, by a signal. Lanes go on without it.
///
/// `command` is the program that has the subcommand `lane`; members of the group `group` may ask as
/// its owner may; `ready` is called once requests are answered.
///
/// # Errors
/// It cannot begin.
pub fn run(
    folders: &Folders,
    command: PathBuf,
    group: Option<u32>,
    ready: impl FnOnce(),
) -> Result<(), DaemonError> {
    // Lanes have nothing open that they were not given.
    sprat_monitor::keep_descriptors();
    folders.make()?;
    let mut store = Store::open(&folders.state.join("daemon.redb"))?;
    let desired = store.load()?;
    let path = folders.daemon();
    let listener = crate::control::bind(&path).map_err(|source| DaemonError::Socket {
        path: path.clone(),
        source,
    })?;
    if let Some(group) = group {
        folders.admit(group).map_err(|source| DaemonError::Socket {
            path: path.clone(),
            source,
        })?;
    }
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = UnixListener::from_std(listener)?;
        let daemon = Arc::new(Daemon {
            lanes: Lanes {
                folders: folders.clone(),
                command,
                groups: Groups::open(folders),
            },
            declared: Mutex::new((desired, store)),
            watched: Mutex::default(),
            happenings: Happenings::new(),
        });
        let begun = daemon.clone();
        tokio::spawn(async move { begun.take_up().await });
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let end = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        ready();
        let (tell, told) = tokio::sync::oneshot::channel();
        let end = async move {
            end.await;
            let _ = tell.send(());
        };
        let served = axum::serve(listener, api::router(daemon.clone()));
        let served = served.with_graceful_shutdown(end).into_future();
        // Streams have no end of their own.
        let patience = async {
            let _ = told.await;
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            done = served => done?,
            () = patience => {}
        }
        // A change that has begun is brought to its end.
        drop(daemon.declared.lock().await);
        Ok::<(), io::Error>(())
    })?;
    let _ = std::fs::remove_file(path);
    Ok(())
}

impl Daemon {
    /// Finds the lanes that run, starts those that do not, and ends those that nobody wants.
    async fn take_up(self: Arc<Self>) {
        let declared = self.declared.lock().await;
        let wanted = declared.0.lanes();
        if let Err(error) = self.lanes.groups.set(&declared.0) {
            self.note(&error);
        }
        for lane in self.lanes.running().difference(&wanted) {
            if let Err(error) = self.lanes.end(lane).await {
                self.note(&error);
            }
        }
        for lane in &wanted {
            if let Err(error) = self.follow(lane, &declared.0).await {
                self.note(&error);
                // Tried again until it works.
                let (ended, _) = match UnixStream::pair() {
                    Ok(pair) => pair,
                    Err(error) => return self.note(&error.to_string()),
                };
                self.begin_watch(lane, ended).await;
            }
        }
        self.lanes.groups.tidy(&declared.0).await;
    }

    /// Says what is of no use to whoever asked.
    fn note(&self, text: &str) {
        // Nobody is left to tell that standard error is closed.
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Has a lane do its part of what is declared.
    async fn follow(self: &Arc<Self>, lane: &str, desired: &Desired) -> Result<(), String> {
        let stream = self.lanes.ensure(lane).await?;
        self.begin_watch(lane, stream).await;
        self.apply(lane, desired).await
    }

    /// Has a lane that runs do its part of what is declared, with all that it takes.
    async fn apply(&self, lane: &str, desired: &Desired) -> Result<(), String> {
        let part = desired.part(lane);
        for without in self.lanes.provide(lane, &part, desired).await? {
            self.note(&without);
        }
        let request = Request::Apply(Box::new(part));
        self.lanes.ask(lane, request).await?;
        Ok(())
    }

    async fn begin_watch(self: &Arc<Self>, lane: &str, stream: UnixStream) {
        if self.watched.lock().await.insert(lane.into()) {
            lanes::watch(self.clone(), lane.into(), stream);
        }
    }

    async fn unwatch(&self, lane: &str) {
        self.watched.lock().await.remove(lane);
    }

    async fn is_wanted(&self, lane: &str) -> bool {
        self.declared.lock().await.0.lanes().contains(lane)
    }

    /// Starts a lane that has ended, and has it do what it did.
    async fn revive(self: &Arc<Self>, lane: &str) -> Result<UnixStream, String> {
        let declared = self.declared.lock().await;
        let stream = self.lanes.ensure(lane).await?;
        self.apply(lane, &declared.0).await?;
        Ok(stream)
    }

    /// Declares what is to run from now on. Where a lane cannot follow, all go back.
    async fn declare(self: &Arc<Self>, desired: Desired) -> Result<Vec<String>, String> {
        desired.check().map_err(|mistake| mistake.to_string())?;
        let mut declared = self.declared.lock().await;
        self.replace(&mut declared, desired).await
    }

    /// Declares something else than before, made of what is declared.
    async fn amend(
        self: &Arc<Self>,
        change: impl FnOnce(&mut Desired) -> Result<(), String>,
    ) -> Result<Vec<String>, String> {
        let mut declared = self.declared.lock().await;
        let mut desired = declared.0.clone();
        change(&mut desired)?;
        desired.check().map_err(|mistake| mistake.to_string())?;
        self.replace(&mut declared, desired).await
    }

    async fn replace(
        self: &Arc<Self>,
        declared: &mut (Desired, Store),
        desired: Desired,
    ) -> Result<Vec<String>, String> {
        let before = &declared.0;
        if let Err(error) = self.lanes.groups.set(&desired) {
            // Limits that were changed before that one go back.
            let _ = self.lanes.groups.set(before);
            self.lanes.groups.tidy(before).await;
            return Err(error);
        }
        let lanes: BTreeSet<String> = before.lanes().union(&desired.lanes()).cloned().collect();
        let (mut followed, mut failed) = (Vec::new(), None);
        // Who gives up ports comes before who may take them up.
        let (leaving, staying): (Vec<_>, Vec<_>) = lanes
            .into_iter()
            .filter(|lane| before.part(lane) != desired.part(lane))
            .partition(|lane| desired.part(lane).functions.is_empty());
        for lane in leaving.iter().chain(&staying) {
            let result = if leaving.contains(lane) {
                // A lane that has ended already does nothing any more.
                let part = Box::new(Desired::default());
                let _ = self.lanes.ask(lane, Request::Apply(part)).await;
                Ok(())
            } else {
                self.follow(lane, &desired).await
            };
            followed.push(lane.clone());
            if let Err(error) = result {
                failed = Some(error);
                break;
            }
        }
        if failed.is_none() {
            failed = declared
                .1
                .save(&desired)
                .err()
                .map(|error| error.to_string());
        }
        if let Some(error) = failed {
            for lane in followed.iter().rev() {
                let back = if before.lanes().contains(lane) {
                    self.follow(lane, before).await
                } else {
                    self.lanes.end(lane).await
                };
                if let Err(error) = back {
                    self.note(&error);
                }
            }
            let _ = self.lanes.groups.set(before);
            self.lanes.groups.tidy(before).await;
            return Err(error);
        }
        let changes = changes(before, &desired);
        self.lanes.remove_sockets(before, &desired);
        if !changes.is_empty() {
            let changes = changes.clone();
            self.happenings.say(None, Event::Declared { changes });
        }
        declared.0 = desired;
        for lane in &leaving {
            // The same.
            let _ = self.lanes.end(lane).await;
        }
        self.lanes.groups.tidy(&declared.0).await;
        Ok(changes)
    }

    /// What all lanes do.
    async fn status(&self) -> Vec<(String, Result<Status, String>)> {
        let names = self.declared.lock().await.0.lanes();
        let mut asked = JoinSet::new();
        for lane in names {
            let lanes = self.lanes.clone();
            asked.spawn(async move {
                let status = match lanes.ask(&lane, Request::Status).await {
                    Ok(Answer::Status(status)) => Ok(*status),
                    Ok(_) => Err(format!("the lane {lane} answers something else")),
                    Err(error) => Err(error),
                };
                (lane, status)
            });
        }
        let mut all = asked.join_all().await;
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// Frames of a port from now on, as a capture: the end to read them from.
    async fn capture(&self, port: String, count: Option<u64>) -> Result<UnixStream, String> {
        let lane = self.owner_of_port(&port).await?;
        let failed = |error: io::Error| error.to_string();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        let request = Request::Take(Given::Reader { port, count });
        let given = vec![theirs.into()];
        self.lanes.ask_with(&lane, request, given).await?;
        ours.set_nonblocking(true).map_err(failed)?;
        UnixStream::from_std(ours).map_err(failed)
    }

    /// The lane of a port, or of an instance's device.
    async fn owner_of_port(&self, port: &str) -> Result<String, String> {
        if let Some((instance, _)) = port.rsplit_once('.') {
            return self.owner(instance).await.map(|(lane, _)| lane);
        }
        let declared = self.declared.lock().await;
        let lanes = declared.0.lanes().into_iter();
        let mut owners = lanes.filter(|lane| declared.0.part(lane).ports.contains_key(port));
        owners.next().ok_or_else(|| {
            let known: Vec<&str> = declared.0.ports.keys().map(String::as_str).collect();
            match known.is_empty() {
                true => format!("no port {port}: expected INSTANCE:DEVICE"),
                false => {
                    let known = known.join(", ");
                    format!("no port {port}: expected INSTANCE:DEVICE, or one of {known}")
                }
            }
        })
    }

    /// The lane of an instance, and its function.
    async fn owner(&self, instance: &str) -> Result<(String, String), String> {
        let declared = self.declared.lock().await;
        let mut functions = declared.0.functions.iter();
        let found = functions.find(|(name, function)| {
            instance_names(name, function.replicas)
                .iter()
                .any(|name| name == instance)
        });
        match found {
            Some((name, function)) => Ok((function.lane_name(), name.clone())),
            None => {
                let known: Vec<String> = declared
                    .0
                    .functions
                    .iter()
                    .flat_map(|(name, function)| instance_names(name, function.replicas))
                    .collect();
                Err(match known.is_empty() {
                    true => format!("no instance {instance}: nothing is declared"),
                    false => format!("no instance {instance}; there are {}", known.join(", ")),
                })
            }
        }
    }
}

/// What changes from one declaration to another, for people.
fn changes(before: &Desired, after: &Desired) -> Vec<String> {
    let mut changes = Vec::new();
    let names: BTreeSet<&String> = before
        .functions
        .keys()
        .chain(after.functions.keys())
        .collect();
    for name in names {
        match (before.functions.get(name), after.functions.get(name)) {
            (None, Some(_)) => changes.push(format!("+ {name}")),
            (Some(_), None) => changes.push(format!("- {name}")),
            (one, other) if one != other => changes.push(format!("~ {name}")),
            _ => match (before.stopped.contains(name), after.stopped.contains(name)) {
                (false, true) => changes.push(format!("stopped {name}")),
                (true, false) => changes.push(format!("started {name}")),
                _ => {}
            },
        }
    }
    if (&before.ports, &before.chains, &before.bridges)
        != (&after.ports, &after.chains, &after.bridges)
    {
        changes.push("~ ports and how they are joined".into());
    }
    if before.tenants != after.tenants {
        changes.push("~ limits of tenants".into());
    }
    if before.flows != after.flows {
        changes.push("~ flow rules".into());
    }
    changes
}
