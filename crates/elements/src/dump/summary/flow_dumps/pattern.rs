//! Names of files with parts that each flow fills in.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::FlowId;
use sprat_packet::headers::protocol::{TCP, UDP};

/// A part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Escape {
        /// Whether numbers are filled up with zeros rather than spaces.
        zeros: bool,
        width: usize,
        /// Which part of a number or an address.
        part: Option<u32>,
        letter: char,
    },
}

/// A pattern such as `/tmp/flow%03n`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

impl Pattern {
    /// Reads a pattern; an error is the escape that is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            parts.push(Part::Text(rest[..at].into()));
            let escape = &rest[at..];
            let inside = &escape[1..];
            let zeros = inside.starts_with('0');
            let (width, after) = digits(inside);
            let (part, after) = match after.strip_prefix('.') {
                Some(after) => {
                    let (part, after) = digits(after);
                    (Some(part), after)
                }
                None => (None, after),
            };
            let wrong = || String::from(escape.get(..8).unwrap_or(escape));
            let letter = after.chars().next().ok_or_else(wrong)?;
            let most = match letter {
                'n' | 'x' | 'X' => Some(5),
                's' | 'd' => Some(3),
                'S' | 'D' | 'p' | '%' => None,
                _ => return Err(wrong()),
            };
            // A name is not longer than what systems take.
            if width > 64 || part.is_some_and(|part| most.is_none_or(|most| part > most)) {
                return Err(wrong());
            }
            parts.push(Part::Escape {
                zeros,
                width: width as usize,
                part,
                letter,
            });
            rest = &after[letter.len_utf8()..];
        }
        parts.push(Part::Text(rest.into()));
        Ok(Self(parts))
    }

    /// The name for a flow.
    pub(super) fn expand(&self, flow: &FlowId) -> String {
        let mut name = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => name.push_str(text),
                Part::Escape {
                    zeros,
                    width,
                    part,
                    letter,
                } => {
                    let value = value(flow, *letter, *part);
                    let fill = if *zeros { '0' } else { ' ' };
                    name.extend(core::iter::repeat_n(
                        fill,
                        width.saturating_sub(value.len()),
                    ));
                    name.push_str(&value);
                }
            }
        }
        name
    }
}

/// The number that a text begins with, zero without, and what follows.
fn digits(text: &str) -> (u32, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit());
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    (
        number
            .parse()
            .unwrap_or(if number.is_empty() { 0 } else { u32::MAX }),
        rest,
    )
}

/// What stands for an escape.
fn value(flow: &FlowId, letter: char, part: Option<u32>) -> String {
    let number = match part {
        None => flow.aggregate,
        Some(4) => flow.aggregate >> 16,
        Some(5) => flow.aggregate & 0xffff,
        Some(part) => flow.aggregate >> (24 - 8 * part.min(3)) & 0xff,
    };
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match letter {
        'n' => write!(text, "{number}"),
        'x' => write!(text, "{number:x}"),
        'X' => write!(text, "{number:X}"),
        's' | 'd' => {
            let end = usize::from(letter == 'd');
            match part {
                None => write!(text, "{}", flow.addresses[end]),
                Some(part) => {
                    let octets = flow.addresses[end].octets();
                    write!(text, "{}", octets[part.min(3) as usize])
                }
            }
        }
        'S' => write!(text, "{}", flow.ports[0]),
        'D' => write!(text, "{}", flow.ports[1]),
        'p' => match flow.protocol {
            TCP => text.write_char('T'),
            UDP => text.write_char('U'),
            other => write!(text, "{other}"),
        },
        _ => text.write_char('%'),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_escape_stands_for_what_the_manual_says() {
        let flow = FlowId {
            aggregate: 0x0102_ab04,
            addresses: [[1, 2, 3, 4].into(), [5, 6, 7, 8].into()],
            ports: [9, 80],
            protocol: 6,
        };
        for (pattern, expected) in [
            ("f%n", "f16952068"),
            ("%.0n/%.1n/%.2n/%.3n", "1/2/171/4"),
            ("%.4n %.5n", "258 43780"),
            ("%x %X %.2x %.5X", "102ab04 102AB04 ab AB04"),
            ("%s-%d", "1.2.3.4-5.6.7.8"),
            ("%.0s%.3d", "18"),
            ("%S.%D.%p%%", "9.80.T%"),
            ("%03S%3D", "009 80"),
        ] {
            let parsed = Pattern::parse(pattern).expect("a pattern");
            assert_eq!(parsed.expand(&flow), expected, "{pattern}");
        }
    }

    #[test]
    fn wrong_escapes_are_named() {
        for (pattern, escape) in [
            ("a%", "%"),
            ("a%q", "%q"),
            ("%.6n", "%.6n"),
            ("%.4s", "%.4s"),
            ("%99999999999n", "%9999999"),
        ] {
            assert_eq!(Pattern::parse(pattern), Err(escape.into()));
        }
    }
}
