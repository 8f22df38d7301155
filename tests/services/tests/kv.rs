//! `examples/kv` as every monitor holds it: what clients see, and what is there after a sudden end.
#![allow(missing_docs)]

#[path = "kv/client.rs"]
mod client;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use client::Client;
use services::{Service, block_device, built, monitors};
use sprat_monitor::{Monitor, MonitorKind};

/// A file of so many zeroes, open to read and write.
fn blank(folder: &Path, length: u64) -> File {
    let path = folder.join("data.blk");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path);
    let file = file.expect("a file");
    file.set_len(length).expect("grown");
    file
}

/// The store over a file.
fn start(monitor: &dyn Monitor, file: &File) -> Service {
    let device = block_device("data", file.try_clone().expect("another handle"));
    Service::start(monitor, &built("kv"), &[], &["tcp/6379"], |_, options| {
        options.devices.push(device);
    })
}

fn connect(service: &Service) -> Client {
    Client::connect(service.address(0))
}

#[test]
fn every_acknowledged_write_is_there_after_the_next_start() {
    for monitor in monitors() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = blank(folder.path(), 1 << 20);
        for round in 0..3 {
            let service = start(&*monitor, &file);
            let mut client = connect(&service);
            assert_eq!(client.ask("INCR rounds"), format!(":{}", round + 1));
            assert_eq!(client.ask("RPUSH list a b"), format!(":{}", 2 * round + 2));
            // Inline and in one piece, as a pipeline.
            client.send(b"SET a 1\r\n*2\r\n$4\r\nINCR\r\n$1\r\na\r\nGET a\r\nQUIT\r\n");
            let answers: Vec<String> = (0..5).map(|_| client.line()).collect();
            assert_eq!(answers, ["+OK", ":2", "$1", "2", "+OK"]);
            assert!(client.is_closed());
        }
    }
}

#[test]
fn clients_that_misbehave_are_told_so_and_others_are_served() {
    let monitor = &monitors()[0];
    let folder = tempfile::tempdir().expect("a folder");
    let service = start(&**monitor, &blank(folder.path(), 16 << 20));
    let mut other = connect(&service);
    assert_eq!(other.ask("PING"), "+PONG");
    for (sent, expected) in [
        (
            &b"*1\r\n$99999999\r\n"[..],
            "-ERR Protocol error: invalid bulk length",
        ),
        (
            b"*99999999\r\n",
            "-ERR Protocol error: invalid multibulk length",
        ),
        (b"*1\r\nGET\r\n", "-ERR Protocol error: expected '$'"),
        // As much as it takes to say so: what nobody reads any more could cost the answer.
        (
            &[b'x'; 65_536],
            "-ERR Protocol error: too big inline request",
        ),
    ] {
        let mut client = connect(&service);
        client.send(sent);
        assert_eq!(client.line(), expected);
        assert!(client.is_closed());
        assert_eq!(other.ask("PING"), "+PONG");
    }
    for (line, expected) in [
        ("NOSUCH a b", "-ERR unknown command 'NOSUCH'"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("SELECT 0", "+OK"),
    ] {
        assert_eq!(other.ask(line), expected);
    }
    // Five long requests that never end: together they would be more than what is set aside.
    let mut halves: Vec<Client> = (0..5).map(|_| connect(&service)).collect();
    for half in &mut halves {
        half.send(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000\r\n");
    }
    assert_eq!(halves[4].line(), "-ERR too much is being sent at once");
    assert_eq!(other.ask("SET k v"), "+OK");
    drop(halves);
    let mut client = connect(&service);
    let value = "v".repeat(3_000_000);
    client.send(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3000000\r\n{value}\r\n").as_bytes());
    assert_eq!(client.line(), "+OK");
    assert_eq!(other.ask("STRLEN k"), ":3000000");
}

#[test]
fn more_clients_than_there_may_be_are_turned_away() {
    let monitor = &monitors()[0];
    let folder = tempfile::tempdir().expect("a folder");
    let service = start(&**monitor, &blank(folder.path(), 1 << 20));
    let mut clients: Vec<Client> = (0..512).map(|_| connect(&service)).collect();
    for client in &mut clients {
        assert_eq!(client.ask("PING"), "+PONG");
    }
    let mut late = connect(&service);
    assert_eq!(late.line(), "-ERR max number of clients reached");
    assert!(late.is_closed());
    drop(clients);
    let mut tries = 0..100;
    let served = tries.any(|_| {
        thread::sleep(Duration::from_millis(50));
        let mut client = connect(&service);
        client.send(b"PING\r\n");
        client.line() == "+PONG"
    });
    assert!(served);
}

#[test]
fn a_torn_tail_is_cut_and_never_served() {
    for monitor in monitors() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut file = blank(folder.path(), 1 << 20);
        let last = "0123456789".repeat(200);
        {
            let service = start(&*monitor, &file);
            let mut client = connect(&service);
            assert_eq!(client.ask("SET first kept"), "+OK");
            assert_eq!(client.ask(&format!("SET last {last}")), "+OK");
        }
        // Of the last write only the first block has come.
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).expect("a place");
        file.read_to_end(&mut bytes).expect("read");
        let at = bytes
            .windows(last.len())
            .position(|bytes| bytes == last.as_bytes());
        let cut = (at.expect("in the log") as u64).next_multiple_of(512);
        file.seek(SeekFrom::Start(cut)).expect("a place");
        file.write_all(&[0; 2048]).expect("written");
        for round in 0..2 {
            let service = start(&*monitor, &file);
            let mut client = connect(&service);
            assert_eq!(client.ask("EXISTS first"), ":1");
            assert_eq!(client.ask("EXISTS last"), ":0");
            let console = service.console();
            let said = console.contains("a write was cut short");
            assert_eq!(said, round == 0, "{console}");
            assert_eq!(client.ask("INCR after"), format!(":{}", round + 1));
        }
    }
}

#[test]
fn a_log_that_fills_up_is_written_anew_and_a_full_one_refuses_and_recovers() {
    let monitor = &monitors()[0];
    let folder = tempfile::tempdir().expect("a folder");
    // Two halves of some 128 KiB.
    let file = blank(folder.path(), 256 << 10);
    let value = "v".repeat(1000);
    {
        let service = start(&**monitor, &file);
        let mut client = connect(&service);
        for number in 0..1000 {
            let line = format!("SET key:{} {number}-{value}", number % 10);
            assert_eq!(client.ask(&line), "+OK", "{number}");
        }
        let mut number = 10;
        let refused = loop {
            match client.ask(&format!("SET key:{number} {value}")).as_str() {
                "+OK" => number += 1,
                other => break other.to_owned(),
            }
        };
        assert!(refused.starts_with("-OOM the log is full"), "{refused}");
        assert!((90..130).contains(&number), "{number}");
        assert_eq!(client.ask("DEL key:11"), ":1");
        assert_eq!(client.ask("FLUSHALL"), "+OK");
        assert_eq!(client.ask(&format!("SET again {value}")), "+OK");
        let info = client.ask("INFO persistence");
        let rewrites = info.split("aof_rewrites:").nth(1).expect("counted");
        let rewrites: u32 = rewrites
            .lines()
            .next()
            .unwrap_or("")
            .parse()
            .expect("a number");
        assert!((8..60).contains(&rewrites), "{rewrites}");
    }
    let service = start(&**monitor, &file);
    let mut client = connect(&service);
    assert_eq!(client.ask("DBSIZE"), ":1");
    assert_eq!(client.ask("STRLEN again"), ":1000");
}

#[test]
fn nothing_is_acknowledged_once_the_device_fails_and_reads_go_on() {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
    let monitor = &monitors()[0];
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    let file = File::from(memfd_create("data", flags).expect("memory"));
    file.set_len(1 << 20).expect("grown");
    let service = start(&**monitor, &file);
    let mut client = connect(&service);
    assert_eq!(client.ask("SET k before"), "+OK");
    // From here on every write fails.
    fcntl_add_seals(&file, SealFlags::WRITE).expect("sealed");
    client.send(b"SET k after\r\n");
    assert!(client.is_closed());
    let mut client = connect(&service);
    assert!(client.ask("SET k later").starts_with("-MISCONF"));
    assert_eq!(client.ask("STRLEN k"), ":5");
    assert!(
        client
            .ask("INFO persistence")
            .contains("aof_last_write_status:err")
    );
}

#[test]
fn a_device_that_holds_something_else_is_left_alone() {
    let monitor = &monitors()[0];
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = blank(folder.path(), 1 << 20);
    file.write_all(b"somebody's letters").expect("written");
    let mut service = start(&**monitor, &file);
    assert_eq!(service.wait(), Some(1));
    assert!(
        service.console().contains("holds something that is no log"),
        "{}",
        service.console()
    );
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("a place");
    file.read_to_end(&mut bytes).expect("read");
    assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 18);
}

/// A process that holds the store.
struct Holder {
    child: Child,
    address: SocketAddr,
}

impl Holder {
    fn start(monitor: MonitorKind, image: &Path, file: &Path) -> Self {
        let kind = if monitor == MonitorKind::Vm {
            "vm"
        } else {
            "process"
        };
        let mut child = Command::new(env!("CARGO_BIN_EXE_hold"))
            .arg(kind)
            .args([image, file])
            .arg("tcp/6379")
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.trim().parse().expect("an address");
        Self { child, address }
    }
}

impl Drop for Holder {
    /// With SIGKILL.
    fn drop(&mut self) {
        self.child.kill().expect("it lived");
        self.child.wait().expect("it is gone");
    }
}

/// Keys of each client.
const KEYS: u64 = 200;

/// Counts on from `count`, and puts each number under one of its keys, until the store is gone; how far
/// it was told to have come.
fn write(address: SocketAddr, name: usize, mut count: u64) -> u64 {
    let mut client = Client::connect(address);
    loop {
        let next = count + 1;
        let key = next % KEYS;
        client.try_send(format!("INCR n:{name}\r\nSET k:{name}:{key} {next}\r\n").as_bytes());
        for expected in [format!(":{next}"), "+OK".into()] {
            match client.try_line() {
                None => return count,
                Some(line) => assert_eq!(line, expected),
            }
        }
        count = next;
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill_at_any_instant() {
    const ROUNDS: u64 = 15;
    const CLIENTS: usize = 4;
    let image = built("kv");
    for monitor in monitors() {
        let folder = tempfile::tempdir().expect("a folder");
        let image_path = folder.path().join("kv.image");
        std::fs::write(&image_path, &image.image).expect("written");
        // Small, so that it is also killed while it writes the log anew.
        blank(folder.path(), 160 << 10);
        let path = folder.path().join("data.blk");
        let mut counts = [0_u64; CLIENTS];
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..ROUNDS {
            let holder = Holder::start(monitor.kind(), &image_path, &path);
            let address = holder.address;
            // What was promised is there, and at most one change more of each client.
            let mut client = Client::connect(address);
            for (name, count) in counts.iter_mut().enumerate() {
                let there = client.ask(&format!("GET n:{name}")).parse().unwrap_or(0);
                assert!(
                    there == *count || there == *count + 1,
                    "round {round}: {there} {count}"
                );
                // The next number, which may be there, takes the place of the earliest.
                for number in count.saturating_sub(KEYS - 2).max(1)..=*count {
                    let found = client.ask(&format!("GET k:{name}:{}", number % KEYS));
                    assert_eq!(found, number.to_string(), "round {round}");
                }
                // Of the change that nobody was told of, one half may be missing.
                let key = there % KEYS;
                let set = client.ask(&format!("SET k:{name}:{key} {there}"));
                assert_eq!(set, "+OK");
                *count = there;
            }
            let writers = counts
                .iter()
                .copied()
                .enumerate()
                .map(|(name, count)| thread::spawn(move || write(address, name, count)));
            let writers: Vec<_> = writers.collect();
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            thread::sleep(Duration::from_micros(2_000 + random % 300_000));
            drop(holder);
            for (count, writer) in counts.iter_mut().zip(writers) {
                *count = writer.join().expect("no panic");
            }
        }
        let total: u64 = counts.iter().sum();
        println!(
            "{:?}: {total} changes survived {ROUNDS} kills",
            monitor.kind()
        );
        assert!(total > ROUNDS);
    }
}

/// What a program says about the store; none where there is no such program.
fn tool(program: &str, address: SocketAddr, arguments: &[&str], input: &str) -> Option<String> {
    let mut child = Command::new(program)
        .args(["-h", "127.0.0.1", "-p", &address.port().to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    Some(text)
}

#[test]
fn redis_cli_understands_every_answer() {
    for monitor in monitors() {
        let folder = tempfile::tempdir().expect("a folder");
        let service = start(&*monitor, &blank(folder.path(), 4 << 20));
        let address = service.address(0);
        let lines = "SET greeting 'hello world'\nGET greeting\nGET none\nINCR n\nRPUSH l a b c\n\
                     LRANGE l 0 -1\nHSET h f 1 g 2\nHGETALL h\nSADD s x\nSMEMBERS s\nTTL n\nLPUSH n x\n";
        let Some(answer) = tool("redis-cli", address, &["--no-raw"], lines) else {
            eprintln!("skipped: needs redis-cli");
            return;
        };
        let expected = "OK\n\"hello world\"\n(nil)\n(integer) 1\n(integer) 3\n1) \"a\"\n2) \"b\"\n3) \"c\"\n\
                        (integer) 2\n1) \"f\"\n2) \"1\"\n3) \"g\"\n4) \"2\"\n(integer) 1\n1) \"x\"\n\
                        (integer) -1\n(error) WRONGTYPE Operation against a key holding the wrong kind of value\n";
        assert_eq!(answer.replace("\n\n", "\n"), expected);
        // Mass insertion (its own protocol over a pipeline), then a walk over all keys.
        let mass: String = (0..2000)
            .map(|number| format!("SET mass:{number} {number}\r\n"))
            .collect();
        let answer = tool("redis-cli", address, &["--pipe"], &mass).expect("it was there");
        assert!(answer.contains("errors: 0, replies: 2000"), "{answer}");
        let keys = tool("redis-cli", address, &["--scan", "--pattern", "mass:*"], "");
        assert_eq!(keys.expect("it was there").lines().count(), 2000);
        let answer = tool("redis-cli", address, &["DBSIZE"], "").expect("it was there");
        assert_eq!(answer, "2005\n");
    }
}

#[test]
fn redis_benchmark_runs_through() {
    for monitor in monitors() {
        let folder = tempfile::tempdir().expect("a folder");
        let service = start(&*monitor, &blank(folder.path(), 64 << 20));
        let tests = "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,lrange_100,mset";
        let arguments = [
            "-q", "--csv", "-n", "2000", "-c", "20", "-P", "4", "-r", "100", "-t", tests,
        ];
        let Some(table) = tool("redis-benchmark", service.address(0), &arguments, "") else {
            eprintln!("skipped: needs redis-benchmark");
            return;
        };
        // A line for each test, with its name and requests a second first; PING has two.
        let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('"')).collect();
        assert!(rows.len() >= 13, "{table}");
        assert!(!table.contains("ERR"), "{table}");
        let mut client = connect(&service);
        let info = client.ask("INFO persistence");
        assert!(info.contains("aof_last_write_status:ok"), "{info}");
    }
}
