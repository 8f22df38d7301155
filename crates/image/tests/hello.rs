//! Builds the smallest image of this workspace and reads it back.

use std::path::PathBuf;
use std::sync::Mutex;

use sprat_image::{
    BuildOptions, BuiltImage, ImageError, Package, Progress, Protection, build, inspect,
};

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is there")
}

fn options() -> BuildOptions {
    BuildOptions::new(workspace().join("target/images"))
}

fn hello(progress: &mut dyn FnMut(Progress)) -> BuiltImage {
    // Builds in one target folder put the same files in place: one at a time.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let package = Package {
        workspace: workspace(),
        name: "hello".into(),
    };
    build(&package, &options(), progress).expect("hello builds")
}

#[test]
fn hello_is_a_small_sealed_image() {
    let mut steps = Vec::new();
    let built = hello(&mut |step| steps.push(step));
    assert!(built.image.len() <= 32 << 10, "{} bytes", built.image.len());
    assert!(
        matches!(steps[0], Progress::Planned { crates } if crates > 5),
        "{:?}",
        steps[0]
    );
    assert_eq!(steps.last(), Some(&Progress::Checking));
    assert!(
        built
            .sources
            .iter()
            .any(|path| path.ends_with("images/hello/src/main.rs"))
    );

    let inspection = inspect(&built.image, Some(&built.sidecar)).expect("an image");
    assert_eq!(inspection.build_id, built.build_id);
    let protections: Vec<Protection> = inspection
        .segments
        .iter()
        .map(|segment| segment.protection)
        .collect();
    assert_eq!(
        protections,
        [Protection::Read, Protection::Execute, Protection::Write]
    );
    assert!(
        inspection
            .segments
            .iter()
            .all(|segment| segment.address.is_multiple_of(4096))
    );
    assert!(inspection.segments[0].address >= sprat_abi::IMAGE_BASE);
    // In the file they follow each other without space between.
    for pair in inspection.segments.windows(2) {
        let space = pair[1].offset - (pair[0].offset + pair[0].file);
        assert!(space < 16, "{space} bytes");
    }
    assert_eq!(inspection.name, "hello");
    let names: Vec<&str> = inspection
        .parameters
        .iter()
        .map(|parameter| parameter.name.as_str())
        .collect();
    assert_eq!(names, ["name", "log"]);
    assert_eq!(inspection.parameters[0].default.as_deref(), Some("world"));
    assert_eq!(inspection.parameters[0].help, "Whom to greet.");
    assert!(
        inspection
            .crates
            .iter()
            .any(|size| size.name == "sprat_platform_vm" && size.text > 0)
    );

    // What is loaded holds no names and no paths of this machine.
    let home = workspace().to_string_lossy().into_owned();
    for secret in ["sprat_main", home.as_str()] {
        let found = built
            .image
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "'{secret}' stands in the image");
    }
}

#[test]
fn a_sidecar_of_another_build_is_refused() {
    let built = hello(&mut |_| {});
    let id = built.build_id.bytes();
    let at = built
        .sidecar
        .windows(id.len())
        .position(|window| window == id)
        .expect("the id is a note");
    let mut other = built.sidecar.clone();
    other[at] ^= 1;
    let refused = inspect(&built.image, Some(&other));
    assert!(
        matches!(refused, Err(ImageError::OtherSidecar { .. })),
        "{refused:?}"
    );
}

#[test]
fn what_is_no_image_is_refused_with_its_reason() {
    let image = hello(&mut |_| {}).image;
    let headers = 64;
    let entry = 56;
    // The second program header is that of the code: its flags are 4 bytes into it.
    let mut writable = image.clone();
    writable[headers + entry + 4] = 7;
    assert!(matches!(
        inspect(&writable, None),
        Err(ImageError::WritableText { .. })
    ));
    // e_type of a shared object.
    let mut position_independent = image.clone();
    position_independent[16] = 3;
    assert!(matches!(
        inspect(&position_independent, None),
        Err(ImageError::Kind(_))
    ));
    // e_machine of AArch64.
    let mut foreign = image.clone();
    foreign[18] = 0xb7;
    assert!(matches!(inspect(&foreign, None), Err(ImageError::Kind(_))));
    // p_type of a dynamic linker's name.
    let mut dynamic = image.clone();
    dynamic[headers + 2 * entry] = 3;
    assert_eq!(inspect(&dynamic, None), Err(ImageError::Dynamic));
    // p_memsz of the constants: they reach into the code, or past the last address there is.
    for size in [1_u64 << 40, u64::MAX] {
        let mut overlapping = image.clone();
        overlapping[headers + 40..][..8].copy_from_slice(&size.to_le_bytes());
        let refused = inspect(&overlapping, None);
        assert!(
            matches!(refused, Err(ImageError::SharedPage { .. })),
            "{refused:?}"
        );
    }
    let without = |owner: &[u8]| {
        let at = image.windows(owner.len()).position(|bytes| bytes == owner);
        let mut without = image.clone();
        without[at.expect("a note of this owner")] = b'?';
        inspect(&without, None)
    };
    assert_eq!(without(b"GNU\0"), Err(ImageError::NoBuildId));
    assert_eq!(without(b"Sprat\0"), Err(ImageError::NoManifest));
    assert!(matches!(
        inspect(&image[..image.len() - 1], None),
        Err(ImageError::Truncated { .. })
    ));
    assert!(matches!(
        inspect(b"#!/bin/sh\n", None),
        Err(ImageError::Elf(_))
    ));
}
