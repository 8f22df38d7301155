//! A configuration after expansion: elements of primitive classes, and connections between them.
//!
//! The language makes it, the router is built from it, and people can look at it: it can be
//! written as Click text, as JSON, for Graphviz and as a picture.

mod dot;
mod json;
mod layout;
mod svg;
#[cfg(test)]
mod tests;
mod unparse;

use crate::collections;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

pub use dot::Dot;
pub use json::Json;
pub use svg::Svg;

use crate::diagnostics::Landmark;

/// A whole configuration without compound elements, groups, variables and synonyms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flat {
    /// In the order Click numbers them: those of the file first, then those of each compound.
    pub elements: Vec<FlatElement>,
    /// Each at most once.
    pub connections: Vec<FlatConnection>,
    /// What the configuration requires, libraries left out.
    pub requirements: Vec<Requirement>,
}

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatElement {
    /// Its name, with those of the compounds around it before it: `compound/inner`.
    pub name: Rc<str>,
    /// A class that exists outside the configuration.
    pub class: Rc<str>,
    /// Its configuration string without comments, variables replaced.
    pub config: Rc<str>,
    /// Where it was written.
    pub landmark: Landmark,
}

/// A line from an output to an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlatConnection {
    /// The index of an element and one of its outputs.
    pub from: (usize, u16),
    /// The index of an element and one of its inputs.
    pub to: (usize, u16),
    /// Where the connection was written; where it begins, if it passes through compounds.
    pub landmark: Landmark,
}

/// What a `require` statement names. Printed as it stands within `require(…)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// `package`, or nothing for the one requirement that is no package, `compact_config`.
    pub kind: Rc<str>,
    /// Its name.
    pub name: Rc<str>,
}

/// How packets pass a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// The element before hands them on.
    Push,
    /// The element after asks for them.
    Pull,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Push => "push",
            Self::Pull => "pull",
        })
    }
}

impl Flat {
    /// The configuration as JSON. `flows` says how packets pass each connection, in order; empty
    /// where that is not known.
    #[must_use]
    pub fn json<'a>(&'a self, flows: &'a [Flow]) -> Json<'a> {
        Json { flat: self, flows }
    }

    /// The configuration for Graphviz; `flows` as for [`json`](Self::json).
    #[must_use]
    pub fn dot<'a>(&'a self, flows: &'a [Flow]) -> Dot<'a> {
        Dot { flat: self, flows }
    }

    /// The configuration as an SVG picture; `flows` as for [`json`](Self::json).
    #[must_use]
    pub fn svg<'a>(&'a self, flows: &'a [Flow]) -> Svg<'a> {
        Svg { flat: self, flows }
    }

    /// The configuration as Click text; the same as its `Display`.
    #[must_use]
    pub fn unparse(&self) -> String {
        self.to_string()
    }

    /// The index of the element of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.elements
            .iter()
            .position(|element| *element.name == *name)
    }

    /// How many inputs and outputs each element has: one more than the highest port in use.
    #[must_use]
    pub fn port_counts(&self) -> Vec<(usize, usize)> {
        let mut counts = alloc::vec![(0, 0); self.elements.len()];
        for connection in &self.connections {
            let (from, output) = connection.from;
            let (to, input) = connection.to;
            if let Some((_, outputs)) = counts.get_mut(from) {
                *outputs = usize::from(output).max(*outputs - usize::from(*outputs > 0)) + 1;
            }
            if let Some((inputs, _)) = counts.get_mut(to) {
                *inputs = usize::from(input).max(*inputs - usize::from(*inputs > 0)) + 1;
            }
        }
        counts
    }

    /// The classes in use, each once, in alphabetical order.
    #[must_use]
    pub fn classes(&self) -> Vec<&str> {
        let mut classes: Vec<&str> = self
            .elements
            .iter()
            .map(|element| &*element.class)
            .collect();
        collections::sort(&mut classes);
        classes.dedup();
        classes
    }

    /// The names of the elements in alphabetical order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.elements.iter().map(|element| &*element.name).collect();
        collections::sort(&mut names);
        names
    }
}

/// At most so many letters of a text, with an ellipsis where some are left out.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    text.chars()
        .take(most.saturating_sub(1))
        .chain(['…'])
        .collect()
}
