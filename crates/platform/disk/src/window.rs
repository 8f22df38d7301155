//! Where devices are mapped: their registers, and the memory of their queues, far above everything of
//! the instance's. The clock, which the instance only reads, is there to be written too.

use crate::frames::{Frames, PAGE};
use crate::tables::{Access, Tables};

pub(crate) use crate::tables::OutOfMemory;

/// Where it begins: with an entry of the fourth level of its own.
pub(crate) const WINDOW: u64 = 1 << 46;

/// The window while it is being filled.
pub(crate) struct Window<'m> {
    tables: &'m mut Tables,
    frames: &'m mut Frames,
    next: u64,
    /// The table of the fourth level that is in use meanwhile.
    current: u64,
}

impl<'m> Window<'m> {
    /// An empty window of `tables`, which also appears in the ones in use, whose fourth level lies at
    /// `current`.
    pub(crate) fn new(tables: &'m mut Tables, frames: &'m mut Frames, current: u64) -> Self {
        Self {
            tables,
            frames,
            next: WINDOW,
            current,
        }
    }

    fn map(&mut self, physical: u64, length: u64, access: Access) -> Result<u64, OutOfMemory> {
        let at = self.next;
        self.tables
            .map(self.frames, (at, physical), length, access)?;
        // A page is left out between any two.
        self.next += length + PAGE;
        self.tables.lend(self.current, WINDOW);
        Ok(at)
    }

    /// Maps registers; where they are then.
    pub(crate) fn registers(&mut self, physical: u64, length: u64) -> Result<u64, OutOfMemory> {
        let within = physical & (PAGE - 1);
        let pages = (within + length.clamp(1, 1 << 20)).next_multiple_of(PAGE);
        Ok(self.map(physical - within, pages, Access::Device)? + within)
    }

    /// Maps a page once more, to be written; where it is then.
    pub(crate) fn writable(&mut self, physical: u64) -> Result<u64, OutOfMemory> {
        let within = physical & (PAGE - 1);
        Ok(self.map(physical - within, PAGE, Access::ReadWrite)? + within)
    }

    /// Zeroed memory for a device; where it is mapped, and where it lies.
    pub(crate) fn memory(&mut self, length: u64) -> Result<(u64, u64), OutOfMemory> {
        let length = length.next_multiple_of(PAGE);
        let physical = self.frames.take(length / PAGE).ok_or(OutOfMemory)?;
        let at = self.map(physical, length, Access::ReadWrite)?;
        // SAFETY: just taken from the free memory and mapped.
        unsafe { sprat_abi::pointer(at).write_bytes(0, sprat_abi::length(length)) };
        Ok((at, physical))
    }
}
