use std::vec::Vec;

use sprat_packet::checksum::internet_checksum;

use crate::nat::testing::{INSIDE, OUTSIDE, PUBLIC, packet};
use crate::testing::Bench;

/// A router on the way, which reports errors.
const ROUTER: [u8; 4] = [203, 0, 113, 9];

/// An ICMP message with right checksums.
fn message(source: [u8; 4], destination: [u8; 4], kind: u8, quoted: &[u8]) -> Vec<u8> {
    let mut bytes = std::vec![0; 28];
    bytes.extend(quoted);
    bytes[0] = 0x45;
    bytes[3] = u8::try_from(bytes.len()).unwrap();
    bytes[8] = 64;
    bytes[9] = 1;
    bytes[12..16].copy_from_slice(&source);
    bytes[16..20].copy_from_slice(&destination);
    let sum = internet_checksum(&bytes[..20]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes[20] = kind;
    let sum = internet_checksum(&bytes[20..]);
    bytes[22..24].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// A NAT whose ICMP from outside goes through an ICMPRewriter.
fn nat(maps: &str) -> Bench {
    Bench::new(&std::format!(
        "rw :: IPRewriter(pattern 198.51.100.1 1024-65535# - - 0 1, drop);
         pings :: ICMPPingRewriter(pattern 198.51.100.1 - 0-65535# 0 1, drop);
         errors :: ICMPRewriter({maps});
         FromDevice(inside) -> MarkIPHeader(0) -> own :: IPClassifier(icmp, -);
         own[0] -> [0]pings; own[1] -> [0]rw;
         FromDevice(outside) -> MarkIPHeader(0) -> errors;
         Idle -> [1]rw; Idle -> [1]pings;
         rw[0], pings[0] -> ToDevice(outside); rw[1], pings[1] -> Discard;
         errors[0] -> ToDevice(inside); errors[1] -> ToDevice(other);"
    ))
}

#[test]
fn an_error_quotes_the_packet_as_its_sender_sent_it() {
    for (protocol, kind) in [(17, 3), (6, 11), (17, 4), (17, 12)] {
        let bench = nat("rw pings");
        let original = packet(protocol, INSIDE, 5000, OUTSIDE, 53, 2);
        bench.arrive("inside", &original);
        bench.run();
        let sent = bench.sent("outside").remove(0);
        assert_ne!(sent, original);
        bench.arrive("outside", &message(ROUTER, PUBLIC, kind, &sent));
        bench.run();
        assert_eq!(
            bench.sent("inside"),
            [message(ROUTER, INSIDE, kind, &original)]
        );
    }
}

#[test]
fn an_error_from_the_receiver_itself_comes_from_the_address_that_was_asked() {
    let bench = Bench::new(
        "rw :: IPRewriter(pattern - - 10.0.0.11 8080 0 1, drop);
         FromDevice(in) -> MarkIPHeader(0) -> rw; Idle -> [1]rw; rw[1] -> Discard;
         rw[0] -> ToDevice(servers);
         FromDevice(servers) -> MarkIPHeader(0) -> ICMPRewriter(rw) -> ToDevice(in);",
    );
    let original = packet(6, OUTSIDE, 5000, PUBLIC, 80, 2);
    bench.arrive("in", &original);
    bench.run();
    let sent = bench.sent("servers").remove(0);
    bench.arrive("servers", &message([10, 0, 0, 11], OUTSIDE, 3, &sent));
    bench.run();
    assert_eq!(bench.sent("in"), [message(PUBLIC, OUTSIDE, 3, &original)]);
}

#[test]
fn an_error_about_a_ping_finds_who_pinged() {
    let bench = nat("rw pings");
    let mut ping = message(INSIDE, OUTSIDE, 8, &[7; 12]);
    // The identifier, which the checksum covers.
    ping[24..26].copy_from_slice(&[0x12, 0x34]);
    ping[22..24].fill(0);
    let sum = internet_checksum(&ping[20..]);
    ping[22..24].copy_from_slice(&sum.to_be_bytes());
    bench.arrive("inside", &ping);
    bench.run();
    let sent = bench.sent("outside").remove(0);
    bench.arrive("outside", &message(ROUTER, PUBLIC, 11, &sent));
    bench.run();
    assert_eq!(bench.sent("inside"), [message(ROUTER, INSIDE, 11, &ping)]);
}

#[test]
fn what_is_about_no_known_flow_leaves_by_the_second_output() {
    let bench = nat("rw");
    let strangers = packet(17, PUBLIC, 1024, OUTSIDE, 53, 0);
    let messages = [
        message(ROUTER, PUBLIC, 3, &strangers),
        // No error, an error that quotes too little, and one that quotes nothing.
        message(ROUTER, PUBLIC, 0, &strangers),
        message(ROUTER, PUBLIC, 3, &strangers[..19]),
        message(ROUTER, PUBLIC, 3, &[]),
    ];
    for message in &messages {
        bench.arrive("outside", message);
    }
    bench.arrive("outside", &strangers);
    bench.run();
    assert_eq!(bench.sent("other"), messages);
    assert!(bench.sent("inside").is_empty());
}

#[test]
fn only_rewriters_can_be_asked() {
    let errors = Bench::errors(
        "rw :: IPRewriter(keep 0 0); x :: Idle; Idle -> rw -> ICMPRewriter(x y rw:1 rw:a) -> Idle",
    );
    for wrong in [
        "x not an IP rewriter",
        "y not an IP rewriter",
        "rw:1 port offset requires more than 1 output\n",
        "rw:a not an IP rewriter",
    ] {
        assert!(errors.contains(wrong), "{errors}");
    }
}
