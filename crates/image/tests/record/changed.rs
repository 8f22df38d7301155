//! Records that somebody changed: damaged, forged, incomplete.

use std::fs;

use sprat_image::record::{self, RecordError, find};
use sprat_image::store::Digest;
use sprat_image::{BuildOptions, Package};

use crate::making::{check, copy, into, json, object, replaced, signed, unsigned, without};
use crate::scratch;

#[test]
fn one_changed_byte_of_any_object_is_found_and_the_object_named() {
    let (_, store, image) = signed();
    for changed in image.manifest.objects() {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = copy(store, folder.path());
        let path = copy.root().join("blobs/sha256").join(changed.digest.hex());
        let mut bytes = fs::read(&path).expect("there");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&path).expect("removed");
        fs::write(&path, bytes).expect("written");
        let text = check(&copy, image, None).expect_err("damaged").to_string();
        assert!(text.contains("the store is damaged"), "{text}");
        assert!(
            text.contains(changed.title()),
            "{}: {text}",
            changed.title()
        );
    }
}

#[test]
fn a_changed_manifest_is_found() {
    let (_, store, image) = signed();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copy(store, folder.path());
    let path = copy.root().join("blobs/sha256").join(image.digest.hex());
    let text = fs::read_to_string(&path)
        .expect("there")
        .replace("symbols", "symbolz");
    fs::remove_file(&path).expect("removed");
    fs::write(&path, text).expect("written");
    let text = find(&copy, "scratch").expect_err("damaged").to_string();
    assert!(
        text.contains("manifest") && text.contains(&image.digest.hex()),
        "{text}"
    );
}

#[test]
fn another_image_under_a_right_digest_is_no_match_for_its_record() {
    let (_, store, image) = signed();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copy(store, folder.path());
    let mut bytes = copy.get(object(image, "image")).expect("whole");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let forged = replaced(&copy, image, "image", &bytes);
    let text = check(&copy, &forged, None).expect_err("forged").to_string();
    // The documents name the digest of the image that was built.
    assert!(
        text.starts_with("materials.cdx.json disagrees with the record"),
        "{text}"
    );
}

#[test]
fn other_sources_under_right_digests_build_another_image_and_the_function_is_named() {
    let (_, store, image) = signed();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copy(store, folder.path());
    // A record of a program that differs in one number, with the image of the one that does not.
    let other = tempfile::tempdir().expect("a folder");
    let sources = other.path().join("sources");
    fs::create_dir_all(&sources).expect("a folder");
    scratch::package(&sources);
    let path = sources.join("used/src/lib.rs");
    let text = fs::read_to_string(&path)
        .expect("there")
        .replace("n * 3 + 1", "n * 5 + 1");
    fs::write(&path, text).expect("written");
    let package = Package {
        workspace: sources,
        name: "scratch".into(),
    };
    let options = BuildOptions::new(other.path().join("target"));
    let staging = other.path().join("staging");
    let recording = into(&copy, "scratch", &staging);
    let built = record::build(&package, &options, &recording, &mut |_| {});
    let built = built.expect("recorded").stored;
    let title = "sources.tar.gz";
    let foreign = copy.get(object(&built, title)).expect("whole");
    let mut forged = replaced(&copy, image, title, &foreign);
    // And with the documents that follow.
    let hex = (
        object(image, title).digest.hex(),
        object(&built, title).digest.hex(),
    );
    let statement = copy.get(object(image, "provenance.json")).expect("whole");
    let statement = String::from_utf8(statement)
        .expect("text")
        .replace(&hex.0, &hex.1);
    forged = replaced(&copy, &forged, "provenance.json", statement.as_bytes());
    let forged = unsigned(&copy, &forged);
    let error = check(&copy, &forged, None).expect_err("another image");
    let RecordError::Differs {
        title, difference, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(title, "image");
    // The build id covers everything, and is first.
    assert_eq!(
        difference.section.as_deref(),
        Some(".note.gnu.build-id"),
        "{error}"
    );
}

#[test]
fn a_lock_file_that_disagrees_with_the_crates_is_refused_by_name() {
    let (_, store, image) = signed();
    let mut record = json(store, image, "record.json");
    let crates = record["crates"].as_array_mut().expect("crates");
    crates.push(serde_json::json!({
        "name": "log", "version": "0.4.35", "uses": [],
        "checksum": Digest::of(b"another").to_string(),
    }));
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copy(store, folder.path());
    let forged = replaced(&copy, image, "record.json", record.to_string().as_bytes());
    let text = check(&copy, &forged, None)
        .expect_err("it disagrees")
        .to_string();
    assert!(
        text.starts_with("Cargo.lock disagrees about log 0.4.35"),
        "{text}"
    );
}

#[test]
fn a_missing_object_is_named_though_its_digest_is_not() {
    let (_, store, image) = signed();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copy(store, folder.path());
    for title in [
        "image",
        "symbols",
        "manifest.json",
        "Cargo.lock",
        "sources.tar.gz",
    ] {
        let image = without(&copy, image, title);
        let text = check(&copy, &image, None)
            .expect_err("incomplete")
            .to_string();
        assert_eq!(text, format!("the record has no {title}"));
    }
}
