//! Reading an image back.

use serde::Serialize;
use sprat_abi::boot::DeviceKind;
use sprat_abi::manifest::Manifest;

use crate::sizes::{self, CrateSize};
use crate::{BuildId, ImageError, Segment, elf};

/// Everything an image says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The image's name.
    pub name: String,
    /// The image's version.
    pub version: String,
    /// The linker's fingerprint.
    pub build_id: BuildId,
    /// Bytes of the file.
    pub file_size: u64,
    /// Where it is entered.
    pub entry: u64,
    /// What is loaded, in order of address.
    pub segments: Vec<Segment>,
    /// Bytes of heap it asks for.
    pub heap: u64,
    /// Bytes of stack it asks for.
    pub stack: u64,
    /// The devices it wants.
    pub devices: Vec<WantedDevice>,
    /// The boot parameters it takes.
    pub parameters: Vec<Parameter>,
    /// Its size by crate, largest first; empty without its sidecar.
    pub crates: Vec<CrateSize>,
}

/// A device that an image wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WantedDevice {
    /// Its name; `*` for any number of any name.
    pub name: String,
    /// What it is: `network`, `input file`, or a number this version has no name for.
    pub kind: String,
    /// Whether the image cannot do without.
    pub required: bool,
}

/// A boot parameter that an image takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// What its value must look like.
    pub kind: &'static str,
    /// Its value when not given; none if it must be given.
    pub default: Option<String>,
    /// What it is for.
    pub help: String,
}

/// Reads an image, and its sidecar where it is at hand.
///
/// # Errors
/// When the file is not an image a monitor would load, or the sidecar is another image's.
pub fn inspect(image: &[u8], sidecar: Option<&[u8]>) -> Result<Inspection, ImageError> {
    let parsed = elf::parse(image)?;
    let manifest = Manifest::parse(parsed.manifest).map_err(ImageError::Manifest)?;
    let crates = match sidecar {
        Some(sidecar) => {
            parsed.check_sidecar(sidecar)?;
            sizes::by_crate(sidecar)?
        }
        None => Vec::new(),
    };
    let device = |wanted: sprat_abi::manifest::WantedDevice<'_>| WantedDevice {
        name: wanted.name.to_owned(),
        kind: DeviceKind::from_value(wanted.kind).map_or_else(
            || format!("kind {}", wanted.kind),
            |kind| kind.name().to_owned(),
        ),
        required: wanted.required,
    };
    let parameter = |parameter: sprat_abi::manifest::Parameter<'_>| Parameter {
        name: parameter.name.to_owned(),
        kind: parameter.kind.name(),
        default: parameter.default.map(str::to_owned),
        help: parameter.help.to_owned(),
    };
    Ok(Inspection {
        name: manifest.name.to_owned(),
        version: manifest.version.to_owned(),
        build_id: parsed.build_id,
        file_size: image.len() as u64,
        entry: parsed.entry,
        segments: parsed.segments,
        heap: manifest.memory.heap,
        stack: manifest.memory.stack,
        devices: manifest.devices().map(device).collect(),
        parameters: manifest.parameters().map(parameter).collect(),
        crates,
    })
}
