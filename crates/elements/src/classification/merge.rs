//! Columns of classes combined by tables, where the tables are small.

use alloc::vec;
use alloc::vec::Vec;
use sprat_click::collections::sort;

use super::partition::Partition;
use super::program::CompileError;
use super::terms::DIMENSIONS;

/// The largest table that stands for two dimensions, in entries.
const MERGED_ENTRIES: usize = 1 << 15;

/// The most work to spend on one such table: entries times blocks.
const MERGE_WORK: usize = 1 << 20;

/// Several columns of classes made one: the result replaces the first of them.
#[derive(Clone, Debug)]
pub(super) struct Merge {
    /// Columns, and how far apart in the table their classes are.
    parts: Vec<(usize, u16)>,
    table: Vec<u16>,
}

impl Merge {
    /// Combines columns in place; all but the first are not used again.
    pub(super) fn apply<const N: usize>(&self, classes: &mut [[u16; N]; DIMENSIONS]) {
        // A table has fewer entries than sixteen bits count, and so many lanes fit a vector.
        let mut index = [0u16; N];
        for (column, stride) in &self.parts {
            for (index, class) in index.iter_mut().zip(&classes[*column]) {
                *index = index.wrapping_add(class.wrapping_mul(*stride));
            }
        }
        for (class, index) in classes[self.parts[0].0].iter_mut().zip(index) {
            *class = self.table[usize::from(index)];
        }
    }
}

impl Merge {
    /// The memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self) + size_of_val(&*self.parts) + size_of_val(&*self.table)
    }
}

/// Replaces partitions by their cross product for as long as that stays small, those with the
/// fewest classes first, as many at once as one table holds.
pub(super) fn merge(partitions: &mut [Option<Partition>]) -> Result<Vec<Merge>, CompileError> {
    let mut merges = Vec::new();
    loop {
        let mut by_size: Vec<(usize, usize)> = partitions
            .iter()
            .enumerate()
            .filter_map(|(at, partition)| Some((partition.as_ref()?.classes(), at)))
            .collect();
        sort(&mut by_size);
        let mut chosen = by_size.into_iter();
        let Some((_, first)) = chosen.next() else {
            return Ok(merges);
        };
        let Some(mut merged) = partitions[first].take() else {
            return Ok(merges);
        };
        let mut table: Vec<u16> = (0..=u16::MAX).take(merged.classes()).collect();
        let mut parts = vec![(first, 1)];
        for (classes, column) in chosen {
            let Some(next) = &partitions[column] else {
                break;
            };
            if table.len() * classes > MERGED_ENTRIES || merged.cost_of_cross(next) > MERGE_WORK {
                break;
            }
            let (crossed, pairs) = merged.cross(next)?;
            table = table
                .iter()
                .flat_map(|&class| &pairs[usize::from(class) * classes..][..classes])
                .copied()
                .collect();
            for (_, stride) in &mut parts {
                // A table has at most MERGED_ENTRIES entries.
                *stride *= u16::try_from(classes).unwrap_or(u16::MAX);
            }
            parts.push((column, 1));
            merged = crossed;
            partitions[column] = None;
        }
        partitions[first] = Some(merged);
        if parts.len() == 1 {
            return Ok(merges);
        }
        merges.push(Merge { parts, table });
    }
}
