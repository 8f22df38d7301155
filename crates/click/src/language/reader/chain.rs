//! Chains of connections: stages of elements with arrows between them, and the ports named there.

use alloc::format;

use super::super::lexer::Kind;
use super::super::program::Side;
use super::super::syntax::{Link, Ports};
use super::Reader;
use super::elements::{Place, Position};

impl Reader<'_> {
    /// A chain, or as much of it as there is.
    pub(super) fn chain(&mut self) {
        let mut left: Option<(alloc::vec::Vec<Place>, Link)> = None;
        let end = loop {
            let position = match &left {
                None => Position::First,
                Some(_) => Position::Later,
            };
            let Some(places) = self.stage(position) else {
                break left.map(|(places, _)| places);
            };
            match &left {
                None => self.refuse_ports(&places, Side::Input),
                Some((before, link)) => self.connect(before, link, &places),
            }
            match self.link() {
                Some(link) => left = Some((places, link)),
                None => break Some(places),
            }
        };
        let places = end.unwrap_or_default();
        self.refuse_ports(&places, Side::Output);
        let frame = self.frame();
        frame.ends_output = match (frame.tunnels.last(), &places[..]) {
            (Some(tunnel), [only]) => only.to == tunnel.output,
            _ => false,
        };
    }

    /// The arrow after a stage; none where the chain ends. What may begin a statement is left.
    fn link(&mut self) -> Option<Link> {
        loop {
            let token = self.next();
            match token.kind {
                Kind::Sign(',') | Kind::Colons => self.misplaced(&token, "'->' or ';'"),
                Kind::Arrow | Kind::DoubleArrow => {
                    return Some(Link {
                        pairwise: token.kind == Kind::DoubleArrow,
                        at: self.lexer.landmark(&token),
                    });
                }
                Kind::Sign(';') | Kind::End => return None,
                Kind::Word
                | Kind::Sign('{' | '}' | '[' | ')')
                | Kind::Bars
                | Kind::ElementClass
                | Kind::Require
                | Kind::Provide
                | Kind::Define => {
                    self.give_back(token);
                    return None;
                }
                kind => {
                    self.misplaced(&token, "'->' or ';'");
                    if matches!(kind, Kind::Variable | Kind::Dots) {
                        self.give_back(token);
                    }
                    return None;
                }
            }
        }
    }

    /// Reports ports named, or those of a group, where nothing is connected to them.
    fn refuse_ports(&mut self, places: &[Place], side: Side) {
        let named = |place: &Place| match side {
            Side::Input => place.inputs.is_some(),
            Side::Output => place.outputs.is_some(),
        };
        if places.iter().any(named) {
            self.error(match side {
                Side::Input => "input ports ignored at start of chain",
                Side::Output => "output ports ignored at end of chain",
            });
        }
    }

    /// `[0,2-3]`, `[]` or `[0,]`, if it stands here.
    pub(super) fn ports(&mut self) -> Option<Ports> {
        if !self.accept(Kind::Sign('[')) {
            return None;
        }
        let mut ports = Ports::default();
        loop {
            let token = self.next();
            match token.kind {
                Kind::Word => {
                    let first = self.port(&token);
                    let last = self.end_of_range().unwrap_or(first);
                    if last < first {
                        self.error(format!("port range '{first}-{last}' runs backwards"));
                    } else {
                        ports.add(first, last);
                    }
                }
                Kind::Sign(']') => {
                    if ports.count() == 0 {
                        ports.add(0, 0);
                    }
                    ports.open = true;
                    break;
                }
                _ => {
                    self.error("syntax error: expected port number");
                    self.give_back(token);
                    break;
                }
            }
            let token = self.next();
            match token.kind {
                Kind::Sign(']') => break,
                Kind::Sign(',') => {}
                _ => {
                    self.error("syntax error: expected ','");
                    self.give_back(token);
                }
            }
        }
        (ports.count() > 0).then_some(ports)
    }

    /// The port after a `-`, if one is there.
    fn end_of_range(&mut self) -> Option<u16> {
        let dash = self.next();
        if dash.kind != Kind::Sign('-') {
            self.give_back(dash);
            return None;
        }
        let token = self.next();
        if token.kind == Kind::Word {
            return Some(self.port(&token));
        }
        self.give_back(token);
        self.give_back(dash);
        None
    }

    /// The number of a port; zero where it is none, which is reported.
    fn port(&mut self, token: &super::Token) -> u16 {
        let text = self.lexer.text(token);
        if let Ok(port) = text.parse() {
            return port;
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("port number '{text}' too large");
            let at = self.lexer.landmark(token);
            let diagnostic = super::Diagnostic::error(message).at(&at);
            let help = "ports go up to 65535";
            self.diagnostics.push(diagnostic.help(help));
        } else {
            self.error("syntax error: port number should be integer");
        }
        0
    }
}
