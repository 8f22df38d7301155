//! Cutting packets and putting them together.

use proptest::prelude::*;

use super::*;

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
fn of_overlapping_bytes_those_stay_that_came_last() {
    // RFC 791, section 3.2: "this procedure will use the more recently arrived copy".
    let mut parts = parts(40, 36);
    let mut other = parts[1].clone();
    other[20..].fill(0xee);
    parts.insert(1, other);
    assert_eq!(through("IPReassembler", &parts).0, [packet(40)]);
}

#[test]
fn fragments_grow_old_by_their_timestamps_too() {
    // Each line is a fragment of eight bytes; the third comes 41 seconds after the first, and of
    // the second packet all parts are there.
    let dump = "!data timestamp ip_id ip_fragoff ip_len ip_proto payload\n\
                1 1 0+ 28 99 abcdefgh\n20 2 8 28 99 ijklmnop\n42 3 0+ 28 99 abcdefgh\n\
                43 2 0+ 28 99 ABCDEFGH\n44 1 8 28 99 ijklmnop\n";
    let bench = Bench::new(&format!(
        "FromIPSummaryDump(DATA '{dump}')
         -> r :: IPReassembler
         -> ToIPSummaryDump(whole, HEADER false, FIELDS timestamp ip_id payload);
         r[1] -> ToIPSummaryDump(old, HEADER false, FIELDS timestamp ip_id payload)"
    ));
    bench.run_for(MOMENT);
    let file = |name| String::from_utf8(bench.simulation.file(name).unwrap_or_default()).unwrap();
    assert_eq!(file("whole"), "43.000000 2 \"ABCDEFGHijklmnop\"\n");
    assert_eq!(file("old"), "1.000000 1 \"abcdefgh\"\n");
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

#[test]
fn what_is_not_cut_is_told_five_times() {
    let mut whole = packet(53);
    whole[6] = 0x40;
    let said = |config: &str| {
        let bench = Bench::new(&format!(
            "FromDevice(in) -> MarkIPHeader -> IPFragmenter({config}) -> Discard"
        ));
        for _ in 0..7 {
            bench.arrive("in", &whole);
        }
        bench.run();
        bench.simulation.take_errors()
    };
    let once = said("45, true, true");
    let line = once.lines().next().unwrap_or_default();
    let ip = Ipv4::new(&whole).unwrap();
    let expected = format!(
        "IPFragmenter(45) DF {} {} len={}",
        ip.source(),
        ip.destination(),
        whole.len()
    );
    assert_eq!(line, expected);
    assert_eq!(once.lines().count(), 7);
    assert_eq!(said("45").lines().count(), 5);
    assert_eq!(said("45, false"), "");
}
