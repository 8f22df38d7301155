//! Elements in a chain: declared, looked up or made where they stand.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::program::{Class, INPUT, Node, NodeKind, OUTPUT, UsedPorts};
use super::super::syntax::{self, Operand, Ports, Reference, Statement};
use super::{Builder, Tunnel};
use crate::diagnostics::{Diagnostic, Landmark};

/// An operand that has been looked up: where connections to it end and from it begin.
pub(super) struct Place {
    pub(super) to: usize,
    pub(super) from: usize,
    pub(super) inputs: Option<Ports>,
    pub(super) outputs: Option<Ports>,
    pub(super) at: Landmark,
}

/// Which end of a chain an operand without a name stands at.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Start,
    End,
}

impl Builder<'_> {
    /// `a, b :: Class(…)`: each bare name before a declaration is declared as it is.
    pub(super) fn declare_all(&mut self, operands: Vec<Operand>) {
        let mut pending: Vec<(Rc<str>, Landmark)> = Vec::new();
        for operand in operands {
            match operand.reference {
                Reference::Word(name) if operand.inputs.is_none() && operand.outputs.is_none() => {
                    pending.push((name, operand.at))
                }
                Reference::Declaration {
                    name,
                    class,
                    configuration,
                } => {
                    let class = self.class(class, &operand.at);
                    for (name, at) in pending.drain(..) {
                        self.declare(name, class.clone(), configuration.clone(), at);
                    }
                    self.declare(name, class, configuration, operand.at);
                }
                _ => {
                    self.operand(operand, Side::Start);
                }
            }
        }
    }

    pub(super) fn stage(&mut self, operands: Vec<Operand>, side: Side) -> Vec<Place> {
        operands
            .into_iter()
            .map(|operand| self.operand(operand, side))
            .collect()
    }

    fn operand(&mut self, operand: Operand, side: Side) -> Place {
        let Operand {
            mut inputs,
            reference,
            mut outputs,
            at,
        } = operand;
        let place = at.clone();
        let reference = match reference {
            Reference::Anonymous {
                class: syntax::Class::Named(name, _),
                ..
            } if self.frame().nodes.contains_key(&name) => {
                let message = "configuration string ignored on element reference";
                self.error(&at, message.to_string());
                Reference::Word(name)
            }
            other => other,
        };
        let (to, from) = match reference {
            Reference::Implicit => {
                let node = self.implicit(side);
                (node, node)
            }
            Reference::Word(word) => {
                let node = self.word(&word, &at);
                (node, node)
            }
            Reference::Anonymous {
                class,
                configuration,
            } => {
                let prefix = match &class {
                    syntax::Class::Named(name, _) => name.clone(),
                    syntax::Class::Compound(_) => "".into(),
                };
                let class = self.class(class, &at);
                let node = self.add_anonymous(&prefix, class, configuration, at);
                (node, node)
            }
            Reference::Declaration {
                name,
                class,
                configuration,
            } => {
                let class = self.class(class, &at);
                let node = self.declare(name, class, configuration, at);
                (node, node)
            }
            Reference::Group(statements) => {
                let tunnel = self.group(statements, &at);
                let frame = self.frame();
                let (ins, outs) = tunnel.inside(&frame.scope);
                inputs = inputs.or_else(|| implied(&ins));
                outputs = outputs.or_else(|| implied(&outs));
                (tunnel.input, tunnel.output)
            }
        };
        Place {
            to,
            from,
            inputs,
            outputs,
            at: place,
        }
    }

    fn implicit(&mut self, side: Side) -> usize {
        // The parser lets no operand without a name stand outside groups and compounds.
        let tunnel = self.frame().tunnels.last().copied().unwrap_or(Tunnel {
            input: INPUT,
            output: OUTPUT,
            first: 0,
        });
        match side {
            Side::Start => tunnel.input,
            Side::End => tunnel.output,
        }
    }

    /// An element's name, or a class that makes an element here.
    fn word(&mut self, word: &Rc<str>, at: &Landmark) -> usize {
        if let Some(tunnel) = self.frame().tunnels.last() {
            match &**word {
                "input" => return tunnel.input,
                "output" => return tunnel.output,
                _ => {}
            }
        }
        if let Some(&node) = self.frame().nodes.get(word) {
            return node;
        }
        if let Some(class) = self.known_class(word) {
            return self.add_anonymous(word, class, String::new(), at.clone());
        }
        let mut diagnostic = Diagnostic::error(format!("undeclared element '{word}'")).at(at);
        diagnostic = match self.similar(word) {
            Some(similar) => diagnostic.help(format!("did you mean the class '{similar}'?")),
            None => diagnostic.help(format!(
                "declare it before it is connected, such as '{word} :: Class'"
            )),
        };
        self.diagnostics.push(diagnostic);
        self.add_node(word.clone(), NodeKind::Undeclared, at.clone())
    }

    fn add_node(&mut self, name: Rc<str>, kind: NodeKind, at: Landmark) -> usize {
        let frame = self.frame();
        let node = frame.scope.nodes.len();
        frame.nodes.insert(name.clone(), node);
        frame.number += 1;
        frame.scope.nodes.push(Node { name, kind, at });
        node
    }

    fn add_anonymous(
        &mut self,
        prefix: &str,
        class: Class,
        configuration: String,
        at: Landmark,
    ) -> usize {
        let frame = self.frame();
        let tried = frame.numbers.get(prefix).copied().unwrap_or(0);
        let mut number = frame.number.max(tried);
        let mut name: Rc<str> = format!("{prefix}@{number}").into();
        while frame.nodes.contains_key(&name) {
            number += 1;
            name = format!("{prefix}@{number}").into();
            frame.numbers.insert(prefix.into(), number);
        }
        self.add_node(
            name,
            NodeKind::Element {
                class,
                configuration,
            },
            at,
        )
    }

    fn declare(
        &mut self,
        name: Rc<str>,
        class: Class,
        configuration: String,
        at: Landmark,
    ) -> usize {
        let is_class = self.defined_class(&name).is_some() || self.classes.reserves(&name);
        if is_class && !self.frame().nodes.contains_key(&name) {
            self.error(&at, format!("class '{name}' used as element name"));
        }
        let kind = NodeKind::Element {
            class,
            configuration,
        };
        let frame = self.frame();
        let Some(&before) = frame.nodes.get(&name) else {
            return self.add_node(name, kind, at);
        };
        let node = &mut frame.scope.nodes[before];
        if matches!(node.kind, NodeKind::Undeclared) {
            // Its use has been reported; what the name means is clear now.
            *node = Node { name, kind, at };
            return before;
        }
        let previous = node.at.clone();
        self.error(&at, format!("redeclaration of element '{name}'"));
        self.error(
            &previous,
            format!("element '{name}' previously declared here"),
        );
        before
    }

    fn group(&mut self, statements: Vec<Statement>, at: &Landmark) -> Tunnel {
        let frame = self.frame();
        let tunnel = frame.add_tunnel(at);
        frame.tunnels.push(tunnel);
        // Click counts the group, its input and its output as elements.
        let name = format!("@{}", frame.number);
        frame.number += 3;
        let ended = core::mem::replace(&mut frame.ends_output, true);
        for statement in statements {
            self.statement(statement);
        }
        let frame = self.frame();
        frame.tunnels.pop();
        frame.ends_output = ended;
        self.frame().groups.push((tunnel, name, at.clone()));
        tunnel
    }
}

/// The ports of a group that names none: all that are in use within.
fn implied(used: &UsedPorts) -> Option<Ports> {
    Ports::first(used.count()).filter(|ports| ports.count() > 0)
}
