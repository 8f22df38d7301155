//! What the statements of a configuration mean: elements, connections and classes, scope by scope,
//! before compound elements are expanded.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::collections::Map;

use super::syntax::FormalKind;
use crate::diagnostics::Landmark;
use crate::graph::Requirement;

/// All that was read.
pub(super) struct Program {
    pub(super) file: Scope,
    pub(super) requirements: Vec<Requirement>,
    /// The end of the file.
    pub(super) end: Landmark,
}

/// An element class as a scope sees it.
#[derive(Clone)]
pub(super) enum Class {
    /// One that exists outside the configuration.
    Primitive(Rc<str>),
    /// One that the configuration defines.
    Compound(Rc<Compound>),
    /// None at all; that has been reported.
    Missing,
}

/// A class made of elements.
pub(super) struct Compound {
    /// `None` for `{ … }` used in place.
    pub(super) name: Option<Rc<str>>,
    /// The scope it was written in, whose parameters it sees.
    pub(super) parent: ScopeId,
    pub(super) overloads: Vec<Overload>,
    /// What `...` stands for.
    pub(super) extends: Option<Class>,
    /// How many compounds lie in each other when this one is expanded.
    pub(super) depth: usize,
}

/// The greatest depth of a compound. It bounds every recursion over classes.
pub(super) const CLASS_DEPTH: usize = 128;

impl Compound {
    pub(super) fn new(
        name: Option<Rc<str>>,
        parent: ScopeId,
        overloads: Vec<Overload>,
        extends: Option<Class>,
    ) -> Self {
        let within = overloads
            .iter()
            .flat_map(|overload| &overload.body.nodes)
            .filter_map(|node| match &node.kind {
                NodeKind::Element { class, .. } => Some(class),
                _ => None,
            });
        let depth = 1 + within.chain(&extends).map(Class::depth).max().unwrap_or(0);
        Self {
            name,
            parent,
            overloads,
            extends,
            depth,
        }
    }
}

impl Class {
    fn depth(&self) -> usize {
        match self {
            Self::Compound(compound) => compound.depth,
            _ => 0,
        }
    }
}

/// One alternative of a compound.
pub(super) struct Overload {
    pub(super) formals: Vec<Formal>,
    pub(super) body: Scope,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) at: Landmark,
}

/// A parameter of a compound.
pub(super) struct Formal {
    pub(super) kind: FormalKind,
    pub(super) name: Rc<str>,
}

/// Names a scope among all of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScopeId(pub(super) usize);

/// The file, or one alternative of a compound.
pub(super) struct Scope {
    pub(super) id: ScopeId,
    pub(super) nodes: Vec<Node>,
    pub(super) connections: Vec<Connection>,
    /// `define($name value)`: values by name.
    pub(super) definitions: Rc<Definitions>,
}

/// The pseudoelements of a compound's scope are its first two nodes.
pub(super) const INPUT: usize = 0;
/// See [`INPUT`].
pub(super) const OUTPUT: usize = 1;

/// A place that connections lead to and from.
pub(super) struct Node {
    pub(super) name: Rc<str>,
    pub(super) kind: NodeKind,
    pub(super) at: Landmark,
}

/// What a node is.
pub(super) enum NodeKind {
    /// An element.
    Element { class: Class, configuration: String },
    /// `input` or `output` of a compound or group: what enters at a port leaves at that port.
    Tunnel(Side),
}

/// A side of a compound or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Input,
    Output,
}

/// A port of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct End {
    pub(super) node: usize,
    pub(super) port: u16,
}

/// A line from an output to an input.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) from: End,
    pub(super) to: End,
    pub(super) at: Landmark,
}

/// Values of variables by name, without `$`.
pub(super) type Definitions = Map<Rc<str>, String>;

/// Ports in use: a bit for each.
#[derive(Default)]
pub(super) struct UsedPorts {
    words: Vec<u64>,
}

impl UsedPorts {
    fn of(ports: impl Iterator<Item = u16>) -> Self {
        let mut used = Self::default();
        ports.for_each(|port| used.insert(port));
        used
    }

    pub(super) fn insert(&mut self, port: u16) {
        let word = usize::from(port / 64);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (port % 64);
    }

    /// The number of the highest port in use, plus one.
    pub(super) fn count(&self) -> usize {
        let last = self.words.iter().rposition(|word| *word != 0);
        last.map_or(0, |last| {
            last * 64 + 64 - self.words[last].leading_zeros() as usize
        })
    }

    /// The ports below `count` that are not in use.
    pub(super) fn gaps(&self, count: usize) -> impl Iterator<Item = usize> + '_ {
        (0..count).filter(|port| {
            self.words
                .get(port / 64)
                .is_none_or(|word| word >> (port % 64) & 1 == 0)
        })
    }
}

impl Scope {
    pub(super) fn new(id: ScopeId) -> Self {
        Self {
            id,
            nodes: Vec::new(),
            connections: Vec::new(),
            definitions: Rc::default(),
        }
    }

    /// The ports at which connections leave `node`, those made before `first` left out.
    pub(super) fn outputs_of(&self, node: usize, first: usize) -> UsedPorts {
        let leaving = self.connections[first..]
            .iter()
            .filter(|c| c.from.node == node);
        UsedPorts::of(leaving.map(|c| c.from.port))
    }

    /// The ports at which connections enter `node`, those made before `first` left out.
    pub(super) fn inputs_of(&self, node: usize, first: usize) -> UsedPorts {
        let entering = self.connections[first..]
            .iter()
            .filter(|c| c.to.node == node);
        UsedPorts::of(entering.map(|c| c.to.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_the_ports_nobody_uses() {
        let mut used = UsedPorts::default();
        assert_eq!(used.count(), 0);
        for port in [0, 2, 130] {
            used.insert(port);
        }
        assert_eq!(used.count(), 131);
        assert_eq!(used.gaps(4).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(used.gaps(200).count(), 197);
    }
}
