//! Records that are signed, by whom, and those that are not.

use sprat_image::record::{Objects, RecordError, VerifyingKey};

use crate::making::{
    OTHER, PRIVATE, PUBLIC, check, copy, json, recorded, replaced, signed, written,
};

#[test]
fn a_signature_by_another_key_or_of_another_statement_is_refused() {
    let (_, store, image) = signed();
    let folder = tempfile::tempdir().expect("a folder");
    let key = |name: &str, text: &str| VerifyingKey::read(&written(folder.path(), name, text));
    let other = key("other", OTHER).expect("a key");
    let text = check(store, image, Some(&other))
        .expect_err("another key")
        .to_string();
    assert!(text.contains("signed by another key"), "{text}");
    let error = key("none", PRIVATE)
        .expect_err("not a public key")
        .to_string();
    assert!(error.contains("none: this is a private key"), "{error}");

    let own = key("own", PUBLIC).expect("a key");
    let mut envelope = json(store, image, "provenance.dsse.json");
    envelope["signatures"][0]["sig"] = "A".repeat(86).into();
    let copy = copy(store, &folder.path().join("copy"));
    let forged = envelope.to_string();
    let forged = replaced(&copy, image, "provenance.dsse.json", forged.as_bytes());
    let text = check(&copy, &forged, Some(&own))
        .expect_err("forged")
        .to_string();
    assert!(text.contains("the signature is not that of key"), "{text}");
}

#[test]
fn an_unsigned_record_is_no_signed_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, image) = recorded(folder.path(), false);
    let public = VerifyingKey::read(&written(folder.path(), "key", PUBLIC)).expect("a key");
    let error = check(&store, &image, Some(&public)).expect_err("unsigned");
    assert!(matches!(error, RecordError::Unsigned), "{error}");
    let objects = Objects::open(&store, &image).expect("whole");
    assert_eq!(objects.signer(None).expect("no signature"), None);
}
