//! What is in an image, how large each part is, and why it is there.

use std::sync::OnceLock;

use sprat_image::{
    BuildOptions, BuiltImage, Package, Part, build, difference, inspect, measure, treemap, why,
};

mod scratch;

/// An image whose package depends on the libraries `used` and `unused`, and calls the first.
fn scratch() -> &'static BuiltImage {
    static BUILT: OnceLock<BuiltImage> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        scratch::package(folder.path());
        let package = Package {
            workspace: folder.path().into(),
            name: "scratch".into(),
        };
        let options = BuildOptions::new(folder.path().join("target"));
        build(&package, &options, &mut |_| {}).expect("it builds")
    })
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
fn a_symbol_larger_than_memory_is_passed_over() {
    use object::{Object as _, ObjectSection as _};
    const ENTRY: usize = 24;
    const SIZE_AT: usize = 16;
    let built = scratch();
    let mut symbols = built.sidecar.clone();
    let (start, length) = object::File::parse(&*built.sidecar)
        .expect("an ELF file")
        .section_by_name(".symtab")
        .and_then(|section| section.file_range())
        .expect("it has symbols");
    let [start, length] = [start, length].map(|at| usize::try_from(at).expect("in memory"));
    for entry in symbols[start..start + length].chunks_exact_mut(ENTRY) {
        entry[SIZE_AT..].copy_from_slice(&(u64::MAX - 1).to_le_bytes());
    }
    let whole = measure(&built.image, &symbols).expect("measured");
    assert_eq!(part(&whole, "used"), None);
    let inspection = inspect(&built.image, Some(&symbols)).expect("an image");
    assert!(inspection.crates.is_empty(), "{:?}", inspection.crates);
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
