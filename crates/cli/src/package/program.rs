//! A package as an ordinary Linux program, built by plain cargo.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;
use sprat_image::Profile;

use super::{Package, PackageError, cargo};

/// What is read of cargo's messages.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

impl Package {
    /// `cargo run` of this package, from any folder.
    pub(crate) fn cargo_run(&self, profile: Profile) -> Command {
        let mut command = self.cargo("run", profile);
        // Files that it is told of are named from where the command was given.
        if let Ok(here) = std::env::current_dir() {
            command.current_dir(here);
        }
        command
    }

    /// Builds the program; where it is. Cargo shows what it does.
    pub(super) fn build_program(&self, profile: Profile) -> Result<PathBuf, PackageError> {
        let mut child = self
            .cargo("build", profile)
            .args(["--message-format", "json-render-diagnostics"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(PackageError::Cargo)?;
        let mut programs = Vec::new();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                let line = line.map_err(PackageError::Cargo)?;
                let message: Message = serde_json::from_str(&line)?;
                programs.extend(message.executable);
            }
        }
        let name = self.name.clone();
        if !child.wait().map_err(PackageError::Cargo)?.success() {
            return Err(PackageError::Program { name });
        }
        match <[PathBuf; 1]>::try_from(programs) {
            Ok([program]) => Ok(program),
            Err(programs) => Err(PackageError::Programs {
                name,
                count: programs.len(),
            }),
        }
    }

    fn cargo(&self, subcommand: &str, profile: Profile) -> Command {
        let mut command = cargo(&self.folder);
        command
            .args([subcommand, "--package", &self.name, "--manifest-path"])
            .arg(self.folder.join("Cargo.toml"));
        for feature in &self.features {
            command.args(["--features", feature]);
        }
        if profile == Profile::Release {
            command.arg("--release");
        }
        command
    }
}
