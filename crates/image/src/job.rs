//! Cargo, run for one image: what it would compile, and compiling it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use serde::Deserialize;

use crate::builder::{BuildOptions, Package, TARGET};
use crate::compilation;
use crate::{BuildError, Progress};

/// Everything that the runs of cargo for one build have in common.
pub(crate) struct Job<'a> {
    package: &'a Package,
    /// Which program of the package, if it has several.
    binary: Option<&'a str>,
    options: &'a BuildOptions,
    pub(crate) flags: Vec<String>,
    /// Of the profile, where the workspace has none of its name.
    pub(crate) settings: Vec<String>,
}

impl<'a> Job<'a> {
    pub(crate) fn new(
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
    pub(crate) fn can_do_offline(&self) -> bool {
        self.options.offline || self.tree(true, &["--edges", "normal,build"]).is_ok()
    }

    /// The lines of `cargo tree` that name what is compiled, each once.
    pub(crate) fn crates(&self, offline: bool) -> Result<Vec<String>, BuildError> {
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
    pub(crate) fn tree(&self, offline: bool, arguments: &[&str]) -> Result<String, BuildError> {
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
    pub(crate) fn compile(
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
