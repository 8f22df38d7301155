//! IP patterns: the language of `IPFilter` and `IPClassifier`.

mod value;

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use sprat_click::arguments::{IpProtocol, Names, parse_unsigned};

use super::expression::{Base, Expression, Field};
use super::pattern_error::PatternError;
use super::primitive::{Direction, Relation, Subject, TCP, TCP_OR_UDP, UDP};
use super::tokens::{Token, tokens};
use value::with_protocol;

/// Parentheses, negations and choices may be nested this deep.
const DEPTH: u32 = 200;

/// Reads an IP pattern. An empty one matches everything.
///
/// `names` supplies the addresses, prefixes and ports that `AddressInfo` and `PortInfo` declare.
///
/// # Errors
/// What is wrong with the pattern.
pub fn parse_ip_pattern(pattern: &str, names: &dyn Names) -> Result<Expression, PatternError> {
    read_ip_pattern(pattern, names, &mut Vec::new())
}

/// Reads an IP pattern, and notes what may not be meant.
pub(super) fn read_ip_pattern(
    pattern: &str,
    names: &dyn Names,
    warnings: &mut Vec<String>,
) -> Result<Expression, PatternError> {
    let tokens = tokens(pattern);
    match tokens[..] {
        [] => return Ok(Expression::Constant(true)),
        [only] if matches!(only.text, "-" | "any" | "all") => {
            return Ok(Expression::Constant(true));
        }
        [only] if only.text == "none" => return Ok(Expression::Constant(false)),
        _ => {}
    }
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        names,
        previous: Context::default(),
        depth: 0,
        first: true,
        warnings,
        errors: Vec::new(),
    };
    let mut read = parser.expression();
    if let (Ok(_), Some(token)) = (&read, tokens.get(parser.at)) {
        read = Err(PatternError::Garbage(token.text.to_owned()));
    }
    let mut errors = parser.errors;
    if errors.is_empty() {
        return read;
    }
    errors.extend(read.err());
    Err(PatternError::Several(errors))
}

/// What later primitives inherit when they leave words out.
#[derive(Clone, Copy, Debug, Default)]
struct Context {
    subject: Option<Subject>,
    direction: Option<Direction>,
    protocol: Option<u8>,
    /// Whether it is about the link header.
    ether: bool,
    /// Whether it is about bytes that cannot be.
    broken: bool,
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    at: usize,
    names: &'a dyn Names,
    previous: Context,
    depth: u32,
    /// Whether a term must come: the first, or one behind `and`.
    first: bool,
    warnings: &'a mut Vec<String>,
    /// What is wrong with the primitives that were gone on behind.
    errors: Vec<PatternError>,
}

impl<'a> Parser<'a> {
    /// The token ahead is not what a term begins with.
    fn unexpected(&self) -> PatternError {
        match self.tokens.get(self.at) {
            Some(token) if !self.at_end_of_terms() => PatternError::EmptyTerm {
                word: token.text.to_owned(),
                first: self.first,
            },
            _ => PatternError::Missing("expression"),
        }
    }

    /// Whether no term can follow.
    fn at_end_of_terms(&self) -> bool {
        self.at == self.tokens.len() || self.ahead(0, &[")", "or", "||", "?", ":"])
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
            return Err(PatternError::Nesting);
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
            return Err(PatternError::Missing("':' in ternary expression"));
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
        self.first = true;
        let mut parts = vec![self.factor()?];
        loop {
            self.first = self.take(&["and", "&&"]);
            if !self.first && self.at_end_of_terms() {
                return Ok(one_or(parts, Expression::All));
            }
            parts.push(self.factor()?);
        }
    }

    fn factor(&mut self) -> Result<Expression, PatternError> {
        let sign = self.tokens.get(self.at).map_or("", |token| token.text);
        if self.take(&["not", "!", "("]) {
            if self.at_end_of_terms() {
                return Err(PatternError::MissingAfter(sign.to_owned()));
            }
            if sign != "(" {
                return Ok(self.deeper(Self::factor)?.negate());
            }
            let inner = self.deeper(Self::expression)?;
            return match self.take(&[")"]) {
                true => Ok(inner),
                false => Err(PatternError::Missing("')'")),
            };
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
        let mut negated = false;
        loop {
            let said = given.direction.is_some() || given.subject.is_some();
            if given.subject.is_some_and(Subject::stands_alone) {
                break;
            }
            if said && self.take(&["not", "!"]) {
                negated = !negated;
                continue;
            }
            match self.word() {
                Some(word) if self.qualifier(word, &mut given)? => {}
                _ => break,
            }
        }
        let qualified = self.at > start;
        match self.comparison(given, qualified) {
            Ok(expression) if negated => Ok(expression.negate()),
            Err(error) if error.is_of_a_whole_primitive() => {
                self.errors.push(error);
                if qualified {
                    self.previous = Context::default();
                }
                Ok(Expression::Constant(false))
            }
            read => read,
        }
    }

    /// What stands behind the words that say what a primitive is about.
    fn comparison(
        &mut self,
        mut given: Context,
        qualified: bool,
    ) -> Result<Expression, PatternError> {
        let mut mask = None;
        if self.take(&["&"]) {
            mask = Some(self.mask()?).filter(|mask| *mask != 0);
            if mask.is_none() {
                self.errors.push(PatternError::ZeroMask);
            }
        }
        // At the very end it is none.
        let relation = self
            .tokens
            .get(self.at)
            .filter(|token| token.sign && self.at + 1 < self.tokens.len())
            .and_then(|token| Relation::of(token.text));
        self.at += usize::from(relation.is_some());
        if given.ether && matches!(given.subject, None | Some(Subject::Host)) {
            given.subject = Some(Subject::EtherHost);
        }
        let behind = self.word().filter(|word| number(word).is_some());
        // `ect` may take a value.
        if given.subject == Some(Subject::EcnCapable)
            && (mask.is_some() || relation.is_some() || behind.is_some())
        {
            given.subject = Some(Subject::Congestion);
        }
        if let Some(subject) = given.subject.filter(|subject| subject.stands_alone()) {
            if mask.is_some() || relation.is_some() || behind.is_some() {
                self.at += usize::from(behind.is_some());
                return Err(unsupported(given, subject, "value"));
            }
            only_ip(given, subject)?;
            self.note_direction(given, subject);
            self.previous = given;
            return Ok(with_protocol(given.protocol, subject.alone()));
        }
        let expected = relation.is_some() || given.subject.is_some_and(takes_any_word);
        let value = self
            .word()
            .filter(|word| expected || !self.starts_primitive(word));
        let unequal = relation.filter(|relation| *relation != Relation::Equal);
        let Some(word) = value else {
            if unequal.is_some()
                && let Some(token) = self.tokens.get(self.at)
            {
                self.errors
                    .push(PatternError::Dangling(token.text.to_owned()));
            }
            return self.without_value(given, qualified || relation.is_some(), mask);
        };
        let at = self.at;
        let read = self.complete(given, qualified, word).and_then(|given| {
            let expression = self.with_value(given, mask, relation, word)?;
            self.previous = given;
            Ok(expression)
        });
        read.map_err(|error| {
            if error.is_of_a_whole_primitive() {
                self.at = self.at.max(at + 1);
                return error;
            }
            if unequal.is_some() {
                self.errors.push(PatternError::Dangling(word.to_owned()));
            }
            match error {
                PatternError::EmptyTerm { word, .. } if relation.is_some() => {
                    PatternError::Partial(Some(word))
                }
                error => error,
            }
        })
    }

    /// Takes a word that says what a primitive is about, if it is one.
    fn qualifier(&mut self, word: &'a str, given: &mut Context) -> Result<bool, PatternError> {
        if matches!(word, "src" | "dst" | "dest") {
            self.once(given.direction.is_none(), "'src' or 'dst'");
            let other: &[&str] = match word {
                "src" => &["dst", "dest"],
                _ => &["src"],
            };
            given.direction = Some(if self.ahead(2, other) && self.ahead(1, &["or", "||"]) {
                self.at += 2;
                Direction::Either
            } else if self.ahead(2, other) && self.ahead(1, &["and", "&&"]) {
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
            self.once(given.subject.is_none(), "type");
            let (protocol, base) = match name {
                // Set apart by a space.
                "" if given.protocol.is_some() => (None, Base::Transport),
                "" | "ip" => (None, Base::Network),
                "transp" => (None, Base::Transport),
                _ => match self.protocol(name) {
                    Some(number) => (Some(number), Base::Transport),
                    None => return Err(self.unexpected()),
                },
            };
            match parse_position(base, position) {
                Ok(position) => given.subject = Some(Subject::Bytes(position)),
                Err(error) => {
                    self.errors.push(error);
                    given.broken = true;
                }
            }
            given.protocol = protocol.or(given.protocol);
            self.at += 1;
            return Ok(true);
        }
        if let Some(subject) = Subject::of(word) {
            self.once(given.subject.is_none(), "type");
            given.subject = Some(subject);
            self.at += 1;
            return Ok(true);
        }
        if word == "ether" {
            given.ether = true;
            self.at += 1;
            return Ok(true);
        }
        // "ip" only introduces a keyword.
        if word == "ip" {
            self.at += 1;
            return Ok(true);
        }
        let is_port = |number| self.port_named(number, word).is_some();
        let port = given.subject == Some(Subject::Port) && (is_port(TCP) || is_port(UDP));
        if let Some(number) = self.protocol(word).filter(|_| !port) {
            let same = given.protocol.is_none_or(|protocol| protocol == number);
            self.once(same, "transport protocol");
            given.protocol = Some(number);
            self.at += 1;
            return Ok(true);
        }
        Ok(false)
    }

    /// Says so where something is said again.
    fn once(&mut self, new: bool, what: &'static str) {
        if !new {
            self.errors.push(PatternError::Twice(what));
        }
    }

    /// Says so where a direction means nothing.
    fn note_direction(&mut self, given: Context, subject: Subject) {
        if given.direction.is_some() && !subject.has_direction() {
            let subject = described(given, subject);
            self.warnings
                .push(format!("'{subject}': 'src' or 'dst' ignored"));
        }
    }

    fn protocol(&self, name: &str) -> Option<u8> {
        let declared = self.names.protocol(name);
        let known = || IpProtocol::well_known(name).map(|known| known.0);
        let either = (name == "tcpudp").then_some(TCP_OR_UDP);
        declared.or_else(known).or(either)
    }

    /// Whether a word begins a primitive of its own, rather than being a value.
    fn starts_primitive(&self, word: &str) -> bool {
        Subject::of(word).is_some()
            || matches!(
                word,
                "src" | "dst" | "dest" | "ip" | "ether" | "true" | "false" | "any" | "all" | "none"
            )
            || word.contains('[')
            || self.protocol(word).is_some()
    }

    fn mask(&mut self) -> Result<u32, PatternError> {
        let word = self.word().unwrap_or_default();
        let mask = number(word).or_else(|| self.address(word).map(u32::from));
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

/// `POS]`, `POS:LEN]` or `POS,LAST]`.
fn parse_position(base: Base, text: &str) -> Result<Field, PatternError> {
    let text = text.strip_suffix(']').ok_or(PatternError::Missing("']'"))?;
    let number = |text: &str| number(text.trim()).ok_or(PatternError::Position);
    let (first, width) = match (text.split_once(':'), text.split_once(',')) {
        (Some((first, width)), _) => (number(first)?, number(width)?),
        (None, Some((first, last))) => {
            let first = number(first)?;
            (first, (number(last)? + 1).saturating_sub(first))
        }
        (None, None) => (number(text)?, 1),
    };
    let offset = u16::try_from(first).ok().filter(|first| *first <= 0xff00);
    let width = u8::try_from(width)
        .ok()
        .filter(|width| (1..=4).contains(width));
    Ok(Field {
        base,
        offset: offset.ok_or(PatternError::Position)?,
        width: width.ok_or(PatternError::Length)?,
    })
}

/// A primitive as Click names it in messages.
fn described(given: Context, subject: Subject) -> String {
    let direction = match given.direction {
        None => "",
        Some(Direction::Source) => "src ",
        Some(Direction::Destination) => "dst ",
        Some(Direction::Either) => "src or dst ",
        Some(Direction::Both) => "src and dst ",
    };
    format!("{direction}{}", subject.keyword())
}

#[inline(never)]
fn wrong(given: Context, subject: Subject, what: &str) -> PatternError {
    PatternError::Primitive(described(given, subject), what.into(), None)
}

fn unsupported(given: Context, subject: Subject, what: &str) -> PatternError {
    wrong(given, subject, &format!("{what} not supported"))
}

/// Of the link header there are addresses only.
fn only_ip(given: Context, subject: Subject) -> Result<(), PatternError> {
    match subject {
        Subject::EtherHost => Ok(()),
        _ if given.ether => Err(wrong(given, subject, "ip only")),
        _ => Ok(()),
    }
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
