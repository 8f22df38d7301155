//! Hosts on both sides of a TCPSYNProxy, by hand after RFC 9293.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::vec::Vec;

use sprat_packet::headers::tcp_flags::{ACK, FIN, PSH, RST, SYN};
use sprat_packet::headers::{Ipv4, Ipv4Fields, Ipv4Mut, Tcp, TcpFields, TcpMut, protocol};

use crate::testing::Bench;

const CLIENT: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 0, 0, 1), 4000);
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 168, 0, 1), 80);

/// What matters of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    sequence: u32,
    acknowledgement: u32,
    flags: u8,
    window: u16,
    /// Bytes of data.
    length: usize,
}

fn seen(sequence: u32, acknowledgement: u32, flags: u8, window: u16, length: usize) -> Seen {
    Seen {
        sequence,
        acknowledgement,
        flags,
        window,
        length,
    }
}

/// An IP packet with options and zeros as data behind the TCP header.
fn packet(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), what: Seen, options: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + options.len() + what.length).expect("short");
    let network = Ipv4Fields {
        type_of_service: 0,
        total_length: 20 + length,
        identification: 1,
        flags_and_offset: 0x4000,
        time_to_live: 64,
        protocol: protocol::TCP,
        source: from.0,
        destination: to.0,
    };
    let transport = TcpFields {
        source_port: from.1,
        destination_port: to.1,
        sequence: what.sequence,
        acknowledgement: what.acknowledgement,
        flags: what.flags,
        window: what.window,
        checksum: 0,
        urgent: 0,
    };
    let mut bytes = network.to_bytes().to_vec();
    bytes.extend(transport.to_bytes());
    bytes.extend(options);
    bytes.resize(usize::from(20 + length), 0);
    let mut ip = Ipv4Mut::new(&mut bytes).expect("a header");
    let pseudo_header = ip.pseudo_header(length);
    let mut tcp = TcpMut::new(ip.payload_mut()).expect("a header");
    let words = u8::try_from(5 + options.len() / 4).expect("few options");
    tcp.set_data_offset_and_reserved(words << 4);
    tcp.fill_checksum(pseudo_header);
    bytes
}

struct Network(Bench);

impl Network {
    fn new(keywords: &str) -> Self {
        // What leaves with a wrong checksum is not seen.
        let check = "CheckIPHeader -> CheckTCPHeader";
        Self(Bench::new(&std::format!(
            "FromDevice(clients) -> CheckIPHeader -> [0] p :: TCPSYNProxy({keywords});
             FromDevice(servers) -> CheckIPHeader -> [1] p;
             p[0] -> {check} -> ToDevice(servers); p[1] -> {check} -> ToDevice(clients)"
        )))
    }

    fn client_sends(&self, what: Seen, options: &[u8]) {
        self.0
            .arrive("clients", &packet(CLIENT, SERVER, what, options));
        self.0.run_for(Duration::from_millis(1));
    }

    fn server_sends(&self, what: Seen, options: &[u8]) {
        self.0
            .arrive("servers", &packet(SERVER, CLIENT, what, options));
        self.0.run_for(Duration::from_millis(1));
    }

    /// What came to a side, and the options of the last.
    fn arrived(&self, device: &str) -> (Vec<Seen>, Vec<u8>) {
        let mut options = Vec::new();
        let sent = self.0.sent(device);
        let segments = sent.iter().map(|packet| {
            let ip = Ipv4::new(packet).expect("a header");
            let tcp = Tcp::new(ip.payload()).expect("a header");
            options = tcp.option_bytes().to_vec();
            seen(
                tcp.sequence(),
                tcp.acknowledgement(),
                tcp.flags(),
                tcp.window(),
                tcp.payload().len(),
            )
        });
        (segments.collect::<Vec<_>>(), options)
    }

    fn to_client(&self) -> Vec<Seen> {
        self.arrived("clients").0
    }

    fn to_server(&self) -> Vec<Seen> {
        self.arrived("servers").0
    }

    /// Sends a SYN; the cookie that comes back.
    fn cookie(&self, initial: u32) -> u32 {
        self.client_sends(seen(initial, 0, SYN, 1000, 0), &[2, 4, 0x05, 0x00]);
        let (answer, options) = self.arrived("clients");
        assert_eq!(answer.len(), 1);
        let cookie = answer[0].sequence;
        assert_eq!(answer[0], seen(cookie, initial + 1, SYN | ACK, 0, 0));
        assert_eq!(options, [2, 4, 0x05, 0xb4], "1460");
        assert_eq!(self.to_server(), []);
        cookie
    }

    /// Opens a connection; the cookie. The server's first number is 9000.
    fn open(&self, initial: u32) -> u32 {
        let cookie = self.cookie(initial);
        self.client_sends(seen(initial + 1, cookie + 1, ACK, 2000, 0), &[]);
        // 1280 was asked for; 1220 is the greatest size below that a cookie can tell.
        let (syn, options) = self.arrived("servers");
        assert_eq!(syn, [seen(initial, 0, SYN, 2000, 0)]);
        assert_eq!(options, [2, 4, 0x04, 0xc4]);
        assert_eq!(self.to_client(), []);
        self.server_sends(seen(9000, initial + 1, SYN | ACK, 3000, 0), &[]);
        assert_eq!(self.to_server(), [seen(initial + 1, 9001, ACK, 2000, 0)]);
        assert_eq!(
            self.to_client(),
            [seen(cookie + 1, initial + 1, ACK, 3000, 0)]
        );
        cookie
    }
}

#[test]
fn a_connection_opens_when_its_client_has_answered_and_numbers_are_shifted_both_ways() {
    let network = Network::new("");
    let cookie = network.open(500);
    network.client_sends(seen(501, cookie + 1, ACK | PSH, 2000, 10), &[]);
    assert_eq!(network.to_server(), [seen(501, 9001, ACK | PSH, 2000, 10)]);
    network.server_sends(seen(9001, 511, ACK, 3000, 20), &[]);
    assert_eq!(network.to_client(), [seen(cookie + 1, 511, ACK, 3000, 20)]);
    assert_eq!(network.0.read("p.size"), "1");
    assert_eq!(network.0.read("p.accepted"), "1");
}

#[test]
fn a_flood_of_syns_is_remembered_nowhere_and_reaches_no_server() {
    let network = Network::new("");
    for initial in 0..1000 {
        network.cookie(initial);
    }
    assert_eq!(network.0.read("p.size"), "0");
    assert_eq!(network.0.read("p.syns"), "1000");
}

#[test]
fn what_acknowledges_no_cookie_is_refused() {
    let network = Network::new("");
    let cookie = network.cookie(500);
    for wrong in [
        seen(501, cookie + 2, ACK, 2000, 0),
        seen(502, cookie + 1, ACK, 2000, 0),
        seen(501, cookie + 1, RST | ACK, 2000, 0),
        seen(501, cookie + 1, 0, 2000, 0),
    ] {
        network.client_sends(wrong, &[]);
    }
    // Too late.
    network.0.run_for(Duration::from_secs(128));
    network.client_sends(seen(501, cookie + 1, ACK, 2000, 0), &[]);
    // And from a server, of a connection that there is not.
    network.server_sends(seen(1, 2, ACK, 3, 0), &[]);
    assert_eq!(
        (network.to_server(), network.to_client()),
        (Vec::new(), Vec::new())
    );
    assert_eq!(network.0.read("p.refused"), "6");
}

#[test]
fn lost_segments_are_sent_again() {
    let network = Network::new("");
    let cookie = network.cookie(500);
    let answer = seen(501, cookie + 1, ACK, 2000, 0);
    network.client_sends(answer, &[]);
    assert_eq!(network.to_server().len(), 1);
    // No SYN from us came to the server; the client asks for a window.
    network.client_sends(answer, &[]);
    assert_eq!(network.to_server(), [seen(500, 0, SYN, 2000, 0)]);
    let accepted = seen(9000, 501, SYN | ACK, 3000, 0);
    network.server_sends(accepted, &[]);
    network.to_server();
    // Nor did our acknowledgement.
    network.server_sends(accepted, &[]);
    assert_eq!(network.to_server()[0].acknowledgement, 9001);
    assert_eq!(network.to_client().len(), 1, "the window, once");
}

#[test]
fn a_server_that_refuses_is_heard_by_the_client() {
    let network = Network::new("");
    let cookie = network.cookie(500);
    network.client_sends(seen(501, cookie + 1, ACK, 2000, 0), &[]);
    // Of another connection: nothing that is there is acknowledged.
    network.server_sends(seen(0, 999, RST | ACK, 0, 0), &[]);
    assert_eq!(network.to_client(), []);
    network.server_sends(seen(0, 501, RST | ACK, 0, 0), &[]);
    assert_eq!(
        network.to_client(),
        [seen(cookie + 1, 501, RST | ACK, 0, 0)]
    );
    assert_eq!(network.0.read("p.size"), "0");
}

#[test]
fn connections_of_servers_pass_as_they_are() {
    let network = Network::new("");
    network.server_sends(seen(7, 0, SYN, 100, 0), &[]);
    assert_eq!(network.to_client(), [seen(7, 0, SYN, 100, 0)]);
    network.client_sends(seen(70, 8, SYN | ACK, 100, 0), &[]);
    assert_eq!(network.to_server(), [seen(70, 8, SYN | ACK, 100, 0)]);
}

#[test]
fn with_no_room_cookies_come_back_in_vain() {
    let network = Network::new("CAPACITY 0");
    let cookie = network.cookie(500);
    network.client_sends(seen(501, cookie + 1, ACK, 2000, 0), &[]);
    network.server_sends(seen(7, 0, SYN, 100, 0), &[]);
    assert_eq!(
        (network.to_server(), network.to_client()),
        (Vec::new(), Vec::new())
    );
    assert_eq!(network.0.read("p.full"), "2");
}

#[test]
fn connections_are_forgotten_when_closed_or_silent() {
    let network = Network::new("");
    let cookie = network.open(500);
    network.client_sends(seen(501, cookie + 1, ACK | FIN, 2000, 0), &[]);
    network.0.run_for(Duration::from_secs(60));
    assert_eq!(network.0.read("p.size"), "1", "half closed");
    network.server_sends(seen(9001, 502, ACK | FIN, 3000, 0), &[]);
    network.0.run_for(Duration::from_secs(60));
    assert_eq!(network.0.read("p.size"), "0");

    let network = Network::new("TIMEOUT 100");
    network.open(500);
    network.0.run_for(Duration::from_secs(90));
    assert_eq!(network.0.read("p.size"), "1");
    network.0.run_for(Duration::from_secs(30));
    assert_eq!(network.0.read("p.size"), "0");
}

#[test]
fn other_protocols_pass_as_they_are() {
    let mut udp = packet(CLIENT, SERVER, seen(1, 2, SYN, 3, 0), &[]);
    udp[9] = protocol::UDP;
    let mut ip = Ipv4Mut::new(&mut udp).expect("a header");
    ip.fill_checksum();
    let bench = Bench::new(
        "FromDevice(in) -> CheckIPHeader -> [0] p :: TCPSYNProxy; Idle -> [1] p;
         p[0] -> ToDevice(out); p[1] -> Discard",
    );
    bench.arrive("in", &udp);
    bench.run();
    assert_eq!(bench.sent("out"), [udp]);
    assert_eq!(bench.read("p.syns"), "0");
}
