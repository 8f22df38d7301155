//! Why an image cannot be recorded, or is not what its record says.

use std::io;
use std::path::PathBuf;

use crate::store::{Digest, StoreError};
use crate::{BuildError, Difference, ImageError};

/// Why an image cannot be recorded, or is not what its record says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The store cannot be read or written, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// What was built is no image.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A Cargo.toml or Cargo.lock is not understood.
    #[error("{}: {source}", path.display())]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// A file's name is no text, so no archive can hold it everywhere.
    #[error("{}: its name is not UTF-8", path.display())]
    Name {
        /// Which file.
        path: PathBuf,
    },
    /// A crate has no checksum in the lock file.
    #[error(
        "{krate} has no checksum in Cargo.lock: only crates of registries and of folders can be recorded"
    )]
    NoChecksum {
        /// The crate, with its version.
        krate: String,
    },
    /// A crate's archive is not in cargo's cache.
    #[error("{krate} is not in cargo's cache with the checksum of Cargo.lock; run `cargo fetch`")]
    NotFetched {
        /// The crate, with its version.
        krate: String,
    },
    /// The lock file and the crates disagree.
    #[error("Cargo.lock disagrees about {krate}: {lock} there, {found} {place}")]
    Lock {
        /// The crate, with its version.
        krate: String,
        /// What the lock file says.
        lock: String,
        /// What else there is.
        found: String,
        /// Where that is.
        place: &'static str,
    },
    /// The image reads a file that no package holds.
    #[error(
        "{} is read by the compiler, and no package holds it: the image could not be built again \
         from its record; move the file into the package",
        path.display()
    )]
    Outside {
        /// Which file.
        path: PathBuf,
    },
    /// A tool cannot be started or failed.
    #[error("{program}: {reason}")]
    Tool {
        /// What was started.
        program: String,
        /// What it said.
        reason: String,
    },
    /// An object of the record is not readable.
    #[error("{title} of the record: {reason}")]
    Object {
        /// Which object.
        title: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An object that every record has is not named by the manifest.
    #[error("the record has no {title}")]
    Absent {
        /// Which object.
        title: String,
    },
    /// There is no such image in the store.
    #[error("no image {reference} is in the store {}", store.display())]
    Unknown {
        /// What was asked for.
        reference: String,
        /// The store's folder.
        store: PathBuf,
    },
    /// Several images go by this.
    #[error("{reference} may be {}", candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        reference: String,
        /// The digests that begin so.
        candidates: Vec<String>,
    },
    /// Image and boot monitor do not go together.
    #[error(transparent)]
    Assembly(Box<dyn std::error::Error + Send + Sync>),
    /// A document that follows from the record is another one.
    #[error("{title} disagrees with the record: {difference}")]
    Disagrees {
        /// Which document.
        title: String,
        /// Where they differ.
        difference: String,
    },
    /// The key is none.
    #[error("{}: not an Ed25519 key in PEM ({wanted}): {reason}", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// What kind of key it should be.
        wanted: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The key is the other one of a pair.
    #[error("{}: this is {found}; {wanted}", path.display())]
    OtherHalf {
        /// The key's file.
        path: PathBuf,
        /// What it holds.
        found: &'static str,
        /// What it should hold.
        wanted: &'static str,
    },
    /// A signature was asked for, and there is none.
    #[error("the image is not signed")]
    Unsigned,
    /// The signature is by another key.
    #[error("the image is signed by another key: {found}, not {wanted}")]
    OtherKey {
        /// The fingerprint of the key that signed.
        found: String,
        /// The fingerprint of the key that was given.
        wanted: String,
    },
    /// The signature is wrong.
    #[error("the signature is not that of key {key}: what was signed has been changed")]
    Signature {
        /// The key's fingerprint.
        key: String,
    },
    /// The compiler is another one.
    #[error("the record was built with\n{recorded}\nand this machine has\n{found}")]
    Toolchain {
        /// What the record says.
        recorded: String,
        /// What this machine has.
        found: String,
    },
    /// What was built from the record is another image or boot monitor, or another that boots.
    #[error("what the record builds is not {title} {digest}: it differs at {difference}")]
    Differs {
        /// Which object.
        title: String,
        /// Its digest.
        digest: Digest,
        /// The first difference.
        difference: Difference,
    },
}

impl RecordError {
    pub(super) fn file(path: &std::path::Path, source: io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn object(title: &str, reason: impl ToString) -> Self {
        Self::Object {
            title: title.to_owned(),
            reason: reason.to_string(),
        }
    }
}
