//! One end of a TCP connection, put together from elements.

pub(super) mod acknowledge;
pub(super) mod buffer;
pub(super) mod connection;
pub(super) mod convert;
pub(super) mod copy;
pub(super) mod demultiplex;
#[cfg(test)]
mod tests;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use sprat_click::collections::Set;
use sprat_click::{Context, Element, ElementId};

/// What all these elements give as their packets' window.
const WINDOW: u16 = 32120;

/// What they give as their type of service: that delay matters (RFC 1349).
const LOW_DELAY: u8 = 0x10;

/// Which way to look.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Upstream,
    Downstream,
}

/// The nearest element that is a `T`, of those that packets come from or go to by port 0.
fn nearest<T: Element>(context: &Context<'_>, direction: Direction) -> Option<ElementId> {
    let router = context.router();
    let own = context.id();
    let mut next: Vec<Vec<ElementId>> = alloc::vec![Vec::new(); router.len()];
    for id in router.elements() {
        for (port, (_, targets)) in router.outputs_of(id).into_iter().enumerate() {
            for (target, input) in targets {
                let (from, to, port) = match direction {
                    Direction::Downstream => (id, target, port),
                    Direction::Upstream => (target, id, usize::from(input)),
                };
                if from != own || port == 0 {
                    next[from.index()].push(to);
                }
            }
        }
    }
    let mut seen: Set<ElementId> = [own].into_iter().collect();
    let mut open = VecDeque::from([own]);
    while let Some(id) = open.pop_front() {
        for &found in &next[id.index()] {
            if !seen.insert(found) {
                continue;
            }
            if context.with::<T, _>(found, |_, _| ()).is_some() {
                return Some(found);
            }
            open.push_back(found);
        }
    }
    None
}
