//! Sets of the values of one field, and the translation of tests into them.

use alloc::vec::Vec;
use sprat_click::collections::sort;

use super::expression::{Comparison, Field, Test};

/// Masks that would split a field into more intervals than this are split into bytes instead.
const INTERVALS_FOR_A_MASK: usize = 64;

/// A set of values of one field, with "the packet ends before it" as one more value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Predicate {
    /// Closed intervals, ascending, neither overlapping nor touching.
    pub(super) intervals: Vec<(u32, u32)>,
    /// Whether a packet without the field is in the set.
    pub(super) missing: bool,
}

impl Predicate {
    /// Whether nothing is in the set.
    pub(super) fn is_empty(&self) -> bool {
        self.intervals.is_empty() && !self.missing
    }

    /// Whether everything is in the set.
    pub(super) fn is_everything(&self, field: Field) -> bool {
        self.missing && self.intervals == [(0, field.maximum())]
    }

    /// How many values are in the set.
    pub(super) fn size(&self) -> u64 {
        self.intervals
            .iter()
            .map(|(low, high)| u64::from(high - low) + 1)
            .sum()
    }

    /// What is in both sets.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let mut intervals = Vec::new();
        let (mut left, mut right) = (self.intervals.iter(), other.intervals.iter());
        let (mut a, mut b) = (left.next(), right.next());
        while let (Some(&(a_low, a_high)), Some(&(b_low, b_high))) = (a, b) {
            let (low, high) = (a_low.max(b_low), a_high.min(b_high));
            if low <= high {
                intervals.push((low, high));
            }
            if a_high < b_high {
                a = left.next();
            } else {
                b = right.next();
            }
        }
        Self {
            intervals,
            missing: self.missing && other.missing,
        }
    }

    /// What is in either set.
    pub(super) fn union(&self, other: &Self) -> Self {
        let mut all: Vec<_> = self
            .intervals
            .iter()
            .chain(&other.intervals)
            .copied()
            .collect();
        sort(&mut all);
        Self {
            intervals: join(all),
            missing: self.missing || other.missing,
        }
    }

    /// What is not in the set.
    pub(super) fn complement(&self, field: Field) -> Self {
        let mut intervals = Vec::with_capacity(self.intervals.len() + 1);
        let mut next = Some(0);
        for &(low, high) in &self.intervals {
            if let Some(start) = next
                && start < low
            {
                intervals.push((start, low - 1));
            }
            next = high.checked_add(1);
        }
        if let Some(start) = next
            && start <= field.maximum()
        {
            intervals.push((start, field.maximum()));
        }
        Self {
            intervals,
            missing: !self.missing,
        }
    }

    /// The values that pass a test, or `None` where they are better told apart byte by byte.
    pub(super) fn of(test: &Test) -> Option<Self> {
        let maximum = test.field.maximum();
        let mask = test.mask & maximum;
        let Test {
            comparison, value, ..
        } = *test;
        // Bits below the mask's lowest one do not matter: they make runs of consecutive values.
        let run = if mask == 0 {
            maximum
        } else {
            (1 << mask.trailing_zeros()) - 1
        };
        let free = !mask & maximum & !run;
        // Without free bits the masked values ascend with the field itself.
        if free == 0 {
            let clip = |high: u32| high.min(maximum);
            let floor = value & !run;
            let exact = value & mask == value;
            let mut intervals = Vec::new();
            match comparison {
                Comparison::Equal => {
                    if exact {
                        intervals.push((value, value | run));
                    }
                }
                Comparison::Different => {
                    if !exact {
                        intervals.push((0, maximum));
                    } else {
                        if value > 0 {
                            intervals.push((0, value - 1));
                        }
                        if value | run < maximum {
                            intervals.push(((value | run) + 1, maximum));
                        }
                    }
                }
                Comparison::Greater => {
                    if floor | run < maximum {
                        intervals.push(((floor | run) + 1, maximum));
                    }
                }
                Comparison::AtMost => intervals.push((0, clip(floor | run))),
            }
            return Some(Self {
                intervals,
                missing: false,
            });
        }
        if test.field.width == 1 {
            let all = (0..=maximum)
                .filter(|value| test.accepts(*value))
                .map(|value| (value, value))
                .collect();
            return Some(Self {
                intervals: join(all),
                missing: false,
            });
        }
        let ordered = matches!(comparison, Comparison::Greater | Comparison::AtMost);
        if ordered || free.count_ones() > INTERVALS_FOR_A_MASK.ilog2() {
            return None;
        }
        let mut intervals = Vec::with_capacity(1 << free.count_ones());
        if value & mask == value {
            // Counts through every subset of the free bits, in ascending order.
            let mut subset = 0u32;
            loop {
                intervals.push((value | subset, value | subset | run));
                if subset == free {
                    break;
                }
                subset = (subset | !free).wrapping_add(1) & free;
            }
        }
        sort(&mut intervals);
        let equal = Self {
            intervals: join(intervals),
            missing: false,
        };
        Some(if comparison == Comparison::Equal {
            equal
        } else {
            let mut different = equal.complement(test.field);
            different.missing = false;
            different
        })
    }
}

/// Joins intervals that overlap or touch. They must come in ascending order.
fn join(sorted: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
    for (low, high) in sorted {
        match joined.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => joined.push((low, high)),
        }
    }
    joined
}
