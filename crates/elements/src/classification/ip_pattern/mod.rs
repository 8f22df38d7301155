//! IP patterns: the language of `IPFilter` and `IPClassifier`.

mod value;

use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, IpProtocol, Names, parse_unsigned};

use super::expression::{Base, Expression, Field};
use super::pattern_error::{PatternError, PatternErrorKind};
use super::primitive::{Direction, Relation, Subject, TCP, UDP};
use super::tokens::{Token, tokens};
use value::with_protocol;

/// Parentheses, negations and choices may be nested this deep.
const DEPTH: u32 = 200;

/// Reads an IP pattern.
///
/// `names` supplies the addresses, prefixes and ports that `AddressInfo` and `PortInfo` declare.
///
/// # Errors
/// The first thing wrong with the pattern.
pub fn parse_ip_pattern(pattern: &str, names: &dyn Names) -> Result<Expression, PatternError> {
    let tokens = tokens(pattern);
    match tokens[..] {
        [] => {
            return Err(PatternError {
                offset: 0,
                kind: PatternErrorKind::Empty,
            });
        }
        [only] if matches!(only.text, "-" | "any" | "all") => {
            return Ok(Expression::Constant(true));
        }
        [only] if only.text == "none" => return Ok(Expression::Constant(false)),
        _ => {}
    }
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        end: pattern.len(),
        names,
        previous: Context::default(),
        depth: 0,
    };
    let expression = parser.expression()?;
    if parser.at < tokens.len() {
        return Err(parser.unexpected());
    }
    Ok(expression)
}

/// What later primitives inherit when they leave words out.
#[derive(Clone, Copy, Debug, Default)]
struct Context {
    subject: Option<Subject>,
    direction: Option<Direction>,
    protocol: Option<u8>,
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    end: usize,
    names: &'a dyn Names,
    previous: Context,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn error(&self, kind: PatternErrorKind) -> PatternError {
        let offset = self
            .tokens
            .get(self.at)
            .map_or(self.end, |token| token.offset);
        PatternError { offset, kind }
    }

    fn unexpected(&self) -> PatternError {
        let text = self.tokens.get(self.at).map_or("", |token| token.text);
        self.error(PatternErrorKind::Syntax(text.to_owned()))
    }

    /// The token ahead, if it is one of these.
    fn ahead(&self, distance: usize, texts: &[&str]) -> bool {
        self.tokens
            .get(self.at + distance)
            .is_some_and(|token| texts.contains(&token.text))
    }

    fn take(&mut self, texts: &[&str]) -> bool {
        let found = self.ahead(0, texts);
        self.at += usize::from(found);
        found
    }

    /// The word ahead, if it is not a connective.
    fn word(&self) -> Option<&'a str> {
        self.tokens
            .get(self.at)
            .filter(|token| !token.sign && !matches!(token.text, "and" | "or" | "not"))
            .map(|token| token.text)
    }

    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, PatternError>,
    ) -> Result<T, PatternError> {
        if self.depth == DEPTH {
            return Err(self.error(PatternErrorKind::Nesting));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// `any ? expression : expression`
    fn expression(&mut self) -> Result<Expression, PatternError> {
        let condition = self.any()?;
        if !self.take(&["?"]) {
            return Ok(condition);
        }
        let yes = self.deeper(Self::expression)?;
        if !self.take(&[":"]) {
            return Err(self.error(PatternErrorKind::MissingColon));
        }
        let no = self.deeper(Self::expression)?;
        Ok(Expression::choose(condition, yes, no))
    }

    /// `all or all ...`
    fn any(&mut self) -> Result<Expression, PatternError> {
        let mut parts = vec![self.all()?];
        while self.take(&["or", "||"]) {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    /// `factor and factor ...`, where "and" may be left out.
    fn all(&mut self) -> Result<Expression, PatternError> {
        let mut parts = vec![self.factor()?];
        loop {
            if !self.take(&["and", "&&"])
                && self.word().is_none()
                && !self.ahead(0, &["not", "!", "("])
            {
                return Ok(one_or(parts, Expression::All));
            }
            parts.push(self.factor()?);
        }
    }

    fn factor(&mut self) -> Result<Expression, PatternError> {
        if self.take(&["not", "!"]) {
            return Ok(self.deeper(Self::factor)?.negate());
        }
        if self.take(&["("]) {
            let inner = self.deeper(Self::expression)?;
            if !self.take(&[")"]) {
                return Err(if self.at == self.tokens.len() {
                    self.error(PatternErrorKind::MissingParenthesis)
                } else {
                    self.unexpected()
                });
            }
            return Ok(inner);
        }
        if self.take(&["true", "any", "all"]) {
            return Ok(Expression::Constant(true));
        }
        if self.take(&["false", "none"]) {
            return Ok(Expression::Constant(false));
        }
        self.primitive()
    }

    fn primitive(&mut self) -> Result<Expression, PatternError> {
        let start = self.at;
        let mut given = Context::default();
        while let Some(word) = self.word() {
            let complete = given.subject.is_some_and(Subject::stands_alone);
            if complete || !self.qualifier(word, &mut given)? {
                break;
            }
        }
        let qualified = self.at > start;
        let mask = if self.take(&["&"]) {
            Some(self.mask()?)
        } else {
            None
        };
        let relation = self
            .tokens
            .get(self.at)
            .filter(|token| token.sign)
            .and_then(|token| Relation::of(token.text));
        self.at += usize::from(relation.is_some());
        if let Some(subject) = given.subject.filter(|subject| subject.stands_alone()) {
            if mask.is_some() || relation.is_some() || given.direction.is_some() {
                return Err(self.error(PatternErrorKind::Meaningless {
                    part: "a relation or direction",
                    subject: subject.keyword(),
                }));
            }
            self.previous = given;
            return Ok(with_protocol(given.protocol, subject.alone()));
        }
        let expected = relation.is_some() || given.subject.is_some_and(takes_any_word);
        let value = self
            .word()
            .filter(|word| expected || !self.starts_primitive(word));
        let Some(word) = value else {
            return self.without_value(given, qualified, mask, relation);
        };
        let given = self.complete(given, qualified, word)?;
        let expression = self.with_value(given, mask, relation, word)?;
        self.previous = given;
        Ok(expression)
    }

    /// Takes a word that says what a primitive is about, if it is one.
    fn qualifier(&mut self, word: &'a str, given: &mut Context) -> Result<bool, PatternError> {
        let conflict =
            |parser: &Self| Err(parser.error(PatternErrorKind::Conflict(word.to_owned())));
        if matches!(word, "src" | "dst") {
            if given.direction.is_some() {
                return conflict(self);
            }
            let other = if word == "src" { "dst" } else { "src" };
            given.direction = Some(if self.ahead(2, &[other]) && self.ahead(1, &["or", "||"]) {
                self.at += 2;
                Direction::Either
            } else if self.ahead(2, &[other]) && self.ahead(1, &["and", "&&"]) {
                self.at += 2;
                Direction::Both
            } else if word == "src" {
                Direction::Source
            } else {
                Direction::Destination
            });
            self.at += 1;
            return Ok(true);
        }
        // What follows these is a value, whatever it looks like.
        if given.subject.is_some_and(takes_any_word) {
            return Ok(false);
        }
        if let Some((name, position)) = word.split_once('[') {
            if given.subject.is_some() {
                return conflict(self);
            }
            let (protocol, base) = match name {
                "ip" => (None, Base::Network),
                "transp" => (None, Base::Transport),
                _ => match self.protocol(name) {
                    Some(number) => (Some(number), Base::Transport),
                    None => return Err(self.unexpected()),
                },
            };
            let Some(field) = parse_position(base, position) else {
                return Err(self.unexpected());
            };
            given.subject = Some(Subject::Bytes(field));
            given.protocol = protocol.or(given.protocol);
            self.at += 1;
            return Ok(true);
        }
        if let Some(subject) = Subject::of(word) {
            if given.subject.is_some() {
                return conflict(self);
            }
            given.subject = Some(subject);
            self.at += 1;
            return Ok(true);
        }
        if word == "ether" && self.ahead(1, &["host"]) {
            if given.subject.is_some() {
                return conflict(self);
            }
            given.subject = Some(Subject::EtherHost);
            self.at += 2;
            return Ok(true);
        }
        // "ip" only introduces a keyword.
        if word == "ip" {
            self.at += 1;
            return Ok(true);
        }
        if given.subject.is_none()
            && let Some(number) = self.protocol(word)
        {
            if given.protocol.is_some() {
                // `tcp udp` is two primitives.
                return Ok(false);
            }
            given.protocol = Some(number);
            self.at += 1;
            return Ok(true);
        }
        if let Some(number @ (TCP | UDP)) = self.protocol(word)
            && given.subject == Some(Subject::Port)
            && given.protocol.is_none()
        {
            given.protocol = Some(number);
            self.at += 1;
            return Ok(true);
        }
        Ok(false)
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        let declared = self.names.protocol(name);
        declared.or_else(|| IpProtocol::well_known(name).map(|known| known.0))
    }

    /// Whether a word begins a primitive of its own, rather than being a value.
    fn starts_primitive(&self, word: &str) -> bool {
        Subject::of(word).is_some()
            || matches!(
                word,
                "src" | "dst" | "ip" | "ether" | "true" | "false" | "any" | "all" | "none"
            )
            || word.contains('[')
            || self.protocol(word).is_some()
    }

    fn mask(&mut self) -> Result<u32, PatternError> {
        let word = self.word().unwrap_or_default();
        let mask = number(word).or_else(|| Ipv4Addr::parse(word, self.names).ok().map(u32::from));
        let Some(mask) = mask else {
            return Err(self.unexpected());
        };
        self.at += 1;
        Ok(mask)
    }
}

/// Whether the word after this subject is a value, whatever it looks like.
fn takes_any_word(subject: Subject) -> bool {
    matches!(
        subject,
        Subject::Protocol | Subject::TcpOption | Subject::IcmpType
    )
}

fn number(word: &str) -> Option<u32> {
    u32::try_from(parse_unsigned(word)?.ok()?).ok()
}

/// `POS]` or `POS:LEN]`.
fn parse_position(base: Base, text: &str) -> Option<Field> {
    let text = text.strip_suffix(']')?;
    let (offset, width) = text.split_once(':').unwrap_or((text, "1"));
    let offset = u16::try_from(number(offset.trim())?).ok()?;
    let width = u8::try_from(number(width.trim())?).ok()?;
    let field = Field {
        base,
        offset,
        width,
    };
    ((1..=4).contains(&width) && offset <= 0xff00).then_some(field)
}

/// A list of one is its only part.
fn one_or(
    mut parts: Vec<Expression>,
    list: impl FnOnce(Vec<Expression>) -> Expression,
) -> Expression {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            list(parts)
        }
        None => list(parts),
    }
}
