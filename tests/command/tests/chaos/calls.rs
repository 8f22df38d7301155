//! Calls of the daemon's API, valid and not, from many at once.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::Duration;

use end_to_end::Host;

use crate::{at_rest, moments};

/// Who calls at once.
const CLIENTS: usize = 16;

/// In so many storms at most what the processes hold stops growing.
const STORMS: usize = 12;

/// Calls, and whether they are right: then they are answered by 200, and by 400 to 499 where they are
/// wrong (RFC 9110, section 15.5).
fn calls() -> Vec<(String, bool)> {
    let get =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: sprat\r\nConnection: close\r\n\r\n");
    let send = |method: &str, path: &str, kind: &str, body: &str| {
        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nHost: sprat\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        )
    };
    let json = "application/json";
    let good = [
        "/v1/version",
        "/v1/openapi.json",
        "/v1/declared",
        "/v1/status",
        "/v1/metrics",
        "/v1/instances/one/elements",
        "/v1/instances/one/metrics",
        "/v1/instances/one/handlers/c.count",
        "/v1/instances/one/log?from=0",
        "/v1/instances/one/log?from=18446744073709551615",
    ];
    let bad = [
        get("/v1/nothing"),
        get("/v2/status"),
        get("/v1/instances/none/log"),
        get("/v1/instances/one/log?from=x"),
        get("/v1/instances/one/handlers/none.count"),
        get("/v1/ports/none/capture"),
        get("/v1/ports/one.eth7/capture"),
        get("/v1/ports/one.eth7/capture?count=-1"),
        send("DELETE", "/v1/status", json, ""),
        send("POST", "/v1/functions/none/stop", json, ""),
        send("POST", "/v1/instances/none/kill", json, ""),
        send("POST", "/v1/steer", json, "{\"shares\": {\"none\": 1}}"),
        send("POST", "/v1/steer", json, "{\"shares\": {\"one\": -1}}"),
        send("PUT", "/v1/declared", json, "{"),
        send("PUT", "/v1/declared", json, "{\"functions\": 5}"),
        send("PUT", "/v1/declared", "text/plain", "{}"),
        send("PUT", "/v1/instances/one/handlers/c.count", json, "5"),
        // Longer than anything may be, and it never comes.
        "PUT /v1/declared HTTP/1.1\r\nHost: sprat\r\nContent-Type: application/json\r\n\
         Content-Length: 99999999999\r\n\r\n"
            .into(),
        "\x16\x03\x01 this is no HTTP\r\n\r\n".into(),
        format!(
            "GET /{} HTTP/1.1\r\nHost: sprat\r\n\r\n",
            "x".repeat(1 << 20)
        ),
    ];
    let good = good.iter().map(|path| (get(path), true));
    good.chain(bad.into_iter().map(|call| (call, false)))
        .collect()
}

/// Makes a call; the status of the answer.
fn call(socket: &Path, text: &str) -> u16 {
    let mut stream = UnixStream::connect(socket).expect("it listens");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a time");
    // It may be refused before all of it is there.
    let _ = stream.write_all(text.as_bytes());
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    let head = String::from_utf8_lossy(&head);
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|code| code.parse().ok());
    status.unwrap_or_else(|| panic!("{head}"))
}

/// Each client makes so many calls; some end in the middle of one, and some of an answer.
fn storm(socket: &Path, each: usize) {
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            scope.spawn(move || {
                let calls = calls();
                for number in 0..each {
                    // All of them are made, in another order by each.
                    let (text, good) = &calls[(client * 7 + number) % calls.len()];
                    let status = call(socket, text);
                    let expected = if *good { 200..201 } else { 400..500 };
                    assert!(expected.contains(&status), "{status}: {text:.200}");
                    if number % 8 == 0 {
                        let mut half = UnixStream::connect(socket).expect("it listens");
                        half.write_all(b"GET /v1/status HT").expect("taken");
                        let events = "GET /v1/events HTTP/1.1\r\nHost: sprat\r\n\r\n";
                        assert_eq!(call(socket, events), 200);
                    }
                }
            });
        }
    });
}

/// The memory of a process that is in use, in KiB (proc(5)).
fn resident(process: u64) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

#[test]
fn calls_of_sixteen_clients_valid_and_not_are_answered_and_leave_nothing_behind() {
    let host = Host::start("[functions.one]\nrun = 'one.click'\ndevices = []\n");
    host.good(&["up", "edge.toml"]);
    host.wait("one", "running");
    let lane = host.lane("default").expect("a lane");
    let processes = [host.daemon().expect("a daemon"), lane];
    let socket = host.path().join("sprat/daemon.socket");
    let each = calls().len().max(moments() as usize / 8);
    let rest = || at_rest(&host, processes);
    // Heaps and stacks of threads stay for the next ones, up to a number (mallopt(3)): what calls hold
    // grows at first. What they leave behind would grow each time.
    storm(&socket, each);
    let (mut before, memory) = (rest(), processes.map(resident));
    let settled = (0..STORMS).any(|_| {
        storm(&socket, each);
        let now = rest();
        let mut pairs = now.iter().flatten().zip(before.iter().flatten());
        let settled = pairs.all(|(now, before)| now <= before);
        before = now;
        settled
    });
    assert!(settled, "descriptors and mappings: {before:?}");
    for (process, before) in processes.into_iter().zip(memory) {
        let now = resident(process);
        assert!(now <= before + (32 << 10), "{before} KiB, then {now}");
    }
    assert_eq!(host.good(&["read", "one", "c.count"]), "5\n");
    assert_eq!(host.good(&["up", "edge.toml"]), "nothing to change\n");
    assert_eq!(host.lane("default"), Some(lane), "nobody ended it");
}
