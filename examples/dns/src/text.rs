//! Takes a master file apart into words (RFC 1035, section 5.1).

use alloc::vec::Vec;

/// A word, and whether it stood in quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    pub(crate) quoted: bool,
}

/// An entry of the file: a line, or several that brackets join.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Where it begins, counted from one.
    pub(crate) line: usize,
    /// Whether it begins with a blank: it belongs to the name before.
    pub(crate) indented: bool,
    pub(crate) words: Vec<Word<'a>>,
}

/// What is wrong, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) line: usize,
    pub(crate) words: &'static str,
}

/// All entries that say something.
pub(crate) fn entries(text: &str) -> Result<Vec<Entry<'_>>, Mistake> {
    let mut entries = Vec::new();
    let mut current: Option<Entry<'_>> = None;
    let mut depth = 0;
    for (line, text) in (1..).zip(text.lines()) {
        let entry = current.get_or_insert_with(|| Entry {
            line,
            indented: text.starts_with([' ', '\t']),
            words: Vec::new(),
        });
        read_line(text, line, entry, &mut depth)?;
        if depth == 0 {
            entries.extend(current.take().filter(|entry| !entry.words.is_empty()));
        }
    }
    match current {
        None => Ok(entries),
        Some(entry) => Err(Mistake {
            line: entry.line,
            words: "a bracket is not closed",
        }),
    }
}

fn read_line<'a>(
    text: &'a str,
    line: usize,
    entry: &mut Entry<'a>,
    depth: &mut u32,
) -> Result<(), Mistake> {
    let wrong = |words| Err(Mistake { line, words });
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else {
            return Ok(());
        };
        match first {
            ';' => return Ok(()),
            '(' => *depth += 1,
            ')' if *depth == 0 => return wrong("a bracket is closed that was not opened"),
            ')' => *depth -= 1,
            '"' => {
                rest = behind(rest, first);
                let Some((text, _)) = cut(rest, |byte| byte == b'"') else {
                    return wrong("a quotation mark is missing");
                };
                entry.words.push(Word { text, quoted: true });
                rest = rest.get(text.len() + 1..).unwrap_or("");
                continue;
            }
            _ => {
                let ends = |byte| matches!(byte, b' ' | b'\t' | b'\r' | b';' | b'(' | b')' | b'"');
                let text;
                (text, rest) = cut(rest, ends).unwrap_or((rest, ""));
                entry.words.push(Word {
                    text,
                    quoted: false,
                });
                continue;
            }
        }
        rest = behind(rest, first);
    }
}

/// What stands behind a text's first letter.
fn behind(text: &str, first: char) -> &str {
    text.get(first.len_utf8()..).unwrap_or("")
}

/// The text before the first byte that ends a word and has no backslash before it, and the rest.
fn cut(text: &str, ends: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    let mut escaped = false;
    let end = text.bytes().position(|byte| {
        let end = !escaped && ends(byte);
        escaped = !escaped && byte == b'\\';
        end
    })?;
    text.split_at_checked(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<Vec<Vec<&str>>, Mistake> {
        let texts = |entry: Entry<'_>| {
            entry
                .words
                .iter()
                .map(|word| word.text.to_owned())
                .collect()
        };
        let all: Vec<Vec<String>> = entries(text)?.into_iter().map(texts).collect();
        let leak = |word: String| -> &'static str { word.leak() };
        Ok(all
            .into_iter()
            .map(|words| words.into_iter().map(leak).collect())
            .collect())
    }

    #[test]
    fn brackets_join_lines_and_comments_end_them() {
        let text = "a IN ( b ; (c\n d )\n\n; nothing\n e";
        assert_eq!(words(text), Ok(vec![vec!["a", "IN", "b", "d"], vec!["e"]]));
        let read = entries(text).expect("sound");
        assert_eq!(
            read.iter()
                .map(|entry| (entry.line, entry.indented))
                .collect::<Vec<_>>(),
            [(1, false), (5, true)]
        );
    }

    #[test]
    fn quotes_hold_blanks_and_escapes() {
        assert_eq!(
            words("x \"a b;\" \"c\\\"d\"\"\""),
            Ok(vec![vec!["x", "a b;", "c\\\"d", ""]])
        );
    }

    #[test]
    fn what_is_left_open_is_named_with_its_line() {
        for (text, line, words) in [
            ("a\nb (\nc", 2, "a bracket is not closed"),
            ("a )", 1, "a bracket is closed that was not opened"),
            ("a\n\n \"b", 3, "a quotation mark is missing"),
            ("a \"b\\\"", 1, "a quotation mark is missing"),
        ] {
            assert_eq!(entries(text), Err(Mistake { line, words }), "{text}");
        }
    }
}
