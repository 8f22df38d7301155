//! Properties of all texts.

use super::*;
use proptest::prelude::*;

/// Pieces that make sense often enough beside each other.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b",
        "Queue",
        "Idle",
        "input",
        "output",
        " :: ",
        " -> ",
        " => ",
        "->",
        "[0]",
        "[1]",
        "[0,1-2]",
        "[]",
        "{",
        "}",
        "(",
        ")",
        "|",
        "||",
        "...",
        ";",
        ",",
        "$a",
        "${a-b}",
        "elementclass ",
        "A",
        "define($a 1)",
        "require(x)",
        "(1, $a)",
        "(\"x",
        "'",
        "//",
        "/*",
        "*/",
        "\n",
        "# 5 \"f\"\n",
        "__REST__ ",
        "COUNT ",
        "\\<41>",
        "\u{e9}",
        "/",
        "1",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..40)
        .prop_map(|pieces| pieces.concat())
}

/// Statements that are right by themselves.
fn program() -> impl Strategy<Value = String> {
    let pick = |forms: &[&'static str]| proptest::sample::select(forms.to_vec());
    let simple = [
        "a",
        "b",
        "c",
        "Queue",
        "Paint(1)",
        "Print(\"x, \\\"y)\", $v)",
        "Message('$v' /* c */ \\<29 2c>)",
    ];
    let end = || (pick(&simple), pick(&["", " [1]", " [0]", " [2]"]));
    let between = pick(&[
        "P(1)",
        "{ -> Null -> }",
        "( -> )",
        "{ $q | -> Print($q ${v-w}) -> } (z)",
        "a [1] -> [1] b",
    ]);
    let link = (end(), between, end())
        .prop_map(|((x, p), y, (z, q))| alloc::format!("{x}{p} -> {y} -> {q} {z};\n"));
    let other = pick(&[
        "a -> [3] b [2] -> c;",
        "a, b => c;",
        "elementclass P { $x | -> Print($x) -> Print(\"$x\") -> }",
        "require(package r);",
    ]);
    let statement = prop_oneof![4 => link, 1 => other.prop_map(String::from)];
    proptest::collection::vec(statement, 0..12).prop_map(|statements| {
        let classes = "elementclass P { $y | -> Counter -> { -> Print($y) -> } -> }";
        alloc::format!(
            "define($v 5); a, b, c :: X(1); {classes} {}",
            statements.concat()
        )
    })
}

/// A configuration without the places it came from, connections in order.
fn content(flat: &Flat) -> impl PartialEq + core::fmt::Debug + use<> {
    let elements: Vec<String> = flat.elements.iter().map(ToString::to_string).collect();
    let mut connections: Vec<_> = flat.connections.iter().map(|c| (c.from, c.to)).collect();
    connections.sort_unstable();
    (elements, connections, flat.requirements.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_the_parser_panic(text in soup()) {
        let _ = read_with(&text, &[]);
    }

    #[test]
    fn no_characters_make_the_parser_panic(text in "\\PC{0,60}") {
        let _ = read_with(&text, &[]);
    }

    #[test]
    fn what_is_written_reads_back_the_same(text in program()) {
        let first = flat(&text);
        let again = flat(&first.to_string());
        prop_assert_eq!(content(&again), content(&first), "{}", first);
    }
}
