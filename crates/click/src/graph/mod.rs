//! A configuration after expansion: elements of primitive classes, and connections between them.
//!
//! The language makes it, the router is built from it, and people can look at it: it can be
//! written as Click text.

mod unparse;

use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// `package`, or nothing for the one requirement that is no package, `compact_config`.
    pub kind: Rc<str>,
    /// Its name.
    pub name: Rc<str>,
}

impl Flat {
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
        classes.sort_unstable();
        classes.dedup();
        classes
    }

    /// The names of the elements in alphabetical order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.elements.iter().map(|element| &*element.name).collect();
        names.sort_unstable();
        names
    }
}
