//! What holds where: definitions, variables, libraries, packages.

use super::*;

#[test]
fn definitions_hold_for_their_scope_in_any_order() {
    assert_eq!(
        elements("Message($a); define($a 2)"),
        ["Message@1 :: Message(2)"]
    );
    assert_eq!(
        elements("define($a 1) { Message($a) } { define($a 2) Message($a) }"),
        ["@1/Message@1 :: Message(1)", "@2/Message@1 :: Message(2)"]
    );
    assert_eq!(
        elements("define($x 1, $y 2) Message($x $y ${z-3} $z)"),
        ["Message@1 :: Message(1 2 3 $z)"]
    );
    assert_eq!(
        errors("define($a 1, $a 2)"),
        ["t.click:1: parameter '$a' multiply defined"]
    );
    assert_eq!(
        errors("define($a 1)\ndefine($a 1)"),
        ["t.click:2: parameter '$a' multiply defined"]
    );
    assert_eq!(
        errors("{ $a | define($a 1) } (2)"),
        ["t.click:1: parameter '$a' multiply defined"]
    );
}

#[test]
fn a_compound_sees_the_variables_around_its_definition() {
    assert_eq!(
        elements("define($x 1) elementclass A { Message($x) } { define($x 2) A }"),
        ["@1/A@1/Message@1 :: Message(1)"]
    );
    // What a value holds is looked up where the value is put.
    assert_eq!(
        elements(
            "define($x 1, $y $x) { define($x 2) Message($x $y) }
             { $a | define($z 3) Message($a) }($z)
             { define($x 3, $y $x) { define($x 4) Message($y) } }"
        ),
        [
            "@1/Message@1 :: Message(2 2)",
            "@2/Message@1 :: Message(3)",
            "@3/@1/Message@1 :: Message(3)"
        ]
    );
}

#[test]
fn the_command_line_overrides_the_file() {
    let (flat, _) = read_with("define($a 1) Message($a $b)", &[("a", "7"), ("b", "8")]);
    assert_eq!(&*flat.unwrap().elements[0].config, "7 8");
}

#[test]
fn libraries_are_read_once_and_only_at_file_scope() {
    let text = "require(library a.click) require(library b.click) Idle -> A -> Discard";
    assert_eq!(
        elements(text),
        [
            "lib :: Idle",
            "Idle@2 :: Idle",
            "Discard@4 :: Discard",
            "A@3/Null@1 :: Null"
        ]
    );
    assert_eq!(
        errors("require(library nope.click)"),
        ["t.click:1: library 'nope.click' not found in CLICKPATH/conf"]
    );
    assert_eq!(errors("{ require(library a.click) }").len(), 1);
}

#[test]
fn packages_become_requirements() {
    let flat = flat("require(package a, b) require(compact_config, package a)");
    let listed: Vec<_> = flat
        .requirements
        .iter()
        .map(|r| (&*r.kind, &*r.name))
        .collect();
    assert_eq!(
        listed,
        [
            ("package", "a"),
            ("package", "b"),
            ("", "compact_config"),
            ("package", "a"),
        ]
    );
    assert_eq!(
        errors("require(missing)"),
        [
            "While loading package 'missing':",
            "  can't find required package 'missing.uo'",
            "  in CLICKPATH or '/usr/local/lib'",
            "requirement 'missing' not available",
        ]
    );
}
