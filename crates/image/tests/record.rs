//! An image is built again from its record alone; whoever changed the record is found out.
#![cfg(feature = "store")]

mod scratch;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use sprat_image::record::{self, Objects, RecordError, SigningKey, VerifyingKey, find, verify};
use sprat_image::store::{Descriptor, Digest, Manifest, Store, Stored};
use sprat_image::{BuildOptions, Package};

/// Private and public key of RFC 8410, section 10.3 and 10.1.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
    -----END PUBLIC KEY-----\n";
/// The public key of RFC 8032, section 7.1, test 2.
const OTHER: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n\
    -----END PUBLIC KEY-----\n";

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).expect("written");
    path
}

/// Builds the scratch package in a folder into a store of its own.
fn recorded(folder: &Path, key: bool) -> (Store, Stored) {
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
    let name = "scratch";
    let recorded = record::build(
        &package,
        &options,
        name,
        &staging,
        &store,
        key.as_ref(),
        &mut |_| {},
    );
    (store, recorded.expect("recorded").stored)
}

/// A signed record, which tests copy before they change it.
fn signed() -> &'static (tempfile::TempDir, Store, Stored) {
    static MADE: OnceLock<(tempfile::TempDir, Store, Stored)> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, stored) = recorded(folder.path(), true);
        (folder, store, stored)
    })
}

fn copy(from: &Store, to: &Path) -> Store {
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

fn check(store: &Store, image: &Stored, key: Option<&VerifyingKey>) -> Result<(), RecordError> {
    let folder = tempfile::tempdir().expect("a folder");
    verify(store, image, key, folder.path(), &mut |_| {}).map(drop)
}

fn object<'a>(image: &'a Stored, title: &str) -> &'a Descriptor {
    let mut objects = image.manifest.objects();
    objects
        .find(|object| object.title() == title)
        .expect("it is there")
}

/// The image with another object, as whoever can write the store would put it there: under its own
/// digest, named by a manifest that is named by the index.
fn replaced(store: &Store, image: &Stored, title: &str, bytes: &[u8]) -> Stored {
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
fn without(store: &Store, image: &Stored, title: &str) -> Stored {
    let mut layers = image.manifest.layers.clone();
    layers.retain(|layer| layer.title() != title);
    let config = image.manifest.config.clone();
    let manifest = Manifest::new(image.manifest.artifact_type(), config, layers);
    store.publish("scratch:0.1.0", manifest).expect("published")
}

fn unsigned(store: &Store, image: &Stored) -> Stored {
    without(store, image, "provenance.dsse.json")
}

fn json(store: &Store, image: &Stored, title: &str) -> Value {
    let bytes = store.get(object(image, title)).expect("whole");
    serde_json::from_slice(&bytes).expect("JSON")
}

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
    let built = record::build(
        &package,
        &options,
        "scratch",
        &staging,
        &copy,
        None,
        &mut |_| {},
    );
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
fn the_bill_of_materials_names_every_crate_and_who_uses_it() {
    let (_, store, image) = signed();
    let materials = json(store, image, "materials.cdx.json");
    // CycloneDX 1.6: these are required.
    assert_eq!(materials["bomFormat"], "CycloneDX");
    assert_eq!(materials["specVersion"], "1.6");
    let components = materials["components"].as_array().expect("components");
    let names: Vec<&str> = components
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(names, ["scratch", "sprat-abi", "unused", "used"]);
    let uses = materials["dependencies"].as_array().expect("dependencies");
    let own = uses
        .iter()
        .find(|one| one["ref"] == "scratch 0.1.0")
        .expect("its own");
    assert_eq!(
        own["dependsOn"],
        serde_json::json!(["sprat-abi 0.1.0", "unused 0.1.0", "used 0.1.0"])
    );
}

#[test]
fn the_statement_is_slsa_provenance_of_the_image() {
    let (_, store, image) = signed();
    let statement = json(store, image, "provenance.json");
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let subject = &statement["subject"][0];
    assert_eq!(
        subject["digest"]["sha256"],
        object(image, "image").digest.hex()
    );
    let definition = &statement["predicate"]["buildDefinition"];
    let sources = definition["resolvedDependencies"][0].clone();
    assert_eq!(
        sources["digest"]["sha256"],
        object(image, "sources.tar.gz").digest.hex()
    );
    let rustc = definition["internalParameters"]["toolchain"]["rustc"].as_str();
    assert!(
        rustc.is_some_and(|rustc| rustc.starts_with("rustc 1.")),
        "{statement}"
    );
}

#[test]
fn a_file_that_no_package_holds_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = written(folder.path(), "elsewhere.txt", "not in the package");
    let sources = folder.path().join("sources");
    fs::create_dir_all(&sources).expect("a folder");
    scratch::package(&sources);
    let main = sources.join("src/main.rs");
    let mut text = fs::read_to_string(&main).expect("there");
    text += &format!("\n#[used]\nstatic TEXT: &[u8] = include_bytes!({secret:?});\n");
    fs::write(&main, text).expect("written");
    let package = Package {
        workspace: sources,
        name: "scratch".into(),
    };
    let store = Store::at(folder.path().join("store"));
    let options = BuildOptions::new(folder.path().join("target"));
    let staging = folder.path().join("staging");
    let refused = record::build(&package, &options, "x", &staging, &store, None, &mut |_| {});
    let error = refused.expect_err("it reads what is not there").to_string();
    assert!(
        error.contains("elsewhere.txt is read by the compiler"),
        "{error}"
    );
    assert!(store.images().expect("empty").is_empty());
}

#[test]
fn packages_that_a_configuration_of_cargo_names_and_files_of_the_environment_are_recorded_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let sources = folder.path().join("sources");
    fs::create_dir_all(&sources).expect("a folder");
    scratch::package(&sources);
    // The library moves to a workspace elsewhere, and is named by its version alone.
    let library = folder.path().join("library");
    fs::create_dir_all(library.join("crates")).expect("a folder");
    fs::rename(sources.join("used"), library.join("crates/used")).expect("moved");
    written(
        &library,
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"crates/used\"]\n",
    );
    let manifest = sources.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).expect("there");
    let text = text.replace(
        "used = { path = \"used\" }\nunused",
        "used = \"0.1.0\"\nunused",
    );
    fs::write(&manifest, text).expect("written");
    fs::create_dir(sources.join(".cargo")).expect("a folder");
    let used = library.join("crates/used");
    let patch = format!("[patch.crates-io]\nused = {{ path = {used:?} }}\n");
    written(&sources.join(".cargo"), "config.toml", &patch);
    // And the program holds a file that a variable names.
    let main = sources.join("src/main.rs");
    let text = fs::read_to_string(&main).expect("there");
    let read = "\n#[used]\nstatic TEXT: [u8; 5] = *include_bytes!(env!(\"SCRATCH_FILE\"));\n";
    fs::write(&main, text + read).expect("written");
    let file = written(folder.path(), "file.txt", "12345");

    let package = Package {
        workspace: sources.clone(),
        name: "scratch".into(),
    };
    let store = Store::at(folder.path().join("store"));
    let mut options = BuildOptions::new(folder.path().join("target"));
    options
        .environment
        .push(("SCRATCH_FILE".into(), file.into()));
    let staging = folder.path().join("staging");
    let built = record::build(&package, &options, "x", &staging, &store, None, &mut |_| {});
    let image = built.expect("recorded").stored;
    for gone in [&sources, &library, &staging] {
        fs::remove_dir_all(gone).expect("removed");
    }
    check(&store, &image, None).expect("the same");
    let record = json(&store, &image, "record.json");
    assert_eq!(
        record["environment"]["SCRATCH_FILE"],
        serde_json::json!({"file": "inputs/SCRATCH_FILE/file.txt"})
    );
}
