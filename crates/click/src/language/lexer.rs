//! Cutting a configuration text into tokens.
//!
//! A configuration string is not a token: only the parser knows whether a `(` begins one or begins
//! a group, so it asks for the text up to the matching `)` where it expects one.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::source::Source;
use crate::arguments::{Piece, piece_at};
use crate::diagnostics::Landmark;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, digits, `_`, `@` and `/`.
    Word,
    /// `$` and a name, which may be missing.
    Variable,
    /// `elementclass`
    ElementClass,
    /// `require`
    Require,
    /// `provide`, a keyword without a meaning
    Provide,
    /// `define`
    Define,
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
    place: Position,
    /// Tokens that were given back, the next one last.
    given_back: Vec<Token>,
    /// Lines that begin with `#` and are no directive, which are to be reported.
    bad_directives: Vec<Landmark>,
}

/// How far a text has been read.
#[derive(Clone)]
struct Position {
    at: usize,
    line: u32,
    column: u32,
    /// What messages name; `#line` changes it.
    file: Rc<str>,
    /// Where the last token or configuration string began, with its line and column.
    last: (usize, u32, u32),
}

impl Lexer {
    pub(super) fn new(source: Source) -> Self {
        let place = Position {
            at: 0,
            line: 1,
            column: 1,
            file: source.name.clone(),
            last: (0, 1, 1),
        };
        Self {
            source,
            place,
            given_back: Vec::new(),
            bad_directives: Vec::new(),
        }
    }

    /// Takes the next token.
    pub(super) fn next(&mut self) -> Token {
        self.given_back.pop().unwrap_or_else(|| self.lex())
    }

    /// Gives a token back, which is the next one again.
    pub(super) fn give_back(&mut self, token: Token) {
        self.given_back.push(token);
    }

    /// Takes the next token if it is of this kind. Otherwise it is as if it had not been looked at.
    pub(super) fn accept(&mut self, kind: Kind) -> bool {
        if let Some(token) = self.given_back.last() {
            let found = token.kind == kind;
            if found {
                self.given_back.pop();
            }
            return found;
        }
        let before = self.place.clone();
        let directives = self.bad_directives.len();
        let found = self.lex().kind == kind;
        if !found {
            self.place = before;
            self.bad_directives.truncate(directives);
        }
        found
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

    /// Where the last token stands that has been looked at, given back or not.
    pub(super) fn here(&self) -> Landmark {
        let (start, line, column) = self.place.last;
        Landmark::placed(
            self.place.file.clone(),
            line,
            column,
            &self.source.text,
            start,
        )
    }

    /// The lines that begin with `#` and are no directive, read since this was last asked.
    pub(super) fn take_bad_directives(&mut self) -> Vec<Landmark> {
        core::mem::take(&mut self.bad_directives)
    }

    /// The text from the `(` just taken up to its `)`, or to the end of the file. Lines that begin
    /// with `#` are left out.
    pub(super) fn configuration(&mut self) -> String {
        debug_assert!(
            self.given_back.is_empty(),
            "the text after a parenthesis is no token"
        );
        let text = self.source.text.clone();
        let bytes = text.as_bytes();
        let mut out = String::new();
        let mut kept = self.place.at;
        let mut depth = 0_usize;
        while self.place.at < bytes.len() {
            let at = self.place.at;
            match bytes[at] {
                b')' if depth == 0 => break,
                b')' => depth -= 1,
                b'(' => depth += 1,
                b'#' if self.at_line_start() => {
                    out.push_str(&text[kept..at]);
                    self.line_directive();
                    kept = self.place.at;
                    continue;
                }
                _ => {}
            }
            self.advance(piece_at(bytes, at).1);
        }
        let Position {
            at, line, column, ..
        } = self.place;
        self.place.last = (at, line, column);
        out.push_str(&text[kept..at]);
        out
    }

    /// Moves to `end`, counting lines and columns.
    fn advance(&mut self, end: usize) {
        let bytes = self.source.text.as_bytes();
        let place = &mut self.place;
        for at in place.at..end {
            let byte = bytes[at];
            if byte == b'\n' || (byte == b'\r' && bytes.get(at + 1) != Some(&b'\n')) {
                place.line = place.line.saturating_add(1);
                place.column = 1;
            } else if !is_continuation(byte) {
                place.column = place.column.saturating_add(1);
            }
        }
        place.at = end;
    }

    /// True at the start of a line.
    fn at_line_start(&self) -> bool {
        let before = self.source.text[..self.place.at].bytes().next_back();
        before.is_none_or(|byte| matches!(byte, b'\n' | b'\r'))
    }

    /// Passes a line that begins with `#`, up to its end. `# 10 "file"` and `#line 10 "file"` name
    /// the place of the line after.
    fn line_directive(&mut self) {
        let text = self.source.text.clone();
        let start = self.place.at;
        let rest = &text[start + 1..];
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let line = rest[..length].trim_matches([' ', '\t']);
        let line = match line.strip_prefix("line") {
            Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start_matches([' ', '\t']),
            _ => line,
        };
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            let Position { line, column, .. } = self.place;
            let file = self.place.file.clone();
            let at = Landmark::placed(file, line, column, &self.source.text, start);
            self.bad_directives.push(at);
        }
        self.advance(start + 1 + length);
        if digits == 0 {
            return;
        }
        // The end of this line is still to come.
        self.place.line = line[..digits].parse().unwrap_or(0_u32).saturating_sub(1);
        let name = line[digits..].trim();
        if let Some(name) = name.strip_prefix('"') {
            self.place.file = match name.split('"').next() {
                // The file that it truly is.
                None | Some("") => self.source.name.clone(),
                Some(name) => name.into(),
            };
        }
    }

    fn skip_space(&mut self) {
        let text = self.source.text.clone();
        let bytes = text.as_bytes();
        while let Some(&byte) = bytes.get(self.place.at) {
            let at = self.place.at;
            if byte.is_ascii_whitespace() || byte == 0x0b {
                self.advance(at + 1);
            } else if byte == b'/' && piece_at(bytes, at).0 == Piece::Comment {
                self.advance(piece_at(bytes, at).1);
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
        let rest = &text[self.place.at..];
        let (kind, length) = match rest.chars().next() {
            None => (Kind::End, 0),
            Some(first) if is_word(first) => {
                let length = word_length(rest);
                match &rest[..length] {
                    "elementclass" => (Kind::ElementClass, length),
                    "require" => (Kind::Require, length),
                    "provide" => (Kind::Provide, length),
                    "define" => (Kind::Define, length),
                    _ => (Kind::Word, length),
                }
            }
            Some('$') => {
                let name = rest[1..]
                    .bytes()
                    .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_');
                (Kind::Variable, 1 + name.count())
            }
            Some(_) if rest.starts_with("->") => (Kind::Arrow, 2),
            Some(_) if rest.starts_with("=>") => (Kind::DoubleArrow, 2),
            Some(_) if rest.starts_with("::") => (Kind::Colons, 2),
            Some(_) if rest.starts_with("||") => (Kind::Bars, 2),
            Some(_) if rest.starts_with("...") => (Kind::Dots, 3),
            Some(other) => (Kind::Sign(other), other.len_utf8()),
        };
        let Position {
            at: start,
            line,
            column,
            ..
        } = self.place;
        self.place.last = (start, line, column);
        self.advance(start + length);
        Token {
            kind,
            start,
            end: self.place.at,
            line,
            column,
            file: self.place.file.clone(),
        }
    }
}

/// True for the second and later bytes of a character in UTF-8.
fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '@'
}

/// The length of the word at the start of `text`. A slash belongs to it where the word goes on
/// behind it.
fn word_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let of_word = |at: usize| bytes.get(at).is_some_and(|&byte| is_word(char::from(byte)));
    let mut length = 0;
    while of_word(length) || (bytes.get(length) == Some(&b'/') && of_word(length + 1)) {
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
            words("an/identifier/with/slashes//too/many\nx/*y*/z a/b c/ d"),
            ["an/identifier/with/slashes", "x", "z", "a/b", "c", "/", "d"]
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
            places("a\n# 10 \"other\"\nb\n#line 20\nc\n# 30 \"\"\r\nd # e"),
            [
                "t.click:1 a",
                "other:10 b",
                "other:20 c",
                "t.click:30 d",
                "t.click:30 #",
                "t.click:30 e"
            ]
        );
    }

    #[test]
    fn lines_that_begin_with_a_number_sign_and_name_no_place_are_passed_and_reported() {
        let mut lexer = Lexer::new(Source::new("t.click", "#!/usr/bin/click\na (\n#b )\n) c"));
        let mut reported = Vec::new();
        let name = lexer.next();
        assert_eq!(lexer.landmark(&name).to_string(), "t.click:2");
        lexer.next();
        assert_eq!(lexer.configuration(), "\n\n");
        reported.extend(lexer.take_bad_directives());
        let reported: Vec<String> = reported.iter().map(ToString::to_string).collect();
        assert_eq!(reported, ["t.click:1", "t.click:3"]);
    }

    #[test]
    fn configurations_end_at_the_unbalanced_parenthesis() {
        for (text, expected) in [
            ("simple string)", "simple string"),
            (" with (balanced parens) )", " with (balanced parens) "),
            ("with \")quoted\" paren)", "with \")quoted\" paren"),
            (
                "// end-of-line comment)\n   still going!)",
                "// end-of-line comment)\n   still going!",
            ),
            ("a, // don't )\n \"b\")", "a, // don't )\n \"b\""),
            (
                "/* comment) */ and backslash \\)",
                "/* comment) */ and backslash \\",
            ),
            ("'a)' \\<29 )> x) y", "'a)' \\<29 )> x"),
            ("\n# 100 \"foobar.click\"\n\"test\")", "\n\n\"test\""),
            ("STYLE #c { activity })", "STYLE #c { activity }"),
            ("a (b) \")\"", "a (b) \")\""),
        ] {
            let mut lexer = Lexer::new(Source::new("t.click", text));
            assert_eq!(lexer.configuration(), expected, "{text}");
        }
    }

    #[test]
    fn a_directive_within_a_configuration_moves_what_follows_it() {
        let mut lexer = Lexer::new(Source::new(
            "A.click",
            "(\n# 100 \"foobar.click\"\n\"test\");\nm2",
        ));
        lexer.next();
        lexer.configuration();
        assert!(lexer.accept(Kind::Sign(')')));
        assert!(!lexer.accept(Kind::Word));
        let semicolon = lexer.next();
        assert_eq!(lexer.landmark(&semicolon).to_string(), "foobar.click:100");
        let name = lexer.next();
        assert_eq!(lexer.landmark(&name).to_string(), "foobar.click:101");
    }
}
