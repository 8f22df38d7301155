//! `sprat run --watch`: a package that runs, and is built and started again when a source changes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use super::{Package, PackageError};
use crate::output::complain;

/// How often sources are looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// How often what failed is started once more, and after how many looks each time. What was in its
/// way, such as a port that is still taken, may be gone by then.
const ATTEMPTS: u32 = 15;
const LOOKS_BETWEEN: u32 = 5;

/// Runs a package until Ctrl-C. `build` builds it, `start` makes the command that runs it.
///
/// While a change does not compile, what ran before goes on.
pub(crate) fn watch(
    folder: &Path,
    features: &[String],
    build: impl Fn(&Package) -> Result<(), PackageError>,
    mut start: impl FnMut() -> Command,
) -> Result<(), PackageError> {
    let open = || Package::open(folder)?.with_features(features);
    // Where there is no package yet, no change will bring one.
    open()?;
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, interrupted.clone()).map_err(PackageError::Signals)?;
    }
    let mut running: Option<Child> = None;
    while !interrupted.load(Ordering::Relaxed) {
        let state = state(folder);
        match open().and_then(|package| build(&package)) {
            Ok(()) => {
                end(running.take());
                running = Some(start().spawn().map_err(PackageError::Cargo)?);
            }
            Err(error) => {
                complain!("error: {error}");
                if running.as_mut().is_some_and(goes_on) {
                    complain!("the old one goes on until the next change");
                }
            }
        }
        let mut looks = 0;
        while state == self::state(folder) && !interrupted.load(Ordering::Relaxed) {
            thread::sleep(PERIOD);
            looks += 1;
            let again = looks % LOOKS_BETWEEN == 0 && looks <= ATTEMPTS * LOOKS_BETWEEN;
            if again && running.as_mut().is_some_and(has_failed) {
                running = Some(start().spawn().map_err(PackageError::Cargo)?);
            }
        }
    }
    end(running);
    Ok(())
}

/// Whether a run has ended by an error.
fn has_failed(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(Some(status)) if !status.success())
}

/// Whether a run has not ended.
fn goes_on(child: &mut Child) -> bool {
    matches!(child.try_wait(), Ok(None))
}

/// Ends a run as Ctrl-C does, so that it reports.
fn end(running: Option<Child>) {
    let Some(mut child) = running else {
        return;
    };
    // One that has ended is not signalled: its number may be another's by now.
    if goes_on(&mut child)
        && let Some(process) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
    {
        let _ = kill_process(process, Signal::INT);
    }
    let _ = child.wait();
}

/// What tells one state of a package's files from another: how many there are, and the latest change.
fn state(folder: &Path) -> (usize, Option<SystemTime>) {
    let mut folders = vec![folder.to_owned()];
    let (mut count, mut latest) = (0, None);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name == "target" || name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                folders.push(entry.path());
            } else if metadata.is_file() {
                // No sockets: a run's own may lie here, and come and go with it.
                count += 1;
                latest = latest.max(metadata.modified().ok());
            }
        }
    }
    (count, latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn files_change_a_package_s_state_and_a_run_s_socket_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = state(folder.path());
        let socket = folder.path().join("run.socket");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        assert_eq!(state(folder.path()), before);
        fs::write(folder.path().join("new.rs"), "").expect("written");
        assert_ne!(state(folder.path()), before);
    }
}
