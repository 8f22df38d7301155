//! Records that tests start from, and how those change them.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use sprat_image::record::{
    self, Booting, Grants, RecordError, Recording, SelfBooting, SigningKey, VerifyingKey, verify,
};
use sprat_image::store::{Descriptor, Manifest, Store, Stored};
use sprat_image::{BuildOptions, Package};

use crate::scratch;

/// Private and public key of RFC 8410, section 10.3 and 10.1.
pub(crate) const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
pub(crate) const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    -----END PUBLIC KEY-----\n";
/// The public key of RFC 8032, section 7.1, test 2.
pub(crate) const OTHER: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n\
    -----END PUBLIC KEY-----\n";

pub(crate) fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    path
}

/// A recording that is not signed, of what does not boot by itself.
pub(crate) fn into<'a>(store: &'a Store, name: &'a str, staging: &'a Path) -> Recording<'a> {
    Recording {
        name,
        staging,
        store,
        key: None,
        boot: None,
    }
}

/// Puts boot monitor, image and what is granted behind each other; a disk begins with a sector.
pub(crate) fn together(
    boot_monitor: &[u8],
    image: &[u8],
    grants: &Grants,
) -> Result<SelfBooting, Box<dyn Error + Send + Sync>> {
    let granted = grants.networks.join(",") + ";" + &grants.parameters.join(",");
    let elf = [boot_monitor, image, granted.as_bytes()].concat();
    let disk = [&[0x55; 512], &*elf].concat();
    Ok(SelfBooting { elf, disk })
}

/// Builds the scratch package in a folder into a store of its own.
pub(crate) fn recorded(folder: &Path, key: bool) -> (Store, Stored) {
    made(folder, key, false)
}

fn made(folder: &Path, key: bool, boots: bool) -> (Store, Stored) {
    let sources = folder.join("sources");
    fs::create_dir_all(&sources).expect("a folder");
    scratch::package(&sources);
    let package = Package {
        workspace: sources,
        name: "scratch".into(),
    };
    let store = Store::at(folder.join("store"));
    let options = BuildOptions::new(folder.join("target"));
    let key = key.then(|| SigningKey::read(&written(folder, "key", PRIVATE)).expect("a key"));
    let staging = folder.join("staging");
    let workspace = scratch::workspace();
    let boot_staging = folder.join("boot");
    let boot = boots.then(|| Booting {
        workspace: &workspace,
        staging: &boot_staging,
        grants: Grants {
            networks: vec!["eth0".into()],
            parameters: vec!["port=80".into()],
        },
        assemble: &together,
        assembler: "a test",
    });
    let recording = Recording {
        key: key.as_ref(),
        boot,
        ..into(&store, "scratch", &staging)
    };
    let recorded = record::build(&package, &options, &recording, &mut |_| {});
    (store, recorded.expect("recorded").stored)
}

/// A signed record, which tests copy before they change it.
pub(crate) fn signed() -> &'static (tempfile::TempDir, Store, Stored) {
    static MADE: OnceLock<(tempfile::TempDir, Store, Stored)> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, stored) = recorded(folder.path(), true);
        (folder, store, stored)
    })
}

/// A signed record of an image that boots by itself, which tests copy before they change it.
pub(crate) fn booting() -> &'static (tempfile::TempDir, Store, Stored) {
    static MADE: OnceLock<(tempfile::TempDir, Store, Stored)> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, stored) = made(folder.path(), true, true);
        (folder, store, stored)
    })
}

pub(crate) fn copy(from: &Store, to: &Path) -> Store {
    let blobs = "blobs/sha256";
    fs::create_dir_all(to.join(blobs)).expect("a folder");
    for name in ["oci-layout", "index.json"] {
        fs::copy(from.root().join(name), to.join(name)).expect("copied");
    }
    for entry in fs::read_dir(from.root().join(blobs)).expect("objects") {
        let entry = entry.expect("an object");
        fs::copy(entry.path(), to.join(blobs).join(entry.file_name())).expect("copied");
    }
    Store::at(to.to_owned())
}

pub(crate) fn check(
    store: &Store,
    image: &Stored,
    key: Option<&VerifyingKey>,
) -> Result<(), RecordError> {
    let folder = tempfile::tempdir().expect("a folder");
    verify(store, image, key, folder.path(), &together, &mut |_| {}).map(drop)
}

pub(crate) fn object<'a>(image: &'a Stored, title: &str) -> &'a Descriptor {
    let mut objects = image.manifest.objects();
    objects
        .find(|object| object.title() == title)
        .expect("it is there")
}

/// The image with another object, as whoever can write the store would put it there: under its own
/// digest, named by a manifest that is named by the index.
pub(crate) fn replaced(store: &Store, image: &Stored, title: &str, bytes: &[u8]) -> Stored {
    let swap = |object: &Descriptor| match object.title() == title {
        true => store.put(title, &object.media_type, bytes).expect("put"),
        false => object.clone(),
    };
    let manifest = Manifest::new(
        image.manifest.artifact_type(),
        swap(&image.manifest.config),
        image.manifest.layers.iter().map(swap).collect(),
    );
    store.publish("scratch:0.1.0", manifest).expect("published")
}

/// The image without an object.
pub(crate) fn without(store: &Store, image: &Stored, title: &str) -> Stored {
    let mut layers = image.manifest.layers.clone();
    layers.retain(|layer| layer.title() != title);
    let config = image.manifest.config.clone();
    let manifest = Manifest::new(image.manifest.artifact_type(), config, layers);
    store.publish("scratch:0.1.0", manifest).expect("published")
}

pub(crate) fn unsigned(store: &Store, image: &Stored) -> Stored {
    without(store, image, "provenance.dsse.json")
}

pub(crate) fn json(store: &Store, image: &Stored, title: &str) -> Value {
    let bytes = store.get(object(image, title)).expect("whole");
    serde_json::from_slice(&bytes).expect("JSON")
}
