//! The crates that are compiled into an image, and their archives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{RecordError, manifests};
use crate::compilation::cargo_home;
use crate::store::Digest;

/// A crate of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crate {
    /// Its name in the registry.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The checksum of its archive, which Cargo.lock has of it; nothing for the package's own crates,
    /// which are among the sources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Digest>,
    /// What it depends on: names and versions, with a space between.
    pub uses: BTreeSet<String>,
}

impl Crate {
    /// Name and version.
    pub(super) fn id(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// The name of its folder, and of its archive but for the ending.
    pub(super) fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// What `cargo tree` says of an image.
pub(super) struct Tree {
    /// All crates, by name and version.
    pub(super) crates: Vec<Crate>,
    /// The folders of those that have one of their own.
    pub(super) folders: BTreeSet<PathBuf>,
}

/// Reads the lines of `cargo tree --prefix depth --format {p}`: a depth, a name, a version, and the
/// folder in parentheses where the crate has one.
pub(super) fn read_tree(text: &str, lock: &Lock) -> Result<Tree, RecordError> {
    let mut crates: BTreeMap<String, Crate> = BTreeMap::new();
    let mut folders = BTreeSet::new();
    let mut above: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let (depth, line) = line.split_at(digits);
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else {
            return Err(RecordError::object("cargo tree", format!("'{line}'")));
        };
        let version = version.trim_start_matches('v');
        let rest = words.next().unwrap_or_default();
        let folder = rest
            .find("(/")
            .and_then(|start| rest[start + 1..].split_once(')'))
            .map(|(folder, _)| PathBuf::from(folder));
        let checksum = match &folder {
            Some(_) => None,
            None => Some(lock.checksum(name, version)?),
        };
        folders.extend(folder);
        let krate = Crate {
            name: name.to_owned(),
            version: version.to_owned(),
            checksum,
            uses: BTreeSet::new(),
        };
        let id = krate.id();
        crates.entry(id.clone()).or_insert(krate);
        above.truncate(depth.parse().unwrap_or(0));
        if let Some(user) = above.last().and_then(|user| crates.get_mut(user)) {
            user.uses.insert(id.clone());
        }
        above.push(id);
    }
    Ok(Tree {
        crates: crates.into_values().collect(),
        folders,
    })
}

/// What Cargo.lock says.
pub(super) struct Lock {
    /// Of each name the versions, and their checksums where they have one.
    packages: BTreeMap<String, BTreeMap<String, Option<String>>>,
}

impl Lock {
    pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<Self, RecordError> {
        let table = manifests::parse(path, bytes)?;
        let mut packages: BTreeMap<String, BTreeMap<String, Option<String>>> = BTreeMap::new();
        let all = table.get("package").and_then(toml::Value::as_array);
        for package in all.into_iter().flatten() {
            let text = |key: &str| {
                let value = package.get(key).and_then(toml::Value::as_str);
                value.map(str::to_owned)
            };
            if let (Some(name), Some(version)) = (text("name"), text("version")) {
                let versions = packages.entry(name).or_default();
                versions.insert(version, text("checksum"));
            }
        }
        Ok(Self { packages })
    }

    /// The versions of a crate.
    pub(super) fn versions(&self, name: &str) -> impl Iterator<Item = &str> {
        let versions = self.packages.get(name).into_iter().flatten();
        versions.map(|(version, _)| version.as_str())
    }

    fn checksum(&self, name: &str, version: &str) -> Result<Digest, RecordError> {
        let versions = self.packages.get(name);
        versions
            .and_then(|versions| versions.get(version)?.as_deref())
            .and_then(|hex| Digest::from_hex(hex).ok())
            .ok_or_else(|| RecordError::NoChecksum {
                krate: format!("{name} {version}"),
            })
    }

    /// Whether it names each crate with the checksum that the crate has.
    pub(super) fn check(&self, crates: &[Crate], place: &'static str) -> Result<(), RecordError> {
        for krate in crates {
            let Some(checksum) = krate.checksum else {
                continue;
            };
            let locked = self.packages.get(&krate.name);
            let locked = locked.and_then(|versions| versions.get(&krate.version));
            let lock = match locked {
                None => "nothing".to_owned(),
                Some(None) => "no checksum".to_owned(),
                Some(Some(hex)) => format!("sha256:{hex}"),
            };
            if lock != checksum.to_string() {
                return Err(RecordError::Lock {
                    krate: krate.id(),
                    lock,
                    found: checksum.to_string(),
                    place,
                });
            }
        }
        Ok(())
    }
}

/// The archive of a crate of a registry, as it was downloaded.
pub(super) fn archive(krate: &Crate, checksum: &Digest) -> Result<Vec<u8>, RecordError> {
    let cache = cargo_home().map(|home| home.join("registry/cache"));
    let registries = cache.and_then(|cache| fs::read_dir(cache).ok());
    for registry in registries.into_iter().flatten().flatten() {
        let path = registry.path().join(krate.folder() + ".crate");
        if let Ok(bytes) = fs::read(path)
            && Digest::of(&bytes) == *checksum
        {
            return Ok(bytes);
        }
    }
    Err(RecordError::NotFetched { krate: krate.id() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = "version = 4\n[[package]]\nname = \"log\"\nversion = \"0.4.35\"\n\
        source = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
        checksum = \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"\n\
        [[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";

    fn lock() -> Lock {
        Lock::read(Path::new("Cargo.lock"), LOCK.as_bytes()).expect("a lock file")
    }

    #[test]
    fn the_tree_says_who_uses_whom_and_where_they_are() {
        let text = "0web v0.1.0 (/a b/web)\n1own v0.1.0 (proc-macro) (/a b/own)\n2log v0.4.35\n\
                    1log v0.4.35 (*)\n";
        let tree = read_tree(text, &lock()).expect("a tree");
        let uses: Vec<(String, Vec<&str>)> = tree
            .crates
            .iter()
            .map(|one| (one.id(), one.uses.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(
            uses,
            [
                ("log 0.4.35".into(), vec![]),
                ("own 0.1.0".into(), vec!["log 0.4.35"]),
                ("web 0.1.0".into(), vec!["log 0.4.35", "own 0.1.0"]),
            ]
        );
        let folders: Vec<&Path> = tree.folders.iter().map(PathBuf::as_path).collect();
        assert_eq!(folders, [Path::new("/a b/own"), Path::new("/a b/web")]);
        assert_eq!(tree.crates[0].checksum, Some(Digest::of(b"abc")));
        assert_eq!(tree.crates[1].checksum, None);
    }

    #[test]
    fn a_crate_without_a_checksum_is_named() {
        let text = "0web v0.1.0 (/web)\n1rand v0.9.0 (https://example.com/rand#0123)\n";
        let refused = read_tree(text, &lock())
            .err()
            .map(|error| error.to_string());
        assert!(refused.is_some_and(|text| text.starts_with("rand 0.9.0 has no checksum")));
    }

    #[test]
    fn a_lock_file_that_disagrees_names_the_crate() {
        let mut tree = read_tree("0log v0.4.35\n", &lock()).expect("a tree").crates;
        assert!(lock().check(&tree, "here").is_ok());
        tree[0].checksum = Some(Digest::of(b"other"));
        let refused = lock()
            .check(&tree, "in the record")
            .expect_err("it differs");
        assert!(
            refused
                .to_string()
                .starts_with("Cargo.lock disagrees about log 0.4.35: sha256:ba78"),
            "{refused}"
        );
        tree[0].version = "0.4.36".into();
        let refused = lock()
            .check(&tree, "in the record")
            .expect_err("it is not there");
        assert!(refused.to_string().contains("nothing there"), "{refused}");
    }
}
