//! A wall clock that a test sets, for the programs it starts.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::command::project;

/// The system's wall clock, moved by so many seconds for who is given it, and all they start.
pub struct WallClock {
    folder: tempfile::TempDir,
    moved: File,
}

impl WallClock {
    /// One that is not moved yet.
    ///
    /// # Panics
    /// When the C compiler, which is here as Rust's linker, does not make the library.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"])
            .arg(folder.path().join("wall_clock.so"))
            .arg(project().join("tests/command/src/wall_clock.c"))
            .status();
        assert!(compiled.expect("cc starts").success());
        let moved = File::create(folder.path().join("moved")).expect("a file");
        let clock = Self { folder, moved };
        clock.move_by(0);
        clock
    }

    /// Where the seconds stand that it is moved by.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("moved")
    }

    /// Has the clock of everything that reads it jump to so many seconds from the system's.
    ///
    /// # Panics
    /// When that cannot be written.
    pub fn move_by(&self, seconds: i64) {
        let written = self.moved.write_all_at(&seconds.to_ne_bytes(), 0);
        written.expect("written");
    }

    /// What it says.
    ///
    /// # Panics
    /// When it says a time before 1970.
    #[must_use]
    pub fn now(&self) -> Duration {
        let bytes = fs::read(self.path()).expect("readable");
        let seconds = i64::from_ne_bytes(bytes.try_into().expect("eight bytes"));
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let since = since.expect("after 1970");
        let moved = since.as_secs().checked_add_signed(seconds);
        Duration::new(moved.expect("after 1970"), since.subsec_nanos())
    }

    /// Has a command, and all that it starts, go by this clock.
    pub(crate) fn give_to(&self, command: &mut Command) {
        let library = self.folder.path().join("wall_clock.so");
        command.env("LD_PRELOAD", library);
        command.env("WALL_CLOCK", self.path());
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}
