//! The compiled form of an ordered list of rules: a packet goes in, the first rule that matches
//! comes out. The folder's documentation says how it works.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::dimension::Dimension;
use super::expression::{Expression, Headers};
use super::flow_cache::{FlowCache, Key};
use super::intersection::Intersection;
use super::interval_map::IntervalMap;
use super::merge::{Merge, merge};
use super::order::arrange;
use super::partition::{Partition, divide};
use super::predicate::Predicate;
use super::records::{RecordLayout, Records};
use super::terms::{DIMENSIONS, Dimensions, Term, TermList, Terms};
use super::workspace::{Classes, LANES, Workspace};

/// What [`Program::classify`] returns for a packet that no rule matches.
pub const NO_RULE: u16 = u16::MAX;

/// All terms together; the terms of further rules are widened to one each.
const TERMS: usize = 1 << 16;

/// Packets looked up together of those that the cache does not know.
const MISSED: usize = 8;

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

/// A compiled list of rules.
///
/// Immutable: classifying allocates nothing and changes nothing.
#[derive(Clone, Debug)]
pub struct Program {
    dimensions: Vec<Dimension>,
    merges: Vec<Merge>,
    outcome: Outcome,
    /// How packets' fields are copied out, where they can be.
    records: Option<RecordLayout>,
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
        let mut list = TermList::default();
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
            if list.len() + terms.len() > TERMS {
                terms = vec![Term::default()];
                exact = false;
            }
            if !exact && !terms.is_empty() {
                checks.push((rule, expression.clone()));
            }
            let certain = exact && terms.iter().any(|term| term.sets.is_empty());
            for term in terms {
                list.push(rule, term);
            }
            if certain {
                // Nothing gets past this one.
                break;
            }
        }
        list.seal();
        Self::assemble(&space, &list, checks)
    }

    fn assemble(
        space: &Dimensions,
        list: &TermList,
        checks: Vec<(u16, Expression)>,
    ) -> Result<Self, CompileError> {
        let order = arrange(list);
        let blocks = order.len().div_ceil(64);
        let mut dimensions = Vec::new();
        let mut partitions: Vec<Option<Partition>> = Vec::new();
        for (number, field) in space.fields.iter().enumerate() {
            let mut free = vec![0u64; blocks];
            let pool = list.pool(number);
            let mut sets: Vec<(&Predicate, Vec<usize>)> =
                pool.iter().map(|set| (set, Vec::new())).collect();
            for (at, &term) in order.iter().enumerate() {
                let wanted = list
                    .term(term)
                    .sets()
                    .find(|(dimension, _)| *dimension == number);
                match wanted {
                    Some((_, set)) => sets[set].1.push(at),
                    None => free[at / 64] |= 1 << (at % 64),
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
        let rules: Vec<u16> = order.iter().map(|&term| list.rule(term)).collect();
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
            records: RecordLayout::new(&dimensions),
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
            Outcome::Intersect(intersection) => intersection.rules(),
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
        let mut classes = [[0; 1]; DIMENSIONS];
        for (dimension, classes) in self.dimensions.iter().zip(&mut classes) {
            *classes = [dimension.class(headers)];
        }
        self.conclude(&mut classes, &|_| *headers, &mut rule);
        rule[0]
    }

    /// The first rule that matches each packet, or [`NO_RULE`]. `headers` finds a packet's
    /// headers; the workspace must be one that this program made.
    ///
    /// # Panics
    /// If `rules` is shorter than `packets`.
    pub fn classify_batch<'p, P>(
        &self,
        packets: &'p [P],
        headers: impl Fn(&'p P) -> Headers<'p>,
        rules: &mut [u16],
        workspace: &mut Workspace,
    ) {
        let rules = &mut rules[..packets.len()];
        let groups = packets.chunks(LANES).zip(rules.chunks_mut(LANES));
        let Some(layout) = &self.records else {
            for (packet, rule) in packets.iter().zip(rules) {
                *rule = self.classify(&headers(packet));
            }
            return;
        };
        let Workspace {
            records,
            classes,
            cache,
        } = workspace;
        for (packets, rules) in groups {
            let packet = |lane: usize| headers(&packets[lane]);
            layout.fill(packets.len(), &packet, records);
            match cache.as_mut().and_then(FlowCache::consulted) {
                Some(cache) => self.remember(records, rules, cache),
                None => {
                    self.look_up(
                        |dimension, _, values| records.read(dimension.field, values),
                        classes,
                        &packet,
                        rules,
                    );
                }
            }
            self.complete(records, packets, &headers, rules);
        }
    }

    /// Classifies the packets that were cut short, and fragments without a transport header.
    fn complete<'p, P>(
        &self,
        records: &Records<LANES>,
        packets: &'p [P],
        headers: &impl Fn(&'p P) -> Headers<'p>,
        rules: &mut [u16],
    ) {
        let mut incomplete = records.incomplete;
        while incomplete != 0 {
            let lane = incomplete.trailing_zeros() as usize;
            rules[lane] = self.classify(&headers(&packets[lane]));
            incomplete &= incomplete - 1;
        }
    }

    /// From the classes of the fields of at most `N` packets to rules.
    fn conclude<'p, const N: usize>(
        &self,
        classes: &mut Classes<N>,
        packet: &dyn Fn(usize) -> Headers<'p>,
        rules: &mut [u16],
    ) {
        for merge in &self.merges {
            merge.apply(classes);
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
                intersection.first_rules(packet, classes, rules);
            }
        }
    }

    /// Room for [`Program::classify_batch`] to work in.
    #[must_use]
    pub fn workspace(&self) -> Workspace {
        Workspace::new(self.flow_cache())
    }

    /// A cache, or `None` where it would not pay: where the program is cheap already, looks at too
    /// many fields, or at more than fields.
    fn flow_cache(&self) -> Option<FlowCache> {
        let expensive = match &self.outcome {
            Outcome::Intersect(intersection) if intersection.checks() => return None,
            Outcome::Intersect(_) => true,
            _ => self
                .dimensions
                .iter()
                .any(|dimension| dimension.map.is_tree()),
        };
        let fits = places(&self.dimensions).count() == self.dimensions.len();
        if !expensive || !fits || self.records.is_none() {
            return None;
        }
        let mut rule = [NO_RULE];
        self.look_up_keys::<1>(&[[0; 2]], &mut rule);
        Some(FlowCache::new(rule[0]))
    }

    /// Finds rules in the cache, and those it does not know by classifying.
    fn remember(&self, records: &Records<LANES>, rules: &mut [u16], cache: &mut FlowCache) {
        let mut first = [0u64; LANES];
        let mut second = [0u64; LANES];
        for (dimension, place) in self.dimensions.iter().zip(places(&self.dimensions)) {
            let words = if place.second {
                &mut second
            } else {
                &mut first
            };
            let mut values = [0; LANES];
            records.read(dimension.field, &mut values);
            for (word, value) in words.iter_mut().zip(values) {
                *word |= u64::from(value) << place.shift;
            }
        }
        let mut missed = [0; LANES];
        let mut misses = 0;
        for (lane, rule) in rules.iter_mut().enumerate() {
            if records.incomplete >> lane & 1 != 0 {
                // It cannot be told by its values.
                continue;
            }
            match cache.get([first[lane], second[lane]]) {
                Some(known) => *rule = known,
                None => {
                    missed[misses] = lane;
                    misses += 1;
                }
            }
        }
        cache.note(misses, rules.len());
        for missed in missed[..misses].chunks(MISSED) {
            let mut keys = [[0; 2]; MISSED];
            let mut found = [NO_RULE; MISSED];
            for (key, &lane) in keys.iter_mut().zip(missed) {
                *key = [first[lane], second[lane]];
            }
            self.look_up_keys(&keys, &mut found);
            for ((&lane, key), rule) in missed.iter().zip(keys).zip(found) {
                rules[lane] = rule;
                cache.insert(key, rule);
            }
        }
    }

    /// Classifies by keys.
    fn look_up_keys<const N: usize>(&self, keys: &[Key; N], rules: &mut [u16; N]) {
        let read = |dimension: &Dimension, place: Place, values: &mut [u32; N]| {
            let maximum = dimension.field.maximum();
            for (value, key) in values.iter_mut().zip(keys) {
                let word = key[usize::from(place.second)] >> place.shift;
                *value = (word & 0xffff_ffff) as u32 & maximum;
            }
        };
        self.look_up::<N>(
            |dimension, at, values| {
                if let Some(place) = places(&self.dimensions).nth(at) {
                    read(dimension, place, values);
                }
            },
            &mut [[0; N]; DIMENSIONS],
            &|_| Headers::default(),
            rules,
        );
    }

    /// Classifies by the values that `read` gives for each dimension.
    #[inline]
    fn look_up<'p, const N: usize>(
        &self,
        read: impl Fn(&Dimension, usize, &mut [u32; N]),
        classes: &mut Classes<N>,
        packet: &dyn Fn(usize) -> Headers<'p>,
        rules: &mut [u16],
    ) {
        for ((at, dimension), classes) in self.dimensions.iter().enumerate().zip(&mut *classes) {
            let mut values = [0; N];
            read(dimension, at, &mut values);
            dimension.map.classes(&values, classes);
        }
        self.conclude(classes, packet, rules);
    }

    /// The memory the program takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let dimensions: usize = self
            .dimensions
            .iter()
            .map(|dimension| size_of_val(dimension) + dimension.map.bytes())
            .sum();
        let merges: usize = self.merges.iter().map(Merge::bytes).sum();
        let outcome = match &self.outcome {
            Outcome::Constant(_) => 0,
            Outcome::Table { rules, .. } => size_of_val(&**rules),
            Outcome::Intersect(intersection) => intersection.bytes(),
        };
        size_of_val(self) + dimensions + merges + outcome
    }
}

/// Where a field stands in a key.
struct Place {
    second: bool,
    shift: u32,
}

/// Where fields stand in a key, for as long as there is room.
fn places(dimensions: &[Dimension]) -> impl Iterator<Item = Place> {
    // The low 16 bits of the second word are the rule's.
    let mut free = [64, 48];
    dimensions.iter().map_while(move |dimension| {
        let bits = 8 * u32::from(dimension.field.width);
        let which = (0..2).find(|&which| free[which] >= bits)?;
        free[which] -= bits;
        let second = which == 1;
        Some(Place {
            second,
            shift: free[which] + if second { 16 } else { 0 },
        })
    })
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
