//! The compiled form of an ordered list of rules: a packet goes in, the first rule that matches
//! comes out. The folder's documentation says how it works.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use hashbrown::HashMap;

use super::expression::{Base, Expression, Field, Headers};
use super::interval_map::IntervalMap;
use super::order::arrange;
use super::partition::{Partition, divide};
use super::predicate::Predicate;
use super::terms::{DIMENSIONS, Dimensions, Term, Terms};

/// What [`Program::classify`] returns for a packet that no rule matches.
pub const NO_RULE: u16 = u16::MAX;

/// Packets looked at together, so that their memory accesses overlap. At most 64.
const LANES: usize = 32;

/// All terms together; the terms of further rules are widened to one each.
const TERMS: usize = 1 << 16;

/// The largest table that stands for two dimensions, in entries.
const MERGED_ENTRIES: usize = 1 << 15;

/// The most work to spend on one such table: entries times blocks.
const MERGE_WORK: usize = 1 << 20;

/// Why a list of rules cannot be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// There are more rules than [`Program::RULES`].
    TooManyRules,
    /// The rules tell apart more than 65,536 classes of values of one field.
    TooComplex,
}

impl fmt::Display for CompileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyRules => write!(formatter, "more than {} rules", Program::RULES),
            Self::TooComplex => formatter.write_str("too many different values for one field"),
        }
    }
}

impl core::error::Error for CompileError {}

/// One field and its classes.
#[derive(Clone, Debug)]
struct Dimension {
    field: Field,
    map: IntervalMap,
    missing: u16,
}

/// Several columns of classes made one: the result replaces the first of them.
#[derive(Clone, Debug)]
struct Merge {
    /// Columns, and how far apart in the table their classes are.
    parts: Vec<(usize, u32)>,
    table: Vec<u16>,
}

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

/// How classes become a rule.
#[derive(Clone, Debug)]
enum Outcome {
    /// Nothing is left to look at.
    Constant(u16),
    /// One column is left: the rule of each class.
    Table { column: usize, rules: Vec<u16> },
    /// Intersect the terms that each column admits.
    Intersect(Intersection),
}

/// Everything needed to intersect columns and pick the first rule.
#[derive(Clone, Debug)]
struct Intersection {
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

/// A compiled list of rules.
///
/// Immutable: classifying allocates nothing and changes nothing.
#[derive(Clone, Debug)]
pub struct Program {
    dimensions: Vec<Dimension>,
    merges: Vec<Merge>,
    outcome: Outcome,
}

/// A rule's part in the terms, while compiling.
struct Numbered {
    rule: u16,
    term: Term,
}

impl Program {
    /// The most rules a program can have.
    pub const RULES: usize = NO_RULE as usize;

    /// Compiles rules, the first of them having precedence.
    ///
    /// # Errors
    /// [`CompileError`] where the limits of the representation are passed.
    pub fn compile<'a>(
        rules: impl IntoIterator<Item = &'a Expression>,
    ) -> Result<Self, CompileError> {
        let mut space = Dimensions::default();
        let mut numbered: Vec<Numbered> = Vec::new();
        let mut checks = Vec::new();
        for (rule, expression) in rules.into_iter().enumerate() {
            let rule = match u16::try_from(rule) {
                Ok(rule) if rule != NO_RULE => rule,
                _ => return Err(CompileError::TooManyRules),
            };
            let Terms {
                mut terms,
                mut exact,
            } = space.terms(expression);
            if numbered.len() + terms.len() > TERMS {
                terms = vec![Term::default()];
                exact = false;
            }
            if !exact && !terms.is_empty() {
                checks.push((rule, expression.clone()));
            }
            let certain = exact && terms.iter().any(|term| term.sets.is_empty());
            numbered.extend(terms.into_iter().map(|term| Numbered { rule, term }));
            if certain {
                // Nothing gets past this one.
                break;
            }
        }
        Self::assemble(&space, numbered, checks)
    }

    fn assemble(
        space: &Dimensions,
        numbered: Vec<Numbered>,
        checks: Vec<(u16, Expression)>,
    ) -> Result<Self, CompileError> {
        let order = arrange(
            &numbered.iter().map(|entry| &entry.term).collect::<Vec<_>>(),
            |at| numbered[at].rule,
        );
        let blocks = order.len().div_ceil(64);
        let mut dimensions = Vec::new();
        let mut partitions: Vec<Option<Partition>> = Vec::new();
        for (number, field) in space.fields.iter().enumerate() {
            let mut free = vec![0u64; blocks];
            let mut known: HashMap<&Predicate, usize> = HashMap::new();
            let mut sets: Vec<(&Predicate, Vec<usize>)> = Vec::new();
            for (at, &term) in order.iter().enumerate() {
                let term = &numbered[term].term;
                match term.sets.binary_search_by_key(&number, |entry| entry.0) {
                    Ok(index) => {
                        let set = &term.sets[index].1;
                        let which = *known.entry(set).or_insert_with(|| {
                            sets.push((set, Vec::new()));
                            sets.len() - 1
                        });
                        sets[which].1.push(at);
                    }
                    Err(_) => free[at / 64] |= 1 << (at % 64),
                }
            }
            if sets.is_empty() {
                // Only contradictory or widened expressions named this field.
                continue;
            }
            let axis = divide(*field, blocks, &sets, &free)?;
            dimensions.push(Dimension {
                field: *field,
                map: IntervalMap::new(field.width, &axis.starts),
                missing: axis.missing,
            });
            partitions.push(Some(axis.partition));
        }
        let merges = merge(&mut partitions)?;
        let rules: Vec<u16> = order.iter().map(|&term| numbered[term].rule).collect();
        let left: Vec<usize> = (0..partitions.len())
            .filter(|at| partitions[*at].is_some())
            .collect();
        let outcome = match left[..] {
            [] if checks.is_empty() => {
                Outcome::Constant(rules.iter().copied().min().unwrap_or(NO_RULE))
            }
            [column] if checks.is_empty() => {
                let partition = partitions[column].as_ref();
                let first =
                    |class| first_rule(partition.into_iter().flat_map(|p| p.words(class)), &rules);
                let classes = partition.map_or(0, Partition::classes);
                Outcome::Table {
                    column,
                    rules: (0..classes).map(first).collect(),
                }
            }
            _ => Outcome::Intersect(Intersection::new(partitions, blocks, rules, checks)),
        };
        Ok(Self {
            dimensions,
            merges,
            outcome,
        })
    }

    /// For each of `count` rules, whether any packet could have it as its first match. Rules
    /// hidden behind several others together may go undetected in large programs.
    #[must_use]
    pub fn possible(&self, count: usize) -> Vec<bool> {
        let mut possible = vec![false; count];
        let outcomes = match &self.outcome {
            Outcome::Constant(rule) => core::slice::from_ref(rule),
            Outcome::Table { rules, .. } => rules,
            Outcome::Intersect(intersection) => &intersection.rules,
        };
        for rule in outcomes {
            if let Some(possible) = possible.get_mut(usize::from(*rule)) {
                *possible = true;
            }
        }
        possible
    }

    /// The first rule that matches a packet, or [`NO_RULE`].
    #[must_use]
    pub fn classify(&self, headers: &Headers<'_>) -> u16 {
        let mut rule = [NO_RULE];
        self.lanes::<1>(core::slice::from_ref(headers), &mut rule);
        rule[0]
    }

    /// The first rule that matches each packet, or [`NO_RULE`].
    ///
    /// # Panics
    /// If `rules` is shorter than `packets`.
    pub fn classify_batch(&self, packets: &[Headers<'_>], rules: &mut [u16]) {
        let rules = &mut rules[..packets.len()];
        for (packets, rules) in packets.chunks(LANES).zip(rules.chunks_mut(LANES)) {
            self.lanes::<LANES>(packets, rules);
        }
    }

    /// Classifies at most `N` packets.
    fn lanes<const N: usize>(&self, packets: &[Headers<'_>], rules: &mut [u16]) {
        let mut classes = [[0u16; N]; DIMENSIONS];
        for (dimension, classes) in self.dimensions.iter().zip(&mut classes) {
            dimension.classes(packets, classes);
        }
        for merge in &self.merges {
            merge.apply(&mut classes);
        }
        match &self.outcome {
            Outcome::Constant(rule) => rules.fill(*rule),
            Outcome::Table {
                column,
                rules: table,
            } => {
                for (rule, class) in rules.iter_mut().zip(&classes[*column]) {
                    *rule = table[usize::from(*class)];
                }
            }
            Outcome::Intersect(intersection) => {
                intersection.first_rules(packets, &classes, rules);
            }
        }
    }

    /// The memory the program takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let dimensions: usize = self
            .dimensions
            .iter()
            .map(|dimension| size_of_val(dimension) + dimension.map.bytes())
            .sum();
        let merges: usize = self
            .merges
            .iter()
            .map(|merge| {
                size_of_val(merge) + size_of_val(&*merge.parts) + size_of_val(&*merge.table)
            })
            .sum();
        let outcome = match &self.outcome {
            Outcome::Constant(_) => 0,
            Outcome::Table { rules, .. } => size_of_val(&**rules),
            Outcome::Intersect(intersection) => intersection.bytes(),
        };
        size_of_val(self) + dimensions + merges + outcome
    }
}

impl Dimension {
    /// Looks up the field in each packet.
    fn classes<const N: usize>(&self, packets: &[Headers<'_>], classes: &mut [u16; N]) {
        // One loop for each base and width, so that neither is decided again for each packet.
        match self.field.base {
            Base::Network => self.classes_of(packets, classes, |headers| headers.network),
            Base::Transport => self.classes_of(packets, classes, |headers| headers.transport),
        }
    }

    #[inline]
    fn classes_of<'a, const N: usize>(
        &self,
        packets: &[Headers<'a>],
        classes: &mut [u16; N],
        data: impl Fn(&Headers<'a>) -> &'a [u8],
    ) {
        match self.field.width {
            1 => self.look_up(packets, classes, |packet, start| {
                data(packet).get(start).copied().map(u32::from)
            }),
            2 => self.look_up(packets, classes, |packet, start| {
                Some(u16::from_be_bytes(bytes(data(packet), start)?).into())
            }),
            _ => self.look_up(packets, classes, |packet, start| {
                Some(u32::from_be_bytes(bytes(data(packet), start)?))
            }),
        }
    }

    #[inline]
    fn look_up<'a, const N: usize>(
        &self,
        packets: &[Headers<'a>],
        classes: &mut [u16; N],
        read: impl Fn(&Headers<'a>, usize) -> Option<u32>,
    ) {
        let start = usize::from(self.field.offset);
        let mut values = [0; N];
        let mut absent = 0u64;
        for (lane, (value, packet)) in values.iter_mut().zip(packets).enumerate() {
            match read(packet, start) {
                Some(read) => *value = read,
                None => absent |= 1 << lane,
            }
        }
        self.map.classes(&values, classes);
        while absent != 0 {
            classes[absent.trailing_zeros() as usize] = self.missing;
            absent &= absent - 1;
        }
    }
}

/// `N` bytes from `start` on.
#[inline]
fn bytes<const N: usize>(data: &[u8], start: usize) -> Option<[u8; N]> {
    data.get(start..)?.first_chunk().copied()
}

impl Merge {
    /// Combines columns in place; all but the first are not used again.
    fn apply<const N: usize>(&self, classes: &mut [[u16; N]; DIMENSIONS]) {
        let mut index = [0u32; N];
        for (column, stride) in &self.parts {
            for (index, class) in index.iter_mut().zip(&classes[*column]) {
                *index += u32::from(*class) * stride;
            }
        }
        for (class, index) in classes[self.parts[0].0].iter_mut().zip(index) {
            *class = self.table[index as usize];
        }
    }
}

/// Replaces partitions by their cross product for as long as that stays small, those with the
/// fewest classes first, as many at once as one table holds.
fn merge(partitions: &mut [Option<Partition>]) -> Result<Vec<Merge>, CompileError> {
    let mut merges = Vec::new();
    loop {
        let mut by_size: Vec<(usize, usize)> = partitions
            .iter()
            .enumerate()
            .filter_map(|(at, partition)| Some((partition.as_ref()?.classes(), at)))
            .collect();
        by_size.sort_unstable();
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
                *stride *= u32::try_from(classes).unwrap_or(u32::MAX);
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

/// The least rule whose term's bit is set.
fn first_rule(words: impl Iterator<Item = u64>, rules: &[u16]) -> u16 {
    let mut best = NO_RULE;
    for (block, mut word) in words.enumerate() {
        while word != 0 {
            best = best.min(rules[block * 64 + word.trailing_zeros() as usize]);
            word &= word - 1;
        }
    }
    best
}

impl Intersection {
    fn new(
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
    fn first_rules<const N: usize>(
        &self,
        packets: &[Headers<'_>],
        classes: &[[u16; N]; DIMENSIONS],
        rules: &mut [u16],
    ) {
        // The common numbers of columns, each with its loops unrolled.
        match self.columns.len() {
            1 => self.first_rules_of::<N, 1>(packets, classes, rules),
            2 => self.first_rules_of::<N, 2>(packets, classes, rules),
            3 => self.first_rules_of::<N, 3>(packets, classes, rules),
            4 => self.first_rules_of::<N, 4>(packets, classes, rules),
            5 => self.first_rules_of::<N, 5>(packets, classes, rules),
            6 => self.first_rules_of::<N, 6>(packets, classes, rules),
            _ => self.first_rules_of::<N, DIMENSIONS>(packets, classes, rules),
        }
    }

    #[inline]
    fn first_rules_of<const N: usize, const C: usize>(
        &self,
        packets: &[Headers<'_>],
        classes: &[[u16; N]; DIMENSIONS],
        rules: &mut [u16],
    ) {
        let width = self.blocks.div_ceil(64);
        for (lane, (packet, rule)) in packets.iter().zip(rules).enumerate() {
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
                    best = self.first_of_block(block, word, best, packet);
                }
            }
            *rule = best;
        }
    }

    /// The first rule of a block that has its bit in `word`, if it comes before `best`.
    #[inline]
    fn first_of_block(&self, block: usize, mut word: u64, best: u16, packet: &Headers<'_>) -> u16 {
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
    fn confirmed(&self, rule: u16, packet: &Headers<'_>) -> bool {
        if self.checks.is_empty() {
            return true;
        }
        match self.checks.binary_search_by_key(&rule, |check| check.0) {
            Ok(at) => self.checks[at].1.matches(packet),
            Err(_) => true,
        }
    }

    fn bytes(&self) -> usize {
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
