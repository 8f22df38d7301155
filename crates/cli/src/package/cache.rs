//! What can be made again: the library's crates, each version of `sprat` its own, with what was compiled
//! of them, and the folders in which images are compiled that are recorded.
//!
//! A folder's time of change says when it was last used. Where a version of the library comes in, what
//! nobody used for a month goes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long what nobody uses is kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Where it is; nothing where there is no place for it.
pub(super) fn folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = set("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))?;
    Some(cache.join("sprat"))
}

/// Notes that a folder of the cache is used now, if it is there.
pub(super) fn note_use(folder: &Path) {
    // Where it cannot be noted, the folder is made again some day.
    let _ = File::open(folder).and_then(|folder| folder.set_modified(SystemTime::now()));
}

/// Removes what was not used for a month; what cannot be removed stays.
pub(super) fn remove_unused(cache: &Path) {
    let libraries = folders(cache).filter(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        // The latter were not unpacked to their end.
        name.starts_with(b"library-") || name.starts_with(b".tmp")
    });
    for path in libraries.chain(folders(&cache.join("builds"))) {
        let used = fs::metadata(&path).and_then(|metadata| metadata.modified());
        // One of the future is not old.
        let age = used.ok().and_then(|used| used.elapsed().ok());
        if age.is_some_and(|age| age > KEPT) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// The folders in a folder, but not what only leads to one.
fn folders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn what_was_not_used_for_a_month_goes_and_nothing_else() {
        let cache = tempfile::tempdir().expect("a folder");
        let cache = cache.path();
        for (name, days) in [
            ("library-0.1.0-old", 31),
            ("library-0.1.0-used", 31),
            ("library-0.1.0-young", 29),
            (".tmpX", 31),
            ("builds/old", 31),
            ("builds/young", 29),
            ("other", 31),
        ] {
            let path = cache.join(name);
            fs::create_dir_all(path.join("inside")).expect("made");
            File::open(&path)
                .and_then(|folder| folder.set_modified(SystemTime::now() - days * DAY))
                .expect("dated");
        }
        note_use(&cache.join("library-0.1.0-used"));
        note_use(&cache.join("library-0.1.0-none"));
        remove_unused(cache);
        let names = |folder: &Path| {
            let mut names: Vec<String> = folders(folder)
                .filter_map(|path| Some(path.file_name()?.to_str()?.to_string()))
                .collect();
            names.sort();
            names
        };
        assert_eq!(
            names(cache),
            [
                "builds",
                "library-0.1.0-used",
                "library-0.1.0-young",
                "other"
            ]
        );
        assert_eq!(names(&cache.join("builds")), ["young"]);
    }
}
