//! Storage in blocks.

use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::future::Future;

/// Why blocks could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockError {
    /// There are no such blocks, or the bytes are not of whole ones.
    OutOfRange,
    /// They cannot be written.
    ReadOnly,
    /// Whoever holds them has no room left.
    NoSpace,
    /// The device failed; what was written, if anything, is not known.
    Failed,
}

impl fmt::Display for BlockError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::OutOfRange => "the device has no such blocks",
            Self::ReadOnly => "the device cannot be written",
            Self::NoSpace => "whoever holds the device has no room left",
            Self::Failed => "the device failed",
        })
    }
}

impl core::error::Error for BlockError {}

/// Reads and writes blocks of one size.
///
/// What was written may be lost when the host dies until a [`flush`](Self::flush) that began later is
/// done; it is not when the instance does.
pub trait Block {
    /// Bytes of a block: a power of two.
    fn block_size(&self) -> usize;

    /// How many blocks there are.
    fn block_count(&self) -> u64;

    /// Reads whole blocks.
    fn read(&self, first: u64, data: &mut [u8]) -> impl Future<Output = Result<(), BlockError>>;

    /// Writes whole blocks. After a failure, each of them holds what it held or what it was to hold.
    fn write(&self, first: u64, data: &[u8]) -> impl Future<Output = Result<(), BlockError>>;

    /// Waits until everything written before is where it outlives the host.
    fn flush(&self) -> impl Future<Output = Result<(), BlockError>>;
}

impl<B: Block + ?Sized> Block for alloc::rc::Rc<B> {
    fn block_size(&self) -> usize {
        (**self).block_size()
    }

    fn block_count(&self) -> u64 {
        (**self).block_count()
    }

    fn read(&self, first: u64, data: &mut [u8]) -> impl Future<Output = Result<(), BlockError>> {
        (**self).read(first, data)
    }

    fn write(&self, first: u64, data: &[u8]) -> impl Future<Output = Result<(), BlockError>> {
        (**self).write(first, data)
    }

    fn flush(&self) -> impl Future<Output = Result<(), BlockError>> {
        (**self).flush()
    }
}

/// Blocks of 512 bytes in memory alone.
#[derive(Debug)]
pub struct MemoryBlock {
    bytes: RefCell<Vec<u8>>,
}

impl MemoryBlock {
    /// Bytes of its blocks.
    pub const BLOCK_SIZE: usize = 512;

    /// So many blocks of zeroes.
    #[must_use]
    pub fn new(block_count: usize) -> Self {
        Self {
            bytes: RefCell::new(vec![0; block_count * Self::BLOCK_SIZE]),
        }
    }

    /// Where the bytes of these blocks are.
    fn range(&self, first: u64, length: usize) -> Result<core::ops::Range<usize>, BlockError> {
        let start = usize::try_from(first)
            .ok()
            .and_then(|first| first.checked_mul(Self::BLOCK_SIZE));
        let range = start.and_then(|start| Some(start..start.checked_add(length)?));
        range
            .filter(|range| {
                length.is_multiple_of(Self::BLOCK_SIZE) && range.end <= self.bytes.borrow().len()
            })
            .ok_or(BlockError::OutOfRange)
    }
}

impl Block for MemoryBlock {
    fn block_size(&self) -> usize {
        Self::BLOCK_SIZE
    }

    fn block_count(&self) -> u64 {
        (self.bytes.borrow().len() / Self::BLOCK_SIZE) as u64
    }

    async fn read(&self, first: u64, data: &mut [u8]) -> Result<(), BlockError> {
        let range = self.range(first, data.len())?;
        data.copy_from_slice(&self.bytes.borrow()[range]);
        Ok(())
    }

    async fn write(&self, first: u64, data: &[u8]) -> Result<(), BlockError> {
        let range = self.range(first, data.len())?;
        self.bytes.borrow_mut()[range].copy_from_slice(data);
        Ok(())
    }

    async fn flush(&self) -> Result<(), BlockError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::now;

    #[test]
    fn memory_keeps_what_is_written_and_has_no_other_blocks() {
        let memory = MemoryBlock::new(4);
        assert_eq!((memory.block_size(), memory.block_count()), (512, 4));
        assert_eq!(now(memory.write(1, &[7; 1024])), Ok(()));
        let mut all = [9; 2048];
        assert_eq!(now(memory.read(0, &mut all)), Ok(()));
        assert_eq!(
            (&all[..512], &all[512..1536]),
            (&[0; 512][..], &[7; 1024][..])
        );
        assert_eq!(all[1536..], [0; 512]);
        for (first, length) in [
            (4, 512),
            (3, 1024),
            (0, 100),
            (u64::MAX, 512),
            (1 << 60, 512),
        ] {
            let found = now(memory.write(first, &vec![1; length]));
            assert_eq!(found, Err(BlockError::OutOfRange), "{first} {length}");
        }
    }
}
