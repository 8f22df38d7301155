//! Page tables: four levels, made once and never mapped, so that nothing can change them after.

use crate::frames::{Frames, PAGE};

const PRESENT: u64 = 1 << 0;
const WRITE: u64 = 1 << 1;
/// Not cached: memory that belongs to a device.
const UNCACHED: u64 = 1 << 4 | 1 << 3;
const LARGE: u64 = 1 << 7;
const NO_EXECUTE: u64 = 1 << 63;

/// The part of an entry that is an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Bytes of a large page.
const LARGE_PAGE: u64 = 2 << 20;

/// What may be done with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
    /// Read and write registers of a device.
    Device,
}

impl Access {
    /// The bits of an entry. None both writes and executes.
    const fn bits(self) -> u64 {
        PRESENT
            | match self {
                Self::Read => NO_EXECUTE,
                Self::ReadWrite => WRITE | NO_EXECUTE,
                Self::ReadExecute => 0,
                Self::Device => WRITE | NO_EXECUTE | UNCACHED,
            }
    }
}

/// No memory is left for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// An address space being made.
#[derive(Debug)]
pub struct Tables {
    root: u64,
}

impl Tables {
    /// An address space in which nothing is mapped.
    ///
    /// # Errors
    /// Where no memory is left.
    ///
    /// # Safety
    /// Until the last call of [`Tables::map`], the memory of `frames` must be free, and mapped to be
    /// written where it lies.
    pub unsafe fn new(frames: &mut Frames) -> Result<Self, OutOfMemory> {
        Ok(Self {
            root: Self::table(frames)?,
        })
    }

    /// The physical address of the table of the fourth level, for CR3.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.root
    }

    /// A table without entries.
    fn table(frames: &mut Frames) -> Result<u64, OutOfMemory> {
        let table = frames.take(1).ok_or(OutOfMemory)?;
        // SAFETY: a whole page that is free and mapped where it lies, by the promise made to `new`.
        unsafe { sprat_abi::pointer(table).write_bytes(0, sprat_abi::length(PAGE)) };
        Ok(table)
    }

    /// Maps whole pages: `length` bytes from `address` on to those from `physical` on.
    ///
    /// # Errors
    /// Where no memory is left for a table.
    pub fn map(
        &mut self,
        frames: &mut Frames,
        (address, physical): (u64, u64),
        length: u64,
        access: Access,
    ) -> Result<(), OutOfMemory> {
        let mut done = 0;
        while done < length {
            let (at, to) = (address + done, physical + done);
            let large = (at | to).is_multiple_of(LARGE_PAGE) && length - done >= LARGE_PAGE;
            let levels = if large { 2 } else { 3 };
            let mut table = self.root;
            for level in 0..levels {
                let entry = Self::entry(table, at, level);
                // SAFETY: see `entry`.
                let mut value = unsafe { entry.read() };
                if value & PRESENT == 0 {
                    value = Self::table(frames)? | PRESENT | WRITE;
                    // SAFETY: see `entry`.
                    unsafe { entry.write(value) };
                }
                table = value & ADDRESS;
            }
            let size = if large { LARGE } else { 0 };
            // SAFETY: see `entry`.
            unsafe { Self::entry(table, at, levels).write(to | access.bits() | size) };
            done += if large { LARGE_PAGE } else { PAGE };
        }
        Ok(())
    }

    /// Makes what is mapped around `address`, as far as one entry of the fourth level reaches, appear in
    /// another address space too: the one whose table of the fourth level lies at `other`.
    #[cfg(sprat_target = "disk")]
    pub(crate) fn lend(&self, other: u64, address: u64) {
        // SAFETY: both are tables that are mapped to be written where they lie, and the entry of the
        // other is one that nothing there uses.
        unsafe {
            let entry = Self::entry(self.root, address, 0).read();
            Self::entry(other, address, 0).write_volatile(entry);
        }
    }

    /// The entry for `address` in a table; level 0 is the root's. It lies in one of the pages that
    /// `table` took, which are this value's alone.
    fn entry(table: u64, address: u64, level: u32) -> *mut u64 {
        let index = address >> (39 - 9 * level) & 511;
        sprat_abi::pointer(table + 8 * index).cast()
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Pages of this process, in the place of physical ones.
    fn memory(pages: usize) -> (Vec<u8>, Frames) {
        let mut memory = vec![0xa5; (pages + 1) * 4096];
        let start = memory.as_mut_ptr().expose_provenance() as u64;
        let mut frames = Frames::new();
        frames.add(start, memory.len() as u64, (0, u64::MAX));
        (memory, frames)
    }

    /// What the processor makes of an address: the walk of the Intel manual, volume 3, section 4.5.
    fn walk(tables: &Tables, address: u64) -> Option<(u64, u64)> {
        let mut table = tables.root();
        for level in 0..4 {
            let index = address >> (39 - 9 * level) & 511;
            // SAFETY: reads the pages that the test keeps.
            let entry = unsafe { *sprat_abi::pointer(table + 8 * index).cast::<u64>() };
            if entry & 1 == 0 {
                return None;
            }
            let to = entry & ADDRESS;
            if level == 3 || entry & 0x80 != 0 {
                let within = if level == 3 { 0xfff } else { 0x1f_ffff };
                return Some((to | address & within, entry & (1 << 63 | 2)));
            }
            table = to;
        }
        None
    }

    #[test]
    fn what_is_mapped_is_found_with_its_access_and_nothing_else_is() {
        let (_memory, mut frames) = memory(16);
        // SAFETY: the pages are the test's.
        let mut tables = unsafe { Tables::new(&mut frames) }.unwrap();
        let mut map = |address, physical, length, access| {
            tables
                .map(&mut frames, (address, physical), length, access)
                .unwrap();
        };
        map(0x100_0000, 0x10_5000, 0x2000, Access::Read);
        map(0x100_2000, 0x10_7000, 0x1000, Access::ReadExecute);
        map(0x2000_0000, 0x40_0000, 0x40_1000, Access::ReadWrite);
        const NX: u64 = 1 << 63;
        assert_eq!(walk(&tables, 0x100_1234), Some((0x10_6234, NX)));
        assert_eq!(walk(&tables, 0x100_2fff), Some((0x10_7fff, 0)));
        assert_eq!(walk(&tables, 0x2020_0008), Some((0x60_0008, NX | 2)));
        assert_eq!(walk(&tables, 0x2040_0fff), Some((0x80_0fff, NX | 2)));
        for outside in [0, 0xff_ffff, 0x100_3000, 0x2040_1000, 1 << 46] {
            assert_eq!(walk(&tables, outside), None, "{outside:#x}");
        }
    }

    #[test]
    fn memory_that_does_not_suffice_is_an_error() {
        let (_memory, mut frames) = memory(3);
        // SAFETY: the pages are the test's.
        let mut tables = unsafe { Tables::new(&mut frames) }.unwrap();
        let mapped = tables.map(&mut frames, (0, 0), 0x1000, Access::Read);
        assert_eq!(mapped, Err(OutOfMemory));
    }
}
