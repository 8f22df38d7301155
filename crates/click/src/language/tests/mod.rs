//! Each rule of the language as a claim. Expected values come from Click's manual, click(5), and
//! from what the original program answered.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::graph::Flat;

mod compounds;
mod connections;
mod elements;
mod limits;
mod messages;
mod properties;
mod scopes;

const CLASSES: [&str; 14] = [
    "Idle",
    "Discard",
    "Null",
    "Queue",
    "Counter",
    "Paint",
    "Print",
    "Tee",
    "Classifier",
    "Message",
    "InfiniteSource",
    "Shaper",
    "X",
    "Y",
];

struct Known;

impl Classes for Known {
    fn has(&self, class: &str) -> bool {
        CLASSES.contains(&class)
    }
}

struct Library;

impl Requirements for Library {
    fn library(&self, file: &str) -> Option<Source> {
        match file {
            "a.click" => Some(Source::new(
                "conf/a.click",
                "require(library b.click)\nelementclass A { -> Null -> }\n",
            )),
            "b.click" => Some(Source::new(
                "conf/b.click",
                "require(library a.click, library b.click)\nlib :: Idle;",
            )),
            _ => None,
        }
    }

    fn package(&self, package: &str) -> bool {
        package != "missing"
    }
}

fn read_with(text: &str, definitions: &[(&str, &str)]) -> (Option<Flat>, String) {
    let definitions: Vec<(String, String)> = definitions
        .iter()
        .map(|(n, v)| (n.to_string(), v.to_string()))
        .collect();
    let options = Options {
        classes: &Known,
        requirements: &Library,
        definitions: &definitions,
    };
    let mut diagnostics = Diagnostics::new();
    let flat = parse(Source::new("t.click", text), &options, &mut diagnostics).ok();
    assert_eq!(
        flat.is_none(),
        diagnostics.has_errors(),
        "an error and a configuration exclude each other: {diagnostics}"
    );
    (flat, diagnostics.to_string())
}

fn flat(text: &str) -> Flat {
    let (flat, messages) = read_with(text, &[]);
    flat.unwrap_or_else(|| panic!("{text}\n{messages}"))
}

fn errors(text: &str) -> Vec<String> {
    let (_, messages) = read_with(text, &[]);
    messages.lines().map(String::from).collect()
}

/// `name :: Class(config)` of every element.
fn elements(text: &str) -> Vec<String> {
    flat(text)
        .elements
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// `a[0]->[1]b` for every connection, in the order of the elements.
fn connections(text: &str) -> Vec<String> {
    let flat = flat(text);
    let name = |index: usize| &flat.elements[index].name;
    let mut ends: Vec<_> = flat.connections.iter().map(|c| (c.from, c.to)).collect();
    ends.sort_unstable();
    ends.iter()
        .map(|&((a, p), (b, q))| alloc::format!("{}[{p}]->[{q}]{}", name(a), name(b)))
        .collect()
}
