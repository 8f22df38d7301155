//! Chains of connections: elements, groups and the ports between them.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Abandoned, Parsed, Parser, check_identifier};
use crate::diagnostics::{Diagnostic, Diagnostics};
use crate::language::lexer::Kind;
use crate::language::syntax::{Chain, Class, Link, Operand, Ports, Reference};

/// Where in a chain an element stands.
#[derive(Clone, Copy)]
enum Place {
    First,
    Later,
}

impl Parser {
    pub(super) fn chain(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Chain> {
        let mut chain = Chain {
            first: self.stage(Place::First, diagnostics)?,
            rest: Vec::new(),
        };
        loop {
            let link = self.lexer.peek();
            let pairwise = match link.kind {
                Kind::Arrow => false,
                Kind::DoubleArrow => true,
                _ => return Ok(chain),
            };
            self.lexer.next();
            let at = self.lexer.landmark(&link);
            match self.stage(Place::Later, diagnostics) {
                Ok(stage) => {
                    let implicit = |o: &Operand| matches!(o.reference, Reference::Implicit);
                    let follows = self.lexer.peek_kind();
                    if stage.iter().any(implicit)
                        && matches!(follows, Kind::Arrow | Kind::DoubleArrow)
                    {
                        let message = "implicit ports used in the middle of a chain";
                        self.report_here(message, diagnostics);
                    }
                    chain.rest.push((Link { pairwise, at }, stage));
                }
                Err(Abandoned) => {
                    self.broken = true;
                    // What they lead to is lost; that they lead nowhere is no further mistake.
                    let last = chain.rest.last_mut().map(|(_, stage)| stage);
                    for operand in last.unwrap_or(&mut chain.first) {
                        operand.outputs = None;
                    }
                    return Ok(chain);
                }
            }
        }
    }

    fn stage(&mut self, place: Place, diagnostics: &mut Diagnostics) -> Parsed<Vec<Operand>> {
        let mut operands = Vec::new();
        loop {
            operands.push(self.operand(place, operands.is_empty(), diagnostics)?);
            if !self.accept(Kind::Sign(',')) {
                return Ok(operands);
            }
        }
    }

    fn operand(
        &mut self,
        place: Place,
        foremost: bool,
        diagnostics: &mut Diagnostics,
    ) -> Parsed<Operand> {
        let at = self.landmark();
        let inputs = self.ports(diagnostics)?;
        let name = self.landmark();
        if let Some(reference) = self.reference(diagnostics)? {
            let outputs = self.ports(diagnostics)?;
            let at = if matches!(reference, Reference::Group(_)) {
                at
            } else {
                name
            };
            return Ok(Operand {
                inputs,
                reference,
                outputs,
                at,
            });
        }
        // Without a name this is the surrounding input at the start, the surrounding output at the
        // end; the ports are those at its open side.
        let next = self.lexer.peek_kind();
        let arrow = matches!(next, Kind::Arrow | Kind::DoubleArrow);
        let comma = next == Kind::Sign(',');
        let bare = foremost && !comma;
        match place {
            _ if self.depth == 0 || (inputs.is_none() && !bare) => {
                self.no_element(inputs.is_some(), foremost, diagnostics)
            }
            Place::First if arrow || comma => Ok(Operand {
                inputs: None,
                reference: Reference::Implicit,
                outputs: inputs,
                at,
            }),
            Place::Later if !arrow => Ok(Operand {
                inputs,
                reference: Reference::Implicit,
                outputs: None,
                at,
            }),
            Place::First if inputs.is_some() => self.abandon("stranded port ignored", diagnostics),
            _ => self.no_element(inputs.is_some(), foremost, diagnostics),
        }
    }

    /// Reports that no element is named here; `stranded` if ports are.
    fn no_element(
        &mut self,
        stranded: bool,
        foremost: bool,
        diagnostics: &mut Diagnostics,
    ) -> Parsed<Operand> {
        if stranded {
            self.report_here("stranded port ignored", diagnostics);
            if !foremost {
                return Err(Abandoned);
            }
        }
        self.unexpected("an element", diagnostics)
    }

    /// An element, if one is named here.
    fn reference(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Option<Reference>> {
        if !self.at_element() {
            return Ok(None);
        }
        match self.lexer.peek_kind() {
            Kind::Sign('(') => self.nested(diagnostics, Self::group).map(Some),
            Kind::Word => {
                let at = self.landmark();
                let token = self.lexer.next();
                let word: Rc<str> = self.lexer.text(&token).into();
                check_identifier("element", &word, &at, diagnostics);
                match self.lexer.peek_kind() {
                    Kind::Colons => {
                        self.lexer.next();
                        let follows = match self.lexer.peek_kind() {
                            Kind::Word => self.keyword().is_none(),
                            kind => kind == Kind::Sign('{'),
                        };
                        let class = if follows {
                            self.class(diagnostics)?
                        } else {
                            self.report_here("missing element type in declaration", diagnostics);
                            // As Click, which takes the element's name for it.
                            Class::Named(word.clone(), at)
                        };
                        let configuration = self.configuration(diagnostics)?;
                        Ok(Some(Reference::Declaration {
                            name: word,
                            class,
                            configuration,
                        }))
                    }
                    Kind::Sign('(') => {
                        let configuration = self.configuration(diagnostics)?;
                        Ok(Some(Reference::Anonymous {
                            class: Class::Named(word, at),
                            configuration,
                        }))
                    }
                    _ => Ok(Some(Reference::Word(word))),
                }
            }
            Kind::Sign('{') => {
                let class = self.class(diagnostics)?;
                let configuration = self.configuration(diagnostics)?;
                Ok(Some(Reference::Anonymous {
                    class,
                    configuration,
                }))
            }
            _ => Ok(None),
        }
    }

    fn group(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Reference> {
        self.lexer.next();
        let statements = self.statements(diagnostics)?;
        match self.lexer.peek_kind() {
            Kind::Sign(')') => {
                self.lexer.next();
                Ok(Reference::Group(statements))
            }
            Kind::End => self.abandon("expected ')'", diagnostics),
            _ => self.unexpected("')'", diagnostics),
        }
    }

    /// `[0,2-3]`, `[]` or `[0,]`, if it stands here.
    fn ports(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Option<Ports>> {
        if !self.accept(Kind::Sign('[')) {
            return Ok(None);
        }
        let mut ports = Ports::default();
        loop {
            if self.accept(Kind::Sign(']')) {
                if ports.count() == 0 {
                    ports.add(0, 0);
                }
                ports.open = true;
                return Ok(Some(ports));
            }
            let first = self.port(diagnostics)?;
            let last = if self.accept(Kind::Sign('-')) {
                self.port(diagnostics)?
            } else {
                first
            };
            if last < first {
                let at = self.landmark();
                diagnostics.error(&at, format!("port range '{first}-{last}' runs backwards"));
                return Err(Abandoned);
            }
            ports.add(first, last);
            if self.accept(Kind::Sign(']')) {
                return Ok(Some(ports));
            }
            if !self.accept(Kind::Sign(',')) {
                // As Click, which goes on as if the comma were there.
                self.report_here("syntax error: expected ','", diagnostics);
            }
        }
    }

    fn port(&mut self, diagnostics: &mut Diagnostics) -> Parsed<u16> {
        let token = self.lexer.peek();
        let text = self.lexer.text(&token).to_string();
        if token.kind != Kind::Word {
            return self.abandon("syntax error: expected port number", diagnostics);
        }
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            self.report_here("syntax error: port number should be integer", diagnostics);
            self.lexer.next();
            return Ok(0);
        }
        match text.parse() {
            Ok(port) => {
                self.lexer.next();
                Ok(port)
            }
            Err(_) => {
                let at = self.lexer.landmark(&token);
                diagnostics.push(
                    Diagnostic::error(format!("port number '{text}' too large"))
                        .at(&at)
                        .help("ports go up to 65535"),
                );
                Err(Abandoned)
            }
        }
    }
}
