//! What is in an image, how large each part is, and why it is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sprat_image::{
    BuildOptions, BuiltImage, Package, Part, build, difference, inspect, measure, treemap, why,
};

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

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is there")
}

/// An image whose package depends on the libraries `used` and `unused`, and calls the first.
fn scratch() -> &'static BuiltImage {
    static BUILT: OnceLock<BuiltImage> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        package(folder.path());
        let package = Package {
            workspace: folder.path().into(),
            name: "scratch".into(),
        };
        let options = BuildOptions::new(folder.path().join("target"));
        build(&package, &options, &mut |_| {}).expect("it builds")
    })
}

fn package(folder: &Path) {
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

fn part<'a>(whole: &'a Part, name: &str) -> Option<&'a Part> {
    whole.parts.iter().find(|part| part.name == name)
}

#[test]
fn a_library_that_nothing_calls_is_not_in_the_image() {
    let built = scratch();
    let whole = measure(&built.image, &built.sidecar).expect("measured");
    assert!(part(&whole, "used").is_some(), "{whole:?}");
    assert_eq!(part(&whole, "unused"), None);
    let names =
        |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|at| at == text.as_bytes());
    // As v0 symbols spell it: the length, then the name.
    assert!(names(&built.sidecar, "4used"));
    assert!(!names(&built.sidecar, "6unused"));
    assert!(!names(&built.image, "nobody says this aloud"));
    assert_eq!(
        why(&built.image, &built.sidecar, "unused").expect("an image"),
        None
    );
}

#[test]
fn sizes_sum_to_the_memory_of_the_image_at_every_level() {
    let built = scratch();
    let whole = measure(&built.image, &built.sidecar).expect("measured");
    let inspection = inspect(&built.image, None).expect("an image");
    let memory: u64 = inspection
        .segments
        .iter()
        .map(|segment| segment.memory)
        .sum();
    assert_eq!(whole.bytes(), memory);
    assert_eq!(whole.name, "scratch");
    let mut rest = vec![&whole];
    while let Some(part) = rest.pop() {
        if !part.parts.is_empty() {
            let sum: u64 = part.parts.iter().map(Part::bytes).sum();
            assert_eq!(sum, part.bytes(), "{}", part.name);
            assert!(
                part.parts
                    .windows(2)
                    .all(|pair| pair[0].bytes() >= pair[1].bytes()),
                "{} is not in order",
                part.name
            );
        }
        rest.extend(&part.parts);
    }
}

#[test]
fn a_function_is_found_in_its_module_with_the_size_of_its_symbol() {
    let built = scratch();
    let whole = measure(&built.image, &built.sidecar).expect("measured");
    let function = part(&whole, "used")
        .and_then(|krate| part(krate, "used::inner"))
        .and_then(|module| part(module, "used::inner::steps"))
        .expect("it is there");
    assert!((8..200).contains(&function.code), "{function:?}");
    assert_eq!(function.data, 0);
    let svg = treemap(&whole);
    let title = format!(
        "used / used::inner / used::inner::steps: {} bytes",
        function.code
    );
    assert!(svg.contains(&title), "{svg}");
}

#[test]
fn a_crate_is_there_because_of_who_calls_it_even_through_a_table_of_methods() {
    let built = scratch();
    let why = why(&built.image, &built.sidecar, "used")
        .expect("an image")
        .expect("it is in there");
    assert_eq!(why.name, "used");
    assert!(why.code > 0);
    // `dispatch` is the only caller, and it has only the table.
    assert_eq!(why.way.first().map(String::as_str), Some("_start"));
    assert!(why.way.contains(&"scratch::dispatch".to_owned()), "{why:?}");
    assert!(
        why.way.last().is_some_and(|last| last.contains("used::")),
        "{why:?}"
    );
    assert!(
        why.uses.iter().any(|one| one.by == "scratch::dispatch"),
        "{why:?}"
    );
}

#[test]
fn the_first_difference_is_named_by_section_and_function() {
    let built = scratch();
    assert_eq!(difference(&built.image, &built.image, &built.sidecar), None);
    let inspection = inspect(&built.image, None).expect("an image");
    let entry = inspection.segments.iter().find(|segment| {
        (segment.address..segment.address + segment.memory).contains(&inspection.entry)
    });
    let entry = entry.expect("it is loaded");
    let offset = usize::try_from(inspection.entry - entry.address + entry.offset).expect("small");
    let mut other = built.image.clone();
    other[offset] ^= 1;
    other[offset + 9] ^= 1;
    let found = difference(&built.image, &other, &built.sidecar).expect("they differ");
    assert_eq!(found.offset, offset);
    assert_eq!(found.section.as_deref(), Some(".text"));
    assert_eq!(found.symbol.as_deref(), Some("_start"));

    let short = &built.image[..100];
    let found = difference(&built.image, short, &built.sidecar).expect("they differ");
    assert_eq!((found.offset, found.second), (100, None));
    assert!(
        found.to_string().ends_with("the second ends there"),
        "{found}"
    );
}
