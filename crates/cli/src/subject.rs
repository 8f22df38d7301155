//! The image that a command is about, with its symbols.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sprat_image::ImageError;

use crate::embedded;

/// An image and where it is from.
pub(crate) struct Subject {
    /// Its file.
    pub(crate) path: PathBuf,
    pub(crate) image: Vec<u8>,
    /// Its symbols, where they are at hand.
    pub(crate) symbols: Option<Vec<u8>>,
}

/// Why there is no such image.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubjectError {
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Image { path: PathBuf, source: ImageError },
    #[error(
        "{}: its symbols are needed, and neither {} is there nor --symbols given",
        path.display(), beside(path).display()
    )]
    NoSymbols { path: PathBuf },
}

impl Subject {
    /// The image of a file, or the middlebox that this command carries.
    pub(crate) fn open(path: Option<&Path>, symbols: Option<&Path>) -> Result<Self, SubjectError> {
        let Some(path) = path else {
            return Ok(Self {
                path: "the built-in image".into(),
                image: embedded::IMAGE.to_vec(),
                symbols: Some(embedded::SYMBOLS.to_vec()),
            });
        };
        Ok(Self {
            path: path.to_owned(),
            image: read(path)?,
            symbols: match symbols {
                Some(symbols) => Some(read(symbols)?),
                None => fs::read(beside(path)).ok(),
            },
        })
    }

    /// Its symbols.
    pub(crate) fn symbols(&self) -> Result<&[u8], SubjectError> {
        self.symbols
            .as_deref()
            .ok_or_else(|| SubjectError::NoSymbols {
                path: self.path.clone(),
            })
    }

    /// What is wrong with it.
    pub(crate) fn refused(&self, source: ImageError) -> SubjectError {
        SubjectError::Image {
            path: self.path.clone(),
            source,
        }
    }
}

/// Where an image's symbols lie if nobody says otherwise.
fn beside(image: &Path) -> PathBuf {
    let mut name = image.as_os_str().to_owned();
    name.push(".symbols");
    name.into()
}

fn read(path: &Path) -> Result<Vec<u8>, SubjectError> {
    fs::read(path).map_err(|source| SubjectError::Read {
        path: path.to_owned(),
        source,
    })
}
