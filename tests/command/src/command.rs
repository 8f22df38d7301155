//! The `sprat` command as it ships.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The project's folder.
#[must_use]
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this is two folders down")
}

/// The command, built as it ships: the one that `SPRAT` names, else cargo's release build.
fn binary() -> &'static Path {
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

/// Runs `sprat` in a folder and interrupts it as Ctrl-C does, after half a second.
///
/// # Panics
/// When it cannot be started.
pub fn interrupted_sprat<I: AsRef<std::ffi::OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Finished {
    let mut command = Command::new("timeout");
    command.args([
        "--preserve-status",
        "--signal=INT",
        "--kill-after=60",
        "0.5",
    ]);
    run(&mut command, folder, arguments)
}

/// Runs `sprat` in a folder, for at most two minutes.
///
/// # Panics
/// When it cannot be started.
pub fn sprat<I: AsRef<std::ffi::OsStr>>(
    folder: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Finished {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", "120"]);
    run(&mut command, folder, arguments)
}

fn run<I: AsRef<std::ffi::OsStr>>(
    command: &mut Command,
    folder: &Path,
    arguments: impl IntoIterator<Item = I>,
) -> Finished {
    command
        .arg(binary())
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("timeout and sprat start")
        .into()
}
