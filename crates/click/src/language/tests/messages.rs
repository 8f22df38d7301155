//! What is said of mistakes, and where they are.

use super::*;

#[test]
fn messages_are_those_of_click() {
    for (text, expected) in [
        ("Idle -> a", "t.click:1: undeclared element 'a'"),
        ("a :: Foo", "t.click:1: unknown element class 'Foo'"),
        ("Foo(1)", "t.click:1: undeclared element 'Foo'"),
        ("-> Idle", "t.click:1: syntax error near '->'"),
        ("Idle -> -> Null", "t.click:1: syntax error near '->'"),
        ("\nIdle ->\n", "t.click:3: syntax error near ''"),
        ("provide(foo)", "t.click:1: syntax error near 'provide'"),
        (
            "1/x :: Idle",
            "t.click:1: element name '1/x' has all-digit component",
        ),
        ("a :: Idle(", "t.click:1: expected ')'"),
        ("Idle -> (-> Null", "t.click:1: expected ')'"),
        ("Idle -> {-> Null", "t.click:1: expected '}'"),
        ("require foo", "t.click:1: expected '('"),
        ("define $a", "t.click:1: expected '('"),
        ("require(a b c)", "t.click:1: syntax error at requirement"),
        (
            "a :: { require(library a.click) }",
            "t.click:1: 'require library' must be used at file scope",
        ),
        (
            "define(x 5)",
            "t.click:1: bad 'define' declaration: not a variable",
        ),
        ("elementclass { }", "t.click:1: expected element type name"),
        ("elementclass A { $a, 5 | }", "t.click:1: expected variable"),
        (
            "elementclass A { $a $b | }",
            "t.click:1: expected ',' or '|'",
        ),
        (
            "elementclass X { Idle || ... || Null }",
            "t.click:1: '...' should occur last, after one or more compounds",
        ),
        (
            "elementclass Unheard { Idle || ... }",
            "t.click:1: cannot extend unknown element class 'Unheard'",
        ),
        (
            "Idle[] -> [,]Null",
            "t.click:1: syntax error: expected port number",
        ),
        ("[0] -> Idle", "t.click:1: stranded port ignored"),
        ("{ Idle -> [0] -> X }", "t.click:1: stranded port ignored"),
        (
            "Idle -> { -> a :: X; a -> [0], X -> X }",
            "t.click:1: implicit ports used in the middle of a chain",
        ),
        (
            "elementclass A { $a, N $n, $b | }",
            "t.click:1: compound element parameters out of order",
        ),
        (
            "elementclass A { N $n, N $b | }",
            "t.click:1: repeated keyword parameter 'N' in compound element",
        ),
        ("require(package)", "t.click:1: syntax error at requirement"),
        (
            "Idle -> [0 1] Null",
            "t.click:1: syntax error: expected ','",
        ),
        (
            "Idle :: Null",
            "t.click:1: class 'Idle' used as element name",
        ),
        (
            "i :: Idle; i(3) -> Discard",
            "t.click:1: configuration string ignored on element reference",
        ),
        (
            "[0] Idle -> Discard",
            "t.click:1: input ports ignored at start of chain",
        ),
        (
            "Idle -> Discard [0]",
            "t.click:1: output ports ignored at end of chain",
        ),
    ] {
        assert_eq!(errors(text)[0], expected, "{text}");
    }
    assert_eq!(
        errors("a :: Idle;\na :: Null"),
        [
            "t.click:2: redeclaration of element 'a'",
            "t.click:1: element 'a' previously declared here"
        ]
    );
}

#[test]
fn every_mistake_is_reported_and_none_twice() {
    assert_eq!(
        errors("Idle -> a;\na -> b :: Foo;\nb [x] -> Null;\nNull ->;\nIdle -> c"),
        [
            "t.click:1: undeclared element 'a'",
            "t.click:2: unknown element class 'Foo'",
            "t.click:3: syntax error: port number should be integer",
            "t.click:4: syntax error near ';'",
            "t.click:5: undeclared element 'c'",
        ]
    );
    // What stands before a mistake in a statement is declared all the same.
    assert_eq!(
        errors("i :: Idle -> q :: Queue [0] -> [x] Discard; i -> q"),
        ["t.click:1: syntax error: port number should be integer"]
    );
}

/// What the grammar of Click's lexer comes to, by hand: reading goes on behind the mistake.
#[test]
fn reading_goes_on_with_the_word_after_a_mistake() {
    for (text, expected) in [
        (
            "Idle -> a -> b :: Foo;\nFoo(1) -> c;\na -> $x y;\nQueue [0 -> Discard",
            &[
                "t.click:1: undeclared element 'a'",
                "t.click:1: unknown element class 'Foo'",
                "t.click:2: undeclared element 'c'",
                "t.click:3: syntax error near 'x'",
                "t.click:3: undeclared element 'y'",
                "t.click:4: syntax error: expected ','",
                "t.click:4: syntax error: expected port number",
            ][..],
        ),
        (
            "foo/ :: Idle",
            &[
                "t.click:1: undeclared element 'foo'",
                "t.click:1: syntax error near '/'",
                "t.click:1: syntax error near '::'",
            ],
        ),
        (
            "Null [0] ->;",
            &[
                "t.click:1: syntax error near ';'",
                "t.click:1: output ports ignored at end of chain",
            ],
        ),
        (
            "Idle -> ( -> Null } -> a",
            &[
                "t.click:1: syntax error near '}'",
                "t.click:1: syntax error near '}'",
                "t.click:1: syntax error near '->'",
                "t.click:1: undeclared element 'a'",
            ],
        ),
        ("x :: Idle(\n1", &["t.click:2: expected ')'"]),
        (
            "x :: Foo; f :: { -> Y };\ny :: Foo; z :: Bar",
            &[
                "t.click:1: unknown element class 'Foo'",
                "t.click:2: unknown element class 'Bar'",
                "t.click:1: 'f' input 0 unused",
            ],
        ),
        (
            "a :: Idle(1); a :: Null(2)",
            &[
                "t.click:1: configuration string ignored on element reference",
                "t.click:1: redeclaration of element 'a'",
                "t.click:1: element 'a' previously declared here",
            ],
        ),
        (
            "#!/usr/bin/click\nIdle -> b",
            &[
                "t.click:1: unknown preprocessor directive",
                "t.click:2: undeclared element 'b'",
            ],
        ),
        (
            "elementclass A { $a, 5 | Idle }",
            &[
                "t.click:1: expected variable",
                "t.click:1: undeclared element '5'",
                "t.click:1: syntax error near '|'",
            ],
        ),
    ] {
        assert_eq!(errors(text), expected, "{text}");
    }
}

#[test]
fn a_start_without_a_name_is_doubtful_after_a_chain_that_does_not_end_in_output() {
    assert_eq!(
        errors("Idle -> { -> X -> ; -> Y -> [1] } [0,1] -> X"),
        [""; 0]
    );
    assert_eq!(
        errors("Idle -> { c :: X;\n-> c -> } -> X"),
        ["t.click:2: warning: suggest 'input ->' or '[0] ->' to start connection"]
    );
}

#[test]
fn parameters_out_of_order_are_reported_once() {
    assert_eq!(
        errors("elementclass A { N $n, $a, __REST__ $r, $b | }"),
        [
            "t.click:1: compound element parameters out of order",
            "t.click:1: (The correct order is '[positional], [keywords], [__REST__]'.)",
        ]
    );
}

#[test]
fn a_declaration_without_class_takes_the_name_for_it() {
    assert_eq!(
        errors("a :: ;"),
        [
            "t.click:1: missing element type in declaration",
            "t.click:1: unknown element class 'a'",
        ]
    );
}

#[test]
fn ports_where_a_chain_ends_are_those_of_the_surrounding_group() {
    assert_eq!(errors("Idle -> { [0] -> X -> [0] } -> Discard"), [""; 0]);
    assert_eq!(
        errors("Idle -> X [] "),
        ["t.click:1: output ports ignored at end of chain"]
    );
}

#[test]
fn messages_within_compounds_know_their_line_and_column() {
    let options = Options {
        classes: &Known,
        requirements: &NoLibraries,
        definitions: &[],
    };
    let mut diagnostics = Diagnostics::new();
    let _ = parse(
        Source::new("t.click", "Idle -> {\n  -> Nul -> } -> Discard"),
        &options,
        &mut diagnostics,
    );
    let first = diagnostics.iter().next().unwrap();
    let landmark = first.landmark.as_ref().unwrap();
    assert_eq!((landmark.line, landmark.column), (2, 6));
    assert_eq!(landmark.excerpt(), Some("  -> Nul -> } -> Discard"));
    assert!(first.help.is_some());
}

#[test]
fn line_directives_name_the_place_of_elements() {
    let flat = flat("m :: Message(\n# 100 \"foobar.click\"\n\"test\");\nm2 :: Message(\"test2\");");
    assert_eq!(flat.elements[0].landmark.to_string(), "t.click:1");
    assert_eq!(flat.elements[0].config.trim(), "\"test\"");
    assert_eq!(flat.elements[1].landmark.to_string(), "foobar.click:101");
}

#[test]
fn archives_hold_a_configuration() {
    let header = alloc::format!(
        "{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
        "config/",
        0,
        0,
        0,
        "644",
        5
    );
    let archive = alloc::format!("!<arch>\n{header}Idle;\n");
    let source = Source::from_bytes("t.click", archive.as_bytes()).unwrap();
    assert_eq!(&*source.text, "Idle;");
    assert_eq!(
        Source::from_bytes("t.click", b"!<arch>\n").unwrap_err(),
        SourceError::NoConfigMember
    );
    assert_eq!(
        Source::from_bytes("t.click", b"!<arch>\nx").unwrap_err(),
        SourceError::BrokenArchive
    );
}

#[test]
fn flat_text_strings_connections_together() {
    let text = "require(compact_config) a :: Idle -> b :: X [1] -> [1] c :: Queue(10) [1] -> Discard; b -> c";
    assert_eq!(
        flat(text).to_string(),
        "require(compact_config);

a :: Idle;
b :: X;
c :: Queue(10);
Discard@4 :: Discard;

a -> b
    -> c;
b [1] -> [1] c;
c [1] -> Discard@4;
"
    );
}
