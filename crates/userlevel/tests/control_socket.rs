//! Talking to a running router over its control socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use sprat_click::driver::Driver;
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::{Builder, Router};
use sprat_packet::Pool;
use sprat_userlevel::{ControlAddress, Process, ProcessOptions, with_control_sockets};

/// Runs a router, sends `commands` to its control socket in one piece, and returns the answers.
/// The last command has to stop the router, which is given up after some seconds.
fn talk(text: &str, commands: &'static [u8]) -> String {
    talk_to("click_driver@@ControlSocket", text, commands)
}

/// The same, with one of several control sockets.
fn talk_to(socket: &str, text: &str, commands: &'static [u8]) -> String {
    let process = Process::new(ProcessOptions::default());
    let router = router(text, ControlAddress::Port("41950+".into()), &process);
    let port = router
        .read(&format!("{socket}.port"), "")
        .expect("a working socket");
    let port: u16 = port.parse().expect("a working socket");
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a working socket");
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .expect("a working socket");
        stream.write_all(commands).expect("a working socket");
        let mut answers = String::new();
        stream
            .read_to_string(&mut answers)
            .expect("a working socket");
        answers
    });
    let mut driver = Driver::new(router);
    process.run(&mut driver);
    drop(driver.finish());
    client.join().expect("a client that ends")
}

/// A router with a control socket.
fn router(text: &str, socket: ControlAddress, process: &Rc<Process>) -> Router {
    let parse = parser(Rc::new(NoLibraries), Vec::new());
    let builder = Builder::new(
        sprat_elements::library(),
        process.clone(),
        Pool::growing(),
        with_control_sockets(parse, vec![socket]),
    );
    let text = format!("{text}; Script(wait 5s, stop)");
    let built = Rc::new(builder.hot_swap(true)).build(&text, "config");
    let (router, _) = built.unwrap_or_else(|error| panic!("{}", error.diagnostics));
    router
}

const CONFIGURATION: &str = "Idle -> s :: Switch(0) -> Idle; s[1] -> Idle";

// The protocol is that of Click's manual page ControlSocket(n).
#[test]
fn handlers_are_read_and_written() {
    let answers = talk(
        CONFIGURATION,
        b"read s.config\r\nWRITE s.switch 1\nREAD s.switch\rcheckread s.switch\nREAD x.y\n\
          READ s.none\nREAD stop\nWRITE s.config 0, 1\nfrobnicate\nREAD\nWRITE stop\n",
    );
    let expected = "Click::ControlSocket/1.3\r
200 Read handler 's.config' OK\r
DATA 1\r
0200 Write handler 's.switch' OK\r
200 Read handler 's.switch' OK\r
DATA 1\r
1200 Read handler 's.switch' OK\r
510 No element named 'x'\r
511 No handler named 's.none'\r
530 Handler 'stop' write-only\r
520-Write handler 's.config' error:\r
520 too many arguments\r
501 Command 'FROBNICATE' unimplemented\r
500 Wrong number of arguments\r
200 Write handler 'stop' OK\r
";
    assert_eq!(answers, expected);
}

#[test]
fn data_may_hold_anything_and_come_by_length_or_by_lines() {
    let answers = talk(
        "i :: InfiniteSource(ACTIVE false) -> Discard",
        b"WRITEDATA i.data 6\r\n\"a\r\nb\"WRITEUNTIL i.limit END\r\n5\r\nEND\r\nREAD i.limit\n\
          READ i.data\nWRITEDATA i.data x\nWRITE stop\n",
    );
    let expected = "Click::ControlSocket/1.3\r
200 Write handler 'i.data' OK\r
200 Write handler 'i.limit' OK\r
200 Read handler 'i.limit' OK\r
DATA 1\r
5200 Read handler 'i.data' OK\r
DATA 6\r
\"a\r
b\"500 Syntax error in 'WRITEDATA'\r
200 Write handler 'stop' OK\r
";
    assert_eq!(answers, expected);
}

#[test]
fn what_scripts_complain_of_goes_to_the_client_that_called_them() {
    let answers = talk(
        "s :: Script(TYPE PASSIVE, printn $(nope.x), return 5);
         w :: Script(TYPE PASSIVE, write s.run 1, errorq \"no\");
         i :: InfiniteSource(LIMIT 0) -> Discard",
        b"READ s.cat /etc/hosts\nCHECKREAD s.cat\nREAD s.run\nWRITE w.run\nREAD i.limit 5\n\
          WRITE i.tickets 0\nREAD .driver\nWRITE stop\n",
    );
    let expected = "Click::ControlSocket/1.3\r
511 No handler named 's.cat'\r
511 No handler named 's.cat'\r
590-Read handler 's.run' error:\r
590 no element named 'nope'\r
520-Write handler 'w.run' error:\r
520-While calling 's.run 1':\r
520-  no element named 'nope'\r
520 no\r
590-Read handler 'i.limit' error:\r
590 read handler 'i.limit' does not take parameters\r
220-Write handler 'i.tickets' OK with warnings:\r
220 warning: tickets pinned at 1\r
200 Read handler '.driver' OK\r
DATA 9\r
userlevel200 Write handler 'stop' OK\r
";
    assert_eq!(answers, expected);
}

#[test]
fn a_proxy_answers_for_all_handlers() {
    let scripts = "p :: Script(TYPE PROXY, goto end $(eq $0 stop), return \"$0:$args\");
        c :: ControlSocket(TCP, 41970+, PROXY p); i :: Idle; Script(wait 50ms, stop)";
    let answers = talk_to(
        "c",
        scripts,
        b"READ 0.driver a\nREAD x.y\nCHECKREAD z\nWRITE x.y 1\n",
    );
    let expected = "Click::ControlSocket/1.3\r
200 Read handler '0.driver' OK\r
DATA 10\r
\"driver:a\"200 Read handler 'x.y' OK\r
DATA 6\r
\"x.y:\"200 Read handler 'z' OK\r
200 Write handler 'x.y' OK\r
";
    assert_eq!(answers, expected);
    let text = "q :: Idle; c :: ControlSocket(TCP, 41970+, PROXY q); Script(wait 50ms, stop)";
    let answers = talk_to("c", text, b"READ 0.driver\nREAD class\n");
    let expected = "Click::ControlSocket/1.3\r
511 No proxied handler named '0.driver'\r
200 Read handler 'class' OK\r
DATA 4\r
Idle";
    assert_eq!(answers, expected);
}

#[test]
fn a_connection_may_be_there_before_the_router() {
    let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let process = Process::new(ProcessOptions::default());
    let socket = ControlAddress::Descriptor(theirs.as_raw_fd());
    let router = router("Idle", socket, &process);
    drop(theirs);
    ours.write_all(b"READ driver\nWRITE stop\n")
        .expect("a working socket");
    let mut driver = Driver::new(router);
    process.run(&mut driver);
    drop(driver.finish());
    let mut answers = String::new();
    ours.read_to_string(&mut answers).expect("a working socket");
    let expected = "Click::ControlSocket/1.3\r
200 Read handler 'driver' OK\r
DATA 9\r
userlevel200 Write handler 'stop' OK\r
";
    assert_eq!(answers, expected);
}

#[test]
fn no_element_has_llrpcs() {
    let answers = talk(
        "i :: Idle",
        b"LLRPC\nLLRPC i#1\nLLRPC i#80040001\nLLRPC i#zz 3\nabcLLRPC x#1\nLLRPC i#1 y\n\
          WRITE stop\n",
    );
    let expected = "Click::ControlSocket/1.3\r
500 Wrong number of arguments\r
501 Cannot call LLRPC 'i#1' remotely\r
540 LLRPC 'i#80040001' error: Invalid argument\r
500 Syntax error in LLRPC name 'i#zz'\r
510 No element named 'x'\r
500 Syntax error in 'llrpc'\r
200 Write handler 'stop' OK\r
";
    assert_eq!(answers, expected);
}

#[test]
fn a_client_stays_connected_when_the_configuration_is_replaced() {
    let answers = talk(
        CONFIGURATION,
        b"WRITE hotconfig Idle -> s :: Switch(1) -> Idle; s[1] -> Idle\nREAD s.config\n\
          WRITE hotconfig Discard\nREAD s.config\nWRITE stop\n",
    );
    let expected = "Click::ControlSocket/1.3\r
200 Write handler 'hotconfig' OK\r
200 Read handler 's.config' OK\r
DATA 1\r
1520-Write handler 'hotconfig' error:\r
520-config:1: 'Discard@1 :: Discard' input 0 unused\r
520 Router could not be initialized!\r
200 Read handler 's.config' OK\r
DATA 1\r
1200 Write handler 'stop' OK\r
";
    assert_eq!(answers, expected);
}

#[test]
fn a_capture_goes_on_when_the_configuration_is_replaced() {
    let path = std::env::temp_dir().join(format!("sprat-goes-on-{}.pcap", std::process::id()));
    let text = format!(
        "InfiniteSource(LENGTH 60, LIMIT 1) -> out :: ToDump({})",
        path.display()
    );
    let mut commands = format!(
        "WRITE hotconfig {}\n",
        text.replace("InfiniteSource", "b :: InfiniteSource")
    );
    commands.push_str("READ b.count\nWRITE stop\n");
    talk(&text, commands.leak().as_bytes());
    let length = std::fs::metadata(&path).expect("a capture").len();
    std::fs::remove_file(&path).expect("a capture");
    // One header, and a packet of either configuration.
    assert_eq!(length, 24 + 2 * (16 + 60));
}

#[test]
fn a_configuration_that_a_script_writes_last_runs_and_the_old_one_writes_out_its_files() {
    let path = |name: &str| {
        let name = format!("sprat-{name}-{}", std::process::id());
        std::env::temp_dir().join(name).display().to_string()
    };
    let (old, new) = (path("written-last-old"), path("written-last-new"));
    let text = format!(
        "InfiniteSource(LIMIT 1, STOP true) -> ToIPSummaryDump({old}, FIELDS count, HEADER false);
         DriverManager(pause, write hotconfig DriverManager(print >{new} 1))"
    );
    let process = Process::new(ProcessOptions::default());
    let router = router(&text, ControlAddress::Port("41960+".into()), &process);
    let mut driver = Driver::new(router);
    process.run(&mut driver);
    drop(driver.finish());
    let written = [old, new].map(|path| {
        let text = std::fs::read_to_string(&path).expect("a file");
        std::fs::remove_file(&path).expect("a file");
        text
    });
    assert_eq!(written, ["1\n"; 2]);
}
