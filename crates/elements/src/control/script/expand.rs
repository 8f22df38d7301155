//! Substitution: `$variable`, `${variable-default}` and `$(handler arguments)` in a text.

use alloc::string::String;

use sprat_click::arguments::quote;

/// What a text's references stand for.
pub(super) trait Scope {
    /// The value of a variable; without one, the reference stays as it is.
    fn variable(&mut self, name: &str) -> Option<String>;

    /// The value of a handler, given with its arguments as one text.
    fn call(&mut self, call: &str) -> Option<String>;
}

/// What becomes of quotation marks that a value holds, outside quotation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    /// They quote.
    AsTheyStand,
    /// They survive a later unquoting.
    Protected,
}

/// Deeper nesting than this is left as it stands.
const DEPTH: usize = 32;

/// The text with all references replaced. Nothing is replaced inside single quotes; inside
/// double quotes values keep their bytes.
pub(super) fn expand(text: &str, values: Values, scope: &mut dyn Scope) -> String {
    expand_nested(text, values, scope, 0)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotation {
    None,
    Single,
    Double,
}

fn expand_nested(text: &str, values: Values, scope: &mut dyn Scope, depth: usize) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut quotation = Quotation::None;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let mut length = letter.len_utf8();
        match (letter, quotation) {
            ('\'', Quotation::None) => quotation = Quotation::Single,
            ('\'', Quotation::Single) => quotation = Quotation::None,
            ('"', Quotation::None) => quotation = Quotation::Double,
            ('"', Quotation::Double) => quotation = Quotation::None,
            ('\\', Quotation::Double) => {
                length += rest[1..].chars().next().map_or(0, char::len_utf8);
            }
            ('\\', Quotation::None) if rest[1..].starts_with('<') => {
                length = rest.find('>').map_or(rest.len(), |end| end + 1);
            }
            ('$', Quotation::None | Quotation::Double) if depth < DEPTH => {
                let (reference, meaning) = reference(rest, scope, depth);
                match meaning {
                    Meaning::Nothing => length = reference,
                    Meaning::Value(value) => {
                        append(&mut expanded, &value, values, quotation);
                        rest = &rest[reference..];
                        continue;
                    }
                    Meaning::Body(body) => {
                        expanded.push_str(&rest[..2]);
                        expanded.push_str(&body);
                        expanded.push_str(&rest[reference - 1..reference]);
                        rest = &rest[reference..];
                        continue;
                    }
                }
            }
            _ => {}
        }
        expanded.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    expanded
}

fn append(expanded: &mut String, value: &str, values: Values, quotation: Quotation) {
    match (quotation, values) {
        (Quotation::Double, _) => {
            for letter in value.chars() {
                if matches!(letter, '"' | '\\' | '$') {
                    expanded.push('\\');
                }
                expanded.push(letter);
            }
        }
        (_, Values::Protected) => expanded.push_str(&quote(value)),
        (_, Values::AsTheyStand) => expanded.push_str(value),
    }
}

/// What a reference means.
enum Meaning {
    /// It stays as it is.
    Nothing,
    Value(String),
    /// It stays, with what its parentheses or braces hold replaced.
    Body(String),
}

/// The reference that `text` begins with: its length, and what it means.
fn reference(text: &str, scope: &mut dyn Scope, depth: usize) -> (usize, Meaning) {
    let name = &text[1..];
    let known = |value: Option<String>| value.map_or(Meaning::Nothing, Meaning::Value);
    let length = match name.bytes().next() {
        Some(b'(') => {
            let Some(end) = closing(name, b'(', b')') else {
                return (1, Meaning::Nothing);
            };
            let call = expand_nested(&name[1..end], Values::AsTheyStand, scope, depth + 1);
            let meaning = match scope.call(call.trim()) {
                Some(value) => Meaning::Value(value),
                None => Meaning::Body(call),
            };
            return (end + 2, meaning);
        }
        Some(b'{') => {
            let Some(end) = closing(name, b'{', b'}') else {
                return (1, Meaning::Nothing);
            };
            let inner = &name[1..end];
            let (variable, default) = match inner.split_once('-') {
                Some((variable, default)) => (variable, Some(default)),
                None => (inner, None),
            };
            let variable = expand_nested(variable, Values::AsTheyStand, scope, depth + 1);
            let value = scope.variable(&variable).or_else(|| {
                default.map(|default| expand_nested(default, Values::AsTheyStand, scope, depth + 1))
            });
            return (
                end + 2,
                value.map_or(Meaning::Body(variable), Meaning::Value),
            );
        }
        Some(b'$' | b'?' | b'#') => 1,
        _ => {
            let letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            name.bytes().take_while(letter).count()
        }
    };
    match length {
        0 => (1, Meaning::Nothing),
        length => (length + 1, known(scope.variable(&name[..length]))),
    }
}

/// Where the bracket that `text` begins with is closed; quotation hides brackets.
fn closing(text: &str, open: u8, close: u8) -> Option<usize> {
    let mut depth = 0;
    let mut quotation = None;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        if core::mem::take(&mut escaped) {
            continue;
        }
        match (byte, quotation) {
            (b'\\', mark) if mark != Some(b'\'') => escaped = true,
            (b'"' | b'\'', None) => quotation = Some(byte),
            (_, Some(mark)) if mark == byte => quotation = None,
            (_, None) if byte == open => depth += 1,
            (_, None) if byte == close => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use sprat_click::arguments::unquote;

    struct Fixed;

    impl Scope for Fixed {
        fn variable(&mut self, name: &str) -> Option<String> {
            match name {
                "x" => Some("1".into()),
                "q" => Some("\"0\"".into()),
                "two" => Some("a b".into()),
                "n" => Some("x".into()),
                "$" => Some("77".into()),
                _ => None,
            }
        }

        fn call(&mut self, call: &str) -> Option<String> {
            Some(match call {
                "c.count" => "0".into(),
                no if no.starts_with("no ") => return None,
                other => alloc::format!("[{other}]"),
            })
        }
    }

    #[test]
    fn references_are_replaced_wherever_nothing_hides_them() {
        for (text, expected) in [
            ("a $x b", "a 1 b"),
            ("${x}y $xy", "1y $xy"),
            ("${none-d}${x-d}", "d1"),
            ("'$x' \"$x\" \"'$x'\"", "'$x' \"1\" \"'1'\""),
            ("$(c.count)$$", "077"),
            ("$(f $(c.count) ')' $x)", "[f 0 ')' 1]"),
            ("$(no $x '$x')", "$(no 1 '$x')"),
            ("${$n} ${y$x}", "1 ${y1}"),
            ("$none $ $(open", "$none $ $(open"),
            ("\"\\$x\" \\<2478>", "\"\\$x\" \\<2478>"),
            ("\"$q\"", "\"\\\"0\\\"\""),
            ("$q", "\"0\""),
        ] {
            let expanded = expand(text, Values::AsTheyStand, &mut Fixed);
            assert_eq!(expanded, expected, "{text}");
        }
    }

    // The example of Click's manual page Script(n): `set x "$(c.count)"`, `print $x => "0"`.
    #[test]
    fn protected_values_keep_their_quotation_marks_when_the_text_is_unquoted() {
        let print = |text| unquote(&expand(text, Values::Protected, &mut Fixed));
        assert_eq!(print("$q"), "\"0\"");
        assert_eq!(print("\"K 1\""), "K 1");
        assert_eq!(print("\"$q $two\"$two"), "\"0\" a ba b".to_string());
    }
}
