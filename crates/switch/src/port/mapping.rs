//! A stretch of a file's or a socket's memory, which others use too.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A stretch of a file's memory.
pub(super) struct Mapping {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: an address range that belongs to the value, and to no thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps a file or a socket, all of it at once.
    pub(super) fn new(file: BorrowedFd<'_>, offset: u64, length: usize) -> io::Result<Self> {
        Self::with(MapFlags::POPULATE, file, offset, length)
    }

    /// Maps a file from its beginning, each page when it is first used.
    pub(super) fn on_demand(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        Self::with(MapFlags::empty(), file, 0, length)
    }

    fn with(
        further: MapFlags,
        file: BorrowedFd<'_>,
        offset: u64,
        length: usize,
    ) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::SHARED | further;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                protection,
                flags,
                file,
                offset,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, length })
    }

    /// Where it begins.
    pub(super) fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Where it begins, as a number.
    pub(super) fn address(&self) -> u64 {
        self.base.addr().get() as u64
    }

    /// Bytes that the kernel does not use at the moment; `None` where they are not all in it.
    pub(super) fn bytes(&mut self, at: u64, length: usize) -> Option<&mut [u8]> {
        let at = usize::try_from(at).ok()?;
        if at.checked_add(length)? > self.length {
            return None;
        }
        // SAFETY: the bytes are in the mapping, which is borrowed as long as they are; by the rules of the
        // rings the kernel writes to none that the caller has not handed to it.
        Some(unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(at), length) })
    }

    /// What lies at this place.
    pub(super) fn place<T>(&self, at: u64, count: usize) -> io::Result<NonNull<T>> {
        let fits = usize::try_from(at)
            .ok()
            .filter(|at| at.is_multiple_of(align_of::<T>()))
            .filter(|at| {
                let end = count
                    .checked_mul(size_of::<T>())
                    .and_then(|length| at.checked_add(length));
                end.is_some_and(|end| end <= self.length)
            });
        match fits {
            // SAFETY: it is within the mapping.
            Some(at) => Ok(unsafe { self.base.add(at) }.cast()),
            None => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is the value's own; nothing that was lent of it is left.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.length) };
    }
}
