//! Where sockets and state are.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The folders of one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Sockets: what is there lives no longer than the machine runs.
    pub run: PathBuf,
    /// What outlives that.
    pub state: PathBuf,
}

impl Folders {
    /// Those of this user: `$XDG_RUNTIME_DIR/sprat` and `$XDG_STATE_HOME/sprat`; without them a
    /// folder of the user's among temporary files, and `~/.local/state/sprat`, or for root
    /// `/var/lib/sprat`.
    #[must_use]
    pub fn of_user() -> Self {
        let user = rustix::process::geteuid();
        let absolute = |name| {
            let path = std::env::var_os(name).map(PathBuf::from);
            path.filter(|path| path.is_absolute())
        };
        let run = match absolute("XDG_RUNTIME_DIR") {
            Some(folder) => folder.join("sprat"),
            None => std::env::temp_dir().join(format!("sprat-{}", user.as_raw())),
        };
        let state = match (absolute("XDG_STATE_HOME"), absolute("HOME")) {
            (Some(folder), _) => folder.join("sprat"),
            (None, Some(home)) if !user.is_root() => home.join(".local/state/sprat"),
            _ => PathBuf::from("/var/lib/sprat"),
        };
        Self { run, state }
    }

    /// Makes them, for this user alone.
    ///
    /// # Errors
    /// One cannot be made, or is somebody else's.
    pub fn make(&self) -> Result<(), FolderError> {
        for folder in [&self.run, &self.lanes(), &self.state, &self.crashes()] {
            make(folder).map_err(|source| FolderError {
                folder: folder.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// The daemon's socket.
    #[must_use]
    pub fn daemon(&self) -> PathBuf {
        self.run.join("daemon.socket")
    }

    /// Where lanes have their sockets and logs.
    #[must_use]
    pub fn lanes(&self) -> PathBuf {
        self.run.join("lanes")
    }

    /// A lane's socket.
    #[must_use]
    pub fn lane(&self, tenant: &str) -> PathBuf {
        self.lanes().join(format!("{tenant}.socket"))
    }

    /// The control socket of an instance.
    #[must_use]
    pub fn instance(&self, name: &str) -> PathBuf {
        self.run.join(format!("{name}.sock"))
    }

    /// Reports of instances that did not end well.
    #[must_use]
    pub fn crashes(&self) -> PathBuf {
        self.state.join("crashes")
    }
}

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the folder {}: {source}", folder.display())]
pub struct FolderError {
    folder: PathBuf,
    source: io::Error,
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700).recursive(true).create(folder)?;
    let found = fs::symlink_metadata(folder)?;
    let own = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && own && found.mode() & 0o022 == 0 {
        Ok(())
    } else {
        let what = "it is no folder that only its owner, this user, may change";
        Err(io::Error::other(what))
    }
}
