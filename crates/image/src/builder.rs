//! From a package to a linked image.

use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use crate::compilation::{self, Compilation};
use crate::job::Job;
use crate::{BuildError, BuildId, Profile, Progress, elf};

/// The compiler's target: the host's own, so that no other toolchain is needed.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What is linked, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    /// The value of `sprat_target`.
    target: &'static str,
    /// The linker script's file name, without its ending.
    script: &'static str,
    /// How the result lies in memory.
    layout: &'static str,
}

/// An image, as every monitor holds it.
pub(crate) const IMAGE: Kind = Kind {
    target: "vm",
    script: "image",
    layout: include_str!("image.ld"),
};

/// The boot monitor.
pub(crate) const BOOT_MONITOR: Kind = Kind {
    target: "disk",
    script: "disk",
    layout: include_str!("disk.ld"),
};

/// The package that the boot monitor is.
pub const BOOT_MONITOR_PACKAGE: &str = "sprat-platform-disk";

/// The package to build an image from.
#[derive(Debug, Clone)]
pub struct Package {
    /// The cargo workspace (or package) it is in.
    pub workspace: PathBuf,
    /// Its name in Cargo.toml.
    pub name: String,
}

/// How to build.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The cargo to run.
    pub cargo: PathBuf,
    /// Where compiled crates are kept. It must not be the directory of a cargo build that waits for
    /// this one, which holds that directory's lock.
    pub target_directory: PathBuf,
    /// Never ask the network, even for a crate that is missing.
    pub offline: bool,
    /// The package's features to build it with.
    pub features: Vec<String>,
    /// What the package's sources read of the environment.
    pub environment: Vec<(String, OsString)>,
    /// How hard the compiler tries.
    pub profile: Profile,
    /// Folders that source files come from, and what they are called in the image, so that it does
    /// not depend on where it was built. The workspace and cargo's own folders need not be named.
    pub renamed: Vec<(PathBuf, String)>,
    /// How to compile, where that is not for this version to say: as an earlier build was done.
    pub compilation: Option<Compilation>,
}

impl BuildOptions {
    /// Builds with the `cargo` of the environment into a directory, going to the network only for
    /// missing crates and not at all where `CARGO_NET_OFFLINE` forbids it.
    #[must_use]
    pub fn new(target_directory: PathBuf) -> Self {
        let forbidden = std::env::var("CARGO_NET_OFFLINE").is_ok_and(|value| value == "true");
        Self {
            cargo: std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from),
            target_directory,
            offline: forbidden,
            features: Vec::new(),
            environment: Vec::new(),
            profile: Profile::Release,
            renamed: Vec::new(),
            compilation: None,
        }
    }
}

/// A finished image.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// What is loaded, nothing else.
    pub image: Vec<u8>,
    /// The linked file with symbols and line tables.
    pub sidecar: Vec<u8>,
    /// Names the sidecar that belongs to an image.
    pub build_id: BuildId,
    /// The workspace's source files that went into it.
    pub sources: Vec<PathBuf>,
    /// How it was compiled.
    pub compilation: Compilation,
}

/// A finished boot monitor.
#[derive(Debug, Clone)]
pub struct BootMonitor {
    /// The linked file.
    pub linked: Vec<u8>,
    /// The workspace's source files that went into it.
    pub sources: Vec<PathBuf>,
    /// How it was compiled.
    pub compilation: Compilation,
}

/// Builds a package as a sealed image.
///
/// # Errors
/// When cargo cannot run or fails, when `libc` is in the dependency tree, or when the result is not
/// what a monitor would load.
pub fn build(
    package: &Package,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<BuiltImage, BuildError> {
    build_job(package, None, options, progress)
}

/// Builds one of the programs of a package that has several.
///
/// # Errors
/// As [`build`].
pub fn build_binary(
    package: &Package,
    binary: &str,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<BuiltImage, BuildError> {
    build_job(package, Some(binary), options, progress)
}

/// What would be compiled for an image or a boot monitor, as `cargo tree` says it: each line a depth and a package.
///
/// # Errors
/// When cargo cannot run or fails.
#[cfg(feature = "store")]
pub(crate) fn dependencies(
    package: &Package,
    kind: Kind,
    options: &BuildOptions,
) -> Result<String, BuildError> {
    let job = Job::new(package, None, kind.target, options);
    let format = [
        "--edges",
        "normal,build",
        "--prefix",
        "depth",
        "--format",
        "{p}",
    ];
    job.tree(job.can_do_offline(), &format)
}

/// Builds the boot monitor, which makes a sealed image one that boots by itself.
///
/// # Errors
/// As [`build`].
pub fn build_boot_monitor(
    workspace: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<BootMonitor, BuildError> {
    let package = Package {
        workspace: workspace.to_owned(),
        name: BOOT_MONITOR_PACKAGE.into(),
    };
    let (executable, compilation) = link(&package, None, BOOT_MONITOR, options, progress)?;
    let linked = fs::read(&executable).map_err(|source| file_error(&executable, source))?;
    Ok(BootMonitor {
        linked,
        sources: sources(&executable.with_extension("d"))?,
        compilation,
    })
}

fn build_job(
    package: &Package,
    binary: Option<&str>,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<BuiltImage, BuildError> {
    let (executable, compilation) = link(package, binary, IMAGE, options, progress)?;
    progress(Progress::Checking);
    let sidecar = fs::read(&executable).map_err(|source| file_error(&executable, source))?;
    let image_error = |source| BuildError::Image {
        package: package.name.clone(),
        source,
    };
    let image = elf::split(&sidecar).map_err(image_error)?;
    let build_id = elf::parse(&image).map_err(image_error)?.build_id;
    let sources = sources(&executable.with_extension("d"))?;
    Ok(BuiltImage {
        image,
        sidecar,
        build_id,
        sources,
        compilation,
    })
}

/// Compiles and links; the path of the linked file, and how it was done.
fn link(
    package: &Package,
    binary: Option<&str>,
    kind: Kind,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<(PathBuf, Compilation), BuildError> {
    fs::create_dir_all(&options.target_directory)
        .map_err(|source| file_error(&options.target_directory, source))?;
    let given = options.compilation.as_ref();
    let layout = given.map_or(kind.layout, |given| given.layout.as_str());
    // Cargo does not look into it, and would keep what was linked by another.
    let mut hasher = DefaultHasher::new();
    layout.hash(&mut hasher);
    let script = format!("{}-{:016x}.ld", kind.script, hasher.finish());
    let script = options.target_directory.join(script);
    write_if_changed(&script, layout)?;
    let mut job = Job::new(package, binary, kind.target, options);
    let manifest = package.workspace.join("Cargo.toml");
    // Cargo says what is wrong with one that cannot be read.
    let manifest = fs::read_to_string(&manifest).unwrap_or_default();
    let profile = options.profile;
    let said = manifest
        .lines()
        .any(|line| line.trim() == format!("[profile.{}]", profile.name()));
    let offline = job.can_do_offline();
    let crates = job.crates(offline)?;
    let linked = job.tree(
        offline,
        &["--edges", "normal", "--prefix", "none", "--format", "{p}"],
    )?;
    if linked.lines().any(|line| line.starts_with("libc v")) {
        let chain = job.tree(offline, &["--edges", "normal", "--invert", "libc"])?;
        return Err(BuildError::Libc {
            package: package.name.clone(),
            chain,
        });
    }
    if let Some(given) = given {
        job.settings.clone_from(&given.settings);
    } else if !said {
        let own = profile.settings().iter().map(|setting| (*setting).into());
        // Cargo warns of settings for a crate that is not there.
        let small = profile.small().iter();
        let small =
            small.filter(|(name, _)| crates.iter().any(|line| compilation::names(line, name)));
        let small = small.map(|(name, level)| format!("package.{name}.opt-level='{level}'"));
        job.settings = own.chain(small).collect();
    }
    if given.is_none() && kind.target == IMAGE.target {
        job.flags.extend(compilation::small(&crates));
    }
    let flags = job.flags.clone();
    job.flags.push(format!("-Clink-arg=-T{}", script.display()));
    // Only now is every package unpacked where it will be compiled.
    job.flags.extend(compilation::renamings(package, options));
    progress(Progress::Planned {
        crates: crates.len(),
    });
    let executable = job.compile(offline, crates.len(), progress)?;
    Ok((
        executable,
        Compilation {
            flags,
            layout: layout.to_owned(),
            settings: job.settings,
        },
    ))
}

/// The sources named by cargo's dependency file, which is one make rule; spaces in a name are
/// escaped by a backslash.
fn sources(path: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let rule = fs::read_to_string(path).map_err(|source| file_error(path, source))?;
    let mut sources = Vec::new();
    for line in rule.lines() {
        let Some((_, names)) = line.split_once(": ") else {
            continue;
        };
        let joined = names.replace("\\ ", "\0");
        sources.extend(
            joined
                .split_whitespace()
                .map(|name| PathBuf::from(name.replace('\0', " "))),
        );
    }
    sources.sort();
    sources.dedup();
    Ok(sources)
}

fn file_error(path: &Path, source: std::io::Error) -> BuildError {
    BuildError::File {
        path: path.to_owned(),
        source,
    }
}

/// Leaves an unchanged file's time alone, since cargo relinks when it moves.
fn write_if_changed(path: &Path, content: &str) -> Result<(), BuildError> {
    if fs::read_to_string(path).is_ok_and(|current| current == content) {
        return Ok(());
    }
    fs::write(path, content).map_err(|source| file_error(path, source))
}
