//! `cargo xtask audit`: licences and sources of everything we depend on, as deny.toml allows.

use crate::{machine, process};

/// Runs cargo-deny over the workspace and over the fuzz targets; true when both keep the rules.
///
/// # Errors
/// cargo-deny cannot be had.
pub(crate) fn run() -> std::io::Result<bool> {
    machine::install_cargo_tool("cargo-deny")?;
    let mut held = true;
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        println!("==> {manifest}");
        let mut deny = process::cargo(&["deny", "--manifest-path", manifest, "--config"]);
        deny.arg(crate::root().join("deny.toml"))
            .args(["check", "licenses", "sources", "bans"]);
        held &= process::show(&mut deny)?;
    }
    Ok(held)
}
