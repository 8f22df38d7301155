//! Chains between networks.

use std::fs;

use end_to_end::{Host, Live, in_namespace, ip, kill, read_capture};

use crate::ALONE;
use crate::namespace::Namespace;

/// Passes frames on both ways.
const PASS: &str = "
    FromDevice(eth0) -> in :: Counter -> Queue -> ToDevice(eth1);
    FromDevice(eth1) -> out :: Counter -> Queue -> ToDevice(eth0);
";

#[test]
fn a_chain_between_two_networks_survives_the_end_of_what_it_is_made_of() {
    if !in_namespace("chains::a_chain_between_two_networks_survives_the_end_of_what_it_is_made_of")
    {
        return;
    }
    ip("link set lo up");
    let left = Namespace::new("left", "192.0.2.1/24");
    let _right = Namespace::new("right", "192.0.2.2/24");
    let mut host = Host::start(ALONE);
    fs::write(host.path().join("pass.click"), PASS).expect("written");
    let chain = "
        [ports]
        left = 'packet:left'
        right = 'packet:right'
        [functions.first]
        run = 'pass.click'
        boot = 'first-frame'
        [functions.second]
        run = 'pass.click'
        replicas = 2
        [[chains]]
        path = ['left', 'first', 'second', 'right']
    ";
    host.declare(chain);
    host.wait("second.1", "running");
    host.wait("second.2", "running");
    assert_eq!(
        host.instance("first").expect("declared")["state"],
        "waiting"
    );
    host.until(|| left.reaches("192.0.2.2").then_some(()));
    host.wait("first", "running");

    host.good(&["kill", "first"]);
    host.until(|| left.reaches("192.0.2.2").then_some(()));
    kill(host.lane("default").expect("a lane"));
    host.until(|| left.reaches("192.0.2.2").then_some(()));
    host.kill_daemon();
    assert!(left.reaches("192.0.2.2") || left.reaches("192.0.2.2"));
    host.begin();
    host.wait("first", "running");

    // Frames are seen as they pass: of a device, and of a port.
    for (port, file) in [("first:eth1", "first.pcap"), ("right", "right.pcap")] {
        let mut capture = Live::start(host.path(), ["capture", port, "-c", "4", "-w", file]);
        host.until(|| (left.reaches("192.0.2.2") && capture.has_ended()).then_some(()));
        let done = capture.wait();
        assert!(
            done.good && done.errors.starts_with("4 frames"),
            "{}",
            done.errors
        );
        let records = read_capture(&host.path().join(file));
        assert_eq!(records.len(), 4);
        for record in records {
            // ARP or IPv4 between the two.
            assert!(
                matches!(record.frame[12..14], [8, 6] | [8, 0]),
                "{record:?}"
            );
        }
    }
    for (port, expected) in [
        (
            "first:eth2",
            "error: first has no device eth2; it has eth0, eth1\n",
        ),
        (
            "third:eth0",
            "error: no instance third; there are first, second.1, second.2\n",
        ),
        (
            "middle",
            "error: no port middle: expected INSTANCE:DEVICE, or one of left, right\n",
        ),
    ] {
        let refused = host.run(&["capture", port, "-w", "none.pcap"]);
        assert_eq!(refused.errors, expected);
        assert!(!host.path().join("none.pcap").exists());
    }

    // Flow rules come before the chain.
    let rule = "[[flows]]\non = 'left'\nprotocol = 'tcp'\nto-ports = 9\nthen = 'drop'\n";
    assert_eq!(host.declare(&format!("{chain}\n{rule}")), "~ flow rules\n");
    assert!(!left.reaches("192.0.2.2"));
    let flows = host.run(&["flow", "--json"]).json();
    assert!(flows[0]["frames"].as_u64() > Some(0), "{flows}");
    let shown = host.good(&["flow"]);
    assert!(
        shown.contains("on left protocol tcp to-ports 9 then drop"),
        "{shown}"
    );
    // What the rule dropped is told of the port it is on.
    let ports = host.run(&["port", "left", "--json"]).json();
    assert_eq!(ports.as_array().map(Vec::len), Some(1), "{ports}");
    assert!(ports[0]["received"][0].as_u64() > Some(0), "{ports}");
    let dropped = ports[0]["dropped"].as_array().expect("causes");
    assert!(!dropped.is_empty(), "{ports}");
    let shown = host.good(&["port"]);
    assert!(shown.contains("left") && shown.contains("right"), "{shown}");
    let unknown = host.run(&["port", "middle"]);
    assert!(!unknown.good);
    let there = "error: no port middle; there are: ";
    assert!(unknown.errors.starts_with(there), "{}", unknown.errors);
    assert_eq!(host.declare(chain), "~ flow rules\n");
    host.until(|| left.reaches("192.0.2.2").then_some(()));

    // Shares change, and functions come and go, while frames pass.
    let third = format!("{chain}\n[functions.third]\nrun = 'pass.click'\n");
    assert_eq!(host.declare(&third), "+ third\n");
    host.wait("third", "running");
    for (shares, expected) in [
        (&["third=1"][..], "error: no chain has third\n"),
        (
            &["first=1", "second=1"],
            "error: first and second stand one after another in chain 1\n",
        ),
        (
            &["fourth=1"],
            "error: no function fourth; there are: first, second, third\n",
        ),
        (
            &["second=0"],
            "error: nobody would be left at this place of chain 1\n",
        ),
    ] {
        let refused = host.run(&[&["steer"], shares].concat());
        assert_eq!(refused.errors, expected);
    }
    for shares in [
        &["second=50", "third=50"][..],
        &["second=0"],
        &["third=0", "second=1"],
    ] {
        let steered = host.good(&[&["steer"], shares].concat());
        assert_eq!(steered, "~ ports and how they are joined\n");
        host.until(|| left.reaches("192.0.2.2").then_some(()));
    }

    // Who asks for addresses or hashes gets the conversations that have them, all of which are new here.
    let through = |name: &str| {
        let ports = host.run(&["port", name, "--json"]).json();
        ports[0]["received"][0].as_u64().expect("a number")
    };
    for asked in ["third=192.0.2.1", "third=0-65535"] {
        host.good(&["steer", "second=1", asked]);
        let before = [
            through("third.eth0"),
            through("second.1.eth0"),
            through("second.2.eth0"),
        ];
        host.until(|| left.reaches("192.0.2.2").then_some(()));
        host.until(|| (through("third.eth0") > before[0]).then_some(()));
        let others = [through("second.1.eth0"), through("second.2.eth0")];
        assert_eq!(others, before[1..], "{asked}");
        host.good(&["steer", "third=0"]);
    }
    let nobody =
        "error: chain 1: second and third: one has to have a share, for what nobody asks for\n";
    let refused = host.run(&["steer", "second=0-9", "third=10-65535"]);
    assert_eq!(refused.errors, nobody);
    let refused = host.run(&["steer", "second=ten"]).errors;
    let expected = "expected FUNCTION=SHARE, such as next=10, next=203.0.113.0/24 or next=0-6553";
    assert!(refused.contains(expected), "{refused}");

    // An interface that vanishes and returns is taken up again.
    ip("link set left down");
    assert!(!left.reaches("192.0.2.2"));
    ip("link set left up");
    host.until(|| left.reaches("192.0.2.2").then_some(()));
}

#[test]
fn an_idle_function_is_put_away_and_the_next_frame_brings_it_back_with_what_it_held() {
    if !in_namespace(
        "chains::an_idle_function_is_put_away_and_the_next_frame_brings_it_back_with_what_it_held",
    ) {
        return;
    }
    ip("link set lo up");
    let left = Namespace::new("left", "192.0.2.1/24");
    let right = Namespace::new("right", "192.0.2.2/24");
    // Who is who need not be asked.
    let ends = [(&left, "left-in"), (&right, "right-in")];
    for (host, device) in ends {
        assert!(host.inside(&["ip", "link", "set", device, "address", "02:00:00:00:00:05"]));
    }
    for ((host, device), address) in ends.into_iter().zip(["192.0.2.2", "192.0.2.1"]) {
        let neighbour = [
            "ip",
            "neigh",
            "replace",
            address,
            "lladdr",
            "02:00:00:00:00:05",
        ];
        assert!(host.inside(&[&neighbour[..], &["dev", device]].concat()));
    }
    let host = Host::start("");
    fs::write(host.path().join("counted.click"), COUNTED).expect("written");
    let chain = "
        [ports]
        left = 'packet:left'
        right = 'packet:right'
        [functions.counted]
        run = 'counted.click'
        boot = 'first-frame'
        idle = 1
        [[chains]]
        path = ['left', 'counted', 'right']
    ";
    host.declare(chain);
    host.wait("counted", "waiting");
    let mut passed = 0;
    for _ in 0..3 {
        let sent = left.inside(&["ping", "-c", "1", "-W", "30", "192.0.2.2"]);
        assert!(sent, "the first frame is not lost");
        passed += 2;
        let waiting = host.wait("counted", "waiting");
        assert_eq!(waiting["received"], passed);
        assert_eq!(waiting["sent"], passed);
        assert_eq!(waiting["dropped"], 0);
    }
    // What it has counted in all three of its lives.
    host.declare(&chain.replace("idle = 1", "idle = 600"));
    assert!(left.inside(&["ping", "-c", "1", "-W", "30", "192.0.2.2"]));
    host.wait("counted", "running");
    assert_eq!(host.good(&["read", "counted", "there.count"]), "4\n");
    assert_eq!(host.good(&["read", "counted", "back.count"]), "4\n");
}

/// Gives back by each device what came in there: in the names of those it speaks to.
const ECHO: &str = "
    FromDevice(eth0) -> Queue -> ToDevice(eth0);
    FromDevice(eth1) -> Queue -> ToDevice(eth1);
";

#[test]
fn what_a_function_of_a_chain_forges_is_dropped_and_counted() {
    if !in_namespace("chains::what_a_function_of_a_chain_forges_is_dropped_and_counted") {
        return;
    }
    ip("link set lo up");
    let left = Namespace::new("left", "192.0.2.1/24");
    let right = Namespace::new("right", "192.0.2.2/24");
    let host = Host::start("");
    fs::write(host.path().join("pass.click"), PASS).expect("written");
    fs::write(host.path().join("echo.click"), ECHO).expect("written");
    let chain = "
        [ports]
        left = 'packet:left'
        right = 'packet:right'
        [functions.pass]
        run = 'pass.click'
        [functions.echo]
        run = 'echo.click'
        [[chains]]
        path = ['left', 'pass', 'echo', 'right']
    ";
    host.declare(chain);
    host.wait("pass", "running");
    host.wait("echo", "running");
    assert!(!left.reaches("192.0.2.2") && !right.reaches("192.0.2.1"));
    let port = |name: &str| host.run(&["port", name, "--json"]).json()[0].clone();
    for device in ["echo:eth0", "echo.eth1"] {
        // A lane says how it is from time to time.
        let (counted, forged) = host.until(|| {
            let counted = port(device);
            let forged = counted["dropped"][0].clone();
            (!forged.is_null()).then_some((counted, forged))
        });
        assert_eq!(
            forged[0], "forged: from somebody else's address",
            "{counted}"
        );
        assert_eq!(forged[1], counted["received"][0], "{counted}");
    }
    assert_eq!(port("right")["sent"][0], 0);

    let trusted = chain.replace("[[chains]]", "[[chains]]\nany-source = ['echo']");
    let unknown = trusted.replace("['echo']", "['other']");
    fs::write(host.path().join("unknown.toml"), unknown).expect("written");
    let refused = host.run(&["up", "unknown.toml"]).errors;
    let expected = "chain 1.any-source: `other`: expected functions; there are echo, pass";
    assert!(refused.contains(expected), "{refused}");
    host.declare(&trusted);
    left.reaches("192.0.2.2");
    right.reaches("192.0.2.1");
    host.until(|| (port("right")["sent"][0].as_u64() > Some(0)).then_some(()));
}

/// Passes frames on both ways, and counts them.
const COUNTED: &str = "
    FromDevice(eth0) -> there :: Counter -> Queue(1000) -> ToDevice(eth1);
    FromDevice(eth1) -> back :: Counter -> Queue(1000) -> ToDevice(eth0);
";
