//! Self-booting images: what `run` and `build` have in common of `--target disk`.

use sprat_monitor::disk::{DiskMonitor, MachineKind, assemble, disk};
use sprat_monitor::{Grant, GrantedDevice, Image, Options};

use sprat_abi::boot::DeviceKind;
use sprat_abi::manifest::ANY_NAME;

use crate::embedded;

/// What machine a self-booting image runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum MachineChoice {
    /// The smallest: no firmware, devices at fixed addresses.
    #[default]
    Microvm,
    /// A PC with a PCI Express bus.
    Pci,
    /// A PC whose BIOS boots the image from a disk.
    Bios,
}

impl MachineChoice {
    /// A monitor that starts such machines.
    pub(crate) fn monitor(self) -> DiskMonitor {
        let kind = match self {
            Self::Microvm => MachineKind::Microvm,
            Self::Pci => MachineKind::Pci,
            Self::Bios => MachineKind::Bios,
        };
        DiskMonitor::new(embedded::BOOT_MONITOR.to_vec(), kind, None)
    }

    /// Its name in reports.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Microvm => "an emulated microvm boots it by itself",
            Self::Pci => "an emulated PC boots it by itself",
            Self::Bios => "an emulated PC's BIOS boots it from a disk",
        }
    }
}

/// Why a self-booting image cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskBuildError {
    #[error(transparent)]
    Image(#[from] sprat_monitor::ImageError),
    #[error(transparent)]
    Disk(#[from] sprat_monitor::disk::DiskError),
    #[error("{0}: expected KEY=VALUE")]
    Parameter(String),
}

/// A self-booting image: as an ELF file, and as a raw disk.
pub(crate) struct SelfBooting {
    pub(crate) elf: Vec<u8>,
    pub(crate) disk: Vec<u8>,
}

/// Makes a self-booting image. Its network devices are `named`, or those that the image names itself.
pub(crate) fn make(
    image: &[u8],
    named: &[String],
    parameters: &[String],
) -> Result<SelfBooting, DiskBuildError> {
    let image = Image::load(image)?;
    let mut names = named.to_vec();
    if names.is_empty() {
        let manifest = image.manifest();
        let networks = manifest
            .devices()
            .filter(|device| device.kind == DeviceKind::Network as u16 && device.name != ANY_NAME);
        names.extend(networks.map(|device| device.name.to_owned()));
    }
    let devices = (1..).zip(names).map(|(number, name)| Grant {
        name,
        // The card's own address takes the place of this one.
        device: GrantedDevice::Network {
            address: [2, 0, 0, 0, 0, number],
            frame_limit: 1514,
            features: 0,
        },
    });
    let parameters = parameters.iter().map(|parameter| {
        let pair = parameter.split_once('=');
        let (name, value) = pair.ok_or_else(|| DiskBuildError::Parameter(parameter.clone()))?;
        Ok((name.to_owned(), value.to_owned()))
    });
    let options = Options {
        devices: devices.collect(),
        parameters: parameters.collect::<Result<_, DiskBuildError>>()?,
        ..Options::default()
    };
    let elf = assemble(embedded::BOOT_MONITOR, &image, &options)?;
    let disk = disk(embedded::BOOT_MONITOR, &elf)?;
    Ok(SelfBooting { elf, disk })
}
