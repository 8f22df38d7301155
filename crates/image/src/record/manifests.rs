//! Cargo.toml files without what only tests need, and without what is not compiled into the image.

use std::path::Path;

use toml::{Table, Value};

use super::RecordError;

/// What only tests, benchmarks and examples need, and what says where else crates come from.
const UNNEEDED: [&str; 6] = [
    "dev-dependencies",
    "bench",
    "test",
    "example",
    "patch",
    "replace",
];

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Table, RecordError> {
    let refused = |source| RecordError::Manifest {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let text = String::from_utf8_lossy(bytes);
    toml::from_str(&text).map_err(refused)
}

/// Calls a function with every table of dependencies, for whatever target.
pub(super) fn each_table(manifest: &Table, call: &mut dyn FnMut(&Table)) {
    for (key, value) in manifest {
        let Some(table) = value.as_table() else {
            continue;
        };
        match key.as_str() {
            "dependencies" | "build-dependencies" => call(table),
            "target" => {
                let targets = table.values().filter_map(Value::as_table);
                targets.for_each(|target| each_table(target, call));
            }
            _ => {}
        }
    }
}

fn each_table_mut(manifest: &mut Table, call: &mut dyn FnMut(&mut Table)) {
    for (key, value) in manifest {
        let Some(table) = value.as_table_mut() else {
            continue;
        };
        match key.as_str() {
            "dependencies" | "build-dependencies" => call(table),
            "target" => {
                let targets = table.iter_mut();
                for target in targets.filter_map(|(_, target)| target.as_table_mut()) {
                    target.remove("dev-dependencies");
                    each_table_mut(target, call);
                }
            }
            _ => {}
        }
    }
}

/// The dependencies that a workspace lends to its members.
pub(super) fn lent(root: &Table) -> Option<&Table> {
    root.get("workspace")?.get("dependencies")?.as_table()
}

/// A package's manifest as it is recorded. `relocate` says where a folder that it names is in the
/// record.
pub(super) fn member(mut manifest: Table, relocate: &dyn Fn(&str) -> Option<String>) -> Table {
    for key in UNNEEDED {
        manifest.remove(key);
    }
    if let Some(package) = manifest.get_mut("package").and_then(Value::as_table_mut) {
        package.remove("workspace");
        package.remove("default-run");
    }
    each_table_mut(&mut manifest, &mut |table| relocate_all(table, relocate));
    manifest
}

/// A workspace's manifest as it is recorded, with these members; `is_package` where it is one of its
/// packages as well.
pub(super) fn root(
    manifest: Table,
    members: &[String],
    is_package: bool,
    compiled: &dyn Fn(&str) -> bool,
    relocate: &dyn Fn(&str) -> Option<String>,
) -> Table {
    let mut manifest = member(manifest, relocate);
    if !is_package {
        let kept = ["workspace", "profile", "cargo-features"];
        manifest.retain(|key, _| kept.contains(&key));
    }
    let mut workspace = match manifest.remove("workspace") {
        Some(Value::Table(table)) => table,
        _ => Table::new(),
    };
    workspace.remove("default-members");
    let list = |names: &[String]| Value::Array(names.iter().cloned().map(Value::from).collect());
    workspace.insert("members".into(), list(members));
    let others = ["outside".to_owned(), "vendor".to_owned()];
    workspace.insert("exclude".into(), list(&others));
    if let Some(lent) = workspace
        .get_mut("dependencies")
        .and_then(Value::as_table_mut)
    {
        relocate_all(lent, relocate);
        // One that is not in the record is used by nobody who is.
        lent.retain(|_, dependency| {
            dependency
                .get("path")
                .is_none_or(|path| path.as_str() != Some(""))
        });
    }
    manifest.insert("workspace".into(), workspace.into());
    // Cargo warns of settings for a crate that is not there.
    let profiles = manifest.get_mut("profile").and_then(Value::as_table_mut);
    for (_, profile) in profiles.into_iter().flatten() {
        let packages = profile.get_mut("package").and_then(Value::as_table_mut);
        if let Some(packages) = packages {
            packages.retain(|name, _| name == "*" || compiled(name));
        }
    }
    manifest
}

/// Gives each folder that a dependency is in its place in the record; an empty one where it has none.
fn relocate_all(table: &mut Table, relocate: &dyn Fn(&str) -> Option<String>) {
    for (_, dependency) in table {
        let Some(path) = dependency.get_mut("path") else {
            continue;
        };
        let place = path.as_str().and_then(relocate).unwrap_or_default();
        *path = Value::from(place);
    }
}
