//! Self-booting images: what `run` and `build` have in common of `--target disk`.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;

use sprat_image::record::{Grants, SelfBooting};
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
    #[error("/dev/null: {0}")]
    Nothing(#[source] std::io::Error),
}

/// Who puts image and boot monitor together, for the record.
pub(crate) const ASSEMBLER: &str = concat!("sprat ", env!("CARGO_PKG_VERSION"));

/// The names and values of parameters that are written `KEY=VALUE`.
pub(crate) fn parameters(written: &[String]) -> Result<Vec<(String, String)>, DiskBuildError> {
    let pairs = written.iter().map(|parameter| {
        let pair = parameter.split_once('=');
        let (name, value) = pair.ok_or_else(|| DiskBuildError::Parameter(parameter.clone()))?;
        Ok((name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

/// Makes a self-booting image. Its network devices are those granted, or those that the image names
/// itself; it has the block devices that it cannot do without.
pub(crate) fn make(
    boot_monitor: &[u8],
    image: &[u8],
    grants: &Grants,
) -> Result<SelfBooting, DiskBuildError> {
    let image = Image::load(image)?;
    let manifest = image.manifest();
    let of_kind = |kind: DeviceKind| {
        let named = manifest.devices().filter(|device| device.name != ANY_NAME);
        named.filter(move |device| device.kind == kind as u16)
    };
    let mut networks = grants.networks.clone();
    if networks.is_empty() {
        let wanted = of_kind(DeviceKind::Network);
        networks.extend(wanted.map(|device| device.name.to_owned()));
    }
    let mut devices = Vec::new();
    for (number, name) in (1..).zip(networks) {
        // The card's own address takes the place of this one.
        let device = GrantedDevice::Network {
            address: [2, 0, 0, 0, 0, number],
            frame_limit: 1514,
            features: 0,
        };
        devices.push(Grant { name, device });
    }
    for wanted in of_kind(DeviceKind::Block).filter(|device| device.required) {
        // A disk of the machine's takes the place of this file.
        let device = GrantedDevice::Block {
            file: Arc::new(File::open("/dev/null").map_err(DiskBuildError::Nothing)?),
            blocks: 0,
            read_only: false,
        };
        let name = wanted.name.to_owned();
        devices.push(Grant { name, device });
    }
    let options = Options {
        devices,
        parameters: parameters(&grants.parameters)?,
        ..Options::default()
    };
    let elf = assemble(boot_monitor, &image, &options)?;
    let disk = disk(boot_monitor, &elf)?;
    Ok(SelfBooting { elf, disk })
}

/// Puts image and boot monitor together, for whoever records or verifies that.
pub(crate) fn assemble_recorded(
    boot_monitor: &[u8],
    image: &[u8],
    grants: &Grants,
) -> Result<SelfBooting, Box<dyn Error + Send + Sync>> {
    Ok(make(boot_monitor, image, grants)?)
}
