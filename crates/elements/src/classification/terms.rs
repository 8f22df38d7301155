//! From expressions to terms: conjunctions of sets of field values.
//!
//! An expression is brought into negation normal form over [`Predicate`]s and multiplied out.
//! Where that would give too many terms, the parts that multiply are left out, and the term is
//! marked *inexact*: whatever it admits must still be checked against the expression itself.

use alloc::vec;
use alloc::vec::Vec;

use sprat_click::collections::{Map, sort_by_key};

use super::expression::{Comparison, Expression, Field, Test};
use super::predicate::Predicate;

/// One expression becomes at most this many terms.
const TERMS_FOR_AN_EXPRESSION: usize = 128;

/// All fields that terms constrain; further ones are left to the check.
pub(super) const DIMENSIONS: usize = 16;

/// A conjunction: for each dimension it names, the set the field's value must lie in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Term {
    /// Dimensions with their sets, by ascending dimension.
    pub(super) sets: Vec<(usize, Predicate)>,
}

impl Term {
    /// Both terms at once, or `None` where they contradict.
    fn and(&self, other: &Self) -> Option<Self> {
        let mut sets = self.sets.clone();
        for (dimension, set) in &other.sets {
            match sets.binary_search_by_key(dimension, |entry| entry.0) {
                Ok(at) => {
                    let both = sets[at].1.intersection(set);
                    if both.is_empty() {
                        return None;
                    }
                    sets[at].1 = both;
                }
                Err(at) => sets.insert(at, (*dimension, set.clone())),
            }
        }
        Some(Self { sets })
    }

    /// The one dimension in which the terms differ, if there is just one and both constrain it.
    fn differs_in(&self, other: &Self) -> Option<usize> {
        if self.sets.len() != other.sets.len() {
            return None;
        }
        let mut found = None;
        for (at, (mine, theirs)) in self.sets.iter().zip(&other.sets).enumerate() {
            if mine.0 != theirs.0 {
                return None;
            }
            if mine.1 != theirs.1 && found.replace(at).is_some() {
                return None;
            }
        }
        found
    }
}

/// The terms of one expression: it can only match where one of them does.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// The terms, none contradictory.
    pub(super) terms: Vec<Term>,
    /// Whether a term that matches means that the expression does.
    pub(super) exact: bool,
}

impl Terms {
    fn constant(value: bool) -> Self {
        Self {
            terms: if value {
                vec![Term::default()]
            } else {
                Vec::new()
            },
            exact: true,
        }
    }

    /// Puts terms together that differ in one dimension only.
    fn simplify(&mut self) {
        if let Some(everything) = self.terms.iter().find(|term| term.sets.is_empty()) {
            self.terms = vec![everything.clone()];
            return;
        }
        let mut at = 0;
        while at < self.terms.len() {
            let mut other = at + 1;
            while other < self.terms.len() {
                if self.terms[at] == self.terms[other] {
                    self.terms.swap_remove(other);
                } else if let Some(which) = self.terms[at].differs_in(&self.terms[other]) {
                    let joined = self.terms[at].sets[which]
                        .1
                        .union(&self.terms[other].sets[which].1);
                    self.terms[at].sets[which].1 = joined;
                    self.terms.swap_remove(other);
                    other = at + 1;
                } else {
                    other += 1;
                }
            }
            at += 1;
        }
    }
}

/// The terms of all rules, their sets kept once each.
#[derive(Debug, Default)]
pub(super) struct TermList {
    /// Dimension and number of each set of each term, one term after the other.
    sets: Vec<(u16, u32)>,
    /// Where each term's sets end.
    ends: Vec<u32>,
    rules: Vec<u16>,
    /// The distinct sets of each dimension.
    pools: Vec<Vec<Predicate>>,
    numbers: Map<(usize, Predicate), u32>,
}

/// A term in a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListedTerm<'a>(&'a [(u16, u32)]);

impl ListedTerm<'_> {
    /// Its dimensions, ascending, each with the number of its set.
    pub(super) fn sets(&self) -> impl Iterator<Item = (usize, usize)> {
        self.0
            .iter()
            .map(|(dimension, set)| (usize::from(*dimension), *set as usize))
    }
}

impl TermList {
    /// Adds a term of a rule.
    pub(super) fn push(&mut self, rule: u16, term: Term) {
        for (dimension, set) in term.sets {
            if self.pools.len() <= dimension {
                self.pools.resize(dimension + 1, Vec::new());
            }
            let pool = &mut self.pools[dimension];
            let number = *self
                .numbers
                .get_or_insert_with((dimension, set.clone()), || {
                    pool.push(set);
                    count(pool.len()) - 1
                });
            // There are far fewer dimensions than sixteen bits count.
            self.sets
                .push((u16::try_from(dimension).unwrap_or(u16::MAX), number));
        }
        self.ends.push(count(self.sets.len()));
        self.rules.push(rule);
    }

    /// Says that no more are added: what was only needed for that is given up.
    pub(super) fn seal(&mut self) {
        self.numbers = Map::new();
    }

    /// How many terms there are.
    pub(super) fn len(&self) -> usize {
        self.rules.len()
    }

    /// A term.
    pub(super) fn term(&self, at: usize) -> ListedTerm<'_> {
        let start = at
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        ListedTerm(&self.sets[start..self.ends[at] as usize])
    }

    /// All terms.
    pub(super) fn iter(&self) -> impl Iterator<Item = ListedTerm<'_>> {
        (0..self.len()).map(|at| self.term(at))
    }

    /// The rule of a term.
    pub(super) fn rule(&self, at: usize) -> u16 {
        self.rules[at]
    }

    /// The distinct sets of a dimension.
    pub(super) fn pool(&self, dimension: usize) -> &[Predicate] {
        self.pools.get(dimension).map_or(&[], Vec::as_slice)
    }

    /// One of them.
    pub(super) fn set(&self, dimension: usize, number: usize) -> &Predicate {
        &self.pools[dimension][number]
    }
}

/// Counts of sets: terms are bounded, and so are the sets of one.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The fields in use, each a dimension of the space that the terms divide.
#[derive(Debug, Default)]
pub(super) struct Dimensions {
    /// The field of each dimension.
    pub(super) fields: Vec<Field>,
    numbers: Map<Field, usize>,
}

impl Dimensions {
    /// The dimension of a field, made if there is room for one more.
    fn of(&mut self, field: Field) -> Option<usize> {
        if let Some(&number) = self.numbers.get(&field) {
            return Some(number);
        }
        if self.fields.len() == DIMENSIONS {
            return None;
        }
        self.fields.push(field);
        self.numbers.insert(field, self.fields.len() - 1);
        Some(self.fields.len() - 1)
    }

    /// The terms of an expression.
    pub(super) fn terms(&mut self, expression: &Expression) -> Terms {
        self.translate(expression, false)
    }

    fn translate(&mut self, expression: &Expression, negated: bool) -> Terms {
        match expression {
            Expression::Constant(value) => Terms::constant(*value != negated),
            Expression::Not(inner) => self.translate(inner, !negated),
            Expression::Test(test) => self.test(test, negated),
            Expression::All(parts) if !negated => self.all(parts, negated),
            Expression::Any(parts) if negated => self.all(parts, negated),
            Expression::All(parts) | Expression::Any(parts) => self.any(parts, negated),
        }
    }

    fn all(&mut self, parts: &[Expression], negated: bool) -> Terms {
        let mut parts: Vec<Terms> = parts
            .iter()
            .map(|part| self.translate(part, negated))
            .collect();
        if parts.iter().any(|part| part.terms.is_empty()) {
            return Terms::constant(false);
        }
        // The narrow parts first, so that what must be left out is what would multiply most.
        sort_by_key(&mut parts, |part| part.terms.len());
        let mut product = Terms::constant(true);
        for part in parts {
            product.exact &= part.exact;
            if product.terms.len() * part.terms.len() > TERMS_FOR_AN_EXPRESSION {
                product.exact = false;
                continue;
            }
            product.terms = product
                .terms
                .iter()
                .flat_map(|left| part.terms.iter().filter_map(|right| left.and(right)))
                .collect();
            product.simplify();
        }
        product
    }

    fn any(&mut self, parts: &[Expression], negated: bool) -> Terms {
        let mut sum = Terms::constant(false);
        for part in parts {
            let part = self.translate(part, negated);
            sum.exact &= part.exact;
            sum.terms.extend(part.terms);
            sum.simplify();
        }
        if sum.terms.len() > TERMS_FOR_AN_EXPRESSION {
            sum.terms = vec![Term::default()];
            sum.exact = false;
        }
        sum
    }

    fn test(&mut self, test: &Test, negated: bool) -> Terms {
        // Three bytes make no dimension of their own.
        let direct = if test.field.width == 3 {
            None
        } else {
            Predicate::of(test)
        };
        let Some(mut set) = direct else {
            return self.translate(&in_bytes(test), negated);
        };
        if negated {
            set = set.complement(test.field);
        }
        if set.is_empty() {
            return Terms::constant(false);
        }
        if set.is_everything(test.field) {
            return Terms::constant(true);
        }
        match self.of(test.field) {
            Some(dimension) => Terms {
                terms: vec![Term {
                    sets: vec![(dimension, set)],
                }],
                exact: true,
            },
            None => Terms {
                terms: vec![Term::default()],
                exact: false,
            },
        }
    }
}

/// The same test, made of tests of single bytes.
fn in_bytes(test: &Test) -> Expression {
    let width = test.field.width;
    let byte = |index: u8, comparison: Comparison| {
        let shift = 8 * u32::from(width - 1 - index);
        Expression::Test(Test {
            field: Field {
                base: test.field.base,
                offset: test.field.offset + u16::from(index),
                width: 1,
            },
            mask: test.mask >> shift & 0xff,
            comparison,
            value: test.value >> shift & 0xff,
        })
    };
    let fits = test.value <= test.field.maximum();
    let equal = |count: u8| -> Vec<Expression> {
        (0..count)
            .map(|index| byte(index, Comparison::Equal))
            .collect()
    };
    // Present is present in full: the last byte tells.
    let present = Expression::Test(Test::equal(
        Field {
            base: test.field.base,
            offset: test.field.offset + u16::from(width - 1),
            width: 1,
        },
        0,
        0,
    ));
    // The most significant byte that differs decides.
    let greater = || {
        Expression::Any(
            (0..width)
                .map(|index| {
                    let mut parts = equal(index);
                    parts.push(byte(index, Comparison::Greater));
                    Expression::All(parts)
                })
                .collect(),
        )
    };
    match test.comparison {
        Comparison::Equal if fits => Expression::All(equal(width)),
        Comparison::Different if fits => {
            Expression::All(vec![present, Expression::All(equal(width)).negate()])
        }
        Comparison::Greater if fits => Expression::All(vec![present, greater()]),
        Comparison::AtMost if fits => Expression::All(vec![present, greater().negate()]),
        Comparison::Equal | Comparison::Greater => Expression::Constant(false),
        Comparison::Different | Comparison::AtMost => present,
    }
}
