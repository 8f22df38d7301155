//! From an image and its options to one file.

use std::os::unix::fs::FileExt as _;

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::endian::{U16, U32, U64};
use object::pod::bytes_of;
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use sprat_abi::PAGE_SIZE;
use sprat_abi::boot::MonitorKind;
use sprat_abi::disk::{self, PLAN_MAGIC, PlanHead};

use super::DiskError;
use crate::image::{Image, Protection};
use crate::layout::{CONTRACT_ADDRESS, Content, Plan};
use crate::options::{GrantedDevice, Options};

/// Heap that an instance is not started without, unless it asks for less.
const LEAST_HEAP: u64 = 512 << 10;

/// Bytes of a page, as the machine counts.
const PAGE: usize = sprat_abi::length(PAGE_SIZE);

/// Writes a self-booting image: an ELF file that PVH and Multiboot2 loaders start. What is granted is
/// in it; the machine's network cards become the granted network devices, in the order of the two.
///
/// # Errors
/// If the options do not go with the image, or a granted file cannot be read.
pub fn assemble(
    boot_monitor: &[u8],
    image: &Image,
    options: &Options,
) -> Result<Vec<u8>, DiskError> {
    Ok(lay_out(boot_monitor, image, options, 0)?.file)
}

/// A self-booting image, and what whoever watches it needs to know.
pub(super) struct SelfBooting {
    pub(super) file: Vec<u8>,
    pub(super) plan: Plan,
    /// Physical address of the payload.
    pub(super) payload: u64,
    /// Bytes of memory that it takes, without its heap.
    pub(super) memory: u64,
}

pub(super) fn lay_out(
    boot_monitor: &[u8],
    image: &Image,
    options: &Options,
    mut flags: u64,
) -> Result<SelfBooting, DiskError> {
    let mut plan = Plan::new(image, options, MonitorKind::Disk)?;
    if let Some(seed) = options.seed {
        plan.boot.seed = seed;
        flags |= disk::flags::FIXED_SEED;
    }
    let payload = payload(&plan, image, options, flags)?;
    let (file, at) = elf(boot_monitor, &payload)?;
    let zero = plan.pieces.iter().map(|piece| piece.length).sum::<u64>();
    Ok(SelfBooting {
        file,
        payload: at,
        memory: at + payload.len() as u64 + zero - plan.boot.heap.length,
        plan,
    })
}

/// The payload: head, pieces, and their bytes.
fn payload(
    plan: &Plan,
    image: &Image,
    options: &Options,
    flags: u64,
) -> Result<Vec<u8>, DiskError> {
    let mut contract = vec![0; sprat_abi::length(plan.contract_length)];
    for (offset, bytes) in plan.contents(&[]) {
        let offset = sprat_abi::length(offset);
        contract[offset..offset + bytes.len()].copy_from_slice(&bytes);
    }
    let head_length = size_of::<PlanHead>() + plan.pieces.len() * size_of::<disk::Piece>();
    let mut stored = vec![0; head_length.next_multiple_of(PAGE)];
    let mut pieces = Vec::new();
    for piece in &plan.pieces {
        let length = sprat_abi::length(piece.length);
        let mut bytes = match piece.content {
            Content::Contract(offset) => {
                let offset = sprat_abi::length(offset);
                contract[offset..offset + length].to_vec()
            }
            Content::Image(offset) => image.memory().read(offset, length)?,
            Content::File(index) => contents(options, index, length)?,
            Content::Zero | Content::Pool => Vec::new(),
        };
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        bytes.resize(used.next_multiple_of(PAGE), 0);
        pieces.push(disk::Piece {
            address: piece.address,
            length: piece.length,
            offset: stored.len() as u64,
            stored: bytes.len() as u64,
            protection: match piece.protection {
                Protection::Read => disk::READ,
                Protection::ReadWrite => disk::READ_WRITE,
                Protection::ReadExecute => disk::READ_EXECUTE,
            },
        });
        stored.extend(bytes);
    }
    let mut at = size_of::<PlanHead>();
    for word in pieces.iter().flat_map(disk::Piece::to_words) {
        stored[at..at + 8].copy_from_slice(&word.to_le_bytes());
        at += 8;
    }
    let head = PlanHead {
        magic: PLAN_MAGIC,
        length: stored.len() as u64,
        checksum: disk::checksum(&stored[size_of::<PlanHead>()..]),
        entry: image.entry(),
        stack_pointer: plan.stack_pointer(),
        boot_page: CONTRACT_ADDRESS,
        least_heap: plan.boot.heap.length.min(LEAST_HEAP),
        flags,
        pieces: pieces.len() as u64,
        rings_at: 0,
    };
    for (place, word) in stored.chunks_exact_mut(8).zip(head.to_words()) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    Ok(stored)
}

/// A granted file's bytes, and zeroes up to whole pages.
fn contents(options: &Options, index: usize, length: usize) -> Result<Vec<u8>, DiskError> {
    let mut bytes = vec![0; length];
    let Some(grant) = options.devices.get(index) else {
        return Ok(bytes);
    };
    if let GrantedDevice::InputFile(file) = &grant.device {
        let mut at = 0;
        while at < length {
            match file.read_at(&mut bytes[at..], at as u64) {
                Ok(0) => break,
                Ok(count) => at += count,
                Err(error) => {
                    return Err(DiskError::File {
                        name: grant.name.clone(),
                        error,
                    });
                }
            }
        }
    }
    Ok(bytes)
}

/// Bytes of the headers of a file with so many segments.
fn headers_length(segments: usize) -> usize {
    size_of::<FileHeader64<LE>>() + segments * size_of::<ProgramHeader64<LE>>()
}

/// The boot monitor's segments and the payload's as one ELF file; the payload's physical address.
fn elf(boot_monitor: &[u8], payload: &[u8]) -> Result<(Vec<u8>, u64), DiskError> {
    /// Where a segment's bytes begin in the file: loaders copy, so pages do not matter.
    const ALIGNMENT: usize = 16;
    let header = FileHeader64::<LE>::parse(boot_monitor)?;
    let endian = header.endian()?;
    let segments: Vec<_> = header
        .program_headers(endian, boot_monitor)?
        .iter()
        .filter(|segment| matches!(segment.p_type(endian), elf::PT_LOAD | elf::PT_NOTE))
        .collect();
    let end = segments
        .iter()
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
        .map(|segment| segment.p_paddr(endian) + segment.p_memsz(endian))
        .fold(0, u64::max);

    let mut file = vec![0; headers_length(segments.len() + 1)];
    let mut headers = Vec::new();
    let place = |file: &mut Vec<u8>, bytes: &[u8]| {
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        let offset = file.len() as u64;
        file.extend_from_slice(bytes);
        offset
    };
    for segment in &segments {
        let bytes = segment
            .data(endian, boot_monitor)
            .map_err(|()| DiskError::CutShort)?;
        let mut header = **segment;
        header.p_offset = U64::new(LE, place(&mut file, bytes));
        // Of a note, this is how its parts are aligned.
        if header.p_type(endian) == elf::PT_LOAD {
            header.p_align = U64::new(LE, ALIGNMENT as u64);
        }
        headers.push(header);
    }
    let length = U64::new(LE, payload.len() as u64);
    headers.push(ProgramHeader64 {
        p_type: U32::new(LE, elf::PT_LOAD),
        p_flags: U32::new(LE, elf::PF_R | elf::PF_W),
        p_offset: U64::new(LE, place(&mut file, payload)),
        p_vaddr: U64::new(LE, end),
        p_paddr: U64::new(LE, end),
        p_filesz: length,
        p_memsz: length,
        p_align: U64::new(LE, ALIGNMENT as u64),
    });
    let mut header = *header;
    header.e_phoff = U64::new(LE, size_of::<FileHeader64<LE>>() as u64);
    header.e_phnum = U16::new(LE, u16::try_from(headers.len()).unwrap_or(u16::MAX));
    header.e_shoff = U64::new(LE, 0);
    header.e_shentsize = U16::new(LE, 0);
    header.e_shnum = U16::new(LE, 0);
    header.e_shstrndx = U16::new(LE, elf::SHN_UNDEF);
    let mut beginning = bytes_of(&header).to_vec();
    for header in &headers {
        beginning.extend_from_slice(bytes_of(header));
    }
    file[..beginning.len()].copy_from_slice(&beginning);
    Ok((file, end))
}
