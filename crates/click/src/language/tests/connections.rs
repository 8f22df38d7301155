//! Connections: ports, lists of them, groups.

use super::*;

#[test]
fn many_outputs_may_lead_to_one_input_and_one_to_many() {
    assert_eq!(
        connections("a, b, x :: X; a, b [1] -> x"),
        ["a[0]->[0]x", "b[1]->[0]x"]
    );
    assert_eq!(
        connections("a, b, x :: X; x -> a, [1] b"),
        ["x[0]->[0]a", "x[0]->[1]b"]
    );
    assert_eq!(
        connections("n1 :: X; n3 :: X; n1, n2 :: X -> n3"),
        ["n1[0]->[0]n3", "n2[0]->[0]n3"]
    );
}

#[test]
fn port_lists_have_numbers_and_ranges_and_may_be_open() {
    assert_eq!(
        connections("a, b :: X; a [0,2-3] -> b"),
        ["a[0]->[0]b", "a[2]->[0]b", "a[3]->[0]b"]
    );
    assert_eq!(
        connections("a, b :: X; a [] -> b; a -> [] b"),
        ["a[0]->[0]b"]
    );
    assert_eq!(
        connections("a, b, c :: X; a [1,] => b, c, b"),
        ["a[1]->[0]b", "a[2]->[0]c", "a[3]->[0]b"]
    );
    assert_eq!(
        connections("a, b, c, d :: X; a [], b [3] => [0,1] c, [5,6] d"),
        ["a[0]->[0]c", "a[1]->[1]c", "a[2]->[5]d", "b[3]->[6]d"]
    );
    for (text, expected) in [
        (
            "a [] => [] b",
            "t.click:1: at most one expandable port allowed per connection",
        ),
        (
            "a [0,1,2,] => [3,4] b",
            "t.click:1: connection mismatch: 3 or more outputs connected to 2 inputs",
        ),
        (
            "a [0,1] => [0,] a, a, b",
            "t.click:1: connection mismatch: 2 outputs connected to 3 or more inputs",
        ),
    ] {
        let declared = alloc::format!("a, b :: X; {text}");
        assert_eq!(errors(&declared)[0], expected, "{text}");
    }
}

#[test]
fn many_to_many_connections_pair_ports() {
    assert_eq!(
        connections("c, d, A, B :: X; c [0,1] => A, B -> d"),
        ["c[0]->[0]A", "c[1]->[0]B", "A[0]->[0]d", "B[0]->[0]d"]
    );
    assert_eq!(
        connections("c, d, A, B :: X; c => A, B -> d"),
        ["c[0]->[0]A", "c[1]->[0]B", "A[0]->[0]d", "B[0]->[0]d"]
    );
    assert_eq!(
        connections("a, b, c :: X; a, b => c"),
        ["a[0]->[0]c", "b[0]->[1]c"]
    );
    assert_eq!(
        errors("a, b, x, y :: X; a, b -> x, y"),
        ["t.click:1: syntax error: many-to-many connections require '=>'"]
    );
    assert_eq!(
        errors("a, b :: X; a [0,1] => [0,1,2] b"),
        ["t.click:1: connection mismatch: 2 outputs connected to 3 inputs"]
    );
}

#[test]
fn a_repeated_connection_counts_once() {
    assert_eq!(
        connections("a, b :: X; a -> b; a -> b; a -> b [1] -> [1] a"),
        ["a[0]->[0]b", "b[1]->[1]a"]
    );
}

/// click(5): the five lines are equivalent.
#[test]
fn groups_lead_connections_through() {
    for line in [
        "x -> y;",
        "x -> ( input -> output ) -> y;",
        "x -> ( [0] -> [0] ) -> y;",
        "x -> (->) -> y;",
        "x -> ( [0]->[0]; [1]->[1] ) => ( [0]->[0]; [1]->[1] ) -> y;",
    ] {
        assert_eq!(
            connections(&alloc::format!("x, y :: X; {line}")),
            ["x[0]->[0]y"],
            "{line}"
        );
    }
}

#[test]
fn groups_have_all_their_ports_unless_told_otherwise() {
    let expected = ["x[0]->[0]y", "x[1]->[0]y"];
    for line in [
        "x => ( [0]->[0]; [1]->[1] ) -> y;",
        "x => [0,1] ( [0]->[0]; [1]->[1] ) [0,1] -> y;",
        "x -> y; x [1] -> y;",
    ] {
        assert_eq!(
            connections(&alloc::format!("x, y :: X; {line}")),
            expected,
            "{line}"
        );
    }
    let detour = "x, y :: X; x -> c :: Classifier(00/01, -) => ( input [0] -> output; input [1] -> Paint(1) -> output ) -> y;";
    assert_eq!(
        connections(detour),
        [
            "x[0]->[0]c",
            "c[0]->[0]y",
            "c[1]->[0]Paint@7",
            "Paint@7[0]->[0]y"
        ]
    );
}

#[test]
fn groups_with_gaps_are_errors_and_share_the_scope() {
    for (text, expected) in [
        (
            "x => [0] ( [0]->[0]; [1]->Discard ) -> y;",
            &["t.click:1: '@3' input 1 unused"][..],
        ),
        (
            "x => ( [0]->[0]; [2]->Discard ) -> y;",
            &["t.click:1: '<anonymous group>' input 1 missing"],
        ),
        (
            "x => [0,1] ( -> ) -> y;",
            &["t.click:1: '@3' has no input 1"],
        ),
        (
            "( -> [1]; input -> ) -> y;",
            &[
                "t.click:1: input ports ignored at start of chain",
                "t.click:1: '@3' input 0 unused",
            ],
        ),
    ] {
        let declared = alloc::format!("x, y :: X; {text}");
        assert_eq!(errors(&declared)[..expected.len()], *expected, "{text}");
    }
    assert_eq!(
        connections("x :: X; x -> ( -> c :: Counter -> ) -> Discard; c [1] -> x"),
        ["x[0]->[0]c", "c[0]->[0]Discard@6", "c[1]->[0]x"]
    );
}
