//! The TCP and UDP elements on packets made by hand.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::format;
use std::string::ToString;
use std::vec::Vec;

use sprat_packet::headers::{
    Ipv4, Ipv4Fields, Ipv4Mut, Tcp, TcpFields, TcpMut, Udp, UdpFields, UdpMut, protocol, tcp_flags,
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
    assert!(through("SetTCPChecksum", &tcp(b"abc")[..42]).is_empty());
    // A data offset that lies changes nothing, but that it is summed.
    let sent = through("SetTCPChecksum", &with(tcp(b"abc"), 32, 0x60));
    let segment = &sent[0][20..];
    let pseudo_header = Ipv4::new(&sent[0]).unwrap().pseudo_header(23);
    assert_eq!(pseudo_header.add_bytes(segment).finish(), 0);
    let fixed = through(
        "SetTCPChecksum(true) -> CheckTCPHeader",
        &with(tcp(b"abc"), 32, 0xf0),
    );
    assert_eq!(fixed[0][32], 0x50);
}

#[test]
fn udp_ip_encap_tells_where_packets_go() {
    let bench = Bench::new(
        "Idle -> a :: UDPIPEncap(1.0.0.1, 1, DST_ANNO, 2) -> b :: UDPIPEncap(1.0.0.1, 1, 2.0.0.2, 2)
         -> Discard",
    );
    assert_eq!(bench.read("a.dst"), "0.0.0.0");
    assert_eq!(bench.read("b.dst"), "2.0.0.2");
    let errors = Bench::errors("Idle -> UDPIPEncap(1.0.0.1, 1, x, 2) -> Idle");
    assert_eq!(errors.lines().nth(1), Some("  bad DST"));
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

/// The packets of a source within a second.
fn made(config: &str) -> (Bench, Vec<Vec<u8>>) {
    let bench = Bench::new(&format!("s :: {config} -> ToDevice(out)"));
    bench.run_for(Duration::from_secs(1));
    let sent = bench.sent("out");
    (bench, sent)
}

/// The ports of a frame that is right, and its UDP or TCP header with what follows.
fn checked(frame: &[u8]) -> (u16, u16, Vec<u8>) {
    assert_eq!(frame[..14], [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 2, 8, 0]);
    let ip = Ipv4::new(&frame[14..]).unwrap();
    assert!(ip.checksum_is_right());
    assert_eq!(ip.source(), Ipv4Addr::new(1, 0, 0, 1));
    assert_eq!(ip.destination(), Ipv4Addr::new(2, 0, 0, 2));
    let payload = ip.payload();
    let pseudo_header = ip.pseudo_header(u16::try_from(payload.len()).unwrap());
    let right = if ip.protocol() == protocol::TCP {
        Tcp::new(payload).unwrap().checksum_is_right(pseudo_header)
    } else {
        Udp::new(payload).unwrap().checksum_is_right(pseudo_header)
    };
    assert!(right);
    let udp = Udp::new(payload).unwrap();
    (udp.source_port(), udp.destination_port(), payload.to_vec())
}

const ENDS: &str = "0:0:0:0:0:2, 1.0.0.1, 1:1:1:1:1:1, 2.0.0.2";

#[test]
fn fast_udp_source_sends_right_frames_at_its_rate() {
    let source = "0:0:0:0:0:2, 1.0.0.1, 1234, 1:1:1:1:1:1, 2.0.0.2, 80";
    let (bench, sent) = made(&format!("FastUDPSource(100, -1, 64, {source}, INTERVAL 2)"));
    assert!((100..=101).contains(&sent.len()), "{}", sent.len());
    assert_eq!(bench.read("s.count"), sent.len().to_string());
    for (index, frame) in (0..).zip(&sent) {
        assert_eq!(frame.len(), 64);
        let (from, to, payload) = checked(frame);
        assert_eq!((from, to), (1234 + index / 2, 80 + index / 2));
        assert_ne!(payload[6..8], [0, 0], "a checksum");
    }
    let (bench, sent) = made(&format!("FastUDPSource(100, 5, 60, {source}, false)"));
    assert_eq!(sent.len(), 5);
    assert_eq!(sent[4][40..42], [0, 0], "no checksum");
    assert_eq!(
        bench.read("s.rate"),
        "125",
        "five in the time of four intervals"
    );
    bench.write("s.reset", "");
    bench.run_for(Duration::from_secs(1));
    assert_eq!(bench.sent("out").len(), 5);
    let (_, sent) = made(&format!(
        "FastUDPSource(100, -1, 64, {source}, ACTIVE false)"
    ));
    assert!(sent.is_empty());
}

#[test]
fn fast_flows_change_their_ports_after_so_many_packets() {
    let (_, sent) = made(&format!("FastUDPFlows(0, 12, 60, {ENDS}, 2, 3)"));
    let ports: Vec<_> = sent.iter().map(|frame| checked(frame)).collect();
    let ports: Vec<_> = ports.iter().map(|(from, to, _)| (*from, *to)).collect();
    assert_eq!(ports.len(), 12);
    for flow in [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9, 11]] {
        assert!(flow.iter().all(|index| ports[*index] == ports[flow[0]]));
    }
    let distinct: std::collections::BTreeSet<_> = ports.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn fast_tcp_flows_begin_with_syn_and_end_with_fin() {
    let (_, sent) = made(&format!("FastTCPFlows(0, 8, 60, {ENDS}, 1, 4)"));
    let flags: Vec<_> = sent.iter().map(|frame| checked(frame).2[13]).collect();
    let flow = [
        tcp_flags::SYN,
        tcp_flags::ACK,
        tcp_flags::ACK,
        tcp_flags::FIN | tcp_flags::ACK,
    ];
    assert_eq!(flags, [flow, flow].concat());
    let errors = Bench::errors(&format!("FastTCPFlows(0, 8, 60, {ENDS}, 1, 2) -> Discard"));
    assert!(errors.contains("FLOWSIZE: must be at least 3"), "{errors}");
}

#[test]
fn dynamic_udp_ip_encap_counts_its_ports_up() {
    let bench = Bench::new(
        "RatedSource(x, 1000, 5) -> DynamicUDPIPEncap(1.0.0.1, 65535, 2.0.0.2, 9, INTERVAL 2)
         -> ToDevice(out)",
    );
    bench.run();
    let ports: Vec<_> = bench
        .sent("out")
        .iter()
        .map(|it| (it[20], it[21], it[23]))
        .collect();
    assert_eq!(
        ports,
        [
            (255, 255, 9),
            (255, 255, 9),
            (0, 0, 10),
            (0, 0, 10),
            (0, 1, 11)
        ]
    );
}

#[test]
fn tcp_ip_send_sends_what_is_written() {
    let bench = Bench::new("t :: TCPIPSend -> ToDevice(out)");
    bench.write("t.send", "10.0.0.1 5 192.0.2.7 80 1 2 16");
    bench.run();
    let sent = bench.sent("out");
    let ip = Ipv4::new(&sent[0]).unwrap();
    assert!(ip.checksum_is_right() && ip.dont_fragment());
    let tcp = Tcp::new(ip.payload()).unwrap();
    assert!(tcp.checksum_is_right(ip.pseudo_header(20)));
    assert_eq!((tcp.source_port(), tcp.destination_port()), (5, 80));
    assert_eq!(
        (tcp.sequence(), tcp.acknowledgement(), tcp.flags()),
        (1, 2, 16)
    );
    assert_eq!((tcp.window(), ip.time_to_live()), (32120, 255));
    let complaint = bench
        .write_fails("t.send", "10.0.0.1 5 192.0.2.7 80 1")
        .unwrap();
    assert!(
        complaint.contains("ACKN: required argument missing"),
        "{complaint}"
    );
}

#[test]
fn time_records_hold_number_moment_and_difference() {
    let bench = Bench::new(
        "RatedSource(abcdefgh, 1000, 2, LENGTH 30) -> UDPIPEncap(10.0.0.1, 5, 10.0.0.2, 6)
         -> s :: StoreUDPTimeSeqRecord(OFFSET 0) -> Queue -> DelayShaper(2ms)
         -> StoreUDPTimeSeqRecord(OFFSET 0, DELTA true) -> ToDevice(out)",
    );
    bench.run();
    let sent = bench.sent("out");
    assert_eq!(sent.len(), 2);
    for (number, packet) in (1..).zip(&sent) {
        let ip = Ipv4::new(packet).unwrap();
        let udp = Udp::new(ip.payload()).unwrap();
        assert!(udp.checksum_is_right(ip.pseudo_header(38)));
        let record = udp.payload();
        let field = |at: usize| u32::from_be_bytes(record[at..at + 4].try_into().unwrap());
        assert_eq!(field(0), number);
        let start = sprat_click::simulation::START.0 / 1_000_000_000;
        assert_eq!(i64::from(field(4)), start);
        assert_eq!(field(12), 0);
        assert!((2_000_000..2_200_000).contains(&field(16)), "{}", field(16));
        assert_eq!(&record[20..24], b"efgh", "the rest stays");
    }
    assert_eq!(bench.read("s.count"), "2");
}

#[test]
fn fast_udp_source_ip6_sends_frames_whose_checksum_is_right() {
    let bench = Bench::new(
        "FastUDPSourceIP6(0, 2, 60, 0:0:0:0:0:1, 2001:db8::1, 1234, 1:1:1:1:1:1, 2001:db8::2, 80,
         true, 1) -> Unqueue -> ToDevice(out)",
    );
    bench.run();
    let sent = bench.sent("out");
    assert_eq!(sent.len(), 2);
    for (number, frame) in sent.iter().enumerate() {
        assert_eq!(frame.len(), 62);
        assert_eq!(
            frame[..14],
            [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 0x86, 0xdd]
        );
        // Version 6, eight bytes of UDP.
        assert_eq!(frame[14..21], [0x60, 0, 0, 0, 0, 8, 17]);
        assert_eq!(
            frame[54..56],
            (1234 + u16::try_from(number).unwrap()).to_be_bytes()
        );
        // RFC 8200, section 8.1: addresses, length, protocol and the datagram add up to all ones.
        let words = frame[22..]
            .chunks(2)
            .map(|two| u32::from(two[0]) << 8 | u32::from(two[1]));
        let sum = words.sum::<u32>() + 8 + 17;
        assert_eq!((sum >> 16) + (sum & 0xffff), 0xffff);
    }
}
