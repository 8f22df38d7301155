//! Expanding compound elements, variables and tunnels until only elements are left.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::collections::{Map, Set};

use super::overload::{self, Choice, Use};
use super::program::{
    Class, Compound, Connection, End, INPUT, NodeKind, OUTPUT, Overload, Program, Scope, Side,
};
use super::reader::MOST_CONNECTIONS;
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
/// Ports of compounds and groups used on one side only that are reported.
const MOST_TUNNELS: usize = 1000;
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
        end: &program.end,
    };
    if let Err(TooLarge(at)) = expander.scope(&program.file, &Rc::new(environment), "", None) {
        let diagnostic = Diagnostic::error("configuration expands to too many elements").at(&at);
        expander.error(diagnostic.help(format!(
            "at most {MOST_ELEMENTS} elements and {} MB of text",
            MOST_TEXT >> 20
        )));
    }
    expander.check_tunnels();
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
    /// The end of the file.
    end: &'a Landmark,
}

enum FlatNode {
    Element(FlatElement),
    /// What enters at a port leaves at that port: a side of a compound or group.
    Tunnel {
        of: Rc<str>,
        side: Side,
        at: Landmark,
    },
    /// An element that cannot be, which has been reported.
    Broken,
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
    /// Where the compound is used.
    at: &'a Landmark,
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
        around: Option<(Image, &Landmark)>,
    ) -> Result<(), TooLarge> {
        let (around, used_at) = around.unzip();
        let ports = used_ports(scope);
        let mut images = Vec::with_capacity(scope.nodes.len());
        let mut pending = Vec::new();
        for (index, node) in scope.nodes.iter().enumerate() {
            let image = match (&node.kind, around) {
                (NodeKind::Tunnel(_), Some(around)) if index == INPUT => Image::one(around.to),
                (NodeKind::Tunnel(_), Some(around)) if index == OUTPUT => Image::one(around.from),
                (NodeKind::Tunnel(side), _) => {
                    let of = format!("{prefix}{}", node.name).into();
                    Image::one(self.tunnel(of, *side, &node.at)?)
                }
                (
                    NodeKind::Element {
                        class,
                        configuration,
                    },
                    _,
                ) => {
                    let name = self.name(prefix, &node.name, &node.at, used_at)?;
                    let configuration = environment
                        .expand(configuration, &mut self.budget)
                        .map_err(|Exhausted| TooLarge(node.at.clone()))?;
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
            at,
        } in pending
        {
            self.scope(body, &environment, &prefix, Some((image, at)))?;
        }
        Ok(())
    }

    fn tunnel(&mut self, of: Rc<str>, side: Side, at: &Landmark) -> Result<usize, TooLarge> {
        let node = FlatNode::Tunnel {
            of,
            side,
            at: at.clone(),
        };
        self.add(node, at)
    }

    /// The full name of an element; reports one that is taken. `used_at` is where the compound is
    /// used that it stands in.
    fn name(
        &mut self,
        prefix: &str,
        name: &str,
        at: &Landmark,
        used_at: Option<&Landmark>,
    ) -> Result<Rc<str>, TooLarge> {
        self.budget
            .spend(prefix.len() + name.len())
            .map_err(|Exhausted| TooLarge(at.clone()))?;
        let name: Rc<str> = format!("{prefix}{name}").into();
        if let Some(previous) = self.names.insert(name.clone(), at.clone()) {
            let message = format!("redeclaration of element '{name}'");
            self.error(Diagnostic::error(message).at(used_at.unwrap_or(at)));
            let message = format!("'{name}' previously declared here");
            self.error(Diagnostic::error(message).at(&previous));
        }
        Ok(name)
    }

    fn element<'a>(
        &mut self,
        class: &'a Class,
        configuration: String,
        site: Site<'a>,
        pending: &mut Vec<Pending<'a>>,
    ) -> Result<Image, TooLarge> {
        let class = match class {
            Class::Primitive(class) => class,
            Class::Missing => return self.broken(site.at),
            Class::Compound(compound) => {
                let arguments = split_arguments(&configuration);
                let (inputs, outputs) = site.ports;
                let wanted = Use {
                    arguments: &arguments,
                    inputs,
                    outputs,
                };
                let (choice, report) = overload::choose(compound, &wanted, &mut self.budget)
                    .map_err(|Exhausted| TooLarge(site.at.clone()))?;
                if report {
                    self.failed = true;
                    self.mismatches += 1;
                    if self.mismatches <= MOST_MISMATCHES {
                        // Click is at the end of the file when it finds out.
                        overload::report_mismatch(compound, &wanted, self.end, self.diagnostics);
                    }
                }
                match choice {
                    Choice::Primitive(class) => class,
                    Choice::Compound {
                        compound,
                        overload,
                        values,
                    } => {
                        return self.compound(compound, overload, values, &site, pending);
                    }
                    Choice::Nothing => return self.broken(site.at),
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
        site: &Site<'a>,
        pending: &mut Vec<Pending<'a>>,
    ) -> Result<Image, TooLarge> {
        let image = Image {
            to: self.tunnel(site.name.clone(), Side::Input, site.at)?,
            from: self.tunnel(site.name.clone(), Side::Output, site.at)?,
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
            at: site.at,
        });
        Ok(image)
    }

    fn broken(&mut self, at: &Landmark) -> Result<Image, TooLarge> {
        self.failed = true;
        self.add(FlatNode::Broken, at).map(Image::one)
    }

    /// Reports ports of compounds and groups that are used on one side only, in the order in which
    /// following each connection to its ends comes upon them.
    fn check_tunnels(&mut self) {
        let mut entering: Map<End, Vec<End>> = Map::new();
        let mut leaving: Map<End, Vec<End>> = Map::new();
        let mut open = Vec::new();
        for connection in self.connections.iter().rev() {
            let Connection { from, to, .. } = connection;
            for (map, at, other) in [(&mut leaving, from, to), (&mut entering, to, from)] {
                if let FlatNode::Tunnel { .. } = self.nodes[at.node] {
                    map.get_or_insert_with(*at, Default::default).push(*other);
                }
            }
            // Taken from the end, so put there in reverse.
            open.extend([(*to, Side::Input), (*from, Side::Output)]);
        }
        let mut seen = (Set::new(), Set::new());
        let mut reported = 0;
        while let Some((end, side)) = open.pop() {
            let FlatNode::Tunnel {
                of,
                side: at_side,
                at,
            } = &self.nodes[end.node]
            else {
                continue;
            };
            let (seen, others) = match side {
                Side::Input => (&mut seen.0, leaving.get(&end)),
                Side::Output => (&mut seen.1, entering.get(&end)),
            };
            if !seen.insert(end) {
                continue;
            }
            if let Some(others) = others {
                open.extend(others.iter().map(|other| (*other, side)));
                continue;
            }
            let port = end.port;
            let message = match (at_side, side) {
                (Side::Input, Side::Output) => format!("'{of}' input {port} unused"),
                (Side::Input, Side::Input) => format!("'{of}' has no input {port}"),
                (Side::Output, Side::Input) => format!("'{of}' output {port} unused"),
                (Side::Output, Side::Output) => format!("'{of}' has no output {port}"),
            };
            reported += 1;
            if reported <= MOST_TUNNELS {
                self.diagnostics.push(Diagnostic::error(message).at(at));
            }
            self.failed = true;
        }
    }

    /// Leads connections through tunnels and numbers the elements.
    fn flatten(self) -> Result<Flat, Rejected> {
        let mut leaving: Map<End, Vec<usize>> = Map::new();
        for (index, connection) in self.connections.iter().enumerate() {
            if let FlatNode::Tunnel { .. } = self.nodes[connection.from.node] {
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
                FlatNode::Tunnel { .. } | FlatNode::Broken => None,
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
