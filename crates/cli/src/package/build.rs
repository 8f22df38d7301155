//! `sprat build`: a package, or a Click configuration, as a sealed image.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use sprat_image::Profile;

use super::{Package, PackageError, router};
use crate::output::{complain, print};

/// Builds a package, or a Click configuration with the elements that it uses, as a sealed image.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
    sprat build                            # the package in this folder
    sprat build firewall.click             # firewall.image: the configuration and its elements
    sprat run firewall.image --in eth0=a.pcap --out eth1=b.pcap")]
pub(crate) struct BuildCommand {
    /// A package's folder, a Click configuration, or a folder whose run.toml names one.
    #[arg(default_value = ".")]
    subject: PathBuf,
    /// The image to write; by default NAME.image, a configuration's in this folder and a package's in
    /// its target folder. Its symbols go beside it.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
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
        let output = self.output.as_deref();
        if let Some(path) = output.filter(|path| path.is_dir()) {
            let folder = std::io::ErrorKind::IsADirectory.into();
            return Err(PackageError::file(path, folder));
        }
        let image = if router::is_in(&self.subject) {
            let built = router::build(&self.subject, profile)?;
            let here = PathBuf::from(format!("{}.image", built.name));
            built.write(output.unwrap_or(&here))?
        } else {
            let package = Package::open(&self.subject)?;
            match output {
                Some(path) => package.compile(profile, None)?.write(path)?,
                None => package.build(profile)?,
            }
        };
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
