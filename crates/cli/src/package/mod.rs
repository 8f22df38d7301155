//! Packages: services written in Rust, made by `sprat new` and built into sealed images.

mod build;
mod cache;
mod library;
mod new;
mod program;
mod router;
mod target;
mod test;
mod watch;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use sprat_image::record::{self, RecordError, SigningKey};
use sprat_image::store::Digest;
use sprat_image::{BuildError, BuildOptions, Configuration, Profile, Progress};

pub(crate) use build::BuildCommand;
pub(crate) use new::NewCommand;
pub(crate) use target::Target;
pub(crate) use test::TestCommand;
pub(crate) use watch::watch;

use crate::output::complain;
use crate::store;

/// Why a package cannot be made, built or tested.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is there already", path.display())]
    Exists { path: PathBuf },
    #[error(
        "`{name}` is no name for a package: expected letters, digits, - and _, with a letter first"
    )]
    Name { name: String },
    #[error("`{name}` cannot be a package's name: it means something else to Rust or to cargo")]
    Reserved { name: String },
    #[error("`{template}` is no template; there is web")]
    Template { template: String },
    #[error("web is what to begin with; name the folder to make too: sprat new web FOLDER")]
    NoFolder,
    #[error("there is no package in {}: it has no Cargo.toml", folder.display())]
    None { folder: PathBuf },
    #[error("{} is a workspace; name the folder of one of its packages", folder.display())]
    Workspace { folder: PathBuf },
    #[error("{}: {source}", path.display())]
    Manifest {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error(
        "{} is not sprat's; add these lines to it, which say where the library is on this machine:\n{lines}",
        path.display()
    )]
    Configuration { path: PathBuf, lines: String },
    #[error("there is no place for the library's crates: neither XDG_CACHE_HOME nor HOME is set")]
    NoCache,
    #[error("cannot start cargo: {0}; is it installed and on PATH?")]
    Cargo(io::Error),
    #[error("cargo does not understand the package:\n{0}")]
    Metadata(String),
    #[error("cargo's answer is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("{} is no Click configuration: it is not text", path.display())]
    NotText { path: PathBuf },
    #[error("{} has no elements", path.display())]
    NoElements { path: PathBuf },
    /// Click's messages have been printed.
    #[error("the configuration is wrong")]
    WrongConfiguration,
    #[error(
        "{} is no package: only those can be built as Linux programs; `sprat click` runs a \
         configuration as a plain process",
        path.display()
    )]
    NoProgram { path: PathBuf },
    #[error("{name} builds {count} programs; expected exactly one")]
    Programs { name: String, count: usize },
    #[error("--features {feature}: {name} has no such feature; {}", said(known))]
    NoFeature {
        feature: String,
        name: String,
        known: Vec<String>,
    },
    #[error("--features: {} is no package, and only those have features", path.display())]
    NoFeatures { path: PathBuf },
    /// Cargo has said why.
    #[error("building {name} failed")]
    Program { name: String },
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Disk(#[from] crate::disk::DiskBuildError),
    #[error(
        "--param {0}: a sealed image is given its parameters when it is run; --target disk takes them here"
    )]
    Parameter(String),
    #[error("{0}\nto build without a record: sprat build --unrecorded")]
    Record(#[from] RecordError),
    /// Nothing is wrong with the record, but with the key that was to sign it.
    #[error("--sign {0}")]
    Key(Box<RecordError>),
    #[error(transparent)]
    NoStore(#[from] store::NoStore),
    #[error("--sign signs the record, and images for trying out have none")]
    NothingToSign,
    #[error("cannot listen for Ctrl-C: {0}")]
    Signals(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
}

/// The features that there are.
fn said(known: &[String]) -> String {
    match known {
        [] => "it has none".into(),
        known => format!("there is {}", known.join(", ")),
    }
}

impl PackageError {
    fn file(path: &Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }
}

/// A cargo package that uses the library.
#[derive(Debug)]
pub(crate) struct Package {
    folder: PathBuf,
    name: String,
    workspace: PathBuf,
    target: PathBuf,
    /// The features that it is built with, and those that there are.
    features: Vec<String>,
    known_features: Vec<String>,
    /// `[package.metadata.sprat]`: what a run does where nothing else is said.
    pub(crate) run_settings: Option<serde_json::Value>,
}

/// What is read of `cargo metadata`.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<FoundPackage>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct FoundPackage {
    name: String,
    manifest_path: PathBuf,
    features: BTreeMap<String, serde_json::Value>,
    metadata: Option<AllSettings>,
}

#[derive(Deserialize)]
struct AllSettings {
    sprat: Option<serde_json::Value>,
}

impl Package {
    /// Whether a folder holds a package.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join("Cargo.toml").is_file()
    }

    /// The package in a folder, ready for every cargo command: the library's crates are where its
    /// configuration says, and its lock file is complete.
    pub(crate) fn open(folder: &Path) -> Result<Self, PackageError> {
        if !Self::is_in(folder) {
            return Err(PackageError::None {
                folder: folder.to_owned(),
            });
        }
        let folder = folder
            .canonicalize()
            .map_err(|source| PackageError::file(folder, source))?;
        library::prepare(&folder)?;
        // Crates are often fetched already; the registry is asked only where they are not.
        let resolved = metadata(&folder, &["--offline"]).or_else(|_| metadata(&folder, &[]))?;
        let manifest = folder.join("Cargo.toml");
        let found = resolved
            .packages
            .into_iter()
            .find(|package| package.manifest_path == manifest);
        let Some(found) = found else {
            return Err(PackageError::Workspace { folder });
        };
        Ok(Self {
            folder,
            name: found.name,
            workspace: resolved.workspace_root,
            target: resolved.target_directory,
            features: Vec::new(),
            known_features: found.features.into_keys().collect(),
            run_settings: found.metadata.and_then(|all| all.sprat),
        })
    }

    /// The package, to be built with these of its features.
    pub(crate) fn with_features(mut self, features: &[String]) -> Result<Self, PackageError> {
        for feature in features {
            if !self.known_features.contains(feature) {
                return Err(PackageError::NoFeature {
                    feature: feature.clone(),
                    name: self.name,
                    known: self.known_features,
                });
            }
        }
        self.features = features.to_vec();
        Ok(self)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Builds it for a target; where the result is.
    pub(crate) fn build_for(
        &self,
        target: Target,
        profile: Profile,
    ) -> Result<PathBuf, PackageError> {
        match target {
            // A machine of its own boots the very image that a monitor holds.
            Target::Vm | Target::Disk => self.build(profile),
            Target::Unix => self.build_program(profile),
        }
    }

    /// Builds the image; where it is. Its symbols lie beside it.
    pub(crate) fn build(&self, profile: Profile) -> Result<PathBuf, PackageError> {
        self.compile(profile, None, &Recording::default())?
            .write(&self.image(profile))
    }

    /// Where the image is, once it is built.
    pub(crate) fn image(&self, profile: Profile) -> PathBuf {
        let folder = match profile {
            Profile::Release => self.target.join("sprat"),
            Profile::Development => self.target.join("sprat/development"),
        };
        folder.join(format!("{}.image", self.name))
    }

    /// Builds the image, for one configuration where the package is the middlebox. One that ships is
    /// recorded in the store.
    fn compile(
        &self,
        profile: Profile,
        configuration: Option<(&str, &Configuration)>,
        recording: &Recording,
    ) -> Result<Built, PackageError> {
        let mut options = BuildOptions::new(self.target.join("images"));
        options.profile = profile;
        options.features.clone_from(&self.features);
        options.renamed = library::place()
            .map(|place| (place, "sprat".into()))
            .into_iter()
            .collect();
        if let Some((_, configuration)) = configuration {
            options = options.with_configuration(configuration);
        }
        let name = configuration.map_or(self.name.as_str(), |(name, _)| name);
        let package = sprat_image::Package {
            workspace: self.workspace.clone(),
            name: self.name.clone(),
        };
        let (built, record) = match (profile, recording) {
            (Profile::Release, Recording::Store { key }) => {
                let key = key.as_deref().map(SigningKey::read).transpose();
                let key = key.map_err(|error| PackageError::Key(Box::new(error)))?;
                let store = store::open()?;
                let staging = library::staging(&self.workspace, &self.name)?;
                let recorded = watched(|progress| {
                    let key = key.as_ref();
                    record::build(&package, &options, name, &staging, &store, key, progress)
                })?;
                (recorded.built, Some(recorded.stored.digest))
            }
            _ => {
                let built = watched(|progress| sprat_image::build(&package, &options, progress))?;
                (built, None)
            }
        };
        Ok(Built {
            name: name.to_owned(),
            image: built.image,
            symbols: built.sidecar,
            record,
        })
    }
}

/// Whether an image that ships is recorded.
#[derive(Debug)]
enum Recording {
    /// In the user's store, and signed with the key of a file where there is one.
    Store { key: Option<PathBuf> },
    /// Not at all.
    Nowhere,
}

impl Default for Recording {
    fn default() -> Self {
        Self::Store { key: None }
    }
}

/// How often a build says how far it is where there is no terminal.
const REMINDER: Duration = Duration::from_secs(10);

/// Does a build, and shows how far it is; what cargo had to say is said when it is done.
pub(crate) fn watched<T, E>(
    build: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<T, E>,
) -> Result<T, E> {
    let bar = ProgressBar::new(0).with_style(
        ProgressStyle::with_template("{spinner} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(100));
    let mut messages = Vec::new();
    // Without a terminal nothing turns and counts; a line now and then says that it goes on.
    let hidden = bar.is_hidden();
    let mut said = Instant::now();
    let built = build(&mut |progress| match progress {
        Progress::Planned { crates } => {
            if hidden {
                complain!("building {crates} crates");
            }
            bar.set_length(crates as u64);
        }
        Progress::Compiled { name, done, .. } => {
            if hidden && said.elapsed() >= REMINDER {
                complain!("built {done} of {}", bar.length().unwrap_or_default());
                said = Instant::now();
            }
            bar.set_position(done as u64);
            bar.set_message(name);
        }
        Progress::Message(line) => messages.push(line),
        _ => bar.set_message("checking"),
    });
    bar.finish_and_clear();
    let built = built?;
    messages.iter().for_each(|line| complain!("{line}"));
    Ok(built)
}

/// A finished image.
struct Built {
    name: String,
    image: Vec<u8>,
    symbols: Vec<u8>,
    /// The digest of its record, if it has one.
    record: Option<Digest>,
}

impl Built {
    /// Writes the image, and its symbols beside it; where it is.
    fn write(&self, path: &Path) -> Result<PathBuf, PackageError> {
        let mut symbols = path.as_os_str().to_owned();
        symbols.push(".symbols");
        write_whole(Path::new(&symbols), &self.symbols)?;
        write_whole(path, &self.image)?;
        Ok(path.to_owned())
    }
}

/// Writes a file, whole or not at all, and its folder where that is missing.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), PackageError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|source| PackageError::file(folder, source))?;
    let permissions = fs::Permissions::from_mode(0o666);
    let aside = tempfile::Builder::new()
        .prefix(".sprat-")
        .permissions(permissions)
        .tempfile_in(folder);
    aside
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.persist(path).map_err(|error| error.error)
        })
        .map(drop)
        .map_err(|source| PackageError::file(path, source))
}

/// `cargo` in a folder.
pub(crate) fn cargo(folder: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

fn metadata(folder: &Path, more: &[&str]) -> Result<Metadata, PackageError> {
    let output = cargo(folder)
        .args(["metadata", "--format-version", "1"])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .map_err(PackageError::Cargo)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(PackageError::Metadata(text.trim_end().into()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
