//! The order of terms: those that a packet would match together should stand apart, those that
//! exclude each other in the same way should share a block.
//!
//! The fewer blocks a packet's classes have in common, the less there is to intersect. As in the
//! bulk loading of an R-tree, terms are halved again and again along the field in which they
//! differ most, until each part fits a block.

use alloc::vec;
use alloc::vec::Vec;
use sprat_click::collections::{sort, sort_by_key};

use super::predicate::Predicate;
use super::terms::{DIMENSIONS, TermList};

/// Terms in a block.
const BLOCK: usize = 64;

/// The key of a term that a field does not constrain: after all others.
const UNCONSTRAINED: u64 = u64::MAX;

/// Arranges terms: returns their indexes in an order where each 64 make a block. Within a block
/// they ascend by rule.
pub(super) fn arrange(terms: &TermList) -> Vec<usize> {
    let mut keys = vec![UNCONSTRAINED; terms.len() * DIMENSIONS];
    for (keys, term) in keys.chunks_exact_mut(DIMENSIONS).zip(terms.iter()) {
        for (dimension, set) in term.sets() {
            keys[dimension] = key(terms.set(dimension, set));
        }
    }
    let mut order: Vec<usize> = (0..terms.len()).collect();
    halve(&mut order, &keys);
    for block in order.chunks_mut(BLOCK) {
        sort_by_key(block, |&term| (terms.rule(term), term));
    }
    // Blocks with early rules first: once one has matched, later blocks need no look. A block
    // that is not full stays last.
    let full = order.len() - order.len() % BLOCK;
    let mut blocks: Vec<&[usize]> = order[..full].chunks(BLOCK).collect();
    sort_by_key(&mut blocks, |block| terms.rule(block[0]));
    blocks.push(&order[full..]);
    blocks.concat()
}

/// By the lowest value, the larger set first.
fn key(set: &Predicate) -> u64 {
    let lowest = set.intervals.first().map_or(u32::MAX, |(low, _)| *low);
    let size = u32::try_from(set.size()).unwrap_or(u32::MAX);
    u64::from(lowest) << 32 | u64::from(u32::MAX - size)
}

fn halve(order: &mut [usize], keys: &[u64]) {
    if order.len() <= BLOCK {
        return;
    }
    let mut values = Vec::with_capacity(order.len());
    let mut best = (0, 0);
    for dimension in 0..DIMENSIONS {
        values.clear();
        values.extend(
            order
                .iter()
                .map(|&term| keys[term * DIMENSIONS + dimension])
                .filter(|key| *key != UNCONSTRAINED),
        );
        sort(&mut values);
        values.dedup();
        best = best.max((values.len(), dimension));
    }
    let (_, along) = best;
    drop(values);
    sort_by_key(order, |&term| (keys[term * DIMENSIONS + along], term));
    let middle = (order.len() / 2).next_multiple_of(BLOCK);
    let (low, high) = order.split_at_mut(middle);
    halve(low, keys);
    halve(high, keys);
}
