//! What classifying batches needs beside the program, made once and used again for each batch.

use alloc::boxed::Box;

use super::flow_cache::FlowCache;
use super::records::Records;
use super::terms::DIMENSIONS;

/// Packets looked at together, so that their memory accesses overlap. At most 64.
pub(super) const LANES: usize = 32;

/// The classes of a group's packets, a column for each dimension. What a program does not use is
/// left over from before.
pub(super) type Classes<const N: usize> = [[u16; N]; DIMENSIONS];

/// Room to work in for one program, with the cache of its flows; made by
/// [`Program::workspace`](super::Program::workspace).
pub struct Workspace {
    pub(super) records: Box<Records<LANES>>,
    pub(super) classes: Box<Classes<LANES>>,
    pub(super) cache: Option<FlowCache>,
}

impl Workspace {
    pub(super) fn new(cache: Option<FlowCache>) -> Self {
        Self {
            records: Box::new(Records::new()),
            classes: Box::new([[0; LANES]; DIMENSIONS]),
            cache,
        }
    }

    /// The memory it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.records)
            + size_of_val(&*self.classes)
            + self.cache.as_ref().map_or(0, FlowCache::bytes)
    }
}
