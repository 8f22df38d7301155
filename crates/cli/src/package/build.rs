//! `sprat build`: a package, or a Click configuration, as it ships.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use sprat_image::Profile;
use sprat_image::record::Grants;
use sprat_image::store::Digest;

use super::{Built, Package, PackageError, Recording, Target, router, write_whole};
use crate::output::{complain, print};
use crate::{disk, embedded};

/// Builds a package, or a Click configuration with the elements that it uses, as it ships: as a sealed
/// image, or for another target.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
    sprat build                            # the package in this folder
    sprat build -t disk firewall.click     # firewall.elf and firewall.disk, which boot by themselves
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
    /// What it is built for. For disk there are two files: NAME.elf for PVH and Multiboot2 loaders, and
    /// NAME.disk, raw, for a BIOS.
    #[arg(long, short, value_enum, default_value_t)]
    target: Target,
    /// A boot parameter that a self-booting image is started with.
    #[arg(long = "param", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// A feature of the package to build it with; several with commas between.
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    features: Vec<String>,
    /// Builds quickly, for trying out, instead of small and fast.
    #[arg(long)]
    development: bool,
    /// Signs the image's record with this Ed25519 key (PKCS#8 in PEM, as `openssl genpkey -algorithm
    /// ed25519` writes it).
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// Builds without putting the image and what it was made of into the store.
    #[arg(long, conflicts_with = "sign")]
    unrecorded: bool,
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
        if self.target != Target::Disk
            && let Some(parameter) = self.parameters.first()
        {
            return Err(PackageError::Parameter(parameter.clone()));
        }
        disk::parameters(&self.parameters)?;
        if !self.features.is_empty() && router::is_in(&self.subject) {
            let path = self.subject.clone();
            return Err(PackageError::NoFeatures { path });
        }
        if self.sign.is_some() && (self.development || self.target == Target::Unix) {
            return Err(PackageError::NothingToSign);
        }
        let recording = self.recording();
        let (built, record) = match self.target {
            Target::Unix => (self.program(profile)?, None),
            Target::Disk => self.build_disk(profile)?,
            Target::Vm if router::is_in(&self.subject) => {
                let (built, _) = router::build(&self.subject, profile, &recording)?;
                let here = PathBuf::from(format!("{}.image", built.name));
                (built.write(output.unwrap_or(&here))?, built.record)
            }
            Target::Vm => {
                let package = self.package()?;
                let built = package.compile(profile, None, &[], &recording)?;
                let place = package.image(profile);
                (built.write(output.unwrap_or(&place))?, built.record)
            }
        };
        let size = built
            .metadata()
            .map_err(|source| PackageError::file(&built, source))?
            .len();
        let mut text = format!(
            "{}: {size} bytes, built in {:.1} s\n",
            built.display(),
            begin.elapsed().as_secs_f64()
        );
        if let Some(record) = record {
            text += &format!("recorded as {record}; sprat verify builds it again\n");
        }
        print(&text).map_err(PackageError::Output)
    }

    fn package(&self) -> Result<Package, PackageError> {
        Package::open(&self.subject)?.with_features(&self.features)
    }

    fn program(&self, profile: Profile) -> Result<PathBuf, PackageError> {
        if router::is_in(&self.subject) {
            let path = self.subject.clone();
            return Err(PackageError::NoProgram { path });
        }
        let program = self.package()?.build_program(profile)?;
        let Some(path) = &self.output else {
            return Ok(program);
        };
        fs::copy(&program, path).map_err(|source| PackageError::file(path, source))?;
        Ok(path.clone())
    }

    /// Whether the image is recorded.
    fn recording(&self) -> Recording {
        match self.unrecorded {
            true => Recording::Nowhere,
            false => Recording::Store {
                key: self.sign.clone(),
                boots: (self.target == Target::Disk).then(|| self.parameters.clone()),
            },
        }
    }

    /// Builds a self-booting image; where its ELF file is, and its record.
    fn build_disk(&self, profile: Profile) -> Result<(PathBuf, Option<Digest>), PackageError> {
        let recording = self.recording();
        let (built, networks) = if router::is_in(&self.subject) {
            router::build(&self.subject, profile, &recording)?
        } else {
            let package = self.package()?;
            (package.compile(profile, None, &[], &recording)?, Vec::new())
        };
        let Built {
            name,
            image,
            self_booting,
            record,
            ..
        } = built;
        let made = match self_booting {
            Some(made) => made,
            None => {
                let parameters = self.parameters.clone();
                let grants = Grants {
                    networks,
                    parameters,
                };
                disk::make(embedded::BOOT_MONITOR, &image, &grants)?
            }
        };
        let here = PathBuf::from(format!("{name}.elf"));
        let elf = self.output.clone().unwrap_or(here);
        write_whole(&elf.with_extension("disk"), &made.disk)?;
        write_whole(&elf, &made.elf)?;
        Ok((elf, record))
    }
}
