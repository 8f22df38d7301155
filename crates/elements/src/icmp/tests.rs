//! The ICMP elements on messages made by hand from RFC 792.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::format;
use std::vec;
use std::vec::Vec;

use sprat_packet::headers::{
    Icmp, IcmpFields, IcmpMut, Ipv4, Ipv4Fields, Ipv4Mut, icmp_type, protocol,
};

use crate::testing::Bench;

/// Long enough for all that is there to pass; a device polls each simulated microsecond.
const MOMENT: Duration = Duration::from_micros(20);

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DESTINATION: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

fn packet(kind: u8, payload: &[u8]) -> Vec<u8> {
    let fields = Ipv4Fields {
        type_of_service: 0,
        total_length: u16::try_from(20 + payload.len()).unwrap(),
        identification: 7,
        flags_and_offset: 0,
        time_to_live: 64,
        protocol: kind,
        source: SOURCE,
        destination: DESTINATION,
    };
    [&fields.to_bytes()[..], payload].concat()
}

fn icmp(kind: u8, payload: &[u8]) -> Vec<u8> {
    let head = IcmpFields {
        kind,
        code: 0,
        checksum: 0,
        second_word: 0x0102_0003,
    }
    .to_bytes();
    let mut message = [&head[..], payload].concat();
    IcmpMut::new(&mut message).unwrap().fill_checksum();
    packet(protocol::ICMP, &message)
}

fn frame(destination: [u8; 6], packet: &[u8]) -> Vec<u8> {
    [&destination[..], &[0, 6, 7, 8, 9, 10, 0x08, 0x00], packet].concat()
}

const STATION: [u8; 6] = [0, 1, 2, 3, 4, 5];

fn through(element: &str, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIPHeader(14) -> Strip(14) -> {element} -> ToDevice(out)"
    ));
    for frame in frames {
        bench.arrive("in", frame);
    }
    bench.run_for(MOMENT);
    bench.sent("out")
}

fn changed(mut packet: Vec<u8>, change: impl FnOnce(&mut Ipv4Mut<'_>)) -> Vec<u8> {
    let mut ip = Ipv4Mut::new(&mut packet).unwrap();
    change(&mut ip);
    ip.fill_checksum();
    packet
}

#[test]
fn an_error_quotes_the_packet_and_goes_to_its_source() {
    let original = packet(protocol::UDP, &[0xab; 30]);
    let sent = through(
        "ICMPError(9.9.9.9, unreachable, needfrag, PMTU 1400)",
        &[frame(STATION, &original)],
    );
    let ip = Ipv4::new(&sent[0]).unwrap();
    assert!(ip.checksum_is_right());
    assert_eq!(
        (ip.source(), ip.destination()),
        (Ipv4Addr::new(9, 9, 9, 9), SOURCE)
    );
    assert_eq!(usize::from(ip.total_length()), 20 + 8 + original.len());
    let icmp = Icmp::new(ip.payload()).unwrap();
    assert!(icmp.checksum_is_right());
    assert_eq!(
        (icmp.kind(), icmp.code(), icmp.next_hop_mtu()),
        (3, 4, 1400)
    );
    assert_eq!(icmp.payload(), original);
}

#[test]
fn an_error_is_no_longer_than_its_mtu() {
    let long = packet(protocol::UDP, &[0xab; 1400]);
    let sent = through("ICMPError(9.9.9.9, timeexceeded)", &[frame(STATION, &long)]);
    assert_eq!(sent[0].len(), 576);
    assert_eq!(sent[0][28..], long[..548]);
    let sent = through(
        "ICMPError(9.9.9.9, timeexceeded, MTU 1000)",
        &[frame(STATION, &long)],
    );
    assert_eq!(sent[0].len(), 1000);
}

#[test]
fn nothing_is_sent_about_what_must_not_be_answered() {
    let udp = packet(protocol::UDP, &[0; 8]);
    for (why, frame) in [
        (
            "an error",
            frame(STATION, &icmp(icmp_type::UNREACHABLE, &udp)),
        ),
        (
            "a later fragment",
            frame(
                STATION,
                &changed(udp.clone(), |ip| ip.set_flags_and_offset(1)),
            ),
        ),
        ("a link broadcast", frame([0xff; 6], &udp)),
        ("a link multicast", frame([1, 0, 0x5e, 0, 0, 9], &udp)),
        (
            "a multicast",
            frame(
                STATION,
                &changed(udp.clone(), |ip| ip.set_destination([224, 0, 0, 9].into())),
            ),
        ),
        (
            "from nobody",
            frame(
                STATION,
                &changed(udp.clone(), |ip| ip.set_source([0; 4].into())),
            ),
        ),
        (
            "from this host",
            frame(
                STATION,
                &changed(udp.clone(), |ip| ip.set_source([127, 0, 0, 1].into())),
            ),
        ),
        (
            "from a reserved address",
            frame(
                STATION,
                &changed(udp.clone(), |ip| ip.set_source([240, 0, 0, 1].into())),
            ),
        ),
        (
            "a message that is cut off",
            frame(STATION, &packet(protocol::ICMP, &[8, 0, 0])),
        ),
        (
            "from a group",
            frame(
                STATION,
                &changed(udp.clone(), |ip| ip.set_source([224, 0, 0, 9].into())),
            ),
        ),
        (
            "from a bad address",
            frame(
                STATION,
                &changed(udp.clone(), |ip| ip.set_source([10, 0, 0, 2].into())),
            ),
        ),
        (
            "to a bad address",
            frame(
                STATION,
                &changed(udp.clone(), |ip| ip.set_destination([10, 0, 0, 2].into())),
            ),
        ),
    ] {
        let sent = through(
            "ICMPError(9.9.9.9, timeexceeded, transit, 10.0.0.2 10.0.0.7)",
            &[frame],
        );
        assert!(sent.is_empty(), "{why}");
    }
    // But about queries it is.
    let echo = frame(STATION, &icmp(icmp_type::ECHO, &[]));
    assert_eq!(
        through("ICMPError(9.9.9.9, timeexceeded)", &[echo]).len(),
        1
    );
}

/// A datagram with a source route whose pointer is `pointer`, in a frame.
fn routed(pointer: u8) -> Vec<u8> {
    let mut routed = packet(protocol::UDP, &[0; 8]);
    let options = [131, 15, pointer, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 0];
    routed.splice(20..20, options);
    changed(routed, |ip| {
        ip.set_version_and_length(0x49);
        ip.set_total_length(44);
    })
}

// RFC 1812, sections 4.3.2.6 and 5.2.7.2.
#[test]
fn an_error_about_a_source_route_does_not_take_it() {
    let options = |element: &str, pointer| {
        let sent = through(element, &[frame(STATION, &routed(pointer))]);
        sent.first()
            .map(|packet| Ipv4::new(packet).unwrap().option_bytes().to_vec())
    };
    assert_eq!(options("ICMPError(9.9.9.9, redirect)", 12), None);
    let wrong = |at| {
        std::format!("SetAnnoByte(ICMP_PARAMPROB, {at}) -> ICMPError(9.9.9.9, parameterproblem)")
    };
    let route = Some(vec![131, 11, 4, 2, 2, 2, 2, 1, 1, 1, 1, 0]);
    assert_eq!(options(&wrong(8), 12), route);
    assert_eq!(options(&wrong(20), 12), Some(vec![]));
    assert_eq!(options(&wrong(34), 12), Some(vec![]));
    assert_eq!(options(&wrong(35), 12), route);
    // A route that has not begun, and ones whose pointers cannot be.
    let error = "ICMPError(9.9.9.9, timeexceeded)";
    assert_eq!(options(error, 4), Some(vec![131, 3, 4, 0]));
    for pointer in [0, 5, 20] {
        assert_eq!(options(error, pointer), Some(vec![]), "{pointer}");
    }
}

#[test]
fn errors_are_numbered_and_may_be_told_otherwise() {
    let udp = frame(STATION, &packet(protocol::UDP, &[0; 8]));
    let sent = through("ICMPError(9.9.9.9, timeexceeded)", &[udp.clone(), udp]);
    for (number, packet) in (1..).zip(&sent) {
        let ip = Ipv4::new(packet).unwrap();
        assert_eq!((ip.identification(), ip.time_to_live()), (number, 200));
    }
    let bench = Bench::new("Idle -> e :: ICMPError(9.9.9.9, unreachable, needfrag) -> Idle");
    for (handler, old, new) in [
        ("e.src", "9.9.9.9", "8.8.8.8"),
        ("e.mtu", "576", "1500"),
        ("e.pmtu", "0", "1400"),
    ] {
        assert_eq!(bench.read(handler), old);
        bench.write(handler, new);
        assert_eq!(bench.read(handler), new);
    }
}

#[test]
fn a_source_route_comes_back_reversed_as_far_as_it_was_followed() {
    let routed = routed(12);
    let sent = through(
        "ICMPError(9.9.9.9, timeexceeded)",
        &[frame(STATION, &routed)],
    );
    let ip = Ipv4::new(&sent[0]).unwrap();
    assert!(ip.checksum_is_right());
    assert_eq!(ip.option_bytes(), [131, 11, 4, 2, 2, 2, 2, 1, 1, 1, 1, 0]);
    assert!(Icmp::new(ip.payload()).unwrap().checksum_is_right());
    assert_eq!(Icmp::new(ip.payload()).unwrap().payload(), routed);
}

#[test]
fn fix_ip_src_gives_errors_the_address_of_their_interface() {
    let original = frame(STATION, &packet(protocol::UDP, &[0; 8]));
    let source = |elements: &str| {
        let sent = through(elements, core::slice::from_ref(&original));
        let ip = Ipv4::new(&sent[0]).unwrap();
        assert!(ip.checksum_is_right());
        ip.source()
    };
    let fixed = Ipv4Addr::new(8, 8, 8, 8);
    assert_eq!(
        source("ICMPError(9.9.9.9, timeexceeded) -> FixIPSrc(8.8.8.8)"),
        fixed
    );
    assert_eq!(
        source("ICMPError(9.9.9.9, timeexceeded, SET_FIX_ANNO false) -> FixIPSrc(8.8.8.8)"),
        Ipv4Addr::new(9, 9, 9, 9)
    );
    assert_eq!(source("FixIPSrc(8.8.8.8)"), SOURCE);
}

#[test]
fn a_redirect_names_the_gateway_of_the_destination_annotation() {
    let original = frame(STATION, &packet(protocol::UDP, &[0; 8]));
    let sent = through(
        "SetIPAddress(7.6.5.4) -> ICMPError(9.9.9.9, redirect, host)",
        &[original],
    );
    let ip = Ipv4::new(&sent[0]).unwrap();
    let icmp = Icmp::new(ip.payload()).unwrap();
    assert_eq!(
        (icmp.kind(), icmp.code(), icmp.gateway()),
        (5, 1, Ipv4Addr::new(7, 6, 5, 4))
    );
}

#[test]
fn echo_requests_are_answered_and_nothing_else() {
    let bench = Bench::new(
        "FromDevice(in) -> MarkIPHeader(14) -> Strip(14) -> Paint(3) -> r :: ICMPPingResponder
           -> CheckPaint(0) -> ToDevice(out);
         r[1] -> ToDevice(side)",
    );
    let others = [
        icmp(icmp_type::ECHO_REPLY, b"abc"),
        packet(protocol::UDP, &[0; 8]),
    ];
    bench.arrive("in", &frame(STATION, &icmp(icmp_type::ECHO, b"abc")));
    for packet in &others {
        bench.arrive("in", &frame(STATION, packet));
    }
    bench.run_for(MOMENT);
    let sent = bench.sent("out");
    let ip = Ipv4::new(&sent[0]).unwrap();
    assert!(ip.checksum_is_right());
    assert_eq!((ip.source(), ip.destination()), (DESTINATION, SOURCE));
    assert_eq!((ip.time_to_live(), ip.flags_and_offset()), (255, 0));
    let reply = Icmp::new(ip.payload()).unwrap();
    assert!(reply.checksum_is_right());
    assert_eq!(
        (
            reply.kind(),
            reply.identifier(),
            reply.sequence(),
            reply.payload()
        ),
        (0, 0x0102, 3, &b"abc"[..])
    );
    assert_eq!(bench.sent("side"), others);
}

#[test]
fn check_icmp_header_knows_the_length_of_each_type() {
    let udp = packet(protocol::UDP, &[0; 8]);
    let mut wrong = icmp(icmp_type::ECHO, &[]);
    wrong[27] ^= 1;
    for (why, packet, good) in [
        ("an echo request", icmp(icmp_type::ECHO, &[]), true),
        (
            "a short timestamp",
            icmp(icmp_type::TIMESTAMP, &[0; 11]),
            false,
        ),
        ("a timestamp", icmp(icmp_type::TIMESTAMP, &[0; 12]), true),
        (
            "a long timestamp",
            icmp(icmp_type::TIMESTAMP, &[0; 13]),
            false,
        ),
        ("a question", icmp(icmp_type::INFORMATION, &[]), true),
        ("a long question", icmp(icmp_type::INFORMATION, &[0]), false),
        (
            "a request for a mask",
            icmp(icmp_type::MASK_REQUEST, &[]),
            true,
        ),
        (
            "a short error",
            icmp(icmp_type::UNREACHABLE, &udp[..27]),
            false,
        ),
        ("an error", icmp(icmp_type::UNREACHABLE, &udp), true),
        ("another protocol", udp, false),
        ("a wrong checksum", wrong, false),
    ] {
        assert_eq!(
            through("CheckICMPHeader", &[frame(STATION, &packet)]).len(),
            usize::from(good),
            "{why}"
        );
    }
}

#[test]
fn set_icmp_checksum_rights_a_wrong_one() {
    let right = icmp(icmp_type::ECHO, b"abcde");
    let mut wrong = right.clone();
    wrong[22] ^= 0x55;
    assert_eq!(
        through("SetICMPChecksum", &[frame(STATION, &wrong)]),
        [right]
    );
}

#[test]
fn pings_are_sent_at_their_interval_and_their_replies_are_timed() {
    let bench = Bench::new(
        "p :: ICMPPingSource(10.0.0.1, 10.0.0.2, INTERVAL 0.1, LIMIT 3, DATA abcd) -> CheckIPHeader
           -> CheckICMPHeader -> r :: ICMPPingResponder -> CheckIPHeader -> CheckICMPHeader -> [0]p",
    );
    assert_eq!(bench.read("p.summary"), "0 packets transmitted, 0 received");
    bench.run_for(Duration::from_millis(250));
    assert_eq!(bench.read("p.count"), "2");
    bench.run_for(Duration::from_secs(1));
    assert_eq!(bench.read("p.count"), "3");
    let summary = bench.read("p.summary");
    assert!(
        summary.starts_with("3 packets transmitted, 3 received, 0% packet loss\n"),
        "{summary}"
    );
    assert!(
        bench
            .simulation
            .take_errors()
            .contains("4 bytes from 10.0.0.2: icmp_seq=2 ttl=255")
    );
}

#[test]
fn replies_are_mirrored_and_second_ones_counted_apart() {
    let bench = Bench::new(
        "p :: ICMPPingSource(10.0.0.1, 10.0.0.2, LIMIT 1, MIRROR true, VERBOSE false)
           -> ICMPPingResponder -> t :: Tee -> Queue(3) -> u :: Unqueue(LIMIT 2) -> [0]p;
         t[1] -> Discard",
    );
    bench.run_for(Duration::from_secs(2));
    // The request, and one for each of the two replies that came back.
    assert_eq!(bench.read("p.count"), "3");
    let twice = Bench::new(
        "p :: ICMPPingSource(10.0.0.1, 10.0.0.2, LIMIT 1, VERBOSE false)
           -> ICMPPingResponder -> t :: Tee -> [0]p; t[1] -> [0]p",
    );
    twice.run_for(Duration::from_secs(2));
    assert_eq!(
        twice.read("p.summary"),
        "1 packets transmitted, 1 received, +1 duplicates, -200% packet loss\n\
         rtt min/avg/max/mdev = 0.000/0.000/0.000/0.000\n"
    );
    assert_eq!(twice.read("p.rtt_max"), "0s");
}

#[test]
fn only_errors_can_be_asked_for() {
    let errors = Bench::errors("Idle -> ICMPError(1.0.0.1, echo) -> Idle");
    assert!(
        errors.contains("ICMP type 8 is not an error type"),
        "{errors}"
    );
    let errors = Bench::errors("Idle -> ICMPError(1.0.0.1, timeexceeded, port) -> Idle");
    assert!(
        errors.contains("argument 2 takes ICMP code (integer between 0 and 255)"),
        "{errors}"
    );
}

#[test]
fn icmp_encapsulations_count_up_from_one() {
    for (element, kind, code) in [
        ("ICMPPingEncap(10.0.0.1, 10.0.0.2, IDENTIFIER 258)", 8, 0),
        (
            "ICMPIPEncap(10.0.0.1, 10.0.0.2, unreachable, port, IDENTIFIER 258)",
            3,
            3,
        ),
        ("ICMPIPEncap(10.0.0.1, 10.0.0.2, 13, IDENTIFIER 258)", 13, 0),
    ] {
        let bench = Bench::new(&format!(
            "RatedSource(abc, 1000, 2) -> e :: {element} -> ToDevice(out)"
        ));
        bench.run();
        for (number, packet) in (1..).zip(bench.sent("out")) {
            let ip = Ipv4::new(&packet).unwrap();
            assert!(ip.checksum_is_right());
            assert_eq!((ip.identification(), ip.time_to_live()), (number, 255));
            let icmp = Icmp::new(ip.payload()).unwrap();
            assert!(icmp.checksum_is_right());
            assert_eq!((icmp.kind(), icmp.code()), (kind, code));
            assert_eq!((icmp.identifier(), icmp.sequence()), (258, number));
            assert_eq!(icmp.payload(), b"abc");
        }
        bench.write("e.dst", "10.0.0.9");
        assert_eq!(bench.read("e.dst"), "10.0.0.9");
    }
}

#[test]
fn forceicmp_takes_types_and_codes_by_name() {
    for (arguments, expected) in [
        ("unreachable, needfrag", Some("3 4")),
        ("8, 0", Some("8 0")),
        ("echo, port", None),
    ] {
        let text = format!(
            "InfiniteSource(DATA \"12345678\", LIMIT 1) -> IPEncap(icmp, 1.0.0.1, 2.0.0.2)
             -> ForceICMP({arguments}) -> Print(MAXLENGTH 24) -> Discard"
        );
        match expected {
            None => {
                let found = Bench::errors(&text);
                assert!(found.contains("argument 2 takes ICMP code"), "{found}");
            }
            Some(expected) => {
                let bench = Bench::new(&text);
                bench.run();
                let said = bench.simulation.take_errors();
                let mut words = expected.split(' ').rev();
                let code: u8 = words.next().unwrap().parse().unwrap();
                let kind: u8 = words.next().unwrap().parse().unwrap();
                assert!(said.contains(&format!(" {kind:02x}{code:02x}")), "{said}");
            }
        }
    }
}
