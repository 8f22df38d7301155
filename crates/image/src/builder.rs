//! Drives cargo to a linked image.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, thread};

use serde::Deserialize;

use crate::compilation::{self, Compilation};
use crate::{BuildError, BuildId, Profile, Progress, elf};

/// The compiler's target: the host's own, so that no other toolchain is needed.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What is linked, and how.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// The value of `sprat_target`.
    target: &'static str,
    /// The linker script's file name.
    script: &'static str,
    /// How the result lies in memory.
    layout: &'static str,
}

/// An image, as every monitor holds it.
const IMAGE: Kind = Kind {
    target: "vm",
    script: "image.ld",
    layout: include_str!("image.ld"),
};

/// The boot monitor.
const BOOT_MONITOR: Kind = Kind {
    target: "disk",
    script: "disk.ld",
    layout: include_str!("disk.ld"),
};

/// The package that the boot monitor is.
const BOOT_MONITOR_PACKAGE: &str = "sprat-platform-disk";

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

/// What would be compiled for an image, as `cargo tree` says it: each line a depth and a package.
///
/// # Errors
/// When cargo cannot run or fails.
#[cfg(feature = "store")]
pub(crate) fn dependencies(
    package: &Package,
    options: &BuildOptions,
) -> Result<String, BuildError> {
    let job = Job::new(package, None, IMAGE.target, options);
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

/// Builds the boot monitor, which makes a sealed image one that boots by itself: the linked file, and
/// the workspace's sources that went into it.
///
/// # Errors
/// As [`build`].
pub fn build_boot_monitor(
    workspace: &Path,
    options: &BuildOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<(Vec<u8>, Vec<PathBuf>), BuildError> {
    let package = Package {
        workspace: workspace.to_owned(),
        name: BOOT_MONITOR_PACKAGE.into(),
    };
    let (executable, _) = link(&package, None, BOOT_MONITOR, options, progress)?;
    let linked = fs::read(&executable).map_err(|source| file_error(&executable, source))?;
    Ok((linked, sources(&executable.with_extension("d"))?))
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
    let script = options.target_directory.join(kind.script);
    let given = options.compilation.as_ref();
    let layout = given.map_or(kind.layout, |given| given.layout.as_str());
    write_if_changed(&script, layout)?;
    let mut job = Job::new(package, binary, kind.target, options);
    job.flags.push(format!("-Clink-arg=-T{}", script.display()));
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
        let is_there = |name: &&str| crates.iter().any(|line| names(line, name));
        let small = profile.small().iter().copied().filter(is_there);
        let small = small.map(|name| format!("package.{name}.opt-level='z'"));
        job.settings = own.chain(small).collect();
    }
    // Only now is every package unpacked where it will be compiled.
    job.flags.extend(compilation::renamings(package, options));
    progress(Progress::Planned {
        crates: crates.len(),
    });
    let executable = job.compile(offline, crates.len(), progress)?;
    Ok((
        executable,
        Compilation {
            flags: compilation::flags(kind.target),
            layout: layout.to_owned(),
            settings: job.settings,
        },
    ))
}

/// Whether a line of `cargo tree` is about a crate of this name.
fn names(line: &str, name: &str) -> bool {
    line.split(' ').next() == Some(name)
}

/// Everything that the runs of cargo for one build have in common.
struct Job<'a> {
    package: &'a Package,
    /// Which program of the package, if it has several.
    binary: Option<&'a str>,
    options: &'a BuildOptions,
    flags: Vec<String>,
    /// Of the profile, where the workspace has none of its name.
    settings: Vec<String>,
}

impl<'a> Job<'a> {
    fn new(
        package: &'a Package,
        binary: Option<&'a str>,
        target: &str,
        options: &'a BuildOptions,
    ) -> Self {
        let flags = match &options.compilation {
            Some(given) => given.flags.clone(),
            None => compilation::flags(target),
        };
        Self {
            package,
            binary,
            options,
            flags,
            settings: Vec::new(),
        }
    }

    /// Whether everything is fetched already, or asking the network is forbidden: crates that only
    /// images use are often there.
    fn can_do_offline(&self) -> bool {
        self.options.offline || self.tree(true, &["--edges", "normal,build"]).is_ok()
    }

    /// The lines of `cargo tree` that name what is compiled, each once.
    fn crates(&self, offline: bool) -> Result<Vec<String>, BuildError> {
        let format = [
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ];
        let tree = self.tree(offline, &format)?;
        let lines = tree.lines().map(|line| line.trim_end_matches(" (*)"));
        let mut crates: Vec<String> = lines.map(str::to_owned).collect();
        crates.sort_unstable();
        crates.dedup();
        Ok(crates)
    }

    fn cargo(&self, subcommand: &str, offline: bool) -> Command {
        let mut command = Command::new(&self.options.cargo);
        command
            .current_dir(&self.package.workspace)
            .arg(subcommand)
            .args([
                "--package",
                &self.package.name,
                "--target",
                TARGET,
                "--locked",
            ])
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags.join("\x1f"))
            .env("CARGO_TERM_COLOR", "never");
        for feature in &self.options.features {
            command.args(["--features", feature]);
        }
        for setting in &self.settings {
            let profile = self.options.profile.name();
            command.args(["--config", &format!("profile.{profile}.{setting}")]);
        }
        if offline {
            command.arg("--offline");
        }
        // A build script's environment says how *its* package is compiled, and a person's how they
        // like their programs; none of that may leak into the image, least of all a compiler wrapper.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(compilation::leaks) {
                command.env_remove(name);
            }
        }
        command.envs(self.options.environment.iter().cloned());
        command
    }

    fn start_error(&self, source: std::io::Error) -> BuildError {
        BuildError::Start {
            program: self.options.cargo.clone(),
            source,
        }
    }

    fn compile_error(&self, log: String) -> BuildError {
        BuildError::Compile {
            package: self.package.name.clone(),
            log,
        }
    }

    /// `cargo tree` of the package.
    fn tree(&self, offline: bool, arguments: &[&str]) -> Result<String, BuildError> {
        let output = self
            .cargo("tree", offline)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| self.start_error(source))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(self.compile_error(String::from_utf8_lossy(&output.stderr).into_owned()))
        }
    }

    /// Compiles and links; the path of the linked file.
    fn compile(
        &self,
        offline: bool,
        crates: usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, BuildError> {
        let mut child = self
            .cargo("build", offline)
            .args([
                "--profile",
                self.options.profile.name(),
                "--quiet",
                "--message-format",
                "json-render-diagnostics",
                "--target-dir",
            ])
            .arg(&self.options.target_directory)
            .args(
                self.binary
                    .map(|name| ["--bin", name])
                    .into_iter()
                    .flatten(),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| self.start_error(source))?;
        let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            unreachable!("both pipes were asked for");
        };
        // Read beside stdout, or a full pipe would stop cargo.
        let log = thread::spawn(move || {
            let mut log = Vec::new();
            let read = stderr.read_to_end(&mut log);
            read.map(|_| String::from_utf8_lossy(&log).into_owned())
        });
        let mut executables = Vec::new();
        let mut done = 0;
        for line in BufReader::new(stdout).lines() {
            let line = line.map_err(|source| self.start_error(source))?;
            let message: Message = serde_json::from_str(&line)?;
            if message.reason != "compiler-artifact" {
                continue;
            }
            let Some(target) = message.target else {
                continue;
            };
            done = crates.min(done + 1);
            progress(Progress::Compiled {
                name: target.name,
                done,
                crates,
            });
            executables.extend(message.executable);
        }
        let status = child.wait().map_err(|source| self.start_error(source))?;
        let log = log
            .join()
            .unwrap_or_else(|_| Ok(String::new()))
            .map_err(|source| self.start_error(source))?;
        if !status.success() {
            return Err(self.compile_error(log));
        }
        for line in log.lines() {
            progress(Progress::Message(line.to_owned()));
        }
        match <[PathBuf; 1]>::try_from(executables) {
            Ok([executable]) => Ok(executable),
            Err(executables) => Err(BuildError::Executables {
                package: self.package.name.clone(),
                found: executables.len(),
            }),
        }
    }
}

/// What is read of cargo's JSON messages.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<MessageTarget>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
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
