//! The form of a configuration, before names mean anything.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::diagnostics::Landmark;

/// One statement.
pub(super) enum Statement {
    /// Elements, perhaps connected: declarations are connections of one stage.
    Chain(Chain),
    /// `elementclass NAME CLASS`
    ElementClass {
        name: Rc<str>,
        class: Class,
        at: Landmark,
    },
    /// `require(…)`
    Require { arguments: String, at: Landmark },
    /// `define(…)`
    Define { arguments: String, at: Landmark },
}

/// `a, b -> c => d`: stages of elements with links between them.
pub(super) struct Chain {
    pub(super) first: Vec<Operand>,
    pub(super) rest: Vec<(Link, Vec<Operand>)>,
}

/// What joins two stages.
pub(super) struct Link {
    /// `=>` joins ports pairwise; `->` joins one port to one or many.
    pub(super) pairwise: bool,
    pub(super) at: Landmark,
}

/// An element in a chain with the ports that are used there.
pub(super) struct Operand {
    pub(super) inputs: Option<Ports>,
    pub(super) reference: Reference,
    pub(super) outputs: Option<Ports>,
    pub(super) at: Landmark,
}

/// How an element is named.
pub(super) enum Reference {
    /// Not at all: the surrounding compound's or group's input or output.
    Implicit,
    /// A word: an element, or else a class of an element without name.
    Word(Rc<str>),
    /// An element without name.
    Anonymous { class: Class, configuration: String },
    /// `name :: Class(…)`
    Declaration {
        name: Rc<str>,
        class: Class,
        configuration: String,
    },
    /// `( … )`
    Group(Vec<Statement>),
}

/// How a class is named.
pub(super) enum Class {
    Named(Rc<str>, Landmark),
    Compound(Box<Compound>),
}

/// `{ … || … || ... }`
pub(super) struct Compound {
    pub(super) overloads: Vec<Overload>,
    /// Where `...` takes in the class of the same name defined before.
    pub(super) extends: Option<Landmark>,
}

/// One alternative of a compound: `$a, KEY $b | statements`.
pub(super) struct Overload {
    pub(super) formals: Vec<Formal>,
    pub(super) body: Vec<Statement>,
    pub(super) at: Landmark,
}

/// A parameter of a compound.
pub(super) struct Formal {
    pub(super) kind: FormalKind,
    /// Without `$`.
    pub(super) name: Rc<str>,
    pub(super) at: Landmark,
}

/// How a parameter gets its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FormalKind {
    Positional,
    Keyword(Rc<str>),
    /// `__REST__`
    Rest,
}

/// A list of ports, kept as the ranges it was written as: `[0-65535]` costs no more than `[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ports {
    ranges: Vec<(u16, u16)>,
    /// `[]` or `[0,]`: more ports may follow, as many as the other side has.
    pub(super) open: bool,
}

impl Ports {
    /// One port.
    pub(super) fn one(port: u16) -> Self {
        Self {
            ranges: alloc::vec![(port, port)],
            open: false,
        }
    }

    /// The first `count` ports; `None` if that is more than there can be.
    pub(super) fn first(count: usize) -> Option<Self> {
        match count.checked_sub(1) {
            None => Some(Self::default()),
            Some(last) => Some(Self {
                ranges: alloc::vec![(0, u16::try_from(last).ok()?)],
                open: false,
            }),
        }
    }

    /// Adds the ports from `first` to `last`.
    pub(super) fn add(&mut self, first: u16, last: u16) {
        self.ranges.push((first, last));
    }

    /// Adds `count` ports after the last, unless there cannot be so many.
    pub(super) fn extend(&mut self, count: usize) {
        let last = self.ranges.last().map_or(0, |&(_, last)| last);
        if let (Some(first), Ok(end)) = (
            last.checked_add(1),
            u16::try_from(usize::from(last) + count),
        ) && count > 0
        {
            self.add(first, end);
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.ranges
            .iter()
            .map(|(first, last)| usize::from(last - first) + 1)
            .sum()
    }

    /// The ports in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + Clone + '_ {
        self.ranges.iter().flat_map(|&(first, last)| first..=last)
    }
}
