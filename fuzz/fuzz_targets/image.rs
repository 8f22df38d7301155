//! Any bytes as an image, to the monitor that would load it and to whoever reads it back.
//!
//! Input that begins as an ELF file does is one. Other input is a list of changes to a small sound
//! image, eight bytes each, so that the search is about what the fields say and not about finding
//! them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sprat_abi::boot::DeviceKind;
use sprat_abi::manifest::{ANY_NAME, ManifestBuilder, Memory, ParameterType};
use std::hint::black_box;
use std::sync::LazyLock;

static SOUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let image = sound();
    sprat_monitor::judge(&image).expect("the image that is changed is sound");
    image
});

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"\x7fELF") {
        read(bytes);
        return;
    }
    let mut image = SOUND.clone();
    for change in bytes.chunks_exact(8) {
        let [low, high, width, value @ ..] = change else { continue };
        let at = usize::from(u16::from_le_bytes([*low, *high])) % image.len();
        let mut whole = [if width & 0x80 == 0 { 0 } else { 0xff }; 8];
        whole[..value.len()].copy_from_slice(value);
        let end = (at + (1 << (width % 4))).min(image.len());
        image[at..end].copy_from_slice(&whole[..end - at]);
    }
    read(&image);
});

fn read(bytes: &[u8]) {
    let _ = black_box(sprat_monitor::judge(bytes));
    let _ = black_box(sprat_image::inspect(bytes, None));
    let _ = black_box(sprat_image::inspect(bytes, Some(bytes)));
    let _ = black_box(sprat_image::split(bytes));
}

/// An image with text, constants, data and the notes it needs.
fn sound() -> Vec<u8> {
    const MANIFEST: ManifestBuilder = ManifestBuilder::new("fuzz", "1")
        .memory(Memory { heap: 1 << 20, stack: 64 << 10 })
        .device("eth0", DeviceKind::Network, true)
        .device(ANY_NAME, DeviceKind::OutputFile, false)
        .parameter("burst", ParameterType::Unsigned, Some("32"), "Packets at a time.");
    const LOAD: u32 = 1;
    const NOTE: u32 = 4;
    let mut notes = Vec::new();
    for (owner, kind, description) in [(&b"Sprat\0\0\0"[..], 1u32, MANIFEST.description()), (b"GNU\0", 3, &[7; 20])] {
        let owner_length = owner.iter().position(|&byte| byte == 0).map_or(0, |zero| zero + 1);
        for word in [owner_length as u32, description.len() as u32, kind] {
            notes.extend(word.to_le_bytes());
        }
        notes.extend(owner);
        notes.extend(description);
        notes.resize(notes.len().next_multiple_of(4), 0);
    }
    // Kind, rights, address, bytes in the file, bytes in memory.
    let segments: [(u32, u32, u64, &[u8], u64); 4] = [
        (LOAD, 5, 0x0100_0000, &[0xf4; 32], 32),
        (LOAD, 4, 0x0100_2000, b"constant", 8),
        (LOAD, 6, 0x0100_4000, &[1; 16], 0x2000),
        (NOTE, 4, 0, &notes, notes.len() as u64),
    ];
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for number in [segments[0].2, 64, 0] {
        file.extend(number.to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for number in [64, 56, segments.len() as u16, 0, 0, 0] {
        file.extend(number.to_le_bytes());
    }
    let mut offset = 64 + 56 * segments.len() as u64;
    for (kind, rights, address, bytes, size) in segments {
        file.extend(kind.to_le_bytes());
        file.extend(rights.to_le_bytes());
        for number in [offset, address, address, bytes.len() as u64, size, 4] {
            file.extend(number.to_le_bytes());
        }
        offset += bytes.len() as u64;
    }
    for segment in segments {
        file.extend(segment.3);
    }
    file
}
