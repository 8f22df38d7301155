//! A content-addressed store, as an OCI image layout.
//!
//! An object is a file named by the SHA-256 of its bytes, written aside, made durable and moved into
//! place; nothing changes it after that, and whoever reads it checks it. Only the index changes, which
//! says which images there are: it is replaced as a whole. What no image of the index refers to is
//! garbage, and goes when [`Store::collect`] is asked to.

mod digest;
mod error;
mod layout;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub use digest::{Digest, NoDigest};
pub use error::StoreError;
pub use layout::{Descriptor, Manifest};

use layout::{Index, MANIFEST, MARK, NAME, TITLE};

/// Permissions of an object: nobody is to change it.
const READ_ONLY: u32 = 0o444;

/// A store in a folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// An image of a store.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The digest of its manifest, which is what names it for good.
    pub digest: Digest,
    /// What people call it; the latest of several builds has the name.
    pub name: Option<String>,
    /// Everything that belongs to it.
    pub manifest: Manifest,
}

/// What a collection removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Collected {
    /// The objects.
    pub removed: Vec<Digest>,
    /// Their bytes.
    pub bytes: u64,
    /// How many are left.
    pub kept: usize,
}

/// Keeps a store from being collected while it lives.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "closing it is what it is for")] File);

impl Store {
    /// Where a user's store is: `sprat` in the folder for a user's data. Nothing where there is none.
    #[must_use]
    pub fn default_place() -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let data = set("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/share")))?;
        Some(data.join("sprat/store"))
    }

    /// A store in a folder, which is made with the first object.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn blobs(&self) -> PathBuf {
        self.root.join("blobs/sha256")
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Keeps the store from being collected until the hold is dropped; makes it where it is not.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn hold(&self) -> Result<Hold, StoreError> {
        fs::create_dir_all(self.blobs()).map_err(|source| self.failed(source))?;
        let mark = self.root.join("oci-layout");
        if !mark.exists() {
            self.replace(&mark, MARK.as_bytes())?;
        }
        let lock = self.lock_file()?;
        lock.lock_shared().map_err(|source| self.failed(source))?;
        Ok(Hold(lock))
    }

    fn lock_file(&self) -> Result<File, StoreError> {
        let path = self.root.join("lock");
        let mut options = File::options();
        options.create(true).truncate(false).write(true).read(true);
        options.open(&path).map_err(|source| file(&path, source))
    }

    /// Puts an object in; says how it is named. One that is there already is left alone.
    ///
    /// # Errors
    /// When it cannot be written, or what is there under its name is damaged.
    pub fn put(
        &self,
        title: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Descriptor, StoreError> {
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::from([(TITLE.to_owned(), title.to_owned())]),
        };
        let path = self.path(&descriptor.digest);
        if path.exists() {
            self.get(&descriptor)?;
        } else {
            self.replace(&path, bytes)?;
        }
        Ok(descriptor)
    }

    /// An object's bytes.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is not what its name says.
    pub fn get(&self, descriptor: &Descriptor) -> Result<Vec<u8>, StoreError> {
        let Descriptor { digest, size, .. } = descriptor;
        let path = self.path(digest);
        let title = descriptor.title().to_owned();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing {
                    title,
                    digest: *digest,
                });
            }
            Err(source) => return Err(file(&path, source)),
        };
        let found = Digest::of(&bytes);
        if found != *digest || bytes.len() as u64 != *size {
            return Err(StoreError::Corrupt {
                title,
                path,
                digest: *digest,
                found,
            });
        }
        Ok(bytes)
    }

    /// Makes an image of objects that are in the store; it takes over the name.
    ///
    /// # Errors
    /// When the manifest or the index cannot be read or written.
    pub fn publish(&self, name: &str, manifest: Manifest) -> Result<Stored, StoreError> {
        let text = serde_json::to_vec(&manifest).map_err(|source| self.unreadable(source))?;
        let mut descriptor = self.put("", MANIFEST, &text)?;
        descriptor.artifact_type = Some(manifest.artifact_type().to_owned());
        descriptor.annotations = BTreeMap::from([(NAME.to_owned(), name.to_owned())]);
        let digest = descriptor.digest;
        self.change_index(|index| {
            for other in &mut index.manifests {
                if other
                    .annotations
                    .get(NAME)
                    .is_some_and(|other| other == name)
                {
                    other.annotations.remove(NAME);
                }
            }
            index.manifests.retain(|other| other.digest != digest);
            index.manifests.push(descriptor);
            true
        })?;
        Ok(Stored {
            digest,
            name: Some(name.to_owned()),
            manifest,
        })
    }

    /// The images that are in the store, in the order in which they came.
    ///
    /// # Errors
    /// When the index or a manifest is missing or damaged.
    pub fn images(&self) -> Result<Vec<Stored>, StoreError> {
        let index = self.index()?;
        index
            .manifests
            .iter()
            .map(|descriptor| {
                let mut titled = descriptor.clone();
                titled.annotations = BTreeMap::from([(TITLE.to_owned(), "manifest".to_owned())]);
                let bytes = self.get(&titled)?;
                let manifest =
                    serde_json::from_slice(&bytes).map_err(|source| StoreError::Document {
                        path: self.path(&descriptor.digest),
                        source,
                    })?;
                Ok(Stored {
                    digest: descriptor.digest,
                    name: descriptor.annotations.get(NAME).cloned(),
                    manifest,
                })
            })
            .collect()
    }

    /// Takes an image off the index; its objects are garbage then, but for those of other images.
    ///
    /// # Errors
    /// When the index cannot be read or written.
    pub fn remove(&self, image: &Digest) -> Result<(), StoreError> {
        self.change_index(|index| {
            let before = index.manifests.len();
            index.manifests.retain(|other| other.digest != *image);
            before != index.manifests.len()
        })
    }

    /// Removes what no image refers to, and what interrupted writers left. Waits for those who hold
    /// the store.
    ///
    /// # Errors
    /// When a manifest is missing or damaged, so that nobody knows what it refers to; then nothing is
    /// removed. When an object cannot be removed.
    pub fn collect(&self) -> Result<Collected, StoreError> {
        if !self.root.exists() {
            return Ok(Collected::default());
        }
        let lock = self.lock_file()?;
        lock.lock().map_err(|source| self.failed(source))?;
        let mut alive = BTreeSet::new();
        for image in self.images()? {
            alive.insert(image.digest.hex());
            alive.extend(image.manifest.objects().map(|object| object.digest.hex()));
        }
        let mut collected = Collected::default();
        let folder = self.blobs();
        let entries = fs::read_dir(&folder).map_err(|source| file(&folder, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| file(&folder, source))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if alive.contains(&name) {
                collected.kept += 1;
                continue;
            }
            let path = entry.path();
            let size = entry.metadata().map_or(0, |metadata| metadata.len());
            fs::remove_file(&path).map_err(|source| file(&path, source))?;
            collected.bytes += size;
            // Anything else was left by a writer that never finished.
            collected.removed.extend(Digest::from_hex(&name).ok());
        }
        collected.removed.sort();
        Ok(collected)
    }

    fn index(&self) -> Result<Index, StoreError> {
        let path = self.root.join("index.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| StoreError::Document { path, source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
            Err(source) => Err(file(&path, source)),
        }
    }

    /// Replaces the index, if it was changed; one change at a time.
    fn change_index(&self, change: impl FnOnce(&mut Index) -> bool) -> Result<(), StoreError> {
        let path = self.root.join("index.lock");
        let mut options = File::options();
        options.create(true).truncate(false).write(true);
        let lock = options.open(&path).map_err(|source| file(&path, source))?;
        lock.lock().map_err(|source| file(&path, source))?;
        let mut index = self.index()?;
        if !change(&mut index) {
            return Ok(());
        }
        let text = serde_json::to_vec(&index).map_err(|source| self.unreadable(source))?;
        self.replace(&self.root.join("index.json"), &text)
    }

    /// Writes a file that is there as a whole, or not, whenever the machine stops.
    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let folder = path.parent().unwrap_or(&self.root);
        let write = || {
            let mut aside = tempfile::Builder::new()
                .prefix(".new-")
                .permissions(fs::Permissions::from_mode(READ_ONLY))
                .tempfile_in(folder)?;
            aside.write_all(bytes)?;
            aside.as_file().sync_all()?;
            aside.persist(path).map_err(|error| error.error)?;
            // The name is durable when its folder is.
            File::open(folder)?.sync_all()
        };
        write().map_err(|source| file(path, source))
    }

    fn failed(&self, source: io::Error) -> StoreError {
        file(&self.root, source)
    }

    fn unreadable(&self, source: serde_json::Error) -> StoreError {
        StoreError::Document {
            path: self.root.clone(),
            source,
        }
    }
}

fn file(path: &Path, source: io::Error) -> StoreError {
    StoreError::File {
        path: path.to_owned(),
        source,
    }
}
