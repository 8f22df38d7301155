//! What cannot become an image is refused with a reason a person can act on.

use std::fs;
use std::path::PathBuf;

use sprat_image::{BuildError, BuildOptions, ImageError, Package, build};

/// A package of its own with this source and these dependencies.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new(source: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, content: &str| {
            fs::write(folder.path().join(name), content).expect("written")
        };
        write(
            "Cargo.toml",
            "[package]\nname = \"scratch\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
             [workspace]\n[profile.image]\ninherits = \"release\"\npanic = \"abort\"\nlto = \"fat\"\n",
        );
        write(
            "Cargo.lock",
            "version = 4\n\n[[package]]\nname = \"scratch\"\nversion = \"0.1.0\"\n",
        );
        fs::create_dir(folder.path().join("src")).expect("a folder");
        write("src/main.rs", source);
        Self { folder }
    }

    fn build(&self) -> BuildError {
        let package = Package {
            workspace: self.folder.path().into(),
            name: "scratch".into(),
        };
        let options = BuildOptions::new(self.folder.path().join("target"));
        build(&package, &options, &mut |_| {}).expect_err("no image")
    }
}

/// The least that links: it stops at once.
const BARE: &str = "#![no_std]\n#![no_main]\n\
    #[panic_handler] fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }\n\
    #[unsafe(no_mangle)] extern \"C\" fn _start() -> ! { loop {} }\n";

#[test]
fn a_source_that_does_not_compile_is_shown_in_the_compiler_s_words() {
    let error = Scratch::new("compile_error!(\"the moon is not full\"); fn main() {}").build();
    assert!(
        matches!(&error, BuildError::Compile { package, .. } if package == "scratch"),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains("the moon is not full") && text.contains("src/main.rs:1"),
        "{text}"
    );
}

#[test]
fn a_program_that_calls_a_function_nobody_supplies_is_not_linked() {
    let source = BARE.replace(
        "loop {} }\n#[unsafe",
        "loop {} }\n// SAFETY: nobody defines it, so nobody can call it.\n\
         unsafe extern \"C\" { fn open_the_gate() -> !; }\n#[unsafe",
    );
    let source = source.replace(
        "_start() -> ! { loop {} }",
        "_start() -> ! {\n// SAFETY: the linker refuses before anyone could call it.\n\
         unsafe { open_the_gate() } }",
    );
    let text = Scratch::new(&source).build().to_string();
    assert!(text.contains("undefined symbol: open_the_gate"), "{text}");
}

#[test]
fn an_image_without_a_manifest_is_refused() {
    let error = Scratch::new(BARE).build();
    let refused = matches!(
        &error,
        BuildError::Image {
            source: ImageError::NoManifest,
            ..
        }
    );
    assert!(refused, "{error:?}");
}

fn of_this_workspace(name: &str) -> BuildError {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("a workspace");
    let package = Package {
        workspace: workspace.clone(),
        name: name.into(),
    };
    let options = BuildOptions::new(workspace.join("target/images"));
    build(&package, &options, &mut |_| {}).expect_err("no image")
}

#[test]
fn a_dependency_on_libc_is_refused_with_who_pulls_it_in() {
    let error = of_this_workspace("sprat-monitor");
    let BuildError::Libc { package, chain } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(package, "sprat-monitor");
    assert!(
        chain.starts_with("libc v") && chain.contains("kvm-ioctls"),
        "{chain}"
    );
}

#[test]
fn a_library_is_no_image() {
    let error = of_this_workspace("sprat-abi");
    assert!(
        matches!(error, BuildError::Executables { found: 0, .. }),
        "{error:?}"
    );
}

#[test]
fn an_unknown_package_is_named() {
    let text = of_this_workspace("sprot").to_string();
    assert!(text.contains("sprot"), "{text}");
}

#[test]
fn a_cargo_that_is_not_there_is_named() {
    let package = Package {
        workspace: "/".into(),
        name: "x".into(),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let options = BuildOptions {
        cargo: "/nowhere/cargo".into(),
        ..BuildOptions::new(folder.path().into())
    };
    let error = build(&package, &options, &mut |_| {}).expect_err("no cargo");
    assert!(
        matches!(&error, BuildError::Start { program, .. } if program.ends_with("cargo")),
        "{error:?}"
    );
}
