//! Packages: services written in Rust, made by `sprat new` and built into sealed images.

mod build;
mod cache;
mod library;
mod new;
mod program;
mod progress;
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

use serde::Deserialize;
use sprat_image::record::{self, Booting, Grants, RecordError, SelfBooting, SigningKey};
use sprat_image::store::Digest;
use sprat_image::{BuildError, BuildOptions, Configuration, Profile};

pub(crate) use build::BuildCommand;
pub(crate) use new::NewCommand;
pub(crate) use progress::watched;
pub(crate) use target::Target;
pub(crate) use test::TestCommand;
pub(crate) use watch::watch;

use crate::output::complain;
use crate::{disk, store};

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
    #[error(
        "crates that the package needs are not on this machine, and the registry cannot be \
         reached; run `cargo fetch` in its folder where there is a network:\n{0}"
    )]
    Registry(String),
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
    Record(RecordError),
    /// Nothing is wrong with the record, but with what was to boot.
    #[error(transparent)]
    Assembly(Box<dyn std::error::Error + Send + Sync>),
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

impl From<RecordError> for PackageError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Assembly(source) => Self::Assembly(source),
            error => Self::Record(error),
        }
    }
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
        let resolved = metadata(&folder, &["--offline"]).or_else(|_| {
            complain!("asking the registry for crates that are not on this machine");
            metadata(&folder, &[])
        })?;
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
        self.compile(profile, None, &[], &Recording::default())?
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
    /// recorded in the store; where it is to boot by itself, it is given `networks`, or those that it
    /// names.
    fn compile(
        &self,
        profile: Profile,
        configuration: Option<(&str, &Configuration)>,
        networks: &[String],
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
        let (built, self_booting, record) = match (profile, recording) {
            (Profile::Release, Recording::Store { key, boots }) => {
                let key = key.as_deref().map(SigningKey::read).transpose();
                let key = key.map_err(|error| PackageError::Key(Box::new(error)))?;
                let store = store::open()?;
                let staging = library::staging(&self.workspace, &self.name)?;
                let monitor = match boots {
                    Some(_) => Some(BootMonitor::open()?),
                    None => None,
                };
                let boot = monitor.as_ref().zip(boots.as_ref());
                let boot = boot.map(|(monitor, parameters)| Booting {
                    workspace: &monitor.workspace,
                    staging: &monitor.staging,
                    grants: Grants {
                        networks: networks.to_vec(),
                        parameters: parameters.clone(),
                    },
                    assemble: &disk::assemble_recorded,
                    assembler: disk::ASSEMBLER,
                });
                let into = record::Recording {
                    name,
                    staging: &staging,
                    store: &store,
                    key: key.as_ref(),
                    boot,
                };
                let made = watched(|progress| record::build(&package, &options, &into, progress))?;
                (made.built, made.self_booting, Some(made.stored.digest))
            }
            _ => {
                let built = watched(|progress| sprat_image::build(&package, &options, progress))?;
                (built, None, None)
            }
        };
        Ok(Built {
            name: name.to_owned(),
            image: built.image,
            symbols: built.sidecar,
            self_booting,
            record,
        })
    }
}

/// Where the boot monitor's sources are, and where it is compiled.
struct BootMonitor {
    workspace: PathBuf,
    staging: PathBuf,
}

impl BootMonitor {
    fn open() -> Result<Self, PackageError> {
        let place = library::unpacked()?;
        let package = Package::open(&place.join("crates/platform/disk"))?;
        Ok(Self {
            staging: library::staging(&package.workspace, &package.name)?,
            workspace: package.workspace,
        })
    }
}

/// Whether an image that ships is recorded.
#[derive(Debug)]
enum Recording {
    /// In the user's store, and signed with the key of a file where there is one.
    /// One that boots by itself has parameters, if only none.
    Store {
        key: Option<PathBuf>,
        boots: Option<Vec<String>>,
    },
    /// Not at all.
    Nowhere,
}

impl Default for Recording {
    fn default() -> Self {
        Self::Store {
            key: None,
            boots: None,
        }
    }
}

/// A finished image.
struct Built {
    name: String,
    image: Vec<u8>,
    symbols: Vec<u8>,
    /// What boots by itself, where that is recorded too.
    self_booting: Option<SelfBooting>,
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
        let text = text.trim_end().to_owned();
        // What cargo says each time before it asks once more.
        return Err(match text.contains("spurious network error") {
            true => PackageError::Registry(text),
            false => PackageError::Metadata(text),
        });
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
