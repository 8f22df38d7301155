use core::time::Duration;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::nat::testing::{OUTSIDE, assert_sums, packet};
use crate::testing::Bench;

const HOST: [u8; 4] = [100, 64, 0, 1];
const OTHER: [u8; 4] = [100, 64, 0, 2];

fn configuration(keywords: &str, from_outside: &str) -> String {
    std::format!(
        "cgn :: PortBlockIPMapper(100.64.0.0/10, 198.51.100.1-198.51.100.2, 0, 1, {keywords});
         rw :: IPRewriter(cgn, {from_outside}, UDP_TIMEOUT 10, REAP_INTERVAL 1);
         FromDevice(inside) -> MarkIPHeader(0) -> [0]rw; FromDevice(outside) -> MarkIPHeader(0) -> [1]rw;
         rw[0] -> ToDevice(outside); rw[1] -> ToDevice(inside);"
    )
}

/// A NAT whose mapper also decides on what comes from outside, or drops that.
fn nat(keywords: &str, from_outside: &str) -> Bench {
    Bench::new(&configuration(keywords, from_outside))
}

type Place = ([u8; 4], u16);

/// Sends a UDP packet in at a device; returns source and destination of what leaves by the other
/// or the same one.
fn send(bench: &Bench, at: &str, from: Place, to: Place) -> Option<(Place, Place)> {
    bench.arrive(at, &packet(17, from.0, from.1, to.0, to.1, 0));
    bench.run();
    let mut sent = [bench.sent("inside"), bench.sent("outside")].concat();
    assert!(sent.len() <= 1);
    let bytes = sent.pop()?;
    assert_sums(&bytes);
    let place = |address: usize, port: usize| -> Place {
        (
            bytes[address..address + 4].try_into().unwrap(),
            u16::from_be_bytes([bytes[port], bytes[port + 1]]),
        )
    };
    Some((place(12, 20), place(16, 22)))
}

/// The public address and port of a host's, as a server sees it.
fn seen(bench: &Bench, from: Place) -> Option<Place> {
    send(bench, "inside", from, (OUTSIDE, 53)).map(|(source, _)| source)
}

#[test]
fn an_endpoint_is_the_same_to_everybody() {
    let bench = nat("", "drop");
    let public = seen(&bench, (HOST, 5000)).unwrap();
    for server in [([192, 0, 2, 7], 54), ([192, 0, 2, 8], 53)] {
        let sent = send(&bench, "inside", (HOST, 5000), server);
        assert_eq!(sent, Some((public, server)));
    }
    assert_ne!(seen(&bench, (HOST, 5001)), Some(public));
    let mappings = bench.read("cgn.mappings");
    let lines: Vec<&str> = mappings.lines().collect();
    assert!(
        lines[0].starts_with("17 100.64.0.1 5000 => 198.51.100.1 ") && lines[0].ends_with(" 3")
    );
    assert_eq!(lines.len(), 2);
}

#[test]
fn from_outside_anybody_reaches_a_mapped_port_only_where_that_is_wanted() {
    for (specification, reached) in [("cgn", true), ("drop", false)] {
        let bench = nat("", specification);
        let public = seen(&bench, (HOST, 5000)).unwrap();
        let stranger = ([203, 0, 113, 9], 7);
        let sent = send(&bench, "outside", stranger, public);
        assert_eq!(sent, reached.then_some((stranger, (HOST, 5000))));
        if reached {
            // And the host can answer.
            let sent = send(&bench, "inside", (HOST, 5000), stranger);
            assert_eq!(sent, Some((public, stranger)));
        }
        // A port that stands for nobody.
        let nobody = (public.0, if public.1 == 1024 { 1025 } else { public.1 - 1 });
        assert_eq!(send(&bench, "outside", stranger, nobody), None);
    }
}

#[test]
fn hosts_reach_each_other_by_their_public_addresses() {
    let bench = nat("", "drop");
    let first = seen(&bench, (HOST, 5000)).unwrap();
    let other = seen(&bench, (OTHER, 6000)).unwrap();
    let sent = send(&bench, "inside", (HOST, 5000), other);
    assert_eq!(sent, Some((first, (OTHER, 6000))));
    let sent = send(&bench, "inside", (OTHER, 6000), first);
    assert_eq!(sent, Some((other, (HOST, 5000))));
    // By a port that it has not used before.
    let (source, to) = send(&bench, "inside", (HOST, 5001), other).unwrap();
    assert_eq!((source.0, to), (first.0, (OTHER, 6000)));
}

#[test]
fn a_host_has_one_public_address_and_no_more_than_its_blocks() {
    let bench = nat("BLOCK_SIZE 4, MAX_BLOCKS 2", "drop");
    let mut ports = Vec::new();
    for port in 0..8 {
        let (address, port) = seen(&bench, (HOST, 5000 + port)).unwrap();
        assert_eq!(address, [198, 51, 100, 1]);
        ports.push(port);
    }
    ports.sort_unstable();
    assert_eq!(ports, (1024..1032).collect::<Vec<u16>>());
    assert_eq!(seen(&bench, (HOST, 5008)), None);
    assert_eq!(bench.read("rw.mapping_failures"), "1");
    // What the host has it keeps, and others are not touched.
    assert!(seen(&bench, (HOST, 5000)).is_some());
    assert_eq!(seen(&bench, (OTHER, 5000)).unwrap().0, [198, 51, 100, 2]);
    let blocks = "100.64.0.1 198.51.100.1 1024-1027 4\n100.64.0.1 198.51.100.1 1028-1031 4\n";
    assert!(bench.read("cgn.blocks").starts_with(blocks));
}

#[test]
fn without_a_free_block_a_new_host_is_dropped_and_counted() {
    let bench = nat("BLOCK_SIZE 4, PORTS 2000-2003", "drop");
    let mut hosts = (1..=3).map(|host| seen(&bench, ([100, 64, 1, host], 1)));
    assert!(hosts.next().flatten().is_some() && hosts.next().flatten().is_some());
    assert_eq!(hosts.next(), Some(None));
    assert_eq!(bench.read("rw.mapping_failures"), "1");
}

#[test]
fn a_block_whose_flows_have_ended_rests_before_another_host_gets_it() {
    let bench = nat("BLOCK_SIZE 4, PORTS 2000-2003, HOLD 60", "drop");
    assert!(seen(&bench, (HOST, 1)).is_some() && seen(&bench, (OTHER, 1)).is_some());
    bench.run_for(Duration::from_secs(12));
    assert_eq!(bench.read("cgn.blocks"), "");
    let third = [100, 64, 0, 3];
    assert_eq!(seen(&bench, (third, 1)), None);
    bench.run_for(Duration::from_secs(60));
    assert!(seen(&bench, (third, 1)).is_some());
}

#[test]
fn ports_of_tcp_and_of_udp_are_taken_apart() {
    let bench = nat("BLOCK_SIZE 1, MAX_BLOCKS 1, PORTS 2000-2000", "drop");
    assert_eq!(seen(&bench, (HOST, 1)).map(|(_, port)| port), Some(2000));
    bench.arrive("inside", &packet(6, HOST, 1, OUTSIDE, 80, 2));
    bench.run();
    assert_eq!(bench.sent("outside")[0][20..22], 2000_u16.to_be_bytes());
}

#[test]
fn mappings_outlive_the_router_that_made_them() {
    let bench = nat("", "cgn");
    let public = seen(&bench, (HOST, 5000)).unwrap();
    let others: Vec<_> = (0..20).map(|port| seen(&bench, (OTHER, port))).collect();
    bench.replace(&configuration("", "cgn"));
    // To another server, and from a stranger.
    let server = ([192, 0, 2, 8], 53);
    let sent = send(&bench, "inside", (HOST, 5000), server);
    assert_eq!(sent, Some((public, server)));
    let stranger = ([203, 0, 113, 9], 7);
    let sent = send(&bench, "outside", stranger, public);
    assert_eq!(sent, Some((stranger, (HOST, 5000))));
    // A port that somebody has is not given out again.
    for port in 100..200 {
        let new = seen(&bench, (OTHER, port));
        assert!(new.is_some() && !others.contains(&new));
    }
    // And it ends with its flows.
    bench.run_for(Duration::from_secs(12));
    assert_eq!(bench.read("cgn.blocks"), "");
}

#[test]
fn pings_of_a_host_come_from_its_own_block() {
    let bench = Bench::new(
        "cgn :: PortBlockIPMapper(100.64.0.0/10, 198.51.100.1, 0, 1, PORTS 2000-2003, BLOCK_SIZE 4);
         rw :: ICMPPingRewriter(cgn, drop); Idle -> [1]rw;
         FromDevice(inside) -> MarkIPHeader(0) -> rw; rw[0] -> ToDevice(outside); rw[1] -> Discard;",
    );
    let mut ping = packet(1, HOST, 0, OUTSIDE, 0, 0);
    ping[20] = 8;
    for identifier in 0..5_u16 {
        ping[24..26].copy_from_slice(&identifier.to_be_bytes());
        bench.arrive("inside", &ping);
    }
    bench.run();
    let sent = bench.sent("outside");
    let identifier = |bytes: &Vec<u8>| u16::from_be_bytes([bytes[24], bytes[25]]);
    let mut identifiers: Vec<u16> = sent.iter().map(identifier).collect();
    identifiers.sort_unstable();
    assert_eq!(identifiers, [2000, 2001, 2002, 2003]);
}

#[test]
fn packets_between_strangers_are_dropped() {
    let bench = nat("", "cgn");
    let stranger = ([203, 0, 113, 9], 7);
    assert_eq!(send(&bench, "outside", stranger, (OUTSIDE, 53)), None);
    assert_eq!(bench.read("cgn.mappings"), "");
}

#[test]
fn bad_arguments_are_named() {
    let tried = |arguments: &str| -> String {
        Bench::errors(&std::format!("PortBlockIPMapper({arguments})")).to_string()
    };
    for (arguments, wrong) in [
        (
            "10.0.0.0/8, 10.1.0.1, 0, 1",
            "OUTSIDE: has addresses of 10.0.0.0/8, which is inside",
        ),
        (
            "10.0.0.0/8, 1.0.0.0/8, 0, 1",
            "OUTSIDE: expected at most 65536 addresses",
        ),
        (
            "10.0.0.0/8, 1.0.0.1, 0, 1, BLOCK_SIZE 0",
            "BLOCK_SIZE: expected",
        ),
        (
            "10.0.0.0/8, 1.0.0.1, 0, 1, PORTS 7",
            "PORTS: expected ports, as L-H",
        ),
        (
            "10.0.0.0/8, 1.0.0.1, 0, 1, MAX_BLOCKS 0",
            "MAX_BLOCKS: expected at least one",
        ),
        (
            "10.0.0.0/8, 1.0.0.1, 0",
            "ROUTPUT: required argument missing",
        ),
    ] {
        let errors = tried(arguments);
        assert!(errors.contains(wrong), "{errors}");
    }
}
