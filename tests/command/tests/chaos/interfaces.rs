//! An interface that vanishes and returns.

use std::fs;

use end_to_end::{Host, in_namespace, ip};

use crate::load::{self, Load, PASS, assert_whole, counted};

#[test]
fn an_interface_that_vanishes_is_taken_up_when_one_of_its_name_returns() {
    let test = "interfaces::an_interface_that_vanishes_is_taken_up_when_one_of_its_name_returns";
    if !in_namespace(test) {
        return;
    }
    let (mut ends, mut ports, mut chains) = (Vec::new(), String::new(), String::new());
    for name in ["a", "b"] {
        ends.push(load::wire(name));
        let [port, chain] = load::chain(name, "default");
        ports += &port;
        chains += &chain;
    }
    let host = Host::start(&format!("[ports]\n{ports}{chains}"));
    fs::write(host.path().join("pass.click"), PASS).expect("written");
    host.good(&["up", "edge.toml"]);
    for name in ["a", "b"] {
        host.wait(name, "running");
    }
    let lane = host.lane("default");
    let failed = |name: &str| {
        let lanes = host.lanes();
        let ports = lanes[0]["status"]["ports"].as_array().expect("ports");
        let port = ports.iter().find(|port| port["name"] == name);
        !port.expect("declared")["failed"].is_null()
    };
    // A neighbour on the same thread, all the while.
    let load = Load::start(&ends[1..]);
    for _ in 0..3 {
        // The other end goes with it.
        for end in ["a0", "a1"] {
            ip(&format!("link delete {end}"));
        }
        host.until(|| (failed("a-in") && failed("a-out")).then_some(()));
        let again = load::wire("a");
        host.until(|| (!failed("a-in") && !failed("a-out")).then_some(()));
        let before = counted(&host, "default", "a-out");
        let again = Load::start(&[again]);
        host.until(|| (counted(&host, "default", "a-out")[1] > before[1]).then_some(()));
        let passed = again.end();
        assert!(passed[0].came > 0, "{passed:?}");
    }
    assert_eq!(host.lane("default"), lane, "nobody ended it");
    assert_whole(&host, "default", "b", &load.end()[0]);
}
