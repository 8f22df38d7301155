//! `$name`, `${name}` and `${name-default}` in configuration strings.

use alloc::borrow::Cow;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::collections::Map;

use super::program::{Definitions, ScopeId};
use crate::arguments::unquote;

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
    /// Values that stand as they are: a compound's arguments, and the command line's definitions.
    pub(super) arguments: Definitions,
    /// Values that may themselves contain variables.
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

    fn find<'a>(&'a self, name: &str, within: &[(ScopeId, &str)]) -> Option<Value<'a>> {
        let mut environment = Some(self);
        while let Some(here) = environment {
            if let Some(value) = here.arguments.get(name) {
                return Some(Value::Final(value));
            }
            // A definition that uses its own name means that of the scope around it.
            if !within.contains(&(here.scope, name))
                && let Some((name, value)) = here.definitions.get_key_value(name)
            {
                return Some(Value::Definition(here, name, value));
            }
            environment = here.parent.as_deref();
        }
        None
    }
}

enum Value<'a> {
    Final(&'a str),
    Definition(&'a Environment, &'a str, &'a str),
}

struct Expansion<'a, 'b> {
    budget: &'b mut Budget,
    /// The definitions that are being expanded.
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
                b'$' => {
                    if let Some(reference) = Reference::at(text, at, &mut braces)
                        && let Some(value) = self.value(environment, &reference)?
                    {
                        out.push_str(&text[kept..at]);
                        out.push_str(&if quoted {
                            within_quotes(&value)
                        } else {
                            Cow::Borrowed(value.as_str())
                        });
                        kept = reference.end;
                        at = reference.end;
                        continue;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        out.push_str(&text[kept..]);
        self.budget.spend(out.len())?;
        Ok(out)
    }

    fn value(
        &mut self,
        environment: &'a Environment,
        reference: &Reference<'_>,
    ) -> Result<Option<String>, Exhausted> {
        self.budget.spend(LOOKUP)?;
        if self.within.len() >= DEPTH {
            return Ok(None);
        }
        match environment.find(reference.name, &self.within) {
            Some(Value::Final(value)) => {
                self.budget.spend(value.len())?;
                Ok(Some(value.into()))
            }
            Some(Value::Definition(environment, name, value)) => {
                self.within.push((environment.scope, name));
                let value = self.text(environment, value);
                self.within.pop();
                value.map(Some)
            }
            None => match reference.default {
                Some(default) => {
                    self.within.push((ScopeId(usize::MAX), ""));
                    let value = self.text(environment, default);
                    self.within.pop();
                    value.map(Some)
                }
                None => Ok(None),
            },
        }
    }
}

/// A variable in a text.
struct Reference<'a> {
    name: &'a str,
    default: Option<&'a str>,
    /// The byte after it.
    end: usize,
}

impl<'a> Reference<'a> {
    /// The variable whose `$` is at `at`, if one is.
    fn at(text: &'a str, at: usize, braces: &mut Braces) -> Option<Self> {
        let name_end = |start: usize| {
            let bytes = &text.as_bytes()[start..];
            start
                + bytes
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
                    .count()
        };
        let open = at + 1;
        if text.as_bytes().get(open) != Some(&b'{') {
            let end = name_end(open);
            return (end > open).then(|| Self {
                name: &text[open..end],
                default: None,
                end,
            });
        }
        let end = name_end(open + 1);
        if end == open + 1 {
            return None;
        }
        let name = &text[open + 1..end];
        match text.as_bytes().get(end)? {
            b'}' => Some(Self {
                name,
                default: None,
                end: end + 1,
            }),
            b'-' => {
                let close = braces.closing(text, open)?;
                Some(Self {
                    name,
                    default: Some(&text[end + 1..close]),
                    end: close + 1,
                })
            }
            _ => None,
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

/// A value as it stands between double quotes.
fn within_quotes(value: &str) -> Cow<'_, str> {
    if !value.contains(['"', '\'', '\\']) {
        return Cow::Borrowed(value);
    }
    let mut out = String::new();
    for c in unquote(value).chars() {
        if matches!(c, '"' | '\\' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    Cow::Owned(out)
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
        let here = environment(&[("a", "1"), ("ab", "2"), ("q", "\"x y\"")], &[], None);
        for (text, expected) in [
            ("$a $ab ${a}b", "1 2 1b"),
            ("'$a' \"$a\" \"\\$a\"", "'$a' \"1\" \"\\$a\""),
            ("$c ${c} ${c-d $a} ${a-d}", "$c ${c} d 1 1"),
            ("${c-${d-e}}", "e"),
            ("\"<$q>\" $q", "\"<x y>\" \"x y\""),
            ("$(add $a 1) $$ $? $ ${ ${a", "$(add 1 1) $$ $? $ ${ ${a"),
            ("it's $a", "it's $a"),
            ("\"it's $a\"", "\"it's 1\""),
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
