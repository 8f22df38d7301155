//! Cutting a configuration string at its commas and spaces, and taking quotation marks off and on.
//!
//! Four things hide the characters within them: `"…"`, where a backslash escapes the next
//! character; `'…'`, raw; `\<…>`, bytes in hexadecimal; and comments, `//` to the end of the line
//! and `/* … */`. One that is never closed ends with the text.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// What a byte of a configuration string belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// One ordinary byte, or a character in the middle of one.
    Plain,
    /// Quotation, marks included.
    Quoted,
    /// A comment, marks included.
    Comment,
}

/// Cuts `text` into pieces: the kind of the piece at `start` and the byte after it.
pub(crate) fn piece_at(text: &[u8], start: usize) -> (Piece, usize) {
    let next = text.get(start + 1);
    match text[start] {
        b'"' => (Piece::Quoted, end_of_double_quotes(text, start + 1)),
        b'\'' => (
            Piece::Quoted,
            find_byte(text, start + 1, b'\'').map_or(text.len(), |end| end + 1),
        ),
        b'\\' if next == Some(&b'<') => (Piece::Quoted, end_of_hex(text, start + 2)),
        b'/' if next == Some(&b'/') => (
            Piece::Comment,
            find_byte(text, start, b'\n').unwrap_or(text.len()),
        ),
        b'/' if next == Some(&b'*') => (Piece::Comment, end_of_block_comment(text, start + 2)),
        _ => (Piece::Plain, start + 1),
    }
}

fn find_byte(text: &[u8], start: usize, byte: u8) -> Option<usize> {
    text[start..]
        .iter()
        .position(|&b| b == byte)
        .map(|offset| start + offset)
}

fn end_of_block_comment(text: &[u8], start: usize) -> usize {
    text[start..]
        .windows(2)
        .position(|pair| pair == b"*/")
        .map_or(text.len(), |offset| start + offset + 2)
}

/// The byte after the `>` that closes a `\<` whose content begins at `start`.
fn end_of_hex(text: &[u8], mut start: usize) -> usize {
    while start < text.len() {
        match text[start] {
            b'>' => return start + 1,
            b'/' if text.get(start + 1) == Some(&b'/') => {
                start = find_byte(text, start, b'\n').unwrap_or(text.len())
            }
            b'/' if text.get(start + 1) == Some(&b'*') => {
                start = end_of_block_comment(text, start + 2)
            }
            _ => start += 1,
        }
    }
    text.len()
}

fn end_of_double_quotes(text: &[u8], mut start: usize) -> usize {
    while start < text.len() {
        match text[start] {
            b'"' => return start + 1,
            b'\\' if text.get(start + 1) == Some(&b'<') => start = end_of_hex(text, start + 2),
            b'\\' => start = (start + 2).min(text.len()),
            _ => start += 1,
        }
    }
    text.len()
}

/// Replaces each comment by a space and removes the space around the whole.
#[must_use]
pub fn strip_comments(text: &str) -> Cow<'_, str> {
    if !text.contains("//") && !text.contains("/*") {
        return Cow::Borrowed(text.trim_matches(is_space));
    }
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut kept = 0;
    while at < bytes.len() {
        let (piece, end) = piece_at(bytes, at);
        if piece == Piece::Comment {
            out.push_str(&text[kept..at]);
            out.push(' ');
            kept = end;
        }
        at = end;
    }
    out.push_str(&text[kept..]);
    Cow::Owned(String::from(out.trim_matches(is_space)))
}

pub(crate) fn is_space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\u{b}'
}

/// Cuts at commas that nothing hides. Each argument comes without comments and surrounding space.
/// An empty argument at the end is dropped, so that `(a, b,)` has two and `()` none.
#[must_use]
pub fn split_arguments(config: &str) -> Vec<String> {
    let bytes = config.as_bytes();
    let mut arguments = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b',' {
            arguments.push(strip_comments(&config[start..at]).into_owned());
            at += 1;
            start = at;
        } else {
            at = piece_at(bytes, at).1;
        }
    }
    let last = strip_comments(&config[start..]);
    if !last.is_empty() {
        arguments.push(last.into_owned());
    }
    arguments
}

/// Cuts at white space that nothing hides. Words keep their quotation marks; comments are space.
#[must_use]
pub fn split_words(argument: &str) -> Vec<String> {
    let bytes = argument.as_bytes();
    let mut words = Vec::new();
    let mut word: Option<usize> = None;
    let mut at = 0;
    while at < bytes.len() {
        let (piece, end) = piece_at(bytes, at);
        let space =
            piece == Piece::Comment || (piece == Piece::Plain && is_space(char::from(bytes[at])));
        match (space, word) {
            (true, Some(start)) => {
                words.push(String::from(&argument[start..at]));
                word = None;
            }
            (false, None) => word = Some(at),
            _ => {}
        }
        at = end;
    }
    if let Some(start) = word {
        words.push(String::from(&argument[start..]));
    }
    words
}

/// Takes quotation off: joins what stands side by side and resolves escapes. Bytes that are not
/// UTF-8 become U+FFFD; use [`unquote_bytes`] for data.
#[must_use]
pub fn unquote(text: &str) -> String {
    match String::from_utf8(unquote_bytes(text)) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

/// Takes quotation off, giving the bytes that the text stands for.
#[must_use]
pub fn unquote_bytes(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\'' => {
                let end = find_byte(bytes, at + 1, b'\'').unwrap_or(bytes.len());
                out.extend_from_slice(&bytes[at + 1..end]);
                at = end + 1;
            }
            b'"' => at = unquote_double(bytes, at + 1, &mut out),
            b'\\' if bytes.get(at + 1) == Some(&b'<') => at = unquote_hex(bytes, at + 2, &mut out),
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fn unquote_double(bytes: &[u8], mut at: usize, out: &mut Vec<u8>) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' if at + 1 < bytes.len() => at = unescape(bytes, at + 1, out),
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    at
}

/// Resolves the escape whose character after the backslash is at `at`, as C does.
fn unescape(bytes: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let simple = match bytes[at] {
        b'a' => 7,
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        b'\n' => return at + 1,
        b'\r' => {
            return if bytes.get(at + 1) == Some(&b'\n') {
                at + 2
            } else {
                at + 1
            };
        }
        b'<' => return unquote_hex(bytes, at + 1, out),
        b'0'..=b'7' => return unescape_digits(bytes, at, 8, 3, out),
        b'x' if bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit) => {
            return unescape_digits(bytes, at + 1, 16, usize::MAX, out);
        }
        other => other,
    };
    out.push(simple);
    at + 1
}

/// A byte given by its digits; of too large a number the low eight bits count.
fn unescape_digits(
    bytes: &[u8],
    start: usize,
    radix: u32,
    most: usize,
    out: &mut Vec<u8>,
) -> usize {
    let mut value = 0_u8;
    let mut at = start;
    while at - start < most
        && let Some(digit) = bytes.get(at).and_then(|&b| char::from(b).to_digit(radix))
    {
        // A digit is below 16 and the radix at most 16: the wrapped product keeps the low bits.
        value = value
            .wrapping_mul(radix.to_le_bytes()[0])
            .wrapping_add(digit.to_le_bytes()[0]);
        at += 1;
    }
    out.push(value);
    at
}

/// The bytes of `\<…>`. Pairs of digits may be set apart or not; a last single digit is dropped,
/// and whatever is not a digit is skipped.
fn unquote_hex(bytes: &[u8], start: usize, out: &mut Vec<u8>) -> usize {
    let end = end_of_hex(bytes, start);
    let mut high: Option<u32> = None;
    let mut at = start;
    while at < end {
        // Quotation means nothing here, and looking for its end at every mark would take long.
        if bytes[at] == b'/' && matches!(bytes.get(at + 1), Some(b'/' | b'*')) {
            at = piece_at(bytes, at).1;
            continue;
        }
        if let Some(digit) = char::from(bytes[at]).to_digit(16) {
            high = match high {
                None => Some(digit),
                Some(high) => {
                    out.push((high << 4 | digit).to_le_bytes()[0]);
                    None
                }
            };
        }
        at += 1;
    }
    end
}

/// Puts quotation on where it is needed, so that the result is one argument and one word whose
/// [`unquote`]d text is `text`.
#[must_use]
pub fn quote(text: &str) -> Cow<'_, str> {
    let special = |c: char| {
        c.is_control()
            || is_space(c)
            || matches!(c, '"' | '\'' | '\\' | ',' | '$' | '#' | '(' | ')' | ';')
    };
    if !text.is_empty() && !text.contains(special) && !text.contains("//") && !text.contains("/*") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => {
                // Writing to a String cannot fail. Three octal digits never swallow what follows.
                let _ = write!(out, "\\{:03o}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn commas_in_quotes_hexadecimal_and_comments_do_not_separate() {
        assert_eq!(
            split_arguments("a, \"b, c\", 'd, e', \\<2c, 2c>, f /* g, h */ i // j, k\n, l"),
            ["a", "\"b, c\"", "'d, e'", "\\<2c, 2c>", "f   i", "l"]
        );
    }

    #[test]
    fn only_the_last_empty_argument_is_dropped() {
        assert_eq!(split_arguments(""), Vec::<String>::new());
        assert_eq!(split_arguments(" // nothing"), Vec::<String>::new());
        assert_eq!(split_arguments("a,"), ["a"]);
        assert_eq!(split_arguments(",,a,,"), ["", "", "a", ""]);
    }

    #[test]
    fn words_are_joined_by_quotes() {
        assert_eq!(
            split_words(" a  \"b c\"d 'e f'\t\\<41 42>g/*h i*/j "),
            ["a", "\"b c\"d", "'e f'", "\\<41 42>g", "j"]
        );
    }

    #[test]
    fn unquoting_joins_and_resolves_escapes() {
        for (text, expected) in [
            (r#""a\<41 42>b""#, "aABb"),
            (r"a\<41 42>b", "aABb"),
            (r#""\x41\101\n""#, "AA\n"),
            ("\"a\\\nb\"", "ab"),
            (r"'a\n'", "a\\n"),
            (r#"a"b c"'d'"#, "ab cd"),
            (r"a\nb", "a\\nb"),
            (r#""\"\\\$""#, "\"\\$"),
            ("\"unclosed", "unclosed"),
            ("\\<41 // 42\n 43>", "AC"),
        ] {
            assert_eq!(unquote(text), expected, "{text}");
        }
        assert_eq!(unquote_bytes("\\<ff0>\"\\377\""), [0xff, 0xff]);
    }

    #[test]
    fn plain_words_stay_unquoted() {
        assert_eq!(quote("eth0:1.2.3.4/24"), "eth0:1.2.3.4/24");
        assert_eq!(quote(""), "\"\"");
        assert_eq!(quote("a, $b"), "\"a, \\$b\"");
    }

    proptest! {
        #[test]
        fn a_quoted_text_is_one_argument_and_one_word_and_comes_back(text in "\\PC*|[ -~\n\t\u{1}]*") {
            let quoted = quote(&text).into_owned();
            prop_assert_eq!(split_arguments(&quoted), vec![quoted.clone()]);
            prop_assert_eq!(split_words(&quoted), vec![quoted.clone()]);
            prop_assert_eq!(unquote(&quoted), text);
        }

        #[test]
        fn any_text_splits_without_loss_of_words(text in "[a-c \"'\\\\<>/*,\n#0-9\u{e9}]*") {
            for argument in split_arguments(&text) {
                let _ = split_words(&argument);
                let _ = unquote_bytes(&argument);
            }
        }
    }
}
