//! What is gathered of a package, and what cannot be.

use std::fs;

use sprat_image::record;
use sprat_image::store::Store;
use sprat_image::{BuildOptions, Package};

use crate::making::{check, into, json, written};
use crate::scratch;

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
    let refused = record::build(
        &package,
        &options,
        &into(&store, "x", &staging),
        &mut |_| {},
    );
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
    let built = record::build(
        &package,
        &options,
        &into(&store, "x", &staging),
        &mut |_| {},
    );
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
