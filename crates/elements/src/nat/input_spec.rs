//! What a rewriter does with packets of flows it does not know yet, for each input.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use core::fmt;

use sprat_click::arguments::{Argument, Names, NoNames, split_words};
use sprat_click::{Configuration, Context};

use super::flow_table::Outputs;
use super::ip_rewriter_patterns::{IP_REWRITER_PATTERNS, IpRewriterPatterns, find_pattern};
use super::mapper::{Mapped, Mapper, MapperElement, Request};
use super::pattern::Pattern;

/// What is done with a new flow.
pub(super) enum InputSpec {
    /// Its packets are dropped.
    Drop,
    /// Its packets leave by an output as they are.
    Pass(u8),
    /// It is remembered, and its packets leave as they are.
    Keep(Outputs),
    /// It is rewritten.
    Pattern(Rewriting),
    /// Another element says how it is rewritten.
    Mapper(Rc<dyn Mapper>),
}

/// A pattern, and where packets of either direction go.
pub(super) struct Rewriting {
    pattern: Rc<Pattern>,
    pub(super) outputs: Outputs,
}

/// Outputs a mapper may name: it does not know who will use it.
pub(super) const ANY_OUTPUT: usize = 256;

/// What other elements mean to a specification.
pub(super) trait Surroundings {
    /// Reads the pattern that these words are.
    fn read_pattern(&self, words: &[String]) -> Result<Pattern, String>;
    /// The pattern of this name.
    fn pattern(&self, name: &str) -> Option<Rc<Pattern>>;
    /// The mapper that an element is, and how it was declared; `None` where there is no element
    /// of that name.
    fn mapper(&self, name: &str) -> Option<Option<(Rc<dyn Mapper>, String)>>;
}

/// While the router is configured.
impl Surroundings for (&dyn Names, &Configuration<'_>) {
    fn read_pattern(&self, words: &[String]) -> Result<Pattern, String> {
        Pattern::parse(words, self.0)
    }

    fn pattern(&self, name: &str) -> Option<Rc<Pattern>> {
        find_pattern(self.1, name)
    }

    fn mapper(&self, name: &str) -> Option<Option<(Rc<dyn Mapper>, String)>> {
        let id = self.1.find(name)?;
        let class = self.1.class_of(id);
        let mapper = self
            .1
            .with(id, |element: &mut MapperElement| element.mapper.clone());
        Some(mapper.map(|mapper| (mapper, format!("{name} :: {}", class.name))))
    }
}

/// While it runs.
impl Surroundings for Context<'_> {
    fn read_pattern(&self, words: &[String]) -> Result<Pattern, String> {
        Pattern::parse(words, &self.names())
    }

    fn pattern(&self, name: &str) -> Option<Rc<Pattern>> {
        let router = self.router();
        router
            .elements()
            .filter(|id| router.class(*id).name == IP_REWRITER_PATTERNS.name)
            .find_map(|id| {
                self.with(id, |patterns: &mut IpRewriterPatterns, _| {
                    patterns.find(name)
                })
                .flatten()
            })
    }

    fn mapper(&self, name: &str) -> Option<Option<(Rc<dyn Mapper>, String)>> {
        let id = self.find(name)?;
        let class = self.router().class(id);
        let mapper = self.with(id, |element: &mut MapperElement, _| element.mapper.clone());
        Some(mapper.map(|mapper| (mapper, format!("{name} :: {}", class.name))))
    }
}

impl InputSpec {
    /// Reads the specification in `text`, of a rewriter with so many outputs.
    pub(super) fn parse(
        text: &str,
        surroundings: &dyn Surroundings,
        outputs: usize,
    ) -> Result<Self, String> {
        let words = split_words(text);
        let Some((word, rest)) = words.split_first() else {
            return Err("empty argument".into());
        };
        match word.as_str() {
            "pass" | "passthrough" | "nochange" => match rest {
                [] => Ok(Self::Pass(within(0, outputs)?)),
                [port] => {
                    let port = i32::parse(port, &NoNames).map_err(|_| PASS)?;
                    Ok(Self::Pass(within(port, outputs)?))
                }
                _ => Err(PASS.into()),
            },
            "keep" => Ok(Self::Keep(output_pair(rest, outputs)?)),
            "drop" | "discard" if rest.is_empty() => Ok(Self::Drop),
            "drop" | "discard" => Err(format!("syntax error, expected '{word}'")),
            "pattern" | "xpattern" => {
                Rewriting::parse(rest, surroundings, outputs).map(Self::Pattern)
            }
            name => match surroundings.mapper(name) {
                None => Err("unknown specification".into()),
                Some(_) if !rest.is_empty() => Err("syntax error, expected element name".into()),
                Some(None) => Err("element is not an IPMapper".into()),
                Some(Some((mapper, declaration))) => {
                    let outputs_named = mapper.outputs();
                    let beyond =
                        |pair: &Outputs| pair.iter().any(|output| usize::from(*output) >= outputs);
                    match outputs_named.iter().position(beyond) {
                        Some(pattern) => Err(format!(
                            "output port out of range in {declaration} pattern {pattern}"
                        )),
                        None => Ok(Self::Mapper(mapper)),
                    }
                }
            },
        }
    }

    /// What a new flow becomes, and where its packets go; for those that are remembered.
    pub(super) fn map(&self, request: &Request<'_>) -> Option<Mapped> {
        match self {
            Self::Drop | Self::Pass(_) => None,
            Self::Keep(outputs) => Some((request.key, *outputs)),
            Self::Pattern(rewriting) => rewriting.apply(request),
            Self::Mapper(mapper) => mapper.map(request),
        }
    }
}

const PASS: &str = "syntax error, expected 'nochange [OUTPUT]'";

impl Rewriting {
    /// Reads `PATTERN FOUTPUT ROUTPUT`, where the pattern may be the name of one.
    pub(super) fn parse(
        words: &[String],
        surroundings: &dyn Surroundings,
        outputs: usize,
    ) -> Result<Self, String> {
        let (pattern, ports) = match words.len().checked_sub(2) {
            Some(split @ 1..) => words.split_at(split),
            _ => return Err("syntax error".into()),
        };
        let pattern = match pattern {
            [name] => surroundings
                .pattern(name)
                .ok_or_else(|| format!("no such pattern '{name}'"))?,
            words => Rc::new(surroundings.read_pattern(words)?),
        };
        Ok(Self {
            pattern,
            outputs: output_pair(ports, outputs)?,
        })
    }

    pub(super) fn apply(&self, request: &Request<'_>) -> Option<Mapped> {
        Some((self.pattern.apply(request)?, self.outputs))
    }
}

/// Reads `FOUTPUT ROUTPUT`.
fn output_pair(words: &[String], outputs: usize) -> Result<Outputs, String> {
    let number = |text: &String| i32::parse(text, &NoNames).ok();
    let forward = words.first().filter(|_| words.len() == 2).and_then(number);
    let forward = forward.ok_or("bad forward port")?;
    let reply = words.get(1).and_then(number).ok_or("bad reply port")?;
    Ok([within(forward, outputs)?, within(reply, outputs)?])
}

fn within(port: i32, outputs: usize) -> Result<u8, String> {
    u8::try_from(port)
        .ok()
        .filter(|port| usize::from(*port) < outputs)
        .ok_or_else(|| "output port out of range".into())
}

/// As Click's `patterns` handler writes it.
impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("<drop>"),
            Self::Pass(_) => f.write_str("<nochange>"),
            Self::Keep(_) => f.write_str("<keep>"),
            Self::Pattern(rewriting) => f.write_str(&rewriting.pattern.to_string()),
            Self::Mapper(_) => f.write_str("<mapper>"),
        }
    }
}
