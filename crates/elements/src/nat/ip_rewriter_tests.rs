use core::time::Duration;
use std::vec::Vec;

use crate::nat::testing::{INSIDE, OUTSIDE, PUBLIC, assert_sums, packet};
use crate::testing::Bench;

fn nat(specification: &str) -> Bench {
    Bench::new(&std::format!(
        "rw :: IPRewriter({specification});
         FromDevice(inside) -> MarkIPHeader(0) -> [0]rw; FromDevice(outside) -> MarkIPHeader(0) -> [1]rw;
         rw[0] -> ToDevice(outside); rw[1] -> ToDevice(inside);"
    ))
}

#[test]
fn a_flow_is_rewritten_and_its_replies_are_changed_back() {
    let bench = nat("pattern 198.51.100.1 1024-65535# - - 0 1, drop");
    for protocol in [6, 17] {
        bench.arrive("inside", &packet(protocol, INSIDE, 5000, OUTSIDE, 80, 2));
        bench.run();
        let sent = bench.sent("outside").remove(0);
        assert_sums(&sent);
        assert_eq!(sent[12..16], PUBLIC);
        let port = u16::from_be_bytes([sent[20], sent[21]]);
        bench.arrive("outside", &packet(protocol, OUTSIDE, 80, PUBLIC, port, 16));
        // Nobody inside asked for this one.
        bench.arrive("outside", &packet(protocol, OUTSIDE, 81, PUBLIC, port, 16));
        bench.run();
        let back = bench.sent("inside");
        assert_eq!(back.len(), 1);
        assert_sums(&back[0]);
        assert_eq!(back[0][16..20], INSIDE);
        assert_eq!(back[0][22..24], 5000_u16.to_be_bytes());
    }
}

#[test]
fn a_name_of_an_address_may_have_a_dash_in_it() {
    let bench = Bench::new(
        "AddressInfo(eth0-ex 198.51.100.1); IPRewriterPatterns(out eth0-ex 1024-65535 - -);
         rw :: IPRewriter(pattern out 0 1, drop);
         FromDevice(inside) -> MarkIPHeader(0) -> [0]rw; Idle -> [1]rw;
         rw[0] -> ToDevice(outside); rw[1] -> Discard",
    );
    bench.arrive("inside", &packet(17, INSIDE, 5000, OUTSIDE, 53, 0));
    bench.run();
    assert_eq!(bench.sent("outside")[0][12..16], PUBLIC);
}

#[test]
fn a_port_is_kept_where_it_is_in_range_and_free() {
    let bench = nat("pattern 198.51.100.1 1024-65535 - - 0 1, drop");
    bench.arrive("inside", &packet(17, INSIDE, 5000, OUTSIDE, 53, 0));
    bench.arrive("inside", &packet(17, [10, 0, 0, 2], 5000, OUTSIDE, 53, 0));
    bench.run();
    let sent = bench.sent("outside");
    assert_eq!(sent[0][20..22], 5000_u16.to_be_bytes());
    assert_ne!(sent[1][20..22], 5000_u16.to_be_bytes());
}

#[test]
fn an_exhausted_range_drops_and_counts() {
    let bench = nat("pattern 198.51.100.1 1024-1025# - - 0 1, drop");
    for host in 1..=3 {
        bench.arrive(
            "inside",
            &packet(17, [10, 0, 0, host], 5000, OUTSIDE, 53, 0),
        );
    }
    bench.run();
    assert_eq!(bench.sent("outside").len(), 2);
    assert_eq!(bench.read("rw.mapping_failures"), "1");
    // The same ports serve again for another server.
    bench.arrive(
        "inside",
        &packet(17, [10, 0, 0, 3], 5000, [192, 0, 2, 8], 53, 0),
    );
    bench.run();
    assert_eq!(bench.sent("outside").len(), 1);
}

#[test]
fn a_flow_ends_when_flows_are_reaped_after_its_timeout() {
    let bench = nat("pattern 198.51.100.1 1024-65535# - - 0 1, drop,
        UDP_TIMEOUT 10, REAP_INTERVAL 4");
    let answered = || {
        bench.arrive("outside", &packet(17, OUTSIDE, 53, PUBLIC, 1024, 0));
        bench.run();
        bench.sent("inside").len()
    };
    bench.arrive("inside", &packet(17, INSIDE, 5000, OUTSIDE, 53, 0));
    bench.run_for(Duration::from_secs(9));
    assert_eq!(answered(), 1);
    // The next reaping is the one at 20 seconds: this packet comes in time.
    bench.run_for(Duration::from_millis(10_500));
    assert_eq!(answered(), 1);
    bench.run_for(Duration::from_secs(16));
    assert_eq!(answered(), 0);
}

#[test]
fn ports_of_flows_that_have_timed_out_serve_again_before_those_are_reaped() {
    let bench =
        nat("pattern 198.51.100.1 1024-1025 - - 0 1, drop, UDP_TIMEOUT 10, REAP_INTERVAL 0");
    let sends = |host| {
        let from = [10, 0, 0, host];
        bench.arrive("inside", &packet(17, from, 5000, OUTSIDE, 53, 0));
        bench.run();
        bench.sent("outside").len()
    };
    assert_eq!((sends(1), sends(2), sends(3)), (1, 1, 0));
    bench.run_for(Duration::from_secs(10));
    assert_eq!((sends(3), sends(2), sends(1)), (1, 1, 0));
}

#[test]
fn a_range_of_one_port_is_that_port_and_the_latest_flow_has_it() {
    let bench = nat("pattern 198.51.100.1 1024-1024 - - 0 1, drop");
    for host in 1..=2 {
        bench.arrive(
            "inside",
            &packet(17, [10, 0, 0, host], 5000, OUTSIDE, 53, 0),
        );
    }
    bench.run();
    assert_eq!(bench.sent("outside").len(), 2);
    assert_eq!(bench.read("rw.pattern0"), "198.51.100.1 1024 - - [1]\n");
    assert_eq!(
        bench.read("rw.udp_lookup 192.0.2.7 53 198.51.100.1 1024"),
        "192.0.2.7 53 10.0.0.2 5000"
    );
}

#[test]
fn fragments_and_short_headers_are_dropped() {
    let bench = nat("pattern 198.51.100.1 1024-65535# - - 0 1, drop");
    let mut fragment = packet(17, INSIDE, 5000, OUTSIDE, 53, 0);
    fragment[7] = 1;
    bench.arrive("inside", &fragment);
    bench.arrive("inside", &packet(17, INSIDE, 5000, OUTSIDE, 53, 0)[..24]);
    bench.arrive("inside", &packet(1, INSIDE, 5000, OUTSIDE, 53, 0));
    bench.run();
    assert_eq!(bench.sent("outside").len(), 0);
    assert_eq!(bench.read("rw.size"), "0");
}

#[test]
fn a_full_table_gives_up_the_flow_that_would_expire_first() {
    let bench =
        nat("pattern 198.51.100.1 1024-65535# - - 0 1, drop, MAPPING_CAPACITY 2, UDP_GUARANTEE 0");
    for host in 1..=3 {
        bench.arrive(
            "inside",
            &packet(17, [10, 0, 0, host], 5000, OUTSIDE, 53, 0),
        );
        bench.run_for(Duration::from_secs(1));
    }
    assert_eq!(bench.read("rw.size"), "2");
    assert_eq!(bench.read("rw.udp_lookup 10.0.0.1 5000 192.0.2.7 53"), "");
    assert_eq!(
        bench.read("rw.udp_lookup 10.0.0.3 5000 192.0.2.7 53"),
        "198.51.100.1 1026 192.0.2.7 53"
    );
}

#[test]
fn a_balancer_keeps_a_connection_on_its_server() {
    let bench = Bench::new(
        "rr :: RoundRobinIPMapper(- - 10.0.0.11 - 0 1, - - 10.0.0.12 - 0 1);
         rw :: IPRewriter(rr, drop);
         FromDevice(in) -> MarkIPHeader(0) -> rw; Idle -> [1]rw; rw[0] -> ToDevice(out); rw[1] -> Idle",
    );
    for port in [1000, 1001, 1000, 1002] {
        bench.arrive("in", &packet(6, OUTSIDE, port, PUBLIC, 80, 2));
    }
    bench.run();
    let servers: Vec<u8> = bench.sent("out").iter().map(|packet| packet[19]).collect();
    assert_eq!(servers, [11, 12, 11, 11]);
}

#[test]
fn a_udprewriter_takes_tcp_too_and_forgets_all_by_one_timeout() {
    let bench = Bench::new(
        "rw :: UDPRewriter(pattern 198.51.100.1 1024-65535# - - 0 0, TIMEOUT 20, REAP_INTERVAL 30);
         FromDevice(in) -> MarkIPHeader(0) -> rw -> ToDevice(out)",
    );
    for protocol in [6, 17, 1] {
        bench.arrive("in", &packet(protocol, INSIDE, 5000, OUTSIDE, 80, 2));
    }
    bench.run();
    // What has no ports is dropped. Whatever the protocol, a flow is told by addresses and ports.
    assert_eq!(bench.sent("out").len(), 2);
    assert_eq!(bench.read("rw.size"), "1");
    bench.run_for(Duration::from_secs(31));
    assert_eq!(bench.read("rw.size"), "0");
}

#[test]
fn a_sourceiphashmapper_keeps_a_host_on_one_server() {
    let bench = Bench::new(
        "m :: SourceIPHashMapper(40 7, - - 10.0.0.11 - 0 1 1, - - 10.0.0.12 - 0 1 2);
         rw :: IPRewriter(m, drop);
         FromDevice(in) -> MarkIPHeader(0) -> rw; Idle -> [1]rw; rw[0] -> ToDevice(out); rw[1] -> Idle",
    );
    for port in 1000..1010 {
        bench.arrive("in", &packet(6, OUTSIDE, port, PUBLIC, 80, 2));
    }
    bench.run();
    let mut servers: Vec<u8> = bench.sent("out").iter().map(|packet| packet[19]).collect();
    servers.dedup();
    assert_eq!(servers.len(), 1, "{servers:?}");
}

#[test]
fn a_capacity_is_told_and_set() {
    let bench = nat("keep 0 1, drop, MAPPING_CAPACITY 80");
    assert_eq!(bench.read("rw.capacity"), "80");
    bench.write("rw.capacity", "1000");
    assert_eq!(bench.read("rw.capacity"), "1000");
    assert!(bench.write_fails("rw.capacity", "many").is_some());
}
