//! A wall clock that is put forward and back by years.

use std::fs;
use std::time::{Duration, Instant};

use end_to_end::{Host, WallClock, in_namespace};

use crate::load::{self, Load, PASS, assert_whole};

/// Packets that the source makes in a second.
const RATE: u64 = 500;

/// What the source may make up for at once: what its element allows, and what a busy machine owes it.
const SLACK: u64 = RATE;

const YEAR: i64 = 365 * 24 * 60 * 60;

#[test]
fn a_clock_that_jumps_by_years_changes_nothing_but_what_time_it_is() {
    let test = "clock::a_clock_that_jumps_by_years_changes_nothing_but_what_time_it_is";
    if !in_namespace(test) {
        return;
    }
    let ends = load::wire("a");
    let [ports, chain] = load::chain("a", "default");
    let declared = format!(
        "[ports]\n{ports}{chain}
        [functions.source]
        run = 'source.click'
        devices = []
        "
    );
    let host = Host::under_clock(&declared, WallClock::new());
    let clock = host.clock().expect("given");
    let source = format!(
        "RatedSource(RATE {RATE}, LIMIT -1) -> c :: Counter -> Discard;
        time :: Script(TYPE PASSIVE, return $(now));"
    );
    fs::write(host.path().join("source.click"), source).expect("written");
    fs::write(host.path().join("pass.click"), PASS).expect("written");
    host.good(&["up", "edge.toml"]);
    for name in ["a", "source"] {
        host.wait(name, "running");
    }
    let lane = host.lane("default").expect("a lane");
    for process in [lane, host.daemon().expect("a daemon")] {
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("a process of ours");
        let moved = clock.path();
        assert!(
            maps.contains(moved.to_str().expect("a plain name")),
            "{maps}"
        );
    }
    let read = |handler| host.good(&["read", "source", handler]).trim().to_owned();
    let count = || read("c.count").parse::<u64>().expect("a number");
    let load = Load::start(&[ends]);

    let mut begun = (Instant::now(), count());
    for (step, seconds) in [10 * YEAR, -20 * YEAR, 0].into_iter().enumerate() {
        clock.move_by(seconds);
        // What an instance goes by as time passes is not the time of day: it makes no more than that
        // many, and no fewer.
        let goal = begun.1 + RATE;
        host.until(|| (count() >= goal).then_some(()));
        let made = count() - begun.1;
        let due = (begun.0.elapsed().as_secs() + 1) * RATE + SLACK;
        assert!(made <= due, "{made} packets where {due} were due");
        // The time of day is the clock's.
        let told: f64 = read("time.run").parse().expect("a number");
        let apart = (told - clock.now().as_secs_f64()).abs();
        assert!(apart < 5.0, "{apart} seconds apart");

        // What ends is replaced, and says when it ended by that clock.
        let ended = clock.now();
        host.good(&["kill", "source"]);
        let restarts = step as u64 + 1;
        host.until(|| {
            let instance = host.instance("source")?;
            let again = instance["state"] == "running" && instance["restarts"] == restarts;
            again.then_some(())
        });
        let crashes = fs::read_dir(host.path().join("state/crashes")).expect("there");
        let times = crashes.map(|file| {
            let name = file.expect("an entry").file_name().into_string();
            let name = name.expect("a plain name");
            let time = name
                .strip_prefix("source-")
                .and_then(|rest| rest.strip_suffix(".txt"));
            Duration::from_millis(time.and_then(|time| time.parse().ok()).expect("a time"))
        });
        let told = times.filter(|time| time.abs_diff(ended) < Duration::from_secs(30));
        assert_eq!(told.count(), 1, "{ended:?}");
        begun = (Instant::now(), count());
    }
    assert_eq!(host.lane("default"), Some(lane), "nobody ended it");
    assert_whole(&host, "default", "a", &load.end()[0]);
    assert_eq!(host.good(&["up", "edge.toml"]), "nothing to change\n");
}
