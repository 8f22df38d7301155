//! `sprat build FILE.click`: an image for one configuration, with the elements that it uses.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::Deserialize;
use sprat_click::diagnostics::Diagnostics;
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_click::simulation::Simulation;
use sprat_image::{Configuration, Profile};
use sprat_packet::Pool;

use super::{Built, Package, PackageError, Recording, library};
use crate::devices;
use crate::explain::explain;
use crate::output::complain;

/// What is read of a `run.toml`.
#[derive(Deserialize)]
struct RunFile {
    config: PathBuf,
}

/// Whether what a command was given leads to a configuration: a file, or a folder that names one.
pub(super) fn is_in(subject: &Path) -> bool {
    // What is not there at all is named as the file that it should be.
    !subject.is_dir() || (!Package::is_in(subject) && subject.join("run.toml").is_file())
}

/// Builds the image of a configuration; and the names of its network devices.
pub(super) fn build(
    subject: &Path,
    profile: Profile,
    recording: &Recording,
) -> Result<(Built, Vec<String>), PackageError> {
    let path = match subject.is_dir() {
        true => configuration_of(subject)?,
        false => subject.to_owned(),
    };
    let bytes = fs::read(&path).map_err(|source| PackageError::file(&path, source))?;
    let text =
        String::from_utf8(bytes).map_err(|_| PackageError::NotText { path: path.clone() })?;
    let (classes, networks) = uses(&text, &path)?;
    let place = library::unpacked()?;
    let package = Package::open(&place.join("images/click"))?;
    let name = |name: Option<&std::ffi::OsStr>| name.unwrap_or_default().display().to_string();
    let configuration = Configuration {
        name: name(path.file_name()),
        path: fs::canonicalize(&path).map_err(|source| PackageError::file(&path, source))?,
        classes,
    };
    let stem = name(path.file_stem());
    let named = Some((&*stem, &configuration));
    let built = package.compile(profile, named, &networks, recording)?;
    Ok((built, networks))
}

fn configuration_of(folder: &Path) -> Result<PathBuf, PackageError> {
    let path = folder.join("run.toml");
    let text = fs::read_to_string(&path).map_err(|source| PackageError::file(&path, source))?;
    let file: RunFile = toml::from_str(&text).map_err(|source| PackageError::Manifest {
        path,
        source: Box::new(source),
    })?;
    Ok(folder.join(file.config))
}

/// The classes that a configuration uses, when compounds are expanded, and the network devices.
fn uses(text: &str, path: &Path) -> Result<(Vec<String>, Vec<String>), PackageError> {
    let parse = parser(Rc::new(NoLibraries), Vec::new());
    let name = path.display().to_string();
    let wrong = |diagnostics: &Diagnostics| {
        explain(diagnostics);
        PackageError::WrongConfiguration
    };
    let library = sprat_elements::library;
    let (flat, mut diagnostics) =
        parse(&library(), text, &name).map_err(|diagnostics| wrong(&diagnostics))?;
    // What holds variables is known when it runs.
    if flat.elements.iter().all(|one| !one.config.contains('$')) {
        let pool = Pool::growing();
        let builder = Builder::new(library(), Simulation::new(), pool, parse);
        builder.check(&flat, &mut diagnostics);
        if diagnostics.has_errors() {
            let error = wrong(&diagnostics);
            for hint in devices::unknown_addresses(&flat) {
                complain!("  help: {hint}");
            }
            return Err(error);
        }
    }
    let classes: BTreeSet<String> = flat
        .elements
        .iter()
        .map(|element| element.class.to_string())
        .collect();
    match classes.is_empty() {
        true => Err(PackageError::NoElements { path: path.into() }),
        false => Ok((classes.into_iter().collect(), devices::names(&flat))),
    }
}
