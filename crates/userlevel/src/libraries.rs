//! Where `require(library …)` finds its files.

use std::path::{Path, PathBuf};

use sprat_click::language::{Requirements, Source};

/// Folders with library files, along `CLICKPATH`.
#[derive(Clone, Debug, Default)]
pub struct Libraries {
    folders: Vec<PathBuf>,
}

impl Libraries {
    /// The folders of a path such as `CLICKPATH` holds: each is searched itself and in its
    /// folder `conf`. Without a path, the working folder.
    #[must_use]
    pub fn along(path: Option<&str>) -> Self {
        let folders = path
            .unwrap_or(".")
            .split(':')
            .map(|folder| Path::new(if folder.is_empty() { "." } else { folder }))
            .flat_map(|folder| [folder.join("conf"), folder.into()])
            .collect();
        Self { folders }
    }
}

impl Requirements for Libraries {
    fn library(&self, file: &str) -> Option<Source> {
        self.folders.iter().find_map(|folder| {
            let path = folder.join(file);
            let bytes = std::fs::read(&path).ok()?;
            Source::from_bytes(&path.to_string_lossy(), &bytes).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_lie_in_the_path_or_in_its_conf_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::create_dir_all(a.join("conf")).unwrap();
        std::fs::create_dir(&b).unwrap();
        std::fs::write(a.join("conf/one.click"), "Idle -> Discard").unwrap();
        std::fs::write(b.join("two.click"), "Idle").unwrap();
        let path = format!("{}:{}", a.display(), b.display());
        let libraries = Libraries::along(Some(&path));
        assert_eq!(
            &*libraries.library("one.click").unwrap().text,
            "Idle -> Discard"
        );
        assert_eq!(&*libraries.library("two.click").unwrap().text, "Idle");
        assert!(libraries.library("three.click").is_none());
    }
}
