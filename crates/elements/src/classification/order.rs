//! The order of terms: those that a packet would match together should stand apart, those that
//! exclude each other in the same way should share a block.
//!
//! The fewer blocks a packet's classes have in common, the less there is to intersect. As in the
//! bulk loading of an R-tree, terms are halved again and again along the field in which they
//! differ most, until each part fits a block.

use alloc::vec::Vec;

use super::terms::{DIMENSIONS, Term};

/// Terms in a block.
const BLOCK: usize = 64;

/// Arranges terms: returns their indexes in an order where each 64 make a block. Within a block
/// they ascend by `rule`.
pub(super) fn arrange(terms: &[&Term], rule: impl Fn(usize) -> u16) -> Vec<usize> {
    let keys: Vec<[Key; DIMENSIONS]> = terms.iter().map(|term| keys(term)).collect();
    let mut order: Vec<usize> = (0..terms.len()).collect();
    halve(&mut order, &keys);
    for block in order.chunks_mut(BLOCK) {
        block.sort_unstable_by_key(|&term| (rule(term), term));
    }
    order
}

/// What a term wants of one field: unconstrained last, then by the lowest value, the larger set
/// first.
type Key = (bool, u32, u64);

fn keys(term: &Term) -> [Key; DIMENSIONS] {
    let mut keys = [(true, 0, 0); DIMENSIONS];
    for (dimension, set) in &term.sets {
        let lowest = set.intervals.first().map_or(u32::MAX, |(low, _)| *low);
        keys[*dimension] = (false, lowest, u64::MAX - set.size());
    }
    keys
}

fn halve(order: &mut [usize], keys: &[[Key; DIMENSIONS]]) {
    if order.len() <= BLOCK {
        return;
    }
    let distinct = |dimension: usize| {
        let mut values: Vec<Key> = order
            .iter()
            .map(|&term| keys[term][dimension])
            .filter(|key| !key.0)
            .collect();
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    let along = (0..DIMENSIONS)
        .max_by_key(|&dimension| distinct(dimension))
        .unwrap_or(0);
    order.sort_unstable_by_key(|&term| (keys[term][along], term));
    let middle = (order.len() / 2).next_multiple_of(BLOCK);
    let (low, high) = order.split_at_mut(middle);
    halve(low, keys);
    halve(high, keys);
}
