//! IP options, and the combination of elements that has to do with them.

use super::*;

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
    // Room for half a timestamp is none.
    let half = packet_with_options(&[68, 6, 5, 0x20, 1, 2, 0, 0], 8);
    assert_eq!(
        read_checked(&one("IPGWOptions(9.8.7.6)", &half)).option_bytes()[2..4],
        [5, 0x30]
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
        // Routers asked by name have no room to lack, and a pointer goes no further than the end.
        ([68, 8, 9, 3, 0, 0, 0, 0], 23),
        ([7, 7, 12, 0, 0, 0, 0, 0], 22),
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
    // It cuts none itself: that is for an IPFragmenter behind output 4.
    assert_eq!(run(packet(60)), [0, 0, 0, 0, 1]);
}
