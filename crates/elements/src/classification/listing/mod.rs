//! The program of a classifier as Click shows it in the `program` handler: a graph of steps, each
//! comparing four bytes under a mask.
//!
//! It is made from the rules when someone asks, for people to read; packets go through
//! [`Program`](super::Program). An expression becomes steps in the order it is written in
//! (`assemble`), these are put in order, led past what their answers decide (`paths`) and joined
//! (`reduce`), for two lists of rules after the other; and values compared with one word stand
//! together at last (`group`). All of it is done as Click does it, down to which of several
//! equally good programs comes out: configurations are tested by what it shows.

use alloc::vec::Vec;
use core::fmt;

use super::expression::Expression;

mod assemble;
mod group;
mod paths;
mod reduce;
mod step;

use step::{Step, Target};

/// The steps of a classifier; its `Display` is the text of the `program` handler.
#[derive(Clone, Debug)]
pub struct Listing {
    steps: Vec<Step>,
    /// Where all packets go, where there are no steps.
    everything: Option<Target>,
    safe_length: u32,
}

/// The origin of offsets in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The first byte of the packet.
    Packet,
    /// The link header near zero, the network header at 256 and the transport header at 512.
    Ip,
}

impl Listing {
    /// Lists rules, each with the output for its packets.
    #[must_use]
    pub fn new(rules: &[(&Expression, Option<usize>)], layout: Layout) -> Self {
        let mut parts: Vec<Self> = rules
            .iter()
            .map(|(expression, output)| Self::rule(expression, *output, layout))
            .collect();
        // What no rule matches is dropped.
        if let Some(last) = parts.last_mut() {
            last.fail_to(Target::Drop);
        }
        let mut width = 1;
        while layout == Layout::Ip && width < parts.len() {
            for first in (0..parts.len() - width).step_by(2 * width) {
                let second = core::mem::take(&mut parts[first + width]);
                parts[first].append(second);
                parts[first].reduce(layout);
            }
            width *= 2;
        }
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or_default();
        if layout == Layout::Packet {
            for part in parts {
                whole.append(part);
            }
        }
        if layout == Layout::Packet || rules.len() == 1 {
            whole.reduce(layout);
        }
        let lengths = whole.steps.iter().map(Step::required_length);
        whole.safe_length = lengths.max().unwrap_or(0);
        if layout == Layout::Ip {
            reduce::arrange(&mut whole.steps, layout);
            whole.steps = group::together(&whole.steps);
        }
        whole
    }

    fn rule(expression: &Expression, output: Option<usize>, layout: Layout) -> Self {
        let mut steps = assemble::assemble(expression, layout);
        let all = 0..steps.len();
        let target = output.map_or(Target::Drop, Target::Output);
        assemble::redirect(&mut steps, all, Target::Success, target);
        Self {
            steps,
            everything: None,
            safe_length: 0,
        }
    }

    /// Leads what fails here elsewhere.
    fn fail_to(&mut self, target: Target) {
        let all = 0..self.steps.len();
        assemble::redirect(&mut self.steps, all, Target::Failure, target);
        if self.everything == Some(Target::Failure) {
            self.everything = Some(target);
        }
    }

    /// Leads what fails here to other rules.
    fn append(&mut self, next: Self) {
        match self.everything {
            Some(Target::Failure) => *self = next,
            Some(_) => {}
            None => {
                let end = self.steps.len();
                self.fail_to(next.everything.unwrap_or(Target::Step(end)));
                for mut step in next.steps {
                    for target in step.targets_mut() {
                        if let Target::Step(number) = target {
                            *number += end;
                        }
                    }
                    self.steps.push(step);
                }
            }
        }
    }

    fn reduce(&mut self, layout: Layout) {
        if self.everything.is_none() {
            self.everything = reduce::reduce(&mut self.steps, layout);
        }
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            steps: Vec::new(),
            everything: Some(Target::Drop),
            safe_length: 0,
        }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(target) = self.everything {
            writeln!(formatter, "all->{target}")?;
        }
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(formatter, "{number:2} {step}")?;
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
    fn transport_tests_are_preceded_by_protocol_and_fragment() {
        // A port above 1023 has one of its upper six bits; a packet that ends before its ports
        // has none, which is as if they were zeros.
        ip(
            &[("dst tcp port > 1023", Some(0))],
            " 0 264/00060000%00ff0000  yes->step 1  no->[X]\n\
             \x201 260/00000000%00001fff  yes->step 2  no->[X]\n\
             \x202 512/00000000%0000fc00  yes->[X]  no->[0]  short->yes\n\
             safe length 515\nalignment offset 0\n",
        );
    }

    #[test]
    fn seven_values_stand_by_their_last_byte() {
        ip(
            &[("src tcp port 1 or 2 or 4 or 8 or 16 or 32 or 256", Some(0))],
            " 0 264/00060000%00ff0000  yes->step 1  no->[X]\n\
             \x201 260/00000000%00001fff  yes->step 2  no->[X]\n\
             \x202 512/01000000%ffff0000  yes->[0]  no->step 3\n\
             \x203 512/00010000%ffff0000  yes->[0]  no->step 4\n\
             \x204 512/00020000%ffff0000  yes->[0]  no->step 5\n\
             \x205 512/00040000%ffff0000  yes->[0]  no->step 6\n\
             \x206 512/00080000%ffff0000  yes->[0]  no->step 7\n\
             \x207 512/00100000%ffff0000  yes->[0]  no->step 8\n\
             \x208 512/00200000%ffff0000  yes->[0]  no->[X]\n\
             safe length 514\nalignment offset 0\n",
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
