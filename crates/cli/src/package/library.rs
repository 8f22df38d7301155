//! The library's crates, which `sprat` carries: unpacked into a cache, where packages find them.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{PackageError, cache};
use crate::embedded::LIBRARY;

/// The version that packages depend on.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The first line of a configuration that may be written again.
const MARK: &str = "# Written by sprat: where the crates of its library are on this machine.";

/// Makes a package's dependency on the library one that cargo finds, and tells plain `cargo run` what
/// a run publishes.
pub(super) fn prepare(folder: &Path) -> Result<(), PackageError> {
    let manifest = read(&folder.join("Cargo.toml"))?;
    if !depends_by_version(&manifest) {
        return Ok(());
    }
    let place = unpacked()?;
    let path = Value::from(place.join("crates/os").display().to_string());
    let lines = format!("[patch.crates-io]\nsprat = {{ path = {path} }}\n");
    let file = folder.join(".cargo/config.toml");
    let mut wanted = format!("{MARK}\n{lines}");
    if let Some(ports) = published(&manifest) {
        let ports = Value::from(ports);
        wanted.push_str(&format!("\n[env]\nSPRAT_PUBLISH = {ports}\n"));
    }
    match fs::read_to_string(&file) {
        Ok(text) if text == wanted => return Ok(()),
        Ok(text) if !text.starts_with(MARK) => {
            return match text.contains(lines.trim_end()) {
                true => Ok(()),
                false => Err(PackageError::Configuration { path: file, lines }),
            };
        }
        _ => {}
    }
    fs::create_dir_all(folder.join(".cargo"))
        .and_then(|()| fs::write(&file, wanted))
        .map_err(|source| PackageError::file(&file, source))
}

fn read(manifest: &Path) -> Result<Table, PackageError> {
    let text =
        fs::read_to_string(manifest).map_err(|source| PackageError::file(manifest, source))?;
    toml::from_str(&text).map_err(|source| PackageError::Manifest {
        path: manifest.to_owned(),
        source: Box::new(source),
    })
}

/// Whether a package has the library from a registry, as far as its manifest knows.
fn depends_by_version(manifest: &Table) -> bool {
    let dependency = manifest
        .get("dependencies")
        .and_then(|table| table.get("sprat"));
    match dependency {
        Some(Value::String(_)) => true,
        Some(Value::Table(table)) => table.contains_key("version") && !table.contains_key("path"),
        _ => false,
    }
}

/// What a run publishes where its arguments say nothing, with commas between; who runs it says what
/// is wrong with that.
fn published(manifest: &Table) -> Option<String> {
    let settings = manifest.get("package")?.get("metadata")?.get("sprat")?;
    let ports = settings.get("publish")?.as_array()?;
    let ports: Vec<&str> = ports.iter().filter_map(Value::as_str).collect();
    Some(ports.join(","))
}

/// Where the crates are, or will be; nothing where there is no place for a cache.
pub(super) fn place() -> Option<PathBuf> {
    let mut hasher = DefaultHasher::new();
    LIBRARY.hash(&mut hasher);
    let name = format!("library-{VERSION}-{:016x}", hasher.finish());
    Some(cache::folder()?.join(name))
}

/// Where the images of a package are compiled that are recorded.
pub(super) fn staging(workspace: &Path, package: &str) -> Result<PathBuf, PackageError> {
    let mut hasher = DefaultHasher::new();
    workspace.hash(&mut hasher);
    let name = format!("builds/{package}-{:016x}", hasher.finish());
    let place = cache::folder().ok_or(PackageError::NoCache)?.join(name);
    cache::note_use(&place);
    Ok(place)
}

/// Unpacks the crates, where they are not; where they are.
pub(super) fn unpacked() -> Result<PathBuf, PackageError> {
    let place = place().ok_or(PackageError::NoCache)?;
    if place.is_dir() {
        cache::note_use(&place);
        return Ok(place);
    }
    let folder = place.parent().unwrap_or(&place);
    let failed = |source| PackageError::file(&place, source);
    fs::create_dir_all(folder).map_err(failed)?;
    cache::remove_unused(folder);
    // Complete or not there, whoever else does the same at the same time.
    let fresh = tempfile::tempdir_in(folder).map_err(failed)?;
    for (name, bytes) in LIBRARY {
        let path = fresh.path().join(name);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(failed)?;
    }
    match fs::rename(fresh.path(), &place) {
        Err(_) if place.is_dir() => {}
        renamed => renamed.map_err(failed)?,
    }
    Ok(place)
}

/// Which versions of other crates the library was tested with.
pub(super) fn lock_file() -> Option<&'static [u8]> {
    LIBRARY
        .iter()
        .find(|(name, _)| *name == "Cargo.lock")
        .map(|(_, bytes)| *bytes)
}
