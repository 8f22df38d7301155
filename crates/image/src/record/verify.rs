//! Taking a record out of a store, and building the image again from nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::boot::{Assemble, Boot};
use super::build::{Bench, Recipe, digests};
use super::crates::Lock;
use super::{
    Crate, Record, RecordError, Toolchain, VerifyingKey, documents, objects, signature, stage,
    vendor,
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
            record: Record::of(store, image)?,
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
        let mut locks = vec![(objects::LOCK, &record.crates)];
        match &record.boot {
            Some(boot) => {
                for kind in objects::BOOT {
                    self.get(kind)?;
                }
                locks.push((objects::BOOT_LOCK, &boot.crates));
            }
            // Nobody is to take for verified what nothing was compared with.
            None => {
                let loose = objects::BOOT.iter();
                let mut loose = loose.filter(|(title, _)| self.bytes.contains_key(*title));
                if let Some((title, _)) = loose.next() {
                    let reason = format!("{} does not say how it was made", objects::RECORD.0);
                    return Err(RecordError::object(title, reason));
                }
            }
        }
        for (kind, crates) in &locks {
            let lock = Lock::read(Path::new(kind.0), self.get(*kind)?)?;
            lock.check(crates, "in the record")?;
        }
        for krate in locks.into_iter().flat_map(|(_, crates)| crates) {
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

    /// Unpacks sources and crates into an empty folder, to be compiled there by the recorded tools.
    fn unfold(
        &self,
        sources: objects::Kind,
        crates: &[Crate],
        recorded: &Toolchain,
        folder: &Path,
    ) -> Result<Bench, RecordError> {
        let cargo = BuildOptions::new(folder.join("target")).cargo;
        let bench = Bench::new(folder, &cargo)?;
        let archives = self.bytes.iter().filter_map(|(title, bytes)| {
            Some((title.strip_suffix(".crate")?.to_owned(), bytes.clone()))
        });
        let files = vendor::sources(self.get(sources)?)?;
        stage::unfold(&files, crates, &archives.collect(), &bench.sources)?;
        let found = Toolchain::of(&cargo, &bench.sources)?;
        match found == *recorded {
            true => Ok(bench),
            false => Err(RecordError::Toolchain {
                recorded: recorded.said(),
                found: found.said(),
            }),
        }
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
    /// How many crates were compiled, each counted once.
    pub crates: usize,
    /// What boots by itself, where there is such a thing.
    pub boot: Option<VerifiedBoot>,
    /// The fingerprint of the key that signed it, as the record names it.
    pub signer: Option<String>,
    /// Whether that key was checked.
    pub signature_checked: bool,
}

/// What boots by itself, made again and the same.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerifiedBoot {
    /// The digest of the boot monitor.
    pub boot_monitor: Digest,
    /// The digest of the ELF file.
    pub elf: Digest,
    /// Its bytes.
    pub elf_bytes: usize,
    /// The digest of the raw disk.
    pub disk: Digest,
    /// Its bytes.
    pub disk_bytes: usize,
}

/// Builds an image again from its record, in an empty folder, and compares. One that boots by itself
/// is put together with `assemble`, of an image and a boot monitor that were both built again.
///
/// # Errors
/// When the record is damaged or not of one piece, when the toolchain is another, when it does not
/// build, or when what it builds is another image.
pub fn verify(
    store: &Store,
    image: &Stored,
    key: Option<&VerifyingKey>,
    folder: &Path,
    assemble: &Assemble<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Verified, RecordError> {
    let _hold = store.hold()?;
    let objects = Objects::open(store, image)?;
    let record = &objects.record;
    let signer = objects.signer(key)?;
    let profile = Profile::from_name(&record.profile).ok_or_else(|| {
        RecordError::object(objects::RECORD.0, format!("no profile {}", record.profile))
    })?;

    let crates = &record.crates;
    let bench = objects.unfold(objects::SOURCES, crates, &record.toolchain, folder)?;
    let recipe = Recipe {
        package: &record.package,
        profile,
        features: &record.features,
        environment: &record.environment,
        compilation: Some(record.compilation.clone()),
    };
    let built = bench.compile(recipe, progress)?;
    let symbols = objects.symbols()?;
    same(objects::IMAGE, objects.image()?, &built.image, symbols)?;
    same(objects::SYMBOLS, symbols, &built.sidecar, symbols)?;
    let boot = record.boot.as_ref();
    let boot =
        boot.map(|boot| verify_boot(&objects, boot, &built.image, folder, assemble, progress));
    Ok(Verified {
        name: record.label(),
        image: Digest::of(&built.image),
        build_id: built.build_id,
        bytes: built.image.len(),
        crates: record.all_crates().len(),
        boot: boot.transpose()?,
        signature_checked: signer.is_some() && key.is_some(),
        signer,
    })
}

/// Builds the boot monitor again and puts it and the image, which was, together.
fn verify_boot(
    objects: &Objects,
    boot: &Boot,
    image: &[u8],
    folder: &Path,
    assemble: &Assemble<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<VerifiedBoot, RecordError> {
    let folder = folder.join("boot");
    let bench = objects.unfold(
        objects::BOOT_SOURCES,
        &boot.crates,
        &boot.toolchain,
        &folder,
    )?;
    let built = bench.compile_boot_monitor(Some(boot.compilation.clone()), progress)?;
    let monitor = objects.get(objects::BOOT_MONITOR)?;
    same(objects::BOOT_MONITOR, monitor, &built.linked, monitor)?;
    let made = assemble(&built.linked, image, &boot.grants).map_err(RecordError::Assembly)?;
    for (kind, again) in [(objects::ELF, &made.elf), (objects::DISK, &made.disk)] {
        let recorded = objects.get(kind)?;
        same(kind, recorded, again, recorded)?;
    }
    Ok(VerifiedBoot {
        boot_monitor: Digest::of(&built.linked),
        elf: Digest::of(&made.elf),
        elf_bytes: made.elf.len(),
        disk: Digest::of(&made.disk),
        disk_bytes: made.disk.len(),
    })
}

/// Whether what was built again is what is recorded; `linked` says what lies where in that.
fn same(
    (title, _): objects::Kind,
    recorded: &[u8],
    again: &[u8],
    linked: &[u8],
) -> Result<(), RecordError> {
    match difference(recorded, again, linked) {
        None => Ok(()),
        Some(difference) => Err(RecordError::Differs {
            title: title.to_owned(),
            digest: Digest::of(recorded),
            difference,
        }),
    }
}
