use std::string::String;

use sprat_click::simulation::Simulation;

use super::super::testing::numbered;
use crate::testing::Bench;

fn flows(keywords: &str, dump: &str) -> String {
    numbered(&std::format!("AggregateIPFlows({keywords})"), dump)
}

#[test]
fn replies_have_the_number_of_their_flow_and_paint_one() {
    let dump = "!data src sport dst dport ip_id\n\
                2.0.0.2 5 1.0.0.1 80 1\n1.0.0.1 80 2.0.0.2 5 2\n2.0.0.2 6 1.0.0.1 80 3\n\
                2.0.0.2 5 1.0.0.1 80 4\n";
    assert_eq!(flows("", dump), "1 0 1\n1 1 2\n2 0 3\n1 0 4\n");
}

#[test]
fn protocols_with_the_same_ports_are_flows_apart() {
    let dump = "!data src proto sport dport ip_id\n1.0.0.1 T 1 2 1\n1.0.0.1 U 1 2 2\n";
    assert_eq!(flows("", dump), "1 0 1\n2 0 2\n");
}

#[test]
fn a_flow_silent_for_too_long_or_closed_by_both_sides_ends() {
    let dump = "!flowid 1.0.0.1 0 1.0.0.2 0\n!data timestamp proto sport dport tcp_flags ip_id\n\
                0.5 U 1 2 . 1\n61.9 U 1 2 . 2\n62 T 1 2 FA 3\n93 T 1 2 . 4\n94 T 1 2 R 5\n\
                125 T 1 2 . 6\n";
    assert_eq!(
        flows("", dump),
        "1 0 1\n2 0 2\n3 0 3\n3 0 4\n3 0 5\n4 0 6\n"
    );
}

#[test]
fn later_fragments_wait_for_the_first_and_keep_the_order_of_their_hosts() {
    let dump = "!proto U\n!data src sport dst dport ip_id ip_fragoff\n\
                1.0.0.1 5 1.0.0.2 6 1 24\n\
                1.0.0.2 6 1.0.0.1 5 2 0\n\
                1.0.0.1 5 1.0.0.3 6 3 0\n\
                1.0.0.1 5 1.0.0.2 6 1 0+\n";
    assert_eq!(flows("", dump), "1 0 3\n2 0 1\n2 1 2\n2 0 1\n");
    assert_eq!(flows("FRAGMENTS false", dump), "1 0 2\n2 0 3\n1 1 1\n");
}

#[test]
fn what_is_held_leaves_when_flows_are_cleared_and_the_rest_is_lost() {
    let simulation = Simulation::new();
    let dump = "!proto U\n!data src sport dst dport ip_id ip_fragoff timestamp\n\
                1.0.0.1 5 1.0.0.2 6 1 24 1\n1.0.0.1 5 1.0.0.2 6 2 0 1\n";
    simulation.put_file("in", dump.as_bytes());
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> a :: AggregateIPFlows -> c :: Counter -> Discard",
    );
    bench.run();
    assert_eq!(bench.read("c.count"), "0");
    bench.write("a.clear", "");
    assert_eq!(bench.read("c.count"), "1");
}

#[test]
fn a_packet_without_a_time_is_reported_once() {
    let simulation = Simulation::new();
    simulation.put_file(
        "in",
        b"!data src proto sport dport\n1.0.0.1 U 1 2\n1.0.0.1 U 1 2\n",
    );
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> a :: AggregateIPFlows -> Discard",
    );
    bench.run();
    assert_eq!(
        bench.simulation.take_errors(),
        "a :: AggregateIPFlows: warning: packet received without timestamp\n"
    );
}

#[test]
fn a_length_is_an_aggregate() {
    let simulation = Simulation::new();
    simulation.put_file("in", b"!data ip_len\n40\n1500\n");
    let bench = Bench::with(
        simulation,
        "FromIPSummaryDump(in) -> AggregateLength(IP true)
         -> ToIPSummaryDump(out, HEADER false, FIELDS aggregate)",
    );
    bench.run();
    assert_eq!(
        bench.simulation.file("out").as_deref(),
        Some(&b"40\n1500\n"[..])
    );
}
