//! Finding the queues that an element is to watch.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;

use sprat_click::arguments::split_words;
use sprat_click::collections::Set;
use sprat_click::{Context, ElementId, Rejected};

use crate::standard::queue::length_of;

/// Which way to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Upstream,
    Downstream,
}

/// The lengths of some queues, as of now.
#[derive(Default)]
pub(super) struct Queues {
    lengths: Vec<(ElementId, Rc<Cell<usize>>)>,
}

impl Queues {
    /// The queues that `names` lists, separated by spaces; an error for what is none.
    pub(super) fn named(context: &Context<'_>, names: &str) -> Result<Self, Rejected> {
        let mut queues = Self::default();
        for name in split_words(names) {
            let Some(id) = context.find(&name) else {
                return Err(context.error(format!("no element named '{name}'")));
            };
            let Some(length) = length_of(context, id) else {
                return Err(context.error(format!("'{name}' is not a Storage element")));
            };
            queues.lengths.push((id, length));
        }
        Ok(queues)
    }

    /// The nearest queue on every way in one direction.
    pub(super) fn nearest(context: &Context<'_>, direction: Direction) -> Self {
        let router = context.router();
        let mut next: Vec<Vec<ElementId>> = alloc::vec![Vec::new(); router.len()];
        for id in router.elements() {
            for (_, targets) in router.outputs_of(id) {
                for (target, _) in targets {
                    match direction {
                        Direction::Downstream => next[id.index()].push(target),
                        Direction::Upstream => next[target.index()].push(id),
                    }
                }
            }
        }
        let mut queues = Self::default();
        let mut seen: Set<ElementId> = [context.id()].into_iter().collect();
        let mut open = VecDeque::from([context.id()]);
        while let Some(id) = open.pop_front() {
            for &found in &next[id.index()] {
                if !seen.insert(found) {
                    continue;
                }
                match length_of(context, found) {
                    Some(length) => queues.lengths.push((found, length)),
                    None => open.push_back(found),
                }
            }
        }
        queues
    }

    /// Whether there is none to watch.
    pub(super) fn none_found(&self) -> bool {
        self.lengths.is_empty()
    }

    /// Packets in all of them.
    pub(super) fn packets(&self) -> usize {
        self.lengths.iter().map(|(_, length)| length.get()).sum()
    }

    /// The elements they are.
    pub(super) fn elements(&self) -> impl Iterator<Item = ElementId> + '_ {
        self.lengths.iter().map(|(id, _)| *id)
    }
}
