//! `$name`, `${name}` and `${name-default}` in configuration strings.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::collections::Map;

use super::program::{Definitions, ScopeId};
use crate::arguments::{Piece, piece_at, quote, split_words};

/// How deep defaults and definitions may refer to each other.
const DEPTH: usize = 32;

/// What looking a variable up costs, in bytes of text.
const LOOKUP: usize = 64;

/// What an expansion may cost in all: bytes of text made and variables looked up. Definitions
/// that double each other would otherwise fill any memory.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Takes `bytes` away, if they are there.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Exhausted> {
        self.0 = self.0.checked_sub(bytes).ok_or(Exhausted)?;
        Ok(())
    }
}

/// The expansion costs too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// The variables of one scope and, through it, of those around it.
pub(super) struct Environment {
    pub(super) scope: ScopeId,
    /// A compound's arguments, and the command line's definitions, which come before the file's.
    pub(super) arguments: Definitions,
    pub(super) definitions: Rc<Definitions>,
    pub(super) parent: Option<Rc<Environment>>,
}

impl Environment {
    /// The environment of `scope`, this one or one around it.
    pub(super) fn of(self: &Rc<Self>, scope: ScopeId) -> Option<Rc<Self>> {
        let mut environment = self;
        while environment.scope != scope {
            environment = environment.parent.as_ref()?;
        }
        Some(environment.clone())
    }

    /// `text` with the variables that are known here replaced; others stay as they are.
    pub(super) fn expand(&self, text: &str, budget: &mut Budget) -> Result<String, Exhausted> {
        if !text.contains('$') {
            budget.spend(text.len())?;
            return Ok(text.into());
        }
        Expansion {
            budget,
            within: Vec::new(),
        }
        .text(self, text)
    }

    /// What a variable stands for. One that is being replaced means that of the scope around it.
    fn find<'a>(&'a self, name: &str, within: &[(ScopeId, &str)]) -> Option<Value<'a>> {
        let mut environment = Some(self);
        while let Some(here) = environment {
            let argument = here.arguments.get_key_value(name);
            let found = argument.or_else(|| here.definitions.get_key_value(name));
            if let Some((name, text)) = found
                && !within.contains(&(here.scope, name))
            {
                let defined = argument.is_none() && here.parent.is_some();
                return Some(Value {
                    name: (here.scope, name),
                    text,
                    defined: defined.then_some(here),
                });
            }
            environment = here.parent.as_deref();
        }
        None
    }
}

struct Value<'a> {
    /// The variable, with its scope.
    name: (ScopeId, &'a str),
    text: &'a str,
    /// The compound that defines it.
    defined: Option<&'a Environment>,
}

struct Expansion<'a, 'b> {
    budget: &'b mut Budget,
    /// The variables that are being replaced.
    within: Vec<(ScopeId, &'a str)>,
}

impl<'a> Expansion<'a, '_> {
    fn text(&mut self, environment: &'a Environment, text: &str) -> Result<String, Exhausted> {
        let bytes = text.as_bytes();
        let mut out = String::new();
        let mut kept = 0;
        let mut at = 0;
        let mut quoted = false;
        let mut braces = Braces::default();
        while at < bytes.len() {
            match bytes[at] {
                b'"' => quoted = !quoted,
                b'\'' if !quoted => {
                    let length = text[at + 1..].find('\'').unwrap_or(bytes.len() - at - 1);
                    at += length + 1;
                }
                // An escaped character: nothing there is a variable. The byte after a backslash may
                // begin a longer character, whose other bytes are none of those looked for here.
                b'\\' if quoted => at += 1,
                b'/' if !quoted && piece_at(bytes, at).0 == Piece::Comment => {
                    at = piece_at(bytes, at).1;
                    continue;
                }
                b'$' => match Reference::at(text, at, &mut braces) {
                    Reference::None => {}
                    // Nothing further is looked at.
                    Reference::Open => break,
                    Reference::Whole { kind, body, end } => {
                        if let Some(value) = self.reference(environment, kind, body)? {
                            out.push_str(&text[kept..at]);
                            match value {
                                Found::Value(value) if quoted => {
                                    let value = quote(&value);
                                    let inner = value.strip_prefix('"');
                                    let inner = inner.and_then(|rest| rest.strip_suffix('"'));
                                    out.push_str(inner.unwrap_or(&value));
                                }
                                Found::Value(value) => out.push_str(&value),
                                Found::Body(body) => {
                                    out.push_str(&text[at..at + 2]);
                                    out.push_str(&body);
                                    out.push_str(&text[end - 1..end]);
                                }
                            }
                            kept = end;
                        }
                        at = end;
                        continue;
                    }
                },
                _ => {}
            }
            at += 1;
        }
        out.push_str(&text[kept..]);
        self.budget.spend(out.len())?;
        Ok(out)
    }

    /// What is to stand in a reference's place; nothing where it stays as it is.
    fn reference(
        &mut self,
        environment: &'a Environment,
        kind: Kind,
        body: &str,
    ) -> Result<Option<Found>, Exhausted> {
        let inner = match kind {
            Kind::Plain => None,
            // What stands first in braces and is a default is looked at when it is needed.
            Kind::Braces if !body.split('-').next().unwrap_or("").contains('$') => None,
            _ if self.within.len() >= DEPTH || !body.contains('$') => None,
            _ => {
                self.within.push((ScopeId(usize::MAX), ""));
                let inner = self.text(environment, body);
                self.within.pop();
                Some(inner?)
            }
        };
        let variable = match kind {
            Kind::Braces => Variable::read(inner.as_deref().unwrap_or(body)),
            _ => Variable {
                name: inner.as_deref().unwrap_or(body),
                word: None,
                default: None,
            },
        };
        let value = self.value(environment, &variable)?.map(Found::Value);
        Ok(value.or(inner.map(Found::Body)))
    }

    fn value(
        &mut self,
        environment: &'a Environment,
        variable: &Variable<'_>,
    ) -> Result<Option<String>, Exhausted> {
        self.budget.spend(LOOKUP)?;
        if self.within.len() >= DEPTH {
            return Ok(None);
        }
        let value = match environment.find(variable.name, &self.within) {
            Some(Value {
                name,
                text,
                defined,
            }) => {
                self.within.push(name);
                // What a compound defines is looked up there first. All that is left, in the file's
                // definitions and in arguments too, is looked up from here.
                let there = defined.map(|there| self.text(there, text)).transpose()?;
                let value = self.text(environment, there.as_deref().unwrap_or(text));
                self.within.pop();
                value?
            }
            None => {
                let Some(default) = variable.default else {
                    return Ok(None);
                };
                self.within.push((ScopeId(usize::MAX), ""));
                let value = self.text(environment, default);
                self.within.pop();
                return value.map(Some);
            }
        };
        Ok(Some(match variable.word {
            None => value,
            Some(word) => split_words(&value)
                .into_iter()
                .nth(word)
                .unwrap_or_default(),
        }))
    }
}

/// What stands in a reference's place.
enum Found {
    Value(String),
    /// The reference itself, with what its parentheses or braces hold replaced.
    Body(String),
}

/// How a reference is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `$name`
    Plain,
    /// `${…}`
    Braces,
    /// `$(…)`, which is a script's, unless it holds a variable's name.
    Parentheses,
}

/// A variable in a text.
enum Reference<'a> {
    None,
    /// What its brace or parenthesis opens is never closed.
    Open,
    Whole {
        kind: Kind,
        body: &'a str,
        /// The byte after it.
        end: usize,
    },
}

impl<'a> Reference<'a> {
    /// The variable whose `$` is at `at`, if one is.
    fn at(text: &'a str, at: usize, braces: &mut Braces) -> Self {
        let bytes = text.as_bytes();
        let open = at + 1;
        let (kind, close) = match bytes.get(open) {
            Some(b'{') => (Kind::Braces, braces.closing(text, open)),
            Some(b'(') => (Kind::Parentheses, closing_parenthesis(bytes, open)),
            // A script's variables.
            Some(b'?' | b'#' | b'$') => {
                return Self::Whole {
                    kind: Kind::Plain,
                    body: &text[open..=open],
                    end: open + 1,
                };
            }
            _ => {
                let length = name_length(&bytes[open..]);
                return match length {
                    0 => Self::None,
                    length => Self::Whole {
                        kind: Kind::Plain,
                        body: &text[open..open + length],
                        end: open + length,
                    },
                };
            }
        };
        match close {
            None => Self::Open,
            Some(close) => Self::Whole {
                kind,
                body: &text[open + 1..close],
                end: close + 1,
            },
        }
    }
}

/// Letters, digits and `_` at the start of a text.
fn name_length(text: &[u8]) -> usize {
    let letter = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    text.iter().take_while(letter).count()
}

/// Where the parenthesis at `open` is closed. Quotation and escapes hide others.
fn closing_parenthesis(text: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut mark = None;
    let mut at = open;
    while at < text.len() {
        match (text[at], mark) {
            (b'(', None) => depth += 1,
            (b')', None) => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            (byte @ (b'"' | b'\''), None) => mark = Some(byte),
            (byte, Some(closes)) if byte == closes => mark = None,
            (b'\\', mark) if mark != Some(b'\'') => at += 1,
            _ => {}
        }
        at += 1;
    }
    None
}

/// What stands in braces: `name`, `name[word]` or `name-default`.
struct Variable<'a> {
    name: &'a str,
    /// Which of the value's words is meant.
    word: Option<usize>,
    default: Option<&'a str>,
}

impl<'a> Variable<'a> {
    fn read(body: &'a str) -> Self {
        let body = body.trim_start();
        let (name, rest) = body.split_at(name_length(body.as_bytes()));
        let mut rest = rest.trim_start();
        let mut word = None;
        if let Some((number, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            && let Ok(number) = number.trim_start().parse()
        {
            word = Some(number);
            rest = after.trim_start();
        }
        Self {
            name,
            word,
            default: rest.strip_prefix('-'),
        }
    }
}

/// Which brace closes which, found once for a text.
#[derive(Default)]
struct Braces {
    pairs: Option<Map<usize, usize>>,
}

impl Braces {
    /// The `}` that belongs to the `{` at `open`.
    fn closing(&mut self, text: &str, open: usize) -> Option<usize> {
        let pairs = self.pairs.get_or_insert_with(|| {
            let mut pairs = Map::new();
            let mut unclosed = Vec::new();
            for (at, byte) in text.bytes().enumerate() {
                match byte {
                    b'{' => unclosed.push(at),
                    b'}' => {
                        if let Some(open) = unclosed.pop() {
                            pairs.insert(open, at);
                        }
                    }
                    _ => {}
                }
            }
            pairs
        });
        pairs.get(&open).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(
        arguments: &[(&str, &str)],
        definitions: &[(&str, &str)],
        parent: Option<Rc<Environment>>,
    ) -> Rc<Environment> {
        let map = |pairs: &[(&str, &str)]| -> Definitions {
            pairs
                .iter()
                .map(|(name, value)| (Rc::from(*name), String::from(*value)))
                .collect()
        };
        Rc::new(Environment {
            scope: ScopeId(pairs_id(&parent)),
            arguments: map(arguments),
            definitions: Rc::new(map(definitions)),
            parent,
        })
    }

    fn pairs_id(parent: &Option<Rc<Environment>>) -> usize {
        parent.as_ref().map_or(0, |parent| parent.scope.0 + 1)
    }

    fn expand(environment: &Environment, text: &str) -> String {
        environment.expand(text, &mut Budget::new(10_000)).unwrap()
    }

    #[test]
    fn variables_are_replaced_except_in_single_quotes() {
        let here = environment(
            &[
                ("a", "1"),
                ("ab", "2"),
                ("q", "\"x y\""),
                ("n", "a"),
                ("w", "x \"y z\""),
            ],
            &[],
            None,
        );
        for (text, expected) in [
            ("$a $ab ${a}b", "1 2 1b"),
            ("'$a' \"$a\" \"\\$a\"", "'$a' \"1\" \"\\$a\""),
            ("$c ${c} ${c-d $a} ${a-d}", "$c ${c} d 1 1"),
            ("${c-${d-e}}", "e"),
            ("\"<$q>\" $q", "\"<\\\"x y\\\">\" \"x y\""),
            ("$(add $a 1) $$ $? $ ${ ${a", "$(add 1 1) $$ $? $ ${ ${a"),
            ("it's $a", "it's $a"),
            ("\"it's $a\"", "\"it's 1\""),
            (
                "$a // it's $a\n $a /* \"$a */ $a",
                "1 // it's $a\n 1 /* \"$a */ 1",
            ),
            ("$$a $?a ${n}", "$$a $?a a"),
            ("${$n} ${a$b} ${$n$a} ${$n-$a}", "1 1 ${a1} 1"),
            ("${w[0]} ${w [1]}${w[2]}. ${v[0]-d}", "x \"y z\". d"),
            (
                "$(a) $(f $a '$a' \"$a\") \"$(f $q)\"",
                "1 $(f 1 '$a' \"1\") \"$(f \"x y\")\"",
            ),
            ("$(f ')' $a", "$(f ')' $a"),
        ] {
            assert_eq!(expand(&here, text), expected, "{text}");
        }
    }

    #[test]
    fn definitions_may_use_each_other_in_any_order_and_those_around_them() {
        let outer = environment(&[], &[("a", "1"), ("b", "${c}b"), ("c", "2")], None);
        assert_eq!(expand(&outer, "$b"), "2b");
        let inner = environment(&[("d", "4")], &[("a", "$a$d")], Some(outer));
        assert_eq!(expand(&inner, "$a"), "14");
        assert_eq!(expand(&inner, "$b"), "2b");
        let inner = environment(&[("c", "$d$c"), ("d", "4")], &[], inner.parent.clone());
        assert_eq!(expand(&inner, "$b"), "42b");
    }

    #[test]
    fn definitions_that_go_in_a_circle_end() {
        let here = environment(&[], &[("a", "$b"), ("b", "$a"), ("c", "x$c")], None);
        assert_eq!(expand(&here, "$a"), "$a");
        assert_eq!(expand(&here, "$c"), "x$c");
    }

    #[test]
    fn doubling_definitions_exhaust_the_budget() {
        let names: Vec<(String, String)> = (0..30)
            .map(|i| {
                (
                    alloc::format!("a{i}"),
                    alloc::format!("$a{}$a{}", i + 1, i + 1),
                )
            })
            .collect();
        let pairs: Vec<(&str, &str)> = names
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let here = environment(&[], &pairs, None);
        assert_eq!(
            here.expand("$a0", &mut Budget::new(1 << 20)),
            Err(Exhausted)
        );
    }
}
