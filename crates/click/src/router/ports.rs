//! The codes in which a class describes its ports.

/// How a port moves packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Processing {
    Push,
    Pull,
    Agnostic,
}

/// How many ports one side may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) least: usize,
    pub(super) most: usize,
}

impl Count {
    /// The number in use nearest to `wanted`.
    pub(super) fn clamp(self, wanted: usize) -> usize {
        wanted.clamp(self.least, self.most)
    }
}

/// Reads a port count code such as `1/1-2`, `-/-`, `1-/=` (as many outputs as inputs) or `1/=+`
/// (as many and one more), for an element with `inputs` inputs.
pub(super) fn counts(code: &str, inputs: usize) -> (Count, Count) {
    let (input_code, output_code) = code.split_once('/').unwrap_or((code, code));
    let input = count(input_code);
    let output = if let Some(more) = output_code.strip_prefix('=') {
        let exactly = input.clamp(inputs) + more.len();
        Count {
            least: exactly,
            most: exactly,
        }
    } else {
        count(output_code)
    };
    (input, output)
}

fn count(code: &str) -> Count {
    let number = |text: &str, otherwise| text.parse().unwrap_or(otherwise);
    match code.split_once('-') {
        Some((least, most)) => Count {
            least: number(least, 0),
            most: number(most, usize::from(u16::MAX)),
        },
        None => Count {
            least: number(code, 0),
            most: number(code, 0),
        },
    }
}

/// The processing of a port by a code such as `a/ah`: the last letter of a side holds for all
/// further ports.
pub(super) fn processing(code: &str, output: bool, port: usize) -> Processing {
    let (inputs, outputs) = code.split_once('/').unwrap_or((code, code));
    let side = if output { outputs } else { inputs };
    match side.as_bytes().get(port).or(side.as_bytes().last()) {
        Some(b'h') => Processing::Push,
        Some(b'l') => Processing::Pull,
        _ => Processing::Agnostic,
    }
}

/// Whether packets from input `input` may leave by output `output`, by a flow code such as
/// `x/x`, `xy/xy`, `#/#` (ports of equal number) or `#/[^#]` (ports of unequal number).
pub(super) fn flows(code: &str, input: usize, output: usize) -> bool {
    let (inputs, outputs) = code.split_once('/').unwrap_or((code, code));
    let (from, to) = (Letters::of(inputs, input), Letters::of(outputs, output));
    (b'A'..=b'z').any(|letter| from.holds(letter) && to.holds(letter))
        || (from.holds(b'#')
            && if to.complement {
                to.set.contains(&b'#') && input != output
            } else {
                to.holds(b'#') && input == output
            })
}

/// The letters of one port's flow: a single one, or a set in brackets.
struct Letters<'a> {
    set: &'a [u8],
    complement: bool,
}

impl<'a> Letters<'a> {
    fn of(code: &'a str, port: usize) -> Self {
        let mut rest = code.as_bytes();
        let mut letters = Self {
            set: b"x",
            complement: false,
        };
        for _ in 0..=port {
            match rest {
                [b'[', inside @ ..] => {
                    let end = inside
                        .iter()
                        .position(|byte| *byte == b']')
                        .unwrap_or(inside.len());
                    letters = match &inside[..end] {
                        [b'^', set @ ..] => Self {
                            set,
                            complement: true,
                        },
                        set => Self {
                            set,
                            complement: false,
                        },
                    };
                    rest = inside.get(end + 1..).unwrap_or(&[]);
                }
                [_, after @ ..] => {
                    letters = Self {
                        set: &rest[..1],
                        complement: false,
                    };
                    rest = after;
                }
                [] => break,
            }
        }
        letters
    }

    fn holds(&self, letter: u8) -> bool {
        self.set.contains(&letter) != self.complement
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_follow_the_manual() {
        assert_eq!(
            counts("1/1-2", 1),
            (Count { least: 1, most: 1 }, Count { least: 1, most: 2 })
        );
        assert_eq!(
            counts("-/-", 0).0,
            Count {
                least: 0,
                most: 65535
            }
        );
        assert_eq!(counts("1-/=", 3).1, Count { least: 3, most: 3 });
        assert_eq!(counts("1/=+", 1).1, Count { least: 2, most: 2 });
        assert_eq!(
            counts("0/0", 0),
            (Count { least: 0, most: 0 }, Count { least: 0, most: 0 })
        );
    }

    #[test]
    fn the_last_processing_letter_holds_for_further_ports() {
        assert_eq!(processing("a/ah", true, 0), Processing::Agnostic);
        assert_eq!(processing("a/ah", true, 5), Processing::Push);
        assert_eq!(processing("h/l", false, 2), Processing::Push);
        assert_eq!(processing("h/l", true, 0), Processing::Pull);
        assert_eq!(processing("l", true, 0), Processing::Pull);
    }

    #[test]
    fn flows_join_ports_with_a_letter_in_common() {
        assert!(flows("x/x", 0, 3));
        assert!(!flows("x/y", 0, 0));
        assert!(flows("xy/x", 0, 0) && !flows("xy/x", 1, 0));
        assert!(flows("xy/[xy]", 1, 0) && flows("xy/[xy]", 0, 0));
        assert!(flows("#/#", 2, 2) && !flows("#/#", 2, 1));
        assert!(!flows("#/[^#]", 2, 2) && flows("#/[^#]", 2, 1));
    }
}
