//! The smallest service with a network, as every monitor holds it.
#![allow(missing_docs)]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use services::{Service, built, monitors};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

fn exchange(address: std::net::SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).expect("published");
    stream.set_read_timeout(PATIENCE).expect("a timeout");
    stream.write_all(bytes).expect("written");
    stream.shutdown(Shutdown::Write).expect("shut down");
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("read");
    back
}

#[test]
fn echo_answers_over_tcp_and_udp_and_shows_its_inside() {
    let image = built("echo");
    for monitor in monitors() {
        let service = Service::start(&*monitor, &image, &[], &["tcp/7", "udp/7"], |_, _| {});
        let text = "sealed ".repeat(500);
        assert_eq!(
            exchange(service.address(0), text.as_bytes()),
            text.as_bytes()
        );
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(PATIENCE).expect("a timeout");
        socket.send_to(b"ping", service.address(1)).expect("sent");
        let mut buffer = [0; 10];
        assert_eq!(socket.recv(&mut buffer).expect("an answer"), 4);
        assert_eq!(&buffer[..4], b"ping");

        let tasks = service.ask("os.tasks", None).expect("a list");
        assert!(tasks.contains("images/echo/src/main.rs:"), "{tasks}");
        let waits = |line: &str, what: &str| line.ends_with(&format!("\t{what}"));
        for (task, what) in [
            ("eth0\t", "frames, sockets and timers"),
            ("main\t", "a connection"),
            ("images/echo/src/main.rs:", "a datagram"),
        ] {
            let known = |line: &str| line.starts_with(task) && waits(line, what);
            assert!(tasks.lines().any(known), "{task} {what} in {tasks}");
        }
        let metrics = service.ask("os.metrics", None).expect("text");
        assert!(
            metrics.contains("network_accepted{device=\"eth0\"} 1\n"),
            "{metrics}"
        );
        // What is logged changes while it runs.
        assert!(!service.console().contains("DEBUG"));
        assert_eq!(service.ask("os.log", None), Ok("info\n".into()));
        service.ask("os.log", Some(b"debug")).expect("a level");
        exchange(service.address(0), b"x");
        assert!(service.console().contains("DEBUG echo: connection from"));
        assert!(service.ask("os.log", Some(b"loud")).is_err());
        assert!(service.ask("os.none", None).is_err());
        assert!(service.ask("os.tasks", Some(b"x")).is_err());
    }
}

#[test]
fn echo_greets_a_host_of_the_hosts_network() {
    let image = built("echo");
    for monitor in monitors() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let greet = format!("10.0.2.2:{port}");
        let _service = Service::start(
            &*monitor,
            &image,
            &[("greet", greet.as_str())],
            &["tcp/7"],
            |user, _| user.loopback = true,
        );
        let (mut stream, _) = listener.accept().expect("greeted");
        stream.set_read_timeout(PATIENCE).expect("a timeout");
        let mut words = [0; 6];
        stream.read_exact(&mut words).expect("words");
        assert_eq!(&words, b"hello\n");
    }
}

#[test]
fn what_is_wrong_with_the_network_parameters_is_named() {
    let image = built("echo");
    for monitor in monitors() {
        for (name, value, words) in [
            (
                "ip",
                "10.0.0.1",
                "parameter 'ip' is '10.0.0.1': expected dhcp, off, or an IPv4 address",
            ),
            (
                "ip",
                "2001:db8::1/64",
                "such as 10.0.0.2/24; this image carries no IPv6",
            ),
            ("ip", "10.0.0.1/33", "parameter 'ip' is '10.0.0.1/33'"),
            (
                "dns",
                "ns1",
                "parameter 'dns' is 'ns1': expected addresses of name servers",
            ),
        ] {
            let mut service = Service::start(&*monitor, &image, &[(name, value)], &[], |_, _| {});
            assert_eq!(service.wait(), Some(1));
            let console = service.console();
            assert!(console.contains(words), "{console}");
        }
    }
}
