//! What `sprat build` leaves in the store, as users see it: listed, shown, built again, taken out.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use end_to_end::{Finished, sprat_with};
use serde_json::Value;

const PASS: &str = "FromDevice(eth0) -> c :: Counter -> Queue -> ToDevice(eth1);\n";

/// A folder in which `pass.click` was built, with a store and a cache of its own.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Finished {
        sprat_with(&[], &self.variables(), self.path(), arguments)
    }

    fn variables(&self) -> [(&'static str, PathBuf); 2] {
        let below = |name: &str| self.path().join(name);
        [
            ("XDG_DATA_HOME", below("data")),
            ("XDG_CACHE_HOME", below("cache")),
        ]
    }

    fn store(&self) -> PathBuf {
        self.path().join("data/sprat/store")
    }
}

fn built() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place { folder };
        fs::write(place.path().join("pass.click"), PASS).expect("written");
        let finished = place.run(["build", "pass.click"]);
        assert!(finished.good, "{finished:?}");
        assert!(
            finished.output.contains("recorded as sha256:"),
            "{finished:?}"
        );
        place
    })
}

#[test]
fn a_built_configuration_is_listed_shown_and_built_again_without_a_network() {
    let place = built();
    let images = place.run(["images", "--json"]).json();
    assert_eq!(images[0]["name"], "pass:0.1.0");
    let size = fs::metadata(place.path().join("pass.image"))
        .expect("an image")
        .len();
    assert_eq!(images[0]["bytes"], size);

    let shown = place.run(["provenance", "pass"]);
    assert!(shown.good, "{shown:?}");
    for expected in [
        "pass:0.1.0",
        "compiled by rustc 1.",
        "sprat-elements 0.1.0",
        "of the sources",
        "hashbrown",
        "SPRAT_CLICK_FILE=pass.click",
    ] {
        assert!(
            shown.output.contains(expected),
            "no {expected} in {}",
            shown.output
        );
    }
    let statement = place.run(["provenance", "pass", "--json"]).json();
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let materials = place.run(["provenance", "pass", "--materials"]).json();
    assert_eq!(materials["bomFormat"], "CycloneDX");

    let verified = place.run(["verify", "pass.image", "--json"]).json();
    assert_eq!(verified["name"], "pass:0.1.0");
    assert_eq!(verified["bytes"], size);
    assert_eq!(verified["signer"], Value::Null);
}

#[test]
fn a_key_that_cannot_sign_is_refused_before_anything_is_built() {
    let place = built();
    let before = fs::read(place.path().join("pass.image")).expect("an image");
    let key = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    fs::write(place.path().join("release.pub"), key).expect("written");
    for (file, expected) in [
        ("release.pub", "release.pub: this is a public key"),
        ("none.key", "none.key: No such file"),
    ] {
        let refused = place.run(["build", "pass.click", "--sign", file]);
        assert_eq!(refused.status, Some(1), "{refused:?}");
        assert!(refused.errors.contains(expected), "{refused:?}");
        // The record is not what is wrong.
        assert!(!refused.errors.contains("--unrecorded"), "{refused:?}");
    }
    assert_eq!(
        fs::read(place.path().join("pass.image")).expect("there"),
        before
    );
}

#[test]
fn an_image_is_built_again_where_there_is_no_network_and_no_cargo_cache() {
    let place = built();
    let starter = ["unshare", "--map-root-user", "--net"];
    let possible = Command::new(starter[0])
        .args(&starter[1..])
        .arg("true")
        .status();
    if !possible.is_ok_and(|status| status.success()) {
        println!("skipped: needs namespaces");
        return;
    }
    let home = place.path().join("empty");
    fs::create_dir_all(&home).expect("a folder");
    let [data, _] = place.variables();
    let variables = [
        data,
        ("CARGO_HOME", home.clone()),
        ("XDG_CACHE_HOME", home.clone()),
    ];
    let finished = sprat_with(&starter, &variables, place.path(), ["verify", "pass"]);
    assert!(finished.good, "{finished:?}");
    assert!(finished.output.contains("give the same"), "{finished:?}");
    assert!(fs::read_dir(&home).expect("a folder").next().is_none());
}

#[test]
fn what_is_wrong_with_a_store_or_a_name_is_said() {
    let place = built();
    let other = tempfile::tempdir().expect("a folder");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(place.store())
        .arg(other.path())
        .status();
    assert!(copied.expect("cp starts").success());
    let data = other.path().join("data/sprat");
    fs::create_dir_all(&data).expect("a folder");
    fs::rename(other.path().join("store"), data.join("store")).expect("moved");
    let other = Place { folder: other };

    let images = other.run(["images", "--json"]).json();
    let digest = images[0]["image"].as_str().expect("a digest").to_owned();
    let hex = digest.trim_start_matches("sha256:");
    let path = other.store().join("blobs/sha256").join(hex);
    let mut bytes = fs::read(&path).expect("there");
    bytes[4096] ^= 1;
    fs::remove_file(&path).expect("removed");
    fs::write(&path, bytes).expect("written");
    let cases = [
        (vec!["verify", "pass"], "the store is damaged: image in "),
        (vec!["provenance", "pass"], hex),
        (vec!["verify", "pas"], "no image pas is in the store"),
        (vec!["verify"], "<IMAGE>"),
        (
            vec!["verify", "pass", "--key", "none"],
            "none: No such file",
        ),
        (vec!["store", "remove", "nothing"], "no image nothing"),
    ];
    for (arguments, expected) in cases {
        let finished = other.run(&arguments);
        assert!(!finished.good, "{arguments:?}");
        assert!(
            finished.errors.contains(expected),
            "{arguments:?}: {finished:?}"
        );
    }

    // Damage keeps nobody from throwing it away.
    assert!(other.run(["store", "remove", "pass"]).good);
    let collected = other.run(["store", "gc", "--json"]).json();
    assert_eq!(collected["kept"], 0);
    let left = fs::read_dir(other.store().join("blobs/sha256"))
        .expect("a folder")
        .count();
    assert_eq!(left, 0);
    let none = other.run(["images"]);
    assert!(none.output.starts_with("no images in "), "{none:?}");
}
