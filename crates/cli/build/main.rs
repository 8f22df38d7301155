//! Builds the middlebox image that the `sprat` binary carries, and packs the library's crates.
//!
//! The image is compiled by another cargo with a target directory of its own, so neither waits for
//! the other's lock, and again only when a source that went into it has changed. Lints read no
//! image, so a run of clippy builds none.

mod library;

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sprat_image::{BuildOptions, Package, build, build_boot_monitor};

/// Set for the crate when it carries an image.
const CARRIES: &str = "carries_image";

fn main() -> ExitCode {
    println!("cargo::rustc-check-cfg=cfg({CARRIES})");
    // Set by `cargo clippy` alone.
    println!("cargo::rerun-if-env-changed=CLIPPY_ARGS");
    if env::var_os("CLIPPY_ARGS").is_some() {
        println!("cargo::rerun-if-changed=build");
        return ExitCode::SUCCESS;
    }
    match carry() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("what sprat carries cannot be built: {error}");
            ExitCode::FAILURE
        }
    }
}

fn carry() -> Result<(), Box<dyn Error>> {
    let folder = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or(format!("{name} is not set"))
    };
    let workspace = folder("CARGO_MANIFEST_DIR")?.join("../..").canonicalize()?;
    let out = folder("OUT_DIR")?;
    let options = BuildOptions::new(target_directory(&out).join("images"));
    let package = Package {
        workspace: workspace.clone(),
        name: "click".into(),
    };
    let built = build(&package, &options, &mut |_| {})?;
    fs::write(out.join("click.image"), &built.image)?;
    fs::write(out.join("click.symbols"), &built.sidecar)?;
    let boot_monitor = build_boot_monitor(&workspace, &options, &mut |_| {})?;
    fs::write(out.join("boot-monitor"), &boot_monitor.linked)?;
    let library = library::carry(&workspace, &out)?;
    println!("cargo::rustc-cfg={CARRIES}");
    println!("cargo::rerun-if-changed=build");
    let sources = [&*built.sources, &*boot_monitor.sources].concat();
    for path in watched(&workspace, &sources).union(&library) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}

/// The target directory that cargo marked as such, above the build script's own; or that.
fn target_directory(out: &Path) -> PathBuf {
    out.ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").exists())
        .unwrap_or(out)
        .to_owned()
}

/// What the image depends on: its sources, the manifests of their packages, and the lock file.
fn watched(workspace: &Path, sources: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut watched: BTreeSet<PathBuf> = ["Cargo.toml", "Cargo.lock"]
        .map(|name| workspace.join(name))
        .into();
    for source in sources {
        let manifests = source.ancestors().map(|folder| folder.join("Cargo.toml"));
        watched.extend(manifests.into_iter().find(|manifest| manifest.exists()));
        watched.insert(source.clone());
    }
    watched
}
