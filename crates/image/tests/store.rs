//! Objects of a store are never changed, damage is named, and only what is of no use is removed.
#![cfg(feature = "store")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sprat_image::store::{Descriptor, Digest, Manifest, Store, StoreError};

const KIND: &str = "application/octet-stream";

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::at(folder.path().join("store"));
    drop(store.hold().expect("made"));
    (folder, store)
}

fn put(store: &Store, bytes: &[u8]) -> Descriptor {
    store.put("thing", KIND, bytes).expect("put")
}

fn file(store: &Store, digest: &Digest) -> std::path::PathBuf {
    store.root().join("blobs/sha256").join(digest.hex())
}

/// An image of one object, besides its record.
fn publish(store: &Store, name: &str, bytes: &[u8]) -> Digest {
    let record = put(store, format!("record of {name}").as_bytes());
    let manifest = Manifest::new("application/test", record, vec![put(store, bytes)]);
    store.publish(name, manifest).expect("published").digest
}

#[test]
fn an_object_is_a_read_only_file_named_by_the_digest_of_its_bytes() {
    let (_folder, store) = store();
    let object = put(&store, b"abc");
    // FIPS 180-2, appendix B.1.
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let path = store.root().join("blobs/sha256").join(hex);
    assert_eq!(fs::read(&path).expect("there"), b"abc");
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o444);
    assert_eq!(store.get(&object).expect("whole"), b"abc");
}

#[test]
fn what_is_put_in_twice_is_one_file_that_nobody_writes_again() {
    let (_folder, store) = store();
    let object = put(&store, b"abc");
    let path = file(&store, &object.digest);
    let before = fs::metadata(&path).expect("there");
    assert_eq!(put(&store, b"abc"), object);
    let after = fs::metadata(&path).expect("there");
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!(before.ino(), after.ino());
}

#[test]
fn a_changed_byte_is_found_when_it_is_read_and_when_it_is_put_in_again() {
    let (_folder, store) = store();
    let object = put(&store, b"abc");
    let path = file(&store, &object.digest);
    fs::remove_file(&path).expect("removed");
    fs::write(&path, b"abd").expect("written");
    for refused in [
        store.get(&object).map(drop),
        store.put("thing", KIND, b"abc").map(drop),
    ] {
        let error = refused.expect_err("it is damaged");
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("thing") && text.contains(&object.digest.hex()),
            "{text}"
        );
    }
    // It is named, not repaired behind the reader's back.
    assert_eq!(fs::read(&path).expect("there"), b"abd");
}

#[test]
fn a_missing_object_is_named_by_its_digest() {
    let (_folder, store) = store();
    let object = put(&store, b"abc");
    fs::remove_file(file(&store, &object.digest)).expect("removed");
    let text = store.get(&object).expect_err("missing").to_string();
    assert_eq!(
        text,
        format!("the store is damaged: thing is missing, {}", object.digest)
    );
}

#[test]
fn the_store_is_an_oci_image_layout() {
    let (_folder, store) = store();
    let digest = publish(&store, "a:1", b"image");
    let json = |name: &str| -> serde_json::Value {
        let bytes = fs::read(store.root().join(name)).expect("there");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    // OCI image layout specification 1.0.0 and image index specification 1.1.
    assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");
    let index = json("index.json");
    assert_eq!(index["schemaVersion"], 2);
    let listed = &index["manifests"][0];
    assert_eq!(
        listed["mediaType"],
        "application/vnd.oci.image.manifest.v1+json"
    );
    assert_eq!(listed["digest"], digest.to_string());
    assert_eq!(
        listed["annotations"]["org.opencontainers.image.ref.name"],
        "a:1"
    );
    let manifest = json(&format!("blobs/sha256/{}", digest.hex()));
    assert_eq!(manifest["schemaVersion"], 2);
    assert_eq!(manifest["layers"][0]["size"], 5);
    assert_eq!(
        manifest["layers"][0]["digest"],
        Digest::of(b"image").to_string()
    );
}

#[test]
fn a_later_image_takes_over_the_name_and_the_earlier_stays() {
    let (_folder, store) = store();
    let first = publish(&store, "a:1", b"first");
    let second = publish(&store, "a:1", b"second");
    let images = store.images().expect("read");
    let listed: Vec<_> = images
        .iter()
        .map(|image| (image.digest, image.name.as_deref()))
        .collect();
    assert_eq!(listed, [(first, None), (second, Some("a:1"))]);
    // The same once more changes nothing but whose the name is.
    assert_eq!(publish(&store, "a:1", b"first"), first);
    assert_eq!(store.images().expect("read").len(), 2);
}

#[test]
fn a_collection_removes_what_nothing_refers_to_and_nothing_else() {
    let (_folder, store) = store();
    let kept = publish(&store, "kept:1", b"shared");
    let gone = publish(&store, "gone:1", b"shared");
    let loose = put(&store, b"of nobody");
    let half = store.root().join("blobs/sha256/.new-half");
    fs::write(&half, b"half").expect("written");
    store.remove(&gone).expect("removed");

    let collected = store.collect().expect("collected");
    let mut expected = vec![gone, loose.digest, Digest::of(b"record of gone:1")];
    expected.sort();
    assert_eq!(collected.removed, expected);
    assert_eq!(collected.kept, 3);
    assert!(!half.exists());
    assert!(store.get(&put(&store, b"shared")).is_ok());
    assert_eq!(store.images().expect("read")[0].digest, kept);
    let again = store.collect().expect("collected");
    assert_eq!((again.removed.len(), again.bytes, again.kept), (0, 0, 3));
}

#[test]
fn a_store_whose_manifests_cannot_be_read_is_not_collected() {
    let (_folder, store) = store();
    let image = publish(&store, "a:1", b"image");
    let loose = put(&store, b"of nobody");
    fs::remove_file(file(&store, &image)).expect("removed");
    let error = store.collect().expect_err("nobody knows what is in use");
    assert!(error.to_string().contains("manifest is missing"), "{error}");
    assert!(file(&store, &loose.digest).exists());
}

#[test]
fn an_index_that_is_no_json_is_named() {
    let (_folder, store) = store();
    publish(&store, "a:1", b"image");
    let path = store.root().join("index.json");
    fs::remove_file(&path).expect("removed");
    fs::write(&path, b"{").expect("written");
    let text = store.images().expect_err("no JSON").to_string();
    assert!(text.contains("index.json"), "{text}");
}

#[test]
fn a_store_that_was_never_made_is_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::at(folder.path().join("none"));
    assert!(store.images().expect("empty").is_empty());
    assert_eq!(store.collect().expect("nothing to do").kept, 0);
    assert!(!store.root().exists());
}
