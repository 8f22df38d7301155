//! Patterns of keys: `*`, `?`, `[a-c]`, `[^x]`, and `\` before what stands for itself.

/// Whether a text is of a pattern.
pub(crate) fn matches<'a>(mut pattern: &'a [u8], mut text: &'a [u8]) -> bool {
    // Where to go on when what follows the last star does not match: one byte later.
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', rest @ ..] = pattern {
            star = Some((rest, text));
            pattern = rest;
            continue;
        }
        if let Some((after, rest)) = one(pattern, text) {
            (pattern, text) = (after, rest);
            continue;
        }
        if pattern.is_empty() && text.is_empty() {
            return true;
        }
        match star {
            Some((after, [_, rest @ ..])) => {
                star = Some((after, rest));
                (pattern, text) = (after, rest);
            }
            _ => return false,
        }
    }
}

/// What is left of both when the pattern's first part matches the text's first byte.
fn one<'a>(pattern: &'a [u8], text: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (&byte, rest) = text.split_first()?;
    let (matched, after) = match pattern {
        [] => return None,
        [b'?', after @ ..] => (true, after),
        [b'[', class @ ..] => class_matches(class, byte),
        [b'\\', literal, after @ ..] | [literal, after @ ..] => (*literal == byte, after),
    };
    matched.then_some((after, rest))
}

/// Whether a byte is of a class, and what follows the class.
fn class_matches(mut class: &[u8], byte: u8) -> (bool, &[u8]) {
    let mut negated = false;
    if let [b'^', rest @ ..] = class {
        (negated, class) = (true, rest);
    }
    let mut found = false;
    loop {
        match class {
            [] => return (found != negated, class),
            [b']', rest @ ..] => return (found != negated, rest),
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                class = rest;
            }
            [from, b'-', to, rest @ ..] if *to != b']' => {
                let (low, high) = (from.min(to), from.max(to));
                found |= (low..=high).contains(&&byte);
                class = rest;
            }
            [literal, rest @ ..] => {
                found |= *literal == byte;
                class = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_redis_says() {
        // The examples of the manual page of KEYS, and what lies at their edges.
        for (pattern, yes, no) in [
            ("h?llo", "hello", "hllo"),
            ("h*llo", "hllo", "hell"),
            ("h*llo", "heeeello", "heeeellox"),
            ("h[ae]llo", "hallo", "hillo"),
            ("h[^e]llo", "hallo", "hello"),
            ("h[a-b]llo", "hbllo", "hcllo"),
            ("h\\?llo", "h?llo", "hello"),
            ("a*b*c", "aXbXbXc", "aXbX"),
            ("", "", "a"),
            ("*[0-9]", "key7", "key"),
        ] {
            assert!(
                matches(pattern.as_bytes(), yes.as_bytes()),
                "{pattern} {yes}"
            );
            assert!(
                !matches(pattern.as_bytes(), no.as_bytes()),
                "{pattern} {no}"
            );
        }
        assert!(matches(b"*", b"") && matches(b"*", b"anything"));
        assert!(!matches(b"[", b"") && !matches(b"[", b"["));
    }

    #[test]
    fn many_stars_take_no_longer_than_they_must() {
        let text = vec![b'a'; 10_000];
        let pattern = [b"*a".repeat(50), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &text));
    }
}
