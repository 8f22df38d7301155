//! What is declared runs: under the daemon, without it, and after whatever ends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::{Host, Live, binary, in_namespace, ip, kill, read_capture, sprat};

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Functions that need no network: one counts what it makes itself.
const ALONE: &str = "
    [functions.one]
    run = 'one.click'
    devices = []
    [functions.two]
    run = 'two.click'
    devices = []
    parameters = { LIMIT = 7 }
";

#[test]
fn what_is_declared_runs_and_the_smallest_change_is_made() {
    let host = Host::start(ALONE);
    assert_eq!(host.good(&["ps"]).lines().count(), 1, "nothing is declared");
    assert_eq!(host.good(&["up", "edge.toml"]), "+ one\n+ two\n");
    host.wait("one", "running");
    host.wait("two", "running");
    let shown = host.good(&["ps"]);
    let row = shown
        .lines()
        .find(|line| line.trim_start().starts_with("one "))
        .expect("a row");
    let process = row
        .split_whitespace()
        .nth(2)
        .and_then(|pid| pid.parse().ok());
    assert_eq!(process, host.lane("default"), "{shown}");
    assert_eq!(host.good(&["read", "one", "c.count"]), "5\n");
    assert_eq!(host.good(&["read", "two", "c.count"]), "7\n");
    assert_eq!(host.good(&["up", "edge.toml"]), "nothing to change\n");

    // What does not change keeps what it has counted; what changes counts on from there.
    host.good(&["write", "one", "c.reset"]);
    assert_eq!(
        host.declare(&ALONE.replace("LIMIT = 7", "LIMIT = 9")),
        "~ two\n"
    );
    assert_eq!(host.good(&["read", "one", "c.count"]), "0\n");
    host.until(|| (host.run(&["read", "two", "c.count"]).output == "16\n").then_some(()));
    let afresh = ALONE.replace("LIMIT = 7 }", "LIMIT = 4 }\n carry-state = false");
    assert_eq!(host.declare(&afresh), "~ two\n");
    host.until(|| (host.run(&["read", "two", "c.count"]).output == "4\n").then_some(()));

    // Another tenant has another lane.
    let apart = ALONE.replace("[functions.two]", "[functions.two]\n tenant = 'other'");
    assert_eq!(host.declare(&apart), "~ two\n");
    assert_ne!(host.lane("default"), host.lane("other"));
    host.wait("two", "running");
    assert_eq!(host.good(&["read", "one", "c.count"]), "0\n");
    assert_eq!(host.good(&["down"]), "- one\n- two\n");
    assert_eq!(host.good(&["ps"]).lines().count(), 1);
}

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
fn an_instance_is_killed_stopped_and_started() {
    let host = Host::start(ALONE);
    host.good(&["up", "edge.toml"]);
    host.wait("one", "running");
    host.good(&["write", "one", "c.reset"]);
    host.good(&["kill", "one"]);
    let after = host.until(|| host.instance("one").filter(|one| one["restarts"] == 1));
    assert_eq!(after["state"], "running");
    assert_eq!(after["last_end"], "was ended by the host");
    host.until(|| (host.run(&["read", "one", "c.count"]).output == "5\n").then_some(()));
    let reports = fs::read_dir(host.path().join("state/crashes")).expect("reports");
    let report = host.until(|| {
        let found = fs::read_dir(host.path().join("state/crashes"))
            .ok()?
            .flatten()
            .next()?;
        fs::read_to_string(found.path())
            .ok()
            .filter(|text| text.contains("console:"))
    });
    assert!(
        reports.count() <= 1 && report.starts_with("instance one\n"),
        "{report}"
    );

    assert_eq!(host.good(&["stop", "one"]), "stopped one\n");
    host.wait("one", "stopped");
    assert!(!host.run(&["read", "one", "c.count"]).good);
    assert_eq!(host.good(&["start", "one"]), "started one\n");
    host.wait("one", "running");

    // What keeps ending is replaced, but less and less often.
    for _ in 0..3 {
        host.wait("one", "running");
        host.good(&["kill", "one"]);
    }
    host.wait("one", "backing-off");
    host.wait("one", "running");
}

#[test]
fn what_instances_do_is_shown_and_what_happens_is_told() {
    let host = Host::start(ALONE);
    let source = "TimedSource(INTERVAL 0.01) -> c :: Counter -> q :: Queue(1) -> Idle;";
    fs::write(host.path().join("one.click"), source).expect("written");
    host.good(&["up", "edge.toml"]);
    host.wait("one", "running");
    let top = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let all = [&["top", "--once", "--json", "--interval", "0.2"], arguments].concat();
        let rows = host.run(&all).json();
        rows.as_array().expect("rows").clone()
    };
    host.until(|| {
        let rows = top(&[]);
        let names: Vec<_> = rows.iter().map(|row| row["instance"].clone()).collect();
        assert_eq!(names, ["one", "two"]);
        (rows[0]["entries"].as_f64() > Some(0.0)).then_some(())
    });
    host.until(|| {
        let rows = top(&["one"]);
        let element = |name: &str| rows.iter().find(|row| row["element"] == name).cloned();
        let (counter, queue) = (element("c").expect("c"), element("q").expect("q"));
        assert!(counter["dropped"].is_null(), "{counter}");
        let moves = counter["sent"].as_f64() > Some(0.0);
        // Nobody takes from the queue, which has room for one.
        (moves && queue["dropped"].as_f64() > Some(0.0)).then_some(())
    });
    let refused = host.run(&["top", "three", "--once"]);
    assert_eq!(
        refused.errors,
        "error: no instance three; there are one, two\n"
    );
    let metrics = host.good(&["metrics", "one"]);
    assert!(
        metrics.contains("sprat_element_packets_total{element=\"c\",direction=\"in\"}"),
        "{metrics}"
    );

    let mut told = Command::new(binary())
        .args(["events", "--json"])
        .env("XDG_RUNTIME_DIR", host.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(told.stdout.take().expect("a pipe")).lines();
    let hear = thread::spawn(move || {
        let mut seen = Vec::new();
        for line in lines {
            let event: serde_json::Value =
                serde_json::from_str(&line.expect("text")).expect("JSON");
            assert!(event["at"].as_u64() > Some(1_700_000_000_000), "{event}");
            let died = event["event"] == "died" && event["instance"] == "one";
            seen.push(event);
            if died {
                break;
            }
        }
        seen
    });
    // It may not be listening yet.
    host.until(|| {
        let _ = host.run(&["kill", "one"]);
        hear.is_finished().then_some(())
    });
    let _ = told.kill();
    let _ = told.wait();
    let seen = hear.join().expect("no panic");
    let died = seen.last().expect("an event");
    assert_eq!(
        (&died["tenant"], &died["how"]),
        (&"default".into(), &"was ended by the host".into())
    );
    let report = died["report"].as_str().expect("a file");
    let report = fs::read_to_string(report).expect("readable");
    assert!(report.starts_with("instance one\n"), "{report}");
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

#[test]
fn mistakes_are_named_and_change_nothing() {
    let host = Host::start(ALONE);
    host.good(&["up", "edge.toml"]);
    host.wait("one", "running");
    let before = host.lane("default");
    let cases = [
        (
            ALONE.replace("one.click", "no.click"),
            "error: cannot read no.click: No such file",
        ),
        (
            ALONE.replace("devices = []", "devices = ['eth0']"),
            "error: functions.one: no FromDevice and no ToDevice of one.click names eth0",
        ),
        (ALONE.replace("two.click", "bad.click"), "bad.click:1"),
        (
            format!("{ALONE}replicas = 0"),
            "error: edge.toml: functions.two.replicas: expected 1 to 64, found 0",
        ),
        (
            format!("[ports]\nx = 'tap'\n{ALONE}[bridges.b]\nmembers = ['x']"),
            "error: edge.toml: bridges.b: no function is a member",
        ),
    ];
    for (text, expected) in cases {
        fs::write(host.path().join("edge.toml"), text).expect("written");
        let refused = host.run(&["up", "edge.toml"]);
        assert!(
            !refused.good && refused.errors.starts_with(expected),
            "{expected}: {}",
            refused.errors
        );
    }
    for (arguments, expected) in [
        (
            ["stop", "three"],
            "error: no function three; there are: one, two\n",
        ),
        (
            ["kill", "three"],
            "error: no instance three; there are one, two\n",
        ),
    ] {
        assert_eq!(host.run(&arguments).errors, expected);
    }
    let twice = sprat(host.path(), ["daemon", "--state", "state"]);
    assert!(
        twice.errors.contains("another daemon uses it"),
        "{}",
        twice.errors
    );
    assert_eq!(host.lane("default"), before);
    assert_eq!(host.good(&["read", "one", "c.count"]), "5\n");
}

/// Passes frames on both ways.
const PASS: &str = "
    FromDevice(eth0) -> in :: Counter -> Queue -> ToDevice(eth1);
    FromDevice(eth1) -> out :: Counter -> Queue -> ToDevice(eth0);
";

/// A network of its own: a process that sleeps in it.
struct Namespace(Child);

impl Namespace {
    /// One that has an interface with an address; the other end is here.
    fn new(name: &str, address: &str) -> Self {
        let child = Command::new("unshare")
            .args(["--net", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare starts");
        let namespace = Self(child);
        ip(&format!("link add {name} type veth peer name {name}-in"));
        // Or IPv6 would have something to say by itself.
        ip(&format!("link set {name} addrgenmode none up"));
        let number = namespace.0.id();
        // Until it has its own, it has this one.
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net"));
        let own = network("self").expect("a network");
        let begun = Instant::now();
        while network(&number.to_string()).expect("a network") == own {
            assert!(begun.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(5));
        }
        ip(&format!("link set {name}-in netns {number}"));
        assert!(namespace.inside(&[
            "ip",
            "address",
            "add",
            address,
            "dev",
            &format!("{name}-in")
        ]));
        assert!(namespace.inside(&[
            "ip",
            "link",
            "set",
            &format!("{name}-in"),
            "addrgenmode",
            "none",
            "up"
        ]));
        namespace
    }

    fn inside(&self, command: &[&str]) -> bool {
        let done = Command::new("nsenter")
            .args(["-t", &self.0.id().to_string(), "-n"])
            .args(command)
            .stdout(Stdio::null())
            .status();
        done.expect("nsenter starts").success()
    }

    /// Whether a host answers from there: it refuses a connection to a port that nobody listens on.
    fn reaches(&self, address: &str) -> bool {
        let process = self.0.id().to_string();
        let connect = format!("echo > /dev/tcp/{address}/9");
        let done = Command::new("nsenter")
            .args(["-t", &process, "-n", "timeout", "1", "bash", "-c", &connect])
            .output();
        let errors = done.expect("nsenter starts").stderr;
        String::from_utf8_lossy(&errors).contains("refused")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_chain_between_two_networks_survives_the_end_of_what_it_is_made_of() {
    if !in_namespace("a_chain_between_two_networks_survives_the_end_of_what_it_is_made_of") {
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

    // An interface that vanishes and returns is taken up again.
    ip("link set left down");
    assert!(!left.reaches("192.0.2.2"));
    ip("link set left up");
    host.until(|| left.reaches("192.0.2.2").then_some(()));
}

#[test]
fn an_idle_function_is_put_away_and_the_next_frame_brings_it_back_with_what_it_held() {
    if !in_namespace(
        "an_idle_function_is_put_away_and_the_next_frame_brings_it_back_with_what_it_held",
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

/// Passes frames on both ways, and counts them.
const COUNTED: &str = "
    FromDevice(eth0) -> there :: Counter -> Queue(1000) -> ToDevice(eth1);
    FromDevice(eth1) -> back :: Counter -> Queue(1000) -> ToDevice(eth0);
";
