//! Reading and splitting the linked file.

use std::fmt;

use object::LittleEndian;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use sprat_abi::manifest::NOTE_TYPE;

use crate::ImageError;

/// The manifest note's owner, without its closing zero.
const MANIFEST_OWNER: &[u8] = sprat_abi::manifest::NOTE_OWNER.split_at(5).0;

/// Bytes in a page: what a protection applies to.
const PAGE: u64 = 4096;

const BUILD_ID: u32 = elf::NT_GNU_BUILD_ID.0;

type Header = FileHeader64<LittleEndian>;

/// The linker's fingerprint of an image: names its sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildId([u8; 20]);

impl BuildId {
    /// The fingerprint's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl serde::Serialize for BuildId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// What an instance may do with a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protection {
    /// Code: read and execute.
    Execute,
    /// Constants: read.
    Read,
    /// Variables: read and write.
    Write,
}

impl fmt::Display for Protection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Execute => "r-x",
            Self::Read => "r--",
            Self::Write => "rw-",
        })
    }
}

/// A stretch of an image that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Segment {
    /// Where it is loaded.
    pub address: u64,
    /// Bytes it takes in memory.
    pub memory: u64,
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// Bytes it takes in the file; what is missing to `memory` is zero.
    pub file: u64,
    /// What the instance may do with it.
    pub protection: Protection,
}

/// The parts of an image that reading it needs, already checked.
pub(crate) struct Parsed<'data> {
    pub(crate) segments: Vec<Segment>,
    pub(crate) entry: u64,
    pub(crate) build_id: BuildId,
    /// The manifest note's description.
    pub(crate) manifest: &'data [u8],
}

impl Parsed<'_> {
    /// Whether a sidecar is this image's.
    pub(crate) fn check_sidecar(&self, sidecar: &[u8]) -> Result<(), ImageError> {
        let found = parse(sidecar)?.build_id;
        if found == self.build_id {
            return Ok(());
        }
        Err(ImageError::OtherSidecar {
            image: self.build_id,
            sidecar: found,
        })
    }
}

fn damaged(error: object::read::Error) -> ImageError {
    ImageError::Elf(error.to_string())
}

/// Reads the headers and notes of an image and checks what every monitor insists on.
pub(crate) fn parse(file: &[u8]) -> Result<Parsed<'_>, ImageError> {
    let header = Header::parse(file).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    if header.e_machine(endian) != elf::EM_X86_64 {
        return Err(ImageError::Kind("another processor"));
    }
    if header.e_type(endian) != elf::ET_EXEC {
        return Err(ImageError::Kind("position independent or an object file"));
    }
    let mut segments = Vec::new();
    let mut build_id = None;
    let mut manifest = None;
    for program in header.program_headers(endian, file).map_err(damaged)? {
        match program.p_type(endian) {
            elf::PT_LOAD => segments.extend(segment(program, endian, file)?),
            elf::PT_INTERP | elf::PT_DYNAMIC => return Err(ImageError::Dynamic),
            elf::PT_NOTE => {
                let Some(mut notes) = program.notes(endian, file).map_err(damaged)? else {
                    continue;
                };
                while let Some(note) = notes.next().map_err(damaged)? {
                    match (note.name(), note.n_type(endian).0) {
                        (b"GNU", BUILD_ID) => {
                            build_id = note.desc().try_into().ok().map(BuildId);
                        }
                        (MANIFEST_OWNER, NOTE_TYPE) => manifest = Some(note.desc()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    segments.sort_by_key(|segment| segment.address);
    for pair in segments.windows(2) {
        let end = pair[0].address.saturating_add(pair[0].memory);
        // Where the last page ends past the last address, no other can follow.
        if end
            .checked_next_multiple_of(PAGE)
            .is_none_or(|end| end > pair[1].address)
        {
            return Err(ImageError::SharedPage {
                first: pair[0].address,
                second: pair[1].address,
            });
        }
    }
    Ok(Parsed {
        segments,
        entry: header.e_entry(endian),
        build_id: build_id.ok_or(ImageError::NoBuildId)?,
        manifest: manifest.ok_or(ImageError::NoManifest)?,
    })
}

fn segment(
    program: &ProgramHeader64<LittleEndian>,
    endian: LittleEndian,
    file: &[u8],
) -> Result<Option<Segment>, ImageError> {
    let address = program.p_vaddr(endian);
    let memory = program.p_memsz(endian);
    if memory == 0 {
        return Ok(None);
    }
    let flags = program.p_flags(endian);
    let protection = match (flags.contains(elf::PF_W), flags.contains(elf::PF_X)) {
        (true, true) => return Err(ImageError::WritableText { address }),
        (true, false) => Protection::Write,
        (false, true) => Protection::Execute,
        (false, false) => Protection::Read,
    };
    let (offset, size) = program.file_range(endian);
    let end = offset
        .checked_add(size)
        .ok_or(ImageError::Truncated { address })?;
    if end > file.len() as u64 {
        return Err(ImageError::Truncated { address });
    }
    Ok(Some(Segment {
        address,
        memory,
        offset,
        file: size,
        protection,
    }))
}

/// How a segment's bytes are aligned in an image's file: loaders copy, so pages do not matter there.
const ALIGNMENT: usize = 16;

/// The image alone: what is loaded, without symbols, debugging information and section headers, and
/// without the space that the linker leaves between segments.
///
/// # Errors
/// When the file is not an image that a monitor would load.
pub fn split(linked: &[u8]) -> Result<Vec<u8>, ImageError> {
    parse(linked)?;
    let header = Header::parse(linked).map_err(damaged)?;
    let endian: LittleEndian = header.endian().map_err(damaged)?;
    let programs = header.program_headers(endian, linked).map_err(damaged)?;
    let loaded = |program: &&ProgramHeader64<LittleEndian>| {
        program.p_type(endian) == elf::PT_LOAD && program.p_memsz(endian) > 0
    };
    let mut image = Vec::new();
    // Where segments were in the linked file, and are in the image.
    let mut moved = Vec::new();
    for program in programs.iter().filter(loaded) {
        let address = program.p_vaddr(endian);
        let bytes = program
            .data(endian, linked)
            .map_err(|()| ImageError::Truncated { address })?;
        image.resize(image.len().next_multiple_of(ALIGNMENT), 0);
        moved.push((program.file_range(endian), image.len() as u64));
        image.extend_from_slice(bytes);
    }
    let table = usize::try_from(header.e_phoff(endian)).unwrap_or(usize::MAX);
    let end = table.saturating_add(size_of_val(programs)) as u64;
    // The first segment begins with the headers.
    if !matches!(moved.first(), Some(((0, size), _)) if *size >= end) {
        return Err(ImageError::Elf("the headers are not loaded".into()));
    }
    for (program, place) in programs
        .iter()
        .zip((table..).step_by(size_of::<ProgramHeader64<LittleEndian>>()))
    {
        let offset = program.p_offset(endian);
        // One that has only zeroes has no bytes in the file, and a place nevertheless.
        let inside = |((from, size), _): &&((u64, u64), u64)| {
            (*from..from + (*size).max(1)).contains(&offset)
        };
        let Some(((from, _), to)) = moved.iter().find(inside) else {
            continue;
        };
        let mut program = *program;
        program.p_offset.set(endian, offset - from + to);
        if loaded(&&program) {
            program.p_align.set(endian, ALIGNMENT as u64);
        }
        let bytes = object::bytes_of(&program);
        image[place..place + bytes.len()].copy_from_slice(bytes);
    }
    // e_shoff (8 bytes at 40), then e_shentsize, e_shnum and e_shstrndx (2 bytes each at 58): ELF-64
    // object file format, figure 2.
    image[40..48].fill(0);
    image[58..64].fill(0);
    parse(&image)?;
    Ok(image)
}

/// Where a byte of an image was in the file that it was linked to.
pub(crate) fn before_split(image: &[u8], linked: &[u8], offset: u64) -> Option<u64> {
    let (image, linked) = (parse(image).ok()?, parse(linked).ok()?);
    let inside =
        |segment: &&Segment| (segment.offset..segment.offset + segment.file).contains(&offset);
    let found = image.segments.iter().find(inside)?;
    let same = |segment: &&Segment| segment.address == found.address;
    let before = linked.segments.iter().find(same)?;
    Some(before.offset + (offset - found.offset))
}
