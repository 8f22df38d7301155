//! What `sprat build` leaves in the store, as users see it: listed, shown, built again, taken out.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use end_to_end::{Finished, sprat_with};
use serde_json::Value;

const PASS: &str = "FromDevice(eth0) -> c :: Counter -> Queue -> ToDevice(eth1);\n";

/// A folder in which a configuration was built, with a store of its own.
struct Place {
    folder: tempfile::TempDir,
    cache: PathBuf,
}

impl Place {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run<I: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = I>) -> Finished {
        sprat_with(&[], &self.variables(), self.path(), arguments)
    }

    fn variables(&self) -> [(&'static str, PathBuf); 2] {
        [
            ("XDG_DATA_HOME", self.path().join("data")),
            ("XDG_CACHE_HOME", self.cache.clone()),
        ]
    }

    /// Runs `sprat` where there is no network, and neither cargo's cache nor its own: nothing where
    /// that cannot be.
    fn run_alone(&self, arguments: &[&str]) -> Option<Finished> {
        let starter = ["unshare", "--map-root-user", "--net"];
        let possible = Command::new(starter[0])
            .args(&starter[1..])
            .arg("true")
            .status();
        if !possible.is_ok_and(|status| status.success()) {
            println!("skipped: needs namespaces");
            return None;
        }
        let home = tempfile::tempdir().expect("a folder");
        let [data, _] = self.variables();
        let variables = [
            data,
            ("CARGO_HOME", home.path().to_owned()),
            ("XDG_CACHE_HOME", home.path().to_owned()),
        ];
        let finished = sprat_with(&starter, &variables, self.path(), arguments);
        let left = fs::read_dir(home.path()).expect("a folder").count();
        assert_eq!(left, 0, "{finished:?}");
        Some(finished)
    }

    fn store(&self) -> PathBuf {
        self.path().join("data/sprat/store")
    }
}

fn built() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("cache");
        let place = Place { folder, cache };
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
    let Some(finished) = place.run_alone(&["verify", "pass"]) else {
        return;
    };
    assert!(finished.good, "{finished:?}");
    assert!(finished.output.contains("give the same"), "{finished:?}");
}

/// `boots.click`, built as an image that boots by itself and has a parameter.
fn booting() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = Place {
            folder: tempfile::tempdir().expect("a folder"),
            // The same crates are compiled.
            cache: built().cache.clone(),
        };
        fs::write(place.path().join("boots.click"), PASS).expect("written");
        let arguments = ["-t", "disk", "boots.click", "--param", "hello=world"];
        let finished = place.run([&["build"], &arguments[..]].concat());
        assert!(finished.good, "{finished:?}");
        assert!(finished.output.contains("recorded as"), "{finished:?}");
        place
    })
}

#[test]
fn an_image_that_boots_by_itself_is_built_again_where_there_is_no_network_and_no_cargo_cache() {
    let place = booting();
    let images = place.run(["images", "--json"]).json();
    let shown = place.run(["provenance", "boots"]);
    for expected in [
        "network devices: eth0, eth1\n",
        "parameters: hello=world\n",
        "sprat-platform-disk 0.1.0",
        images[0]["elf"].as_str().expect("a digest"),
    ] {
        assert!(
            shown.output.contains(expected),
            "no {expected} in {shown:?}"
        );
    }
    for file in ["boots.elf", "boots.disk"] {
        let size = fs::metadata(place.path().join(file)).expect("built").len();
        let Some(finished) = place.run_alone(&["verify", file, "--json"]) else {
            return;
        };
        let verified = finished.json();
        // The list counts what was built again.
        assert_eq!(verified["crates"], images[0]["crates"]);
        let kind = file.trim_start_matches("boots.");
        assert_eq!(verified["boot"][kind], images[0][kind]);
        assert_eq!(verified["boot"][format!("{kind}Bytes")], size);
    }
}

#[test]
fn a_damaged_elf_file_of_the_store_is_named_and_what_boots_goes_with_its_image() {
    let place = booting();
    let other = tempfile::tempdir().expect("a folder");
    let data = other.path().join("data/sprat");
    fs::create_dir_all(&data).expect("a folder");
    let copied = Command::new("cp")
        .arg("-r")
        .args([&place.store(), &data])
        .status();
    assert!(copied.expect("cp starts").success());
    let other = Place {
        folder: other,
        cache: place.cache.clone(),
    };
    // Everything is referred to.
    let kept = other.run(["store", "gc", "--json"]).json();
    assert_eq!(kept["removed"], Value::Array(Vec::new()));
    let images = other.run(["images", "--json"]).json();
    let digest = images[0]["elf"].as_str().expect("a digest");
    let objects = other.store().join("blobs/sha256");
    let path = objects.join(digest.trim_start_matches("sha256:"));
    let mut bytes = fs::read(&path).expect("there");
    bytes[4096] ^= 1;
    fs::remove_file(&path).expect("removed");
    fs::write(&path, bytes).expect("written");
    let damaged = other.run(["verify", "boots"]);
    let expected = "the store is damaged: elf in ";
    assert!(
        !damaged.good && damaged.errors.contains(expected),
        "{damaged:?}"
    );
    assert!(other.run(["store", "remove", "boots"]).good);
    assert!(other.run(["store", "gc"]).good);
    assert_eq!(fs::read_dir(objects).expect("a folder").count(), 0);
}

#[test]
fn a_parameter_that_is_none_is_refused_before_anything_is_built() {
    let place = booting();
    let refused = place.run(["build", "-t", "disk", "boots.click", "--param", "hello"]);
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert_eq!(refused.errors, "error: hello: expected KEY=VALUE\n");
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
    let other = Place {
        cache: other.path().join("cache"),
        folder: other,
    };

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
