//! The store of images, and the commands about it.

mod collect;
mod images;
mod provenance;
mod verify;

use std::io;

use sprat_image::record::RecordError;
use sprat_image::store::Store;

pub(crate) use collect::StoreCommand;
pub(crate) use images::ImagesCommand;
pub(crate) use provenance::ProvenanceCommand;
pub(crate) use verify::VerifyCommand;

/// There is no place for a store.
#[derive(Debug, thiserror::Error)]
#[error("there is no place for the store: neither XDG_DATA_HOME nor HOME is set")]
pub(crate) struct NoStore;

/// The user's store.
pub(crate) fn open() -> Result<Store, NoStore> {
    Store::default_place().map(Store::at).ok_or(NoStore)
}

/// Why a command about the store fails.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    NoStore(#[from] NoStore),
    #[error("a folder to build in: {0}")]
    Folder(io::Error),
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl From<sprat_image::store::StoreError> for CommandError {
    fn from(error: sprat_image::store::StoreError) -> Self {
        Self::Record(error.into())
    }
}
