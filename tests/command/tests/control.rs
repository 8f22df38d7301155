//! Looking into runs from outside: `sprat read`, `write`, `logs` and `metrics`.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use end_to_end::{Finished, Live, sprat};

const ROUTER: &str = "
    FromDevice(eth0) -> cnt :: Counter -> Discard;
    msg :: Script(TYPE PASSIVE, print $args, return ok);
    blob :: Message(\"hello from the router\");
";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("wall.click"), ROUTER).expect("a file");
    folder
}

/// A run that is listening.
fn start(folder: &Path, arguments: &[&str]) -> (Live, Vec<String>) {
    let fixed = ["run", "wall.click", "--port", "eth0=user"];
    let mut run = Live::start(folder, fixed.iter().chain(arguments));
    // What it says first is where it can be reached, or that it has begun.
    let mut lines = vec![run.line()];
    while !lines[lines.len() - 1].contains("hello from the router") {
        lines.push(run.line());
    }
    (run, lines)
}

fn good(done: &Finished) -> &str {
    assert!(done.good, "{}", done.errors);
    &done.output
}

#[test]
fn handlers_of_a_run_are_read_and_written_under_its_name() {
    let folder = folder();
    let folder = folder.path();
    let (run, lines) = start(folder, &[]);
    assert!(lines[0].starts_with("name: wall"), "{lines:?}");
    let ask = |arguments: &[&str]| sprat(folder, arguments);
    assert_eq!(good(&ask(&["read", "wall", "cnt.count"])), "0\n");
    assert_eq!(good(&ask(&["read", "wall", "cnt.class"])), "Counter\n");
    assert_eq!(good(&ask(&["write", "wall", "cnt.reset"])), "");

    // What would be several commands is one value.
    let value = "a\r\nQUIT\r\n".repeat(20_000);
    let long = ask(&["read", "wall", "msg.run", &value[..50_000]]);
    assert_eq!(good(&long), "ok\n");

    for (arguments, message) in [
        (
            ["read", "wall", "nobody.count"],
            "No element named 'nobody'",
        ),
        (
            ["read", "wall", "cnt.nothing"],
            "No handler named 'cnt.nothing'",
        ),
        (
            ["read", "wall", "cnt.reset"],
            "Handler 'cnt.reset' write-only",
        ),
        (
            ["write", "wall", "cnt.count"],
            "Handler 'cnt.count' read-only",
        ),
        (["read", "gate", "cnt.count"], "no instance gate runs"),
        (["read", "wall", "cnt.count\nQUIT"], "No handler named"),
        (
            ["read", "./wall.click", "cnt.count"],
            "no instance ./wall.click runs",
        ),
    ] {
        let done = ask(&arguments);
        assert!(!done.good);
        assert!(done.errors.contains(message), "{}", done.errors);
    }
    for (handler, help) in [
        ("nobody.count", "sprat read wall list"),
        ("list.x", "sprat read wall list"),
        ("cnt.nothing", "sprat read wall cnt.handlers"),
        ("nothing", "sprat read wall list"),
    ] {
        let refused = ask(&["read", "wall", handler]);
        assert!(refused.errors.contains(help), "{}", refused.errors);
    }
    let unknown = ask(&["read", "gate", "cnt.count"]);
    assert!(
        unknown.errors.contains("these run: wall"),
        "{}",
        unknown.errors
    );

    assert!(run.interrupt().good);
    let after = ask(&["read", "wall", "cnt.count"]);
    assert!(
        after.errors.contains("no instance wall runs"),
        "{}",
        after.errors
    );
    assert!(!folder.join("sprat/wall.sock").exists());
}

#[test]
fn a_run_s_console_is_kept_and_followed_to_its_end() {
    let folder = folder();
    let folder = folder.path();
    let (run, lines) = start(folder, &["--name", "door"]);
    assert!(lines[0].starts_with("name: door "), "{lines:?}");
    let logs = sprat(folder, ["logs", "door"]);
    let console = Live::start(folder, ["console", "door"]);
    assert!(good(&logs).contains("hello from the router\n"));
    let follower = Live::start(folder, ["logs", "--follow", "door"]);
    let written = sprat(folder, ["read", "door", "msg.run", "and good-bye"]);
    assert_eq!(good(&written), "ok\n");
    assert!(run.interrupt().good);
    let followed = follower.wait();
    assert!(followed.output.contains("and good-bye\n"), "{followed:?}");
    assert!(followed.good, "{followed:?}");
    let console = console.wait();
    assert!(console.good, "{console:?}");
    assert!(console.output.contains("hello from the router\n"));
    assert!(console.output.contains("and good-bye\n"), "{console:?}");
}

#[test]
fn metrics_are_prometheus_text_with_ports_and_elements() {
    let folder = folder();
    let folder = folder.path();
    let (run, _) = start(folder, &[]);
    let metrics = sprat(folder, ["metrics", "wall"]);
    for line in [
        "# TYPE sprat_entries_total counter",
        "sprat_port_frames_total{device=\"eth0\",direction=\"in\"} 0",
        "sprat_element_packets_total{element=\"cnt\",direction=\"in\"} 0",
        "sprat_metric_lines_refused 0",
    ] {
        assert!(good(&metrics).lines().any(|known| known == line), "{line}");
    }
    assert!(run.interrupt().good);
}

#[test]
fn a_second_run_gets_a_name_of_its_own_and_a_taken_one_is_refused() {
    let folder = folder();
    let folder = folder.path();
    let (first, _) = start(folder, &[]);
    let (second, lines) = start(folder, &[]);
    assert!(lines[0].starts_with("name: wall-2 "), "{lines:?}");
    let arguments = ["run", "wall.click", "--port", "eth0=user", "--name", "wall"];
    let third = sprat(folder, arguments);
    assert!(!third.good);
    assert!(third.errors.contains("in use"), "{}", third.errors);
    assert!(first.interrupt().good);
    assert_eq!(good(&sprat(folder, ["read", "wall-2", "cnt.count"])), "0\n");
    assert!(second.interrupt().good);
}

#[test]
fn a_socket_that_was_left_behind_is_replaced() {
    let folder = folder();
    let folder = folder.path();
    let socket = folder.join("here.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let (run, lines) = start(folder, &["--control", "here.sock"]);
    assert_eq!(lines[0], "control socket: here.sock");
    let read = sprat(folder, ["read", "./here.sock", "cnt.count"]);
    assert_eq!(good(&read), "0\n");
    assert!(run.interrupt().good);
    // What is no socket stays.
    fs::write(&socket, "precious").expect("a file");
    let arguments = [
        "run",
        "wall.click",
        "--port",
        "eth0=user",
        "--control",
        "here.sock",
    ];
    assert!(!sprat(folder, arguments).good);
    assert_eq!(fs::read(&socket).expect("there"), b"precious");
}

/// Says something to a socket and reads all that comes back.
fn converse(socket: &Path, text: &[u8]) -> String {
    let mut stream = UnixStream::connect(socket).expect("connected");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("a timeout");
    stream.write_all(text).expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The replies are those of Click's manual page ControlSocket(n).
#[test]
fn the_socket_is_its_owner_s_and_speaks_click_s_protocol() {
    let folder = folder();
    let folder = folder.path();
    let (run, _) = start(folder, &[]);
    let socket = folder.join("sprat/wall.sock");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o600);
    assert_eq!(mode(&folder.join("sprat")), 0o700);
    let commands = b"READ cnt.count\r\nCHECKWRITE cnt.reset\nCHECKWRITE cnt.count\nCHECKREAD cnt.no\nnonsense\nQUIT\n";
    let answer = converse(&socket, commands);
    assert_eq!(
        answer,
        "Click::ControlSocket/1.3\r\n\
         200 Read handler 'cnt.count' OK\r\n\
         DATA 1\r\n0\
         200 Write handler 'cnt.reset' OK\r\n\
         511 Handler 'cnt.count' not writable\r\n\
         511 No handler named 'cnt.no'\r\n\
         501 Command 'NONSENSE' unimplemented\r\n\
         200 Goodbye!\r\n"
    );
    // Whoever says nothing, or goes away in the middle, holds up nobody.
    let silent = UnixStream::connect(&socket).expect("connected");
    let mut rude = UnixStream::connect(&socket).expect("connected");
    rude.write_all(b"WRITEDATA cnt.reset 100\r\nhalf")
        .expect("written");
    drop(rude);
    assert_eq!(good(&sprat(folder, ["read", "wall", "cnt.count"])), "0\n");
    assert!(run.interrupt().good);
    drop(silent);
}

#[test]
fn running_out_of_memory_ends_a_run_with_who_asked() {
    let folder = folder();
    let router = "FromDevice(eth0) -> Discard;
        Script(set x a, label more, set x $x$x$x$x, goto more)";
    fs::write(folder.path().join("greedy.click"), router).expect("a file");
    let run = "run greedy.click --port eth0=user --memory 64K".split(' ');
    let done = sprat(folder.path(), run);
    assert!(!done.good);
    // The part of Script that puts values together.
    let asked = " asked for more at crates/elements/src/control/script/";
    let mut lines = done.errors.lines();
    let line = lines.find(|line| line.contains(": out of memory: "));
    assert!(
        line.is_some_and(|line| line.contains(asked)),
        "{}",
        done.errors
    );
}
