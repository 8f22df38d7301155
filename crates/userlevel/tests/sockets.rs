//! Elements that speak through the system's sockets, with programs at the other end.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use sprat_click::Router;
use sprat_click::driver::Driver;
use sprat_click::language::{NoLibraries, parser};
use sprat_click::router::Builder;
use sprat_packet::Pool;
use sprat_userlevel::{Process, ProcessOptions};

/// A running router and its process.
struct Running {
    process: Rc<Process>,
    driver: Driver,
}

/// Sets up a router that stops by itself after some seconds.
fn start(text: &str) -> Result<Running, String> {
    let process = Process::new(ProcessOptions::default());
    let builder = Builder::new(
        sprat_elements::library(),
        process.clone(),
        Pool::growing(),
        parser(Rc::new(NoLibraries), Vec::new()),
    );
    let text = format!("{text}; Script(wait 10s, stop)");
    let (router, _) = Rc::new(builder)
        .build(&text, "config")
        .map_err(|error| error.diagnostics.to_string())?;
    Ok(Running {
        process,
        driver: Driver::new(router),
    })
}

impl Running {
    fn read(&self, handler: &str) -> String {
        let router: &Router = self.driver.router();
        router.read(handler, "").expect("a handler")
    }

    /// Runs until the driver stops; what the handlers say then.
    fn run<const N: usize>(mut self, handlers: [&str; N]) -> [String; N] {
        self.process.run(&mut self.driver);
        let said = handlers.map(|handler| self.read(handler));
        drop(self.driver.finish());
        said
    }
}

#[test]
fn a_tcp_server_echoes_one_client_after_the_other() {
    let running = start("s :: Socket(TCP, 127.0.0.1, 0) -> c :: Counter(COUNT_CALL 2 stop) -> s")
        .expect("a right configuration");
    let port: u16 = running.read("s.port").parse().expect("a port");
    let client = thread::spawn(move || {
        for text in [b"first", b"other"] {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
            stream.write_all(text).expect("room");
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).expect("an answer");
            assert_eq!(&answer, text);
        }
    });
    assert_eq!(running.run(["c.byte_count"]), ["10"]);
    client.join().expect("both answers");
}

#[test]
fn a_tcp_client_sends_what_it_pulls() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the end");
        bytes
    });
    let running = start(&format!(
        "InfiniteSource(DATA \"abc\", LIMIT 100, BURST 7) -> Queue(200)
         -> Socket(TCP, 127.0.0.1, {port}); Script(wait 0.3s, stop)"
    ));
    let [] = running.expect("a right configuration").run([]);
    assert_eq!(server.join().expect("a server"), b"abc".repeat(100));
}

#[test]
fn udp_answers_whoever_spoke_last_and_refuses_whom_it_is_told() {
    let port = {
        let free = UdpSocket::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("bound").port()
    };
    let running = start(&format!(
        "allow :: RadixIPLookup(127.0.0.1 0); deny :: RadixIPLookup(0.0.0.0/0 0);
         Idle -> allow -> Discard; Idle -> deny -> Discard;
         s :: Socket(UDP, 127.0.0.1, {port}, ALLOW allow, DENY deny)
         -> c :: Counter(COUNT_CALL 2 stop) -> s"
    ))
    .expect("a right configuration");
    let client = thread::spawn(move || {
        let refused = UdpSocket::bind("127.0.0.9:0").expect("loopback");
        refused
            .send_to(b"nobody", ("127.0.0.1", port))
            .expect("sent");
        for text in [b"one", b"two"] {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback");
            socket.send_to(text, ("127.0.0.1", port)).expect("sent");
            socket
                .set_read_timeout(Some(Duration::from_secs(5)))
                .expect("a socket");
            let mut answer = [0; 8];
            let count = socket.recv(&mut answer).expect("an answer");
            assert_eq!(&answer[..count], text);
        }
    });
    assert_eq!(running.run(["c.byte_count", "s.drops"]), ["6", "1"]);
    client.join().expect("both answers");
}

#[test]
fn datagrams_go_where_their_annotation_says() {
    let server = UdpSocket::bind("127.0.0.2:0").expect("loopback");
    let port = server.local_addr().expect("bound").port();
    let running = start(&format!(
        "InfiniteSource(DATA \"hi\", LIMIT 1) -> SetIPAddress(127.0.0.2)
         -> Socket(UDP, 0.0.0.0, {port}, CLIENT true); Script(wait 0.1s, stop)"
    ));
    let [] = running.expect("a right configuration").run([]);
    let mut bytes = [0; 8];
    assert_eq!(server.recv(&mut bytes).expect("a datagram"), 2);
}

#[test]
fn members_of_a_group_hear_each_other() {
    let port = {
        let free = UdpSocket::bind("127.0.0.1:0").expect("a port");
        free.local_addr().expect("bound").port()
    };
    let running = start(&format!(
        "InfiniteSource(DATA \"hello\", LIMIT 3) -> McastSocket(239.255.3.9, {port}, 127.0.0.1)
         -> own :: Counter -> Discard;
         Idle -> McastSocket(239.255.3.9, {port}, 127.0.0.1)
         -> c :: Counter(COUNT_CALL 3 stop) -> Discard;"
    ));
    assert_eq!(
        running
            .expect("a right configuration")
            .run(["c.byte_count", "own.count"]),
        ["15", "0"]
    );
}

#[test]
fn a_raw_socket_hears_the_packets_of_its_port_and_sends_whole_ones() {
    let (one, other) = (
        UdpSocket::bind("127.0.0.1:0").expect("loopback"),
        UdpSocket::bind("127.0.0.1:0").expect("loopback"),
    );
    let port = |socket: &UdpSocket| socket.local_addr().expect("bound").port();
    let (from, to) = (port(&one), port(&other));
    // What it sends to the one port it does not hear at the other.
    let running = start(&format!(
        "InfiniteSource(DATA \"hello\", LIMIT 1)
           -> UDPIPEncap(127.0.0.1, {from}, 127.0.0.1, {to}) -> Queue
           -> s :: RawSocket(UDP, {from}) -> CheckIPHeader -> c :: Counter(COUNT_CALL 1 stop)
           -> Strip(28) -> Print(heard, CONTENTS ASCII) -> Discard"
    ));
    let running = match running {
        Err(error) if error.contains("raw socket: Operation not permitted") => {
            println!("skipped: needs CAP_NET_RAW");
            return;
        }
        running => running.expect("a right configuration"),
    };
    let answers = thread::spawn(move || {
        let mut bytes = [0; 16];
        let (count, sender) = other.recv_from(&mut bytes).expect("a datagram");
        assert_eq!(&bytes[..count], b"hello");
        other.send_to(b"answer", sender).expect("room");
    });
    assert_eq!(running.run(["c.byte_count", "s.drops"])[0], "34");
    answers.join().expect("an answer");
    drop(one);
}

#[test]
fn what_elements_say_reaches_whoever_listens() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("chatter");
    let running = start(&format!(
        "ChatterSocket(UNIX, {});
         s :: RatedSource(DATA x, LIMIT 1, ACTIVE false) -> Print(hello) -> Discard;
         Script(wait 0.3s, write s.active true, wait 0.2s, stop)",
        path.display()
    ));
    let client = thread::spawn(move || {
        let mut stream = UnixStream::connect(path).expect("a socket");
        let mut heard = String::new();
        stream.read_to_string(&mut heard).expect("the end");
        heard
    });
    let [] = running.expect("a right configuration").run([]);
    let heard = client.join().expect("a listener");
    assert!(heard.starts_with("Click::ChatterSocket/1.0\r\n"), "{heard}");
    assert!(heard.contains("hello:    1 | 78"), "{heard}");
}

#[test]
fn what_is_wrong_with_a_socket_is_said() {
    for (text, wrong) in [
        (
            "Socket(SCTP, 1.2.3.4, 5) -> Discard",
            "unknown socket type 'SCTP'",
        ),
        (
            "Socket(TCP, 127.0.0.1, 0, DENY q) -> Discard; q :: Queue; Idle -> q -> Idle",
            "DENY: 'q' is not an IPRouteTable",
        ),
        (
            "McastSocket(10.0.0.1, 5) -> Discard",
            "MCASTIP must be a multicast address",
        ),
        (
            "Socket(UNIX, /nowhere/at/all) -> Discard",
            "/nowhere/at/all: No such file",
        ),
    ] {
        let error = start(text).err().expect("an error");
        assert!(error.contains(wrong), "{error}");
    }
}
