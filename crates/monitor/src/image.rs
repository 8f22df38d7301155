//! Images: loading and judging ELF files.
//!
//! An image is judged once, when it is loaded, and then lies in sealed memory from which every instance
//! of it maps its segments: text and read-only data are the same pages in all of them.

use crate::memory::{SealedFile, SystemError};
use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use sprat_abi::boot::DeviceKind;
use sprat_abi::manifest::{Manifest, ManifestError, NOTE_OWNER, NOTE_TYPE};
use sprat_abi::{IMAGE_BASE, IMAGE_END, PAGE_SIZE};
use std::ops::Range;
use std::sync::Arc;

/// Longest file that is looked at, in bytes.
pub const FILE_LIMIT: usize = 512 << 20;

/// Why a file is no image that can be run. Addresses are the file's own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file is no ELF file, or its tables are damaged.
    #[error("this is no well-formed 64-bit little-endian ELF file: {0}")]
    Malformed(#[from] object::read::Error),
    /// The file is longer than [`FILE_LIMIT`].
    #[error("the file has {0} bytes, more than {FILE_LIMIT}")]
    Long(usize),
    /// The file is made for another processor.
    #[error("the image is for ELF machine {0}, not for x86-64 (62)")]
    Machine(u16),
    /// The file is not an executable with fixed addresses.
    #[error("the image has ELF type {0}; an image is a static executable with fixed addresses (2)")]
    Type(u16),
    /// The image asks for a dynamic linker.
    #[error("the image asks for a dynamic linker; an image is linked statically")]
    Dynamic,
    /// The image asks for an executable stack.
    #[error("the image asks for an executable stack")]
    ExecutableStack,
    /// The image has thread-local variables.
    #[error("the image has thread-local variables, which nothing sets up")]
    ThreadLocal,
    /// A segment is writable and executable.
    #[error("the segment at {address:#x} is writable and executable")]
    WritableText {
        /// Where it begins.
        address: u64,
    },
    /// A segment has more bytes in the file than in memory.
    #[error(
        "the segment at {address:#x} has {file_size} bytes in the file and {memory_size} in memory"
    )]
    LongerInFile {
        /// Where it begins.
        address: u64,
        /// Bytes in the file.
        file_size: u64,
        /// Bytes in memory.
        memory_size: u64,
    },
    /// A segment's bytes are not all in the file.
    #[error(
        "the segment at {address:#x} takes {size} bytes from offset {offset} of a file that has {file_length}"
    )]
    OutsideFile {
        /// Where it begins.
        address: u64,
        /// Its offset in the file.
        offset: u64,
        /// Its bytes in the file.
        size: u64,
        /// Bytes the file has.
        file_length: u64,
    },
    /// A segment lies, or ends, outside the range for images.
    #[error(
        "the segment of {size} bytes at {address:#x} lies outside {IMAGE_BASE:#x}..{IMAGE_END:#x}"
    )]
    OutsideRange {
        /// Where it begins.
        address: u64,
        /// Its bytes in memory.
        size: u64,
    },
    /// Two segments share a page.
    #[error("the segments at {first:#x} and {second:#x} overlap or share a page")]
    Overlap {
        /// Where the first begins.
        first: u64,
        /// Where the second begins.
        second: u64,
    },
    /// There is nothing to load.
    #[error("the image has nothing to load")]
    Empty,
    /// The entry point is not in executable memory.
    #[error("the entry point {0:#x} is not in an executable segment")]
    Entry(u64),
    /// There is no manifest.
    #[error("the image has no manifest note, so it was not built for Sprat")]
    NoManifest,
    /// There is more than one manifest.
    #[error("the image has {0} manifest notes")]
    Manifests(usize),
    /// The manifest is damaged or for another version of the contract.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The image cannot do without a device that this monitor knows nothing of.
    #[error("the image cannot do without the device `{name}`, whose kind {kind} is unknown here")]
    UnknownDevice {
        /// Its name.
        name: String,
        /// The value of its kind.
        kind: u16,
    },
    /// Memory for it could not be had.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// What may be done with a stretch of an instance's memory, by the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
}

impl Protection {
    /// As `r--`, `rw-` or `r-x`.
    #[must_use]
    pub const fn letters(self) -> &'static str {
        match self {
            Self::Read => "r--",
            Self::ReadWrite => "rw-",
            Self::ReadExecute => "r-x",
        }
    }
}

/// One segment of an image, in whole pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The pages it takes.
    pub pages: Range<u64>,
    /// Bytes it has in memory.
    pub memory_size: u64,
    /// Bytes it has in the file; the others are zero.
    pub file_size: u64,
    /// What may be done with it.
    pub protection: Protection,
}

/// An image that may be run. Cloning it costs nothing.
#[derive(Clone, Debug)]
pub struct Image {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    segments: Vec<Segment>,
    span: Range<u64>,
    entry: u64,
    manifest: Box<[u8]>,
    build_id: Box<[u8]>,
    memory: SealedFile,
}

impl Image {
    /// Judges a file and loads it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn load(file: &[u8]) -> Result<Self, ImageError> {
        crate::clock::start_counting();
        let judged = Judged::new(file)?;
        let span = judged.span();
        let mut memory = SealedFile::builder("sprat-image", span.end - span.start)?;
        for (segment, bytes, address) in &judged.segments {
            debug_assert!(segment.pages.contains(address));
            memory.write(address - span.start, bytes)?;
        }
        Ok(Self {
            inner: Arc::new(Inner {
                segments: judged
                    .segments
                    .iter()
                    .map(|(segment, ..)| segment.clone())
                    .collect(),
                span,
                entry: judged.entry,
                manifest: judged.manifest.into(),
                build_id: judged.build_id.into(),
                memory: memory.seal()?,
            }),
        })
    }

    /// Its manifest.
    ///
    /// # Panics
    /// Never: what it reads was read once when the image was loaded.
    #[must_use]
    pub fn manifest(&self) -> Manifest<'_> {
        Manifest::parse(&self.inner.manifest)
            .expect("the manifest was judged when the image was loaded")
    }

    /// Its segments, by address.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.inner.segments
    }

    /// Its build id; empty if it has none.
    #[must_use]
    pub fn build_id(&self) -> &[u8] {
        &self.inner.build_id
    }

    /// Where it is entered.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.inner.entry
    }

    /// The pages from its first segment to its last.
    #[must_use]
    pub fn span(&self) -> Range<u64> {
        self.inner.span.clone()
    }

    /// The sealed memory that holds it: offset 0 is the first page of the span.
    pub(crate) fn memory(&self) -> &SealedFile {
        &self.inner.memory
    }

    /// Whether both are one image in memory, not only the same bytes.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// Judges a file without loading it: what the fuzzer feeds, and what `inspect` needs.
///
/// # Errors
/// As [`Image::load`], but for what loading itself may meet.
pub fn judge(file: &[u8]) -> Result<Vec<Segment>, ImageError> {
    Ok(Judged::new(file)?
        .segments
        .into_iter()
        .map(|(segment, ..)| segment)
        .collect())
}

/// A segment, its bytes in the file, and the address the first of them goes to.
type LoadedSegment<'f> = (Segment, &'f [u8], u64);

struct Judged<'f> {
    segments: Vec<LoadedSegment<'f>>,
    entry: u64,
    manifest: &'f [u8],
    build_id: &'f [u8],
}

impl<'f> Judged<'f> {
    fn new(file: &'f [u8]) -> Result<Self, ImageError> {
        if file.len() > FILE_LIMIT {
            return Err(ImageError::Long(file.len()));
        }
        let header = FileHeader64::<LE>::parse(file)?;
        let endian = header.endian()?;
        let machine = header.e_machine(endian);
        if machine != elf::EM_X86_64 {
            return Err(ImageError::Machine(machine.0));
        }
        let kind = header.e_type(endian);
        if kind != elf::ET_EXEC {
            return Err(ImageError::Type(kind.0));
        }
        let headers = header.program_headers(endian, file)?;
        let mut segments = vec![];
        let (mut manifests, mut build_id): (Vec<&[u8]>, &[u8]) = (vec![], &[]);
        for program in headers {
            match program.p_type(endian) {
                elf::PT_LOAD if program.p_memsz(endian) > 0 => {
                    segments.push(judge_segment(program, file)?)
                }
                elf::PT_INTERP | elf::PT_DYNAMIC => return Err(ImageError::Dynamic),
                elf::PT_TLS if program.p_memsz(endian) > 0 => return Err(ImageError::ThreadLocal),
                elf::PT_GNU_STACK if program.p_flags(endian).contains(elf::PF_X) => {
                    return Err(ImageError::ExecutableStack);
                }
                elf::PT_NOTE => {
                    let Some(mut notes) = program.notes(endian, file)? else {
                        continue;
                    };
                    while let Some(note) = notes.next()? {
                        match (note.name(), note.n_type(endian).0) {
                            (name, NOTE_TYPE) if name == &NOTE_OWNER[..5] => {
                                manifests.push(note.desc())
                            }
                            (b"GNU", 3) => build_id = note.desc(),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        segments.sort_by_key(|(segment, ..): &LoadedSegment<'_>| segment.pages.start);
        for pair in segments.windows(2) {
            if let [(first, _, first_address), (second, _, second_address)] = pair
                && first.pages.end > second.pages.start
            {
                return Err(ImageError::Overlap {
                    first: *first_address,
                    second: *second_address,
                });
            }
        }
        if segments.is_empty() {
            return Err(ImageError::Empty);
        }
        let entry = header.e_entry(endian);
        let is_text = |(segment, _, address): &LoadedSegment<'_>| {
            segment.protection == Protection::ReadExecute
                && (*address..*address + segment.memory_size).contains(&entry)
        };
        if !segments.iter().any(is_text) {
            return Err(ImageError::Entry(entry));
        }
        let &[manifest] = manifests.as_slice() else {
            return Err(match manifests.len() {
                0 => ImageError::NoManifest,
                count => ImageError::Manifests(count),
            });
        };
        for device in Manifest::parse(manifest)?.devices() {
            if device.required && DeviceKind::from_value(device.kind).is_none() {
                return Err(ImageError::UnknownDevice {
                    name: device.name.into(),
                    kind: device.kind,
                });
            }
        }
        Ok(Self {
            segments,
            entry,
            manifest,
            build_id,
        })
    }

    fn span(&self) -> Range<u64> {
        let start = self
            .segments
            .first()
            .map_or(0, |(segment, ..)| segment.pages.start);
        let end = self
            .segments
            .last()
            .map_or(0, |(segment, ..)| segment.pages.end);
        start..end
    }
}

fn judge_segment<'f>(
    program: &ProgramHeader64<LE>,
    file: &'f [u8],
) -> Result<LoadedSegment<'f>, ImageError> {
    let endian = LE;
    let (address, memory_size) = (program.p_vaddr(endian), program.p_memsz(endian));
    let (offset, file_size) = (program.p_offset(endian), program.p_filesz(endian));
    let flags = program.p_flags(endian);
    if flags.contains(elf::PF_W) && flags.contains(elf::PF_X) {
        return Err(ImageError::WritableText { address });
    }
    if file_size > memory_size {
        return Err(ImageError::LongerInFile {
            address,
            file_size,
            memory_size,
        });
    }
    let outside_file = || ImageError::OutsideFile {
        address,
        offset,
        size: file_size,
        file_length: file.len() as u64,
    };
    let end_in_file = offset.checked_add(file_size).ok_or_else(outside_file)?;
    let bytes = file
        .get(sprat_abi::length(offset)..sprat_abi::length(end_in_file))
        .ok_or_else(outside_file)?;
    let outside_range = || ImageError::OutsideRange {
        address,
        size: memory_size,
    };
    let end = address.checked_add(memory_size).ok_or_else(outside_range)?;
    if address < IMAGE_BASE || end > IMAGE_END {
        return Err(outside_range());
    }
    let pages = address / PAGE_SIZE * PAGE_SIZE..end.next_multiple_of(PAGE_SIZE);
    let protection = if flags.contains(elf::PF_X) {
        Protection::ReadExecute
    } else if flags.contains(elf::PF_W) {
        Protection::ReadWrite
    } else {
        Protection::Read
    };
    Ok((
        Segment {
            pages,
            memory_size,
            file_size,
            protection,
        },
        bytes,
        address,
    ))
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
