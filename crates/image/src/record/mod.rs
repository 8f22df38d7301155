//! The record of what went into an image: enough to make it again.
//!
//! [`build()`] gathers a package's sources and the crates they need into a folder of their own, builds
//! the image there, and puts everything into a [store](crate::store) as one image: the ELF file and
//! its symbols, what it says about itself, the lock file, the sources, each crate's archive under the
//! checksum that the lock file has of it, compiler, linker and flags, a bill of materials (CycloneDX)
//! and a statement of provenance (in-toto, SLSA), which a key may sign. [`verify()`] takes that out
//! again, builds it with nothing else, and compares to the last byte. Of an image that boots by itself
//! the boot monitor is recorded and built again in the same way.
//!
//! Nothing of a record depends on where or when it was made. Crates from git cannot be recorded: they
//! have no checksum.

mod boot;
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

pub use boot::{Assemble, Boot, Booting, Grants, SelfBooting};
pub use build::{Recorded, Recording, build};
pub use crates::Crate;
pub use error::RecordError;
pub use find::find;
pub use signature::{SigningKey, VerifyingKey};
pub use toolchain::Toolchain;
pub use verify::{Objects, Verified, VerifiedBoot, verify};

use crate::Compilation;
use crate::store::{Store, Stored};

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
    pub(crate) const ELF: Kind = ("elf", "application/vnd.sprat.self-booting.v1.elf");
    pub(crate) const DISK: Kind = ("disk", "application/vnd.sprat.self-booting.v1.raw");
    pub(crate) const BOOT_MONITOR: Kind =
        ("boot-monitor", "application/vnd.sprat.boot-monitor.v1.elf");
    pub(crate) const BOOT_LOCK: Kind = ("boot-Cargo.lock", "application/toml");
    pub(crate) const BOOT_SOURCES: Kind = ("boot-sources.tar.gz", "application/gzip");
    /// What a record of an image that boots by itself has too, and no other.
    pub(crate) const BOOT: [Kind; 5] = [ELF, DISK, BOOT_MONITOR, BOOT_LOCK, BOOT_SOURCES];
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
    /// What makes it boot by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<Boot>,
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

    /// The record of an image of a store.
    ///
    /// # Errors
    /// When it is not there, damaged, or of another version.
    pub fn of(store: &Store, image: &Stored) -> Result<Self, RecordError> {
        Self::read(&store.get(&image.manifest.config)?)
    }

    /// Every crate that was compiled, those of the boot monitor too; each once, with all that it uses.
    #[must_use]
    pub fn all_crates(&self) -> Vec<Crate> {
        let mut all: BTreeMap<String, Crate> = BTreeMap::new();
        let boot = self.boot.iter().flat_map(|boot| &boot.crates);
        for krate in self.crates.iter().chain(boot) {
            let same = all.entry(krate.id()).or_insert_with(|| krate.clone());
            same.uses.extend(krate.uses.iter().cloned());
        }
        all.into_values().collect()
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
