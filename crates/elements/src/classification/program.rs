//! The compiled form of an ordered list of rules: a packet goes in, the first rule that matches
//! comes out. The folder's documentation says how it works.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::dimension::Dimension;
use super::expression::{Expression, Headers};
use super::intersection::Intersection;
use super::interval_map::IntervalMap;
use super::merge::{Merge, merge};
use super::order::arrange;
use super::partition::{Partition, divide};
use super::predicate::Predicate;
use super::records::RecordLayout;
use super::terms::{DIMENSIONS, Dimensions, Term, TermList, Terms};
use super::workspace::{Classes, LANES, Workspace, lanes};

/// What [`Program::classify`] returns for a packet that no rule matches.
pub const NO_RULE: u16 = u16::MAX;

/// All terms together; the terms of further rules are widened to one each.
const TERMS: usize = 1 << 16;

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
pub(super) enum Outcome {
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
    pub(super) dimensions: Vec<Dimension>,
    merges: Vec<Merge>,
    pub(super) outcome: Outcome,
    /// How packets' fields are copied out, where they can be.
    pub(super) records: Option<RecordLayout>,
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
            memory,
        } = workspace;
        for (packets, rules) in groups {
            let packet = |lane: usize| headers(&packets[lane]);
            let incomplete = if let Some(memory) = memory.as_mut()
                && memory.is_consulted()
            {
                self.remember(packets.len(), &packet, records, rules, memory)
            } else {
                layout.fill(packets.len(), &packet, records);
                self.look_up(
                    |dimension, _, values| records.read(dimension.field, values),
                    classes,
                    &packet,
                    rules,
                );
                records.incomplete
            };
            // Those that were cut short, and fragments without a transport header.
            for lane in lanes(incomplete) {
                rules[lane] = self.classify(&packet(lane));
            }
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

    /// Classifies by the values that `read` gives for each dimension.
    #[inline]
    pub(super) fn look_up<'p, const N: usize>(
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
