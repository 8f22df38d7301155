//! Where sockets and state are.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
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
            make_private(folder).map_err(|source| FolderError {
                folder: folder.clone(),
                source,
            })?;
        }
        Ok(())
    }

    /// Lets the members of a group reach the daemon's socket, and nothing else.
    ///
    /// # Errors
    /// They cannot be let.
    pub(crate) fn admit(&self, group: u32) -> io::Result<()> {
        let socket = self.daemon();
        for (path, mode) in [(&self.run, 0o710), (&socket, 0o660)] {
            chown(path, None, Some(group))?;
            fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Those of the machine's own daemon.
    #[must_use]
    pub fn of_machine() -> Self {
        Self {
            run: PathBuf::from("/run/sprat"),
            state: PathBuf::from("/var/lib/sprat"),
        }
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
    pub fn lane(&self, name: &str) -> PathBuf {
        self.lanes().join(format!("{name}.socket"))
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

/// Makes a folder for this user alone, where there is none.
///
/// # Errors
/// It cannot be made, or others may change it, who could put sockets of their own there.
pub fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700).recursive(true).create(folder)?;
    let found = fs::symlink_metadata(folder)?;
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it is no folder of this user's"));
    }
    if found.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "others may change it, and so reach what runs: chmod 700 {}",
            folder.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_change_is_not_used() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("sprat");
        make_private(&inside).expect("made");
        make_private(&inside).expect("there already");
        assert_eq!(fs::metadata(&inside).expect("there").mode() & 0o777, 0o700);
        fs::set_permissions(&inside, fs::Permissions::from_mode(0o777)).expect("changed");
        let refused = make_private(&inside).expect_err("refused").to_string();
        let remedy = format!("chmod 700 {}", inside.display());
        assert!(refused.ends_with(&remedy), "{refused}");

        let file = folder.path().join("file");
        fs::write(&file, "").expect("a file");
        assert!(make_private(&file).is_err());
    }
}
