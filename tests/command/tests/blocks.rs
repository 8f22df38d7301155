//! Runs with block devices.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use end_to_end::{Live, sprat};

/// The store of `examples/kv` over a file, and where it is published.
fn start(folder: &Path, block: &str) -> (Live, SocketAddr) {
    let arguments = [
        "run",
        "kv.image",
        "--port",
        "eth0=user",
        "--publish",
        "0:6379",
    ];
    let mut run = Live::start(folder, arguments.iter().chain(&["--block", block]));
    loop {
        let line = run.line();
        if let Some(rest) = line.strip_prefix("eth0: ")
            && let Some((host, _)) = rest.split_once(":10.0.2.15:")
        {
            return (run, host.parse().expect("an address"));
        }
    }
}

/// What the store answers to lines.
fn ask(store: SocketAddr, lines: &str, answers: usize) -> Vec<String> {
    let mut stream = TcpStream::connect(store).expect("published");
    let patience = Some(Duration::from_secs(60));
    stream.set_read_timeout(patience).expect("a timeout");
    stream.write_all(lines.as_bytes()).expect("sent");
    let lines = BufReader::new(stream).lines().take(answers);
    lines.map(|line| line.expect("an answer")).collect()
}

#[test]
fn what_a_store_has_acknowledged_survives_a_kill_of_sprat() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/kv");
    let example = example.to_str().expect("UTF-8");
    let built = sprat(
        folder.path(),
        ["build", example, "--development", "-o", "kv.image"],
    );
    assert!(built.good, "{built:?}");
    // Without a size there must be a file.
    let run = [
        "run",
        "kv.image",
        "--port",
        "eth0=user",
        "--block",
        "data=kv.blk",
    ];
    let refused = sprat(folder.path(), run);
    assert!(!refused.good);
    assert!(refused.errors.contains("kv.blk:64M"), "{refused:?}");

    let (run, store) = start(folder.path(), "data=kv.blk:1M");
    assert_eq!(ask(store, "SET k v\r\nINCR n\r\n", 2), ["+OK", ":1"]);
    // One run at a time.
    let arguments = [
        "run",
        "kv.image",
        "--port",
        "eth0=user",
        "--block",
        "data=kv.blk",
    ];
    let second = sprat(folder.path(), arguments);
    assert!(!second.good);
    assert!(
        second.errors.contains("another run uses the file"),
        "{second:?}"
    );
    run.kill();

    let (run, store) = start(folder.path(), "data=kv.blk");
    assert_eq!(ask(store, "INCR n\r\nGET k\r\n", 3), [":2", "$1", "v"]);
    let ended = run.interrupt();
    assert!(ended.good, "{ended:?}");
    let (run, store) = start(folder.path(), "data=kv.blk");
    assert_eq!(ask(store, "INCR n\r\n", 1), [":3"]);
    run.kill();
}
