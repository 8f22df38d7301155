//! A daemon for tests, with everything that it starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{Finished, sprat};
use crate::live::Live;
use crate::wall_clock::WallClock;

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A daemon, and everything that it has started: all of it is gone when this is.
pub struct Host {
    folder: tempfile::TempDir,
    /// What the daemon is started with.
    arguments: Vec<String>,
    /// The clock that it and its lanes go by, if not the system's.
    clock: Option<WallClock>,
    daemon: Option<Live>,
}

impl Host {
    /// Starts a daemon over a folder with configurations: `one.click` makes five packets, `two.click`
    /// as many as `LIMIT` says, `bad.click` is none, and `edge.toml` says `declared`.
    ///
    /// # Panics
    /// When it does not begin.
    #[must_use]
    pub fn start(declared: &str) -> Self {
        Self::with(declared, ["--state", "state"], None)
    }

    /// The same, whose state is kept in another folder.
    ///
    /// # Panics
    /// When it does not begin.
    #[must_use]
    pub fn keeping(declared: &str, state: &Path) -> Self {
        let state = state.to_str().expect("a plain name");
        Self::with(declared, ["--state", state], None)
    }

    /// The same, which members of a group may ask too.
    ///
    /// # Panics
    /// When it does not begin.
    #[must_use]
    pub fn of_group(declared: &str, group: &str) -> Self {
        Self::with(declared, ["--state", "state", "--group", group], None)
    }

    /// The same, which goes by a clock of the test's.
    ///
    /// # Panics
    /// When it does not begin.
    #[must_use]
    pub fn under_clock(declared: &str, clock: WallClock) -> Self {
        Self::with(declared, ["--state", "state"], Some(clock))
    }

    fn with<const N: usize>(
        declared: &str,
        arguments: [&str; N],
        clock: Option<WallClock>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [
            ("edge.toml", declared),
            ("bad.click", "Idle -> Nonsense;"),
            (
                "one.click",
                "InfiniteSource(LIMIT 5) -> c :: Counter -> Discard;",
            ),
            (
                "two.click",
                "InfiniteSource(LIMIT $LIMIT) -> c :: Counter -> Discard;",
            ),
        ] {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let mut host = Self {
            folder,
            arguments: arguments.map(String::from).into(),
            clock,
            daemon: None,
        };
        host.begin();
        host
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The clock of the test's that the daemon goes by.
    #[must_use]
    pub fn clock(&self) -> Option<&WallClock> {
        self.clock.as_ref()
    }

    /// Starts the daemon, where it was killed.
    ///
    /// # Panics
    /// When it does not begin.
    pub fn begin(&mut self) {
        let mut command = Live::command(
            self.path(),
            ["daemon"]
                .into_iter()
                .chain(self.arguments.iter().map(String::as_str)),
        );
        if let Some(clock) = &self.clock {
            clock.give_to(&mut command);
        }
        let mut daemon = Live::of(&mut command);
        let line = daemon.line();
        assert!(line.starts_with("listening on "), "{line}");
        self.daemon = Some(daemon);
    }

    /// Runs the command in the folder.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        sprat(self.path(), arguments)
    }

    /// The same, of a command that has to go well; what it says.
    ///
    /// # Panics
    /// When it does not.
    pub fn good(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert!(done.good, "{arguments:?}: {}", done.errors);
        done.output
    }

    /// Declares what a text says; the changes.
    ///
    /// # Panics
    /// When it is refused.
    pub fn declare(&self, text: &str) -> String {
        fs::write(self.path().join("edge.toml"), text).expect("written");
        self.good(&["up", "edge.toml"])
    }

    /// What all lanes say of themselves.
    ///
    /// # Panics
    /// When the daemon does not tell.
    #[must_use]
    pub fn lanes(&self) -> Vec<Value> {
        let status = self.run(&["ps", "--json"]).json();
        status["lanes"].as_array().expect("lanes").clone()
    }

    /// The process of a tenant's lane.
    #[must_use]
    pub fn lane(&self, tenant: &str) -> Option<u64> {
        let lanes = self.lanes();
        let lane = lanes.iter().find(|lane| lane["tenant"] == tenant)?;
        lane["status"]["pid"].as_u64()
    }

    /// What is known of an instance.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<Value> {
        let lanes = self.lanes();
        let mut instances = lanes
            .iter()
            .filter_map(|lane| lane["status"]["instances"].as_array())
            .flatten();
        instances.find(|found| found["name"] == name).cloned()
    }

    /// Waits until an instance is in a state; what is known of it then.
    pub fn wait(&self, name: &str, state: &str) -> Value {
        self.until(|| self.instance(name).filter(|found| found["state"] == state))
    }

    /// Waits until there is something.
    ///
    /// # Panics
    /// When there never is.
    pub fn until<T>(&self, mut done: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(result) = done() {
                return result;
            }
            let ps = self.run(&["ps"]);
            assert!(begun.elapsed() < PATIENCE, "{}{}", ps.output, ps.errors);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The daemon's process.
    #[must_use]
    pub fn daemon(&self) -> Option<u64> {
        self.daemon.as_ref().map(|daemon| u64::from(daemon.id()))
    }

    /// Ends the daemon as nothing else could.
    pub fn kill_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            kill(u64::from(daemon.id()));
            let _ = daemon.wait();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.daemon.is_none() && !thread::panicking() {
            self.begin();
        }
        let down = self.run(&["down"]);
        if let Some(daemon) = self.daemon.take() {
            let _ = daemon.interrupt();
        }
        let lanes = lanes_of(self.path());
        for lane in &lanes {
            kill(*lane);
        }
        if !thread::panicking() {
            assert!(down.good, "{}", down.errors);
            assert!(lanes.is_empty(), "nothing is left behind");
        }
    }
}

/// Ends a process as nothing else could.
///
/// # Panics
/// When there is no such process.
pub fn kill(process: u64) {
    let killed = Command::new("kill")
        .args(["-9", &process.to_string()])
        .status();
    assert!(killed.expect("kill starts").success(), "{process}");
}

/// Lanes whose sockets are in a folder and that have not ended.
fn lanes_of(folder: &Path) -> Vec<u64> {
    let processes = fs::read_dir("/proc").expect("processes");
    let numbers = processes.flatten().filter_map(|entry| {
        let number: u64 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let words: Vec<_> = line.split(|byte| *byte == 0).collect();
        let lane = words.get(1) == Some(&&b"lane"[..]);
        let run = folder.join("sprat");
        let own = words.contains(&run.to_string_lossy().as_bytes());
        (lane && own).then_some(number)
    });
    // What has just ended may take a moment to be gone.
    let alive = |number: &u64| {
        let path = PathBuf::from(format!("/proc/{number}/exe"));
        let begun = Instant::now();
        while path.read_link().is_ok() {
            if begun.elapsed() > Duration::from_secs(5) {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    };
    numbers.filter(alive).collect()
}

/// Processor time that a process has had, in ticks of which a second has a hundred.
///
/// # Panics
/// When it does not run.
#[must_use]
pub fn processor_time(process: u64) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // The name before it may hold anything (proc(5)).
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let fields: Vec<&str> = fields.split(' ').collect();
    let number = |at: usize| fields[at].parse::<u64>().expect("a number");
    number(11) + number(12)
}
