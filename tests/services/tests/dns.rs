//! `examples/dns` as every monitor holds it, asked by `dig` and by hand.
#![allow(missing_docs)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use services::{Service, built, input_file, monitors};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

/// Asks for the address of www.example.test. (RFC 1035, section 4.1).
const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\x04test\0\0\x01\0\x01";

/// The answer's records: the name by pointer, A, IN, 300 s, 192.0.2.80.
const RECORD: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x50";

/// What comes back for a datagram.
fn ask(address: SocketAddr, question: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(PATIENCE).expect("a timeout");
    socket.send_to(question, address).expect("sent");
    let mut answer = vec![0; 2048];
    let length = socket.recv(&mut answer).expect("an answer");
    answer.truncate(length);
    answer
}

fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("an answer");
    bytes
}

#[test]
fn a_granted_zone_is_answered_for_instead() {
    let image = built("dns");
    let zone = concat!(
        "$ORIGIN example.test.\n",
        "@ 300 IN SOA ns hostmaster 1 1 1 1 1\n",
        "www 300 IN A 198.51.100.7\n",
    );
    for monitor in monitors() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(zone.as_bytes()).expect("written");
        let parameters = [("zone", "other.zone")];
        let service = Service::start(&*monitor, &image, &parameters, &["udp/53"], |_, options| {
            options.devices.push(input_file("other.zone", file));
        });
        let answer = ask(service.address(0), QUESTION);
        assert!(answer.ends_with(&[198, 51, 100, 7]), "{answer:?}");
    }
}

#[test]
fn the_name_server_answers_over_udp_and_tcp() {
    let image = built("dns");
    for monitor in monitors() {
        let service = Service::start(&*monitor, &image, &[], &["udp/53", "tcp/53"], |_, _| {});
        let expected = [
            b"\x12\x34\x85\x00\0\x01\0\x01\0\0\0\0",
            &QUESTION[12..],
            RECORD,
        ]
        .concat();
        assert_eq!(ask(service.address(0), QUESTION), expected);

        // Two questions at once, the second in pieces (RFC 7766, section 8).
        let mut stream = TcpStream::connect(service.address(1)).expect("published");
        stream.set_read_timeout(PATIENCE).expect("a timeout");
        let length = u16::try_from(QUESTION.len()).expect("short").to_be_bytes();
        let asked = [&length[..], QUESTION, &length[..], &QUESTION[..5]].concat();
        stream.write_all(&asked).expect("written");
        let length = u16::try_from(expected.len()).expect("short").to_be_bytes();
        let whole = [&length[..], &expected[..]].concat();
        assert_eq!(read(&mut stream, whole.len()), whole);
        stream.write_all(&QUESTION[5..]).expect("written");
        assert_eq!(read(&mut stream, whole.len()), whole);

        // Bytes that are no question get no answer, and the next question does.
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.send_to(b"x", service.address(0)).expect("sent");
        assert_eq!(ask(service.address(0), QUESTION), expected);
        let metrics = service.ask("os.metrics", None).expect("text");
        for line in [
            "dns_tcp_questions_total 2\n",
            "dns_udp_questions_total 3\n",
            "dns_refused_total 1\n",
        ] {
            assert!(metrics.contains(line), "{metrics}");
        }
    }
}

/// What `dig` prints with these arguments; none where there is no `dig`.
fn dig(address: SocketAddr, arguments: &str) -> Option<String> {
    let output = Command::new("dig")
        .args(["@127.0.0.1", "-p", &address.port().to_string()])
        .args(arguments.split(' '))
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{arguments}: {text}");
    Some(text)
}

#[test]
fn dig_understands_every_answer() {
    let image = built("dns");
    for monitor in monitors() {
        let service = Service::start(&*monitor, &image, &[], &["udp/53", "tcp/53"], |_, _| {});
        let (udp, tcp) = (service.address(0), service.address(1));
        for (arguments, expected) in [
            ("+short www.example.test A", "192.0.2.80\n"),
            ("+short www.example.test AAAA", "2001:db8::80\n"),
            (
                "+short web.example.test A",
                "www.example.test.\n192.0.2.80\n",
            ),
            (
                "+short example.test SOA",
                "ns1.example.test. hostmaster.example.test. 2026010101 14400 900 691200 300\n",
            ),
            ("+short example.test MX", "10 mail.example.test.\n"),
            ("+short example.test CAA", "0 issue \"ca.example.net\"\n"),
            (
                "+short a.deep.one.example.test TXT",
                "\"behind\" \"empty \\\"names\\\"\"\n",
            ),
            (
                "+short _dns._udp.example.test SRV",
                "0 5 53 ns1.example.test.\n",
            ),
            ("+short x.wild.example.test A", "192.0.2.99\n"),
            ("+short new-kind.example.test TYPE65280", "\\# 4 0A000001\n"),
        ] {
            let Some(answer) = dig(udp, arguments) else {
                eprintln!("skipped: needs dig");
                return;
            };
            assert_eq!(answer, expected, "{arguments}");
            assert_eq!(dig(tcp, &format!("+tcp {arguments}")), Some(answer));
        }
        for (arguments, expected) in [
            ("none.example.test A", "status: NXDOMAIN"),
            ("example.org A", "status: REFUSED"),
            ("host.sub.example.test A", "ns.sub.example.test."),
            ("+edns=1 +noednsneg www.example.test A", "BADVERS"),
            (
                "+ignore +noedns long.example.test TXT",
                "flags: qr aa tc rd",
            ),
            ("+bufsize=1232 long.example.test TXT", "ANSWER: 3"),
        ] {
            let answer = dig(udp, arguments).expect("dig was there");
            assert!(answer.contains(expected), "{arguments}: {answer}");
        }
    }
}

const SIGNED: [(&str, &str); 2] = [
    (
        "nsec.zone",
        include_str!("../../../examples/dns/signed/nsec.zone"),
    ),
    (
        "optout.zone",
        include_str!("../../../examples/dns/signed/optout.zone"),
    ),
];

/// The key that they are signed with, as `delv` reads it.
const ANCHOR: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/dns/signed/anchor"
);

#[test]
fn what_signed_zones_say_or_deny_is_validated() {
    let image = built("dns");
    for monitor in monitors() {
        for (name, zone) in SIGNED {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(zone.as_bytes()).expect("written");
            let published = ["udp/53", "tcp/53"];
            let parameters = [("zone", name)];
            let service =
                Service::start(&*monitor, &image, &parameters, &published, |_, options| {
                    options.devices.push(input_file(name, file));
                });
            for (question, expected) in [
                ("example.test DNSKEY", "; fully validated"),
                ("www.example.test A", "; fully validated"),
                ("web.example.test A", "; fully validated"),
                ("safe.example.test DS", "; fully validated"),
                (
                    "none.example.test A",
                    "; negative response, fully validated",
                ),
                (
                    "x.wild.example.test TXT",
                    "; negative response, fully validated",
                ),
                ("one.example.test A", "; negative response, fully validated"),
                (
                    "www.example.test MX",
                    "; negative response, fully validated",
                ),
                (
                    "sub.example.test DS",
                    "; negative response, fully validated",
                ),
                (
                    "cut.below.example.test DS",
                    "; negative response, fully validated",
                ),
            ] {
                // It asks again over TCP, by the same number, where a datagram is too short.
                let port = service.address(0).port().to_string();
                let output = Command::new("delv")
                    .args(["-4", "@127.0.0.1", "-p", &port, "-a", ANCHOR])
                    .arg("+root=example.test")
                    .args(question.split(' '))
                    .output();
                let Ok(output) = output else {
                    eprintln!("skipped: needs delv");
                    return;
                };
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(text.contains(expected), "{name} {question}: {text}");
            }
        }
    }
}
