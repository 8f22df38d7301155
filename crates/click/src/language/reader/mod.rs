//! From tokens to meaning, in one pass: statements are read, names looked up, classes found and
//! connections made.
//!
//! The grammar is that of Click's manual, click(5). A mistake loses as little as it can: reading
//! goes on with the token after it, or with that very token where it may begin something. What is
//! reported, in which order and for which line, is what Click reports.

mod chain;
mod compound;
mod connect;
mod elements;
mod preamble;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::collections::{Map, Set};

use super::lexer::{Kind, Lexer, Token};
use super::program::{Class, Node, NodeKind, Program, Scope, ScopeId, Side, UsedPorts};
use super::source::{Classes, Requirements, Source};
use crate::diagnostics::{Diagnostic, Diagnostics, Landmark};
use crate::graph::Requirement;

pub(super) use connect::MOST_CONNECTIONS;

/// How deep groups and compounds may lie in each other. Deeper is a mistake, or an attack on the
/// stack.
const NESTING: usize = 64;
/// How many messages may come with a suggestion.
const SUGGESTIONS: usize = 50;
/// How many gaps in the ports of one compound or group are reported.
const GAPS: usize = 16;

/// Reads the scopes of one configuration.
pub(super) struct Reader<'a> {
    lexer: Lexer,
    classes: &'a dyn Classes,
    libraries: &'a dyn Requirements,
    diagnostics: &'a mut Diagnostics,
    /// The file's scope and those of the compounds around this place.
    scopes: Vec<Frame>,
    /// Of groups and compounds around this place.
    depth: usize,
    scopes_made: usize,
    connections_made: usize,
    requirements: Vec<Requirement>,
    libraries_read: Set<String>,
    /// How many libraries lie around this place.
    libraries_open: usize,
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
        }
    }

    /// Adds the input and the output of what is called `name`.
    fn add_tunnel(&mut self, name: &str, at: &Landmark) -> Tunnel {
        let input = self.scope.nodes.len();
        for side in [Side::Input, Side::Output] {
            self.scope.nodes.push(Node {
                name: name.into(),
                kind: NodeKind::Tunnel(side),
                at: at.clone(),
            });
        }
        Tunnel {
            input,
            output: input + 1,
            first: self.scope.connections.len(),
        }
    }

    /// The scope, once it has been read. Only now do elements without a name get theirs: it is
    /// the number they were given, or the next that no element has.
    fn finish(mut self) -> Scope {
        for (index, node) in self.scope.nodes.iter_mut().enumerate() {
            let Some(name) = node.name.strip_prefix(NAMELESS) else {
                continue;
            };
            if matches!(node.kind, NodeKind::Tunnel(_)) {
                node.name = name.into();
                continue;
            }
            let mut name: Rc<str> = name.into();
            if self.nodes.contains_key(&name)
                && let Some((prefix, number)) = name.rsplit_once('@')
            {
                let prefix: Rc<str> = prefix.into();
                let given = number.parse().unwrap_or(0);
                let mut number = self.numbers.get(&prefix).copied().unwrap_or(0).max(given);
                while self.nodes.contains_key(&name) {
                    number += 1;
                    name = format!("{prefix}@{number}").into();
                }
                self.numbers.insert(prefix, number);
            }
            self.nodes.insert(name.clone(), index);
            node.name = name;
        }
        self.scope
    }
}

/// What the names of elements without one begin with, while the scope is read: none can be meant.
const NAMELESS: char = ';';

/// What statements stand in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Body {
    File,
    Compound,
    Group,
}

/// What ends the statements of a compound.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// `||`: another alternative follows.
    Bars,
    /// Anything else.
    Whole,
}

/// Reads a configuration. What is wrong with it is in `diagnostics`; the rest can be used all the
/// same, to find more that is wrong.
pub(super) fn read(
    source: Source,
    classes: &dyn Classes,
    libraries: &dyn Requirements,
    diagnostics: &mut Diagnostics,
) -> Program {
    let mut reader = Reader {
        lexer: Lexer::new(source),
        classes,
        libraries,
        diagnostics,
        scopes: alloc::vec![Frame::new(ScopeId(0))],
        depth: 0,
        scopes_made: 1,
        connections_made: 0,
        requirements: Vec::new(),
        libraries_read: Set::new(),
        libraries_open: 0,
    };
    reader.statements(Body::File);
    let end = reader.lexer.here();
    Program {
        file: reader.scopes.swap_remove(0).finish(),
        requirements: reader.requirements,
        end,
    }
}

impl Reader<'_> {
    fn frame(&mut self) -> &mut Frame {
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    fn next(&mut self) -> Token {
        let token = self.lexer.next();
        self.report_directives();
        token
    }

    /// Takes the next token if it is of this kind.
    fn accept(&mut self, kind: Kind) -> bool {
        let found = self.lexer.accept(kind);
        self.report_directives();
        found
    }

    fn report_directives(&mut self) {
        for at in self.lexer.take_bad_directives() {
            let diagnostic = Diagnostic::error("unknown preprocessor directive").at(&at);
            let help =
                "lines that begin with '#' name a place: '# 10 \"file\"'; comments begin with '//'";
            self.diagnostics.push(diagnostic.help(help));
        }
    }

    fn give_back(&mut self, token: Token) {
        self.lexer.give_back(token);
    }

    /// Takes the next token if it is of this kind; otherwise reports that it is missing.
    fn expect(&mut self, kind: Kind, missing: &str) -> bool {
        let found = self.accept(kind);
        if !found {
            self.error(format!("expected {missing}"));
        }
        found
    }

    /// Reports an error at the last token that has been looked at.
    #[inline(never)]
    fn error(&mut self, message: impl Into<String>) {
        self.report(message.into());
    }

    // Once, and not wherever something can be wrong.
    #[inline(never)]
    fn report(&mut self, message: String) {
        let at = self.lexer.here();
        self.diagnostics.error(&at, message);
    }

    /// Reports a token that cannot stand where it does.
    fn misplaced(&mut self, token: &Token, expected: &str) {
        let near = match token.kind {
            Kind::End => "",
            Kind::Variable => &self.lexer.text(token)[1..],
            _ => self.lexer.text(token),
        };
        let message = format!("syntax error near '{near}'");
        let help = match token.kind {
            Kind::End => format!("the file ends here; expected {expected}"),
            _ => format!("expected {expected}"),
        };
        let diagnostic = Diagnostic::error(message).at(&self.lexer.here());
        self.diagnostics.push(diagnostic.help(help));
    }

    /// `(…)`, of which the `(` is taken: the text up to the `)`, which is taken too.
    fn configuration(&mut self) -> String {
        let text = self.lexer.configuration();
        self.report_directives();
        self.expect(Kind::Sign(')'), "')'");
        text
    }

    /// Statements up to what ends the file, the compound or the group.
    fn statements(&mut self, body: Body) -> Ended {
        loop {
            let token = self.next();
            match token.kind {
                Kind::Word | Kind::Sign('[' | '{' | '(') | Kind::Arrow | Kind::DoubleArrow => {
                    self.give_back(token);
                    self.chain();
                }
                Kind::ElementClass => self.element_class(),
                Kind::Require => self.require(),
                Kind::Define => self.define(),
                Kind::Sign(';') => {}
                Kind::Sign('}') if body == Body::Compound => return Ended::Whole,
                Kind::Bars if body == Body::Compound => return Ended::Bars,
                // What closes the compound around the group closes the group too.
                Kind::Sign('}') | Kind::Bars if body == Body::Group => {
                    self.misplaced(&token, "')'");
                    self.give_back(token);
                    return Ended::Whole;
                }
                Kind::Sign(')') if body == Body::Group => return Ended::Whole,
                Kind::End => {
                    match body {
                        Body::File => {}
                        Body::Compound => self.error("expected '}'"),
                        Body::Group => self.error("expected ')'"),
                    }
                    return Ended::Whole;
                }
                _ => self.misplaced(&token, "a statement"),
            }
        }
    }

    /// `elementclass NAME CLASS`
    fn element_class(&mut self) {
        let token = self.next();
        let name: Rc<str> = match token.kind {
            Kind::Word => self.lexer.text(&token).into(),
            _ => {
                self.give_back(token);
                self.error("expected element type name");
                "".into()
            }
        };
        let token = self.next();
        let class = match token.kind {
            Kind::Sign('{') => self.compound(&name),
            Kind::Word => {
                let of: Rc<str> = self.lexer.text(&token).into();
                self.class(&of)
            }
            _ => {
                self.misplaced(&token, "an element class");
                Class::Missing
            }
        };
        if !name.is_empty() {
            self.frame().classes.insert(name, class);
        }
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

    /// The class of this name; reports the first use of one that does not exist.
    fn class(&mut self, name: &Rc<str>) -> Class {
        if let Some(class) = self.known_class(name) {
            return class;
        }
        let mut diagnostic =
            Diagnostic::error(format!("unknown element class '{name}'")).at(&self.lexer.here());
        if let Some(similar) = self.similar(name) {
            diagnostic = diagnostic.help(format!("did you mean '{similar}'?"));
        }
        self.diagnostics.push(diagnostic);
        self.frame().classes.insert(name.clone(), Class::Missing);
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
}
