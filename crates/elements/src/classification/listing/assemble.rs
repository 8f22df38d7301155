//! Expressions as steps, one after the other as they are written.

use alloc::vec::Vec;
use core::ops::Range;

use super::super::expression::{Base, Comparison, Expression, Field, Test};
use super::Layout;
use super::step::{Step, Target};

/// Where offsets of the link, network and transport headers begin in a listing for IP packets.
/// The link header's 14 bytes end where a word does.
const LINK_BASE: u32 = 2;
const NETWORK_BASE: u32 = 256;
const TRANSPORT_BASE: u32 = 512;

/// The steps of an expression, which lead on to success or failure.
pub(super) fn assemble(expression: &Expression, layout: Layout) -> Vec<Step> {
    let mut assembly = Assembly {
        layout,
        steps: Vec::new(),
    };
    assembly.expression(expression, false);
    assembly.steps
}

struct Assembly {
    layout: Layout,
    steps: Vec<Step>,
}

/// How parts make a whole.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    All,
    Any,
}

impl Assembly {
    /// Appends an expression. Where `guarded`, packets are known to be first fragments.
    fn expression(&mut self, expression: &Expression, guarded: bool) {
        match expression {
            Expression::Constant(value) => self.constant(*value),
            Expression::Not(inner) => {
                let start = self.steps.len();
                self.expression(inner, guarded);
                self.negate(start, false);
            }
            Expression::All(parts) if self.layout == Layout::Packet && self.words(parts) => {}
            Expression::All(parts) => self.all(parts, guarded),
            Expression::Any(parts) if parts.is_empty() => self.constant(false),
            Expression::Any(parts) => {
                let starts = parts.iter().map(|part| {
                    let start = self.steps.len();
                    self.expression(part, guarded);
                    start
                });
                let starts = starts.collect();
                self.join(Join::Any, starts);
            }
            Expression::Test(test) => {
                let mut starts = Vec::new();
                if test.field.base == Base::Transport && !guarded {
                    starts.push(self.steps.len());
                    self.first_fragment();
                }
                starts.push(self.steps.len());
                self.test(test);
                self.join(Join::All, starts);
            }
        }
    }

    fn all(&mut self, parts: &[Expression], guarded: bool) {
        if parts.is_empty() {
            self.constant(true);
        }
        let mut starts = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            let mut guarded = guarded;
            // A protocol's tests come first, then that of fragments.
            if !guarded && number + 1 == parts.len() && is_transport(part) {
                starts.push(self.steps.len());
                self.first_fragment();
                guarded = true;
            }
            starts.push(self.steps.len());
            self.expression(part, guarded);
        }
        self.join(Join::All, starts);
    }

    /// Appends tests of neighbouring bytes of a packet, those of one word as one step; says
    /// whether the parts were such tests.
    fn words(&mut self, parts: &[Expression]) -> bool {
        let tests = parts.iter().map(|part| match part {
            Expression::Test(test) if test.comparison == Comparison::Equal => Some(test),
            _ => None,
        });
        let Some(tests) = tests.collect::<Option<Vec<_>>>() else {
            return false;
        };
        let mut starts = Vec::new();
        for test in &tests {
            for word in self.equal(test.field, test.mask, test.value) {
                match self.steps.last_mut().filter(|_| !starts.is_empty()) {
                    Some(last) if last.offset == word.offset => {
                        last.mask |= word.mask;
                        last.value |= word.value;
                    }
                    _ => {
                        starts.push(self.steps.len());
                        self.steps.push(word);
                    }
                }
            }
        }
        self.join(Join::All, starts);
        !tests.is_empty()
    }

    fn constant(&mut self, value: bool) {
        let start = self.steps.len();
        self.steps.push(Step::new(0, 0, 0));
        if !value {
            self.negate(start, false);
        }
    }

    /// Fragments other than the first have no transport header (RFC 791, section 3.1).
    fn first_fragment(&mut self) {
        self.test(&Test::equal(Field::network(6, 2), 0x1fff, 0));
    }

    fn test(&mut self, test: &Test) {
        let start = self.steps.len();
        let mask = test.mask & test.field.maximum();
        match test.comparison {
            Comparison::Equal | Comparison::Different => {
                self.every_word(test.field, mask, test.value);
            }
            Comparison::Greater | Comparison::AtMost => {
                self.greater(test.field, mask, test.value);
            }
        }
        if matches!(test.comparison, Comparison::Different | Comparison::AtMost) {
            self.negate(start, true);
        }
    }

    fn every_word(&mut self, field: Field, mask: u32, value: u32) {
        let words = self.equal(field, mask, value);
        let starts = words.into_iter().map(|word| {
            self.steps.push(word);
            self.steps.len() - 1
        });
        let starts = starts.collect();
        self.join(Join::All, starts);
    }

    /// Masked equality, as a step for each word that the field lies in.
    fn equal(&self, field: Field, mask: u32, value: u32) -> Vec<Step> {
        let base = match (self.layout, field.base) {
            (Layout::Packet, _) => 0,
            (Layout::Ip, Base::Link) => LINK_BASE,
            (Layout::Ip, Base::Network) => NETWORK_BASE,
            (Layout::Ip, Base::Transport) => TRANSPORT_BASE,
        };
        let start = base + u32::from(field.offset);
        let offset = start - start % 4;
        let end = start + u32::from(field.width);
        // As it lies in eight bytes from the word's beginning.
        let shift = 64 - 8 * (end - offset);
        let place = |bits: u32| u64::from(bits) << shift;
        let half = |bits: u64, second: bool| -> u32 {
            let bits = if second { bits } else { bits >> 32 };
            u32::try_from(bits & 0xffff_ffff).unwrap_or(0)
        };
        let word = |second: bool| {
            Step::new(
                offset + if second { 4 } else { 0 },
                half(place(mask), second),
                half(place(value), second),
            )
        };
        let mut words = alloc::vec![word(false)];
        if end > offset + 4 {
            words.push(word(true));
        }
        words
    }

    /// Masked order, decided by runs of equal bits of the value, from the highest: where the
    /// value's are zeros, any one of the field's makes it greater; where they are ones, all of
    /// the field's must be, too.
    fn greater(&mut self, field: Field, mut mask: u32, value: u32) {
        let missing = value & !mask;
        if missing > field.maximum() {
            return self.constant(false);
        }
        // The masked field has no such bit: it is greater where the rest above it is.
        let below = missing.checked_ilog2().map_or(0, |bit| (1 << bit) - 1);
        let mut value = (value | below) & mask;
        let mut runs = Vec::new();
        while value < mask {
            let ones = value > mask >> 1;
            let other = if ones {
                !value.wrapping_add(1) & mask
            } else {
                value
            };
            let upper = match other.checked_ilog2() {
                Some(bit) => mask & !(u32::MAX >> (31 - bit)),
                None => mask,
            };
            let start = self.steps.len();
            self.every_word(field, upper, if ones { upper } else { 0 });
            if !ones {
                self.negate(start, true);
            }
            runs.push((start, if ones { Join::All } else { Join::Any }));
            mask &= !upper;
            value &= mask;
        }
        if runs.is_empty() {
            return self.constant(false);
        }
        // The last two first: what is behind a run belongs to it.
        for run in (1..runs.len()).rev() {
            self.join(runs[run - 1].1, alloc::vec![runs[run - 1].0, runs[run].0]);
        }
    }

    /// Leads parts, which begin at `starts` and are the last there are, to each other.
    fn join(&mut self, join: Join, starts: Vec<usize>) {
        for pair in starts.windows(2) {
            let (from, to) = match join {
                Join::All => (Target::Success, Target::Step(pair[1])),
                Join::Any => (Target::Failure, Target::Step(pair[1])),
            };
            redirect(&mut self.steps, pair[0]..pair[1], from, to);
        }
    }

    /// Turns what begins at `start` round; and, if asked to, what short packets answer.
    fn negate(&mut self, start: usize, short: bool) {
        for step in &mut self.steps[start..] {
            for target in step.targets_mut() {
                *target = match *target {
                    Target::Success => Target::Failure,
                    Target::Failure => Target::Success,
                    other => other,
                };
            }
            step.short ^= short;
        }
    }
}

/// Leads what went to `from` to `to`.
pub(super) fn redirect(steps: &mut [Step], range: Range<usize>, from: Target, to: Target) {
    for step in &mut steps[range] {
        for target in step.targets_mut() {
            if *target == from {
                *target = to;
            }
        }
    }
}

/// Whether an expression is made of tests of the transport header and cannot hold without one.
fn is_transport(expression: &Expression) -> bool {
    match expression {
        Expression::Test(test) => test.field.base == Base::Transport,
        Expression::All(parts) | Expression::Any(parts) => {
            !parts.is_empty() && parts.iter().all(is_transport)
        }
        _ => false,
    }
}
