//! Cutting a configuration text into tokens.
//!
//! A configuration string is not a token: only the parser knows whether a `(` begins one or begins
//! a group, so it asks for the text up to the matching `)` where it expects one.

use alloc::rc::Rc;
use alloc::string::String;

use super::source::Source;
use crate::arguments::{Piece, piece_at};
use crate::diagnostics::Landmark;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, digits, `_`, `@` and `/`; keywords too.
    Word,
    /// `$` and a name.
    Variable,
    /// `->`
    Arrow,
    /// `=>`
    DoubleArrow,
    /// `::`
    Colons,
    /// `||`
    Bars,
    /// `...`
    Dots,
    /// Any other character stands for itself.
    Sign(char),
    /// Nothing follows.
    End,
}

/// A token and where it stands. Every text and line of it can be found again.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    line: u32,
    column: u32,
    file: Rc<str>,
}

/// Reads tokens from one text.
pub(super) struct Lexer {
    source: Source,
    at: usize,
    line: u32,
    column: u32,
    /// What messages name; `#line` changes it.
    file: Rc<str>,
    peeked: Option<Token>,
}

/// A configuration string that no `)` ends.
pub(super) struct Unclosed;

impl Lexer {
    pub(super) fn new(source: Source) -> Self {
        let file = source.name.clone();
        Self {
            source,
            at: 0,
            line: 1,
            column: 1,
            file,
            peeked: None,
        }
    }

    /// The next token, which stays the next.
    pub(super) fn peek(&mut self) -> Token {
        match &self.peeked {
            Some(token) => token.clone(),
            None => {
                let token = self.lex();
                self.peeked = Some(token.clone());
                token
            }
        }
    }

    /// The kind of the next token, which stays the next.
    pub(super) fn peek_kind(&mut self) -> Kind {
        self.peek().kind
    }

    /// The kind of the token after the next.
    pub(super) fn second_kind(&mut self) -> Kind {
        self.peek();
        let place = (self.at, self.line, self.column, self.file.clone());
        let second = self.lex().kind;
        (self.at, self.line, self.column, self.file) = place;
        second
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Token {
        match self.peeked.take() {
            Some(token) => token,
            None => self.lex(),
        }
    }

    /// The text of a token.
    pub(super) fn text(&self, token: &Token) -> &str {
        &self.source.text[token.start..token.end]
    }

    /// Where a token stands.
    pub(super) fn landmark(&self, token: &Token) -> Landmark {
        Landmark::placed(
            token.file.clone(),
            token.line,
            token.column,
            &self.source.text,
            token.start,
        )
    }

    /// The text from the `(` just taken to its `)`, which is taken too. Comments become spaces,
    /// lines that move the place of messages are left out.
    pub(super) fn configuration(&mut self) -> Result<String, Unclosed> {
        debug_assert!(
            self.peeked.is_none(),
            "the text after a parenthesis is no token"
        );
        let text = self.source.text.clone();
        let bytes = text.as_bytes();
        let mut out = String::new();
        let mut kept = self.at;
        let mut depth = 0_usize;
        while self.at < bytes.len() {
            match bytes[self.at] {
                b')' if depth == 0 => {
                    out.push_str(&text[kept..self.at]);
                    self.advance(self.at + 1);
                    return Ok(String::from(out.trim()));
                }
                b')' => depth -= 1,
                b'(' => depth += 1,
                b'#' if self.at_line_start() && moves_place(&text[self.at..]) => {
                    out.push_str(&text[kept..self.at]);
                    self.line_directive();
                    kept = self.at;
                    continue;
                }
                _ => {}
            }
            let (piece, end) = piece_at(bytes, self.at);
            if piece == Piece::Comment {
                out.push_str(&text[kept..self.at]);
                out.push(' ');
                kept = end;
            }
            self.advance(end);
        }
        Err(Unclosed)
    }

    /// Moves to `end`, counting lines and columns.
    fn advance(&mut self, end: usize) {
        for byte in &self.source.text.as_bytes()[self.at..end] {
            if *byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
            } else if !is_continuation(*byte) {
                self.column = self.column.saturating_add(1);
            }
        }
        self.at = end;
    }

    /// True when only space stands before this place on its line.
    fn at_line_start(&self) -> bool {
        let before = self.source.text.as_bytes()[..self.at].iter().rev();
        before
            .take_while(|&&b| b != b'\n')
            .all(u8::is_ascii_whitespace)
    }

    /// Passes a line that begins with `#`. `# 10 "file"` and `#line 10 "file"` name the place of
    /// the line after; `#!` and anything else is passed over.
    fn line_directive(&mut self) {
        let text = self.source.text.clone();
        let rest = &text[self.at + 1..];
        let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        self.advance(self.at + 1 + length);
        let line = rest[..length].trim();
        let line = line.strip_prefix("line").unwrap_or(line).trim_start();
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let Ok(number) = line[..digits].parse() else {
            return;
        };
        self.line = number;
        let name = line[digits..].trim();
        if let Some(name) = name
            .strip_prefix('"')
            .and_then(|name| name.split('"').next())
            && !name.is_empty()
        {
            self.file = name.into();
        }
    }

    fn skip_space(&mut self) {
        let text = self.source.text.clone();
        let bytes = text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if byte.is_ascii_whitespace() || byte == 0x0b {
                self.advance(self.at + 1);
            } else if byte == b'/' && piece_at(bytes, self.at).0 == Piece::Comment {
                self.advance(piece_at(bytes, self.at).1);
            } else if byte == b'#' && self.at_line_start() {
                self.line_directive();
            } else {
                break;
            }
        }
    }

    fn lex(&mut self) -> Token {
        self.skip_space();
        let text = self.source.text.clone();
        let rest = &text[self.at..];
        let (kind, length) = match rest.chars().next() {
            None => (Kind::End, 0),
            Some(first) if is_word(first) => (Kind::Word, word_length(rest)),
            Some('$') => match rest[1..]
                .bytes()
                .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
                .count()
            {
                0 => (Kind::Sign('$'), 1),
                name => (Kind::Variable, name + 1),
            },
            Some(_) if rest.starts_with("->") => (Kind::Arrow, 2),
            Some(_) if rest.starts_with("=>") => (Kind::DoubleArrow, 2),
            Some(_) if rest.starts_with("::") => (Kind::Colons, 2),
            Some(_) if rest.starts_with("||") => (Kind::Bars, 2),
            Some(_) if rest.starts_with("...") => (Kind::Dots, 3),
            Some(other) => (Kind::Sign(other), other.len_utf8()),
        };
        let (start, line, column) = (self.at, self.line, self.column);
        self.advance(start + length);
        Token {
            kind,
            start,
            end: self.at,
            line,
            column,
            file: self.file.clone(),
        }
    }
}

/// True when a line that begins with `#` names the place of the next one.
fn moves_place(line: &str) -> bool {
    let rest = line[1..].trim_start_matches([' ', '\t']);
    let rest = rest
        .strip_prefix("line")
        .unwrap_or(rest)
        .trim_start_matches([' ', '\t']);
    rest.starts_with(|c: char| c.is_ascii_digit())
}

/// True for the second and later bytes of a character in UTF-8.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '@'
}

/// The length of the word at the start of `text`. A slash belongs to it unless it begins a comment.
fn word_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut length = 0;
    while let Some(&byte) = bytes.get(length) {
        let slash = byte == b'/' && !matches!(bytes.get(length + 1), Some(b'/' | b'*'));
        if !is_word(char::from(byte)) && !slash {
            break;
        }
        length += 1;
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn words(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(Source::new("t.click", text));
        let mut words = Vec::new();
        loop {
            let token = lexer.next();
            if token.kind == Kind::End {
                return words;
            }
            words.push(lexer.text(&token).to_string());
        }
    }

    fn places(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(Source::new("t.click", text));
        let mut places = Vec::new();
        loop {
            let token = lexer.next();
            if token.kind == Kind::End {
                return places;
            }
            places.push(alloc::format!(
                "{} {}",
                lexer.landmark(&token),
                lexer.text(&token)
            ));
        }
    }

    #[test]
    fn signs_of_several_characters_are_one_token() {
        assert_eq!(
            words("a->b=>c::D||...|[1-2]{;,}"),
            [
                "a", "->", "b", "=>", "c", "::", "D", "||", "...", "|", "[", "1", "-", "2", "]",
                "{", ";", ",", "}"
            ]
        );
    }

    #[test]
    fn comments_end_an_identifier() {
        assert_eq!(
            words("an/identifier/with/slashes//too/many\nx/*y*/z a/b"),
            ["an/identifier/with/slashes", "x", "z", "a/b"]
        );
    }

    #[test]
    fn variables_are_tokens() {
        assert_eq!(
            words("$a, COUNT $n_1 $ x"),
            ["$a", ",", "COUNT", "$n_1", "$", "x"]
        );
    }

    #[test]
    fn line_directives_move_the_place_of_what_follows() {
        assert_eq!(
            places("a\n# 10 \"other\"\nb\n#line 20\nc\n  # 30 \"\"\nd\n#!/usr/bin/click\ne"),
            [
                "t.click:1 a",
                "other:10 b",
                "other:20 c",
                "other:30 d",
                "other:32 e"
            ]
        );
    }

    #[test]
    fn configurations_end_at_the_unbalanced_parenthesis() {
        for (text, expected) in [
            ("simple string)", "simple string"),
            ("with (balanced parens))", "with (balanced parens)"),
            ("with \")quoted\" paren)", "with \")quoted\" paren"),
            ("// end-of-line comment)\n   still going!)", "still going!"),
            ("a, // don't )\n \"b\")", "a,  \n \"b\""),
            ("/* comment) */ and backslash \\)", "and backslash \\"),
            ("'a)' \\<29 )> x) y", "'a)' \\<29 )> x"),
            ("\n# 100 \"foobar.click\"\n\"test\")", "\"test\""),
            ("STYLE\n#c { activity })", "STYLE\n#c { activity }"),
        ] {
            let mut lexer = Lexer::new(Source::new("t.click", text));
            assert_eq!(
                lexer.configuration().ok().as_deref(),
                Some(expected),
                "{text}"
            );
        }
        assert!(
            Lexer::new(Source::new("t.click", "a (b) \")\""))
                .configuration()
                .is_err()
        );
    }

    #[test]
    fn a_directive_within_a_configuration_moves_what_follows_it() {
        let mut lexer = Lexer::new(Source::new(
            "A.click",
            "(\n# 100 \"foobar.click\"\n\"test\");\nm2",
        ));
        lexer.next();
        assert!(lexer.configuration().is_ok());
        let semicolon = lexer.next();
        assert_eq!(lexer.landmark(&semicolon).to_string(), "foobar.click:100");
        let name = lexer.next();
        assert_eq!(lexer.landmark(&name).to_string(), "foobar.click:101");
    }
}
