//! The documents that others read, made from the record: a CycloneDX bill of materials and an in-toto
//! statement with SLSA provenance.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Crate, Record, objects};
use crate::TARGET;
use crate::builder::BOOT_MONITOR_PACKAGE;
use crate::store::Digest;

/// What kind of build the statement is of: the one that docs/provenance.md describes.
const BUILD_TYPE: &str = "urn:sprat:build:v1";

/// The digests of a record's objects, by what they are called.
pub(super) type Digests = BTreeMap<String, Digest>;

/// The bill of materials (CycloneDX 1.6).
pub(super) fn materials(record: &Record, digests: &Digests) -> serde_json::Result<Vec<u8>> {
    let crates = record.all_crates();
    let booted = record.boot.is_some();
    let programs = [&*record.package]
        .into_iter()
        .chain(booted.then_some(BOOT_MONITOR_PACKAGE));
    let programs: Vec<String> = programs
        .filter_map(|package| reference(package, &crates))
        .collect();
    let component = |krate: &Crate| {
        let mut component = json!({
            "type": "library",
            "bom-ref": krate.id(),
            "name": krate.name,
            "version": krate.version,
            "scope": "required",
        });
        if let Some(checksum) = krate.checksum {
            component["purl"] = package_url(krate).into();
            component["hashes"] = json!([{"alg": "SHA-256", "content": checksum.hex()}]);
        }
        component
    };
    let mut components: Vec<Value> = crates.iter().map(component).collect();
    let files = [objects::ELF, objects::DISK];
    components.extend(files.into_iter().filter(|_| booted).map(|kind| {
        json!({
            "type": "file",
            "bom-ref": kind.0,
            "name": format!("{}.{}", record.name, kind.0),
            "hashes": [{"alg": "SHA-256", "content": hex(digests, kind)}],
        })
    }));
    let dependencies = crates.iter().map(|krate| {
        let uses: Vec<&String> = krate.uses.iter().collect();
        json!({"ref": krate.id(), "dependsOn": uses})
    });
    let mut all: Vec<Value> = dependencies.collect();
    all.push(json!({"ref": "image", "dependsOn": programs}));
    serde_json::to_vec_pretty(&json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "image",
                "name": record.name,
                "version": record.version,
                "hashes": [{"alg": "SHA-256", "content": hex(digests, objects::IMAGE)}],
            },
            "tools": {"components": [{
                "type": "application",
                "name": "rustc",
                "version": record.toolchain.rustc.lines().next().unwrap_or_default(),
            }]},
        },
        "components": components,
        "dependencies": all,
    }))
}

/// The statement (in-toto 1, SLSA provenance 1).
pub(super) fn statement(record: &Record, digests: &Digests) -> serde_json::Result<Vec<u8>> {
    let subject =
        |name: &str, kind| json!({"name": name, "digest": {"sha256": hex(digests, kind)}});
    let symbols = format!("{}.symbols", record.name);
    let mut dependencies = vec![
        json!({"name": objects::SOURCES.0, "digest": {"sha256": hex(digests, objects::SOURCES)}}),
        json!({"name": objects::LOCK.0, "digest": {"sha256": hex(digests, objects::LOCK)}}),
    ];
    let mut subjects = vec![
        subject(&record.name, objects::IMAGE),
        subject(&symbols, objects::SYMBOLS),
    ];
    if record.boot.is_some() {
        for kind in [objects::ELF, objects::DISK] {
            subjects.push(subject(&format!("{}.{}", record.name, kind.0), kind));
        }
        for kind in [objects::BOOT_SOURCES, objects::BOOT_LOCK] {
            dependencies.push(json!({"name": kind.0, "digest": {"sha256": hex(digests, kind)}}));
        }
    }
    dependencies.extend(record.all_crates().iter().filter_map(|krate| {
        let checksum = krate.checksum?;
        Some(json!({
            "name": krate.id(),
            "uri": package_url(krate),
            "digest": {"sha256": checksum.hex()},
        }))
    }));
    let mut statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "package": record.package,
                    "profile": record.profile,
                    "features": record.features,
                    "environment": record.environment,
                    "target": TARGET,
                },
                "internalParameters": {
                    "flags": record.compilation.flags,
                    "settings": record.compilation.settings,
                    "linkerScript": Digest::of(record.compilation.layout.as_bytes()).to_string(),
                    "toolchain": record.toolchain,
                },
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {
                    "id": "urn:sprat:builder:local",
                    "version": {"cargo": record.toolchain.cargo},
                },
            },
        },
    });
    if let Some(boot) = &record.boot {
        let definition = &mut statement["predicate"]["buildDefinition"];
        definition["externalParameters"]["boot"] = json!({
            "package": BOOT_MONITOR_PACKAGE,
            "networks": boot.grants.networks,
            "parameters": boot.grants.parameters,
        });
        definition["internalParameters"]["boot"] = json!({
            "assembler": boot.assembler,
            "flags": boot.compilation.flags,
            "settings": boot.compilation.settings,
            "linkerScript": Digest::of(boot.compilation.layout.as_bytes()).to_string(),
            "toolchain": boot.toolchain,
        });
    }
    serde_json::to_vec_pretty(&statement)
}

fn hex(digests: &Digests, kind: objects::Kind) -> String {
    digests.get(kind.0).map(Digest::hex).unwrap_or_default()
}

/// The crate that is a package.
fn reference(package: &str, crates: &[Crate]) -> Option<String> {
    let own = crates.iter().find(|krate| krate.name == package);
    own.map(Crate::id)
}

/// The package URL of a crate of the registry.
fn package_url(krate: &Crate) -> String {
    // A version may hold a plus sign, which stands for itself only when it is encoded.
    format!(
        "pkg:cargo/{}@{}",
        krate.name,
        krate.version.replace('+', "%2B")
    )
}
