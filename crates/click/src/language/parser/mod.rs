//! From tokens to statements.
//!
//! The grammar is that of Click's manual, click(5). The parser gives out one statement of the file
//! at a time, so that messages about form and about meaning come in the order of the text.

mod chain;

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::lexer::{Kind, Lexer, Token};
use super::source::Source;
use super::syntax::{Class, Compound, Formal, FormalKind, Overload, Statement};
use crate::diagnostics::{Diagnostic, Diagnostics, Landmark};

/// How deep groups and compounds may lie in each other. Deeper is a mistake, or an attack on the
/// stack.
pub(super) const NESTING: usize = 64;

const NO_CLASS_NAME: &str = "expected element type name";
const MISPLACED_DOTS: &str = "'...' should occur last, after one or more compounds";

/// The statement was given up; the reason has been recorded.
#[derive(Debug)]
struct Abandoned;

type Parsed<T> = Result<T, Abandoned>;

/// Reads the statements of one file.
pub(super) struct Parser {
    lexer: Lexer,
    /// Of groups and compounds around this place.
    depth: usize,
    /// The statement just given out ends in a mistake, past which the parser has yet to get.
    broken: bool,
}

impl Parser {
    pub(super) fn new(source: Source) -> Self {
        Self {
            lexer: Lexer::new(source),
            depth: 0,
            broken: false,
        }
    }

    /// The next statement of the file; `None` at its end.
    pub(super) fn statement(&mut self, diagnostics: &mut Diagnostics) -> Option<Statement> {
        loop {
            let next = self.lexer.peek();
            match next.kind {
                Kind::End => return None,
                Kind::Sign(';') => {
                    self.lexer.next();
                    continue;
                }
                _ => {}
            }
            if let Some(statement) = self.whole_statement(&next, diagnostics) {
                return Some(statement);
            }
        }
    }

    /// The statement that begins at `start`, or as much of it as stands before a mistake.
    fn whole_statement(
        &mut self,
        start: &Token,
        diagnostics: &mut Diagnostics,
    ) -> Option<Statement> {
        let parsed = self.parse_statement(diagnostics);
        if parsed.is_err() || core::mem::take(&mut self.broken) {
            self.recover(start);
        }
        parsed.ok()
    }

    /// After a mistake in the statement that began at `start`: passes what is left of it, and at
    /// least one token.
    fn recover(&mut self, start: &Token) {
        let mut depth = 0_usize;
        loop {
            let token = self.lexer.peek();
            match token.kind {
                Kind::End => return,
                Kind::Sign(';') if depth == 0 => return,
                // What closes the group or compound ends the statement; in the file it is stray.
                Kind::Sign('}' | ')') | Kind::Bars
                    if depth == 0 && self.depth > 0 && token.start > start.start =>
                {
                    return;
                }
                Kind::Sign('}') => depth = depth.saturating_sub(1),
                Kind::Sign('{') => depth += 1,
                Kind::Sign('(') => {
                    self.lexer.next();
                    if self.lexer.configuration().is_err() {
                        return;
                    }
                    continue;
                }
                _ => {}
            }
            self.lexer.next();
        }
    }

    fn unexpected<T>(&mut self, expected: &str, diagnostics: &mut Diagnostics) -> Parsed<T> {
        self.report_unexpected(expected, diagnostics);
        Err(Abandoned)
    }

    fn report_unexpected(&mut self, expected: &str, diagnostics: &mut Diagnostics) {
        let token = self.lexer.peek();
        let near = match token.kind {
            Kind::End => "",
            _ => self.lexer.text(&token),
        };
        let message = format!("syntax error near '{near}'");
        let at = self.lexer.landmark(&token);
        let help = match token.kind {
            Kind::End => format!("the file ends here; expected {expected}"),
            _ => format!("expected {expected}"),
        };
        diagnostics.push(Diagnostic::error(message).at(&at).help(help));
    }

    /// Gives the statement up at the next token, with a message of Click's.
    fn abandon<T>(&mut self, message: &str, diagnostics: &mut Diagnostics) -> Parsed<T> {
        self.report_here(message, diagnostics);
        Err(Abandoned)
    }

    #[inline(never)]
    fn report_here(&mut self, message: &str, diagnostics: &mut Diagnostics) {
        let at = self.landmark();
        diagnostics.error(&at, message);
    }

    fn expect(
        &mut self,
        kind: Kind,
        otherwise: &str,
        diagnostics: &mut Diagnostics,
    ) -> Parsed<Token> {
        if self.lexer.peek_kind() == kind {
            Ok(self.lexer.next())
        } else {
            self.abandon(otherwise, diagnostics)
        }
    }

    fn accept(&mut self, kind: Kind) -> bool {
        let found = self.lexer.peek_kind() == kind;
        if found {
            self.lexer.next();
        }
        found
    }

    fn landmark(&mut self) -> Landmark {
        let token = self.lexer.peek();
        self.lexer.landmark(&token)
    }

    /// The keyword that comes next, if one does.
    fn keyword(&mut self) -> Option<&'static str> {
        let token = self.lexer.peek();
        if token.kind != Kind::Word {
            return None;
        }
        let word = self.lexer.text(&token);
        ["elementclass", "require", "provide", "define"]
            .into_iter()
            .find(|keyword| *keyword == word)
    }

    /// True when an element begins here.
    fn at_element(&mut self) -> bool {
        match self.lexer.peek_kind() {
            Kind::Word => self.keyword().is_none(),
            Kind::Sign('[' | '{' | '(') => true,
            _ => false,
        }
    }

    fn parse_statement(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Statement> {
        match self.keyword() {
            Some("elementclass") => self.element_class(diagnostics),
            Some(keyword @ ("require" | "define")) => {
                let at = self.landmark();
                self.lexer.next();
                if self.lexer.peek_kind() != Kind::Sign('(') {
                    return self.abandon("expected '('", diagnostics);
                }
                let arguments = self.configuration(diagnostics)?;
                Ok(match keyword {
                    "require" => Statement::Require { arguments, at },
                    _ => Statement::Define { arguments, at },
                })
            }
            Some(_) => self.unexpected("a statement", diagnostics),
            None => self.chain(diagnostics).map(Statement::Chain),
        }
    }

    fn element_class(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Statement> {
        self.lexer.next();
        let at = self.landmark();
        if self.keyword().is_some() {
            return self.abandon(NO_CLASS_NAME, diagnostics);
        }
        let name = self.expect(Kind::Word, NO_CLASS_NAME, diagnostics)?;
        let name: Rc<str> = self.lexer.text(&name).into();
        check_identifier("element class", &name, &at, diagnostics);
        let class = self.class(diagnostics)?;
        Ok(Statement::ElementClass { name, class, at })
    }

    /// `(…)`, if it stands here; an empty text otherwise.
    fn configuration(&mut self, diagnostics: &mut Diagnostics) -> Parsed<String> {
        if self.lexer.peek_kind() != Kind::Sign('(') {
            return Ok(String::new());
        }
        let open = self.lexer.next();
        match self.lexer.configuration() {
            Ok(text) => Ok(text),
            Err(_) => {
                let at = self.lexer.landmark(&open);
                diagnostics.push(
                    Diagnostic::error("expected ')'")
                        .at(&at)
                        .help("this parenthesis is never closed"),
                );
                Err(Abandoned)
            }
        }
    }

    fn class(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Class> {
        let at = self.landmark();
        match self.lexer.peek_kind() {
            Kind::Word if self.keyword().is_none() => {
                let token = self.lexer.next();
                let name: Rc<str> = self.lexer.text(&token).into();
                check_identifier("element class", &name, &at, diagnostics);
                Ok(Class::Named(name, at))
            }
            Kind::Sign('{') => {
                let compound = self.nested(diagnostics, Self::compound)?;
                Ok(Class::Compound(Box::new(compound)))
            }
            _ => self.unexpected("an element class", diagnostics),
        }
    }

    fn nested<T>(
        &mut self,
        diagnostics: &mut Diagnostics,
        parse: fn(&mut Self, &mut Diagnostics) -> Parsed<T>,
    ) -> Parsed<T> {
        if self.depth == NESTING {
            let at = self.landmark();
            diagnostics.error(
                &at,
                format!("groups and compound elements nested more than {NESTING} deep"),
            );
            return Err(Abandoned);
        }
        self.depth += 1;
        let parsed = parse(self, diagnostics);
        self.depth -= 1;
        parsed
    }

    fn compound(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Compound> {
        let mut at = self.landmark();
        self.lexer.next();
        let mut compound = Compound {
            overloads: Vec::new(),
            extends: None,
        };
        loop {
            if self.lexer.peek_kind() == Kind::Dots {
                compound.extends = Some(self.landmark());
                self.lexer.next();
                self.expect(Kind::Sign('}'), MISPLACED_DOTS, diagnostics)?;
                return Ok(compound);
            }
            let formals = self.formals(diagnostics)?;
            let body = self.statements(diagnostics)?;
            compound.overloads.push(Overload { formals, body, at });
            match self.lexer.peek_kind() {
                Kind::Bars => {
                    at = self.landmark();
                    self.lexer.next();
                }
                Kind::Sign('}') => {
                    self.lexer.next();
                    return Ok(compound);
                }
                Kind::End => return self.abandon("expected '}'", diagnostics),
                _ => return self.unexpected("'}' or '||'", diagnostics),
            }
        }
    }

    /// `$a, KEY $b, __REST__ $c |`, or nothing.
    fn formals(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Vec<Formal>> {
        let mut formals: Vec<Formal> = Vec::new();
        if self.accept(Kind::Sign('|')) {
            return Ok(formals);
        }
        if !self.at_formal() {
            return Ok(formals);
        }
        let mut disordered = false;
        loop {
            let at = self.landmark();
            let kind = match self.lexer.peek_kind() {
                Kind::Word => {
                    let word = self.lexer.next();
                    match self.lexer.text(&word) {
                        "__REST__" => FormalKind::Rest,
                        keyword => FormalKind::Keyword(keyword.into()),
                    }
                }
                _ => FormalKind::Positional,
            };
            let variable = self.expect(Kind::Variable, "expected variable", diagnostics)?;
            let name: Rc<str> = self.lexer.text(&variable)[1..].into();
            check_formal(&formals, &kind, &at, &mut disordered, diagnostics);
            formals.push(Formal { kind, name, at });
            if self.accept(Kind::Sign('|')) {
                return Ok(formals);
            }
            self.expect(Kind::Sign(','), "expected ',' or '|'", diagnostics)?;
        }
    }

    /// True when parameters begin here: `$a`, or a word with `$a` after it.
    fn at_formal(&mut self) -> bool {
        match self.lexer.peek_kind() {
            Kind::Variable => true,
            Kind::Word => self.lexer.second_kind() == Kind::Variable,
            _ => false,
        }
    }

    /// Statements up to what closes the group or compound, which is left.
    fn statements(&mut self, diagnostics: &mut Diagnostics) -> Parsed<Vec<Statement>> {
        let mut statements = Vec::new();
        loop {
            let next = self.lexer.peek();
            match next.kind {
                Kind::Sign(';') => {
                    self.lexer.next();
                }
                Kind::Sign('}' | ')') | Kind::Bars | Kind::End => return Ok(statements),
                _ => statements.extend(self.whole_statement(&next, diagnostics)),
            }
        }
    }
}

/// Reports a name that may not be declared. The declaration stands, so that its uses are no
/// further errors.
fn check_identifier(what: &str, name: &str, at: &Landmark, diagnostics: &mut Diagnostics) {
    if name.ends_with('/') {
        diagnostics.error(at, format!("{what} name '{name}' ends with slash"));
    } else if name
        .split('/')
        .any(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    {
        diagnostics.error(at, format!("{what} name '{name}' has all-digit component"));
    }
}

/// Reports a parameter out of order: positions come before keywords, and the rest comes last. Only
/// the first is reported.
fn check_formal(
    before: &[Formal],
    kind: &FormalKind,
    at: &Landmark,
    disordered: &mut bool,
    diagnostics: &mut Diagnostics,
) {
    if matches!(kind, FormalKind::Keyword(_)) || *kind == FormalKind::Rest {
        let keyword = match kind {
            FormalKind::Keyword(keyword) => keyword,
            _ => "__REST__",
        };
        if before.iter().any(|formal| formal.kind == *kind) {
            diagnostics.error(
                at,
                format!("repeated keyword parameter '{keyword}' in compound element"),
            );
        }
    }
    let misplaced = match before.last().map(|formal| &formal.kind) {
        Some(FormalKind::Rest) => true,
        Some(FormalKind::Keyword(_)) => *kind == FormalKind::Positional,
        _ => false,
    };
    if misplaced && !core::mem::replace(disordered, true) {
        diagnostics.error(
            at,
            "compound element parameters out of order\n(The correct order is '[positional], [keywords], [__REST__]'.)",
        );
    }
}
