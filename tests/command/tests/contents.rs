//! What the command says about what is in an image.

use end_to_end::sprat;
use serde_json::Value;

fn bytes(part: &Value) -> u64 {
    let number = |key: &str| part[key].as_u64().expect("a number");
    number("code") + number("data")
}

fn segments(inspection: &Value) -> u64 {
    let segments = inspection["segments"].as_array().expect("segments");
    let memory = segments.iter().map(|one| one["memory"].as_u64());
    memory.map(|memory| memory.expect("a number")).sum()
}

#[test]
fn every_byte_of_the_built_in_image_is_in_the_table_and_the_treemap() {
    let folder = tempfile::tempdir().expect("a folder");
    let inspection = sprat(folder.path(), ["inspect", "--json"]).json();
    let whole = sprat(folder.path(), ["size", "--json", "--svg", "map.svg"]).json();
    assert_eq!(bytes(&whole), segments(&inspection));
    let parts = whole["parts"].as_array().expect("crates");
    assert_eq!(parts.iter().map(bytes).sum::<u64>(), bytes(&whole));

    let svg = std::fs::read_to_string(folder.path().join("map.svg")).expect("a picture");
    let names = parts
        .iter()
        .map(|part| part["name"].as_str().expect("a name"));
    for name in names.take(4) {
        assert!(svg.contains(&format!("<title>{name}: ")), "no {name}");
    }
    let drawn = sprat(folder.path(), ["size", "--svg", "again.svg"]);
    assert_eq!(drawn.output, "again.svg written\n", "{drawn:?}");
    let again = std::fs::read_to_string(folder.path().join("again.svg"));
    assert_eq!(again.expect("a picture"), svg);
}

/// The standard library's ways to read and write real numbers are 30 KB, and come with one careless
/// `{}`; `sprat_click::decimal` is 3.
#[test]
fn the_built_in_image_does_without_the_standard_library_s_decimals() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = sprat(folder.path(), ["size", "--json"]).json().to_string();
    assert!(whole.contains("sprat_click::decimal"), "no names");
    for module in ["core::num::flt2dec", "core::num::dec2flt"] {
        assert!(!whole.contains(module), "{module}: `sprat size --least 0`");
    }
}

#[test]
fn a_crate_of_the_built_in_image_is_there_for_calls_that_begin_at_its_entry() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["hashbrown", "md5", "sprat-elements"] {
        let why = sprat(folder.path(), ["why", name, "--json"]).json();
        let way = why["way"].as_array().expect("functions");
        assert_eq!(way[0], "_start", "{name}: {way:?}");
        assert!(!why["uses"].as_array().expect("uses").is_empty(), "{name}");
    }
}

#[test]
fn what_cannot_be_told_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("stripped"), b"no image").expect("written");
    let cases = [
        (
            vec!["why", "smoltcp"],
            "no function, constant or variable of smoltcp",
        ),
        (vec!["size", "missing"], "missing: No such file"),
        (vec!["size", "stripped"], "stripped.symbols"),
        (
            vec!["size", "--svg", "no/folder/x.svg"],
            "no/folder/x.svg: No such file",
        ),
        (vec!["why"], "<CRATE>"),
    ];
    for (arguments, expected) in cases {
        let finished = sprat(folder.path(), &arguments);
        assert!(!finished.good, "{arguments:?}");
        assert!(
            finished.errors.contains(expected),
            "{arguments:?}: {finished:?}"
        );
    }
}
