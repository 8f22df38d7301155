//! The elements that make packets look like TCP and UDP, and those that act as hosts do.

use core::time::Duration;
use std::format;
use std::string::String;

use sprat_click::simulation::Simulation;

use crate::testing::Bench;

fn file(bench: &Bench, name: &str) -> String {
    String::from_utf8(bench.simulation.file(name).unwrap_or_default()).unwrap_or_default()
}

#[test]
fn forcetcp_writes_ports_as_click_does() {
    // Of eight packets the first two get port 80, the fourth a random one.
    let bench = Bench::new(
        "FromIPSummaryDump(DATA \"!data proto dport\\nT 9\\nT 9\\nT 9\\nT 9999\\nT 9\\nT 9\\nT 9\\nT 9\\nT 9\\n\")
         -> ForceTCP(RANDOM_DPORT true) -> CheckTCPHeader(VERBOSE true)
         -> ToIPSummaryDump(out, HEADER false, FIELDS dport)",
    );
    bench.run();
    let written = file(&bench, "out");
    let mut ports: std::vec::Vec<u16> = written.lines().map(|it| it.parse().unwrap()).collect();
    assert!(ports.remove(3) < 1024);
    assert_eq!(ports, [80, 80, 9, 9, 9, 9, 9, 80]);
}

#[test]
fn forcetcp_leaves_what_it_is_not_told_to_change() {
    let bench = Bench::new(
        "FromIPSummaryDump(DATA \"!data proto dport tcp_flags\\nT 9 SA\\nT 9 F\\n\")
         -> t :: Tee -> ForceTCP -> CheckTCPHeader -> ToIPSummaryDump(kept, HEADER false, FIELDS dport tcp_flags);
         t [1] -> ForceTCP(7, FLAGS 16) -> CheckTCPHeader -> ToIPSummaryDump(set, HEADER false, FIELDS dport tcp_flags)",
    );
    bench.run();
    assert_eq!(file(&bench, "kept"), "9 SA\n9 F\n");
    assert_eq!(file(&bench, "set"), "7 A\n7 A\n");
}

#[test]
fn forceudp_chooses_a_port_unless_it_has_one() {
    for (arguments, fixed) in [("", None), ("-1", None), ("DPORT 53", Some(53))] {
        let bench = Bench::new(&format!(
            "FromIPSummaryDump(DATA \"!data proto dport\\nU 9999\\n\") -> ForceUDP({arguments})
             -> CheckUDPHeader -> ToIPSummaryDump(out, HEADER false, FIELDS dport)"
        ));
        bench.run();
        let port: u16 = file(&bench, "out").trim().parse().unwrap();
        assert!(fixed.map_or(port < 1024, |fixed| port == fixed), "{port}");
    }
}

#[test]
fn random_packets_become_tcp_udp_and_icmp() {
    // Whatever there is goes through, or is dropped with a word; nothing else happens.
    for class in ["ForceTCP(0, true)", "ForceUDP", "ForceICMP(echo, 0)"] {
        let bench = Bench::new(&format!(
            "RandomSource(44, LIMIT 500) -> ForceIP -> CheckIPHeader(CHECKSUM true) -> n :: Counter
             -> {class} -> m :: Counter -> Discard"
        ));
        bench.run();
        assert_ne!(bench.read("n.count"), "0");
        assert_ne!(bench.read("m.count"), "0", "{class}");
    }
}

#[test]
fn varied_encapsulation_says_what_its_arguments_are() {
    for (text, expected) in [
        (
            "RandomUDPIPEncap(1.0.0.1 1 2.0.0.2 2)",
            "argument 0 should be 'SADDR SPORT DADDR DPORT PROB [CHECKSUM?]'",
        ),
        (
            "RoundRobinUDPIPEncap(1.0.0.1 1 2.0.0.2 2, 1.0.0.1 1 2.0.0.2 70000)",
            "argument 1 should be 'SADDR SPORT DADDR DPORT [CHECKSUM?]'",
        ),
        ("RoundRobinUDPIPEncap", "too few arguments"),
        (
            "RandomUDPIPEncap(1.0.0.1 1 2.0.0.2 2 0)",
            "the sum of all PROBs must be between 1 and 4294967295",
        ),
    ] {
        let found = Bench::errors(&format!("Idle -> {text} -> Discard"));
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn randomudpipencap_follows_its_probabilities() {
    let bench = Bench::new(
        "InfiniteSource(LIMIT 3000)
         -> RandomUDPIPEncap(1.0.0.1 1 2.0.0.2 2 1, 1.0.0.2 1 2.0.0.2 2 2)
         -> c :: IPClassifier(src host 1.0.0.1, -) -> a :: Counter -> Discard; c [1] -> Discard",
    );
    bench.run();
    let first: u32 = bench.read("a.count").parse().unwrap();
    // A third of them, give or take six standard deviations.
    assert!((845..=1155).contains(&first), "{first}");
}

/// What a ToyTCP sends and says in two seconds, where these segments come from the other side after one
/// and a half.
fn toy(segments: &str) -> (String, String) {
    let simulation = Simulation::new();
    let dump = format!("!data sport dport tcp_flags tcp_seq tcp_ack proto\n{segments}");
    simulation.put_file("in", dump.as_bytes());
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> Queue -> u :: Unqueue(ACTIVE false) -> Strip(20) -> ToyTCP(80)
         -> IPEncap(tcp, 1.0.0.1, 2.0.0.2)
         -> ToIPSummaryDump(out, HEADER false, FIELDS sport dport tcp_flags tcp_seq tcp_ack payload_len)",
    );
    bench.run_for(Duration::from_millis(1500));
    bench.write("u.active", "true");
    bench.run_for(Duration::from_millis(700));
    (file(&bench, "out"), bench.simulation.take_errors())
}

/// The ports, as simulations begin with a second.
const TOY: &str = "1024 80";

#[test]
fn toytcp_connects_and_answers_each_segment() {
    // 194693632 is 10^9 modulo 2^28; sequence numbers are one more, one more and what was sent.
    let (sent, said) = toy("80 1024 SA 7 194693633 T\n80 1024 A 8 194693634 T\n");
    assert_eq!(
        sent,
        format!(
            "{TOY} S 194693632 0 0\n{TOY} A 194693635 8 1\n{TOY} A 194693636 8 1\n\
             {TOY} A 194693637 8 1\n"
        )
    );
    assert_eq!(
        said,
        "ToyTCP: 0 good in, 0 bad in, 1 out\nToyTCP connected\nToyTCP: 2 good in, 0 bad in, 4 out\n"
    );
}

#[test]
fn toytcp_begins_anew_after_a_reset() {
    let (sent, said) = toy("80 1024 R 0 0 T\n80 1024 A 8 194693634 T\n");
    // Two seconds later, hence from another sequence number.
    assert_eq!(
        sent,
        format!("{TOY} S 194693632 0 0\n{TOY} S 194693632 0 0\n{TOY} S 194693634 0 0\n")
    );
    assert_eq!(
        said,
        "ToyTCP: 0 good in, 0 bad in, 1 out\nToyTCP: RST from port 80, in 0, out 1\n\
         ToyTCP: 0 good in, 1 bad in, 3 out\n"
    );
}

#[test]
fn webgen_gives_up_after_six_repeats() {
    let bench = Bench::new("Idle -> WebGen(1.0.0.0/8, 2.0.0.2, 1) -> c :: Counter -> Discard");
    // The first begins after a second, is repeated every second and given up after seven more; the second
    // a second later. Figures are given every five seconds.
    bench.run_for(Duration::from_millis(12_100));
    let said = bench.simulation.take_errors();
    let lines: std::vec::Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "Allocated 10 CBs");
    assert_eq!(lines[1], "init: 5  comp:     0  tmo:     0  rst:     0");
    assert_eq!(lines[2], "init: 5  comp:     0  tmo:     2  rst:     0");
}

#[test]
fn webgen_asks_from_its_prefix() {
    let bench = Bench::new(
        "w :: WebGen(1.2.3.0/24, 2.0.0.2, 100) -> CheckIPHeader(VERBOSE true)
         -> CheckTCPHeader(VERBOSE true) -> IPClassifier(src net 1.2.3.0/24 && dst host 2.0.0.2 && dst port 80)
         -> StatelessTCPResponder(\"a page\") -> w",
    );
    bench.run_for(Duration::from_millis(55));
    let said = bench.simulation.take_errors();
    assert_eq!(said, "Allocated 1000 CBs\n");
}

#[test]
fn webgen_resets_what_it_does_not_know_and_takes_resets() {
    let simulation = Simulation::new();
    let dump = "!data src sport dst dport tcp_flags tcp_seq tcp_ack proto\n\
                2.0.0.2 80 1.0.0.1 5 A 100 7 T\n2.0.0.2 80 1.0.0.1 5 R 100 7 T\n";
    simulation.put_file("in", dump.as_bytes());
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> WebGen(1.0.0.0/8, 2.0.0.2, 1)
         -> ToIPSummaryDump(out, HEADER false, FIELDS src sport dst dport tcp_flags tcp_seq)",
    );
    bench.run();
    assert_eq!(file(&bench, "out"), "1.0.0.1 5 2.0.0.2 80 R 7\n");
}

#[test]
fn webgen_says_what_its_rate_may_be() {
    for rate in ["0", "1000001"] {
        let found = Bench::errors(&format!(
            "Idle -> WebGen(1.0.0.0/8, 2.0.0.2, {rate}) -> Discard"
        ));
        assert!(
            found.contains("RATE: must be between 1 and 1000000"),
            "{found}"
        );
    }
}

#[test]
fn tcpreflector_drops_what_is_no_segment() {
    let bench = Bench::new(
        "InfiniteSource(DATA \\<4500 0020 0000 0000 4006 0000 01000001 02000002 000100020000000000000000>, LIMIT 1)
         -> r :: TCPReflector -> c :: Counter -> Discard;
         InfiniteSource(DATA \"short\", LIMIT 1) -> r",
    );
    bench.run();
    assert_eq!(bench.read("c.count"), "0");
}
