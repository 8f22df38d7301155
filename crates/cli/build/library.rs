//! The crates of the library OS, which the binary carries for the packages that use them.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The crate that packages depend on.
const ROOT: &str = "sprat";

/// What is built of the library itself: the image of a Click configuration, and the boot monitor.
const BUILT: [&str; 2] = ["images/click", "crates/platform/disk"];

/// The profile that images are built with.
const PROFILE: &str = "image";

/// The library as a source file: the path and the bytes of every file. It is a workspace of its own,
/// of [`BUILT`] and the crates that these and [`ROOT`] need, without what only their tests need. Says
/// which files and folders it was made from.
pub(crate) fn carry(workspace: &Path, out: &Path) -> Result<BTreeSet<PathBuf>, Box<dyn Error>> {
    let manifest: Table = fs::read_to_string(workspace.join("Cargo.toml"))?.parse()?;
    let section = manifest.get("workspace").ok_or("no workspace")?;
    let ours = own_crates(section);
    let members = needed(workspace, &ours)?;

    let root = root_manifest(&manifest, section, &members);
    fs::write(out.join("library.toml"), root)?;
    let mut text = String::from("&[\n");
    let mut add =
        |name: &str, path: &Path| writeln!(text, "    ({name:?}, include_bytes!({path:?})),");
    add("Cargo.toml", &out.join("library.toml"))?;
    for name in ["Cargo.lock", "LICENSE-MIT", "LICENSE-APACHE"] {
        add(name, &workspace.join(name))?;
    }
    let mut watched = BTreeSet::new();
    for member in &members {
        let folder = workspace.join(member);
        for file in files(&folder)? {
            let name = file.strip_prefix(workspace)?.to_str().ok_or("a name")?;
            if file == folder.join("Cargo.toml") {
                let carried = out.join(format!("{}.toml", member.replace('/', "-")));
                fs::write(&carried, member_manifest(&file)?)?;
                add(name, &carried)?;
            } else {
                add(name, &file)?;
            }
        }
        watched.insert(folder);
    }
    text.push_str("]\n");
    fs::write(out.join("library.rs"), text)?;
    Ok(watched)
}

/// The folders of the workspace's crates, by name.
fn own_crates(section: &Value) -> BTreeMap<&str, &str> {
    let dependencies = section.get("dependencies").and_then(Value::as_table);
    dependencies
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.as_str(), value.get("path")?.as_str()?)))
        .collect()
}

/// A member's manifest without what only its tests and benchmarks need.
fn member_manifest(path: &Path) -> Result<String, Box<dyn Error>> {
    let mut manifest: Table = fs::read_to_string(path)?.parse()?;
    for key in ["dev-dependencies", "bench", "test", "example"] {
        manifest.remove(key);
    }
    Ok(manifest.to_string())
}

/// The folders of [`BUILT`], of [`ROOT`] and of everything that they need of the workspace.
fn needed<'a>(
    workspace: &Path,
    ours: &BTreeMap<&'a str, &'a str>,
) -> Result<BTreeSet<&'a str>, Box<dyn Error>> {
    let mut members = BTreeSet::from(BUILT);
    let mut rest = vec![ROOT.to_owned()];
    for folder in BUILT {
        let manifest = fs::read_to_string(workspace.join(folder).join("Cargo.toml"))?;
        dependencies(&manifest.parse()?, &mut rest);
    }
    while let Some(name) = rest.pop() {
        let Some(folder) = ours.get(name.as_str()) else {
            continue;
        };
        if members.insert(*folder) {
            let path = workspace.join(folder).join("Cargo.toml");
            let manifest: Table = fs::read_to_string(path)?.parse()?;
            dependencies(&manifest, &mut rest);
        }
    }
    Ok(members)
}

/// Adds what a manifest depends on, for whatever target.
fn dependencies(manifest: &Table, names: &mut Vec<String>) {
    for (key, value) in manifest {
        let Some(table) = value.as_table() else {
            continue;
        };
        match key.as_str() {
            "dependencies" | "build-dependencies" => names.extend(table.keys().cloned()),
            "target" => {
                let targets = table.values().filter_map(Value::as_table);
                targets.for_each(|target| dependencies(target, names));
            }
            _ => {}
        }
    }
}

/// The manifest of the library's workspace: what its crates inherit, and nothing else.
fn root_manifest(manifest: &Table, section: &Value, members: &BTreeSet<&str>) -> String {
    let mut workspace = Table::new();
    for key in ["resolver", "package", "dependencies", "lints"] {
        if let Some(value) = section.get(key) {
            workspace.insert(key.into(), value.clone());
        }
    }
    let members: Vec<Value> = members.iter().map(|member| (*member).into()).collect();
    workspace.insert("members".into(), members.into());
    let mut carried = Table::new();
    carried.insert("workspace".into(), workspace.into());
    let profile = manifest.get("profile").and_then(|all| all.get(PROFILE));
    if let Some(profile) = profile {
        let profiles = Table::from_iter([(PROFILE.to_owned(), profile.clone())]);
        carried.insert("profile".into(), profiles.into());
    }
    carried.to_string()
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>, std::io::Error> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path());
            }
        }
    }
    Ok(found)
}
