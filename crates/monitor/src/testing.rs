//! Small images for tests: machine code and a few segments, put together by hand.

use sprat_abi::boot::DeviceKind;
use sprat_abi::manifest::{ANY_NAME, ManifestBuilder, Memory, ParameterType};

/// Where the code of a test image lies.
pub(crate) const TEXT: u64 = 0x0100_0000;
/// Where its read-only data lie.
pub(crate) const RODATA: u64 = 0x0100_2000;
/// Where its data lie.
pub(crate) const DATA: u64 = 0x0100_4000;

pub(crate) const READ: u32 = 4;
pub(crate) const WRITE: u32 = 2;
pub(crate) const EXECUTE: u32 = 1;

const MANIFEST: ManifestBuilder = ManifestBuilder::new("test", "1")
    .memory(Memory {
        heap: 1 << 20,
        stack: 64 << 10,
    })
    .device(ANY_NAME, DeviceKind::Network, false)
    .device(ANY_NAME, DeviceKind::Block, false)
    .device(ANY_NAME, DeviceKind::InputFile, false)
    .device(ANY_NAME, DeviceKind::OutputFile, false)
    .parameter(ANY_NAME, ParameterType::Text, Some(""), "Anything.");

/// Machine code by name, assembled into this test program but run only in instances.
macro_rules! guest {
    ($name:ident, $($line:literal),+ $(,)?) => {
        std::arch::global_asm!(
                ".pushsection .rodata.guests, \"a\"",
                concat!(".globl ", stringify!($name), "_start"),
                concat!(stringify!($name), "_start:"),
                $($line,)+
                concat!(".globl ", stringify!($name), "_end"),
                concat!(stringify!($name), "_end:"),
                ".popsection",
            );
        fn $name() -> &'static [u8] {
            // SAFETY: both symbols are defined just above, in this order, around bytes that never change.
            unsafe {
                unsafe extern "C" {
                    #[link_name = concat!(stringify!($name), "_start")]
                    static START: u8;
                    #[link_name = concat!(stringify!($name), "_end")]
                    static END: u8;
                }
                let (start, end) = (&raw const START, &raw const END);
                std::slice::from_raw_parts(start, end.addr() - start.addr())
            }
        }
    };
}
pub(crate) use guest;

/// A segment of an ELF file that is being put together.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) address: u64,
    pub(crate) flags: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) memory_size: u64,
}

/// An ELF file that is being put together.
#[derive(Clone, Debug)]
pub(crate) struct Elf {
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) entry: u64,
    pub(crate) parts: Vec<Part>,
    pub(crate) manifest: Option<Vec<u8>>,
    pub(crate) build_id: Vec<u8>,
    pub(crate) extra_headers: Vec<(u32, u32)>,
}

impl Elf {
    /// A sound image whose entry is the start of `code`. Its data are the numbers from 1 to 255, its
    /// `.bss` two pages.
    pub(crate) fn new(code: &[u8]) -> Self {
        let part = |address, flags, bytes: &[u8], memory_size| Part {
            address,
            flags,
            bytes: bytes.to_vec(),
            memory_size,
        };
        let data: Vec<u8> = (1..=255).collect();
        Self {
            kind: 2,
            machine: 62,
            entry: TEXT,
            parts: vec![
                part(TEXT, READ | EXECUTE, code, code.len() as u64),
                part(RODATA, READ, b"constant", 8),
                part(DATA, READ | WRITE, &data, 0x2000),
            ],
            manifest: Some(MANIFEST.description().to_vec()),
            build_id: (0..20).collect(),
            extra_headers: vec![],
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut notes = vec![];
        let mut note = |owner: &[u8], kind: u32, description: &[u8]| {
            let words =
                [owner.len() + 1, description.len()].map(|n| u32::try_from(n).expect("short"));
            notes.extend(
                words
                    .iter()
                    .chain([&kind])
                    .flat_map(|word| word.to_le_bytes()),
            );
            notes.extend(owner);
            notes.resize((notes.len() + 1).next_multiple_of(4), 0);
            notes.extend(description);
            notes.resize(notes.len().next_multiple_of(4), 0);
        };
        if let Some(manifest) = &self.manifest {
            note(b"Sprat", 1, manifest);
        }
        note(b"GNU", 3, &self.build_id);

        let count = self.parts.len() + 1 + self.extra_headers.len();
        let mut offset = 64 + 56 * count as u64;
        let mut headers = vec![];
        let mut header = |kind: u32, flags: u32, numbers: [u64; 6]| {
            headers.extend([kind, flags].iter().flat_map(|word| word.to_le_bytes()));
            headers.extend(numbers.iter().flat_map(|word| word.to_le_bytes()));
        };
        let mut contents = vec![];
        for part in &self.parts {
            let length = part.bytes.len() as u64;
            header(
                1,
                part.flags,
                [
                    offset,
                    part.address,
                    part.address,
                    length,
                    part.memory_size,
                    4096,
                ],
            );
            contents.extend(&part.bytes);
            offset += length;
        }
        let aligned = offset.next_multiple_of(4);
        contents.resize(
            contents.len() + usize::try_from(aligned - offset).expect("short"),
            0,
        );
        header(
            4,
            READ,
            [aligned, 0, 0, notes.len() as u64, notes.len() as u64, 4],
        );
        for &(kind, flags) in &self.extra_headers {
            header(kind, flags, [0, 0, 0, 8, 8, 8]);
        }

        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        file.extend(self.kind.to_le_bytes());
        file.extend(self.machine.to_le_bytes());
        file.extend(1u32.to_le_bytes());
        file.extend(
            [self.entry, 64, 0]
                .iter()
                .flat_map(|word: &u64| word.to_le_bytes()),
        );
        file.extend(0u32.to_le_bytes());
        let count = u16::try_from(count).expect("few");
        file.extend(
            [64, 56, count, 0, 0, 0]
                .iter()
                .flat_map(|half: &u16| half.to_le_bytes()),
        );
        file.extend(headers);
        file.extend(contents);
        file.extend(notes);
        file
    }
}
