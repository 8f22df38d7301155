//! The words and signs of IP patterns.

use alloc::vec::Vec;

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// The token as written.
    pub(super) text: &'a str,
    /// Whether it is a sign, not a word.
    pub(super) sign: bool,
}

/// Signs, those that begin with another one before it.
const SIGNS: [&str; 13] = [
    "&&", "||", "==", "!=", "<=", ">=", "(", ")", "!", "?", "&", "=", "<",
];

/// Cuts a pattern into tokens.
///
/// A word goes on until space or a sign; brackets belong to it with everything inside, so
/// `ip[2:2]` is one word. A colon is a sign only where it stands alone.
pub(super) fn tokens(pattern: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut offset = 0;
    while let Some(next) = pattern[offset..].chars().next() {
        let rest = &pattern[offset..];
        if next.is_whitespace() {
            offset += next.len_utf8();
            continue;
        }
        let sign = sign(rest);
        let length = sign.map_or_else(|| word_length(rest), str::len);
        let text = &rest[..length];
        found.push(Token {
            text,
            sign: sign.is_some() || text == ":",
        });
        offset += length;
    }
    found
}

/// The sign that a text begins with.
fn sign(text: &str) -> Option<&'static str> {
    SIGNS
        .into_iter()
        .chain([">", "|"])
        .find(|sign| text.starts_with(sign))
}

fn word_length(text: &str) -> usize {
    let mut inside = false;
    for (at, character) in text.char_indices() {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            _ if at > 0
                && !inside
                && (character.is_whitespace() || sign(&text[at..]).is_some()) =>
            {
                return at;
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cut(pattern: &str, expected: &[&str]) {
        let found: Vec<_> = tokens(pattern).iter().map(|token| token.text).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn signs_need_no_space_around_them() {
        cut("transp[1]&128!=0", &["transp[1]", "&", "128", "!=", "0"]);
        cut(
            "!(src port>=80||ack)",
            &["!", "(", "src", "port", ">=", "80", "||", "ack", ")"],
        );
        cut("tcp&&udp", &["tcp", "&&", "udp"]);
    }

    #[test]
    fn words_keep_slashes_dashes_and_bracketed_ranges() {
        cut(
            "10.0.0.0/24 ftp-data ip[2 : 2] -",
            &["10.0.0.0/24", "ftp-data", "ip[2 : 2]", "-"],
        );
        cut("tcp ? syn : ack", &["tcp", "?", "syn", ":", "ack"]);
    }
}
