//! The sources of an image, gathered so that they can be compiled anywhere.
//!
//! What is gathered is a folder of its own: the workspace with the packages that the image needs,
//! other workspaces that it takes packages from in `outside/`, and in `vendor/` the crates of
//! registries. The folder's files depend on the sources alone, not on where they were.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

use super::crates::{Crate, Lock, Tree};
use super::stubs::Stubs;
use super::{RecordError, manifests, vendor};

/// Files by their path from the gathered folder.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// What cargo is told of where crates are.
const CONFIGURATION: &str = "[source.crates-io]\nreplace-with = \"vendor\"\n\n\
    [source.vendor]\ndirectory = \"vendor\"\n";

/// A workspace that packages are taken from.
struct Group {
    /// Where it is.
    root: PathBuf,
    /// Its packages that are needed, by their folder, with their manifests.
    packages: BTreeMap<PathBuf, Table>,
    manifest: Table,
}

/// Gathers the sources of a workspace's package, and of all that it needs.
pub(super) fn gather(
    workspace: &Path,
    tree: &Tree,
    lock: &Lock,
    archives: &BTreeMap<String, Vec<u8>>,
) -> Result<Files, RecordError> {
    let groups = groups(workspace, &tree.folders)?;
    let places = places(workspace, &groups);
    let mut files = Files::from([(".cargo/config.toml".to_owned(), Vec::new())]);
    let mut stubs = Stubs::default();
    let mut loose = BTreeMap::new();
    for group in groups.values() {
        let compiled = |name: &str| tree.crates.iter().any(|krate| krate.name == name);
        let members = group
            .packages
            .keys()
            .filter(|folder| **folder != group.root);
        let members: Vec<String> = members
            .filter_map(|folder| text(folder.strip_prefix(&group.root).ok()?))
            .collect();
        let relocate_root = |path: &str| relocate(&places, &group.root, path);
        let is_package = group.packages.contains_key(&group.root);
        let root = manifests::root(
            group.manifest.clone(),
            &members,
            is_package,
            &compiled,
            &relocate_root,
        );
        let place = |folder: &Path| places.get(folder).map_or("", String::as_str);
        put(
            &mut files,
            place(&group.root),
            "Cargo.toml",
            root.to_string().into_bytes(),
        );
        for name in ["rust-toolchain.toml", "rust-toolchain"] {
            if let Ok(bytes) = fs::read(group.root.join(name)) {
                put(&mut files, place(&group.root), name, bytes);
            }
        }
        for (folder, manifest) in &group.packages {
            let relocate_own = |path: &str| relocate(&places, folder, path);
            let own = manifests::member(manifest.clone(), &relocate_own);
            stubs.add(&own, manifests::lent(&group.manifest), &tree.crates, lock);
            add_folder(&mut files, place(folder), folder, folder)?;
            if *folder != group.root {
                put(
                    &mut files,
                    place(folder),
                    "Cargo.toml",
                    own.to_string().into_bytes(),
                );
            }
            let name = manifest
                .get("package")
                .and_then(|package| package.get("name"));
            if group.root != workspace
                && let Some(name) = name.and_then(Value::as_str)
            {
                loose.insert(name.to_owned(), place(folder).to_owned());
            }
        }
    }
    for krate in &tree.crates {
        if let Some(bytes) = archives.get(&krate.folder()) {
            let manifest = vendor::file(krate, bytes, "Cargo.toml")?;
            let path = PathBuf::from(krate.folder()).join("Cargo.toml");
            stubs.add(
                &manifests::parse(&path, &manifest)?,
                None,
                &tree.crates,
                lock,
            );
        }
    }
    stubs.files(&mut files);
    let configuration = configuration(&groups, &loose);
    files.insert(".cargo/config.toml".to_owned(), configuration.into_bytes());
    Ok(files)
}

/// Where cargo finds crates: those of registries in `vendor`, and packages of other workspaces that
/// somebody names by a version alone where they are now.
fn configuration(groups: &BTreeMap<PathBuf, Group>, loose: &BTreeMap<String, String>) -> String {
    let mut by_version = BTreeSet::new();
    for group in groups.values() {
        for manifest in group.packages.values() {
            manifests::each_table(manifest, &mut |table| {
                for (key, dependency) in table {
                    let has_path =
                        dependency.get("path").is_some() || dependency.get("workspace").is_some();
                    if !has_path && loose.contains_key(key) {
                        by_version.insert(key.clone());
                    }
                }
            });
        }
    }
    let mut text = CONFIGURATION.to_owned();
    if !by_version.is_empty() {
        text += "\n[patch.crates-io]\n";
        for name in by_version {
            text += &format!("{name} = {{ path = \"{}\" }}\n", loose[&name]);
        }
    }
    text
}

/// The workspaces of some packages and of all that these name by a folder, whatever for: cargo looks
/// for it there.
fn groups(
    workspace: &Path,
    folders: &BTreeSet<PathBuf>,
) -> Result<BTreeMap<PathBuf, Group>, RecordError> {
    let mut groups: BTreeMap<PathBuf, Group> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut rest: Vec<PathBuf> = folders.iter().cloned().collect();
    while let Some(folder) = rest.pop() {
        let folder = canonical(&folder)?;
        if !seen.insert(folder.clone()) {
            continue;
        }
        let manifest = read_manifest(&folder)?;
        let root = root_of(&folder)?;
        let root_manifest = read_manifest(&root)?;
        let mut named = Vec::new();
        manifests::each_table(&manifest, &mut |table| {
            for (key, dependency) in table {
                let own = dependency.get("path").map(|path| (&folder, path));
                let lent = || {
                    dependency.get("workspace")?;
                    let lent = manifests::lent(&root_manifest)?.get(key)?;
                    Some((&root, lent.get("path")?))
                };
                if let Some((from, path)) = own.or_else(lent)
                    && let Some(path) = path.as_str()
                {
                    named.push(from.join(path));
                }
            }
        });
        rest.extend(named);
        let group = groups.entry(root.clone()).or_insert_with(|| Group {
            root,
            packages: BTreeMap::new(),
            manifest: root_manifest,
        });
        group.packages.insert(folder, manifest);
    }
    if !groups.contains_key(workspace) {
        let manifest = read_manifest(workspace)?;
        let group = Group {
            root: workspace.to_owned(),
            packages: BTreeMap::new(),
            manifest,
        };
        groups.insert(workspace.to_owned(), group);
    }
    Ok(groups)
}

/// The folder of the workspace that a package is in; its own if it is in none.
fn root_of(folder: &Path) -> Result<PathBuf, RecordError> {
    for above in folder.ancestors() {
        if above.join("Cargo.toml").is_file() && read_manifest(above)?.contains_key("workspace") {
            return Ok(above.to_owned());
        }
    }
    Ok(folder.to_owned())
}

/// Where in the gathered folder each workspace and package is. Other workspaces go by the names of
/// their packages, so that their places do not depend on where they are now.
fn places(workspace: &Path, groups: &BTreeMap<PathBuf, Group>) -> BTreeMap<PathBuf, String> {
    let mut others: Vec<&Group> = groups
        .values()
        .filter(|group| group.root != workspace)
        .collect();
    others.sort_by_key(|group| {
        let names = group.packages.values();
        let names = names.filter_map(|manifest| manifest.get("package")?.get("name")?.as_str());
        names.map(str::to_owned).min()
    });
    let mut places = BTreeMap::new();
    let numbered = others.into_iter().enumerate();
    let numbered = numbered.map(|(number, group)| (format!("outside/{number}"), group));
    let own = groups.get(workspace).map(|group| (String::new(), group));
    for (place, group) in own.into_iter().chain(numbered) {
        for folder in group.packages.keys() {
            let below = folder.strip_prefix(&group.root).ok().and_then(text);
            let joined = match below.as_deref() {
                None | Some("") => place.clone(),
                Some(below) if place.is_empty() => below.to_owned(),
                Some(below) => format!("{place}/{below}"),
            };
            places.insert(folder.clone(), joined);
        }
        places.insert(group.root.clone(), place);
    }
    places
}

/// Where a folder that a manifest names is in the gathered folder, as that manifest would name it.
fn relocate(places: &BTreeMap<PathBuf, String>, from: &Path, path: &str) -> Option<String> {
    let target = from.join(path).canonicalize().ok()?;
    let to = places.get(&target)?;
    let depth = places
        .get(from)?
        .split('/')
        .filter(|part| !part.is_empty())
        .count();
    Some(format!("{}{to}", "../".repeat(depth)))
}

/// Adds the files of a package, but for what cargo makes and other packages.
fn add_folder(
    files: &mut Files,
    place: &str,
    package: &Path,
    folder: &Path,
) -> Result<(), RecordError> {
    let entries = fs::read_dir(folder).map_err(|source| RecordError::file(folder, source))?;
    for entry in entries {
        let entry = entry.map_err(|source| RecordError::file(folder, source))?;
        let path = entry.path();
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") || name == "target" {
            continue;
        }
        let kind = entry
            .file_type()
            .map_err(|source| RecordError::file(&path, source))?;
        if kind.is_dir() {
            if !path.join("Cargo.toml").exists() {
                add_folder(files, place, package, &path)?;
            }
        } else if path.is_file() {
            let below = path.strip_prefix(package).ok().and_then(text);
            let below = below.ok_or_else(|| RecordError::Name { path: path.clone() })?;
            // These are not as they were: they are put elsewhere.
            if !["Cargo.toml", "Cargo.lock"].contains(&below.as_str()) {
                let bytes = fs::read(&path).map_err(|source| RecordError::file(&path, source))?;
                put(files, place, &below, bytes);
            }
        }
    }
    Ok(())
}

fn put(files: &mut Files, place: &str, below: &str, bytes: Vec<u8>) {
    let path = match place {
        "" => below.to_owned(),
        place => format!("{place}/{below}"),
    };
    files.insert(path, bytes);
}

/// A relative path with `/` between its parts; nothing if it is none, or no text.
fn text(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path
        .components()
        .map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    Some(parts?.join("/"))
}

fn canonical(folder: &Path) -> Result<PathBuf, RecordError> {
    folder
        .canonicalize()
        .map_err(|source| RecordError::file(folder, source))
}

fn read_manifest(folder: &Path) -> Result<Table, RecordError> {
    let path = folder.join("Cargo.toml");
    let bytes = fs::read(&path).map_err(|source| RecordError::file(&path, source))?;
    manifests::parse(&path, &bytes)
}

/// Puts the gathered files and the crates of registries into a folder, and nothing else that cargo
/// would see. Files that are there already stay as old as they are, so that cargo compiles only what
/// has changed.
pub(super) fn unfold(
    files: &Files,
    crates: &[Crate],
    archives: &BTreeMap<String, Vec<u8>>,
    folder: &Path,
) -> Result<(), RecordError> {
    let mut all = files.clone();
    for krate in crates {
        if let (Some(checksum), Some(bytes)) = (krate.checksum, archives.get(&krate.folder())) {
            vendor::unpack(krate, &checksum, bytes, &mut all)?;
        }
    }
    remove_others(folder, folder, &all)?;
    for (path, bytes) in &all {
        let path = folder.join(path);
        if fs::read(&path).is_ok_and(|there| there == *bytes) {
            continue;
        }
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(|source| RecordError::file(&path, source))?;
    }
    Ok(())
}

fn remove_others(root: &Path, folder: &Path, files: &Files) -> Result<(), RecordError> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_others(root, &path, files)?;
            // It fails where something is left.
            let _ = fs::remove_dir(&path);
            continue;
        }
        let name = path.strip_prefix(root).ok().and_then(text);
        if !name.is_some_and(|name| files.contains_key(&name)) {
            fs::remove_file(&path).map_err(|source| RecordError::file(&path, source))?;
        }
    }
    Ok(())
}
