//! What a rewriter does with packets of flows it does not know yet, for each input.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use sprat_click::arguments::{Arguments, Names, NoNames, split_words};
use sprat_click::{Configuration, Context, ElementId};
use sprat_packet::flow::FlowKey;

use super::ip_mapper::{IpMapper, RoundRobinIpMapper, SourceIpHashMapper};
use super::ip_rewriter_patterns::IpRewriterPatterns;
use super::pattern::Pattern;

/// What is done with a new flow.
pub(super) enum InputSpec {
    /// Its packets are dropped.
    Drop,
    /// Its packets leave by an output as they are.
    Pass(u16),
    /// It is remembered, and its packets leave as they are.
    Keep([u16; 2]),
    /// It is rewritten.
    Pattern(Rewriting),
    /// Another element says how it is rewritten.
    Mapper(ElementId, MapperKind, String),
}

/// A pattern, and where packets of either direction go.
#[derive(Clone)]
pub(super) struct Rewriting {
    pub(super) pattern: Pattern,
    pub(super) outputs: [u16; 2],
}

/// Which class of mapper.
#[derive(Clone, Copy)]
pub(super) enum MapperKind {
    RoundRobin,
    SourceHash,
}

impl InputSpec {
    /// Reads the specification in `text`.
    pub(super) fn parse(
        text: &str,
        names: &dyn Names,
        configuration: &Configuration<'_>,
    ) -> Result<Self, String> {
        let words = split_words(text);
        let outputs = configuration.outputs();
        if let Some(spec) = Self::simple(&words, outputs)? {
            return Ok(spec);
        }
        let rest = words.get(1..).unwrap_or(&[]);
        match words.first().map(String::as_str) {
            Some("pattern" | "xpattern") => {
                Rewriting::parse(rest, names, configuration, outputs).map(Self::Pattern)
            }
            Some(name) if words.len() == 1 => Self::mapper(name, configuration),
            _ => Err("unknown specification".into()),
        }
    }

    fn mapper(name: &str, configuration: &Configuration<'_>) -> Result<Self, String> {
        let id = configuration.find(name).ok_or("unknown specification")?;
        let kind = match configuration.class_of(id).name {
            "RoundRobinIPMapper" => MapperKind::RoundRobin,
            "SourceIPHashMapper" => MapperKind::SourceHash,
            _ => return Err("unknown specification".into()),
        };
        Ok(Self::Mapper(id, kind, name.into()))
    }

    /// Reads a specification that is written while the router runs, where no other element can be
    /// looked at: no mapper, no named pattern.
    pub(super) fn parse_running(text: &str, outputs: usize) -> Result<Self, String> {
        let words = split_words(text);
        match words.first().map(String::as_str) {
            Some("pattern") if words.len() > 4 => {
                let (pattern, ports) = words[1..].split_at(words.len() - 3);
                let pattern = Pattern::parse(pattern, &NoNames)?;
                let outputs = [output(&ports[0], outputs)?, output(&ports[1], outputs)?];
                Ok(Self::Pattern(Rewriting { pattern, outputs }))
            }
            _ => Self::simple(&words, outputs)?.ok_or_else(|| "unknown specification".into()),
        }
    }

    /// Reads a specification that names nothing.
    fn simple(words: &[String], outputs: usize) -> Result<Option<Self>, String> {
        let rest = words.get(1..).unwrap_or(&[]);
        Ok(Some(match words.first().map(String::as_str) {
            Some("drop" | "discard") if rest.is_empty() => Self::Drop,
            Some("drop" | "discard") => return Err("syntax error, expected 'drop'".into()),
            Some("pass" | "passthrough") => match rest {
                [] => Self::Pass(output("0", outputs)?),
                [port] => Self::Pass(output(port, outputs)?),
                _ => return Err("syntax error, expected 'pass [OUTPUT]'".into()),
            },
            Some("keep" | "nochange") => match rest {
                [forward, reply] => {
                    Self::Keep([output(forward, outputs)?, output(reply, outputs)?])
                }
                _ => return Err("syntax error, expected 'keep FOUTPUT ROUTPUT'".into()),
            },
            _ => return Ok(None),
        }))
    }

    /// What a flow becomes, and where its packets go; for those that are remembered.
    pub(super) fn rewrite(
        &mut self,
        key: &FlowKey,
        context: &Context<'_>,
        free: &dyn Fn(&FlowKey) -> bool,
    ) -> Option<(FlowKey, [u16; 2])> {
        match self {
            Self::Drop | Self::Pass(_) => None,
            Self::Keep(outputs) => free(key).then_some((*key, *outputs)),
            Self::Pattern(rewriting) => rewriting.apply(key, context, free),
            Self::Mapper(id, MapperKind::RoundRobin, _) => context
                .with(*id, |mapper: &mut RoundRobinIpMapper, context| {
                    mapper.rewrite(key, context, free)
                })
                .flatten(),
            Self::Mapper(id, MapperKind::SourceHash, _) => context
                .with(*id, |mapper: &mut SourceIpHashMapper, context| {
                    mapper.rewrite(key, context, free)
                })
                .flatten(),
        }
    }

    /// A flow made by this specification is no more.
    pub(super) fn flow_ended(&mut self) {
        if let Self::Pattern(rewriting) = self {
            rewriting.pattern.flows = rewriting.pattern.flows.saturating_sub(1);
        }
    }
}

impl Rewriting {
    /// Reads `PATTERN FOUTPUT ROUTPUT`, where the pattern may be the name of one.
    pub(super) fn parse(
        words: &[String],
        names: &dyn Names,
        configuration: &Configuration<'_>,
        outputs: usize,
    ) -> Result<Self, String> {
        let (pattern, ports) = match words.len().checked_sub(2) {
            Some(split @ 1..) => words.split_at(split),
            _ => return Err("bad pattern spec".into()),
        };
        let pattern = match pattern {
            [name] => named(name, configuration)
                .ok_or_else(|| alloc::format!("no such pattern '{name}'"))?,
            words => Pattern::parse(words, names)?,
        };
        Ok(Self {
            pattern,
            outputs: [output(&ports[0], outputs)?, output(&ports[1], outputs)?],
        })
    }

    pub(super) fn apply(
        &mut self,
        key: &FlowKey,
        context: &Context<'_>,
        free: &dyn Fn(&FlowKey) -> bool,
    ) -> Option<(FlowKey, [u16; 2])> {
        let new = self.pattern.apply(key, context, free)?;
        self.pattern.flows += 1;
        Some((new, self.outputs))
    }
}

/// The pattern that an `IPRewriterPatterns` element calls `name`.
fn named(name: &str, configuration: &Configuration<'_>) -> Option<Pattern> {
    configuration
        .elements()
        .filter(|id| configuration.class_of(*id).name == "IPRewriterPatterns")
        .find_map(|id| {
            configuration
                .with(id, |patterns: &mut IpRewriterPatterns| {
                    patterns.find(name).cloned()
                })
                .flatten()
        })
}

fn output(text: &str, outputs: usize) -> Result<u16, String> {
    let port: u16 = text.parse().map_err(|_| "bad output port")?;
    if usize::from(port) < outputs {
        Ok(port)
    } else {
        Err("output port out of range".into())
    }
}

/// Reads all specifications of a rewriter, one for each input, reporting what is wrong.
pub(super) fn parse_all(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
) -> Vec<InputSpec> {
    let texts = arguments.rest();
    if texts.len() != configuration.inputs() {
        let message = alloc::format!(
            "need {} arguments, one per input port",
            configuration.inputs()
        );
        arguments.error(message);
    }
    let names = arguments.names();
    let mut specs = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        match InputSpec::parse(text, names, configuration) {
            Ok(spec) => specs.push(spec),
            Err(message) => {
                arguments.error(alloc::format!("input spec {number}: {message}"));
            }
        }
    }
    specs
}

/// As Click's `patterns` handler writes it.
impl fmt::Display for InputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("<drop>"),
            Self::Pass(output) => write!(f, "<pass {output}>"),
            Self::Keep([forward, reply]) => write!(f, "<keep {forward} {reply}>"),
            Self::Pattern(rewriting) => f.write_str(&rewriting.pattern.to_string()),
            Self::Mapper(_, _, name) => write!(f, "<mapper {name}>"),
        }
    }
}

/// A mapper that picks one of several rewritings for each new flow.
pub(super) fn rewrite_with<const HASH: bool>(
    mapper: &mut IpMapper<HASH>,
    key: &FlowKey,
    context: &Context<'_>,
    free: &dyn Fn(&FlowKey) -> bool,
) -> Option<(FlowKey, [u16; 2])> {
    let count = mapper.rewritings.len();
    let start = mapper.start(key);
    (0..count).find_map(|attempt| {
        let place = (start + attempt) % count;
        let found = mapper.rewritings[place].apply(key, context, free)?;
        mapper.chosen(place);
        Some(found)
    })
}
