//! The element classes that configurations can use.

use alloc::vec::Vec;

use crate::collections::{Map, sort};

use crate::element::Class;

/// A set of element classes, found by name.
#[derive(Debug, Default)]
pub struct Library {
    classes: Map<&'static str, &'static Class>,
}

impl Library {
    /// A library of these classes. Of two with one name the later counts.
    pub fn new(classes: &[&'static Class]) -> Self {
        Self {
            classes: classes.iter().map(|class| (class.name, *class)).collect(),
        }
    }

    /// The class called `name`.
    pub fn find(&self, name: &str) -> Option<&'static Class> {
        self.classes.get(name).copied()
    }

    /// The names of all classes, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.classes.keys().copied().collect();
        sort(&mut names);
        names
    }
}
