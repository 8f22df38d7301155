//! A small package that becomes an image.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A manifest and an entry that calls one of two libraries.
const MAIN: &str = r#"#![no_std]
#![no_main]
use sprat_abi::manifest::{ManifestBuilder, ManifestNote};

const BUILDER: ManifestBuilder = ManifestBuilder::new("scratch", "0.1.0");
#[used]
#[unsafe(link_section = ".note.sprat")]
static NOTE: ManifestNote<{ BUILDER.length() }> = BUILDER.finish();

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }

#[unsafe(no_mangle)]
extern "C" fn _start(seed: u64) -> ! {
    dispatch(seed);
    loop {}
}

#[inline(never)]
fn dispatch(seed: u64) {
    let table: [&dyn Count; 2] = [&used::Steps, &Nothing];
    core::hint::black_box(table)[(seed & 1) as usize].count(seed);
}

trait Count { fn count(&self, seed: u64) -> u64; }
struct Nothing;
impl Count for Nothing {
    #[inline(never)]
    fn count(&self, _: u64) -> u64 { 0 }
}
impl Count for used::Steps {
    fn count(&self, seed: u64) -> u64 { used::inner::steps(seed) }
}
"#;

const USED: &str = "#![no_std]\npub struct Steps;\npub mod inner {\n    #[inline(never)]\n    \
    pub fn steps(mut n: u64) -> u64 { let mut count = 0; while n > 1 { \
    n = core::hint::black_box(if n & 1 == 0 { n / 2 } else { n * 3 + 1 }); count += 1; } count }\n}\n";

const UNUSED: &str = "#![no_std]\npub static GREETING: &str = \"nobody says this aloud\";\n\
    #[inline(never)]\npub fn greet() -> &'static str { core::hint::black_box(GREETING) }\n";

pub(crate) fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is there")
}

/// Writes the package `scratch`, which depends on the libraries `used` and `unused` and calls the first.
pub(crate) fn package(folder: &Path) {
    let write = |name: &str, content: &str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("a folder");
        fs::write(path, content).expect("written");
    };
    let abi = workspace().join("crates/abi");
    write(
        "Cargo.toml",
        &format!(
            "[package]\nname = \"scratch\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
             [dependencies]\nsprat-abi = {{ path = {abi:?} }}\nused = {{ path = \"used\" }}\n\
             unused = {{ path = \"unused\" }}\n\
             [workspace]\n[profile.image]\ninherits = \"release\"\npanic = \"abort\"\n\
             lto = \"fat\"\ndebug = \"line-tables-only\"\n"
        ),
    );
    write("src/main.rs", MAIN);
    for (name, source) in [("used", USED), ("unused", UNUSED)] {
        write(
            &format!("{name}/Cargo.toml"),
            &format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
        );
        write(&format!("{name}/src/lib.rs"), source);
    }
    // Cargo leaves of this workspace's lock file what the package needs.
    fs::copy(workspace().join("Cargo.lock"), folder.join("Cargo.lock")).expect("copied");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let trimmed = Command::new(cargo)
        .args(["metadata", "--offline", "--format-version=1"])
        .current_dir(folder)
        .output()
        .expect("cargo starts");
    assert!(trimmed.status.success(), "{trimmed:?}");
}
