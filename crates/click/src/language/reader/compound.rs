//! Compound elements and groups, and the ports they have.

use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use super::super::lexer::Kind;
use super::super::program::{CLASS_DEPTH, Class, Compound, Formal, Overload, ScopeId};
use super::super::syntax::FormalKind;
use super::{Body, Ended, Frame, GAPS, NAMELESS, NESTING, Reader, Tunnel};
use crate::diagnostics::Landmark;

const MISPLACED_DOTS: &str = "'...' should occur last, after one or more compounds";

impl Reader<'_> {
    /// `{ … || … || ... }`, of which the `{` is taken. `name` is empty for one used in place.
    pub(super) fn compound(&mut self, name: &str) -> Class {
        let at = self.lexer.here();
        let mut overloads = Vec::new();
        let mut extends = None;
        loop {
            let token = self.next();
            if token.kind == Kind::Dots {
                extends = Some(self.extended(name));
                let token = self.next();
                if overloads.is_empty() || token.kind != Kind::Sign('}') {
                    self.error(MISPLACED_DOTS);
                }
                // What is left is one more alternative, without ports and elements.
                self.give_back(token);
                continue;
            }
            let start = self.lexer.here();
            self.give_back(token);
            let (overload, ended) = self.overload(name, start);
            overloads.push(overload);
            if ended == Ended::Whole {
                break;
            }
        }
        let parent = self.frame().scope.id;
        let named = (!name.is_empty()).then(|| name.into());
        let compound = Compound::new(named, parent, overloads, extends);
        if compound.depth > CLASS_DEPTH {
            let message =
                format!("compound elements expand into each other more than {CLASS_DEPTH} deep");
            self.diagnostics.error(&at, message);
            return Class::Missing;
        }
        Class::Compound(Rc::new(compound))
    }

    /// The class that `...` takes in.
    fn extended(&mut self, name: &str) -> Class {
        let known = match name {
            "" => None,
            name => self.known_class(name),
        };
        known.unwrap_or_else(|| {
            self.error(format!("cannot extend unknown element class '{name}'"));
            Class::Missing
        })
    }

    /// One alternative of a compound.
    fn overload(&mut self, name: &str, at: Landmark) -> (Overload, Ended) {
        let id = ScopeId(self.scopes_made);
        self.scopes_made += 1;
        let mut frame = Frame::new(id);
        let tunnel = frame.add_tunnel("", &at);
        frame.tunnels.push(tunnel);
        for (name, node) in [("input", tunnel.input), ("output", tunnel.output)] {
            frame.nodes.insert(name.into(), node);
        }
        self.scopes.push(frame);
        let formals = self.formals();
        let ended = match self.descend() {
            true => {
                let ended = self.statements(Body::Compound);
                self.depth -= 1;
                ended
            }
            false => Ended::Whole,
        };
        let printed = if name.is_empty() { "<anonymous>" } else { name };
        let (inputs, outputs) = self.check_tunnel(tunnel, printed, &at);
        let body = self.scopes.pop().map(Frame::finish);
        let overload = Overload {
            formals,
            body: body.unwrap_or_else(|| Frame::new(id).finish()),
            inputs,
            outputs,
            at,
        };
        (overload, ended)
    }

    /// Goes one level down, if that is not too deep.
    fn descend(&mut self) -> bool {
        if self.depth == NESTING {
            self.error(format!(
                "groups and compound elements nested more than {NESTING} deep"
            ));
            return false;
        }
        self.depth += 1;
        true
    }

    /// `( … )`, of which the `(` is taken.
    pub(super) fn group(&mut self) -> Tunnel {
        let at = self.lexer.here();
        let frame = self.frame();
        let name = format!("{NAMELESS}@{}", frame.number);
        let tunnel = frame.add_tunnel(&name, &at);
        // Click counts the group, its input and its output as elements.
        frame.number += 3;
        frame.tunnels.push(tunnel);
        let ended = core::mem::replace(&mut frame.ends_output, true);
        if self.descend() {
            self.statements(Body::Group);
            self.depth -= 1;
        }
        let at = self.lexer.here();
        self.check_tunnel(tunnel, "<anonymous group>", &at);
        let frame = self.frame();
        frame.tunnels.pop();
        frame.ends_output = ended;
        tunnel
    }

    /// Reports wrong uses of `input` and `output` and gaps in their ports; returns how many ports
    /// each has.
    fn check_tunnel(&mut self, tunnel: Tunnel, name: &str, at: &Landmark) -> (usize, usize) {
        let scope = &self.frame().scope;
        let (inputs, outputs) = tunnel.inside(scope);
        let (into_input, out_of_output) = tunnel.outside(scope);
        for (side, used, against, instead) in [
            ("input", &inputs, &into_input, "output"),
            ("output", &outputs, &out_of_output, "input"),
        ] {
            if against.count() > 0 {
                let message =
                    format!("'{name}' pseudoelement '{side}' may only be used as {instead}");
                self.diagnostics.error(at, message);
            }
            for port in used.gaps(used.count()).take(GAPS) {
                let message = format!("'{name}' {side} {port} missing");
                self.diagnostics.error(at, message);
            }
        }
        (inputs.count(), outputs.count())
    }

    /// `$a, KEY $b, __REST__ $c |`, or nothing.
    fn formals(&mut self) -> Vec<Formal> {
        let mut formals: Vec<Formal> = Vec::new();
        let mut disordered = false;
        loop {
            let token = self.next();
            let (kind, variable) = match token.kind {
                Kind::Word => {
                    let variable = self.next();
                    if variable.kind != Kind::Variable {
                        if !formals.is_empty() {
                            self.error("expected variable");
                        }
                        self.give_back(variable);
                        self.give_back(token);
                        return formals;
                    }
                    let kind = match self.lexer.text(&token) {
                        "__REST__" => FormalKind::Rest,
                        keyword => FormalKind::Keyword(keyword.into()),
                    };
                    (kind, variable)
                }
                Kind::Variable => (FormalKind::Positional, token),
                Kind::Sign('|') => return formals,
                _ => {
                    if !formals.is_empty() {
                        self.error("expected variable");
                    }
                    self.give_back(token);
                    return formals;
                }
            };
            let name: Rc<str> = self.lexer.text(&variable)[1..].into();
            if self.frame().parameters.insert(name.clone()) {
                self.check_formal(&formals, &kind, &mut disordered);
                formals.push(Formal { kind, name });
            } else {
                self.error(format!("parameter '${name}' multiply defined"));
            }
            let token = self.next();
            match token.kind {
                Kind::Sign('|') => return formals,
                Kind::Sign(',') => {}
                _ => {
                    self.error("expected ',' or '|'");
                    self.give_back(token);
                    return formals;
                }
            }
        }
    }

    /// Reports a parameter out of order: positions come before keywords, and the rest comes last.
    /// Only the first is reported.
    fn check_formal(&mut self, before: &[Formal], kind: &FormalKind, disordered: &mut bool) {
        let keyword = match kind {
            FormalKind::Positional => None,
            FormalKind::Keyword(keyword) => Some(&**keyword),
            FormalKind::Rest => Some("__REST__"),
        };
        if let Some(keyword) = keyword
            && before.iter().any(|formal| formal.kind == *kind)
        {
            self.error(format!(
                "repeated keyword parameter '{keyword}' in compound element"
            ));
        }
        let misplaced = match before.last().map(|formal| &formal.kind) {
            Some(FormalKind::Rest) => true,
            Some(FormalKind::Keyword(_)) => *kind == FormalKind::Positional,
            _ => false,
        };
        if misplaced && !core::mem::replace(disordered, true) {
            self.error(
                "compound element parameters out of order\n(The correct order is '[positional], [keywords], [__REST__]'.)",
            );
        }
    }
}
