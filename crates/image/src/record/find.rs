//! Finding an image of a store by what people call it.

use std::fs;
use std::path::Path;

use super::{RecordError, objects};
use crate::store::{Digest, Store, Stored};

/// Fewest digits that stand for a digest.
const FEWEST: usize = 6;

/// Finds an image by its file, by its name (with or without its version), or by the first digits of
/// its digest or of its manifest's. One that boots by itself has three files, and three digests.
///
/// # Errors
/// When there is none, or several that digits may stand for, or the store is damaged.
pub fn find(store: &Store, reference: &str) -> Result<Stored, RecordError> {
    let images = store.images()?;
    let path = Path::new(reference);
    if path.is_file() {
        let bytes = fs::read(path).map_err(|source| RecordError::file(path, source))?;
        let digest = Digest::of(&bytes);
        // The latest, if several records are of the same image.
        let found = images
            .into_iter()
            .rev()
            .find(|image| digests(image).any(|own| own == digest));
        return found.ok_or_else(|| unknown(store, &format!("{reference} ({digest})")));
    }
    let by_name = images.iter().rev().find(|image| {
        let name = image.name.as_deref();
        name.is_some_and(|name| {
            name == reference
                || name
                    .rsplit_once(':')
                    .is_some_and(|(own, _)| own == reference)
        })
    });
    if let Some(image) = by_name {
        return Ok(image.clone());
    }
    let digits = reference.strip_prefix("sha256:").unwrap_or(reference);
    if digits.len() < FEWEST {
        return Err(unknown(store, reference));
    }
    let begins = |digest: Digest| digest.hex().starts_with(digits);
    let mut found: Vec<Stored> = images
        .into_iter()
        .filter(|image| begins(image.digest) || digests(image).any(begins))
        .collect();
    match found.len() {
        0 => Err(unknown(store, reference)),
        1 => Ok(found.remove(0)),
        _ => Err(RecordError::Ambiguous {
            reference: reference.to_owned(),
            candidates: found.iter().map(|image| image.digest.to_string()).collect(),
        }),
    }
}

/// The digests of what is built: the image, and what boots by itself with it inside.
fn digests(image: &Stored) -> impl Iterator<Item = Digest> {
    let built = [objects::IMAGE, objects::ELF, objects::DISK];
    let layers = image.manifest.layers.iter();
    layers
        .filter(move |layer| built.iter().any(|(title, _)| layer.title() == *title))
        .map(|layer| layer.digest)
}

fn unknown(store: &Store, reference: &str) -> RecordError {
    RecordError::Unknown {
        reference: reference.to_owned(),
        store: store.root().to_owned(),
    }
}
