//! What is declared, and what is wrong with it.

use std::fs;

use end_to_end::{Host, sprat};

use crate::ALONE;

#[test]
fn what_is_declared_runs_and_the_smallest_change_is_made() {
    let host = Host::start(ALONE);
    assert_eq!(host.good(&["ps"]).lines().count(), 1, "nothing is declared");
    assert_eq!(host.good(&["up", "edge.toml"]), "+ one\n+ two\n");
    host.wait("one", "running");
    host.wait("two", "running");
    let shown = host.good(&["ps"]);
    let row = shown
        .lines()
        .find(|line| line.trim_start().starts_with("one "))
        .expect("a row");
    let process = row
        .split_whitespace()
        .nth(2)
        .and_then(|pid| pid.parse().ok());
    assert_eq!(process, host.lane("default"), "{shown}");
    assert_eq!(host.good(&["read", "one", "c.count"]), "5\n");
    assert_eq!(host.good(&["read", "two", "c.count"]), "7\n");
    assert_eq!(host.good(&["up", "edge.toml"]), "nothing to change\n");

    // What does not change keeps what it has counted; what changes counts on from there.
    host.good(&["write", "one", "c.reset"]);
    assert_eq!(
        host.declare(&ALONE.replace("LIMIT = 7", "LIMIT = 9")),
        "~ two\n"
    );
    assert_eq!(host.good(&["read", "one", "c.count"]), "0\n");
    host.until(|| (host.run(&["read", "two", "c.count"]).output == "16\n").then_some(()));
    let afresh = ALONE.replace("LIMIT = 7 }", "LIMIT = 4 }\n carry-state = false");
    assert_eq!(host.declare(&afresh), "~ two\n");
    host.until(|| (host.run(&["read", "two", "c.count"]).output == "4\n").then_some(()));

    // Another tenant has another lane.
    let apart = ALONE.replace("[functions.two]", "[functions.two]\n tenant = 'other'");
    assert_eq!(host.declare(&apart), "~ two\n");
    assert_ne!(host.lane("default"), host.lane("other"));
    host.wait("two", "running");
    assert_eq!(host.good(&["read", "one", "c.count"]), "0\n");
    assert_eq!(host.good(&["down"]), "- one\n- two\n");
    assert_eq!(host.good(&["ps"]).lines().count(), 1);
}

#[test]
fn mistakes_are_named_and_change_nothing() {
    let host = Host::start(ALONE);
    host.good(&["up", "edge.toml"]);
    host.wait("one", "running");
    let before = host.lane("default");
    // Nothing comes of these in an instance either.
    for (name, text) in [
        ("many.click", "Idle -> Queue(many) -> Discard;"),
        ("push.click", "Idle -> Tee -> Unqueue -> Discard;"),
    ] {
        fs::write(host.path().join(name), text).expect("written");
    }
    let cases = [
        (
            ALONE.replace("two.click", "many.click"),
            "many.click:1: While configuring 'Queue@2 :: Queue':\n  CAPACITY: ",
        ),
        (
            ALONE.replace("two.click", "push.click"),
            "'Tee@2 :: Tee' push output 0 connected to 'Unqueue@3 :: Unqueue' pull input 0\n",
        ),
        (
            ALONE.replace("one.click", "no.click"),
            "error: cannot read no.click: No such file",
        ),
        (
            ALONE.replace("devices = []", "devices = ['eth0']"),
            "error: functions.one: no FromDevice and no ToDevice of one.click names eth0",
        ),
        (ALONE.replace("two.click", "bad.click"), "bad.click:1"),
        (
            format!("{ALONE}replicas = 0"),
            "error: edge.toml: functions.two.replicas: expected 1 to 64, found 0",
        ),
        (
            format!("[ports]\nx = 'tap:x'\n{ALONE}[bridges.b]\nmembers = ['x']"),
            "error: edge.toml: bridges.b: no function is a member",
        ),
    ];
    for (text, expected) in cases {
        fs::write(host.path().join("edge.toml"), text).expect("written");
        let refused = host.run(&["up", "edge.toml"]);
        assert!(
            !refused.good && refused.errors.starts_with(expected),
            "{expected}: {}",
            refused.errors
        );
    }
    for (arguments, expected) in [
        (
            ["stop", "three"],
            "error: no function three; there are: one, two\n",
        ),
        (
            ["kill", "three"],
            "error: no instance three; there are one, two\n",
        ),
    ] {
        assert_eq!(host.run(&arguments).errors, expected);
    }
    let twice = sprat(host.path(), ["daemon", "--state", "state"]);
    assert!(
        twice.errors.contains("another daemon uses it"),
        "{}",
        twice.errors
    );
    assert_eq!(host.lane("default"), before);
    assert_eq!(host.good(&["read", "one", "c.count"]), "5\n");
}
