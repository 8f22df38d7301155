//! `sprat test`: a package's tests, which run under Linux.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Package, PackageError, cargo};
use crate::output::complain;

/// Runs a package's tests, as `cargo test` does.
#[derive(Debug, clap::Args)]
pub(crate) struct TestCommand {
    /// The package's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// What `cargo test` is given.
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl TestCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        let status = Package::open(&self.folder).and_then(|package| {
            cargo(package.folder())
                .arg("test")
                .args(&self.arguments)
                .status()
                .map_err(PackageError::Cargo)
        });
        match status {
            Ok(status) if status.success() => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                complain!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
