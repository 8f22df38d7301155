//! The record of what went into an image: enough to make it again.
//!
//! [`build()`] gathers a package's sources and the crates they need into a folder of their own, builds
//! the image there, and puts everything into a [store](crate::store) as one image: the ELF file and
//! its symbols, what it says about itself, the lock file, the sources, each crate's archive under the
//! checksum that the lock file has of it, compiler, linker and flags, a bill of materials (CycloneDX)
//! and a statement of provenance (in-toto, SLSA), which a key may sign. [`verify()`] takes that out
//! again, builds it with nothing else, and compares to the last byte.
//!
//! Nothing of a record depends on where or when it was made. Crates from git cannot be recorded: they
//! have no checksum.

mod build;
mod crates;
mod documents;
mod error;
mod find;
mod manifests;
mod signature;
mod stage;
mod stubs;
mod toolchain;
mod vendor;
mod verify;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use build::{Recorded, build};
pub use crates::Crate;
pub use error::RecordError;
pub use find::find;
pub use signature::{SigningKey, VerifyingKey};
pub use toolchain::Toolchain;
pub use verify::{Objects, Verified, verify};

use crate::Compilation;

/// The number of this kind of record.
const SCHEMA: u32 = 1;

/// What kind of thing a manifest of the store is of.
pub const ARTIFACT: &str = "application/vnd.sprat.image.v1";

/// The objects of a record: what each is called, and the type of its bytes.
pub(crate) mod objects {
    pub(crate) type Kind = (&'static str, &'static str);
    pub(crate) const RECORD: Kind = ("record.json", "application/vnd.sprat.record.v1+json");
    pub(crate) const IMAGE: Kind = ("image", "application/vnd.sprat.image.v1.elf");
    pub(crate) const SYMBOLS: Kind = ("symbols", "application/vnd.sprat.symbols.v1.elf");
    pub(crate) const MANIFEST: Kind = ("manifest.json", "application/vnd.sprat.manifest.v1+json");
    pub(crate) const LOCK: Kind = ("Cargo.lock", "application/toml");
    pub(crate) const SOURCES: Kind = ("sources.tar.gz", "application/gzip");
    pub(crate) const MATERIALS: Kind = ("materials.cdx.json", "application/vnd.cyclonedx+json");
    pub(crate) const PROVENANCE: Kind = ("provenance.json", "application/vnd.in-toto+json");
    pub(crate) const SIGNATURE: Kind = (
        "provenance.dsse.json",
        "application/vnd.dsse.envelope.v1+json",
    );
    /// What every record has besides itself.
    pub(crate) const REQUIRED: [Kind; 7] = [
        IMAGE, SYMBOLS, MANIFEST, LOCK, SOURCES, MATERIALS, PROVENANCE,
    ];
    /// Of a crate's archive, which is called by its name and version.
    pub(crate) const CRATE: &str = "application/vnd.rust.crate";
}

/// What went into an image, but for what is an object of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    schema: u32,
    /// The image's name.
    pub name: String,
    /// The image's version.
    pub version: String,
    /// The linker's fingerprint of the image.
    pub build_id: String,
    /// The package that was built.
    pub package: String,
    /// The profile that it was built with.
    pub profile: String,
    /// The package's features.
    pub features: Vec<String>,
    /// What the package's sources read of the environment.
    pub environment: BTreeMap<String, Input>,
    /// How it was compiled.
    pub compilation: Compilation,
    /// What it was compiled with.
    pub toolchain: Toolchain,
    /// What was compiled.
    pub crates: Vec<Crate>,
}

/// A variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Input {
    /// A text.
    Text(String),
    /// A file among the sources.
    File(String),
}

impl Record {
    /// What people call the image: its package, or the configuration that it is of, and its version.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }

    fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        let refused = |reason: String| RecordError::object(objects::RECORD.0, reason);
        let record: Self =
            serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?;
        match record.schema {
            SCHEMA => Ok(record),
            other => Err(refused(format!(
                "it is of schema {other}, and this version reads {SCHEMA}"
            ))),
        }
    }
}
