//! Files that are images, and the many that are not.

use super::*;
use crate::testing::{DATA, EXECUTE, Elf, Part, READ, RODATA, TEXT, WRITE};
use proptest::prelude::*;
use sprat_abi::manifest::ManifestBuilder;

fn sound() -> Elf {
    Elf::new(&[0xf4; 100])
}

fn refusal(change: impl FnOnce(&mut Elf)) -> ImageError {
    let mut elf = sound();
    change(&mut elf);
    match Judged::new(&elf.bytes()) {
        Ok(_) => panic!("was accepted"),
        Err(error) => error,
    }
}

#[test]
fn a_sound_image_is_loaded_with_the_rights_it_asks_for() {
    let image = Image::load(&sound().bytes()).expect("sound");
    let segments: Vec<_> = image
        .segments()
        .iter()
        .map(|s| (s.pages.start, s.pages.end, s.protection.letters()))
        .collect();
    assert_eq!(
        segments,
        [
            (TEXT, TEXT + 0x1000, "r-x"),
            (RODATA, RODATA + 0x1000, "r--"),
            (DATA, DATA + 0x2000, "rw-")
        ]
    );
    assert_eq!((image.entry(), image.span()), (TEXT, TEXT..DATA + 0x2000));
    assert_eq!(image.manifest().name, "test");
    assert_eq!(image.build_id(), (0..20).collect::<Vec<u8>>());
}

#[test]
fn each_fault_of_a_file_has_its_own_error() {
    use ImageError as E;
    assert!(matches!(
        Judged::new(b"#!/bin/sh\n").err(),
        Some(E::Malformed(_))
    ));
    assert!(matches!(refusal(|elf| elf.machine = 3), E::Machine(3)));
    assert!(matches!(refusal(|elf| elf.kind = 3), E::Type(3)));
    assert!(matches!(
        refusal(|elf| elf.extra_headers.push((3, READ))),
        E::Dynamic
    ));
    assert!(matches!(
        refusal(|elf| elf.extra_headers.push((2, READ))),
        E::Dynamic
    ));
    assert!(matches!(
        refusal(|elf| elf.extra_headers.push((7, READ))),
        E::ThreadLocal
    ));
    let stack = 0x6474_e551;
    assert!(matches!(
        refusal(|elf| elf.extra_headers.push((stack, READ | WRITE | EXECUTE))),
        E::ExecutableStack
    ));
    assert!(matches!(
        refusal(|elf| elf.parts[2].flags = READ | WRITE | EXECUTE),
        E::WritableText { address: DATA }
    ));
    assert!(matches!(
        refusal(|elf| elf.parts[2].memory_size = 100),
        E::LongerInFile {
            address: DATA,
            file_size: 255,
            memory_size: 100
        }
    ));
    assert!(matches!(refusal(|elf| elf.parts.clear()), E::Empty));
    assert!(matches!(refusal(|elf| elf.entry = DATA), E::Entry(DATA)));
    assert!(matches!(refusal(|elf| elf.entry = TEXT + 100), E::Entry(_)));
    assert!(matches!(refusal(|elf| elf.manifest = None), E::NoManifest));
    assert!(matches!(
        refusal(|elf| elf.manifest = Some(vec![9, 0, 0, 0, 0, 0, 0, 0])),
        E::Manifest(ManifestError::Version { found: 9 })
    ));
}

#[test]
fn segments_outside_the_range_or_over_its_end_are_refused() {
    let at = |address: u64, size: u64| {
        refusal(move |elf| {
            elf.parts[2] = Part {
                address,
                flags: READ | WRITE,
                bytes: vec![],
                memory_size: size,
            };
        })
    };
    for (address, size) in [
        (0, 1),
        (IMAGE_BASE - 1, 2),
        (IMAGE_END - 1, 2),
        (u64::MAX, 2),
        (DATA, u64::MAX),
        (1 << 63, 1 << 63),
    ] {
        assert!(
            matches!(at(address, size), ImageError::OutsideRange { address: a, size: s } if (a, s) == (address, size))
        );
    }
}

#[test]
fn segments_that_share_a_page_are_refused() {
    let error = refusal(|elf| elf.parts[1].address = TEXT + 0xfff);
    assert!(matches!(error, ImageError::Overlap { first: TEXT, second } if second == TEXT + 0xfff));
    let error = refusal(|elf| elf.parts[0].memory_size = 0x2001);
    assert!(matches!(
        error,
        ImageError::Overlap {
            first: TEXT,
            second: RODATA
        }
    ));
}

#[test]
fn a_segment_that_is_not_all_in_the_file_is_refused() {
    let mut bytes = sound().bytes();
    // p_offset of the third program header.
    bytes[64 + 2 * 56 + 8..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(
        Judged::new(&bytes).err(),
        Some(ImageError::OutsideFile { address: DATA, .. })
    ));
    bytes[64 + 2 * 56 + 8..][..8].copy_from_slice(&100_000u64.to_le_bytes());
    assert!(matches!(
        Judged::new(&bytes).err(),
        Some(ImageError::OutsideFile {
            offset: 100_000,
            ..
        })
    ));
}

#[test]
fn an_image_that_cannot_do_without_an_unknown_device_is_refused() {
    let mut manifest = ManifestBuilder::new("n", "1")
        .device("npu0", DeviceKind::Block, true)
        .description()
        .to_vec();
    // The record of the device begins after head and name; its kind comes first.
    let at = manifest.len() - 16;
    manifest[at..at + 2].copy_from_slice(&99u16.to_le_bytes());
    let error = refusal(|elf| elf.manifest = Some(manifest));
    assert!(
        matches!(&error, ImageError::UnknownDevice { name, kind: 99 } if name == "npu0"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn any_bytes_lead_to_an_image_or_an_error(changes in prop::collection::vec((0usize..700, any::<u8>()), 1..20), cut in 0usize..1000) {
        let mut bytes = sound().bytes();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(bytes.len().saturating_sub(cut.saturating_sub(900)));
        if let Ok(judged) = Judged::new(&bytes) {
            for (segment, ..) in &judged.segments {
                prop_assert!(segment.pages.start >= IMAGE_BASE && segment.pages.end <= IMAGE_END);
            }
        }
    }
}
