//! Classes of values: which terms each admits, as rows of bits kept by block.
//!
//! Terms are numbered so that terms alike in what they constrain stand together, 64 to a *block*.
//! The terms that a class of values admits are one word of bits for each block. Few words of a
//! block are distinct, so each block keeps a pool of them and a class only their numbers.

use alloc::vec;
use alloc::vec::Vec;
use core::hash::BuildHasher;
use sprat_click::collections::{Map, sort};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::expression::Field;
use super::predicate::Predicate;
use super::program::CompileError;

/// How one dimension, or a merge of several, divides packets.
#[derive(Debug)]
pub(super) struct Partition {
    blocks: usize,
    /// For each class one number for each block.
    rows: Vec<u16>,
    /// For each block the distinct words of bits.
    pools: Vec<Vec<u64>>,
}

/// Finds equal rows and words while a partition is built.
struct Builder {
    partition: Partition,
    classes: HashTable<u16>,
    words: Vec<Map<u64, u16>>,
    hasher: DefaultHashBuilder,
}

impl Builder {
    fn new(blocks: usize) -> Self {
        Self {
            partition: Partition {
                blocks,
                rows: Vec::new(),
                pools: vec![Vec::new(); blocks],
            },
            classes: HashTable::new(),
            words: vec![Map::new(); blocks],
            hasher: DefaultHashBuilder::default(),
        }
    }

    /// The number of a word in a block's pool.
    fn word(&mut self, block: usize, word: u64) -> Result<u16, CompileError> {
        let pool = &mut self.partition.pools[block];
        if let Some(number) = self.words[block].get(&word) {
            return Ok(*number);
        }
        let number = u16::try_from(pool.len()).map_err(|_| CompileError::TooComplex)?;
        pool.push(word);
        self.words[block].insert(word, number);
        Ok(number)
    }

    /// The class that has this row.
    fn class(&mut self, row: &[u16]) -> Result<u16, CompileError> {
        let Partition { blocks, rows, .. } = &mut self.partition;
        let blocks = *blocks;
        let at = |class: u16| usize::from(class) * blocks..(usize::from(class) + 1) * blocks;
        let hash = self.hasher.hash_one(row);
        if let Some(class) = self.classes.find(hash, |class| &rows[at(*class)] == row) {
            return Ok(*class);
        }
        let class = u16::try_from(self.classes.len()).map_err(|_| CompileError::TooComplex)?;
        rows.extend_from_slice(row);
        let hasher = &self.hasher;
        self.classes
            .insert_unique(hash, class, |class| hasher.hash_one(&rows[at(*class)]));
        Ok(class)
    }
}

impl Builder {
    /// The partition, without room to grow.
    fn finish(mut self) -> Partition {
        self.partition.rows.shrink_to_fit();
        self.partition
    }
}

/// A partition of the values of one field.
#[derive(Debug)]
pub(super) struct Axis {
    /// The classes.
    pub(super) partition: Partition,
    /// Where each stretch of one class begins, ascending from 0.
    pub(super) starts: Vec<(u32, u16)>,
    /// The class of a packet without the field.
    pub(super) missing: u16,
}

/// Divides the values of a field by the sets that terms want them in.
///
/// `sets` pairs each distinct set with the numbers of the terms that want it; `free` holds the
/// bits of the terms that do not care.
pub(super) fn divide(
    field: Field,
    blocks: usize,
    sets: &[(&Predicate, Vec<usize>)],
    free: &[u64],
) -> Result<Axis, CompileError> {
    let mut builder = Builder::new(blocks);
    // What is on and off as the value rises: position, then set.
    let mut changes = Vec::new();
    for (number, (set, _)) in sets.iter().enumerate() {
        for (low, high) in &set.intervals {
            changes.push((*low, number));
            if *high < field.maximum() {
                changes.push((high + 1, number));
            }
        }
    }
    sort(&mut changes);

    let mut bits = free.to_vec();
    let mut row = vec![0; blocks];
    for (block, word) in bits.iter().enumerate() {
        row[block] = builder.word(block, *word)?;
    }
    let mut starts: Vec<(u32, u16)> = Vec::new();
    if changes.first().is_none_or(|(position, _)| *position > 0) {
        starts.push((0, builder.class(&row)?));
    }
    let mut changed = Vec::new();
    let mut at = 0;
    while at < changes.len() {
        let position = changes[at].0;
        while at < changes.len() && changes[at].0 == position {
            for &term in &sets[changes[at].1].1 {
                bits[term / 64] ^= 1 << (term % 64);
                changed.push(term / 64);
            }
            at += 1;
        }
        sort(&mut changed);
        changed.dedup();
        for block in changed.drain(..) {
            row[block] = builder.word(block, bits[block])?;
        }
        let class = builder.class(&row)?;
        if starts.last().is_none_or(|(_, last)| *last != class) {
            starts.push((position, class));
        }
    }

    bits.copy_from_slice(free);
    for (_, terms) in sets.iter().filter(|(set, _)| set.missing) {
        for &term in terms {
            bits[term / 64] |= 1 << (term % 64);
        }
    }
    for (block, word) in bits.iter().enumerate() {
        row[block] = builder.word(block, *word)?;
    }
    let missing = builder.class(&row)?;
    Ok(Axis {
        partition: builder.finish(),
        starts,
        missing,
    })
}

impl Partition {
    /// How many classes there are.
    pub(super) fn classes(&self) -> usize {
        self.rows.len().checked_div(self.blocks).unwrap_or(1)
    }

    /// Crosses two partitions. The table gives the class of each pair, the right one counting
    /// fastest.
    pub(super) fn cross(&self, right: &Self) -> Result<(Self, Vec<u16>), CompileError> {
        let mut builder = Builder::new(self.blocks);
        let mut table = Vec::with_capacity(self.classes() * right.classes());
        // The number of each pair of words, once known.
        let mut pairs: Vec<Vec<Option<u16>>> = (0..self.blocks)
            .map(|block| vec![None; self.pools[block].len() * right.pools[block].len()])
            .collect();
        let mut row = vec![0; self.blocks];
        for mine in self.rows.chunks_exact(self.blocks) {
            for theirs in right.rows.chunks_exact(self.blocks) {
                for (block, entry) in row.iter_mut().enumerate() {
                    let (a, b) = (usize::from(mine[block]), usize::from(theirs[block]));
                    let pair = &mut pairs[block][a * right.pools[block].len() + b];
                    *entry = match *pair {
                        Some(number) => number,
                        None => *pair.insert(
                            builder.word(block, self.pools[block][a] & right.pools[block][b])?,
                        ),
                    };
                }
                table.push(builder.class(&row)?);
            }
        }
        Ok((builder.finish(), table))
    }

    /// Crossing costs this much: entries in the table times work for each.
    pub(super) fn cost_of_cross(&self, right: &Self) -> usize {
        self.classes() * right.classes() * self.blocks
    }

    /// The bits of one class, block by block.
    pub(super) fn words(&self, class: usize) -> impl Iterator<Item = u64> {
        self.rows[class * self.blocks..(class + 1) * self.blocks]
            .iter()
            .zip(&self.pools)
            .map(|(number, pool)| pool[usize::from(*number)])
    }

    /// The numbers of every class's words, and the pools they count in.
    pub(super) fn into_parts(self) -> (Vec<u16>, Vec<Vec<u64>>) {
        (self.rows, self.pools)
    }
}
