//! The TCP and UDP elements on packets made by hand.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::format;
use std::vec::Vec;

use sprat_packet::headers::{
    Ipv4, Ipv4Fields, Ipv4Mut, TcpFields, TcpMut, Udp, UdpFields, UdpMut, protocol, tcp_flags,
};

use crate::testing::Bench;

/// Long enough for all that is there to pass; a device polls each simulated microsecond.
const MOMENT: Duration = Duration::from_micros(20);

fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let fields = Ipv4Fields {
        type_of_service: 0,
        total_length: u16::try_from(20 + payload.len()).unwrap(),
        identification: 7,
        flags_and_offset: 0,
        time_to_live: 64,
        protocol,
        source: Ipv4Addr::new(10, 0, 0, 1),
        destination: Ipv4Addr::new(192, 0, 2, 7),
    };
    [&fields.to_bytes()[..], payload].concat()
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let head = UdpFields {
        source_port: 5,
        destination_port: 53,
        length,
        checksum: 0,
    }
    .to_bytes();
    let mut bytes = packet(protocol::UDP, &[&head[..], payload].concat());
    let mut ip = Ipv4Mut::new(&mut bytes).unwrap();
    let pseudo_header = ip.pseudo_header(length);
    UdpMut::new(ip.payload_mut())
        .unwrap()
        .fill_checksum(pseudo_header);
    bytes
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    let head = TcpFields {
        source_port: 5,
        destination_port: 80,
        sequence: 1,
        acknowledgement: 2,
        flags: tcp_flags::ACK,
        window: 3,
        checksum: 0,
        urgent: 0,
    };
    let mut bytes = packet(protocol::TCP, &[&head.to_bytes()[..], payload].concat());
    let mut ip = Ipv4Mut::new(&mut bytes).unwrap();
    let pseudo_header = ip.pseudo_header(u16::try_from(20 + payload.len()).unwrap());
    TcpMut::new(ip.payload_mut())
        .unwrap()
        .fill_checksum(pseudo_header);
    bytes
}

fn through(element: &str, packet: &[u8]) -> Vec<Vec<u8>> {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIPHeader(14) -> Strip(14) -> {element} -> ToDevice(out)"
    ));
    bench.arrive("in", &[&[0; 14][..], packet].concat());
    bench.run_for(MOMENT);
    bench.sent("out")
}

fn with(mut bytes: Vec<u8>, place: usize, value: u8) -> Vec<u8> {
    bytes[place] = value;
    bytes
}

#[test]
fn headers_are_checked_by_protocol_length_and_checksum() {
    let without_checksum = with(with(udp(b"abc"), 26, 0), 27, 0);
    for (why, element, packet, good) in [
        ("UDP", "CheckUDPHeader", udp(b"abc"), true),
        (
            "UDP without checksum",
            "CheckUDPHeader",
            without_checksum,
            true,
        ),
        (
            "UDP with another byte",
            "CheckUDPHeader",
            with(udp(b"abc"), 30, 9),
            false,
        ),
        (
            "UDP with another byte, unchecked",
            "CheckUDPHeader(CHECKSUM false)",
            with(udp(b"abc"), 30, 9),
            true,
        ),
        (
            "UDP that states too much",
            "CheckUDPHeader",
            with(udp(b"abc"), 25, 12),
            false,
        ),
        (
            "UDP that states too little",
            "CheckUDPHeader",
            with(udp(b"abc"), 25, 7),
            false,
        ),
        ("TCP as UDP", "CheckUDPHeader", tcp(b"abc"), false),
        ("TCP", "CheckTCPHeader", tcp(b"abc"), true),
        (
            "TCP with another byte",
            "CheckTCPHeader",
            with(tcp(b"abc"), 41, 9),
            false,
        ),
        (
            "TCP with its options missing",
            "CheckTCPHeader",
            with(tcp(b"abc"), 32, 0x60),
            false,
        ),
        (
            "TCP with a short header",
            "CheckTCPHeader",
            with(tcp(b"abc"), 32, 0x40),
            false,
        ),
        (
            "TCP cut short",
            "CheckTCPHeader",
            tcp(b"abc")[..42].to_vec(),
            false,
        ),
    ] {
        assert_eq!(through(element, &packet).len(), usize::from(good), "{why}");
    }
}

#[test]
fn checksums_are_made_anew() {
    assert_eq!(
        through("SetUDPChecksum", &with(udp(b"abc"), 26, 1)),
        [udp(b"abc")]
    );
    assert_eq!(
        through("SetTCPChecksum", &with(tcp(b"abc"), 36, 1)),
        [tcp(b"abc")]
    );
    assert!(through("SetUDPChecksum", &with(udp(b"abc"), 25, 12)).is_empty());
    assert!(through("SetTCPChecksum", &with(tcp(b"abc"), 32, 0x60)).is_empty());
    let fixed = through(
        "SetTCPChecksum(true) -> CheckTCPHeader",
        &with(tcp(b"abc"), 32, 0xf0),
    );
    assert_eq!(fixed[0][32], 0x50);
}

#[test]
fn udp_ip_encap_makes_headers_that_check() {
    let bench = Bench::new(
        "FromDevice(in) -> UDPIPEncap(1.0.0.1, 1234, 2.0.0.2, 53) -> c :: CheckIPHeader -> u :: CheckUDPHeader
           -> ToDevice(out)",
    );
    for payload in [&b"0123456789abcde"[..], b"0123456789abcdef"] {
        bench.arrive("in", payload);
    }
    bench.run_for(MOMENT);
    let sent = bench.sent("out");
    assert_eq!(bench.read("u.count"), "2");
    for (number, (packet, length)) in sent.iter().zip([15, 16]).enumerate() {
        let ip = Ipv4::new(packet).unwrap();
        assert_eq!(usize::from(ip.identification()), number);
        assert_eq!(
            (
                ip.time_to_live(),
                ip.type_of_service(),
                ip.flags_and_offset()
            ),
            (250, 0, 0)
        );
        let udp = Udp::new(ip.payload()).unwrap();
        assert_eq!((udp.source_port(), udp.destination_port()), (1234, 53));
        assert_eq!(udp.payload().len(), length);
        assert_ne!(udp.checksum(), 0);
    }
    let plain = through("UDPIPEncap(1.0.0.1, 1234, 2.0.0.2, 53, false)", &[]);
    assert_eq!(plain[0][26..28], [0, 0]);
}
