//! What can go wrong with a self-booting image.

use crate::layout::LayoutError;
use crate::memory::SystemError;
use crate::options::OptionsError;

/// Why a self-booting image cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// What was granted does not go with what the image wants.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// The plan does not fit an address space.
    #[error(transparent)]
    Layout(LayoutError),
    /// The system refused something.
    #[error(transparent)]
    System(#[from] SystemError),
    /// A granted file could not be read.
    #[error("the granted file `{name}` cannot be read: {error}")]
    File {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The boot monitor is not what it should be.
    #[error("the boot monitor is no well-formed ELF file: {0}")]
    BootMonitor(#[from] object::read::Error),
    /// The boot monitor's file ends before its segments do.
    #[error("the boot monitor is cut short")]
    CutShort,
    /// An image longer than the BIOS's calls and the disk's table can say.
    #[error("the image is too long for a disk that a BIOS boots")]
    Long,
}

impl From<LayoutError> for DiskError {
    fn from(error: LayoutError) -> Self {
        match error {
            LayoutError::Options(error) => Self::Options(error),
            error => Self::Layout(error),
        }
    }
}
