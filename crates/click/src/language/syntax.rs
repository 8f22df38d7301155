//! The parts of a statement that outlive its reading.

use alloc::rc::Rc;
use alloc::vec::Vec;

use crate::diagnostics::Landmark;

/// What joins two stages.
pub(super) struct Link {
    /// `=>` joins ports pairwise; `->` joins one port to one or many.
    pub(super) pairwise: bool,
    pub(super) at: Landmark,
}

/// How a parameter gets its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FormalKind {
    Positional,
    Keyword(Rc<str>),
    /// `__REST__`
    Rest,
}

/// A list of ports, kept as the ranges it was written as: `[0-65535]` costs no more than `[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ports {
    ranges: Vec<(u16, u16)>,
    /// `[]` or `[0,]`: more ports may follow, as many as the other side has.
    pub(super) open: bool,
}

impl Ports {
    /// One port.
    pub(super) fn one(port: u16) -> Self {
        Self {
            ranges: alloc::vec![(port, port)],
            open: false,
        }
    }

    /// The first `count` ports; `None` if that is more than there can be.
    pub(super) fn first(count: usize) -> Option<Self> {
        match count.checked_sub(1) {
            None => Some(Self::default()),
            Some(last) => Some(Self {
                ranges: alloc::vec![(0, u16::try_from(last).ok()?)],
                open: false,
            }),
        }
    }

    /// Adds the ports from `first` to `last`.
    pub(super) fn add(&mut self, first: u16, last: u16) {
        self.ranges.push((first, last));
    }

    /// Adds `count` ports after the last, unless there cannot be so many.
    pub(super) fn extend(&mut self, count: usize) {
        let last = self.ranges.last().map_or(0, |&(_, last)| last);
        if let (Some(first), Ok(end)) = (
            last.checked_add(1),
            u16::try_from(usize::from(last) + count),
        ) && count > 0
        {
            self.add(first, end);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.ranges
            .iter()
            .map(|(first, last)| usize::from(last - first) + 1)
            .sum()
    }

    /// The ports in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + Clone + '_ {
        self.ranges.iter().flat_map(|&(first, last)| first..=last)
    }
}
