//! The program of a classifier as Click shows it in the `program` handler: a graph of steps, each
//! comparing four bytes under a mask.
//!
//! It is made from the rules when someone asks, for people to read; packets go through
//! [`Program`](super::Program). Steps are shared where what follows is the same, steps that a
//! packet's earlier answers decide are passed over, and tests of one word that must all hold are
//! one step.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use sprat_click::collections::{Map, sort};

use super::expression::{Base, Comparison, Expression, Field, Test};

/// Where offsets of the network and transport headers begin in a listing for IP packets.
const NETWORK_BASE: u32 = 256;
const TRANSPORT_BASE: u32 = 512;

/// How many refuted tests are remembered on a path.
const REFUTED: usize = 64;

/// Four bytes compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Word {
    offset: u32,
    mask: u32,
    value: u32,
}

/// Where to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    /// Out of an output, or nowhere.
    Output(Option<usize>),
    /// To a step.
    Step(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Step {
    word: Word,
    yes: Target,
    no: Target,
}

/// The steps of a classifier; its `Display` is the text of the `program` handler.
#[derive(Clone, Debug)]
pub struct Listing {
    steps: Vec<Step>,
    start: Target,
    safe_length: u32,
}

/// The origin of offsets in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The first byte of the packet.
    Packet,
    /// The link header at zero, the network header at 256 and the transport header at 512.
    Ip,
}

impl Listing {
    /// Lists rules, each with the output for its packets.
    #[must_use]
    pub fn new(rules: &[(&Expression, Option<usize>)], layout: Layout) -> Self {
        let mut graph = Graph {
            layout,
            steps: Vec::new(),
            known: Map::new(),
        };
        let mut start = Target::Output(None);
        for (expression, output) in rules.iter().rev() {
            start = graph.lower(expression, Target::Output(*output), start);
        }
        // Passing over steps can make others equal, and equal ones can make others needless.
        loop {
            let shorter = graph.shorten(start);
            if shorter == start {
                break;
            }
            start = shorter;
        }
        graph.number(start)
    }
}

struct Graph {
    layout: Layout,
    /// Steps go to steps before them only.
    steps: Vec<Step>,
    known: Map<Step, usize>,
}

impl Graph {
    fn step(&mut self, word: Word, yes: Target, no: Target) -> Target {
        if yes == no || word.mask == 0 {
            return yes;
        }
        // Two tests of one word that both must hold are one.
        if let Target::Step(next) = yes {
            let next = self.steps[next];
            let both = word.mask & next.word.mask;
            if next.word.offset == word.offset
                && next.no == no
                && (word.value ^ next.word.value) & both == 0
            {
                let joined = Word {
                    offset: word.offset,
                    mask: word.mask | next.word.mask,
                    value: word.value | next.word.value,
                };
                return self.step(joined, next.yes, no);
            }
        }
        let step = Step { word, yes, no };
        let steps = &mut self.steps;
        let number = *self.known.get_or_insert_with(step, || {
            steps.push(step);
            steps.len() - 1
        });
        Target::Step(number)
    }

    /// The steps that lead to `yes` where the expression holds and to `no` where it does not.
    fn lower(&mut self, expression: &Expression, yes: Target, no: Target) -> Target {
        match expression {
            Expression::Constant(value) => {
                if *value {
                    yes
                } else {
                    no
                }
            }
            Expression::Not(inner) => self.lower(inner, no, yes),
            Expression::Any(parts) => parts
                .iter()
                .rev()
                .fold(no, |rest, part| self.lower(part, yes, rest)),
            Expression::All(parts) => {
                let transport = matches!(parts.last(), Some(last) if is_transport(last));
                let all = parts
                    .iter()
                    .rev()
                    .fold(yes, |rest, part| self.part(part, rest, no, transport));
                if transport {
                    self.first_fragment(all, no)
                } else {
                    all
                }
            }
            Expression::Test(test) => {
                let tested = self.test(test, yes, no);
                if test.field.base == Base::Transport {
                    self.first_fragment(tested, no)
                } else {
                    tested
                }
            }
        }
    }

    /// As `lower`, where `guarded` says that the packet is known to be a first fragment.
    fn part(&mut self, expression: &Expression, yes: Target, no: Target, guarded: bool) -> Target {
        match expression {
            Expression::Test(test) if guarded => self.test(test, yes, no),
            Expression::All(parts) if guarded && is_transport(expression) => parts
                .iter()
                .rev()
                .fold(yes, |rest, part| self.part(part, rest, no, true)),
            Expression::Any(parts) if guarded && is_transport(expression) => parts
                .iter()
                .rev()
                .fold(no, |rest, part| self.part(part, yes, rest, true)),
            _ => self.lower(expression, yes, no),
        }
    }

    /// Fragments other than the first have no transport header (RFC 791, section 3.1).
    fn first_fragment(&mut self, yes: Target, no: Target) -> Target {
        let test = Test::equal(Field::network(6, 2), 0x1fff, 0);
        self.test(&test, yes, no)
    }

    fn test(&mut self, test: &Test, yes: Target, no: Target) -> Target {
        let mask = test.mask & test.field.maximum();
        match test.comparison {
            Comparison::Equal if test.value & mask != test.value => no,
            Comparison::Different if test.value & mask != test.value => yes,
            Comparison::Equal => self.equal(test.field, mask, test.value, yes, no),
            Comparison::Different => self.equal(test.field, mask, test.value, no, yes),
            Comparison::Greater => self.greater(test.field, mask, test.value, yes, no),
            Comparison::AtMost => self.greater(test.field, mask, test.value, no, yes),
        }
    }

    /// Masked equality; a field may lie in two words.
    fn equal(&mut self, field: Field, mask: u32, value: u32, yes: Target, no: Target) -> Target {
        let base = match (self.layout, field.base) {
            (Layout::Packet, _) | (_, Base::Link) => 0,
            (Layout::Ip, Base::Network) => NETWORK_BASE,
            (Layout::Ip, Base::Transport) => TRANSPORT_BASE,
        };
        let start = base + u32::from(field.offset);
        let offset = start - start % 4;
        // As it lies in eight bytes from the word's beginning.
        let shift = 64 - 8 * (start - offset + u32::from(field.width));
        let place = |bits: u32| u64::from(bits) << shift;
        let half = |bits: u64, second: bool| -> u32 {
            let bits = if second { bits } else { bits >> 32 };
            u32::try_from(bits & 0xffff_ffff).unwrap_or(0)
        };
        let word = |second: bool| Word {
            offset: offset + if second { 4 } else { 0 },
            mask: half(place(mask), second),
            value: half(place(value), second),
        };
        let rest = self.step(word(true), yes, no);
        self.step(word(false), rest, no)
    }

    /// Masked order, decided run by run of equal bits of the value, from the highest.
    fn greater(&mut self, field: Field, mask: u32, value: u32, yes: Target, no: Target) -> Target {
        if value > field.maximum() {
            return no;
        }
        let mut runs: Vec<(bool, u32)> = Vec::new();
        for bit in (0..32).rev().map(|shift| 1u32 << shift) {
            let one = value & bit != 0;
            if mask & bit == 0 {
                // The masked field has no such bit: a value with it is greater.
                if one {
                    runs.push((true, 0));
                    break;
                }
                continue;
            }
            match runs.last_mut() {
                Some((kind, bits)) if *kind == one => *bits |= bit,
                _ => runs.push((one, bit)),
            }
        }
        runs.iter()
            .rev()
            .fold(no, |equal, (one, bits)| match (one, bits) {
                (true, 0) => no,
                (true, _) => self.equal(field, *bits, *bits, equal, no),
                (false, _) => self.equal(field, *bits, 0, equal, yes),
            })
    }

    /// Steps reachable from `start`, each before those it goes to.
    fn sequence(&self, start: Target) -> Vec<usize> {
        let mut reached = vec![false; self.steps.len()];
        if let Target::Step(step) = start {
            reached[step] = true;
        }
        for number in (0..self.steps.len()).rev() {
            if reached[number] {
                for target in [self.steps[number].yes, self.steps[number].no] {
                    if let Target::Step(next) = target {
                        reached[next] = true;
                    }
                }
            }
        }
        (0..self.steps.len())
            .rev()
            .filter(|&number| reached[number])
            .collect()
    }

    /// Leads every branch past the steps whose answers are known on all ways to it.
    fn shorten(&mut self, start: Target) -> Target {
        let mut facts: Map<usize, Facts> = Map::new();
        if let Target::Step(first) = start {
            facts.insert(first, Facts::default());
        }
        let mut branches: Map<usize, (Target, Target)> = Map::new();
        for number in self.sequence(start) {
            let Some(known) = facts.remove(&number) else {
                continue;
            };
            let step = self.steps[number];
            let mut follow = |holds: bool| {
                let mut known = known.clone();
                known.learn(step.word, holds);
                let mut target = if holds { step.yes } else { step.no };
                while let Target::Step(next) = target {
                    match known.answer(self.steps[next].word) {
                        Some(true) => target = self.steps[next].yes,
                        Some(false) => target = self.steps[next].no,
                        None => {
                            facts
                                .get_or_insert_with(next, || known.clone())
                                .intersect(&known);
                            break;
                        }
                    }
                }
                target
            };
            let pair = (follow(true), follow(false));
            branches.insert(number, pair);
        }
        // Rebuilt from the end, so that steps made needless or equal vanish.
        let mut renamed: Map<usize, Target> = Map::new();
        let mut order: Vec<usize> = branches.keys().copied().collect();
        sort(&mut order);
        let rename = |renamed: &Map<usize, Target>, target: Target| match target {
            Target::Step(number) => renamed.get(&number).copied().unwrap_or(target),
            Target::Output(_) => target,
        };
        for number in order {
            let (yes, no) = branches[&number];
            let (yes, no) = (rename(&renamed, yes), rename(&renamed, no));
            let target = self.step(self.steps[number].word, yes, no);
            renamed.insert(number, target);
        }
        rename(&renamed, start)
    }

    /// Numbers the steps as they are met, those after "yes" first.
    fn number(self, start: Target) -> Listing {
        let mut numbers: Map<usize, usize> = Map::new();
        let mut order = Vec::new();
        let mut open = vec![start];
        while let Some(target) = open.pop() {
            let Target::Step(number) = target else {
                continue;
            };
            if numbers.contains_key(&number) {
                continue;
            }
            numbers.insert(number, order.len());
            order.push(number);
            open.push(self.steps[number].no);
            open.push(self.steps[number].yes);
        }
        let renumber = |target: Target| match target {
            Target::Step(number) => Target::Step(numbers[&number]),
            Target::Output(_) => target,
        };
        let steps: Vec<Step> = order
            .iter()
            .map(|&number| {
                let step = self.steps[number];
                Step {
                    word: step.word,
                    yes: renumber(step.yes),
                    no: renumber(step.no),
                }
            })
            .collect();
        let safe_length = steps
            .iter()
            .map(|step| step.word.offset + 4 - step.word.mask.trailing_zeros() / 8)
            .max()
            .unwrap_or(0);
        Listing {
            start: renumber(start),
            steps,
            safe_length,
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

/// What is known of a packet at a step.
#[derive(Clone, Debug, Default)]
struct Facts {
    /// Bits known, and their values, by offset.
    bits: Map<u32, (u32, u32)>,
    /// Tests that failed.
    refuted: Vec<Word>,
}

impl Facts {
    fn learn(&mut self, word: Word, holds: bool) {
        // One bit that is not the one is the other.
        if holds || word.mask.is_power_of_two() {
            let value = if holds {
                word.value
            } else {
                word.value ^ word.mask
            };
            let (mask, known) = self.bits.get_or_insert_with(word.offset, Default::default);
            *known = *known & !word.mask | value;
            *mask |= word.mask;
        } else if !self.refuted.contains(&word) {
            if self.refuted.len() == REFUTED {
                self.refuted.remove(0);
            }
            self.refuted.push(word);
        }
    }

    /// What the answer to a test must be.
    fn answer(&self, word: Word) -> Option<bool> {
        let (mask, value) = self.bits.get(&word.offset).copied().unwrap_or_default();
        if (value ^ word.value) & mask & word.mask != 0 {
            return Some(false);
        }
        if word.mask & !mask == 0 {
            return Some(true);
        }
        // Were it to hold, these bits would be known; would they make a refuted test hold?
        let (mask, value) = (mask | word.mask, value & mask | word.value);
        let refuted = self.refuted.iter().any(|refuted| {
            refuted.offset == word.offset
                && refuted.mask & !mask == 0
                && (refuted.value ^ value) & refuted.mask == 0
        });
        refuted.then_some(false)
    }

    /// What is known here and there.
    fn intersect(&mut self, other: &Self) {
        self.bits.retain(|offset, (mask, value)| {
            let (theirs, their_value) = other.bits.get(offset).copied().unwrap_or_default();
            *mask &= theirs & !(*value ^ their_value);
            *value &= *mask;
            *mask != 0
        });
        self.refuted
            .retain(|word| other.refuted.contains(word) || other.answer(*word) == Some(false));
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(Some(output)) => write!(formatter, "[{output}]"),
            Self::Output(None) => formatter.write_str("[X]"),
            Self::Step(number) => write!(formatter, "step {number}"),
        }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Target::Output(_) = self.start {
            writeln!(formatter, "all->{}", self.start)?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            let Step {
                word:
                    Word {
                        offset,
                        mask,
                        value,
                    },
                yes,
                no,
            } = step;
            writeln!(
                formatter,
                "{number:2} {offset:3}/{value:08x}%{mask:08x}  yes->{yes}  no->{no}"
            )?;
        }
        writeln!(formatter, "safe length {}", self.safe_length)?;
        writeln!(formatter, "alignment offset 0")
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use sprat_click::arguments::NoNames;

    use super::*;
    use crate::classification::{parse_byte_pattern, parse_ip_pattern};

    #[track_caller]
    fn ip(patterns: &[(&str, Option<usize>)], expected: &str) {
        let rules: Vec<_> = patterns
            .iter()
            .map(|(pattern, output)| (parse_ip_pattern(pattern, &NoNames).unwrap(), *output))
            .collect();
        let rules: Vec<_> = rules.iter().map(|(rule, output)| (rule, *output)).collect();
        assert_eq!(Listing::new(&rules, Layout::Ip).to_string(), expected);
    }

    #[test]
    fn byte_patterns_are_listed_word_by_word() {
        // The example of Click's manual page Classifier(n).
        let rules: Vec<_> = ["12/0806 20/0001", "12/0806 20/0002", "12/0800", "-"]
            .iter()
            .map(|pattern| parse_byte_pattern(pattern).unwrap())
            .collect();
        let rules: Vec<_> = rules.iter().zip((0..).map(Some)).collect();
        let listing = Listing::new(&rules, Layout::Packet);
        assert_eq!(
            listing.to_string(),
            " 0  12/08060000%ffff0000  yes->step 1  no->step 3\n\
             \x201  20/00010000%ffff0000  yes->[0]  no->step 2\n\
             \x202  20/00020000%ffff0000  yes->[1]  no->[3]\n\
             \x203  12/08000000%ffff0000  yes->[2]  no->[3]\n\
             safe length 22\nalignment offset 0\n"
        );
    }

    #[test]
    fn rules_that_lead_to_one_output_take_no_steps() {
        ip(
            &[("tcp && src port 80", Some(0)), ("all", Some(0))],
            "all->[0]\nsafe length 0\nalignment offset 0\n",
        );
        ip(
            &[("false", Some(0))],
            "all->[X]\nsafe length 0\nalignment offset 0\n",
        );
    }

    #[test]
    fn transport_tests_are_preceded_by_fragment_and_protocol() {
        ip(
            &[("dst tcp port > 1023", Some(0))],
            " 0 260/00000000%00001fff  yes->step 1  no->[X]\n\
             \x201 264/00060000%00ff0000  yes->step 2  no->[X]\n\
             \x202 512/00000000%0000fc00  yes->[X]  no->[0]\n\
             safe length 515\nalignment offset 0\n",
        );
    }

    #[test]
    fn answers_known_on_the_way_are_not_asked_for_again() {
        ip(
            &[
                ("tcp && src 1.0.0.1", Some(0)),
                ("udp && src 1.0.0.1", Some(1)),
                ("tcp", Some(2)),
            ],
            " 0 264/00060000%00ff0000  yes->step 1  no->step 2\n\
             \x201 268/01000001%ffffffff  yes->[0]  no->[2]\n\
             \x202 264/00110000%00ff0000  yes->step 3  no->[X]\n\
             \x203 268/01000001%ffffffff  yes->[1]  no->[X]\n\
             safe length 272\nalignment offset 0\n",
        );
    }
}
