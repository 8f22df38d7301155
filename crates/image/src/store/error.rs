//! What goes wrong with a store.

use std::io;
use std::path::PathBuf;

use super::Digest;

/// Why a store cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file of it cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An object is not what its name says.
    #[error(
        "the store is damaged: {title} in {} is {found}, which should be {digest}",
        path.display()
    )]
    Corrupt {
        /// What the object is to its image.
        title: String,
        /// Its file.
        path: PathBuf,
        /// What it should be.
        digest: Digest,
        /// What it is.
        found: Digest,
    },
    /// An object is not there.
    #[error("the store is damaged: {title} is missing, {digest}")]
    Missing {
        /// What the object is to its image.
        title: String,
        /// Its digest.
        digest: Digest,
    },
    /// A document is no JSON, or not of the kind that it should be.
    #[error("{}: {source}", path.display())]
    Document {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
