//! What the bill of materials and the statement say.

use crate::making::{json, object, signed};

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
