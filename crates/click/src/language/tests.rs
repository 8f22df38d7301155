//! Each rule of the language as a claim. Expected values come from Click's manual, click(5), and
//! from what the original program answered.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;
use crate::graph::Flat;

const CLASSES: [&str; 14] = [
    "Idle",
    "Discard",
    "Null",
    "Queue",
    "Counter",
    "Paint",
    "Print",
    "Tee",
    "Classifier",
    "Message",
    "InfiniteSource",
    "Shaper",
    "X",
    "Y",
];

struct Known;

impl Classes for Known {
    fn has(&self, class: &str) -> bool {
        CLASSES.contains(&class)
    }
}

struct Library;

impl Requirements for Library {
    fn library(&self, file: &str) -> Option<Source> {
        match file {
            "a.click" => Some(Source::new(
                "conf/a.click",
                "require(library b.click)\nelementclass A { -> Null -> }\n",
            )),
            "b.click" => Some(Source::new(
                "conf/b.click",
                "require(library a.click, library b.click)\nlib :: Idle;",
            )),
            _ => None,
        }
    }

    fn package(&self, package: &str) -> bool {
        package != "missing"
    }
}

fn read_with(text: &str, definitions: &[(&str, &str)]) -> (Option<Flat>, String) {
    let definitions: Vec<(String, String)> = definitions
        .iter()
        .map(|(n, v)| (n.to_string(), v.to_string()))
        .collect();
    let options = Options {
        classes: &Known,
        requirements: &Library,
        definitions: &definitions,
    };
    let mut diagnostics = Diagnostics::new();
    let flat = parse(Source::new("t.click", text), &options, &mut diagnostics).ok();
    assert_eq!(
        flat.is_none(),
        diagnostics.has_errors(),
        "an error and a configuration exclude each other: {diagnostics}"
    );
    (flat, diagnostics.to_string())
}

fn flat(text: &str) -> Flat {
    let (flat, messages) = read_with(text, &[]);
    flat.unwrap_or_else(|| panic!("{text}\n{messages}"))
}

fn errors(text: &str) -> Vec<String> {
    let (_, messages) = read_with(text, &[]);
    messages.lines().map(String::from).collect()
}

/// `name :: Class(config)` of every element.
fn elements(text: &str) -> Vec<String> {
    flat(text)
        .elements
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// `a[0]->[1]b` for every connection, in the order of the elements.
fn connections(text: &str) -> Vec<String> {
    let flat = flat(text);
    let name = |index: usize| &flat.elements[index].name;
    let mut ends: Vec<_> = flat.connections.iter().map(|c| (c.from, c.to)).collect();
    ends.sort_unstable();
    ends.iter()
        .map(|&((a, p), (b, q))| alloc::format!("{}[{p}]->[{q}]{}", name(a), name(b)))
        .collect()
}

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
fn port_lists_have_numbers_and_ranges_and_may_be_empty() {
    assert_eq!(
        connections("a, b :: X; a [0,2-3] -> b"),
        ["a[0]->[0]b", "a[2]->[0]b", "a[3]->[0]b"]
    );
    assert_eq!(
        connections("a, b :: X; a [] -> b; a -> [] b"),
        Vec::<String>::new()
    );
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
        ["t.click:1: many-to-many connections require '=>'"]
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
            "c[1]->[0]Paint@4",
            "Paint@4[0]->[0]y"
        ]
    );
}

#[test]
fn groups_with_gaps_are_errors_and_share_the_scope() {
    assert!(!errors("x, y :: X; x => [0] ( [0]->[0]; [1]->Discard ) -> y;").is_empty());
    assert!(!errors("x, y :: X; x => ( [0]->[0]; [2]->Discard ) -> y;").is_empty());
    assert_eq!(
        connections("x :: X; x -> ( -> c :: Counter -> ) -> Discard; c [1] -> x"),
        ["x[0]->[0]c", "c[0]->[0]Discard@3", "c[1]->[0]x"]
    );
}

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
        ["t.click:1: compound element 'C' input 1 unused"]
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
        "t.click:1: syntax error near '$c'"
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
        [("package", "a"), ("package", "b"), ("", "compact_config")]
    );
    assert_eq!(errors("require(missing)").len(), 1);
}

#[test]
fn messages_are_those_of_click() {
    for (text, expected) in [
        ("Idle -> a", "t.click:1: undeclared element 'a'"),
        ("a :: Foo", "t.click:1: unknown element class 'Foo'"),
        ("Foo(1)", "t.click:1: unknown element class 'Foo'"),
        ("-> Idle", "t.click:1: syntax error near '->'"),
        ("Idle -> -> Null", "t.click:1: syntax error near '->'"),
        ("\nIdle ->\n", "t.click:3: syntax error near end of file"),
        ("provide(foo)", "t.click:1: syntax error near 'provide'"),
        (
            "1/x :: Idle",
            "t.click:1: element name '1/x' has all-digit component",
        ),
        ("a :: Idle(", "t.click:1: syntax error near '('"),
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
            "t.click:3: syntax error near 'x'",
            "t.click:4: syntax error near ';'",
            "t.click:5: undeclared element 'c'",
        ]
    );
    // What stands before a mistake in a statement is declared all the same.
    assert_eq!(
        errors("i :: Idle -> q :: Queue -> [x] Discard; i -> q"),
        ["t.click:1: syntax error near 'x'"]
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
    assert_eq!(&*flat.elements[0].config, "\"test\"");
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
b [1] -> [1] c [1]
    -> Discard@4;
"
    );
}

mod limits {
    use super::*;

    fn one_error(text: &str, expected: &str) {
        let messages = errors(text);
        assert!(
            messages.iter().any(|message| message.contains(expected)),
            "{messages:?}"
        );
    }

    #[test]
    fn nesting_is_bounded() {
        for (open, close) in [("{", "}"), ("Idle -> (", ")"), ("elementclass A {", "}")] {
            let text = alloc::format!("{}{}", open.repeat(100_000), close.repeat(100_000));
            one_error(&text, "nested more than 64 deep");
        }
    }

    #[test]
    fn classes_that_contain_each_other_are_bounded() {
        let mut text = String::from("elementclass A0 { Idle }\n");
        for i in 1..2_000 {
            text += &alloc::format!("elementclass A{i} {{ A{} }}\n", i - 1);
        }
        one_error(&text, "expand into each other more than 128 deep");
        let text = "elementclass A { $a | || ... }\n".repeat(2_000);
        one_error(
            &alloc::format!("elementclass A Idle {text}"),
            "expand into each other more than 128 deep",
        );
    }

    #[test]
    fn doubling_compounds_do_not_fill_the_memory() {
        let mut text = String::from("elementclass A0 { Idle; Idle }\n");
        for i in 1..40 {
            text += &alloc::format!("elementclass A{i} {{ A{0}; A{0} }}\n", i - 1);
        }
        one_error(
            &(text + "A39"),
            "configuration expands to too many elements",
        );
    }

    #[test]
    fn doubling_definitions_do_not_fill_the_memory() {
        let mut text = String::from("Message($a0) define($a60 0123456789");
        for i in 0..60 {
            text += &alloc::format!(", $a{i} $a{0}$a{0}", i + 1);
        }
        one_error(&(text + ")"), "configuration expands to too many elements");
    }

    #[test]
    fn ranges_of_ports_do_not_make_billions_of_connections() {
        let ports = "[0-65535]";
        let text = alloc::format!("a, b :: X; {} -> b;", ["a [0-65535]"; 10].join(", "));
        one_error(&text, "more than 262144 connections");
        let compound = alloc::format!("a, b :: X; a {ports} -> {{ -> }} -> {ports} b");
        one_error(&compound, "more than 262144 connections");
    }

    /// Each of these took minutes where looking again and again was not avoided.
    #[test]
    fn no_text_of_some_size_takes_long() {
        let many = 20_000;
        let numbered = |form: fn(usize) -> String| (0..many).map(form).collect::<String>();
        let texts = [
            numbered(|i| alloc::format!("define($a{i} 1);")),
            numbered(|i| alloc::format!("require(package p{i});")),
            alloc::format!("Message({})", "${a-".repeat(many)),
            alloc::format!("Message(\"{}\")", "\\<".repeat(many)),
            alloc::format!("x :: X; x {} -> x", "-> (->)".repeat(many)),
            numbered(|i| alloc::format!("Idle@{} :: Idle;", i + 20_001)) + &"Idle;".repeat(many),
            alloc::format!(
                "elementclass A {{ {} }} {}",
                "$a | || ".repeat(2_000),
                "A;".repeat(2_000)
            ),
            "{ input[65535] -> [65535] output };".repeat(1_000),
            numbered(|i| alloc::format!("Iddle{i};")),
        ];
        for text in texts {
            let start = std::time::Instant::now();
            let _ = read_with(&text, &[]);
            let took = start.elapsed();
            // A generous bound, for slow and busy machines.
            assert!(took.as_secs() < 20, "{took:?} for {}", &text[..60]);
        }
    }

    #[test]
    fn an_element_stands_for_no_more_ports_than_there_are() {
        one_error(
            "a, b, x :: X; a [0-65535], b => x",
            "connection mismatch: 65537 outputs connected to 1 inputs",
        );
        assert_eq!(connections("a, b, x :: X; a [0-2], b => x").len(), 4);
    }

    #[test]
    fn a_long_line_takes_no_longer_than_many_short_ones() {
        let text = "x :: X; ".to_string() + &"x -> x; ".repeat(50_000) + "# ! # !";
        one_error(&text, "syntax error near '#'");
    }
}

mod properties {
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
}
