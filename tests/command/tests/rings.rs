//! Lanes that are joined by rings: frames of a function in one come to a function in the other, also
//! after either lane has ended.

use std::fs;

use end_to_end::{Host, kill, processor_time};

/// `source` sends twenty frames whenever it is told to, in a lane of its own tenant; `sink` counts them in
/// the lane of another, which is its alone.
const DECLARED: &str = "
    [ports]
    out = 'ring:between'
    in = 'ring:between'
    [functions.source]
    run = 'source.click'
    tenant = 'one'
    devices = ['eth0']
    [functions.sink]
    run = 'sink.click'
    tenant = 'other'
    dedicated = true
    devices = ['eth0']
    [bridges.one]
    members = ['source.eth0', 'out']
    any-source = ['source']
    [bridges.other]
    members = ['sink.eth0', 'in']
";

/// Declares it all.
fn start() -> Host {
    let host = Host::start("");
    for (name, text) in [
        (
            "source.click",
            "s :: InfiniteSource(LIMIT 20, ACTIVE false, STOP false)
             -> EtherEncap(0x88b5, 02:00:00:00:00:01, 02:00:00:00:00:02)
             -> Queue -> ToDevice(eth0);",
        ),
        ("sink.click", "FromDevice(eth0) -> c :: Counter -> Discard;"),
    ] {
        fs::write(host.path().join(name), text).expect("written");
    }
    host.declare(DECLARED);
    host
}

/// Has twenty frames sent, and waits until as many have come since `before`.
fn cross(host: &Host, before: u64) {
    host.wait("source", "running");
    host.wait("sink", "running");
    host.good(&["write", "source", "s.reset"]);
    host.good(&["write", "source", "s.active", "true"]);
    host.until(|| {
        let count = host.run(&["read", "sink", "c.count"]);
        let count: u64 = count.output.trim().parse().ok()?;
        assert!(count <= before + 20, "{count} of {before} and 20");
        (count == before + 20).then_some(())
    });
}

/// Ends a lane as nobody expects, and waits until there is another.
fn end(host: &Host, lane: &str) {
    let process = host.lane(lane).expect("a lane");
    kill(process);
    host.until(|| host.lane(lane).filter(|other| *other != process));
}

#[test]
fn frames_cross_from_lane_to_lane_and_go_on_when_either_was_started_again() {
    let host = start();
    cross(&host, 0);
    cross(&host, 20);
    end(&host, "other.sink");
    cross(&host, 0);
    end(&host, "one");
    cross(&host, 20);
}

#[test]
fn rings_stay_when_the_daemon_is_started_again_and_lanes_after_it() {
    let mut host = start();
    cross(&host, 0);
    host.kill_daemon();
    host.begin();
    cross(&host, 20);
    end(&host, "one");
    cross(&host, 40);
}

#[test]
fn the_lane_of_a_dedicated_function_never_sleeps() {
    let host = start();
    cross(&host, 0);
    let process = host.lane("other.sink").expect("a lane");
    let before = processor_time(process);
    // A second of the processor while nothing is to be done.
    let ticks = 100;
    host.until(|| (processor_time(process) >= before + ticks).then_some(()));
}
