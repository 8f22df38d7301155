//! The instructions of a script.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use sprat_click::arguments::{Argument, NoNames};
use sprat_click::collections::Map;

/// An instruction. Texts still hold their references and quotation marks; `unquoted` says that
/// a layer of them is taken off after substitution (`setq` rather than `set`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    Set {
        variable: String,
        text: String,
        unquoted: bool,
    },
    /// Done once, before the script runs.
    Initialize {
        variable: String,
        text: String,
        unquoted: bool,
        export: bool,
    },
    Print {
        target: Option<PrintTarget>,
        text: String,
        unquoted: bool,
        newline: bool,
    },
    Read {
        call: String,
        unquoted: bool,
    },
    Write {
        call: String,
        unquoted: bool,
    },
    /// Until this many steps have been taken.
    WaitSteps(u64),
    WaitTime(String),
    Label,
    Go {
        to: String,
        condition: Option<String>,
    },
    /// No further.
    Finish(Finish),
    Return {
        text: String,
        unquoted: bool,
    },
    Error {
        text: String,
        unquoted: bool,
    },
}

/// How a script stops where it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// For this time.
    End,
    /// For ever.
    Exit,
    /// And the driver with it.
    Stop,
    /// With an error that has no message.
    Error,
}

/// A file that is printed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrintTarget {
    pub(super) name: String,
    pub(super) append: bool,
}

/// A script's instructions and labels.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) instructions: Vec<Instruction>,
    labels: Map<String, usize>,
}

/// Where a jump leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Instruction(usize),
    Finish(Finish),
}

impl Program {
    /// Reads instructions; gives each that makes no sense to `refuse`, with the reason.
    pub(super) fn read(texts: &[String], mut refuse: impl FnMut(String)) -> Self {
        let mut program = Self::default();
        for text in texts.iter().filter(|text| !text.trim().is_empty()) {
            match program.instruction(text.trim()) {
                Ok(instruction) => program.instructions.push(instruction),
                Err(message) => refuse(message),
            }
        }
        for instruction in &program.instructions {
            if let Instruction::Go { to, .. } = instruction
                && program.place(to).is_none()
            {
                refuse(format!("no such label '{to}'"));
            }
        }
        program
    }

    /// A script that manages the driver waits for a step where it has nothing else to do.
    pub(super) fn wait_where_empty(&mut self) {
        if self.instructions.is_empty() {
            self.instructions.push(Instruction::WaitSteps(1));
        }
    }

    /// What a label means: one of the script's own, or one that every script has.
    pub(super) fn place(&self, label: &str) -> Option<Place> {
        if let Some(at) = self.labels.get(label) {
            return Some(Place::Instruction(*at));
        }
        Some(match label {
            "begin" | "loop" => Place::Instruction(0),
            "end" => Place::Finish(Finish::End),
            "exit" => Place::Finish(Finish::Exit),
            "stop" => Place::Finish(Finish::Stop),
            "error" | "errorq" => Place::Finish(Finish::Error),
            _ => return None,
        })
    }

    fn instruction(&mut self, text: &str) -> Result<Instruction, String> {
        let (word, rest) = first_word(text);
        let (name, unquoted) = match word.strip_suffix('q') {
            Some(name) if TWO_FORMS.contains(&name) => (name, true),
            _ => (word, false),
        };
        let wrong = || format!("syntax error at '{word}'");
        let nothing = |instruction| match rest {
            "" => Ok(instruction),
            _ => Err(wrong()),
        };
        let owned = rest.to_string();
        Ok(match name {
            "set" => {
                let (variable, text) = variable(rest).ok_or_else(wrong)?;
                if text.is_empty() {
                    return Err(wrong());
                }
                Instruction::Set {
                    variable,
                    text,
                    unquoted,
                }
            }
            "init" | "export" => {
                let (variable, text) = variable(rest).ok_or_else(wrong)?;
                Instruction::Initialize {
                    variable,
                    text,
                    unquoted,
                    export: name == "export",
                }
            }
            "save" | "append" => {
                let (call, file) = first_word(rest);
                Instruction::Print {
                    target: (!matches!(file, "" | "-")).then(|| PrintTarget {
                        name: file.into(),
                        append: name == "append",
                    }),
                    text: call.into(),
                    unquoted: false,
                    newline: true,
                }
            }
            "print" | "printn" => {
                let (target, text) = print_target(rest);
                Instruction::Print {
                    target,
                    text: text.into(),
                    unquoted,
                    newline: name == "print",
                }
            }
            "read" => Instruction::Read {
                call: owned,
                unquoted,
            },
            "write" => Instruction::Write {
                call: owned,
                unquoted,
            },
            "wait" if !rest.is_empty() => Instruction::WaitTime(owned),
            "wait_time" | "wait_for" => Instruction::WaitTime(owned),
            "wait" | "pause" | "wait_step" | "wait_stop" | "wait_pause" => {
                Instruction::WaitSteps(match rest {
                    "" => 1,
                    _ => u32::parse(rest, &NoNames).map_err(|_| wrong())?.into(),
                })
            }
            "label" => {
                let (label, more) = first_word(rest);
                if label.is_empty() || !more.is_empty() {
                    return Err(wrong());
                }
                // Of several, the first counts.
                if !self.labels.contains_key(label) {
                    self.labels.insert(label.into(), self.instructions.len());
                }
                Instruction::Label
            }
            "goto" => {
                let (to, condition) = first_word(rest);
                Instruction::Go {
                    // Without a label it leads to the start.
                    to: match to {
                        "" => "begin".into(),
                        to => to.into(),
                    },
                    condition: (!condition.is_empty()).then(|| condition.into()),
                }
            }
            "loop" => nothing(Instruction::Go {
                to: "begin".into(),
                condition: None,
            })?,
            "end" | "quit" => nothing(Instruction::Finish(Finish::End))?,
            "exit" => nothing(Instruction::Finish(Finish::Exit))?,
            "stop" => nothing(Instruction::Finish(Finish::Stop))?,
            "return" => Instruction::Return {
                text: owned,
                unquoted,
            },
            "error" => Instruction::Error {
                text: owned,
                unquoted,
            },
            _ => return Err(wrong()),
        })
    }
}

/// The names of instructions.
pub(super) const INSTRUCTIONS: [&str; 24] = [
    "set",
    "init",
    "export",
    "print",
    "printn",
    "read",
    "write",
    "wait",
    "wait_time",
    "wait_for",
    "save",
    "append",
    "pause",
    "wait_step",
    "wait_stop",
    "wait_pause",
    "label",
    "goto",
    "loop",
    "end",
    "exit",
    "stop",
    "return",
    "error",
];

/// Instructions that have a form with a `q` at the end.
const TWO_FORMS: [&str; 9] = [
    "set", "init", "export", "print", "printn", "read", "write", "return", "error",
];

/// The first word of a text, and the rest; `$(…)` may hold spaces.
pub(super) fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let mut depth = 0_usize;
    let mut quotation = None;
    for (at, letter) in text.char_indices() {
        match (letter, quotation) {
            ('"' | '\'', None) => quotation = Some(letter),
            (mark, Some(open)) if mark == open => quotation = None,
            (_, Some(_)) => {}
            ('(' | '{', None) => depth += 1,
            (')' | '}', None) => depth = depth.saturating_sub(1),
            (space, None) if space.is_ascii_whitespace() && depth == 0 => {
                return (&text[..at], text[at..].trim_start());
            }
            _ => {}
        }
    }
    (text, "")
}

fn variable(rest: &str) -> Option<(String, String)> {
    let (name, text) = first_word(rest);
    (!name.is_empty()).then(|| (name.into(), text.into()))
}

/// `>FILE` or `>>FILE` before what is printed; the standard output is `-`, or no name at all.
fn print_target(rest: &str) -> (Option<PrintTarget>, &str) {
    let Some(after) = rest.strip_prefix('>') else {
        return (None, rest);
    };
    let (after, append) = match after.strip_prefix('>') {
        Some(after) => (after, true),
        None => (after, false),
    };
    let (name, text) = first_word(after);
    let name = name.to_string();
    let target = (!matches!(&*name, "" | "-")).then_some(PrintTarget { name, append });
    (target, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Instruction {
        let texts = [text.to_string()];
        let mut program = Program::read(&texts, |message| panic!("{text}: {message}"));
        program.instructions.remove(0)
    }

    #[test]
    fn instructions_are_read_into_their_parts() {
        assert_eq!(
            read("setq x  \"$(c.count)\""),
            Instruction::Set {
                variable: "x".into(),
                text: "\"$(c.count)\"".into(),
                unquoted: true,
            }
        );
        assert_eq!(
            read("print >>LOG$(add 1 2) c.count"),
            Instruction::Print {
                target: Some(PrintTarget {
                    name: "LOG$(add 1 2)".into(),
                    append: true,
                }),
                text: "c.count".into(),
                unquoted: false,
                newline: true,
            }
        );
        assert_eq!(read("wait"), Instruction::WaitSteps(1));
        assert_eq!(read("wait_stop 2"), Instruction::WaitSteps(2));
        assert_eq!(
            read("goto"),
            Instruction::Go {
                to: "begin".into(),
                condition: None,
            }
        );
        assert_eq!(read("wait 0.1s"), Instruction::WaitTime("0.1s".into()));
        assert_eq!(
            read("goto begin $(lt $i 5)"),
            Instruction::Go {
                to: "begin".into(),
                condition: Some("$(lt $i 5)".into()),
            }
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_once() {
        for (text, expected) in [
            ("frobnicate", "syntax error at 'frobnicate'"),
            ("gotoq a", "syntax error at 'gotoq'"),
            ("set", "syntax error at 'set'"),
            ("setq x", "syntax error at 'setq'"),
            ("goto nowhere", "no such label 'nowhere'"),
            ("goto $x", "no such label '$x'"),
            ("label", "syntax error at 'label'"),
            ("label a b", "syntax error at 'label'"),
            ("stop now", "syntax error at 'stop'"),
            ("wait_stop x", "syntax error at 'wait_stop'"),
            ("pause $x", "syntax error at 'pause'"),
        ] {
            let mut refused = Vec::new();
            Program::read(&[text.to_string()], |message| refused.push(message));
            assert_eq!(refused, [expected], "{text}");
        }
    }
}
