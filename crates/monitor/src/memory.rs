//! Memory: the host's mappings and the sealed files behind what instances share.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd};
use std::os::unix::fs::FileExt;

/// Alignment of huge pages, and of what might be mapped with them.
pub(crate) const HUGE_PAGE: u64 = 2 << 20;

/// A call to the system failed.
#[derive(Debug, thiserror::Error)]
#[error("{call}: {error}")]
pub struct SystemError {
    /// What was asked of it.
    pub call: &'static str,
    /// What it answered.
    #[source]
    pub error: io::Error,
}

impl SystemError {
    pub(crate) fn new(call: &'static str, error: impl Into<io::Error>) -> Self {
        Self {
            call,
            error: error.into(),
        }
    }

    pub(crate) fn last(call: &'static str) -> Self {
        Self::new(call, io::Error::last_os_error())
    }
}

/// Makes a file in memory.
pub(crate) fn memory_file(name: &str, length: u64) -> Result<File, SystemError> {
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: the name is a C string that outlives the call.
    let fd =
        unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(SystemError::last("making a file in memory"));
    }
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(length)
        .map_err(|error| SystemError::new("sizing a file in memory", error))?;
    Ok(file)
}

/// A file in memory that nobody can change any more.
#[derive(Debug)]
pub(crate) struct SealedFile {
    file: File,
    length: u64,
}

/// A [`SealedFile`] that is being written.
pub(crate) struct SealedFileBuilder(SealedFile);

impl SealedFile {
    pub(crate) fn builder(name: &str, length: u64) -> Result<SealedFileBuilder, SystemError> {
        Ok(SealedFileBuilder(Self {
            file: memory_file(name, length)?,
            length,
        }))
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// A copy of some of it.
    pub(crate) fn read(&self, offset: u64, length: usize) -> Result<Vec<u8>, SystemError> {
        let mut bytes = vec![0; length];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|error| SystemError::new("reading a file in memory", error))?;
        Ok(bytes)
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

impl SealedFileBuilder {
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), SystemError> {
        self.0
            .file
            .write_all_at(bytes, offset)
            .map_err(|error| SystemError::new("writing to a file in memory", error))
    }

    pub(crate) fn seal(self) -> Result<SealedFile, SystemError> {
        let seals =
            libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE | libc::F_SEAL_SEAL;
        // SAFETY: a valid descriptor; the call touches no memory of ours.
        if unsafe { libc::fcntl(self.0.fd(), libc::F_ADD_SEALS, seals) } != 0 {
            return Err(SystemError::last("sealing a file in memory"));
        }
        Ok(self.0)
    }
}

/// A mapping of this process, unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: *mut u8,
    length: usize,
}

// SAFETY: a mapping is an address range; who may touch what in it is for its users to say.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Zeroed memory of this process alone, aligned to huge pages. Untouched pages cost nothing.
    pub(crate) fn anonymous(length: u64) -> Result<Self, SystemError> {
        let slack = sprat_abi::length(HUGE_PAGE);
        let length = sprat_abi::length(length);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length + slack,
                protection,
                flags,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(SystemError::last("mapping memory"));
        }
        let base = base.cast::<u8>();
        let before = base.align_offset(slack);
        let aligned = base.wrapping_add(before);
        // SAFETY: both stretches lie inside the new mapping, outside of what is kept.
        unsafe {
            if before > 0 {
                libc::munmap(base.cast(), before);
            }
            if slack > before {
                libc::munmap(aligned.wrapping_add(length).cast(), slack - before);
            }
        }
        Ok(Self {
            base: aligned,
            length,
        })
    }

    /// A file, shared with all who map it.
    pub(crate) fn shared(file: &File, length: u64) -> Result<Self, SystemError> {
        let length = sprat_abi::length(length);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                protection,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(SystemError::last("mapping a file in memory"));
        }
        Ok(Self {
            base: base.cast(),
            length,
        })
    }

    /// Has the mapping be zeroed memory of this process alone again, whatever was put there.
    pub(crate) fn clear(&self) -> Result<(), SystemError> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: it replaces this mapping and nothing else.
        let base = unsafe { libc::mmap(self.base.cast(), self.length, protection, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(SystemError::last("mapping memory"));
        }
        Ok(())
    }

    /// Puts `length` bytes of a file over a stretch of the mapping, for this process alone: what is
    /// written there goes to a copy.
    pub(crate) fn place_private(
        &self,
        offset: u64,
        length: u64,
        file: BorrowedFd<'_>,
        writable: bool,
    ) -> Result<(), SystemError> {
        let (offset, length) = (sprat_abi::length(offset), sprat_abi::length(length));
        assert!(
            offset
                .checked_add(length)
                .is_some_and(|end| end <= self.length),
            "inside the mapping"
        );
        let protection = libc::PROT_READ | if writable { libc::PROT_WRITE } else { 0 };
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED | libc::MAP_NORESERVE;
        // SAFETY: the stretch lies inside this mapping, as just asserted, so only it is replaced.
        let base = unsafe {
            libc::mmap(
                self.base.wrapping_add(offset).cast(),
                length,
                protection,
                flags,
                file.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(SystemError::last("mapping a file"));
        }
        Ok(())
    }

    /// Puts a stretch that was not used yet on huge pages: on reserved ones where the host has them, else
    /// on those the kernel puts together when it can. Without either everything works the same.
    pub(crate) fn make_huge(&self, offset: u64, length: u64) -> Result<(), SystemError> {
        let at = self.at(offset, length).cast();
        assert!(
            offset.is_multiple_of(HUGE_PAGE) && length.is_multiple_of(HUGE_PAGE),
            "whole huge pages"
        );
        let length = sprat_abi::length(length);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        // SAFETY: the stretch lies inside this mapping and was not used yet, so nothing is lost when
        // it is replaced.
        unsafe {
            let reserved = libc::mmap(at, length, protection, flags | libc::MAP_HUGETLB, -1, 0);
            if reserved != libc::MAP_FAILED {
                return Ok(());
            }
            // The attempt may have unmapped what was there.
            let ordinary = libc::mmap(at, length, protection, flags | libc::MAP_NORESERVE, -1, 0);
            if ordinary == libc::MAP_FAILED {
                return Err(SystemError::last("mapping memory"));
            }
            libc::madvise(at, length, libc::MADV_HUGEPAGE);
        }
        Ok(())
    }

    pub(crate) fn base(&self) -> *mut u8 {
        self.base
    }

    pub(crate) fn length(&self) -> u64 {
        self.length as u64
    }

    /// Address of `offset`, from where `length` bytes are inside.
    pub(crate) fn at(&self, offset: u64, length: u64) -> *mut u8 {
        assert!(
            offset
                .checked_add(length)
                .is_some_and(|end| end <= self.length()),
            "inside the mapping"
        );
        self.base.wrapping_add(sprat_abi::length(offset))
    }

    /// Copies bytes in.
    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) {
        let to = self.at(offset, bytes.len() as u64);
        // SAFETY: inside the mapping by `at`; no reference but to atomics leads into a mapping, so `bytes`
        // lies elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies bytes out; `None` if they are not all inside.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> Option<()> {
        let end = offset.checked_add(bytes.len() as u64)?;
        (end <= self.length()).then(|| {
            // SAFETY: inside the mapping as compared; no reference but to atomics leads into a mapping, so
            // `bytes` lies elsewhere.
            unsafe {
                std::ptr::copy_nonoverlapping(self.at(offset, 0), bytes.as_mut_ptr(), bytes.len())
            };
        })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this mapping is ours and nothing made from it outlives it.
        unsafe { libc::munmap(self.base.cast(), self.length) };
    }
}
