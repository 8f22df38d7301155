//! The forms a configuration can be written in.

use alloc::string::ToString;

use super::*;
use crate::diagnostics::Diagnostics;
use crate::language::{AnyClass, NoLibraries, Options, Source, parse};

fn flat(text: &str) -> Flat {
    let options = Options {
        classes: &AnyClass,
        requirements: &NoLibraries,
        definitions: &[],
    };
    parse(
        Source::new("t.click", text),
        &options,
        &mut Diagnostics::new(),
    )
    .expect("a right configuration")
}

#[test]
fn json_has_every_element_and_connection_and_is_escaped() {
    let flat = flat("require(package p) a :: Idle [1] -> Print(\"x\\n\", '\t')");
    assert_eq!(
        flat.json(&[Flow::Push]).to_string(),
        r#"{
  "elements": [
    {"name": "a", "class": "Idle", "config": "", "place": {"file": "t.click", "line": 1, "column": 20}},
    {"name": "Print@2", "class": "Print", "config": "\"x\\n\", '\t'", "place": {"file": "t.click", "line": 1, "column": 37}}
  ],
  "connections": [
    {"from": {"element": "a", "port": 1}, "to": {"element": "Print@2", "port": 0}, "flow": "push", "place": {"file": "t.click", "line": 1, "column": 34}}
  ],
  "requirements": [{"kind": "package", "name": "p"}]
}
"#
    );
}

#[test]
fn dot_names_ports_and_escapes_labels() {
    let text = flat("a :: Idle [1] -> q :: Queue(<|>)")
        .dot(&[Flow::Pull])
        .to_string();
    assert!(
        text.contains(r#"n0 [label="{a\nIdle|{<o0> 0|<o1> 1}}"];"#),
        "{text}"
    );
    assert!(
        text.contains(r#"n1 [label="{{<i0> 0}|q\nQueue(\<\|\>)}"];"#),
        "{text}"
    );
    assert!(
        text.contains("n0:o1:s -> n1:i0:n [style=dashed];"),
        "{text}"
    );
}

#[test]
fn svg_draws_every_element_and_connection() {
    let text = flat("a, b :: X(1 < 2 & 3); a -> b -> a; a -> a; Idle")
        .svg(&[])
        .to_string();
    assert_eq!(text.matches("<rect ").count(), 3);
    assert_eq!(text.matches("<path ").count(), 3);
    assert!(text.contains("X(1 &lt; 2 &amp; 3)"));
    assert!(text.trim_end().ends_with("</svg>"));
}

#[test]
fn ports_are_counted_by_the_highest_in_use() {
    assert_eq!(
        flat("a, b :: X; a [2] -> [1] b; a -> b").port_counts(),
        [(0, 3), (2, 0)]
    );
}

#[test]
fn classes_and_names_are_listed_in_order() {
    let flat = flat("b :: X; a :: Y; c :: X");
    assert_eq!(flat.classes(), ["X", "Y"]);
    assert_eq!(flat.names(), ["a", "b", "c"]);
}

// In the order of Click's handler `flatconfig`, whatever the order in which they were written.
#[test]
fn a_text_strings_connections_together_at_first_ports() {
    for (text, expected) in [
        ("Idle", "Idle@1 :: Idle;\n\n"),
        ("require(package p)", "require(package p);\n\n"),
        (
            "a, b, c :: X; c -> a; b -> c; a [1] -> [1] b; a -> b; a -> [2] b",
            "a :: X;\nb :: X;\nc :: X;\n\n\
             a -> [2] b;\na [1] -> [1] b;\na -> b\n    -> c\n    -> a;\n",
        ),
        (
            "a, b, c :: X; b -> c; a -> b; c -> [1] b; c -> [2] a",
            "a :: X;\nb :: X;\nc :: X;\n\na -> b\n    -> c\n    -> [1] b;\nc -> [2] a;\n",
        ),
        (
            "x, a, b :: X; x -> x -> b; a -> x",
            "x :: X;\na :: X;\nb :: X;\n\na -> x\n    -> x\n    -> b;\n",
        ),
    ] {
        assert_eq!(flat(text).to_string(), expected, "{text}");
    }
}
