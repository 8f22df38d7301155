//! What makes a compilation one of a sealed image, and the same wherever and by whomever it is done.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{BuildOptions, Package};

/// How an image is compiled and linked, but for where: the same words give the same image again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compilation {
    /// The compiler's flags, without those that name folders of one machine.
    pub flags: Vec<String>,
    /// The linker script.
    pub layout: String,
    /// What cargo is told of the profile where the workspace does not say.
    pub settings: Vec<String>,
}

/// The compiler flags that make a program a sealed image.
pub(crate) fn flags(target: &str) -> Vec<String> {
    let link = |argument: &str| format!("-Clink-arg={argument}");
    vec![
        format!("--cfg=sprat_target=\"{target}\""),
        // Where the processor has no instructions for a cipher, which few lack, it may take longer.
        "--cfg=aes_backend_soft=\"compact\"".to_owned(),
        "--cfg=sha2_backend_soft=\"compact\"".to_owned(),
        "-Clinker=rust-lld".to_owned(),
        "-Clinker-flavor=ld.lld".to_owned(),
        "-Crelocation-model=static".to_owned(),
        "-Ctarget-feature=+crt-static".to_owned(),
        // Backtraces in death reports follow them.
        "-Cforce-frame-pointers=yes".to_owned(),
        "-Csymbol-mangling-version=v0".to_owned(),
        link("-static"),
        link("--no-undefined"),
        link("--no-eh-frame-hdr"),
        link("--build-id=sha1"),
        link("--icf=all"),
        // Strings that end alike share their bytes.
        link("-O2"),
        link("--compress-debug-sections=zlib"),
        link("-zmax-page-size=4096"),
        link("-znoseparate-code"),
    ]
}

/// The crates that do much with each packet or byte, for which a table of jumps and a call saved are
/// worth their bytes: routers and ciphers.
const BUSY: [&str; 3] = ["sprat-click", "sprat-elements", "sprat-tls"];

/// Further flags for an image of these crates, as `cargo tree` names them: where none of the busy
/// ones is among them, they make it smaller.
pub(crate) fn small(crates: &[String]) -> Vec<String> {
    if crates
        .iter()
        .any(|line| BUSY.iter().any(|name| names(line, name)))
    {
        return Vec::new();
    }
    let code_generator = |argument: &str| format!("-Cllvm-args={argument}");
    vec![
        // What is called in few places and is not much longer than its call, in its place: with 5,
        // which stands for "z", it is smaller than what saves and restores registers around calls.
        code_generator("-inline-threshold=20"),
        // An entry of a table of jumps has 8 bytes; comparing takes fewer where there are few.
        code_generator("-min-jump-table-entries=10"),
    ]
}

/// Whether a line of `cargo tree` is about a crate of this name.
pub(crate) fn names(line: &str, name: &str) -> bool {
    line.split(' ').next() == Some(name)
}

/// The flags that give source files the same names wherever they are: those of the workspace are
/// relative to it, and those of a package from a registry are `registry/NAME-VERSION/...`.
pub(crate) fn renamings(package: &Package, options: &BuildOptions) -> Vec<String> {
    let mut renamed = vec![
        (package.workspace.clone(), String::new()),
        (options.target_directory.clone(), "target".to_owned()),
    ];
    if let Some(home) = cargo_home() {
        renamed.push((home.join("git/checkouts"), "git".to_owned()));
        // One folder for each registry, with a number that is cargo's own.
        let registries = fs::read_dir(home.join("registry/src"));
        let registries = registries.into_iter().flatten().flatten();
        let mut registries: Vec<PathBuf> = registries.map(|entry| entry.path()).collect();
        registries.sort();
        renamed.extend(
            registries
                .into_iter()
                .map(|path| (path, "registry".to_owned())),
        );
    }
    renamed.extend(options.renamed.iter().cloned());
    let mut flags = Vec::new();
    for (path, name) in renamed {
        // The compiler sees some paths as cargo got them and some as the system spells them. Of
        // several that fit it takes the last.
        let spelled = path.canonicalize().ok().filter(|spelled| *spelled != path);
        for path in [Some(path), spelled].into_iter().flatten() {
            flags.push(format!("--remap-path-prefix={}={name}", path.display()));
        }
    }
    flags
}

pub(crate) fn cargo_home() -> Option<PathBuf> {
    std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
}

/// Whether a variable of the environment would change what is compiled.
pub(crate) fn leaks(name: &str) -> bool {
    let of_a_package = [
        "CARGO_PKG_",
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_PROFILE_",
        "CARGO_MANIFEST_",
        "CARGO_TARGET_",
        "CARGO_UNSTABLE_",
        "DEP_",
    ];
    let exactly = [
        "CARGO_BUILD_INCREMENTAL",
        "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_RUSTC_WRAPPER",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_INCREMENTAL",
        "RUSTC_BOOTSTRAP",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
    ];
    exactly.contains(&name) || of_a_package.iter().any(|prefix| name.starts_with(prefix))
}
