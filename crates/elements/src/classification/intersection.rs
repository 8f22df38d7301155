//! The last resort where tables would be too large: intersecting the terms that each column of
//! classes admits, block by block.

use alloc::vec;
use alloc::vec::Vec;

use super::expression::{Expression, Headers};
use super::partition::Partition;
use super::program::NO_RULE;
use super::terms::DIMENSIONS;
use super::workspace::Classes;

/// As many columns as addresses and ports are.
const FEW: usize = 4;

/// The bits of a column's classes.
#[derive(Clone, Debug)]
struct Column {
    /// Which of the columns this is.
    at: usize,
    /// For each class, which blocks have a bit at all.
    summaries: Vec<u64>,
    /// For each class and block, the number of a word in that block's pool.
    rows: Vec<u16>,
    /// Where each block's pool begins.
    pools: Vec<u32>,
    words: Vec<u64>,
}

/// Everything needed to intersect columns and pick the first rule.
#[derive(Clone, Debug)]
pub(super) struct Intersection {
    columns: Vec<Column>,
    blocks: usize,
    /// The rule of each term.
    rules: Vec<u16>,
    /// The first rule of each block.
    first: Vec<u16>,
    /// A bit for each block.
    present: Vec<u64>,
    /// Rules whose terms say too much, to be checked; by ascending rule.
    checks: Vec<(u16, Expression)>,
}

impl Intersection {
    pub(super) fn new(
        partitions: Vec<Option<Partition>>,
        blocks: usize,
        rules: Vec<u16>,
        checks: Vec<(u16, Expression)>,
    ) -> Self {
        let columns = partitions
            .into_iter()
            .enumerate()
            .filter_map(|(at, partition)| Some(Column::new(at, blocks, partition?)))
            .collect();
        let present = (0..blocks.div_ceil(64))
            .map(|at| u64::MAX >> (64 - (blocks - at * 64).min(64)))
            .collect();
        let first = rules
            .chunks(64)
            .map(|block| block.iter().copied().min().unwrap_or(NO_RULE))
            .collect();
        Self {
            columns,
            blocks,
            rules,
            first,
            present,
            checks,
        }
    }

    /// For each packet the first rule with a term that every column admits.
    pub(super) fn first_rules<'p, const N: usize>(
        &self,
        packet: &dyn Fn(usize) -> Headers<'p>,
        classes: &Classes<N>,
        rules: &mut [u16],
    ) {
        let classes = classes.each_ref().map(|column| &column[..]);
        // Usually there are few columns; room for more costs time for each packet.
        if self.columns.len() <= FEW {
            self.first_rules_of::<FEW>(packet, &classes, rules);
        } else {
            self.first_rules_of::<DIMENSIONS>(packet, &classes, rules);
        }
    }

    fn first_rules_of<'p, const C: usize>(
        &self,
        packet: &dyn Fn(usize) -> Headers<'p>,
        classes: &[&[u16]; DIMENSIONS],
        rules: &mut [u16],
    ) {
        let width = self.blocks.div_ceil(64);
        // Most packets are those that no rule singles out, and of the same classes: where nothing
        // but classes decides, the next one's rule is that of the last.
        let mut last: Option<([u16; C], u16)> = None;
        for (lane, rule) in rules.iter_mut().enumerate() {
            let mut these = [0; C];
            for (class, column) in these.iter_mut().zip(&self.columns) {
                *class = classes[column.at][lane];
            }
            if let Some((classes, known)) = last
                && classes == these
            {
                *rule = known;
                continue;
            }
            let mut summaries: [&[u64]; C] = [&[]; C];
            let mut rows: [&[u16]; C] = [&[]; C];
            for ((column, summary), row) in self.columns.iter().zip(&mut summaries).zip(&mut rows) {
                let class = usize::from(classes[column.at][lane]);
                *summary = &column.summaries[class * width..][..width];
                *row = &column.rows[class * self.blocks..][..self.blocks];
            }
            let columns = self.columns.len().min(C);
            let mut best = NO_RULE;
            for (at, everything) in self.present.iter().enumerate() {
                let mut live = *everything;
                for summary in &summaries[..columns] {
                    live &= summary[at];
                }
                while live != 0 {
                    let block = at * 64 + live.trailing_zeros() as usize;
                    live &= live - 1;
                    if self.first[block] >= best {
                        continue;
                    }
                    let mut word = u64::MAX;
                    for (column, row) in self.columns.iter().zip(&rows[..columns]) {
                        let number = column.pools[block] as usize + usize::from(row[block]);
                        word &= column.words[number];
                    }
                    best = self.first_of_block(block, word, best, &|| packet(lane));
                }
            }
            *rule = best;
            last = self.checks.is_empty().then_some((these, best));
        }
    }

    /// The first rule of a block that has its bit in `word`, if it comes before `best`.
    #[inline]
    fn first_of_block<'p>(
        &self,
        block: usize,
        mut word: u64,
        best: u16,
        packet: &impl Fn() -> Headers<'p>,
    ) -> u16 {
        while word != 0 {
            let term = block * 64 + word.trailing_zeros() as usize;
            word &= word - 1;
            // Without columns, bits past the last term stay set.
            let Some(&rule) = self.rules.get(term) else {
                break;
            };
            // Within a block terms stand in the order of their rules.
            if rule >= best {
                break;
            }
            if self.confirmed(rule, packet) {
                return rule;
            }
        }
        best
    }

    #[inline]
    fn confirmed<'p>(&self, rule: u16, packet: &impl Fn() -> Headers<'p>) -> bool {
        if self.checks.is_empty() {
            return true;
        }
        match self.checks.binary_search_by_key(&rule, |check| check.0) {
            Ok(at) => self.checks[at].1.matches(&packet()),
            Err(_) => true,
        }
    }

    /// The rules that have terms.
    pub(super) fn rules(&self) -> &[u16] {
        &self.rules
    }

    /// Whether some rules look at the packet once more.
    pub(super) fn checks(&self) -> bool {
        !self.checks.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::bytes).sum();
        columns + size_of_val(&*self.rules) + size_of_val(&*self.first) + size_of_val(&*self.checks)
    }
}

impl Column {
    fn new(at: usize, blocks: usize, partition: Partition) -> Self {
        let classes = partition.classes();
        let summary_words = blocks.div_ceil(64);
        let mut summaries = vec![0; classes * summary_words];
        for class in 0..classes {
            for (block, word) in partition.words(class).enumerate() {
                if word != 0 {
                    summaries[class * summary_words + block / 64] |= 1 << (block % 64);
                }
            }
        }
        let (rows, pools_by_block) = partition.into_parts();
        let mut pools = Vec::with_capacity(blocks);
        let mut words: Vec<u64> = Vec::new();
        for pool in pools_by_block {
            // At most 65,536 words for each of at most 1,024 blocks.
            pools.push(u32::try_from(words.len()).unwrap_or(u32::MAX));
            words.extend(pool);
        }
        Self {
            at,
            summaries,
            rows,
            pools,
            words,
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(self)
            + size_of_val(&*self.summaries)
            + size_of_val(&*self.rows)
            + size_of_val(&*self.pools)
            + size_of_val(&*self.words)
    }
}
