//! No text takes more memory or time than its size is worth.

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
        "connection mismatch: 65537 outputs connected to 1 or more inputs",
    );
    assert_eq!(connections("a, b, x :: X; a [0-2], b => x").len(), 4);
}

#[test]
fn a_long_line_takes_no_longer_than_many_short_ones() {
    let text = "x :: X; ".to_string() + &"x -> x; ".repeat(50_000) + "# ! # !";
    one_error(&text, "syntax error near '#'");
}
