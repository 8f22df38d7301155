//! Chains between interfaces that lanes have by AF_XDP.

use std::fs;

use end_to_end::{Host, in_namespace, ip, kill};

use crate::namespace::Namespace;

/// Passes frames on both ways.
const PASS: &str = "
    FromDevice(eth0) -> Queue -> ToDevice(eth1);
    FromDevice(eth1) -> Queue -> ToDevice(eth0);
";

const CHAIN: &str = "
    [ports]
    left = 'xdp:left'
    right = 'xdp:right'
    [functions.pass]
    run = 'pass.click'
    [[chains]]
    path = ['left', 'pass', 'right']
";

#[test]
fn a_lane_has_interfaces_by_af_xdp_whatever_ends_and_gives_them_back() {
    if !in_namespace("xdp::a_lane_has_interfaces_by_af_xdp_whatever_ends_and_gives_them_back") {
        return;
    }
    ip("link set lo up");
    let left = Namespace::new("left", "192.0.2.1/24");
    let right = Namespace::new("right", "192.0.2.2/24");
    let mut host = Host::start("");
    fs::write(host.path().join("pass.click"), PASS).expect("written");
    fs::write(host.path().join("edge.toml"), CHAIN).expect("written");
    let declared = host.run(&["up", "edge.toml"]);
    if declared.errors.contains("Address family not supported") {
        println!("skipped: needs a kernel with AF_XDP");
        return;
    }
    assert!(declared.good, "{}", declared.errors);
    host.wait("pass", "running");
    host.until(|| left.reaches("192.0.2.2").then_some(()));
    let lane = host.lane("default").expect("a lane");
    let status = fs::read_to_string(format!("/proc/{lane}/status")).expect("it runs");
    let capabilities = status.lines().find(|line| line.starts_with("CapEff:"));
    assert_eq!(capabilities, Some("CapEff:\t0000000000000000"));
    let count =
        |name: &str, way: &str| host.run(&["port", name, "--json"]).json()[0][way][0].as_u64();
    assert!(count("left", "received") > Some(0) && count("right", "sent") > Some(0));

    // Neither lane nor daemon is what the interfaces hang on.
    kill(lane);
    host.until(|| left.reaches("192.0.2.2").then_some(()));
    host.kill_daemon();
    assert!(left.reaches("192.0.2.2") || left.reaches("192.0.2.2"));
    host.begin();
    host.wait("pass", "running");
    assert!(left.reaches("192.0.2.2") || left.reaches("192.0.2.2"));

    // One that is removed is taken up when one of its name is there again.
    ip("link delete left");
    let failed = |host: &Host| {
        let port = host.run(&["port", "left", "--json"]).json()[0].clone();
        !port["failed"].is_null()
    };
    host.until(|| failed(&host).then_some(()));
    drop(left);
    let left = Namespace::new("left", "192.0.2.1/24");
    host.until(|| (!failed(&host) && left.reaches("192.0.2.2")).then_some(()));

    // An interface is one port's alone; what cannot be had changes nothing.
    let twice = CHAIN.replace("xdp:right", "xdp:left");
    fs::write(host.path().join("twice.toml"), twice).expect("written");
    let refused = host.run(&["up", "twice.toml"]).errors;
    let expected = "error: ports.right: xdp:left: something else takes its frames: ";
    assert!(refused.starts_with(expected), "{refused}");
    host.until(|| left.reaches("192.0.2.2").then_some(()));

    // What is no longer declared is the kernel's again.
    host.good(&["down"]);
    ip("address add 192.0.2.9/24 dev left");
    host.until(|| left.reaches("192.0.2.9").then_some(()));
    drop(right);
}
