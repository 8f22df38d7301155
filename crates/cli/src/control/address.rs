//! Names of instances that run, and where their control sockets are.
//!
//! The socket of the instance NAME is `$XDG_RUNTIME_DIR/sprat/NAME.sock`; where there is no such
//! folder, it is in `sprat-UID` in the folder for temporary files. Whoever may connect to the socket
//! may do everything with the instance; the folder is open to its owner alone.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest name of an instance, in bytes: the path of a socket may have 107.
const NAME_LIMIT: usize = 40;

/// What the file of a socket is called behind the instance's name.
const SUFFIX: &str = ".sock";

/// Where sockets are; there may be no such folder yet.
pub(crate) fn folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(runtime) if runtime.is_absolute() => runtime.join("sprat"),
        _ => {
            let user = rustix::process::geteuid().as_raw();
            std::env::temp_dir().join(format!("sprat-{user}"))
        }
    }
}

/// The socket in a folder of the instance with this name.
pub(crate) fn socket(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{SUFFIX}"))
}

/// Where an instance's socket is: what stands for it is its name, or a path.
pub(crate) fn find(instance: &str) -> PathBuf {
    if instance.contains('/') {
        PathBuf::from(instance)
    } else {
        socket(&folder(), instance)
    }
}

/// The names of all instances that have a socket in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| {
        let file = entry.file_name().into_string().ok()?;
        Some(file.strip_suffix(SUFFIX)?.to_string())
    };
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries.flatten().filter_map(name).collect();
    names.sort();
    names
}

/// Checks a name that somebody chose.
pub(crate) fn check(name: &str) -> Result<String, String> {
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if name.is_empty() || name.len() > NAME_LIMIT || name.contains(odd) || name.starts_with('.') {
        return Err(format!(
            "expected up to {NAME_LIMIT} letters, digits, - _ and ., not a . first"
        ));
    }
    Ok(name.into())
}

/// The name of an instance that nobody named, after what it runs.
pub(crate) fn after(program: &Path) -> String {
    let stem = program
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .unwrap_or_default();
    let name: String = stem
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
            _ => '-',
        })
        // Room for a number behind it.
        .take(NAME_LIMIT - 4)
        .collect();
    check(&name).unwrap_or_else(|_| "instance".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_named_after_its_file_or_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("my wall.click");
        fs::write(&file, "").expect("a file");
        assert_eq!(after(&file), "my-wall");
        let inside = folder.path().join("edge");
        fs::create_dir(&inside).expect("a folder");
        assert_eq!(after(&inside.join(".")), "edge");
        assert_eq!(after(Path::new("/")), "instance");
    }

    #[test]
    fn a_name_is_no_path() {
        assert_eq!(check("fw-1.b"), Ok("fw-1.b".into()));
        for name in ["", ".", "..", "a/b", "a b", &"x".repeat(41)] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
