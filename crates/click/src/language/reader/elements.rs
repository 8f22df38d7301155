//! Elements in a chain: declared, looked up or made where they stand.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::lexer::Kind;
use super::super::program::{Class, Node, NodeKind};
use super::super::syntax::Ports;
use super::{NAMELESS, Reader, Tunnel};
use crate::diagnostics::{Diagnostic, Landmark};

/// An element of a stage: where connections to it end and from it begin.
pub(super) struct Place {
    pub(super) to: usize,
    pub(super) from: usize,
    pub(super) inputs: Option<Ports>,
    pub(super) outputs: Option<Ports>,
}

/// Where in a chain a stage stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    First,
    Later,
}

/// An element as it is written. What it means is clear when its whole stage has been read.
struct Operand {
    what: What,
    /// Nothing but a name.
    bare: bool,
    /// The class after `::`.
    declared: Option<Class>,
    configuration: String,
    inputs: Option<Ports>,
    outputs: Option<Ports>,
    at: Landmark,
}

/// What stands where an element is expected.
enum What {
    Name {
        name: Rc<str>,
        /// The class of this name that nothing else may be called like.
        reserved: Option<Class>,
        /// The class of this name.
        class: Option<Class>,
    },
    /// `{ … }`
    Compound(Class),
    /// `( … )`
    Group(Tunnel),
    /// Nothing: the surrounding compound's or group's input or output.
    Implicit(Position),
}

impl Reader<'_> {
    /// `a, b :: Class(…), [1] c`; none where no element stands.
    pub(super) fn stage(&mut self, position: Position) -> Option<Vec<Place>> {
        let mut operands = Vec::new();
        let arrow = loop {
            match self.operand(position, operands.is_empty()) {
                Some(operand) => operands.push(operand),
                None if operands.is_empty() => return None,
                None => {}
            }
            let token = self.next();
            if token.kind != Kind::Sign(',') {
                let arrow = matches!(token.kind, Kind::Arrow | Kind::DoubleArrow);
                self.give_back(token);
                break arrow;
            }
        };
        let implicit = |operand: &Operand| matches!(operand.what, What::Implicit(_));
        let any_implicit = operands.iter().any(implicit);
        if any_implicit && position == Position::Later && arrow {
            self.error("implicit ports used in the middle of a chain");
        }
        let any_ports = operands
            .iter()
            .any(|operand| operand.inputs.is_some() || operand.outputs.is_some());
        if position == Position::First && !arrow && !any_ports && !any_implicit {
            spread(&mut operands);
        }
        let places = operands.into_iter().map(|operand| self.place(operand));
        Some(places.collect())
    }

    fn operand(&mut self, position: Position, foremost: bool) -> Option<Operand> {
        let inputs = self.ports();
        let token = self.next();
        match token.kind {
            Kind::Word => {
                let name: Rc<str> = self.lexer.text(&token).into();
                let primitive = || Class::Primitive(name.clone());
                let defined = self.defined_class(&name).cloned();
                let reserved = defined.or_else(|| self.classes.reserves(&name).then(primitive));
                let has = reserved.clone();
                let class = has.or_else(|| self.classes.has(&name).then(primitive));
                let what = What::Name {
                    name,
                    reserved,
                    class,
                };
                Some(self.declaration(what, inputs))
            }
            Kind::Sign('{') => {
                let class = self.compound("");
                Some(self.declaration(What::Compound(class), inputs))
            }
            Kind::Sign('(') => {
                let tunnel = self.group();
                Some(self.declaration(What::Group(tunnel), inputs))
            }
            kind => {
                let nested = self.depth > 0;
                let first = position == Position::First;
                let free = inputs.is_some() || foremost;
                let implicit = nested
                    && match kind {
                        Kind::Arrow | Kind::DoubleArrow => first && free,
                        Kind::Sign(',') => inputs.is_some(),
                        Kind::Colons => false,
                        _ => !first && free,
                    };
                if implicit {
                    let arrow = matches!(kind, Kind::Arrow | Kind::DoubleArrow);
                    if first && arrow && inputs.is_none() && !self.frame().ends_output {
                        self.suggest_start(self.lexer.text(&token).into());
                    }
                    self.give_back(token);
                    return Some(self.implicit(position, inputs));
                }
                if inputs.is_some() {
                    self.error("stranded port ignored");
                }
                if foremost && nested && first {
                    self.give_back(token);
                } else if foremost {
                    self.misplaced(&token, "an element");
                }
                None
            }
        }
    }

    /// A chain that begins with an arrow after one that leads elsewhere than out is perhaps meant to
    /// go on with that one.
    fn suggest_start(&mut self, arrow: String) {
        let message = format!("suggest 'input {arrow}' or '[0] {arrow}' to start connection");
        self.diagnostics.warning(&self.lexer.here(), message);
    }

    /// Without a name this is the surrounding input at the start, the surrounding output at the
    /// end; the ports are those at its open side.
    fn implicit(&mut self, position: Position, ports: Option<Ports>) -> Operand {
        let (inputs, outputs) = match position {
            Position::First => (None, ports),
            Position::Later => (ports, None),
        };
        Operand {
            what: What::Implicit(position),
            bare: false,
            declared: None,
            configuration: String::new(),
            inputs,
            outputs,
            at: self.lexer.here(),
        }
    }

    /// What may follow a name, a compound or a group: `:: Class`, `(…)`, `[…]`.
    fn declaration(&mut self, what: What, inputs: Option<Ports>) -> Operand {
        let mut operand = Operand {
            bare: matches!(what, What::Name { .. }),
            what,
            declared: None,
            configuration: String::new(),
            inputs,
            outputs: None,
            at: self.lexer.here(),
        };
        if self.accept(Kind::Colons) {
            operand.bare = false;
            operand.declared = Some(self.declared_class(&operand.what));
        }
        let token = self.next();
        if token.kind == Kind::Sign('(') {
            let known = match &operand.what {
                What::Name { name, .. } => self.known_element(name).is_some(),
                What::Group(_) => true,
                _ => false,
            };
            if known {
                self.error("configuration string ignored on element reference");
            }
            operand.configuration = self.configuration();
            operand.bare = false;
        } else {
            self.give_back(token);
        }
        operand.outputs = self.ports();
        if let What::Group(tunnel) = operand.what {
            let (inputs, outputs) = tunnel.inside(&self.frame().scope);
            let all = |used: &super::UsedPorts| {
                Ports::first(used.count()).filter(|ports| ports.count() > 0)
            };
            operand.inputs = operand.inputs.or_else(|| all(&inputs));
            operand.outputs = operand.outputs.or_else(|| all(&outputs));
        }
        operand
    }

    fn declared_class(&mut self, what: &What) -> Class {
        let token = self.next();
        match token.kind {
            Kind::Word => {
                let name: Rc<str> = self.lexer.text(&token).into();
                self.class(&name)
            }
            Kind::Sign('{') => self.compound(""),
            _ => {
                self.error("missing element type in declaration");
                let class = match what {
                    What::Name { name, .. } => self.class(&name.clone()),
                    _ => Class::Missing,
                };
                self.give_back(token);
                class
            }
        }
    }

    /// What an operand means.
    fn place(&mut self, operand: Operand) -> Place {
        let (to, from) = match operand.what {
            What::Implicit(position) => {
                // Only groups and compounds have places without a name.
                let tunnel = self.frame().tunnels.last().copied();
                let node = tunnel.map_or(0, |tunnel| match position {
                    Position::First => tunnel.input,
                    Position::Later => tunnel.output,
                });
                (node, node)
            }
            What::Group(tunnel) => {
                if operand.declared.is_some() {
                    let number = self.frame().scope.nodes[tunnel.input].name.clone();
                    self.diagnostics
                        .error(&operand.at, format!("redeclaration of element '{number}'"));
                }
                (tunnel.input, tunnel.output)
            }
            What::Compound(class) => {
                if operand.declared.is_some() {
                    let message = "class '' used as element name";
                    self.diagnostics.error(&operand.at, message);
                }
                let node = self.add_nameless("", class, operand.configuration, operand.at);
                (node, node)
            }
            What::Name {
                name,
                reserved,
                class,
            } => {
                let node = self.named(
                    name,
                    (reserved, class),
                    operand.declared,
                    (operand.configuration, operand.at),
                );
                (node, node)
            }
        };
        Place {
            to,
            from,
            inputs: operand.inputs,
            outputs: operand.outputs,
        }
    }

    /// An element's name with or without a declaration, or a class that makes an element here.
    fn named(
        &mut self,
        name: Rc<str>,
        (reserved, class): (Option<Class>, Option<Class>),
        declared: Option<Class>,
        (configuration, at): (String, Landmark),
    ) -> usize {
        let known = self.known_element(&name);
        let class = match declared {
            None if known.is_none() => class,
            _ => reserved,
        };
        match (class, known, declared) {
            (Some(class), _, declared) => {
                if declared.is_some() {
                    let message = format!("class '{name}' used as element name");
                    self.diagnostics.error(&at, message);
                }
                self.add_nameless(&name, class, configuration, at)
            }
            (None, Some(node), None) => node,
            (None, Some(node), Some(_)) => {
                let message = format!("redeclaration of element '{name}'");
                self.diagnostics.error(&at, message);
                let before = &self.frame().scope.nodes[node];
                if !matches!(before.kind, NodeKind::Tunnel(_)) {
                    let previous = before.at.clone();
                    let message = format!("element '{name}' previously declared here");
                    self.diagnostics.error(&previous, message);
                }
                node
            }
            (None, None, Some(class)) => self.add(name, class, configuration, at),
            (None, None, None) => {
                self.undeclared(&name, &at);
                let classes = &mut self.frame().classes;
                classes.insert(name.clone(), Class::Missing);
                self.add_nameless(&name, Class::Missing, configuration, at)
            }
        }
    }

    fn known_element(&mut self, name: &str) -> Option<usize> {
        let frame = self.frame();
        match (frame.tunnels.last(), name) {
            (Some(tunnel), "input") => Some(tunnel.input),
            (Some(tunnel), "output") => Some(tunnel.output),
            _ => frame.nodes.get(name).copied(),
        }
    }

    fn undeclared(&mut self, name: &str, at: &Landmark) {
        let mut diagnostic = Diagnostic::error(format!("undeclared element '{name}'")).at(at);
        diagnostic = match self.similar(name) {
            Some(similar) => diagnostic.help(format!("did you mean the class '{similar}'?")),
            None => diagnostic.help(format!(
                "declare it before it is connected, such as '{name} :: Class'"
            )),
        };
        self.diagnostics.push(diagnostic);
    }

    fn add(&mut self, name: Rc<str>, class: Class, configuration: String, at: Landmark) -> usize {
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if name.split('/').any(numeric) {
            self.error(format!("element name '{name}' has all-digit component"));
        }
        let frame = self.frame();
        let node = frame.scope.nodes.len();
        frame.nodes.insert(name.clone(), node);
        frame.number += 1;
        let kind = NodeKind::Element {
            class,
            configuration,
        };
        frame.scope.nodes.push(Node { name, kind, at });
        node
    }

    fn add_nameless(
        &mut self,
        prefix: &str,
        class: Class,
        configuration: String,
        at: Landmark,
    ) -> usize {
        let number = self.frame().number;
        let name = format!("{NAMELESS}{prefix}@{number}").into();
        self.add(name, class, configuration, at)
    }
}

/// `a, b :: Class(…)`: each bare name before a declaration is declared as that is.
fn spread(operands: &mut [Operand]) {
    let Some((last, before)) = operands.split_last_mut() else {
        return;
    };
    if before.iter().all(|operand| operand.bare) {
        for operand in before {
            operand.declared.clone_from(&last.declared);
            operand.configuration.clone_from(&last.configuration);
        }
    }
}
