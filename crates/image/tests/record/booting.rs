//! Images that boot by themselves: the boot monitor is built again too, and what was granted counts.

use std::collections::BTreeSet;
use std::fs;

use sprat_image::record::{Record, RecordError, SelfBooting, find, verify};
use sprat_image::store::{Digest, Store, Stored};

use crate::making::{booting, check, copy, json, object, replaced, together, unsigned, without};

/// What only records of such images have.
const OBJECTS: [&str; 5] = [
    "elf",
    "disk",
    "boot-monitor",
    "boot-Cargo.lock",
    "boot-sources.tar.gz",
];

/// The image with an object changed as a whole, and with every document that follows from that.
fn forged(store: &Store, image: &Stored, title: &str, bytes: &[u8]) -> Stored {
    let was = object(image, title).digest.hex();
    let mut forged = unsigned(store, &replaced(store, image, title, bytes));
    for document in ["materials.cdx.json", "provenance.json"] {
        let text = store.get(object(&forged, document)).expect("whole");
        let text = String::from_utf8(text).expect("text");
        let text = text.replace(&was, &Digest::of(bytes).hex());
        forged = replaced(store, &forged, document, text.as_bytes());
    }
    forged
}

fn flipped(store: &Store, image: &Stored, title: &str) -> Vec<u8> {
    let mut bytes = store.get(object(image, title)).expect("whole");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes
}

#[test]
fn image_and_boot_monitor_are_built_again_and_put_together_to_the_last_byte() {
    let (_, store, image) = booting();
    let folder = tempfile::tempdir().expect("a folder");
    let verified = verify(store, image, None, folder.path(), &together, &mut |_| {});
    let verified = verified.expect("the same");
    let boot = verified.boot.expect("it boots");
    assert_eq!(boot.elf, object(image, "elf").digest);
    assert_eq!(boot.disk, object(image, "disk").digest);
    assert_eq!(boot.boot_monitor, object(image, "boot-monitor").digest);
    // The boot monitor is of crates of its own, and of one that the image has too.
    let record = Record::of(store, image).expect("a record");
    let boot = record.boot.as_ref().expect("it boots");
    let shared = |name: &str| record.crates.iter().any(|krate| krate.name == name);
    let names: Vec<&str> = boot.crates.iter().map(|krate| &*krate.name).collect();
    assert!(names.contains(&"sprat-platform-disk") && !shared("sprat-platform-disk"));
    assert!(names.contains(&"sprat-abi") && shared("sprat-abi"));
    assert_eq!(
        verified.crates,
        record.crates.len() + boot.crates.len() - 1,
        "{names:?}"
    );
}

#[test]
fn it_is_found_by_the_digests_and_files_of_what_boots() {
    let (folder, store, image) = booting();
    for title in ["elf", "disk"] {
        let built = object(image, title);
        let file = folder.path().join(format!("copied.{title}"));
        fs::write(&file, store.get(built).expect("whole")).expect("written");
        for reference in [&*file.to_string_lossy(), &built.digest.hex()[..8]] {
            let found = find(store, reference).expect("found");
            assert_eq!(found.digest, image.digest, "{reference}");
        }
    }
}

#[test]
fn one_changed_byte_of_what_boots_is_found_and_named() {
    let (_, store, image) = booting();
    for title in OBJECTS {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = copy(store, folder.path());
        let digest = object(image, title).digest;
        let path = copy.root().join("blobs/sha256").join(digest.hex());
        let bytes = flipped(&copy, image, title);
        fs::remove_file(&path).expect("removed");
        fs::write(&path, bytes).expect("written");
        let text = check(&copy, image, None).expect_err("damaged").to_string();
        let expected = format!("the store is damaged: {title} in ");
        assert!(text.contains(&expected), "{text}");
        // And where it is missing.
        let without = without(&copy, image, title);
        let text = check(&copy, &without, None).expect_err("incomplete");
        assert_eq!(text.to_string(), format!("the record has no {title}"));
    }
}

#[test]
fn another_boot_monitor_elf_or_disk_under_a_right_digest_is_not_what_the_record_builds() {
    let (_, store, image) = booting();
    for title in ["boot-monitor", "elf", "disk"] {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = copy(store, folder.path());
        let bytes = flipped(&copy, image, title);
        let forged = forged(&copy, image, title, &bytes);
        let error = check(&copy, &forged, None).expect_err("forged");
        let RecordError::Differs {
            title: named,
            difference,
            ..
        } = &error
        else {
            panic!("{title}: {error}")
        };
        assert_eq!(named, title);
        assert_eq!(difference.offset, bytes.len() - 1, "{error}");
    }
}

#[test]
fn one_changed_byte_of_a_recorded_parameter_makes_another_elf() {
    let (_, store, image) = booting();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copy(store, folder.path());
    let mut changed = unsigned(&copy, image);
    for title in ["record.json", "provenance.json"] {
        let text = copy.get(object(&changed, title)).expect("whole");
        let text = String::from_utf8(text).expect("text");
        assert!(text.contains("port=80"), "{title}: {text}");
        let text = text.replace("port=80", "port=81");
        changed = replaced(&copy, &changed, title, text.as_bytes());
    }
    let error = check(&copy, &changed, None).expect_err("another");
    let text = error.to_string();
    assert!(
        text.starts_with("what the record builds is not elf sha256:"),
        "{text}"
    );
    // The parameter is the last that `together` puts in.
    let length = copy.get(object(image, "elf")).expect("whole").len();
    assert!(text.contains(&format!("byte {}", length - 1)), "{text}");
}

#[test]
fn what_boots_beside_a_record_that_does_not_say_how_it_was_made_is_refused() {
    let (_, store, image) = booting();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = copy(store, folder.path());
    let mut record = json(&copy, image, "record.json");
    record.as_object_mut().expect("a record").remove("boot");
    let changed = replaced(&copy, image, "record.json", record.to_string().as_bytes());
    let text = check(&copy, &changed, None).expect_err("loose").to_string();
    assert_eq!(
        text,
        "elf of the record: record.json does not say how it was made"
    );
}

#[test]
fn what_cannot_be_put_together_is_said_in_the_words_of_who_does() {
    let (_, store, image) = booting();
    let folder = tempfile::tempdir().expect("a folder");
    let refuse = |_: &[u8], _: &[u8], _: &_| -> Result<SelfBooting, _> { Err("no room".into()) };
    let refused = verify(store, image, None, folder.path(), &refuse, &mut |_| {});
    assert_eq!(refused.expect_err("refused").to_string(), "no room");
}

#[test]
fn the_documents_name_what_boots_and_the_boot_monitors_sources() {
    let (_, store, image) = booting();
    let materials = json(store, image, "materials.cdx.json");
    let components = materials["components"].as_array().expect("components");
    let hash = |name: &str| {
        let found = components.iter().find(|one| one["name"] == name);
        found.map(|one| one["hashes"][0]["content"].clone())
    };
    // A reference names one component (CycloneDX 1.6, bom-ref).
    let references = components.iter().map(|one| one["bom-ref"].as_str());
    let references: BTreeSet<_> = references.collect();
    assert_eq!(references.len(), components.len());
    let statement = json(store, image, "provenance.json");
    let subjects = statement["subject"].as_array().expect("subjects");
    for title in ["elf", "disk"] {
        let name = format!("scratch.{title}");
        let digest = object(image, title).digest.hex();
        assert_eq!(hash(&name), Some(digest.clone().into()), "{materials}");
        let subject = subjects.iter().find(|one| one["name"] == *name);
        assert_eq!(subject.expect("there")["digest"]["sha256"], digest);
    }
    let uses = materials["dependencies"].as_array().expect("dependencies");
    let own = uses.iter().find(|one| one["ref"] == "image").expect("its");
    assert_eq!(
        own["dependsOn"],
        serde_json::json!(["scratch 0.1.0", "sprat-platform-disk 0.1.0"])
    );
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(
        definition["externalParameters"]["boot"]["parameters"],
        serde_json::json!(["port=80"])
    );
    let resolved = definition["resolvedDependencies"].as_array().expect("some");
    let sources = object(image, "boot-sources.tar.gz").digest.hex();
    let named = resolved
        .iter()
        .any(|one| one["digest"]["sha256"] == sources);
    assert!(named, "{statement}");
}
