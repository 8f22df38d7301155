//! From statements to meaning: names are looked up, classes found, connections made.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hashbrown::{HashMap, HashSet};

use super::parser::{NESTING, Parser};
use super::program::{
    CLASS_DEPTH, Class, Compound, Connection, End, Formal, INPUT, Node, NodeKind, OUTPUT, Overload,
    Program, Scope, ScopeId, UsedPorts,
};
use super::source::{Classes, Requirements, Source};
use super::syntax::{self, Chain, Link, Operand, Ports, Reference, Statement};
use crate::arguments::{split_arguments, split_words, unquote};
use crate::diagnostics::{Diagnostic, Diagnostics, Landmark};
use crate::graph::Requirement;

/// The most connections a configuration may have, before and after expansion: a few ranges such as
/// `[0-65535]` could otherwise ask for billions.
pub(super) const MOST_CONNECTIONS: usize = 1 << 18;

/// How many messages may come with a suggestion.
const SUGGESTIONS: usize = 50;
/// How many gaps in the ports of one compound or group are reported.
const GAPS: usize = 16;

/// Builds the scopes of one configuration.
pub(super) struct Builder<'a> {
    classes: &'a dyn Classes,
    libraries: &'a dyn Requirements,
    diagnostics: &'a mut Diagnostics,
    /// The file's scope and those of the compounds around this place.
    scopes: Vec<Frame>,
    scopes_made: usize,
    connections_made: usize,
    requirements: Vec<Requirement>,
    /// The same, to look them up.
    required: HashSet<Requirement>,
    libraries_read: HashSet<String>,
}

/// A scope while it is read.
struct Frame {
    scope: Scope,
    nodes: HashMap<Rc<str>, usize>,
    /// The number that the next element without a name would get.
    number: usize,
    /// The highest number tried for elements without a name whose name was taken, by class.
    numbers: HashMap<Rc<str>, usize>,
    classes: HashMap<Rc<str>, Class>,
    /// Parameters and definitions, without `$`.
    parameters: HashSet<Rc<str>>,
    /// The tunnels that `input` and `output` mean here, innermost last.
    tunnels: Vec<Tunnel>,
    /// Groups whose ports are to be checked when the statement around them ends.
    groups: Vec<(Tunnel, Landmark)>,
}

#[derive(Clone, Copy)]
struct Tunnel {
    input: usize,
    output: usize,
    /// The number of connections made before it: none of those leads to it.
    first: usize,
}

impl Tunnel {
    /// The ports in use on the inner side: those of the inputs, and those of the outputs.
    fn inside(self, scope: &Scope) -> (UsedPorts, UsedPorts) {
        (
            scope.outputs_of(self.input, self.first),
            scope.inputs_of(self.output, self.first),
        )
    }

    /// The ports in use on the outer side.
    fn outside(self, scope: &Scope) -> (UsedPorts, UsedPorts) {
        (
            scope.inputs_of(self.input, self.first),
            scope.outputs_of(self.output, self.first),
        )
    }
}

/// An operand that has been looked up: where connections to it end and from it begin.
struct Place {
    to: usize,
    from: usize,
    inputs: Option<Ports>,
    outputs: Option<Ports>,
    /// May stand for as many ports as the other side has.
    expandable: bool,
}

impl Frame {
    fn new(id: ScopeId) -> Self {
        Self {
            scope: Scope::new(id),
            nodes: HashMap::new(),
            number: 1,
            numbers: HashMap::new(),
            classes: HashMap::new(),
            parameters: HashSet::new(),
            tunnels: Vec::new(),
            groups: Vec::new(),
        }
    }

    fn add_tunnel(&mut self, at: &Landmark) -> Tunnel {
        let input = self.scope.nodes.len();
        for name in ["input", "output"] {
            self.scope.nodes.push(Node {
                name: name.into(),
                kind: NodeKind::Tunnel,
                at: at.clone(),
            });
        }
        Tunnel {
            input,
            output: input + 1,
            first: self.scope.connections.len(),
        }
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        classes: &'a dyn Classes,
        libraries: &'a dyn Requirements,
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        Self {
            classes,
            libraries,
            diagnostics,
            scopes: alloc::vec![Frame::new(ScopeId(0))],
            scopes_made: 1,
            connections_made: 0,
            requirements: Vec::new(),
            required: HashSet::new(),
            libraries_read: HashSet::new(),
        }
    }

    /// Reads a file into the file's scope.
    pub(super) fn read(&mut self, source: Source) {
        self.read_file(source, 0);
    }

    /// What was read.
    pub(super) fn finish(mut self) -> Program {
        let file = self.scopes.swap_remove(0).scope;
        Program {
            file,
            requirements: self.requirements,
        }
    }

    fn read_file(&mut self, source: Source, depth: usize) {
        let mut parser = Parser::new(source);
        while let Some(statement) = parser.statement(self.diagnostics) {
            if let Statement::Require { arguments, at } = statement {
                self.require(&arguments, &at, Some(depth));
            } else {
                self.statement(statement);
            }
        }
    }

    fn frame(&mut self) -> &mut Frame {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn error(&mut self, at: &Landmark, message: String) {
        self.diagnostics.error(at, message);
    }

    fn statement(&mut self, statement: Statement) {
        match statement {
            Statement::Chain(chain) => self.chain(chain),
            Statement::ElementClass { name, class, at } => self.element_class(name, class, &at),
            Statement::Require { arguments, at } => self.require(&arguments, &at, None),
            Statement::Define { arguments, at } => self.define(&arguments, &at),
        }
    }

    fn element_class(&mut self, name: Rc<str>, class: syntax::Class, at: &Landmark) {
        let class = match class {
            syntax::Class::Named(of, at) => self.find_class(&of, &at),
            syntax::Class::Compound(compound) => self.compound(Some(name.clone()), *compound, at),
        };
        self.frame().classes.insert(name, class);
    }

    fn known_class(&self, name: &str) -> Option<Class> {
        let defined = self
            .scopes
            .iter()
            .rev()
            .find_map(|frame| frame.classes.get(name));
        defined.cloned().or_else(|| {
            self.classes
                .has(name)
                .then(|| Class::Primitive(name.into()))
        })
    }

    fn find_class(&mut self, name: &str, at: &Landmark) -> Class {
        if let Some(class) = self.known_class(name) {
            return class;
        }
        let mut diagnostic = Diagnostic::error(format!("unknown element class '{name}'")).at(at);
        if let Some(similar) = self.similar(name) {
            diagnostic = diagnostic.help(format!("did you mean '{similar}'?"));
        }
        self.diagnostics.push(diagnostic);
        Class::Missing
    }

    /// A class to suggest, for the first mistakes only: the comparison takes long.
    fn similar(&self, name: &str) -> Option<String> {
        if self.diagnostics.len() < SUGGESTIONS {
            self.classes.similar(name)
        } else {
            None
        }
    }

    fn class(&mut self, class: syntax::Class, at: &Landmark) -> Class {
        match class {
            syntax::Class::Named(name, at) => self.find_class(&name, &at),
            syntax::Class::Compound(compound) => self.compound(None, *compound, at),
        }
    }

    fn compound(
        &mut self,
        name: Option<Rc<str>>,
        compound: syntax::Compound,
        at: &Landmark,
    ) -> Class {
        let extends = compound.extends.as_ref().map(|dots| match &name {
            Some(name) => self.find_class(name, dots),
            None => {
                let message = "'...' extends a class of the same name, which an anonymous compound element has not";
                self.error(dots, message.to_string());
                Class::Missing
            }
        });
        let parent = self.frame().scope.id;
        let printed = name.clone().unwrap_or_else(|| "<anonymous>".into());
        let mut overloads = Vec::with_capacity(compound.overloads.len());
        for overload in compound.overloads {
            overloads.push(self.overload(overload, &printed));
        }
        let compound = Compound::new(name, parent, overloads, extends);
        if compound.depth > CLASS_DEPTH {
            self.error(
                at,
                format!("compound elements expand into each other more than {CLASS_DEPTH} deep"),
            );
            return Class::Missing;
        }
        Class::Compound(Rc::new(compound))
    }

    fn overload(&mut self, overload: syntax::Overload, printed: &str) -> Overload {
        let id = ScopeId(self.scopes_made);
        self.scopes_made += 1;
        let mut frame = Frame::new(id);
        let tunnel = frame.add_tunnel(&overload.at);
        frame.tunnels.push(tunnel);
        for (name, node) in [("input", tunnel.input), ("output", tunnel.output)] {
            frame.nodes.insert(name.into(), node);
        }
        self.scopes.push(frame);
        let mut formals: Vec<Formal> = Vec::new();
        for formal in overload.formals {
            if !self.frame().parameters.insert(formal.name.clone()) {
                self.error(
                    &formal.at,
                    format!("parameter '${}' multiply defined", formal.name),
                );
            }
            formals.push(Formal {
                kind: formal.kind,
                name: formal.name,
            });
        }
        for statement in overload.body {
            self.statement(statement);
        }
        let body = self
            .scopes
            .pop()
            .map_or_else(|| Scope::new(id), |frame| frame.scope);
        let (inputs, outputs) = self.check_compound(&body, tunnel, printed, &overload.at);
        Overload {
            formals,
            body,
            inputs,
            outputs,
            at: overload.at,
        }
    }

    /// Reports wrong uses of a compound's `input` and `output` and gaps in their ports; returns how
    /// many ports each has.
    fn check_compound(
        &mut self,
        scope: &Scope,
        tunnel: Tunnel,
        name: &str,
        at: &Landmark,
    ) -> (usize, usize) {
        let (inputs, outputs) = tunnel.inside(scope);
        let (into_input, out_of_output) = tunnel.outside(scope);
        if into_input.count() > 0 {
            self.error(
                at,
                format!("'{name}' pseudoelement 'input' may only be used as output"),
            );
        }
        if out_of_output.count() > 0 {
            self.error(
                at,
                format!("'{name}' pseudoelement 'output' may only be used as input"),
            );
        }
        for (used, side) in [(&inputs, "input"), (&outputs, "output")] {
            for port in used.gaps(used.count()).take(GAPS) {
                self.error(
                    at,
                    format!("compound element '{name}' {side} {port} unused"),
                );
            }
        }
        (inputs.count(), outputs.count())
    }

    fn define(&mut self, arguments: &str, at: &Landmark) {
        for argument in split_arguments(arguments) {
            let (name, value) = variable_name(argument.strip_prefix('$').unwrap_or(""));
            if name.is_empty() || (!value.is_empty() && !value.starts_with(char::is_whitespace)) {
                let diagnostic =
                    Diagnostic::error(format!("bad parameter definition '{argument}'")).at(at);
                self.diagnostics
                    .push(diagnostic.help("expected '$NAME VALUE'"));
                continue;
            }
            let frame = self.frame();
            let name: Rc<str> = name.into();
            if frame.parameters.insert(name.clone()) {
                Rc::make_mut(&mut frame.scope.definitions).insert(name, value.trim().to_string());
            } else {
                self.error(at, format!("parameter '${name}' multiply defined"));
            }
        }
    }

    /// `file` is how many libraries lie around a statement at file scope.
    fn require(&mut self, arguments: &str, at: &Landmark, file: Option<usize>) {
        for argument in split_arguments(arguments) {
            let words: Vec<String> = split_words(&argument)
                .iter()
                .map(|word| unquote(word))
                .collect();
            match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["library", name] => match file {
                    None => self.error(
                        at,
                        "'require(library)' must be used at file scope".to_string(),
                    ),
                    Some(depth) => self.library(name, at, depth),
                },
                ["package", name] => self.package("package", name, at),
                // An old name for what every configuration now may use.
                ["compact_config"] => self.requirements.push(Requirement {
                    kind: "".into(),
                    name: "compact_config".into(),
                }),
                [name] => self.package("package", name, at),
                _ => self.error(at, format!("bad requirement '{argument}'")),
            }
        }
    }

    fn package(&mut self, kind: &str, name: &str, at: &Landmark) {
        if !self.libraries.package(name) {
            self.error(at, format!("package '{name}' not found in CLICKPATH/lib"));
        }
        let requirement = Requirement {
            kind: kind.into(),
            name: name.into(),
        };
        if self.required.insert(requirement.clone()) {
            self.requirements.push(requirement);
        }
    }

    fn library(&mut self, name: &str, at: &Landmark, depth: usize) {
        if !self.libraries_read.insert(name.to_string()) {
            return;
        }
        if depth == NESTING {
            return self.error(
                at,
                format!("libraries require each other more than {NESTING} deep"),
            );
        }
        match self.libraries.library(name) {
            Some(source) => self.read_file(source, depth + 1),
            None => self.error(at, format!("library '{name}' not found in CLICKPATH/conf")),
        }
    }

    fn chain(&mut self, chain: Chain) {
        let groups_before = self.frame().groups.len();
        let declares_all = chain.rest.is_empty()
            && matches!(
                chain.first.last().map(|o| &o.reference),
                Some(Reference::Declaration { .. })
            );
        if declares_all && chain.first.len() > 1 {
            self.declare_all(chain.first);
        } else {
            let mut left = self.stage(chain.first, Side::Start);
            for (link, operands) in chain.rest {
                let right = self.stage(operands, Side::End);
                self.connect(&left, &link, &right);
                left = right;
            }
        }
        let groups = self.frame().groups.split_off(groups_before);
        if !groups.is_empty() {
            self.check_groups(&groups);
        }
    }

    /// `a, b :: Class(…)`: each bare name before a declaration is declared as it is.
    fn declare_all(&mut self, operands: Vec<Operand>) {
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

    fn stage(&mut self, operands: Vec<Operand>, side: Side) -> Vec<Place> {
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
        let expandable = !matches!(reference, Reference::Group(_));
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
                inputs.get_or_insert_with(|| Ports::first(ins.count()));
                outputs.get_or_insert_with(|| Ports::first(outs.count()));
                (tunnel.input, tunnel.output)
            }
        };
        Place {
            to,
            from,
            inputs,
            outputs,
            expandable,
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
        let tunnel = self.frame().add_tunnel(at);
        self.frame().tunnels.push(tunnel);
        for statement in statements {
            self.statement(statement);
        }
        self.frame().tunnels.pop();
        self.frame().groups.push((tunnel, at.clone()));
        tunnel
    }

    /// Once the statement around groups is done, each of their ports must be in use on both sides.
    fn check_groups(&mut self, groups: &[(Tunnel, Landmark)]) {
        let scope = &self.frame().scope;
        let first = groups
            .iter()
            .map(|(tunnel, _)| tunnel.first)
            .min()
            .unwrap_or(0);
        let mut used: HashMap<usize, (UsedPorts, UsedPorts)> = HashMap::new();
        for (tunnel, _) in groups {
            used.entry(tunnel.input).or_default();
            used.entry(tunnel.output).or_default();
        }
        for connection in &scope.connections[first..] {
            if let Some((entering, _)) = used.get_mut(&connection.to.node) {
                entering.insert(connection.to.port);
            }
            if let Some((_, leaving)) = used.get_mut(&connection.from.node) {
                leaving.insert(connection.from.port);
            }
        }
        for (tunnel, at) in groups {
            let (outside, inside) = used.remove(&tunnel.input).unwrap_or_default();
            self.check_group("input", &inside, &outside, at);
            let (inside, outside) = used.remove(&tunnel.output).unwrap_or_default();
            self.check_group("output", &inside, &outside, at);
        }
    }

    fn check_group(&mut self, side: &str, inside: &UsedPorts, outside: &UsedPorts, at: &Landmark) {
        // Nothing around the group at all on this side: the chain begins or ends with it.
        let count = if outside.count() == 0 {
            inside.count()
        } else {
            inside.count().max(outside.count())
        };
        let mut unused: Vec<usize> = inside.gaps(count).take(GAPS).collect();
        unused.extend(outside.gaps(count).take(GAPS));
        unused.sort_unstable();
        unused.dedup();
        for port in unused {
            self.error(at, format!("element group {side} {port} unused"));
        }
    }

    fn connect(&mut self, left: &[Place], link: &Link, right: &[Place]) {
        let default = Ports::one(0);
        let expanded;
        let mut outputs: Vec<(usize, &Ports)> = left
            .iter()
            .map(|place| (place.from, place.outputs.as_ref().unwrap_or(&default)))
            .collect();
        let mut inputs: Vec<(usize, &Ports)> = right
            .iter()
            .map(|place| (place.to, place.inputs.as_ref().unwrap_or(&default)))
            .collect();
        let (mut from_count, mut to_count) = (total(&outputs), total(&inputs));

        if link.pairwise && from_count != to_count {
            let (side, more, fewer) = if from_count < to_count {
                (left, to_count, from_count)
            } else {
                (right, from_count, to_count)
            };
            let ports_of = |place: &Place| {
                if from_count < to_count {
                    place.outputs.is_none()
                } else {
                    place.inputs.is_none()
                }
            };
            let mut candidates = side
                .iter()
                .enumerate()
                .filter(|(_, place)| place.expandable && ports_of(place));
            if let (Some((at, _)), None) = (candidates.next(), candidates.next()) {
                expanded = Ports::first(more - fewer + 1);
                if from_count < to_count {
                    outputs[at].1 = &expanded;
                } else {
                    inputs[at].1 = &expanded;
                }
                (from_count, to_count) = (more, more);
            }
        }

        if link.pairwise && from_count != to_count {
            return self.error(
                &link.at,
                format!("connection mismatch: {from_count} outputs connected to {to_count} inputs"),
            );
        }
        if !link.pairwise && from_count > 1 && to_count > 1 {
            return self.error(
                &link.at,
                "many-to-many connections require '=>'".to_string(),
            );
        }
        // With `->` one side has at most one port, so the product is the number of connections.
        let count = if link.pairwise {
            from_count
        } else {
            from_count * to_count
        };
        if self.connections_made + count > MOST_CONNECTIONS {
            return self.error(
                &link.at,
                format!("more than {MOST_CONNECTIONS} connections"),
            );
        }
        if count == 0 {
            return;
        }
        self.connections_made += count;
        let froms = outputs
            .iter()
            .flat_map(|(node, ports)| ports.iter().map(|port| End { node: *node, port }));
        let tos: Vec<End> = inputs
            .iter()
            .flat_map(|(node, ports)| ports.iter().map(|port| End { node: *node, port }))
            .collect();
        let mut made = Vec::with_capacity(count);
        for (index, from) in froms.enumerate() {
            let ends = if link.pairwise {
                &tos[index..=index]
            } else {
                &tos[..]
            };
            made.extend(ends.iter().map(|&to| Connection {
                from,
                to,
                at: link.at.clone(),
            }));
        }
        self.frame().scope.connections.append(&mut made);
    }
}

/// Which end of a chain an operand without a name stands at.
#[derive(Clone, Copy)]
enum Side {
    Start,
    End,
}

fn total(ends: &[(usize, &Ports)]) -> usize {
    ends.iter().map(|(_, ports)| ports.count()).sum()
}

/// The name at the start of a text that stood after `$`, and the text after it.
fn variable_name(text: &str) -> (&str, &str) {
    let length = text
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count();
    text.split_at(length)
}
