//! From statements to meaning: names are looked up, classes found, connections made.

mod connect;
mod operands;
mod preamble;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::collections::{Map, Set};

use super::parser::Parser;
use super::program::{
    CLASS_DEPTH, Class, Compound, Formal, Node, NodeKind, Overload, Program, Scope, ScopeId,
    UsedPorts,
};
use super::source::{Classes, Requirements, Source};
use super::syntax::{self, Chain, Ports, Reference, Statement};
use crate::diagnostics::{Diagnostic, Diagnostics, Landmark};
use crate::graph::Requirement;

pub(super) use connect::MOST_CONNECTIONS;
use operands::{Place, Side};

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
    required: Set<Requirement>,
    libraries_read: Set<String>,
}

/// A scope while it is read.
struct Frame {
    scope: Scope,
    nodes: Map<Rc<str>, usize>,
    /// The number that the next element without a name would get.
    number: usize,
    /// The highest number tried for elements without a name whose name was taken, by class.
    numbers: Map<Rc<str>, usize>,
    classes: Map<Rc<str>, Class>,
    /// Parameters and definitions, without `$`.
    parameters: Set<Rc<str>>,
    /// The tunnels that `input` and `output` mean here, innermost last.
    tunnels: Vec<Tunnel>,
    /// The last chain ended in `output` and nothing else, or there was none yet.
    ends_output: bool,
    /// Groups whose ports are to be checked when the statement around them ends.
    groups: Vec<Group>,
}

/// A group's tunnel, the name Click gives it, and where it stands.
type Group = (Tunnel, String, Landmark);

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

impl Frame {
    fn new(id: ScopeId) -> Self {
        Self {
            scope: Scope::new(id),
            nodes: Map::new(),
            number: 1,
            numbers: Map::new(),
            classes: Map::new(),
            parameters: Set::new(),
            tunnels: Vec::new(),
            ends_output: true,
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
            required: Set::new(),
            libraries_read: Set::new(),
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

    fn defined_class(&self, name: &str) -> Option<&Class> {
        let mut inner_first = self.scopes.iter().rev();
        inner_first.find_map(|frame| frame.classes.get(name))
    }

    fn known_class(&self, name: &str) -> Option<Class> {
        self.defined_class(name).cloned().or_else(|| {
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
            Some(name) => self.known_class(name).unwrap_or_else(|| {
                let message = format!("cannot extend unknown element class '{name}'");
                self.error(dots, message);
                Class::Missing
            }),
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
        for (side, used, against, instead) in [
            ("input", &inputs, &into_input, "output"),
            ("output", &outputs, &out_of_output, "input"),
        ] {
            if against.count() > 0 {
                let message =
                    format!("'{name}' pseudoelement '{side}' may only be used as {instead}");
                self.error(at, message);
            }
            for port in used.gaps(used.count()).take(GAPS) {
                self.error(at, format!("'{name}' {side} {port} missing"));
            }
        }
        (inputs.count(), outputs.count())
    }

    /// Reports ports named, or those of a group, where nothing is connected to them.
    fn refuse_ports(&mut self, places: &[Place], side: Side) {
        let (named, message): (fn(&Place) -> &Option<Ports>, _) = match side {
            Side::Start => (|p| &p.inputs, "input ports ignored at start of chain"),
            Side::End => (|p| &p.outputs, "output ports ignored at end of chain"),
        };
        if let Some(place) = places.iter().find(|place| named(place).is_some()) {
            self.error(&place.at, message.to_string());
        }
    }

    /// A chain that begins with an arrow after one that leads elsewhere than out is perhaps meant to
    /// go on with that one.
    fn suggest_start(&mut self, chain: &Chain) {
        let (Some(first), Some((link, _))) = (chain.first.first(), chain.rest.first()) else {
            return;
        };
        let bare = matches!(first.reference, Reference::Implicit) && first.outputs.is_none();
        if bare && !self.frame().ends_output {
            let arrow = if link.pairwise { "=>" } else { "->" };
            let message = format!("suggest 'input {arrow}' or '[0] {arrow}' to start connection");
            self.diagnostics.warning(&first.at, message);
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
            self.frame().ends_output = false;
        } else {
            self.suggest_start(&chain);
            let mut left = self.stage(chain.first, Side::Start);
            self.refuse_ports(&left, Side::Start);
            for (link, operands) in chain.rest {
                let right = self.stage(operands, Side::End);
                self.connect(&left, &link, &right);
                left = right;
            }
            self.refuse_ports(&left, Side::End);
            let frame = self.frame();
            frame.ends_output = match (frame.tunnels.last(), &left[..]) {
                (Some(tunnel), [only]) => only.to == tunnel.output,
                _ => false,
            };
        }
        let groups = self.frame().groups.split_off(groups_before);
        if !groups.is_empty() {
            self.check_groups(&groups);
        }
    }
}
