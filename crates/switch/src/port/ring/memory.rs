//! What two ends of a pair have in common: a ring each way, and a word each way by which who reads it
//! says that it may sleep.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicU32;

use rustix::fs::{
    MemfdFlags, SealFlags, SeekFrom, fcntl_add_seals, fcntl_get_seals, ftruncate, memfd_create,
    seek,
};
use sprat_abi::bytes::byte_ring_size;

use super::RingEnd;
use crate::port::mapping::Mapping;

/// Bytes that may be under way in each direction.
pub(super) const CAPACITY: u32 = 1 << 20;

/// Bytes of a direction: its ring, and a page with the word of who reads.
const DIRECTION: usize = byte_ring_size(CAPACITY).next_multiple_of(PAGE) + PAGE;
const PAGE: usize = 4096;

/// Bytes of the memory.
const LENGTH: usize = 2 * DIRECTION;

/// The memory of a pair, mapped.
pub(super) struct Memory(Mapping);

impl Memory {
    /// A file for a pair, all zeros. Who has it cannot take memory away from under the other.
    pub(super) fn file() -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("sprat-ring", flags)?;
        ftruncate(&file, LENGTH as u64)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        Ok(file)
    }

    /// Maps a file that [`Memory::file`] has made.
    pub(super) fn map(file: &OwnedFd) -> io::Result<Self> {
        let fixed = SealFlags::SHRINK | SealFlags::SEAL;
        // A lane has no call that asks for a file's size.
        let long = seek(file, SeekFrom::End(0))?;
        if !fcntl_get_seals(file)?.contains(fixed) || usize::try_from(long) != Ok(LENGTH) {
            return Err(io::Error::other(
                "the memory of the rings may change its length",
            ));
        }
        Mapping::on_demand(file.as_fd(), LENGTH).map(Self)
    }

    /// Where the ring begins by which frames of `end` go.
    pub(super) fn ring(&self, end: RingEnd) -> *mut u8 {
        self.0.base().wrapping_add(match end {
            RingEnd::First => 0,
            RingEnd::Second => DIRECTION,
        })
    }

    /// Whether who reads that ring may be asleep.
    pub(super) fn sleeps(&self, end: RingEnd) -> &AtomicU32 {
        let word = self.ring(end).wrapping_add(DIRECTION - PAGE);
        // SAFETY: a word at the beginning of a page of the mapping, which lives as long as the borrow.
        unsafe { &*word.cast() }
    }
}
