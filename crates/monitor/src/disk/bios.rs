//! A self-booting image as a raw disk that a BIOS boots.

use object::LittleEndian as LE;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Object as _, ObjectSection as _};

use super::DiskError;

/// Bytes of a sector.
const SECTOR: usize = 512;

/// Where the boot sector's partition table has the first sector of the image; the count follows.
const FIRST: usize = 446 + 8;

/// The section of the boot monitor that is a disk's first sectors.
const BOOT_SECTORS: &str = ".bios";

/// Makes a raw disk of a self-booting image: the boot sectors of `boot_monitor` (the linked file), and
/// behind them memory from the first megabyte on, as an ELF loader would have filled it.
///
/// # Errors
/// If one of the two is not what it should be.
pub fn disk(boot_monitor: &[u8], image: &[u8]) -> Result<Vec<u8>, DiskError> {
    let linked = object::File::parse(boot_monitor)?;
    let section = linked.section_by_name(BOOT_SECTORS);
    let mut disk = section.ok_or(DiskError::CutShort)?.data()?.to_vec();
    disk.resize(disk.len().next_multiple_of(SECTOR), 0);
    let memory = memory(image)?;
    if disk.len() < SECTOR {
        return Err(DiskError::CutShort);
    }
    let first = disk.len() / SECTOR;
    let sectors = memory.len().div_ceil(SECTOR);
    for (at, value) in [(FIRST, first), (FIRST + 4, sectors)] {
        let value = u32::try_from(value).map_err(|_| DiskError::Long)?;
        disk[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    disk.extend(memory);
    disk.resize(disk.len().next_multiple_of(SECTOR), 0);
    Ok(disk)
}

/// Where the image is loaded.
const LOADED_AT: u64 = 0x10_0000;

/// Memory as a loader of the ELF file fills it.
fn memory(image: &[u8]) -> Result<Vec<u8>, DiskError> {
    let header = FileHeader64::<LE>::parse(image)?;
    let endian = header.endian()?;
    let mut memory = Vec::new();
    for segment in header.program_headers(endian, image)? {
        if segment.p_type(endian) != elf::PT_LOAD {
            continue;
        }
        let bytes = segment
            .data(endian, image)
            .map_err(|()| DiskError::CutShort)?;
        let at = segment.p_paddr(endian).checked_sub(LOADED_AT);
        let at = at.and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| *at < 1 << 30).ok_or(DiskError::Long)?;
        if memory.len() < at + bytes.len() {
            memory.resize(at + bytes.len(), 0);
        }
        memory[at..at + bytes.len()].copy_from_slice(bytes);
    }
    Ok(memory)
}
