use core::time::Duration;
use std::vec::Vec;

use sprat_click::simulation::Simulation;

use crate::nat::testing::{INSIDE, OUTSIDE, PUBLIC, assert_sums, packet, segment};
use crate::testing::Bench;

/// A NAT with an FTP server before it, and rewriters of every other kind beside it.
const NAT: &str = "
    rw :: IPRewriter(pattern 198.51.100.1 3000-3999# - - 0 1, drop, UDP_TIMEOUT 10s);
    FromDevice(inside) -> MarkIPHeader(0) -> FTPPortMapper(rw, rw, 0) -> [0]rw;
    FromDevice(outside) -> MarkIPHeader(0) -> [1]rw;
    rw[0] -> ToDevice(outside); rw[1] -> c :: Counter -> ToDevice(inside);
    pings :: ICMPPingRewriter(pattern 198.51.100.1 - 0-65535 0 0);
    hosts :: IPAddrRewriter(pattern 198.51.100.10-198.51.100.20 - 0 0);
    pairs :: IPAddrPairRewriter(pattern 198.51.100.30 - 0 0);
    FromDevice(others) -> MarkIPHeader(0) -> t :: Tee;
    t[0] -> pings -> Discard; t[1] -> hosts -> Discard; t[2] -> pairs -> Discard;";

fn port_of(sent: &[u8]) -> u16 {
    u16::from_be_bytes([sent[20], sent[21]])
}

/// A new instance, whose clock shows so many seconds more than one that has just begun.
fn instance(text: &str, seconds: u64) -> Bench {
    let simulation = Simulation::new();
    simulation.advance(Duration::from_secs(seconds));
    Bench::with(simulation, text)
}

/// The packet that comes out inside when a server answers.
fn answer(bench: &Bench, protocol: u8, port: u16) -> Option<Vec<u8>> {
    bench.arrive("outside", &packet(protocol, OUTSIDE, 80, PUBLIC, port, 16));
    bench.run();
    bench.sent("inside").pop()
}

#[test]
fn a_flow_goes_on_in_another_instance_in_both_directions() {
    for protocol in [6, 17] {
        let bench = Bench::new(NAT);
        let question = packet(protocol, INSIDE, 5000, OUTSIDE, 80, 2);
        bench.arrive("inside", &question);
        bench.run();
        let sent = bench.sent("outside").remove(0);
        let other = instance(NAT, 100);
        other.import(&bench.export()).expect("sound");
        assert_eq!(other.read("rw.nmappings"), "1");
        let back = answer(&other, protocol, port_of(&sent)).expect("known");
        assert_sums(&back);
        assert_eq!(back[16..20], INSIDE);
        assert_eq!(back[22..24], 5000_u16.to_be_bytes());
        other.arrive("inside", &question);
        // A port that is taken is not given to another.
        other.arrive("inside", &packet(protocol, INSIDE, 5001, OUTSIDE, 80, 2));
        other.run();
        let again = other.sent("outside");
        assert_eq!(again[0], sent);
        assert_ne!(port_of(&again[1]), port_of(&sent));
    }
}

#[test]
fn sequence_numbers_stay_shifted_in_another_instance() {
    let bench = Bench::new(NAT);
    let client = |bench: &Bench, sequence: u32, text: &[u8]| {
        let numbers = [sequence, 900];
        bench.arrive(
            "inside",
            &segment((INSIDE, 4000), (OUTSIDE, 21), numbers, text),
        );
        bench.run();
        bench.sent("outside").remove(0)
    };
    let command = b"PORT 10,0,0,1,19,137\r\n";
    client(&bench, 100, b"");
    let longer = client(&bench, 100, command);
    let grown = u32::try_from(longer.len() - 40 - command.len()).expect("longer");
    assert_ne!(grown, 0);
    let other = instance(NAT, 100);
    other.import(&bench.export()).expect("sound");
    let next = client(&other, 122, b"LIST\r\n");
    assert_sums(&next);
    let sequence = u32::from_be_bytes([next[24], next[25], next[26], next[27]]);
    assert_eq!(sequence, 122 + grown);
}

#[test]
fn a_flow_does_not_become_younger_on_its_way() {
    let bench = Bench::new(NAT);
    bench.arrive("inside", &packet(17, INSIDE, 5000, OUTSIDE, 80, 0));
    bench.run();
    bench.simulation.advance(Duration::from_secs(8));
    let state = bench.export();
    for (later, flows) in [(1, 1), (3, 0)] {
        let other = instance(NAT, 100);
        other.import(&state).expect("sound");
        other.simulation.advance(Duration::from_secs(later));
        // Of those that have lived out their time none is carried on.
        let third = instance(NAT, 100);
        third.import(&other.export()).expect("sound");
        assert_eq!(
            third.read("rw.nmappings"),
            std::format!("{flows}"),
            "after {later} s"
        );
    }
}

#[test]
fn counts_go_on_and_what_is_not_there_any_more_is_passed_over() {
    let bench = Bench::new("FromDevice(in) -> a :: Counter -> b :: Counter -> Discard");
    bench.arrive("in", &[0; 60]);
    bench.run();
    let other = instance(
        "FromDevice(in) -> a :: Counter -> b :: Null -> c :: Counter -> Discard",
        0,
    );
    other.import(&bench.export()).expect("sound");
    other.arrive("in", &[0; 40]);
    other.run();
    assert_eq!(
        (other.read("a.count"), other.read("a.byte_count")),
        ("2".into(), "100".into())
    );
    assert_eq!(other.read("c.count"), "1");
}

#[test]
fn flows_whose_input_or_output_is_gone_stay_behind() {
    let bench = Bench::new(NAT);
    bench.arrive("inside", &packet(6, INSIDE, 5000, OUTSIDE, 80, 2));
    bench.run();
    let narrower = "rw :: IPRewriter(pattern 198.51.100.1 - - - 0 0);
        FromDevice(inside) -> MarkIPHeader(0) -> rw -> ToDevice(outside);";
    let other = instance(narrower, 0);
    other.import(&bench.export()).expect("sound");
    assert_eq!(other.read("rw.nmappings"), "0");
}

#[test]
fn state_that_is_cut_off_changed_or_made_up_is_refused_or_taken_and_never_a_panic() {
    let bench = Bench::new(NAT);
    for port in 5000..5003 {
        bench.arrive("inside", &packet(6, INSIDE, port, OUTSIDE, 80, 2));
    }
    bench.arrive("others", &packet(17, INSIDE, 1, OUTSIDE, 2, 0));
    bench.run();
    let state = bench.export();
    assert!(instance(NAT, 0).import(b"").is_err());
    assert!(instance(NAT, 0).import(b"SPRATST2").is_err());
    assert!(instance(NAT, 0).import(&state).is_ok());
    for length in 0..state.len() {
        let other = instance(NAT, 0);
        // Where a record ends, what is there is whole.
        if other.import(&state[..length]).is_err() {
            assert_eq!(other.read("rw.nmappings"), "0", "{length}");
        }
    }
    for place in 8..state.len() {
        for byte in [0, 0x7f, 0xff] {
            let mut changed = state.clone();
            changed[place] = byte;
            let other = instance(NAT, 0);
            let _ = other.import(&changed);
            for port in 3000..3003 {
                answer(&other, 6, port);
            }
            other.read("rw.table");
        }
    }
}
