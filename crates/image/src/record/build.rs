//! Building an image from gathered sources, and recording it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::boot::{Boot, Booting, SelfBooting};
use super::crates::{self, Crate, Lock};
use super::documents::{self, Digests};
use super::stage::{self, Files};
use super::{
    ARTIFACT, Input, Record, RecordError, SCHEMA, SigningKey, Toolchain, objects, signature,
    toolchain, vendor,
};
use crate::builder::{self, Kind};
use crate::store::{Descriptor, Manifest, Store, Stored};
use crate::{
    BootMonitor, BuildOptions, BuiltImage, Compilation, Package, Profile, Progress, inspect,
};

/// A recorded image.
#[derive(Debug)]
pub struct Recorded {
    /// The image.
    pub built: BuiltImage,
    /// What boots by itself, where that was wanted.
    pub self_booting: Option<SelfBooting>,
    /// Its record in the store.
    pub stored: Stored,
}

/// Where an image is recorded, and how.
#[derive(Debug)]
pub struct Recording<'a> {
    /// The image's name.
    pub name: &'a str,
    /// The folder in which it is compiled, whose content is of use to the next build; one build at a
    /// time.
    pub staging: &'a Path,
    /// The store.
    pub store: &'a Store,
    /// The key that signs it.
    pub key: Option<&'a SigningKey>,
    /// What makes it boot by itself, if it is to.
    pub boot: Option<Booting<'a>>,
}

/// Builds a package as a sealed image, or one that boots by itself, and records it in a store.
///
/// # Errors
/// When the package does not build, when something that it is made of cannot be recorded, or when the
/// store cannot be written.
pub fn build(
    package: &Package,
    options: &BuildOptions,
    recording: &Recording<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Recorded, RecordError> {
    let Gathered {
        bench,
        files,
        lock,
        crates,
        archives,
        environment,
    } = Gathered::of(package, builder::IMAGE, options, recording.staging)?;
    let recipe = Recipe {
        package: &package.name,
        profile: options.profile,
        features: &options.features,
        environment: &environment,
        compilation: options.compilation.clone(),
    };
    let built = bench.compile(recipe, progress)?;
    bench.refuse_outside(&built.sources)?;
    let booted = recording.boot.as_ref();
    let booted = booted.map(|booting| boot(booting, &built.image, options, progress));
    let booted = booted.transpose()?;

    let inspection = inspect(&built.image, None)?;
    let record = Record {
        schema: SCHEMA,
        name: recording.name.to_owned(),
        version: inspection.version.clone(),
        build_id: built.build_id.to_string(),
        package: package.name.clone(),
        profile: options.profile.name().to_owned(),
        features: options.features.clone(),
        environment,
        compilation: built.compilation.clone(),
        toolchain: Toolchain::of(&options.cargo, &bench.sources)?,
        crates,
        boot: booted.as_ref().map(|booted| booted.boot.clone()),
    };
    let json = |error: serde_json::Error| RecordError::object("a document", error);
    let manifest = serde_json::to_vec_pretty(&inspection).map_err(json)?;
    let store = recording.store;
    let mut putting = Putting {
        store,
        layers: Vec::new(),
    };
    let _hold = store.hold()?;
    putting.add(objects::IMAGE, &built.image)?;
    putting.add(objects::SYMBOLS, &built.sidecar)?;
    putting.add(objects::MANIFEST, &manifest)?;
    putting.add(objects::LOCK, &lock)?;
    putting.add(objects::SOURCES, &packed(&files, recording.staging)?)?;
    if let (Some(booted), Some(booting)) = (&booted, &recording.boot) {
        putting.add(objects::ELF, &booted.made.elf)?;
        putting.add(objects::DISK, &booted.made.disk)?;
        putting.add(objects::BOOT_MONITOR, &booted.monitor)?;
        putting.add(objects::BOOT_LOCK, &booted.lock)?;
        let sources = packed(&booted.files, booting.staging)?;
        putting.add(objects::BOOT_SOURCES, &sources)?;
    }
    let digests = digests(&putting.layers);
    let materials = documents::materials(&record, &digests).map_err(json)?;
    putting.add(objects::MATERIALS, &materials)?;
    let statement = documents::statement(&record, &digests).map_err(json)?;
    putting.add(objects::PROVENANCE, &statement)?;
    if let Some(key) = recording.key {
        let envelope = signature::sign(key, &statement).map_err(json)?;
        putting.add(objects::SIGNATURE, &envelope)?;
    }
    // A crate that both are made of is there once.
    let mut all = archives;
    all.extend(booted.iter().flat_map(|booted| booted.archives.clone()));
    for (folder, bytes) in &all {
        let title = format!("{folder}.crate");
        putting
            .layers
            .push(store.put(&title, objects::CRATE, bytes)?);
    }
    let text = serde_json::to_vec_pretty(&record).map_err(json)?;
    let config = store.put(objects::RECORD.0, objects::RECORD.1, &text)?;
    let manifest = Manifest::new(ARTIFACT, config, putting.layers);
    let stored = store.publish(&record.label(), manifest)?;
    Ok(Recorded {
        built,
        self_booting: booted.map(|booted| booted.made),
        stored,
    })
}

/// What makes the image boot by itself, built.
struct Booted {
    made: SelfBooting,
    monitor: Vec<u8>,
    files: Files,
    lock: Vec<u8>,
    archives: Archives,
    boot: Boot,
}

/// Builds the boot monitor and puts it and the image together.
fn boot(
    booting: &Booting<'_>,
    image: &[u8],
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Booted, RecordError> {
    let package = Package {
        workspace: booting.workspace.to_owned(),
        name: builder::BOOT_MONITOR_PACKAGE.to_owned(),
    };
    let own = BuildOptions {
        cargo: options.cargo.clone(),
        offline: options.offline,
        ..BuildOptions::new(options.target_directory.clone())
    };
    let gathered = Gathered::of(&package, builder::BOOT_MONITOR, &own, booting.staging)?;
    let bench = gathered.bench;
    let built = bench.compile_boot_monitor(None, progress)?;
    bench.refuse_outside(&built.sources)?;
    let made = (booting.assemble)(&built.linked, image, &booting.grants);
    let boot = Boot {
        assembler: booting.assembler.to_owned(),
        grants: booting.grants.clone(),
        compilation: built.compilation,
        toolchain: Toolchain::of(&options.cargo, &bench.sources)?,
        crates: gathered.crates,
    };
    Ok(Booted {
        made: made.map_err(RecordError::Assembly)?,
        monitor: built.linked,
        files: gathered.files,
        lock: gathered.lock,
        archives: gathered.archives,
        boot,
    })
}

fn packed(files: &Files, place: &Path) -> Result<Vec<u8>, RecordError> {
    vendor::pack(files).map_err(|source| RecordError::file(place, source))
}

/// The archives of crates of registries, by the crates' folders.
type Archives = BTreeMap<String, Vec<u8>>;

/// Everything that a package is compiled from, in the folder where that is done.
struct Gathered {
    bench: Bench,
    files: Files,
    /// The workspace's lock file, as it is.
    lock: Vec<u8>,
    crates: Vec<Crate>,
    archives: Archives,
    environment: BTreeMap<String, Input>,
}

impl Gathered {
    fn of(
        package: &Package,
        kind: Kind,
        options: &BuildOptions,
        staging: &Path,
    ) -> Result<Self, RecordError> {
        let root = &package.workspace;
        let workspace = root
            .canonicalize()
            .map_err(|source| RecordError::file(root, source))?;
        let lock_path = workspace.join("Cargo.lock");
        let lock_bytes =
            fs::read(&lock_path).map_err(|source| RecordError::file(&lock_path, source))?;
        let lock = Lock::read(&lock_path, &lock_bytes)?;
        let tree = crates::read_tree(&builder::dependencies(package, kind, options)?, &lock)?;
        let archives = archives(&tree.crates)?;
        let mut files = stage::gather(&workspace, &tree, &lock, &archives)?;
        let environment = inputs(&options.environment, &mut files)?;

        let bench = Bench::new(staging, &options.cargo)?;
        stage::unfold(&files, &tree.crates, &archives, &bench.sources)?;
        let locked = bench.lock()?;
        Lock::read(&bench.sources.join("Cargo.lock"), &locked)?
            .check(&tree.crates, "among the sources that were gathered")?;
        files.insert("Cargo.lock".to_owned(), locked);
        Ok(Self {
            bench,
            files,
            lock: lock_bytes,
            crates: tree.crates,
            archives,
            environment,
        })
    }
}

/// Objects on their way into a store.
struct Putting<'a> {
    store: &'a Store,
    layers: Vec<Descriptor>,
}

impl Putting<'_> {
    fn add(&mut self, (title, kind): objects::Kind, bytes: &[u8]) -> Result<(), RecordError> {
        self.layers.push(self.store.put(title, kind, bytes)?);
        Ok(())
    }
}

pub(super) fn digests(layers: &[Descriptor]) -> Digests {
    let named = layers
        .iter()
        .map(|layer| (layer.title().to_owned(), layer.digest));
    named.collect()
}

/// The archives of the crates of registries, by the crates' folders.
fn archives(crates: &[Crate]) -> Result<Archives, RecordError> {
    let registered = crates
        .iter()
        .filter_map(|krate| Some((krate, krate.checksum?)));
    registered
        .map(|(krate, checksum)| Ok((krate.folder(), crates::archive(krate, &checksum)?)))
        .collect()
}

/// What sources read of the environment. The files that it names become sources.
fn inputs(
    environment: &[(String, OsString)],
    files: &mut Files,
) -> Result<BTreeMap<String, Input>, RecordError> {
    let mut inputs = BTreeMap::new();
    for (name, value) in environment {
        let path = Path::new(value);
        let text = value
            .to_str()
            .ok_or_else(|| RecordError::Name { path: path.into() })?;
        let input = if path.is_absolute() && path.is_file() {
            let bytes = fs::read(path).map_err(|source| RecordError::file(path, source))?;
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let place = format!("inputs/{name}/{file}");
            files.insert(place.clone(), bytes);
            Input::File(place)
        } else {
            Input::Text(text.to_owned())
        };
        inputs.insert(name.clone(), input);
    }
    Ok(inputs)
}

/// What is built, and how.
pub(super) struct Recipe<'a> {
    pub(super) package: &'a str,
    pub(super) profile: Profile,
    pub(super) features: &'a [String],
    pub(super) environment: &'a BTreeMap<String, Input>,
    pub(super) compilation: Option<Compilation>,
}

/// The folder that gathered sources are compiled in.
pub(super) struct Bench {
    pub(super) sources: PathBuf,
    home: PathBuf,
    target: PathBuf,
    cargo: PathBuf,
    /// One build at a time.
    _lock: fs::File,
}

impl Bench {
    pub(super) fn new(folder: &Path, cargo: &Path) -> Result<Self, RecordError> {
        let failed = |source| RecordError::file(folder, source);
        let bench = |folder: &Path, lock| Self {
            sources: folder.join("sources"),
            // With nothing in it: what is not among the sources is not there.
            home: folder.join("cargo"),
            target: folder.join("target"),
            cargo: cargo.to_owned(),
            _lock: lock,
        };
        fs::create_dir_all(folder.join("sources")).map_err(failed)?;
        fs::create_dir_all(folder.join("cargo")).map_err(failed)?;
        let folder = folder.canonicalize().map_err(failed)?;
        let lock = fs::File::create(folder.join("lock")).map_err(failed)?;
        lock.lock().map_err(failed)?;
        Ok(bench(&folder, lock))
    }

    /// The lock file that cargo makes of what was gathered.
    fn lock(&self) -> Result<Vec<u8>, RecordError> {
        let mut command = Command::new(&self.cargo);
        command
            .args(["generate-lockfile", "--offline", "--quiet"])
            .current_dir(&self.sources)
            .env("CARGO_HOME", &self.home);
        toolchain::run(&mut command)?;
        let path = self.sources.join("Cargo.lock");
        fs::read(&path).map_err(|source| RecordError::file(&path, source))
    }

    /// Compiles what was gathered.
    pub(super) fn compile(
        &self,
        recipe: Recipe<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<BuiltImage, RecordError> {
        let variables = recipe.environment.iter().map(|(name, input)| {
            let value = match input {
                Input::Text(text) => text.into(),
                Input::File(place) => self.sources.join(place).into(),
            };
            (name.clone(), value)
        });
        let options = BuildOptions {
            features: recipe.features.to_vec(),
            environment: variables.chain([self.empty_home()]).collect(),
            profile: recipe.profile,
            ..self.options(recipe.compilation)
        };
        let package = Package {
            workspace: self.sources.clone(),
            name: recipe.package.to_owned(),
        };
        Ok(builder::build(&package, &options, progress)?)
    }

    /// Compiles the boot monitor, where that was gathered.
    pub(super) fn compile_boot_monitor(
        &self,
        compilation: Option<Compilation>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<BootMonitor, RecordError> {
        let options = BuildOptions {
            environment: vec![self.empty_home()],
            ..self.options(compilation)
        };
        Ok(builder::build_boot_monitor(
            &self.sources,
            &options,
            progress,
        )?)
    }

    fn empty_home(&self) -> (String, OsString) {
        ("CARGO_HOME".to_owned(), self.home.clone().into())
    }

    fn options(&self, compilation: Option<Compilation>) -> BuildOptions {
        BuildOptions {
            cargo: self.cargo.clone(),
            offline: true,
            renamed: vec![(self.sources.join("vendor"), "registry".to_owned())],
            compilation,
            ..BuildOptions::new(self.target.clone())
        }
    }

    /// Refuses an image that was made of a file that is not here.
    fn refuse_outside(&self, sources: &[PathBuf]) -> Result<(), RecordError> {
        let outside = sources.iter().find(|path| {
            path.is_absolute()
                && !path.starts_with(&self.sources)
                && !path.starts_with(&self.target)
        });
        match outside {
            Some(path) => Err(RecordError::Outside { path: path.clone() }),
            None => Ok(()),
        }
    }
}
