//! Processes that hold instances: what they may do, and that they outlive what started them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use end_to_end::{Host, kill};

use crate::ALONE;

#[test]
fn a_lane_is_confined_and_has_nothing_open_but_what_it_was_given() {
    let host = Host::start(ALONE);
    host.good(&["up", "edge.toml"]);
    host.wait("one", "running");
    let lane = host.lane("default").expect("a lane");
    let file = |name: &str| fs::read_to_string(format!("/proc/{lane}/{name}")).expect("readable");
    let status = file("status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_string()
    };
    assert_eq!(field("CapEff:"), "0000000000000000");
    assert_eq!(field("CapPrm:"), "0000000000000000");
    assert_eq!((&*field("NoNewPrivs:"), &*field("Seccomp:")), ("1", "2"));
    let root = fs::metadata("/proc/self")
        .map(|own| own.uid())
        .expect("there")
        == 0;
    if root {
        let user: u32 = field("Uid:")
            .split('\t')
            .next()
            .expect("a user")
            .parse()
            .expect("a number");
        assert!(user >= 0x7000_0000, "{user}");
        assert_eq!(field("Groups:"), "");
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net"));
        let (own, its) = (network("self"), network(&lane.to_string()));
        assert_ne!(own.expect("ours"), its.expect("its"));
    } else {
        println!("skipped: needs root");
    }
    let open = fs::read_dir(format!("/proc/{lane}/fd")).expect("readable");
    for descriptor in open.flatten() {
        let what = fs::read_link(descriptor.path()).unwrap_or_default();
        let what = what.to_string_lossy().into_owned();
        let kinds = ["socket:", "anon_inode:", "/memfd:", "/dev/kvm", "/dev/null"];
        let log = what.ends_with("/lanes/default.log");
        assert!(
            log || kinds.iter().any(|kind| what.starts_with(kind)),
            "{what}"
        );
    }

    // And so it replaces instances as ever.
    host.good(&["kill", "one"]);
    host.until(|| (host.run(&["read", "one", "c.count"]).output == "5\n").then_some(()));
}

#[test]
fn lanes_go_on_without_the_daemon_and_are_found_again() {
    let mut host = Host::start(ALONE);
    host.good(&["up", "edge.toml"]);
    host.wait("one", "running");
    host.good(&["write", "one", "c.reset"]);
    let lane = host.lane("default");
    assert!(lane.is_some());
    host.kill_daemon();
    assert_eq!(host.good(&["read", "one", "c.count"]), "0\n");
    let refused = host.run(&["ps"]);
    assert!(!refused.good);
    assert!(
        refused.errors.starts_with("error: no daemon runs ("),
        "{}",
        refused.errors
    );
    assert!(
        refused.errors.contains("help: start one: sprat daemon"),
        "{}",
        refused.errors
    );
    host.begin();
    host.wait("one", "running");
    assert_eq!(host.lane("default"), lane);
    assert_eq!(host.good(&["read", "one", "c.count"]), "0\n");
}

#[test]
fn a_lane_that_dies_is_started_again_also_when_the_daemon_was_away() {
    let mut host = Host::start(ALONE);
    host.good(&["up", "edge.toml"]);
    host.wait("one", "running");
    let first = host.lane("default").expect("a lane");
    kill(first);
    let second = host.until(|| host.lane("default").filter(|lane| *lane != first));
    host.wait("one", "running");
    assert_eq!(host.good(&["read", "two", "c.count"]), "7\n");
    host.kill_daemon();
    kill(second);
    host.begin();
    let third = host.until(|| host.lane("default").filter(|lane| *lane != second));
    assert_ne!(third, first);
    host.wait("two", "running");
    assert_eq!(host.good(&["read", "two", "c.count"]), "7\n");
}
