//! Built again from its record: the same to the last byte, by the same tools.

use std::fs;

use sprat_image::record::{RecordError, VerifyingKey, find, verify};

use crate::making::{
    PUBLIC, check, copy, object, recorded, replaced, signed, together, unsigned, written,
};

#[test]
fn an_image_is_built_again_from_its_record_to_the_last_byte() {
    let (_, store, image) = signed();
    let folder = tempfile::tempdir().expect("a folder");
    let public = VerifyingKey::read(&written(folder.path(), "key", PUBLIC)).expect("a key");
    let verified = verify(
        store,
        image,
        Some(&public),
        &folder.path().join("again"),
        &together,
        &mut |_| {},
    );
    let verified = verified.expect("the same");
    assert_eq!(verified.name, "scratch:0.1.0");
    assert!(verified.signature_checked);
    assert_eq!(verified.image, object(image, "image").digest);
}

#[test]
fn the_same_sources_elsewhere_give_the_same_record() {
    let (_, _, image) = signed();
    let folder = tempfile::Builder::new()
        .prefix("another folder, with a name of another length ")
        .tempdir()
        .expect("a folder");
    let (_, again) = recorded(folder.path(), true);
    let differ = image.manifest.objects().zip(again.manifest.objects());
    for (one, other) in differ {
        assert_eq!(one, other);
    }
    assert_eq!(again.digest, image.digest);
}

#[test]
fn images_are_found_by_file_name_and_first_digits_alone() {
    let (folder, store, image) = signed();
    let built = object(image, "image");
    let file = folder.path().join("copied.image");
    fs::write(&file, store.get(built).expect("whole")).expect("written");
    let by_digits = built.digest.hex()[..8].to_owned();
    let record = image.digest.to_string();
    let file = file.to_string_lossy();
    for reference in ["scratch", "scratch:0.1.0", &by_digits, &record, &file] {
        let found = find(store, reference).expect("found");
        assert_eq!(found.digest, image.digest, "{reference}");
    }
    for reference in ["scratch:0.2.0", "scrat", "", "00"] {
        let error = find(store, reference).expect_err("there is none");
        assert!(
            matches!(error, RecordError::Unknown { .. }),
            "{reference}: {error}"
        );
    }
}

#[test]
fn another_compiler_is_named_before_anything_is_built() {
    let (_, store, image) = signed();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copy(store, folder.path());
    let mut forged = unsigned(&copy, image);
    for title in ["record.json", "provenance.json", "materials.cdx.json"] {
        let text = copy.get(object(&forged, title)).expect("whole");
        let text = String::from_utf8(text)
            .expect("text")
            .replace("rustc 1.", "rustc 0.");
        forged = replaced(&copy, &forged, title, text.as_bytes());
    }
    let error = check(&copy, &forged, None).expect_err("another");
    let RecordError::Toolchain { recorded, found } = &error else {
        panic!("{error}")
    };
    assert!(
        recorded.starts_with("rustc 0.") && found.starts_with("rustc 1."),
        "{error}"
    );
}
