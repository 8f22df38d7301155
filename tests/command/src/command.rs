//! The `sprat` command as it ships.

use serde_json::Value;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The project's folder.
#[must_use]
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this is two folders down")
}

/// Whether instances can be virtual machines here: `/dev/kvm` is KVM's, and may be opened.
#[must_use]
pub fn has_kvm() -> bool {
    /// Major and minor number of KVM's device (Linux' list of allocated devices).
    const KVM: u64 = 10 << 8 | 232;
    let device = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm");
    device
        .and_then(|device| device.metadata())
        .is_ok_and(|device| device.rdev() == KVM)
}

/// The command, built as it ships: the one that `SPRAT` names, else cargo's release build.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("SPRAT") {
            return path.into();
        }
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--quiet", "--package", "sprat-cli"])
            .current_dir(project())
            .status()
            .expect("cargo starts");
        assert!(built.success(), "sprat does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| project().join("target"), PathBuf::from);
        target.join("release/sprat")
    })
}

/// What a command came to.
#[derive(Debug)]
pub struct Finished {
    /// Whether its exit status was zero.
    pub good: bool,
    /// The exit status; nothing when a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to standard output.
    pub output: String,
    /// What it wrote to standard error.
    pub errors: String,
}

impl Finished {
    /// Standard output as JSON.
    ///
    /// # Panics
    /// When the command failed or wrote something else.
    #[must_use]
    pub fn json(&self) -> Value {
        assert!(self.good, "exit status {:?}:\n{}", self.status, self.errors);
        serde_json::from_str(&self.output)
            .unwrap_or_else(|error| panic!("{error}:\n{}", self.output))
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            good: output.status.success(),
            status: output.status.code(),
            output: String::from_utf8_lossy(&output.stdout).into_owned(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `sprat` in a folder and interrupts it once as Ctrl-C does, a quarter of a second after it
/// has begun to listen for that.
///
/// # Panics
/// When it cannot be started, or does not listen within a minute.
pub fn interrupted_sprat<I: AsRef<std::ffi::OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Finished {
    // `timeout` itself signals twice, which is to give up waiting; it is for a run that hangs.
    let child = Command::new("timeout")
        .args(["--foreground", "--signal=KILL", "60"])
        .arg(binary())
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("timeout starts");
    let begun = Instant::now();
    let listening = loop {
        assert!(begun.elapsed() < Duration::from_secs(60), "nobody listens");
        thread::sleep(Duration::from_millis(10));
        if let Some(process) = child_of(child.id()).filter(|process| catches_interrupts(*process)) {
            break process;
        }
    };
    thread::sleep(Duration::from_millis(250));
    let sent = Command::new("kill")
        .args(["-INT", &listening.to_string()])
        .status();
    assert!(sent.expect("kill starts").success());
    child.wait_with_output().expect("it ends").into()
}

/// The only process that a process has started.
fn child_of(process: u32) -> Option<u32> {
    let children = format!("/proc/{process}/task/{process}/children");
    fs::read_to_string(children).ok()?.trim().parse().ok()
}

/// Whether a process has a handler for the signal that Ctrl-C sends.
pub(crate) fn catches_interrupts(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // `timeout` catches it too, until it has become `sprat`.
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    name.trim() != "timeout" && caught.is_some_and(|mask| mask & 1 << 1 != 0)
}

/// Runs `sprat` in a folder, for at most ten minutes: some compile all that an image is made of.
///
/// # Panics
/// When it cannot be started.
pub fn sprat<I: AsRef<std::ffi::OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Finished {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "600"]);
    run(&mut command, folder, arguments)
}

/// Runs `sprat` in a folder, with a standard output that nobody reads.
///
/// # Panics
/// When it cannot be started.
pub fn unread_sprat<I: AsRef<std::ffi::OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Finished {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    Command::new("timeout")
        .args(["--kill-after=5", "120"])
        .arg(binary())
        .args(arguments)
        .current_dir(folder)
        .stdout(writer)
        .output()
        .expect("timeout and sprat start")
        .into()
}

/// Keeps what `sprat` keeps for later out of the user's own cache.
pub(crate) fn with_own_cache(command: &mut Command) -> &mut Command {
    command
        .env("XDG_CACHE_HOME", project().join("target/tmp/cache"))
        .env("XDG_DATA_HOME", project().join("target/tmp/data"))
}

/// Runs `sprat` with these variables, started by the words of another command where there are any.
///
/// # Panics
/// When it cannot be started.
pub fn sprat_with<I: AsRef<std::ffi::OsStr>>(
    starter: &[&str],
    variables: &[(&str, PathBuf)],
    folder: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Finished {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "600"]).args(starter);
    with_own_cache(&mut command).envs(variables.iter().cloned());
    run_with(&mut command, folder, arguments)
}

fn run<I: AsRef<std::ffi::OsStr>>(
    command: &mut Command,
    folder: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Finished {
    run_with(with_own_cache(command), folder, arguments)
}

fn run_with<I: AsRef<std::ffi::OsStr>>(
    command: &mut Command,
    folder: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Finished {
    command
        .arg(binary())
        .args(arguments)
        .current_dir(folder)
        // Names of runs are this test's alone.
        .env("XDG_RUNTIME_DIR", folder)
        .output()
        .expect("timeout and sprat start")
        .into()
}
