//! How flows are referred to.

use super::flow::Direction;

/// A flow by its place in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlowId(pub(super) u32);

/// A flow, and which way packets of it go. Which it is stands in the lowest bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(pub(super) u32);

impl Entry {
    pub(super) fn new(place: u32, direction: Direction) -> Self {
        Self(place << 1 | direction as u32)
    }

    #[inline]
    pub(crate) fn id(self) -> FlowId {
        FlowId(self.0 >> 1)
    }

    #[inline]
    pub(crate) fn direction(self) -> Direction {
        if self.0 & 1 == 0 {
            Direction::Forward
        } else {
            Direction::Reply
        }
    }
}
