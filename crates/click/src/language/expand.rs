//! Expanding compound elements, variables and tunnels until only elements are left.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::collections::{Map, Set};

use super::builder::MOST_CONNECTIONS;
use super::overload::{self, Choice, Use};
use super::program::{
    Class, Compound, Connection, End, INPUT, NodeKind, OUTPUT, Overload, Program, Scope,
};
use super::variables::{Budget, Environment, Exhausted};
use crate::arguments::{Rejected, split_arguments};
use crate::diagnostics::{Diagnostic, Diagnostics, Landmark};
use crate::graph::{Flat, FlatConnection, FlatElement};

/// The most elements a configuration may expand to.
const MOST_ELEMENTS: usize = 1 << 17;
/// Bytes of names and configuration strings.
const MOST_TEXT: usize = 64 << 20;
/// Uses of compounds that fit no alternative and are reported.
const MOST_MISMATCHES: usize = 100;
/// Steps through tunnels.
const MOST_STEPS: usize = 1 << 24;

/// Expands a program; `definitions` come from the command line and override the file's.
pub(super) fn expand(
    program: &Program,
    definitions: &[(String, String)],
    diagnostics: &mut Diagnostics,
) -> Result<Flat, Rejected> {
    let environment = Environment {
        scope: program.file.id,
        arguments: definitions
            .iter()
            .map(|(name, value)| (name.as_str().into(), value.clone()))
            .collect(),
        definitions: program.file.definitions.clone(),
        parent: None,
    };
    let mut expander = Expander {
        nodes: Vec::new(),
        connections: Vec::new(),
        names: Map::new(),
        budget: Budget::new(MOST_TEXT),
        diagnostics,
        failed: false,
        mismatches: 0,
    };
    if let Err(TooLarge(at)) = expander.scope(&program.file, &Rc::new(environment), "", None) {
        let diagnostic = Diagnostic::error("configuration expands to too many elements").at(&at);
        expander.error(diagnostic.help(format!(
            "at most {MOST_ELEMENTS} elements and {} MB of text",
            MOST_TEXT >> 20
        )));
    }
    if expander.failed {
        return Err(Rejected);
    }
    let mut flat = expander.flatten()?;
    flat.requirements.clone_from(&program.requirements);
    Ok(flat)
}

/// The expansion passed a limit while this place was expanded.
struct TooLarge(Landmark);

struct Expander<'a> {
    nodes: Vec<FlatNode>,
    /// Between `nodes`.
    connections: Vec<Connection>,
    names: Map<Rc<str>, Landmark>,
    budget: Budget,
    diagnostics: &'a mut Diagnostics,
    failed: bool,
    /// Uses of compounds that fit none of their alternatives.
    mismatches: usize,
}

enum FlatNode {
    Element(FlatElement),
    /// What enters at a port leaves at that port.
    Tunnel,
}

/// The nodes that a node of a scope became.
#[derive(Clone, Copy)]
struct Image {
    to: usize,
    from: usize,
}

impl Image {
    fn one(node: usize) -> Self {
        Self {
            to: node,
            from: node,
        }
    }
}

/// A compound whose own elements are still to be expanded.
struct Pending<'a> {
    body: &'a Scope,
    environment: Rc<Environment>,
    prefix: String,
    image: Image,
}

impl Expander<'_> {
    fn error(&mut self, diagnostic: Diagnostic) {
        self.failed = true;
        self.diagnostics.push(diagnostic);
    }

    fn add(&mut self, node: FlatNode, at: &Landmark) -> Result<usize, TooLarge> {
        if self.nodes.len() == MOST_ELEMENTS {
            return Err(TooLarge(at.clone()));
        }
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// Adds the elements and connections of a scope, then those of the compounds in it.
    /// `around` is what the scope's `input` and `output` became. The parser and the depth of
    /// classes bound the recursion.
    fn scope(
        &mut self,
        scope: &Scope,
        environment: &Rc<Environment>,
        prefix: &str,
        around: Option<Image>,
    ) -> Result<(), TooLarge> {
        let ports = used_ports(scope);
        let mut images = Vec::with_capacity(scope.nodes.len());
        let mut pending = Vec::new();
        for (index, node) in scope.nodes.iter().enumerate() {
            let image = match (&node.kind, around) {
                (NodeKind::Tunnel, Some(around)) if index == INPUT => Image::one(around.to),
                (NodeKind::Tunnel, Some(around)) if index == OUTPUT => Image::one(around.from),
                (NodeKind::Tunnel | NodeKind::Undeclared, _) => {
                    Image::one(self.add(FlatNode::Tunnel, &node.at)?)
                }
                (
                    NodeKind::Element {
                        class,
                        configuration,
                    },
                    _,
                ) => {
                    let name = self.name(prefix, &node.name, &node.at)?;
                    let configuration = environment
                        .expand(configuration, &mut self.budget)
                        .map_err(|Exhausted| TooLarge(node.at.clone()))?;
                    let configuration = String::from(configuration.trim());
                    let site = Site {
                        name,
                        at: &node.at,
                        ports: ports[index],
                        environment,
                    };
                    self.element(class, configuration, site, &mut pending)?
                }
            };
            images.push(image);
        }
        for connection in &scope.connections {
            if self.connections.len() == MOST_CONNECTIONS {
                return Err(TooLarge(connection.at.clone()));
            }
            let (from, to) = (connection.from, connection.to);
            self.connections.push(Connection {
                from: End {
                    node: images[from.node].from,
                    port: from.port,
                },
                to: End {
                    node: images[to.node].to,
                    port: to.port,
                },
                at: connection.at.clone(),
            });
        }
        for Pending {
            body,
            environment,
            prefix,
            image,
        } in pending
        {
            self.scope(body, &environment, &prefix, Some(image))?;
        }
        Ok(())
    }

    /// The full name of an element; reports one that is taken.
    fn name(&mut self, prefix: &str, name: &str, at: &Landmark) -> Result<Rc<str>, TooLarge> {
        self.budget
            .spend(prefix.len() + name.len())
            .map_err(|Exhausted| TooLarge(at.clone()))?;
        let name: Rc<str> = format!("{prefix}{name}").into();
        if let Some(previous) = self.names.insert(name.clone(), at.clone()) {
            self.error(Diagnostic::error(format!("redeclaration of element '{name}'")).at(at));
            self.error(
                Diagnostic::error(format!("element '{name}' previously declared here"))
                    .at(&previous),
            );
        }
        Ok(name)
    }

    fn element<'a>(
        &mut self,
        class: &'a Class,
        configuration: String,
        site: Site<'_>,
        pending: &mut Vec<Pending<'a>>,
    ) -> Result<Image, TooLarge> {
        let class = match class {
            Class::Primitive(class) => class,
            Class::Missing => return Ok(Image::one(self.add(FlatNode::Tunnel, site.at)?)),
            Class::Compound(compound) => {
                let arguments = split_arguments(&configuration);
                let (inputs, outputs) = site.ports;
                let wanted = Use {
                    arguments: &arguments,
                    inputs,
                    outputs,
                };
                let choice = overload::choose(compound, &wanted, &mut self.budget)
                    .map_err(|Exhausted| TooLarge(site.at.clone()))?;
                match choice {
                    Choice::Primitive(class) => class,
                    Choice::Compound {
                        compound,
                        overload,
                        values,
                    } => {
                        return self.compound(compound, overload, values, &site, pending);
                    }
                    Choice::Missing => {
                        return Ok(Image::one(self.add(FlatNode::Tunnel, site.at)?));
                    }
                    Choice::Mismatch => {
                        self.failed = true;
                        self.mismatches += 1;
                        if self.mismatches <= MOST_MISMATCHES {
                            overload::report_mismatch(compound, &wanted, site.at, self.diagnostics);
                        }
                        return Ok(Image::one(self.add(FlatNode::Tunnel, site.at)?));
                    }
                }
            }
        };
        let element = FlatElement {
            name: site.name,
            class: class.clone(),
            config: configuration.into(),
            landmark: site.at.clone(),
        };
        self.add(FlatNode::Element(element), site.at)
            .map(Image::one)
    }

    fn compound<'a>(
        &mut self,
        compound: &'a Compound,
        overload: &'a Overload,
        values: Vec<(Rc<str>, String)>,
        site: &Site<'_>,
        pending: &mut Vec<Pending<'a>>,
    ) -> Result<Image, TooLarge> {
        let image = Image {
            to: self.add(FlatNode::Tunnel, site.at)?,
            from: self.add(FlatNode::Tunnel, site.at)?,
        };
        let environment = Rc::new(Environment {
            scope: overload.body.id,
            arguments: values.into_iter().collect(),
            definitions: overload.body.definitions.clone(),
            // A compound sees the variables around its definition, not those around its use.
            parent: site.environment.of(compound.parent),
        });
        pending.push(Pending {
            body: &overload.body,
            environment,
            prefix: format!("{}/", site.name),
            image,
        });
        Ok(image)
    }

    /// Leads connections through tunnels and numbers the elements.
    fn flatten(self) -> Result<Flat, Rejected> {
        let mut leaving: Map<End, Vec<usize>> = Map::new();
        for (index, connection) in self.connections.iter().enumerate() {
            if let FlatNode::Tunnel = self.nodes[connection.from.node] {
                leaving
                    .get_or_insert_with(connection.from, Default::default)
                    .push(index);
            }
        }
        let mut elements = Vec::new();
        let mut numbers = Vec::with_capacity(self.nodes.len());
        for node in self.nodes {
            numbers.push(match node {
                FlatNode::Element(element) => {
                    elements.push(element);
                    Some(elements.len() - 1)
                }
                FlatNode::Tunnel => None,
            });
        }
        let mut connections = Vec::new();
        let mut seen = Set::new();
        let mut steps = 0;
        for connection in &self.connections {
            let Some(from) = numbers[connection.from.node] else {
                continue;
            };
            let mut passed = Set::new();
            let mut open = alloc::vec![connection.to];
            while let Some(end) = open.pop() {
                steps += 1;
                if steps > MOST_STEPS || connections.len() > MOST_CONNECTIONS {
                    let diagnostic =
                        Diagnostic::error(format!("more than {MOST_CONNECTIONS} connections"))
                            .at(&connection.at);
                    self.diagnostics.push(diagnostic);
                    return Err(Rejected);
                }
                if let Some(to) = numbers[end.node] {
                    let ends = ((from, connection.from.port), (to, end.port));
                    if seen.insert(ends) {
                        connections.push(FlatConnection {
                            from: ends.0,
                            to: ends.1,
                            landmark: connection.at.clone(),
                        });
                    }
                } else if passed.insert(end)
                    && let Some(next) = leaving.get(&end)
                {
                    // Taken from the end of the list, so put there in reverse.
                    open.extend(next.iter().rev().map(|&index| self.connections[index].to));
                }
            }
        }
        Ok(Flat {
            elements,
            connections,
            requirements: Vec::new(),
        })
    }
}

/// Where an element is used.
struct Site<'a> {
    name: Rc<str>,
    at: &'a Landmark,
    /// Inputs and outputs in use.
    ports: (usize, usize),
    environment: &'a Rc<Environment>,
}

/// For each node, one more than the highest input and output in use.
fn used_ports(scope: &Scope) -> Vec<(usize, usize)> {
    let mut ports = alloc::vec![(0, 0); scope.nodes.len()];
    for connection in &scope.connections {
        let outputs = &mut ports[connection.from.node].1;
        *outputs = (*outputs).max(usize::from(connection.from.port) + 1);
        let inputs = &mut ports[connection.to.node].0;
        *inputs = (*inputs).max(usize::from(connection.to.port) + 1);
    }
    ports
}
