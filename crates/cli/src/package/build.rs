//! `sprat build`: a package as a sealed image.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use sprat_image::Profile;

use super::{Package, PackageError};
use crate::output::{complain, print};

/// Builds a package as a sealed image.
#[derive(Debug, clap::Args)]
pub(crate) struct BuildCommand {
    /// The package's folder.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Builds quickly, for trying out, instead of small and fast.
    #[arg(long)]
    development: bool,
}

impl BuildCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        match self.build() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain!("error: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn build(&self) -> Result<(), PackageError> {
        let begin = Instant::now();
        let profile = match self.development {
            true => Profile::Development,
            false => Profile::Release,
        };
        let image = Package::open(&self.folder)?.build(profile)?;
        let size = image
            .metadata()
            .map_err(|source| PackageError::file(&image, source))?
            .len();
        let text = format!(
            "{}: {size} bytes, built in {:.1} s\n",
            image.display(),
            begin.elapsed().as_secs_f64()
        );
        print(&text).map_err(PackageError::Output)
    }
}
