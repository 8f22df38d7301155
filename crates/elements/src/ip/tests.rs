//! The IPv4 elements on packets made by hand from RFC 791.

use core::net::Ipv4Addr;
use core::time::Duration;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;
use sprat_packet::headers::{Ipv4, Ipv4Fields, Ipv4Mut, UdpFields, protocol};

use crate::testing::Bench;

/// Long enough for all that is there to pass; a device polls each simulated microsecond.
const MOMENT: Duration = Duration::from_micros(20);

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DESTINATION: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);

fn fields(length: usize) -> Ipv4Fields {
    Ipv4Fields {
        type_of_service: 0,
        total_length: u16::try_from(length).unwrap(),
        identification: 0x1234,
        flags_and_offset: 0,
        time_to_live: 64,
        protocol: protocol::UDP,
        source: SOURCE,
        destination: DESTINATION,
    }
}

/// A packet with a good header, and a payload of `length` bytes that count up.
fn packet(length: usize) -> Vec<u8> {
    let payload = (0..length).map(|byte| u8::try_from(byte % 251).unwrap());
    fields(20 + length)
        .to_bytes()
        .into_iter()
        .chain(payload)
        .collect()
}

/// A packet whose header has `options` of a multiple of four bytes.
fn packet_with_options(options: &[u8], length: usize) -> Vec<u8> {
    let mut bytes = packet(length);
    bytes.splice(20..20, options.iter().copied());
    bytes[0] += u8::try_from(options.len() / 4).unwrap();
    let total = u16::try_from(bytes.len()).unwrap();
    let mut ip = Ipv4Mut::new(&mut bytes).unwrap();
    ip.set_total_length(total);
    ip.fill_checksum();
    bytes
}

fn frame(packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from([0, 1, 2, 3, 4, 5, 0, 6, 7, 8, 9, 10, 0x08, 0x00]);
    frame.extend(packet);
    frame
}

/// Sends packets through `elements`, which has the network header marked and nothing before it, and
/// returns what leaves by outputs 0 and 1 of the element called `e`.
fn through(elements: &str, packets: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIPHeader(14) -> Strip(14) -> e :: {elements} -> ToDevice(out); e[1] -> ToDevice(side)"
    ));
    for packet in packets {
        bench.arrive("in", &frame(packet));
    }
    bench.run_for(MOMENT);
    (bench.sent("out"), bench.sent("side"))
}

/// Sends one packet through an element with one output.
fn one(element: &str, packet: &[u8]) -> Vec<u8> {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIPHeader(14) -> Strip(14) -> {element} -> ToDevice(out)"
    ));
    bench.arrive("in", &frame(packet));
    bench.run_for(MOMENT);
    bench.sent("out").remove(0)
}

fn read_checked(bytes: &[u8]) -> Ipv4<'_> {
    let ip = Ipv4::new(bytes).unwrap();
    assert!(ip.checksum_is_right());
    ip
}

#[test]
fn check_ip_header_passes_good_packets_without_their_padding() {
    let mut padded = packet(8);
    padded.extend([0xee; 18]);
    assert_eq!(through("CheckIPHeader", &[padded]).0, [packet(8)]);
}

#[test]
fn check_ip_header_counts_each_fault() {
    let change = |place: usize, value: u8, mend: bool| {
        let mut bytes = packet(8);
        bytes[place] = value;
        if mend && let Ok(mut ip) = Ipv4Mut::new(&mut bytes) {
            ip.fill_checksum();
        }
        bytes
    };
    let bad = [
        packet(8)[..19].to_vec(),
        change(0, 0x65, false),
        change(0, 0x44, false),
        change(3, 29, true),
        change(3, 19, true),
        change(8, 63, false),
    ];
    let bench = Bench::new(
        "FromDevice(in) -> Strip(14) -> c :: CheckIPHeader(DETAILS true) -> ToDevice(out); c[1] -> ToDevice(side)",
    );
    for packet in &bad {
        bench.arrive("in", &frame(packet));
    }
    bench.arrive("in", &frame(&packet(8)));
    bench.run_for(MOMENT);
    assert_eq!(bench.sent("out").len(), 1);
    assert_eq!(bench.sent("side"), bad);
    assert_eq!(bench.read("c.drops"), "6");
    assert_eq!(bench.read("c.count"), "1");
    assert_eq!(
        bench.read("c.drop_details"),
        "1\ttiny packet\n1\tbad IP version\n1\tbad IP header length\n2\tbad IP length\n1\tbad IP checksum\n\
         0\tbad source address\n"
    );
    // Only the first is told.
    assert_eq!(
        bench.simulation.take_errors(),
        "c :: CheckIPHeader: IP header check failed: tiny packet\n"
    );
}

#[test]
fn check_ip_header_without_checksum_passes_a_wrong_one() {
    let mut wrong = packet(8);
    wrong[10] ^= 1;
    assert_eq!(
        through("CheckIPHeader(CHECKSUM false)", &[wrong.clone()])
            .0
            .len(),
        1
    );
    assert_eq!(through("CheckIPHeader2", &[wrong.clone()]).0.len(), 1);
    assert_eq!(through("CheckIPHeader", &[wrong]).1.len(), 1);
}

#[test]
fn check_ip_header_drops_bad_sources_unless_the_destination_is_good() {
    let passed = |arguments: &str| {
        through(&format!("CheckIPHeader({arguments})"), &[packet(8)])
            .0
            .len()
    };
    assert_eq!(passed("BADSRC 10.0.0.9"), 1);
    assert_eq!(passed("BADSRC 10.0.0.9 10.0.0.1"), 0);
    assert_eq!(passed("BADSRC 10.0.0.1, GOODDST 192.0.2.7"), 1);
    assert_eq!(passed("INTERFACES 10.0.0.2/30"), 1);
    // 10.0.0.1 is the broadcast address of 10.0.0.0/31.
    assert_eq!(passed("INTERFACES 10.0.0.0/31"), 0);
    assert_eq!(passed("INTERFACES 10.0.0.0/31 192.0.2.7/24"), 1);
}

#[test]
fn dec_ip_ttl_takes_one_and_mends_the_checksum() {
    let sent = one("DecIPTTL", &packet(8));
    assert_eq!(read_checked(&sent).time_to_live(), 63);
    assert_eq!(sent[20..], packet(8)[20..]);
}

#[test]
fn dec_ip_ttl_turns_expired_packets_away_unchanged() {
    let expired: Vec<_> = [0, 1]
        .map(|time_to_live| {
            let mut bytes = packet(8);
            let mut ip = Ipv4Mut::new(&mut bytes).unwrap();
            ip.set_time_to_live(time_to_live);
            ip.fill_checksum();
            bytes
        })
        .into();
    let (sent, side) = through("DecIPTTL", &expired);
    assert!(sent.is_empty());
    assert_eq!(side, expired);
}

#[test]
fn dec_ip_ttl_spares_multicast_only_when_told() {
    let mut multicast = packet(8);
    let mut ip = Ipv4Mut::new(&mut multicast).unwrap();
    ip.set_destination(Ipv4Addr::new(224, 0, 0, 9));
    ip.fill_checksum();
    assert_eq!(one("DecIPTTL(MULTICAST false)", &multicast), multicast);
    assert_eq!(
        read_checked(&one("DecIPTTL", &multicast)).time_to_live(),
        63
    );
    assert_eq!(one("DecIPTTL(ACTIVE false)", &packet(8)), packet(8));
}

#[test]
fn code_point_and_congestion_bits_are_set_apart_from_each_other() {
    let mut marked = packet(8);
    let mut ip = Ipv4Mut::new(&mut marked).unwrap();
    ip.set_type_of_service(42 << 2 | 3);
    ip.fill_checksum();
    assert_eq!(
        read_checked(&one("SetIPDSCP(10)", &marked)).type_of_service(),
        10 << 2 | 3
    );
    assert_eq!(
        read_checked(&one("SetIPECN(ect1)", &marked)).type_of_service(),
        42 << 2 | 1
    );
    assert_eq!(read_checked(&one("SetIPECN(no)", &marked)).ecn(), 0);
    let errors = Bench::errors("Idle -> SetIPDSCP(64) -> Idle");
    assert!(errors.contains("DSCP: out of range, bound 63"), "{errors}");
}

#[test]
fn ip_encap_writes_the_header_of_rfc_2003() {
    let inner = packet(8);
    let sent = one(
        "IPEncap(ipip, 18.26.4.24, 140.247.60.147, DSCP 1, CE true, DF true, TTL 9)",
        &inner,
    );
    let outer = read_checked(&sent);
    let expected = Ipv4Fields {
        type_of_service: 1 << 2 | 3,
        total_length: 48,
        identification: 0,
        flags_and_offset: Ipv4::DONT_FRAGMENT,
        time_to_live: 9,
        protocol: 4,
        source: Ipv4Addr::new(18, 26, 4, 24),
        destination: Ipv4Addr::new(140, 247, 60, 147),
    };
    assert_eq!(outer.fields(), expected);
    assert_eq!(outer.payload(), inner);
    assert_eq!(
        one("IPEncap(4, 1.0.0.1, 2.0.0.2) -> StripIPHeader", &inner),
        inner
    );
}

#[test]
fn ip_encap_takes_the_destination_from_the_annotation() {
    let sent = one(
        "SetIPAddress(7.7.7.7) -> IPEncap(4, 1.0.0.1, DST_ANNO)",
        &packet(8),
    );
    assert_eq!(read_checked(&sent).destination(), Ipv4Addr::new(7, 7, 7, 7));
}

#[test]
fn set_ip_checksum_rights_a_wrong_one() {
    let mut wrong = packet(8);
    wrong[10] ^= 0x55;
    assert_eq!(one("SetIPChecksum", &wrong), packet(8));
}

#[test]
fn addresses_move_between_packet_and_annotation() {
    let sent = one("GetIPAddress(12) -> StoreIPAddress(16)", &packet(8));
    assert_eq!(sent[16..20], SOURCE.octets());
    // A zero annotation changes nothing, a zero address does.
    assert_eq!(one("StoreIPAddress(16)", &packet(8)), packet(8));
    assert_eq!(
        one("StoreIPAddress(0.0.0.0, 16)", &packet(8))[16..20],
        [0; 4]
    );
    assert_eq!(
        through("StoreIPAddress(1.2.3.4, 25)", &[packet(8)]).1,
        [packet(8)]
    );
}

#[test]
fn stored_source_mends_the_checksums() {
    let mut bytes = packet(12);
    let udp = UdpFields {
        source_port: 9,
        destination_port: 10,
        length: 12,
        checksum: 0,
    };
    bytes[20..28].copy_from_slice(&udp.to_bytes());
    let mut with_checksum = bytes.clone();
    let mut ip = Ipv4Mut::new(&mut with_checksum).unwrap();
    let pseudo_header = ip.pseudo_header(12);
    sprat_packet::headers::UdpMut::new(ip.payload_mut())
        .unwrap()
        .fill_checksum(pseudo_header);
    let sent = one(
        "StoreIPAddress(1.2.3.4, src) -> CheckIPHeader -> CheckUDPHeader",
        &with_checksum,
    );
    assert_eq!(read_checked(&sent).source(), Ipv4Addr::new(1, 2, 3, 4));
    // "No checksum" stays so.
    assert_eq!(one("StoreIPAddress(1.2.3.4, dst)", &bytes)[26..28], [0, 0]);
}

#[test]
fn random_addresses_have_the_prefix_and_keep_the_limit() {
    let packets: Vec<_> = (0..200).map(|_| packet(0)).collect();
    let bench = Bench::new(
        "FromDevice(in) -> Strip(14) -> SetRandIPAddress(10.3.0.0/16, 5) -> StoreIPAddress(16) -> ToDevice(out)",
    );
    for packet in &packets {
        bench.arrive("in", &frame(packet));
    }
    bench.run_for(MOMENT);
    let addresses: std::collections::HashSet<Vec<u8>> = bench
        .sent("out")
        .iter()
        .map(|packet| packet[16..20].to_vec())
        .collect();
    assert_eq!(addresses.len(), 5);
    assert!(addresses.iter().all(|address| address[..2] == [10, 3]));
}

#[test]
fn record_route_gets_the_routers_address() {
    let empty = packet_with_options(&[7, 7, 4, 0, 0, 0, 0, 0], 8);
    let sent = one("IPGWOptions(9.8.7.6)", &empty);
    assert_eq!(read_checked(&sent).option_bytes(), [7, 7, 8, 9, 8, 7, 6, 0]);
    // A full list passes as it is.
    assert_eq!(one("IPGWOptions(1.1.1.1)", &sent), sent);
}

#[test]
fn timestamps_are_recorded_as_their_flags_ask() {
    // The simulation starts at 1,000,000,000 s, 6,400 s into its day.
    let time = 6_400_000_u32.to_be_bytes();
    let times = packet_with_options(&[68, 8, 5, 0, 0, 0, 0, 0], 8);
    let expected = [&[68, 8, 9, 0][..], &time].concat();
    assert_eq!(
        read_checked(&one("IPGWOptions(9.8.7.6)", &times)).option_bytes(),
        expected
    );
    let full = packet_with_options(&[68, 8, 9, 0, 1, 2, 3, 4], 8);
    assert_eq!(
        read_checked(&one("IPGWOptions(9.8.7.6)", &full)).option_bytes()[3],
        0x10
    );
    let with_address = packet_with_options(&[68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0], 8);
    let expected = [&[68, 12, 13, 1, 9, 8, 7, 6][..], &time].concat();
    assert_eq!(
        read_checked(&one("IPGWOptions(9.8.7.6)", &with_address)).option_bytes(),
        expected
    );
    let asks = |router: u8| packet_with_options(&[68, 12, 5, 3, 5, 5, 5, router, 0, 0, 0, 0], 8);
    assert_eq!(one("IPGWOptions(9.8.7.6, 5.5.5.5)", &asks(4)), asks(4));
    let expected = [&[68, 12, 13, 3, 5, 5, 5, 5][..], &time].concat();
    assert_eq!(
        read_checked(&one("IPGWOptions(9.8.7.6, 5.5.5.5)", &asks(5))).option_bytes(),
        expected
    );
}

#[test]
fn bad_options_are_turned_away_with_the_place_of_the_bad_byte() {
    for (options, place) in [
        ([7, 7, 3, 0, 0, 0, 0, 0], 22),
        ([7, 7, 6, 0, 0, 0, 0, 0], 22),
        ([1, 7, 9, 4, 0, 0, 0, 0], 22),
        ([68, 8, 9, 0xf0, 0, 0, 0, 0], 23),
        ([68, 8, 5, 2, 0, 0, 0, 0], 23),
    ] {
        let bench = Bench::new(
            "FromDevice(in) -> MarkIPHeader(14) -> e :: IPGWOptions(9.8.7.6) -> ToDevice(out);
             e[1] -> ICMPError(9.8.7.6, parameterproblem) -> ToDevice(side)",
        );
        bench.arrive("in", &frame(&packet_with_options(&options, 8)));
        bench.run_for(MOMENT);
        assert!(bench.sent("out").is_empty(), "{options:?}");
        assert_eq!(bench.sent("side")[0][24], place, "{options:?}");
    }
}

#[test]
fn short_packets_pass_the_fragmenter_and_long_ones_are_cut_at_eight_bytes() {
    let (sent, _) = through("IPFragmenter(44)", &[packet(24)]);
    assert_eq!(sent, [packet(24)]);
    let (sent, _) = through("IPFragmenter(45)", &[packet(53)]);
    let parts: Vec<_> = sent
        .iter()
        .map(|part| {
            let ip = read_checked(part);
            assert_eq!(usize::from(ip.total_length()), part.len());
            (
                ip.fragment_offset(),
                ip.more_fragments(),
                ip.payload().to_vec(),
            )
        })
        .collect();
    let payload = &packet(53)[20..];
    assert_eq!(
        parts,
        [
            (0, true, payload[..24].to_vec()),
            (24, true, payload[24..48].to_vec()),
            (48, false, payload[48..].to_vec())
        ]
    );
}

#[test]
fn only_copied_options_go_into_later_fragments() {
    // Record route stays with the first, router alert goes along.
    let long = packet_with_options(&[7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0], 40);
    let (sent, _) = through("IPFragmenter(56)", &[long]);
    assert_eq!(
        read_checked(&sent[0]).option_bytes(),
        [7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 0]
    );
    assert_eq!(read_checked(&sent[1]).option_bytes(), [148, 4, 0, 0]);
    assert_eq!(
        (
            read_checked(&sent[0]).payload().len(),
            read_checked(&sent[1]).payload().len()
        ),
        (24, 16)
    );
}

#[test]
fn packets_that_forbid_it_are_not_cut() {
    let mut whole = packet(53);
    let mut ip = Ipv4Mut::new(&mut whole).unwrap();
    ip.set_flags_and_offset(Ipv4::DONT_FRAGMENT);
    ip.fill_checksum();
    let (sent, side) = through("IPFragmenter(45)", core::slice::from_ref(&whole));
    assert_eq!((sent.len(), side), (0, Vec::from([whole.clone()])));
    assert_eq!(
        through("IPFragmenter(45, HONOR_DF false)", &[whole])
            .0
            .len(),
        3
    );
}

#[test]
fn a_fragment_of_a_fragment_keeps_its_place_in_the_whole() {
    let mut middle = packet(53);
    let mut ip = Ipv4Mut::new(&mut middle).unwrap();
    ip.set_flags_and_offset(Ipv4::MORE_FRAGMENTS | 100);
    ip.fill_checksum();
    let (sent, _) = through("IPFragmenter(45)", &[middle]);
    let places: Vec<_> = sent
        .iter()
        .map(|part| {
            (
                read_checked(part).fragment_offset(),
                read_checked(part).more_fragments(),
            )
        })
        .collect();
    assert_eq!(places, [(800, true), (824, true), (848, true)]);
}

/// The parts of `packet(length)` for links of `mtu` bytes.
fn parts(length: usize, mtu: usize) -> Vec<Vec<u8>> {
    through(&format!("IPFragmenter({mtu})"), &[packet(length)]).0
}

#[test]
fn overlapping_bytes_stay_as_they_came_first() {
    let mut parts = parts(40, 36);
    let mut other = parts[1].clone();
    other[20..].fill(0xee);
    parts.insert(2, other);
    assert_eq!(through("IPReassembler", &parts).0, [packet(40)]);
}

#[test]
fn fragments_that_contradict_each_other_are_counted_and_left_out() {
    let [first, second, third] = parts(40, 36).try_into().unwrap();
    let mut shorter = second.clone();
    let mut ip = Ipv4Mut::new(&mut shorter).unwrap();
    ip.set_flags_and_offset(ip.flags_and_offset() & Ipv4::OFFSET_MASK);
    ip.fill_checksum();
    let bench = Bench::new(
        "FromDevice(in) -> MarkIPHeader(14) -> Strip(14) -> r :: IPReassembler -> ToDevice(out)",
    );
    for part in [&first, &third, &shorter, &second] {
        bench.arrive("in", &frame(part));
    }
    bench.run_for(MOMENT);
    assert_eq!(bench.sent("out"), [packet(40)]);
    assert_eq!(bench.read("r.drops"), "1");
}

#[test]
fn what_is_incomplete_after_thirty_seconds_leaves_by_output_one() {
    // Not from a device, which would be polled for all that time.
    let hex: String = parts(53, 45)[0]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let bench = Bench::new(&format!(
        "InfiniteSource(DATA \\<{hex}>, LIMIT 1) -> MarkIPHeader -> r :: IPReassembler -> ToDevice(out);
         r[1] -> ToDevice(side)"
    ));
    bench.run_for(Duration::from_secs(29));
    assert!(bench.sent("side").is_empty());
    bench.run_for(Duration::from_secs(2));
    let side = bench.sent("side");
    assert_eq!(read_checked(&side[0]).payload(), &packet(53)[20..44]);
    assert_eq!(bench.read("r.expired"), "1");
}

#[test]
fn held_fragments_keep_to_their_memory() {
    let bench = Bench::new(
        "FromDevice(in) -> MarkIPHeader(14) -> Strip(14) -> r :: IPReassembler(HIMEM 100000) -> Discard",
    );
    let first = parts(53, 45).remove(0);
    for identification in 0..1000 {
        let mut part = first.clone();
        let mut ip = Ipv4Mut::new(&mut part).unwrap();
        ip.set_identification(identification);
        ip.fill_checksum();
        bench.arrive("in", &frame(&part));
    }
    bench.run_for(MOMENT);
    let expired: u32 = bench.read("r.expired").parse().unwrap();
    // Each costs some 300 bytes, so about 330 fit.
    assert!((600..800).contains(&expired), "{expired}");
}

#[test]
fn output_combo_sends_each_packet_where_its_parts_would() {
    let run = |packet: Vec<u8>| {
        let bench = Bench::new(
            "FromDevice(in) -> IPInputCombo(2) -> c :: IPOutputCombo(3, 9.9.9.9, 68) -> ToDevice(o0);
             c[1] -> ToDevice(o1); c[2] -> ToDevice(o2); c[3] -> ToDevice(o3); c[4] -> ToDevice(o4)",
        );
        bench.arrive("in", &frame(&packet));
        bench.run_for(MOMENT);
        ["o0", "o1", "o2", "o3", "o4"].map(|device| bench.sent(device).len())
    };
    let with = |change: fn(&mut Ipv4Mut<'_>), length| {
        let mut bytes = packet(length);
        let mut ip = Ipv4Mut::new(&mut bytes).unwrap();
        change(&mut ip);
        ip.fill_checksum();
        bytes
    };
    assert_eq!(run(packet(8)), [1, 0, 0, 0, 0]);
    assert_eq!(
        run(packet_with_options(&[7, 7, 3, 0, 0, 0, 0, 0], 8)),
        [0, 0, 1, 0, 0]
    );
    assert_eq!(run(with(|ip| ip.set_time_to_live(1), 8)), [0, 0, 0, 1, 0]);
    assert_eq!(run(packet(60)), [2, 0, 0, 0, 0]);
    assert_eq!(
        run(with(|ip| ip.set_flags_and_offset(Ipv4::DONT_FRAGMENT), 60)),
        [0, 0, 0, 0, 1]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the length, the link and the order of arrival.
    #[test]
    fn what_was_cut_is_put_together_again(
        length in 1_usize..3000, mtu in 48_usize..700, seed: u64, with_options: bool,
    ) {
        let options: &[u8] = if with_options { &[148, 4, 0, 0] } else { &[] };
        let whole = packet_with_options(options, length);
        let mut parts = through(&format!("IPFragmenter({mtu})"), core::slice::from_ref(&whole)).0;
        prop_assert!(parts.iter().all(|part| part.len() <= mtu));
        // A shuffle that the seed decides.
        let mut state = seed | 1;
        for at in (1..parts.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            parts.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
        }
        prop_assert_eq!(through("IPReassembler", &parts).0, [whole]);
    }

    /// Any bytes at all through every element that reads headers: the point is that nothing panics and
    /// that each packet leaves by one output or is dropped.
    #[test]
    fn no_bytes_upset_the_elements(bytes in proptest::collection::vec(any::<u8>(), 0..80), version: bool) {
        let mut bytes = bytes;
        if let (true, Some(first)) = (version, bytes.first_mut()) {
            *first = *first & 0x0f | 0x40;
        }
        for element in [
            "CheckIPHeader", "DecIPTTL", "IPGWOptions(1.2.3.4)", "IPFragmenter(28)", "IPReassembler",
            "StoreIPAddress(1.2.3.4, src)", "CheckTCPHeader", "CheckUDPHeader", "CheckICMPHeader",
            "SetTCPChecksum(true)", "SetUDPChecksum", "SetICMPChecksum", "ICMPPingResponder",
        ] {
            through(element, core::slice::from_ref(&bytes));
        }
        for element in ["FixIPSrc(1.2.3.4)", "SetIPDSCP(1)", "SetIPChecksum", "StripIPHeader",
            "ICMPError(1.2.3.4, timeexceeded)", "IPInputCombo(1)", "UDPIPEncap(1.2.3.4, 5, 6.7.8.9, 10)"]
        {
            let bench = Bench::new(&format!("FromDevice(in) -> MarkIPHeader(14) -> {element} -> ToDevice(out)"));
            bench.arrive("in", &frame(&bytes));
            bench.run_for(MOMENT);
            let sent: Vec<String> = bench.sent("out").iter().map(|packet| format!("{packet:?}")).collect();
            prop_assert!(sent.len() <= 1);
        }
    }
}

/// Runs `packets` through `elements`, and gives back what comes out.
fn all_through(elements: &str, packets: &[Vec<u8>]) -> (Bench, Vec<Vec<u8>>) {
    let bench = Bench::new(&format!(
        "FromDevice(in) -> MarkIPHeader(0) -> {elements} -> ToDevice(out)"
    ));
    for packet in packets {
        bench.arrive("in", packet);
    }
    bench.run_for(MOMENT);
    let sent = bench.sent("out");
    (bench, sent)
}

/// UDP from port 5 to 53, or TCP with a sequence number of 7 and an acknowledgement of 9.
fn with_ports(protocol: u8, payload: usize) -> Vec<u8> {
    let transport: &[u8] = if protocol == protocol::TCP {
        &[
            0, 5, 0, 53, 0, 0, 0, 7, 0, 0, 0, 9, 0x60, 0x10, 0, 1, 0, 0, 0, 0, 1, 1, 1, 1,
        ]
    } else {
        &[0, 5, 0, 53, 0, 8, 0, 0]
    };
    let mut bytes = packet(transport.len() + payload);
    bytes[9] = protocol;
    bytes[20..20 + transport.len()].copy_from_slice(transport);
    Ipv4Mut::new(&mut bytes).unwrap().fill_checksum();
    bytes
}

#[test]
fn ip_mirror_swaps_addresses_ports_and_tcp_numbers() {
    let (_, sent) = all_through("IPMirror", &[with_ports(protocol::TCP, 3)]);
    let ip = Ipv4::new(&sent[0]).unwrap();
    assert_eq!((ip.source(), ip.destination()), (DESTINATION, SOURCE));
    assert!(ip.checksum_is_right());
    assert_eq!(ip.payload()[..12], [0, 53, 0, 5, 0, 0, 0, 9, 0, 0, 0, 7]);
    let mut later = with_ports(protocol::UDP, 8);
    Ipv4Mut::new(&mut later).unwrap().set_flags_and_offset(1);
    let (_, sent) = all_through("IPMirror", core::slice::from_ref(&later));
    assert_eq!(sent[0][20..], later[20..], "a later fragment has no ports");
}

#[test]
fn ip_mirror_annotates_the_new_destination_unless_told_not_to() {
    // GetIPAddress leaves the annotation at the old destination.
    for (argument, expected) in [("", SOURCE), ("false", DESTINATION)] {
        let elements = format!("GetIPAddress(16) -> IPMirror({argument}) -> StoreIPAddress(16)");
        let (_, sent) = all_through(&elements, &[packet(8)]);
        let ip = Ipv4::new(&sent[0]).unwrap();
        assert_eq!(ip.destination(), expected, "{argument}");
    }
}

#[test]
fn mark_ip_ce_drops_what_is_not_ecn_capable() {
    let packets = [0_u8, 1, 2, 3].map(|ecn| {
        let mut bytes = packet(4);
        let mut ip = Ipv4Mut::new(&mut bytes).unwrap();
        ip.set_type_of_service(0xb8 | ecn);
        ip.fill_checksum();
        bytes
    });
    for (argument, count) in [("", 3), ("true", 4)] {
        let (bench, sent) = all_through(&format!("m :: MarkIPCE({argument})"), &packets);
        assert_eq!(sent.len(), count);
        for bytes in &sent {
            let ip = Ipv4::new(bytes).unwrap();
            assert_eq!(ip.type_of_service(), 0xbb);
            assert!(ip.checksum_is_right());
        }
        assert_eq!(bench.read("m.drops"), (4 - count).to_string());
    }
}

#[test]
fn set_ip_ecn_takes_the_names_of_rfc_3168() {
    for (name, bits) in [
        ("no", 0),
        ("ECT(1)", 1),
        ("ect2", 2),
        ("ECT(0)", 2),
        ("CE", 3),
    ] {
        let (_, sent) = all_through(&format!("SetIPECN({name})"), &[packet(4)]);
        assert_eq!(Ipv4::new(&sent[0]).unwrap().ecn(), bits, "{name}");
    }
}

#[test]
fn truncate_ip_payload_leaves_the_headers() {
    for (argument, protocol, length) in [
        ("", protocol::TCP, 44),
        ("3", protocol::TCP, 47),
        ("3", protocol::UDP, 31),
        ("3, TRANSPORT false", protocol::UDP, 23),
        ("100", protocol::UDP, 40),
    ] {
        let whole = with_ports(protocol, if protocol == protocol::TCP { 9 } else { 12 });
        let elements = format!("TruncateIPPayload({argument})");
        let (_, sent) = all_through(&elements, core::slice::from_ref(&whole));
        assert_eq!(
            sent[0],
            whole[..length.min(whole.len())],
            "{argument} {protocol}"
        );
        let (_, sent) = all_through(&format!("{elements} -> Pad"), core::slice::from_ref(&whole));
        assert_eq!(sent[0].len(), whole.len(), "the extra length is annotated");
    }
    let bench = Bench::new("FromDevice(in) -> TruncateIPPayload(5) -> ToDevice(out)");
    bench.arrive("in", &[0x45; 60]);
    bench.run_for(MOMENT);
    assert_eq!(bench.sent("out"), [[0x45; 5]], "nobody said that it is IP");
}

#[test]
fn erase_ip_payload_leaves_headers_and_lengths() {
    for (protocol, headers) in [(protocol::TCP, 44), (protocol::UDP, 28), (99, 40)] {
        let whole = with_ports(
            protocol,
            40 - if protocol == protocol::TCP { 24 } else { 8 },
        );
        let (_, sent) = all_through("EraseIPPayload", core::slice::from_ref(&whole));
        let kept = if protocol == 99 { whole.len() } else { headers };
        assert_eq!(sent[0].len(), whole.len());
        assert_eq!(sent[0][..kept], whole[..kept], "{protocol}");
        assert!(sent[0][kept..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_stripped_ip_header_can_be_put_back() {
    let options = packet_with_options(&[1, 1, 1, 0], 8);
    for elements in ["StripIPHeader -> UnstripIPHeader", "UnstripIPHeader"] {
        let (_, sent) = all_through(elements, core::slice::from_ref(&options));
        assert_eq!(sent[0], options, "{elements}");
    }
}
