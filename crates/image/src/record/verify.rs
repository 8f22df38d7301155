//! Taking a record out of a store, and building the image again from nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::build::{Bench, Recipe, digests};
use super::crates::Lock;
use super::{
    Record, RecordError, Toolchain, VerifyingKey, documents, objects, signature, stage, vendor,
};
use crate::store::{Digest, Store, Stored};
use crate::{BuildId, BuildOptions, Profile, Progress, difference, inspect};

/// The objects of a record, each checked against its digest.
#[derive(Debug, Clone)]
pub struct Objects {
    /// The record.
    pub record: Record,
    bytes: BTreeMap<String, Vec<u8>>,
    digests: BTreeMap<String, Digest>,
}

impl Objects {
    /// Takes an image's objects out of a store, and checks that they are of one piece: the lock file
    /// names the crates that are there, and the documents are those that follow from the record.
    ///
    /// # Errors
    /// When an object is missing or damaged, or they disagree.
    pub fn open(store: &Store, image: &Stored) -> Result<Self, RecordError> {
        let mut bytes = BTreeMap::new();
        for layer in &image.manifest.layers {
            bytes.insert(layer.title().to_owned(), store.get(layer)?);
        }
        let objects = Self {
            record: Record::read(&store.get(&image.manifest.config)?)?,
            bytes,
            digests: digests(&image.manifest.layers),
        };
        objects.check()?;
        Ok(objects)
    }

    /// An object that every record has.
    fn get(&self, (title, _): objects::Kind) -> Result<&[u8], RecordError> {
        let bytes = self.bytes.get(title).map(Vec::as_slice);
        bytes.ok_or_else(|| RecordError::Absent {
            title: title.to_owned(),
        })
    }

    /// The image.
    ///
    /// # Errors
    /// When the record has none.
    pub fn image(&self) -> Result<&[u8], RecordError> {
        self.get(objects::IMAGE)
    }

    /// The image's symbols.
    ///
    /// # Errors
    /// When the record has none.
    pub fn symbols(&self) -> Result<&[u8], RecordError> {
        self.get(objects::SYMBOLS)
    }

    /// The statement of provenance.
    ///
    /// # Errors
    /// When the record has none.
    pub fn statement(&self) -> Result<&[u8], RecordError> {
        self.get(objects::PROVENANCE)
    }

    /// The bill of materials.
    ///
    /// # Errors
    /// When the record has none.
    pub fn materials(&self) -> Result<&[u8], RecordError> {
        self.get(objects::MATERIALS)
    }

    /// The fingerprint of the key that signed, as the record names it; nothing if none did.
    ///
    /// # Errors
    /// When the signature is of another statement; with a key, when it is not that key's.
    pub fn signer(&self, key: Option<&VerifyingKey>) -> Result<Option<String>, RecordError> {
        match self.bytes.get(objects::SIGNATURE.0) {
            Some(envelope) => signature::check(envelope, self.statement()?, key).map(Some),
            None if key.is_some() => Err(RecordError::Unsigned),
            None => Ok(None),
        }
    }

    fn check(&self) -> Result<(), RecordError> {
        for kind in objects::REQUIRED {
            self.get(kind)?;
        }
        let record = &self.record;
        let lock = Lock::read(Path::new(objects::LOCK.0), self.get(objects::LOCK)?)?;
        lock.check(&record.crates, "in the record")?;
        for krate in &record.crates {
            let title = format!("{}.crate", krate.folder());
            let found = self.digests.get(&title);
            match (krate.checksum, found) {
                (Some(checksum), Some(found)) if checksum != *found => {
                    return Err(RecordError::Lock {
                        krate: krate.id(),
                        lock: checksum.to_string(),
                        found: found.to_string(),
                        place: "in the store",
                    });
                }
                (Some(_), None) => return Err(RecordError::Absent { title }),
                _ => {}
            }
        }
        let json = |error: serde_json::Error| RecordError::object("a document", error);
        let inspection = inspect(self.image()?, None)?;
        let manifest = serde_json::to_vec_pretty(&inspection).map_err(json)?;
        self.same(objects::MANIFEST, &manifest)?;
        let materials = documents::materials(record, &self.digests).map_err(json)?;
        self.same(objects::MATERIALS, &materials)?;
        let statement = documents::statement(record, &self.digests).map_err(json)?;
        self.same(objects::PROVENANCE, &statement)
    }

    /// Whether an object is what follows from the record.
    fn same(&self, kind: objects::Kind, expected: &[u8]) -> Result<(), RecordError> {
        match difference(self.get(kind)?, expected, &[]) {
            None => Ok(()),
            Some(difference) => Err(RecordError::Disagrees {
                title: kind.0.to_owned(),
                difference: difference.to_string(),
            }),
        }
    }
}

/// An image that was built again and is the same.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verified {
    /// The image's name and version.
    pub name: String,
    /// The digest of the image.
    pub image: Digest,
    /// The linker's fingerprint of it.
    pub build_id: BuildId,
    /// Its bytes.
    pub bytes: usize,
    /// How many crates were compiled.
    pub crates: usize,
    /// The fingerprint of the key that signed it, as the record names it.
    pub signer: Option<String>,
    /// Whether that key was checked.
    pub signature_checked: bool,
}

/// Builds an image again from its record, in an empty folder, and compares.
///
/// # Errors
/// When the record is damaged or not of one piece, when the toolchain is another, when it does not
/// build, or when what it builds is another image.
pub fn verify(
    store: &Store,
    image: &Stored,
    key: Option<&VerifyingKey>,
    folder: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verified, RecordError> {
    let _hold = store.hold()?;
    let objects = Objects::open(store, image)?;
    let record = &objects.record;
    let signer = objects.signer(key)?;
    let profile = Profile::from_name(&record.profile).ok_or_else(|| {
        RecordError::object(objects::RECORD.0, format!("no profile {}", record.profile))
    })?;

    let bench = Bench::new(folder, &BuildOptions::new(folder.join("target")).cargo)?;
    let archives: BTreeMap<String, Vec<u8>> = objects
        .bytes
        .iter()
        .filter_map(|(title, bytes)| {
            Some((title.strip_suffix(".crate")?.to_owned(), bytes.clone()))
        })
        .collect();
    let files = vendor::sources(objects.get(objects::SOURCES)?)?;
    stage::unfold(&files, &record.crates, &archives, &bench.sources)?;
    let found = Toolchain::of(
        &BuildOptions::new(folder.join("target")).cargo,
        &bench.sources,
    )?;
    if found != record.toolchain {
        let said = |toolchain: &Toolchain| {
            let Toolchain {
                rustc,
                cargo,
                linker,
            } = toolchain;
            format!("{rustc}\n{cargo}\n{linker}")
        };
        return Err(RecordError::Toolchain {
            recorded: said(&record.toolchain),
            found: said(&found),
        });
    }
    let recipe = Recipe {
        package: &record.package,
        profile,
        features: &record.features,
        environment: &record.environment,
        compilation: Some(record.compilation.clone()),
    };
    let built = bench.compile(recipe, progress)?;
    let symbols = objects.symbols()?;
    let pairs = [
        (objects::IMAGE, objects.image()?, &built.image),
        (objects::SYMBOLS, symbols, &built.sidecar),
    ];
    for ((title, _), recorded, again) in pairs {
        if let Some(difference) = difference(recorded, again, symbols) {
            return Err(RecordError::Differs {
                title: title.to_owned(),
                digest: Digest::of(recorded),
                difference,
            });
        }
    }
    Ok(Verified {
        name: record.label(),
        image: Digest::of(&built.image),
        build_id: built.build_id,
        bytes: built.image.len(),
        crates: record.crates.len(),
        signature_checked: signer.is_some() && key.is_some(),
        signer,
    })
}
