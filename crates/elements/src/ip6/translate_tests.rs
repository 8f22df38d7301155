//! Translation between IPv4 and IPv6, and of IPv6 addresses, on packets made by hand from RFC 7915.

use core::net::Ipv6Addr;
use core::time::Duration;
use std::vec::Vec;

use sprat_packet::checksum::Sum;
use sprat_packet::headers::{
    Icmp, IcmpFields, IcmpMut, Icmpv6, Icmpv6Fields, Icmpv6Mut, Ipv4, Ipv4Fields, Ipv6, Ipv6Fields,
    UdpFields, protocol,
};

use super::tests::{fields, one, udp};
use crate::testing::Bench;

const FROM: &str = "192.0.2.1";
const TO: &str = "198.51.100.2";

fn six(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn four_fields(protocol: u8, length: usize) -> Ipv4Fields {
    Ipv4Fields {
        type_of_service: 0,
        total_length: u16::try_from(20 + length).unwrap(),
        identification: 0,
        flags_and_offset: 0,
        time_to_live: 64,
        protocol,
        source: FROM.parse().unwrap(),
        destination: TO.parse().unwrap(),
    }
}

fn udp4(checksum: bool, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap();
    let mut header = UdpFields {
        source_port: 7,
        destination_port: 9,
        length,
        checksum: 0,
    };
    let network = four_fields(protocol::UDP, length.into());
    if checksum {
        header.checksum =
            Sum::pseudo_header_v4(network.source, network.destination, protocol::UDP, length)
                .add_bytes(&header.to_bytes())
                .add_bytes(data)
                .finish_udp();
    }
    [&network.to_bytes()[..], &header.to_bytes(), data].concat()
}

fn embedded(address: &str) -> Ipv6Addr {
    six(&std::format!("64:ff9b::{address}"))
}

fn udp6(data: &[u8]) -> Vec<u8> {
    udp(embedded(FROM), embedded(TO), (7, 9), data)
}

fn four_to_six(packet: &[u8]) -> Option<Vec<u8>> {
    one("ProtocolTranslator46(PREFIX 64:ff9b::/96)", packet)
}

fn six_to_four(packet: &[u8]) -> Option<Vec<u8>> {
    one("ProtocolTranslator64(PREFIX 64:ff9b::/96)", packet)
}

#[test]
fn udp_is_translated_with_its_checksum_and_back() {
    assert_eq!(four_to_six(&udp4(true, b"data")), Some(udp6(b"data")));
    assert_eq!(six_to_four(&udp6(b"data")), Some(udp4(true, b"data")));
}

#[test]
fn a_datagram_without_checksum_gets_one() {
    assert_eq!(four_to_six(&udp4(false, b"data")), Some(udp6(b"data")));
}

#[test]
fn without_a_prefix_addresses_are_the_last_32_bits() {
    let out = one("ProtocolTranslator46", &udp4(true, b"x")).unwrap();
    let ip = Ipv6::new(&out).unwrap();
    assert_eq!(ip.source(), six("::192.0.2.1"));
    assert_eq!(ip.destination(), six("::198.51.100.2"));
    let mapped = udp(six("::ffff:192.0.2.1"), six("::198.51.100.2"), (7, 9), b"x");
    assert_eq!(one("ProtocolTranslator64", &mapped), Some(udp4(true, b"x")));
    assert_eq!(one("ProtocolTranslator64", &udp6(b"x")), None);
}

#[test]
fn fragments_keep_their_place() {
    let fields4 = Ipv4Fields {
        identification: 0x1234,
        flags_and_offset: Ipv4::MORE_FRAGMENTS | 2,
        ..four_fields(protocol::UDP, 8)
    };
    let packet4 = [&fields4.to_bytes()[..], b"8 bytes!"].concat();
    let fragment = [17, 0, 0, 0x11, 0, 0, 0x12, 0x34];
    let fields6 = Ipv6Fields {
        source: embedded(FROM),
        destination: embedded(TO),
        ..fields(protocol::IPV6_FRAGMENT, 16)
    };
    let packet6 = [&fields6.to_bytes()[..], &fragment, b"8 bytes!"].concat();
    assert_eq!(four_to_six(&packet4).as_ref(), Some(&packet6));
    assert_eq!(six_to_four(&packet6), Some(packet4));
}

fn icmp4(kind: u8, code: u8, second_word: u32, rest: &[u8]) -> Vec<u8> {
    let header = IcmpFields {
        kind,
        code,
        checksum: 0,
        second_word,
    };
    let mut message = [&header.to_bytes()[..], rest].concat();
    IcmpMut::new(&mut message).unwrap().fill_checksum();
    [
        &four_fields(protocol::ICMP, message.len()).to_bytes()[..],
        &message,
    ]
    .concat()
}

fn icmp6(kind: u8, code: u8, second_word: u32, rest: &[u8]) -> Vec<u8> {
    let header = Icmpv6Fields {
        kind,
        code,
        checksum: 0,
        second_word,
    };
    let mut message = [&header.to_bytes()[..], rest].concat();
    let network = Ipv6Fields {
        source: embedded(FROM),
        destination: embedded(TO),
        ..fields(protocol::ICMPV6, message.len())
    };
    let length = u32::try_from(message.len()).unwrap();
    let sum = Sum::pseudo_header_v6(network.source, network.destination, 58, length);
    Icmpv6Mut::new(&mut message).unwrap().fill_checksum(sum);
    [&network.to_bytes()[..], &message].concat()
}

#[test]
fn pings_are_translated_both_ways() {
    let (request4, request6) = (
        icmp4(8, 0, 0x0102_0003, b"x"),
        icmp6(128, 0, 0x0102_0003, b"x"),
    );
    assert_eq!(four_to_six(&request4).as_ref(), Some(&request6));
    assert_eq!(six_to_four(&request6), Some(request4));
    let (reply4, reply6) = (icmp4(0, 0, 5, b""), icmp6(129, 0, 5, b""));
    assert_eq!(four_to_six(&reply4).as_ref(), Some(&reply6));
    assert_eq!(six_to_four(&reply6), Some(reply4));
}

#[test]
fn errors_are_translated_with_the_packet_they_quote() {
    let (about4, about6) = (udp4(true, b"data"), udp6(b"data"));
    for (four, six) in [
        ((3, 1, 0), (1, 0, 0)),
        ((3, 3, 0), (1, 4, 0)),
        ((3, 10, 0), (1, 1, 0)),
        ((3, 4, 1400), (2, 0, 1420)),
        ((11, 0, 0), (3, 0, 0)),
        ((3, 2, 0), (4, 1, 6)),
    ] {
        let packet4 = icmp4(four.0, four.1, four.2, &about4);
        let packet6 = icmp6(six.0, six.1, six.2, &about6);
        assert_eq!(four_to_six(&packet4).as_ref(), Some(&packet6), "{four:?}");
        if six != (4, 1, 6) {
            assert_eq!(six_to_four(&packet6), Some(packet4), "{six:?}");
        }
    }
    // Pointers name the same field in the other header (RFC 7915, figures 3 and 6).
    let packet4 = icmp4(12, 0, 8 << 24, &about4);
    let packet6 = icmp6(4, 0, 7, &about6);
    assert_eq!(four_to_six(&packet4).as_ref(), Some(&packet6));
    assert_eq!(six_to_four(&packet6), Some(packet4));
    // Redirects and queries of IPv4 alone have no other form.
    assert_eq!(four_to_six(&icmp4(5, 0, 0, &about4)), None);
    assert_eq!(six_to_four(&icmp6(135, 0, 0, &[0; 16])), None);
}

/// Runs the packets through AddressTranslator's inputs, in order, and returns what left by each output.
fn translated(config: &str, packets: &[(usize, Vec<u8>)]) -> Vec<(usize, Vec<u8>)> {
    let bench = Bench::new(&std::format!(
        "a :: AddressTranslator({config});
         FromDevice(in0) -> MarkIP6Header -> [0] a [0] -> ToDevice(out0);
         FromDevice(in1) -> MarkIP6Header -> [1] a [1] -> ToDevice(out1)"
    ));
    let mut left = Vec::new();
    for (port, packet) in packets {
        bench.arrive(&std::format!("in{port}"), packet);
        bench.run_for(Duration::from_micros(20));
        for port in 0..2 {
            let sent = bench.sent(&std::format!("out{port}"));
            left.extend(sent.into_iter().map(|packet| (port, packet)));
        }
    }
    left
}

const OUTER: &str = "2001:db8::80";

fn between(source: &str, destination: &str, ports: (u16, u16)) -> Vec<u8> {
    udp(six(source), six(destination), ports, b"data")
}

#[test]
fn a_configured_address_is_mapped_and_back() {
    assert_eq!(
        translated(
            "1, 0, fd00::1 2001:db8::1, 0",
            &[
                (0, between("fd00::1", OUTER, (7, 9))),
                (1, between(OUTER, "2001:db8::1", (9, 7))),
                (0, between("fd00::2", OUTER, (7, 9))),
            ]
        ),
        [
            (0, between("2001:db8::1", OUTER, (7, 9))),
            (1, between(OUTER, "fd00::1", (9, 7))),
        ]
    );
}

#[test]
fn a_configured_port_is_mapped_for_its_peer_alone() {
    assert_eq!(
        translated(
            "1, 1, fd00::1 80 2001:db8::1 8080 :: 0, 0",
            &[
                (1, between(OUTER, "2001:db8::1", (9, 8080))),
                (0, between("fd00::1", OUTER, (80, 9))),
                (1, between(OUTER, "2001:db8::1", (9, 80))),
            ]
        ),
        [
            (1, between(OUTER, "fd00::1", (9, 80))),
            (0, between("2001:db8::1", OUTER, (8080, 9))),
        ]
    );
}

#[test]
fn addresses_are_given_out_until_there_are_no_more() {
    assert_eq!(
        translated(
            "0, 1, 0, 0, 2001:db8::a, 2001:db8::b",
            &[
                (0, between("fd00::1", OUTER, (7, 9))),
                (0, between("fd00::2", OUTER, (7, 9))),
                (0, between("fd00::3", OUTER, (7, 9))),
                (1, between(OUTER, "2001:db8::b", (9, 7))),
            ]
        ),
        [
            (0, between("2001:db8::a", OUTER, (7, 9))),
            (0, between("2001:db8::b", OUTER, (7, 9))),
            (1, between(OUTER, "fd00::2", (9, 7))),
        ]
    );
}

#[test]
fn flows_share_an_address_by_ports_and_full_ones_are_dropped() {
    let mapped = "2001:db8::a";
    assert_eq!(
        translated(
            "0, 1, 1, 0, 2001:db8::a 6000 6001",
            &[
                (0, between("fd00::1", OUTER, (7, 9))),
                (0, between("fd00::2", OUTER, (7, 9))),
                (0, between("fd00::1", OUTER, (7, 9))),
                (0, between("fd00::3", OUTER, (7, 9))),
                (1, between(OUTER, mapped, (9, 6001))),
                (1, between("2001:db8::81", mapped, (9, 6001))),
            ]
        ),
        [
            (0, between(mapped, OUTER, (6000, 9))),
            (0, between(mapped, OUTER, (6001, 9))),
            (0, between(mapped, OUTER, (6000, 9))),
            (1, between(OUTER, "fd00::2", (9, 7))),
        ]
    );
}

#[test]
fn a_ping_keeps_its_checksum_when_its_identifier_changes() {
    let left = translated(
        "0, 1, 1, 0, 2001:db8::a 6000 6001",
        &[(0, icmp6(128, 0, 0x0005_0001, b"ping"))],
    );
    let [(0, packet)] = left.as_slice() else {
        panic!("one packet at output 0");
    };
    let ip = Ipv6::new(packet).unwrap();
    let icmp = Icmpv6::new(ip.payload()).unwrap();
    assert_eq!((icmp.identifier(), icmp.sequence()), (6000, 1));
    assert_eq!(
        icmp.computed_checksum(ip.pseudo_header(58, 12)),
        icmp.checksum()
    );
}

#[test]
fn wrong_mappings_are_named() {
    let errors = Bench::errors(
        "Idle -> a :: AddressTranslator(1, 0, fd00::1, 0) -> Discard; Idle -> [1] a [1] -> Discard",
    );
    assert!(
        errors.contains("MAPPING 1: expected 'INNER MAPPED'"),
        "{errors}"
    );
}

#[test]
fn icmp_views_agree_on_what_was_made() {
    let packet = icmp4(8, 0, 1, b"x");
    let ip = Ipv4::new(&packet).unwrap();
    assert!(Icmp::new(ip.payload()).unwrap().checksum_is_right());
}
