//! The IPv6 elements on packets made by hand from RFC 8200 and RFC 4861.

use core::net::Ipv6Addr;
use core::time::Duration;
use std::format;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;
use sprat_packet::checksum::Sum;
use sprat_packet::headers::{Icmpv6, Ipv6, Ipv6Fields, UdpFields, protocol};

use crate::testing::Bench;

/// Long enough for all that is there to pass; a device polls each simulated microsecond.
const MOMENT: Duration = Duration::from_micros(20);

pub(super) const SOURCE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
pub(super) const DESTINATION: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0xabcd);

pub(super) fn fields(next_header: u8, length: usize) -> Ipv6Fields {
    Ipv6Fields {
        traffic_class: 0,
        flow_label: 0,
        payload_length: u16::try_from(length).unwrap(),
        next_header,
        hop_limit: 64,
        source: SOURCE,
        destination: DESTINATION,
    }
}

pub(super) fn packet(fields: Ipv6Fields, payload: &[u8]) -> Vec<u8> {
    [&fields.to_bytes()[..], payload].concat()
}

/// A UDP datagram with a good checksum between two addresses.
pub(super) fn udp(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    ports: (u16, u16),
    data: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap();
    let mut header = UdpFields {
        source_port: ports.0,
        destination_port: ports.1,
        length,
        checksum: 0,
    };
    header.checksum = Sum::pseudo_header_v6(source, destination, protocol::UDP, length.into())
        .add_bytes(&header.to_bytes())
        .add_bytes(data)
        .finish_udp();
    let network = Ipv6Fields {
        source,
        destination,
        ..fields(protocol::UDP, length.into())
    };
    [&network.to_bytes()[..], &header.to_bytes(), data].concat()
}

/// Sends packets through an element called `e` that has its header marked, and returns what leaves by
/// its outputs 0 and 1.
fn through(element: &str, packets: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIP6Header -> e :: {element} -> ToDevice(out); e[1] -> ToDevice(side)"
    ));
    for packet in packets {
        bench.arrive("in", packet);
    }
    bench.run_for(MOMENT);
    (bench.sent("out"), bench.sent("side"))
}

pub(super) fn one(element: &str, packet: &[u8]) -> Option<Vec<u8>> {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIP6Header -> {element} -> ToDevice(out)"
    ));
    bench.arrive("in", packet);
    bench.run_for(MOMENT);
    bench.sent("out").pop()
}

#[test]
fn check_ip6_header_cuts_padding_and_diverts_what_is_wrong() {
    let good = packet(fields(59, 4), b"abcd");
    let padded = [&good[..], b"padding"].concat();
    let version = [&[0x50], &good[1..]].concat();
    let short = good[..43].to_vec();
    let multicast = packet(
        Ipv6Fields {
            source: "ff02::1".parse().unwrap(),
            ..fields(59, 0)
        },
        b"",
    );
    let bad = packet(
        Ipv6Fields {
            source: "::1".parse().unwrap(),
            ..fields(59, 0)
        },
        b"",
    );
    let refused = std::vec![version, short, good[..39].to_vec(), multicast, bad];
    let mut all = refused.clone();
    all.insert(2, padded);
    let (passed, side) = through("CheckIP6Header(::1 ::2)", &all);
    assert_eq!(passed, [good]);
    assert_eq!(side, refused);
}

#[test]
fn check_ip6_header_finds_the_header_behind_others() {
    let good = packet(fields(59, 4), b"abcd");
    let framed = [&b"fourteen bytes"[..], &good].concat();
    let out = one("CheckIP6Header(OFFSET 14) -> Strip(14)", &framed);
    assert_eq!(out, Some(good));
}

#[test]
fn dec_ip6_hlim_diverts_packets_without_hops() {
    let with = |hop_limit| {
        packet(
            Ipv6Fields {
                hop_limit,
                ..fields(59, 0)
            },
            b"",
        )
    };
    let (passed, side) = through("DecIP6HLIM", &[with(0), with(1), with(2), with(255)]);
    assert_eq!(passed, [with(1), with(254)]);
    assert_eq!(side, [with(0), with(1)]);
}

#[test]
fn fields_are_set_without_their_neighbours() {
    let mut expected = packet(fields(59, 0), b"");
    for (element, bytes) in [
        ("SetIP6DSCP(63)", [0x6f, 0xc0, 0, 0]),
        ("SetIP6ECN(ce)", [0x60, 0x30, 0, 0]),
        ("SetIP6FlowLabel(0x12345)", [0x60, 0x01, 0x23, 0x45]),
    ] {
        expected[..4].copy_from_slice(&bytes);
        let out = one(element, &packet(fields(59, 0), b""));
        assert_eq!(out.as_ref(), Some(&expected), "{element}");
    }
    let all = "SetIP6FlowLabel(0xfffff) -> SetIP6DSCP(0) -> SetIP6ECN(0) -> SetIP6Hlim(9)";
    let out = one(all, &packet(fields(59, 0), b"")).unwrap();
    assert_eq!((&out[..4], out[7]), (&[0x60, 0x0f, 0xff, 0xff][..], 9));
    let errors = Bench::errors("Idle -> SetIP6DSCP(64) -> Discard");
    assert!(errors.contains("DSCP: out of range, bound 63"), "{errors}");
}

#[test]
fn mirror_swaps_addresses_and_ports_and_keeps_the_checksum_right() {
    let sent = udp(SOURCE, DESTINATION, (7, 4660), b"data");
    assert_eq!(
        one("IP6Mirror", &sent),
        Some(udp(DESTINATION, SOURCE, (4660, 7), b"data"))
    );
}

#[test]
fn encapsulation_is_what_by_hand_it_should_be() {
    let out = one(
        "IP6Encap(udp, 2001:db8::1, 2001:db8:0:1::abcd, HLIM 64)",
        b"abcd",
    );
    assert_eq!(out, Some(packet(fields(17, 4), b"abcd")));
    let out = one(
        "SetIP6Address(2001:db8:0:1::abcd) -> UDPIP6Encap(2001:db8::1, 7, DST_ANNO, 9) -> SetIP6Hlim(64)",
        b"data",
    );
    assert_eq!(out, Some(udp(SOURCE, DESTINATION, (7, 9), b"data")));
}

#[test]
fn addresses_are_stored_where_they_are_wanted() {
    let sent = packet(fields(59, 0), b"");
    let out = one("GetIP6Address(24) -> StoreIP6Address(8)", &sent).unwrap();
    assert_eq!(Ipv6::new(&out).unwrap().source(), DESTINATION);
    let out = one("StoreIP6Address(2001:db8::1, dst)", &sent).unwrap();
    assert_eq!(Ipv6::new(&out).unwrap().destination(), SOURCE);
    let (passed, side) = through("StoreIP6Address(::1, 25)", core::slice::from_ref(&sent));
    assert!(passed.is_empty());
    assert_eq!(side, [sent]);
}

#[test]
fn ip6_print_says_addresses_and_fields() {
    let bench = Bench::new(
        "FromDevice(in) -> MarkIP6Header -> IP6Print(v6, CONTENTS true, NBYTES 26) -> Discard",
    );
    bench.arrive("in", &packet(fields(59, 0), b""));
    bench.run_for(MOMENT);
    assert_eq!(
        bench.simulation.take_errors(),
        "v6: 2001:db8::1 -> 2001:db8:0:1::abcd plen 0, next 59, hlim 64\n  \
         60000000 00003b40 20010db8 00000000 00000000 00000001\n  2001\n"
    );
}

fn routed(bench: &Bench, destination: &str) -> Vec<usize> {
    let packet = packet(
        Ipv6Fields {
            destination: destination.parse().unwrap(),
            ..fields(59, 0)
        },
        b"",
    );
    bench.arrive("in", &packet);
    bench.run_for(MOMENT);
    (0..3)
        .filter(|port| !bench.sent(&format!("out{port}")).is_empty())
        .collect()
}

#[test]
fn the_longest_prefix_wins_and_routes_change() {
    let bench = Bench::new(
        "FromDevice(in) -> GetIP6Address(24) -> r :: LookupIP6Route(2001:db8::/32 ::0 0, \
         2001:db8:0:1::/64 fe80::1 1, 2001:db8:0:1::5/128 2);
         r[0] -> ToDevice(out0); r[1] -> ToDevice(out1); r[2] -> ToDevice(out2)",
    );
    assert_eq!(routed(&bench, "2001:db8:ffff::1"), [0]);
    assert_eq!(routed(&bench, "2001:db8:0:1::4"), [1]);
    assert_eq!(routed(&bench, "2001:db8:0:1::5"), [2]);
    assert_eq!(routed(&bench, "2001:db9::"), []);
    assert_eq!(
        bench.read("r.table"),
        "# Active routes\n2001:db8::/32\t::\t0\n2001:db8:0:1::/64\tfe80::1\t1\n2001:db8:0:1::5/128\t::\t2\n"
    );
    bench.write("r.remove", "2001:db8:0:1::/64");
    bench.write("r.add", "::/0 fe80::1 2");
    bench.write("r.ctrl", "remove 2001:db8:0:1::5/128");
    // A new route takes the first free place; one that is not there is removed without a word.
    bench.write("r.remove", "::/1");
    assert_eq!(
        bench.read("r.table"),
        "# Active routes\n2001:db8::/32\t::\t0\n::/0\tfe80::1\t2\n"
    );
    assert_eq!(routed(&bench, "2001:db8:0:1::5"), [0]);
    assert_eq!(routed(&bench, "2001:db9::"), [2]);
    for (handler, value, message) in [
        ("add", "::/0 fe80::1 3", "output port out of range"),
        (
            "ctrl",
            "set ::/1 1",
            "bad command, should be `add' or `remove'",
        ),
    ] {
        let error = bench.write_fails(&format!("r.{handler}"), value);
        assert_eq!(error.as_deref(), Some(message));
    }
}

#[test]
fn routes_need_outputs() {
    for (routes, expected) in [
        ("::/0 x", "  argument 1 should be DADDR/MASK [GW] OUTPUT"),
        ("::/0 0, 1::/16 2", "  need 3 or more output ports"),
    ] {
        let errors = Bench::errors(&format!("Idle -> LookupIP6Route({routes}) -> Idle"));
        assert_eq!(errors.lines().nth(1), Some(expected));
    }
}

#[test]
fn long_packets_are_diverted_and_fragments_cut_further() {
    let long = packet(fields(17, 1300), &[7; 1300]);
    let fragment_header = [17, 0, 0x00, 0x09, 0, 0, 0, 5];
    let fragment = packet(
        fields(44, 1308),
        &[&fragment_header[..], &[7; 1300]].concat(),
    );
    let (passed, side) = through("IP6Fragmenter(1280)", &[long.clone(), fragment]);
    assert_eq!(side, [long]);
    // 1280 - 48 = 1232 bytes fit, a multiple of eight; the offset went from 8 bytes to 1240.
    let part = |offset: u16, length: usize| {
        let [high, low] = (offset | 1).to_be_bytes();
        let header = [17, 0, high, low, 0, 0, 0, 5];
        packet(
            fields(44, length + 8),
            &[&header[..], &[7; 1300][..length]].concat(),
        )
    };
    assert_eq!(passed, [part(8, 1232), part(1240, 68)]);
}

#[test]
fn errors_quote_the_packet_and_have_a_good_checksum() {
    let about = udp(SOURCE, DESTINATION, (7, 9), &[1; 2000]);
    let error = one("ICMP6Error(2001:db8::ffff, 3, 0)", &about).unwrap();
    assert_eq!(error.len(), 1280);
    let ip = Ipv6::new(&error).unwrap();
    assert_eq!(ip.source(), "2001:db8::ffff".parse::<Ipv6Addr>().unwrap());
    assert_eq!(ip.destination(), SOURCE);
    let icmp = Icmpv6::new(ip.payload()).unwrap();
    assert_eq!((icmp.kind(), icmp.code(), icmp.second_word()), (3, 0, 0));
    assert_eq!(
        icmp.computed_checksum(ip.pseudo_header(58, 1240)),
        icmp.checksum()
    );
    assert_eq!(icmp.payload(), &about[..1232]);
}

#[test]
fn errors_are_not_about_errors_groups_or_later_fragments() {
    let error = packet(fields(58, 8), &[1, 4, 0, 0, 0, 0, 0, 0]);
    let later = packet(fields(44, 8), &[17, 0, 0, 8, 0, 0, 0, 1]);
    let anonymous = packet(
        Ipv6Fields {
            source: Ipv6Addr::UNSPECIFIED,
            ..fields(59, 0)
        },
        b"",
    );
    let group = packet(
        Ipv6Fields {
            destination: "ff02::5".parse().unwrap(),
            ..fields(59, 0)
        },
        b"",
    );
    for about in [&error, &later, &anonymous, &group] {
        assert_eq!(one("ICMP6Error(::1, 1, 0)", about), None);
    }
    // A group may be told that a packet was too big (RFC 4443, section 2.4, e.3).
    let too_big = one("ICMP6Error(::1, 2, 0, MTU 1400)", &group).unwrap();
    assert_eq!(too_big[44..48], [0, 0, 0x05, 0x78]);
}

/// The solicitation of Click's example ip6ndsolicitor.click, as its comment prints it.
fn solicitation() -> Vec<u8> {
    bytes(
        "3333ff000001 00e02905e56f 86dd 60000000 0020 3a ff 3ffe1ce1000200000000000000000001 \
         ff0200000000000000000001ff000001 8700 b084 00000000 3ffe1ce1000200000000000000000001 \
         0101 00e02905e56f",
    )
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: String = hexadecimal.split_whitespace().collect();
    (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
        .collect()
}

fn solicitor() -> Bench {
    Bench::new(
        "FromDevice(ip) -> SetIP6Address(3ffe:1ce1:2::1)
         -> n :: IP6NDSolicitor(3ffe:1ce1:2::1, 00:e0:29:05:e5:6f) -> ToDevice(out);
         FromDevice(nd) -> [1] n; n[1] -> ToDevice(asked)",
    )
}

#[test]
fn a_solicitation_goes_out_and_the_packet_follows_the_answer() {
    let bench = solicitor();
    bench.arrive("ip", b"one");
    bench.arrive("ip", b"two");
    bench.run_for(MOMENT);
    assert_eq!(bench.sent("asked"), [solicitation()]);
    assert!(bench.sent("out").is_empty());
    let answers = Bench::new(
        "FromDevice(in) -> IP6NDAdvertiser(3ffe:1ce1:2::/64 2:0:0:0:0:9, 3ffe:1ce1:2::1 2:0:0:0:0:2) -> ToDevice(out)",
    );
    answers.arrive("in", &solicitation());
    answers.run_for(MOMENT);
    let answer = answers.sent("out").pop().unwrap();
    bench.arrive("nd", &answer);
    bench.run_for(MOMENT);
    let framed = |data: &[u8]| [&bytes("020000000002 00e02905e56f 86dd")[..], data].concat();
    assert_eq!(bench.sent("out"), [framed(b"two")]);
    bench.arrive("ip", b"three");
    bench.run_for(MOMENT);
    assert_eq!(bench.sent("out"), [framed(b"three")]);
    assert_eq!(
        bench.read("n.table"),
        "3ffe:1ce1:2::1 1 02-00-00-00-00-02\n"
    );
    assert_eq!(
        bench.read("n.stats"),
        "1 packets killed\n1 ND Solicitation Message sent\n"
    );
}

#[test]
fn an_advertisement_is_what_rfc_4861_says() {
    let advertiser = "IP6NDAdvertiser(3ffe:1ce1:2::1/128 2:0:0:0:0:2)";
    let answer = one(advertiser, &solicitation()).unwrap();
    let mut expected = bytes(
        "00e02905e56f 020000000002 86dd 60000000 0020 3a ff 3ffe1ce1000200000000000000000001 \
         3ffe1ce1000200000000000000000001 8800 0000 e0000000 3ffe1ce1000200000000000000000001 \
         0201 020000000002",
    );
    expected[56..58].copy_from_slice(&answer[56..58]);
    assert_eq!(answer, expected);
    let ip = Ipv6::new(&answer[14..]).unwrap();
    let icmp = Icmpv6::new(ip.payload()).unwrap();
    assert_eq!(
        icmp.computed_checksum(ip.pseudo_header(58, 32)),
        icmp.checksum()
    );
    // From further away than this link, broken, or about another address.
    let change = |place: usize| {
        let mut frame = solicitation();
        frame[place] ^= 1;
        frame
    };
    for place in [21, 57, 77, 54] {
        assert_eq!(one(advertiser, &change(place)), None, "{place}");
    }
}

#[test]
fn unanswered_neighbours_are_asked_for_once_a_second_and_then_forgotten() {
    let bench = solicitor();
    for _ in 0..3 {
        bench.arrive("ip", b"x");
        bench.run_for(Duration::from_millis(600));
    }
    assert_eq!(bench.sent("asked").len(), 2);
    bench.run_for(Duration::from_secs(320));
    assert_eq!(bench.read("n.table"), "");
}

proptest! {
    #[test]
    fn no_bytes_make_an_element_panic(data in proptest::collection::vec(any::<u8>(), 0..120)) {
        let mut data = data;
        if let Some(first) = data.first_mut() {
            *first = 0x60 | *first & 0x0f;
        }
        for element in [
            "CheckIP6Header", "DecIP6HLIM", "IP6Mirror", "ICMP6Error(::1, 3, 0)", "IP6Print",
            "IP6NDAdvertiser(::/0 2:0:0:0:0:2)", "ProtocolTranslator64", "ProtocolTranslator46",
            "IP6Fragmenter(1280)", "SetIP6ECN(1)",
        ] {
            one(element, &data);
        }
    }
}
