//! Elements: their names, their declarations and where they stand.

use super::*;

#[test]
fn declarations_name_one_or_several_elements() {
    assert_eq!(
        elements("a :: Idle; b, c :: Queue(10)"),
        ["a :: Idle", "b :: Queue(10)", "c :: Queue(10)"]
    );
}

#[test]
fn anonymous_elements_are_numbered_by_the_elements_before_them() {
    assert_eq!(
        elements("Idle; c :: Counter; Paint(1)"),
        ["Idle@1 :: Idle", "c :: Counter", "Paint@3 :: Paint(1)"]
    );
    assert_eq!(
        elements("Idle@1 :: Idle; Idle@3 :: Idle; Idle"),
        ["Idle@1 :: Idle", "Idle@3 :: Idle", "Idle@4 :: Idle"]
    );
}

#[test]
fn semicolons_are_optional_between_statements() {
    assert_eq!(
        connections("Idle -> Null\nIdle -> Discard"),
        ["Idle@1[0]->[0]Null@2", "Idle@3[0]->[0]Discard@4"]
    );
}

#[test]
fn chains_carry_ports_on_both_sides() {
    assert_eq!(
        connections("a, x, b :: X; a [1] -> [2] x [3] -> [4] b"),
        ["a[1]->[2]x", "x[3]->[4]b"]
    );
}

#[test]
fn declarations_stand_inside_connections() {
    assert_eq!(
        elements("i :: Idle -> q :: Queue(5) -> Discard"),
        ["i :: Idle", "q :: Queue(5)", "Discard@3 :: Discard"]
    );
}

#[test]
fn elements_without_a_name_make_way_for_those_that_are_called_so() {
    assert_eq!(
        elements("Idle; Idle@1 :: Null"),
        ["Idle@2 :: Idle", "Idle@1 :: Null"]
    );
    assert_eq!(
        elements("{ Idle; Idle@1 :: Null; Idle }"),
        [
            "@1/Idle@2 :: Idle",
            "@1/Idle@1 :: Null",
            "@1/Idle@3 :: Idle"
        ]
    );
    assert_eq!(
        errors("Idle; Idle@1 -> Discard"),
        ["t.click:1: undeclared element 'Idle@1'"]
    );
}
