//! Runs that go on until they are interrupted, and networks to run them in.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{Finished, binary, catches_interrupts, with_own_cache};

/// How long a run may take to begin, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `sprat` that goes on.
pub struct Live {
    child: Child,
    errors: BufReader<ChildStderr>,
}

impl Live {
    /// Starts it in a folder.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<I: AsRef<std::ffi::OsStr>>(
        folder: &Path,
        arguments: impl IntoIterator<Item = I>,
    ) -> Self {
        Self::of(&mut Self::command(folder, arguments))
    }

    /// What would start it.
    pub(crate) fn command<I: AsRef<std::ffi::OsStr>>(
        folder: &Path,
        arguments: impl IntoIterator<Item = I>,
    ) -> Command {
        // Names of runs are this test's alone.
        let mut command = Command::new(binary());
        command.args(arguments).env("XDG_RUNTIME_DIR", folder);
        command.current_dir(folder);
        command
    }

    /// Starts another command that goes on.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn of(command: &mut Command) -> Self {
        let mut child = with_own_cache(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let errors = BufReader::new(child.stderr.take().expect("a pipe"));
        Self { child, errors }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it writes to standard error.
    ///
    /// # Panics
    /// When it ends before it has written one.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).expect("text");
        assert!(line.ends_with('\n'), "it has ended");
        line.trim_end().into()
    }

    /// Waits until Ctrl-C would end it in order.
    ///
    /// # Panics
    /// When that takes a minute.
    pub fn wait_until_it_listens(&self) {
        let begun = Instant::now();
        while !catches_interrupts(self.child.id()) {
            assert!(begun.elapsed() < PATIENCE, "nobody listens");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The program that its process runs by now.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        format!("/proc/{}/exe", self.child.id()).into()
    }

    /// Ends it at once.
    ///
    /// # Panics
    /// When that is not permitted.
    pub fn kill(mut self) {
        self.child.kill().expect("permitted");
        self.child.wait().expect("gone");
    }

    /// Presses Ctrl-C; what it came to.
    ///
    /// # Panics
    /// When it does not end within a minute.
    #[must_use]
    pub fn interrupt(self) -> Finished {
        self.wait_until_it_listens();
        let sent = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(sent.expect("kill starts").success());
        self.wait()
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Waits until it ends by itself; what it came to.
    ///
    /// # Panics
    /// When it does not end within a minute.
    #[must_use]
    pub fn wait(mut self) -> Finished {
        let begun = Instant::now();
        while self.child.try_wait().expect("a child").is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            thread::sleep(Duration::from_millis(10));
        }
        let mut said = String::new();
        self.errors.read_to_string(&mut said).expect("text");
        let mut output = self.child.wait_with_output().expect("it has ended");
        output.stderr = said.into_bytes();
        output.into()
    }
}

/// Whether this test runs in a network of its own. Where it does not, it is run once more, in one,
/// if that is permitted: `if !in_namespace("its name") { return }`.
///
/// # Panics
/// When the test fails in there.
#[must_use]
pub fn in_namespace(test: &str) -> bool {
    in_namespaces(test, &["--net"])
}

/// The same, in several kinds of namespaces of its own, as `unshare` names them.
///
/// # Panics
/// When the test fails in there.
#[must_use]
pub fn in_namespaces(test: &str, kinds: &[&str]) -> bool {
    const INSIDE: &str = "SPRAT_TEST_NAMESPACE";
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let permitted = Command::new("unshare").args(kinds).arg("true").output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs root");
        return false;
    }
    let done = Command::new("unshare")
        .args(kinds)
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        // Not built there: there may be no network to ask.
        .env("SPRAT", binary())
        .status();
    assert!(done.expect("unshare starts").success(), "{test} failed");
    false
}

/// Sets up the network of the test: `ip link set lo up`.
///
/// # Panics
/// When that fails.
pub fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).status();
    assert!(done.expect("ip starts").success(), "ip {arguments}");
}
