//! What classifying batches needs beside the program, made once and used again for each batch.

use alloc::boxed::Box;

use super::records::Records;
use super::remember::Memory;
use super::terms::DIMENSIONS;

/// Packets looked at together, so that their memory accesses overlap. At most 64.
pub(super) const LANES: usize = 32;

/// Lanes for which something is left to do.
pub(super) struct LaneList<const N: usize> {
    lanes: [u8; N],
    count: usize,
}

impl<const N: usize> LaneList<N> {
    /// None.
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            lanes: [0; N],
            count: 0,
        }
    }

    /// Adds a lane where a condition holds, which costs the same whether it does.
    #[inline]
    pub(super) fn add_if(&mut self, lane: usize, condition: bool) {
        // There are no more than 64 lanes.
        #[expect(clippy::cast_possible_truncation)]
        let lane = lane as u8;
        if let Some(place) = self.lanes.get_mut(self.count) {
            *place = lane;
        }
        self.count += usize::from(condition);
    }

    #[inline]
    pub(super) fn lanes(&self) -> &[u8] {
        &self.lanes[..self.count.min(N)]
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The lanes whose bits are set.
pub(super) fn lanes(mut bits: u64) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let lane = (bits != 0).then(|| bits.trailing_zeros() as usize);
        bits &= bits.wrapping_sub(1);
        lane
    })
}

/// The classes of a group's packets, a column for each dimension. What a program does not use is
/// left over from before.
pub(super) type Classes<const N: usize> = [[u16; N]; DIMENSIONS];

/// Room to work in for one program, with the rules of its flows; made by
/// [`Program::workspace`](super::Program::workspace).
pub struct Workspace {
    pub(super) records: Box<Records<LANES>>,
    pub(super) classes: Box<Classes<LANES>>,
    pub(super) memory: Option<Memory>,
}

impl Workspace {
    pub(super) fn new(memory: Option<Memory>) -> Self {
        Self {
            records: Box::new(Records::new()),
            classes: Box::new([[0; LANES]; DIMENSIONS]),
            memory,
        }
    }

    /// The memory it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.records)
            + size_of_val(&*self.classes)
            + self.memory.as_ref().map_or(0, Memory::bytes)
    }
}
