//! Compound elements: how they expand, their ports, parameters and overloads.

use super::*;

#[test]
fn compounds_expand_with_their_name_before_those_within() {
    assert_eq!(
        elements("compound :: { input -> x :: X -> output }; Idle -> compound -> Discard"),
        ["Idle@2 :: Idle", "Discard@3 :: Discard", "compound/x :: X"]
    );
    assert_eq!(
        connections(
            "a, b, c, d :: X; compound :: { input -> X -> output; input [1] -> Y -> [1] output; }; a -> compound -> b; c -> [1] compound [1] -> d;"
        ),
        [
            "a[0]->[0]compound/X@1",
            "c[0]->[0]compound/Y@2",
            "compound/X@1[0]->[0]b",
            "compound/Y@2[0]->[0]d"
        ]
    );
}

#[test]
fn anonymous_compounds_are_numbered_too() {
    let text = "b :: { Idle -> { -> n2 :: { -> Null -> } -> } -> Discard }";
    assert_eq!(
        elements(text),
        [
            "b/Idle@1 :: Idle",
            "b/Discard@3 :: Discard",
            "b/@2/n2/Null@1 :: Null"
        ]
    );
}

#[test]
fn input_and_output_are_understood_at_the_ends() {
    assert_eq!(
        connections("Idle -> { -> Null -> } -> Discard"),
        ["Idle@1[0]->[0]@2/Null@1", "@2/Null@1[0]->[0]Discard@3"]
    );
    assert_eq!(
        connections("a, b :: X; a [0,1] => { [0]->[0]; [1]->[1] } [0,1] => b"),
        ["a[0]->[0]b", "a[1]->[1]b"]
    );
}

#[test]
fn ports_of_compounds_must_be_dense() {
    assert_eq!(
        errors("elementclass C { [0] -> [0]; [2] -> [1] }"),
        ["t.click:1: 'C' input 1 missing"]
    );
    assert_eq!(
        errors("elementclass C { Idle -> input -> output }"),
        ["t.click:1: 'C' pseudoelement 'input' may only be used as output"]
    );
    assert_eq!(
        errors("elementclass C { input -> output -> Discard }"),
        ["t.click:1: 'C' pseudoelement 'output' may only be used as input"]
    );
}

#[test]
fn element_classes_are_lexical_and_not_recursive() {
    let text = "elementclass Queue { -> Queue -> Shaper(1000) -> } Idle -> q :: Queue -> Discard";
    assert_eq!(
        elements(text),
        [
            "Idle@1 :: Idle",
            "Discard@3 :: Discard",
            "q/Queue@1 :: Queue",
            "q/Shaper@2 :: Shaper(1000)"
        ]
    );
    let text = "elementclass A { -> X -> } elementclass X { -> Y -> } Idle -> A -> Discard";
    assert_eq!(elements(text)[2], "A@2/X@1 :: X");
    assert_eq!(
        errors("elementclass A { elementclass B { -> Null -> } Idle -> B -> Discard } A; B"),
        ["t.click:1: undeclared element 'B'"]
    );
}

#[test]
fn synonyms_stand_for_the_class_they_name() {
    assert_eq!(
        elements("elementclass M Queue; Idle -> M(5) -> Discard")[1],
        "M@2 :: Queue(5)"
    );
    assert_eq!(
        errors("elementclass M Foo"),
        ["t.click:1: unknown element class 'Foo'"]
    );
}

#[test]
fn parameters_replace_variables_in_configurations() {
    let text = "Idle -> { $a, COUNT $n, __REST__ $r | -> Print(\"$a$n\", $r) -> } (1, 2, COUNT 3, FOO 4) -> Discard";
    assert_eq!(elements(text)[2], "@2/Print@1 :: Print(\"13\", 2, FOO 4)");
    let text =
        "elementclass P { $x | -> Print(\"${x}~\") -> Print('$x') -> } Idle -> P(c) -> Discard";
    assert_eq!(
        elements(text)[2..],
        ["P@2/Print@1 :: Print(\"c~\")", "P@2/Print@2 :: Print('$x')"]
    );
    assert_eq!(
        errors("Idle -> { $c | input -> $c -> output } (Null) -> Discard")[0],
        "t.click:1: syntax error near 'c'"
    );
}

#[test]
fn overloads_are_chosen_by_ports_and_arguments() {
    let text = "elementclass Foo {
           $a, $b | input -> Print(1) -> output
        || $a, __REST__ $b | input -> Print(2) -> output
        || $a, TWO $b, __REST__ $c | input -> Print(3) -> output
        || input -> Print(4) -> output; input [1] -> Discard
        }
        i :: InfiniteSource -> Foo(A) -> f :: Foo(A, TWO B)
        elementclass Foo { $a, $b | input -> Print(5) -> output || ... }
        f -> Foo(A, B) -> Foo(A, B, C) -> g :: Foo; i [1] -> [1] g -> Discard";
    let configs: Vec<String> = flat(text)
        .elements
        .iter()
        .filter(|e| &*e.class == "Print")
        .map(|e| e.config.to_string())
        .collect();
    assert_eq!(configs, ["2", "1", "5", "2", "4"]);
}

#[test]
fn an_extension_of_a_primitive_class_falls_back_to_it() {
    let text = "elementclass Queue { $cap, $rate | -> Queue($cap) -> Shaper($rate) -> || ... } Idle -> Queue(1) -> Queue(2, 3) -> Discard";
    assert_eq!(
        elements(text)[1..],
        [
            "Queue@2 :: Queue(1)",
            "Discard@4 :: Discard",
            "Queue@3/Queue@1 :: Queue(2)",
            "Queue@3/Shaper@2 :: Shaper(3)"
        ]
    );
}

#[test]
fn a_use_that_fits_no_overload_lists_the_candidates() {
    assert_eq!(
        errors("elementclass A { $a, $b | -> Null -> }\nIdle\n-> A(1) -> Discard"),
        [
            "t.click:3: no match for 'A[1 argument, 1 input, 1 output]'",
            "t.click:1: candidates are:",
            "t.click:1:   A(<arg>, <arg>)[1 input, 1 output]"
        ]
    );
    // click(5): only overloads that precede the declaration are visible there.
    assert!(
        !errors(
            "elementclass Test { $a | } test :: Test(1, 2); elementclass Test { $a, $b | || ... }"
        )
        .is_empty()
    );
}

/// Click finds out at the end of the file, and an alternative begins with its first word.
#[test]
fn candidates_are_listed_where_they_begin_with_their_keywords() {
    assert_eq!(
        errors(
            "elementclass A {\n $a, COUNT $n, __REST__ $r | -> Null -> }\nIdle -> A(1) -> Discard;\n"
        ),
        [
            "t.click:4: no match for 'A[1 argument, 1 input, 1 output]'",
            "t.click:2: candidates are:",
            "t.click:2:   A(<arg>, COUNT, ...)[1 input, 1 output]"
        ]
    );
}

#[test]
fn arguments_are_counted_where_there_are_any() {
    assert_eq!(
        errors("elementclass A { $a | -> Null -> }\nIdle -> A -> Discard"),
        [
            "t.click:2: no match for 'A[1 input, 1 output]'",
            "t.click:1: candidates are:",
            "t.click:1:   A(<arg>)[1 input, 1 output]"
        ]
    );
}

#[test]
fn a_compound_with_one_alternative_says_which_ports_do_not_fit() {
    for (text, expected) in [
        (
            "f :: { -> Null -> }",
            &[
                "t.click:1: 'f' input 0 unused",
                "t.click:1: 'f' output 0 unused",
            ][..],
        ),
        (
            "Idle -> f :: { Idle -> [0] }; f [1] -> Discard",
            &[
                "t.click:1: 'f' has no input 0",
                "t.click:1: 'f' has no output 1",
                "t.click:1: 'f' output 0 unused",
            ],
        ),
        (
            "Idle -> a :: { -> b :: { -> Null -> } }",
            &["t.click:1: 'a/b' output 0 unused"],
        ),
    ] {
        assert_eq!(errors(text), expected, "{text}");
    }
}
