//! What tenants may take, and that others have the rest.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use end_to_end::{Host, binary, processor_time};

/// Takes more memory than there is, a little later than it begins.
const GREEDY: &str = "Script(wait 0.2, set x a, label more, set x $x$x$x$x, goto more)";

/// Whether this machine has groups to put tenants into; else it is said.
fn has_groups() -> bool {
    // Its folder there is whose the process is.
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let has = |kind: &str, option: &str| {
        mounts.lines().any(|line| {
            let words: Vec<_> = line.split(' ').collect();
            words[2] == kind && words[3].split(',').any(|found| found == option)
        })
    };
    let offered = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let unified = offered.contains("memory") && offered.contains("cpu");
    let there = unified || has("cgroup", "memory") && has("cgroup", "cpu");
    match (root, there) {
        (false, _) => println!("skipped: needs root"),
        (_, false) => println!("skipped: needs control groups with memory and processor time"),
        _ => {}
    }
    root && there
}

#[test]
fn a_tenant_has_no_more_memory_and_time_than_it_may_and_others_go_on() {
    if !has_groups() {
        return;
    }
    let host = Host::start("");
    fs::write(host.path().join("greedy.click"), GREEDY).expect("written");
    fs::write(host.path().join("idle.click"), "Idle -> Discard;").expect("written");
    let declared = "
        [functions.greedy]
        run = 'greedy.click'
        devices = []
        tenant = 'acme'
        memory = '512M'
        [functions.busy]
        run = 'idle.click'
        devices = []
        tenant = 'busy'
        dedicated = true
        [functions.other]
        run = 'idle.click'
        devices = []
        [tenants.acme]
        memory = '64M'
        [tenants.busy]
        processors = 0.2
    ";
    let mut told = Command::new(binary())
        .arg("events")
        .env("XDG_RUNTIME_DIR", host.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(told.stdout.take().expect("a pipe")).lines();
    host.declare(declared);
    host.wait("other", "running");
    let other = host.lane("default").expect("a lane");

    // The kernel ends who is over the limit, the lane or an instance that is a process of its own; it
    // is begun again, and that is told.
    let ended = " acme lane ended: its tenant was out of memory";
    let died = " was ended by signal 9, as its tenant was out of memory";
    let tells = |line: &str| line.ends_with(ended) || line.contains(died);
    assert!(lines.any(|line| tells(&line.expect("text"))));
    let _ = told.kill();
    let _ = told.wait();
    assert_eq!(host.lane("default"), Some(other), "nobody ended it");

    // A lane that never sleeps gets a fifth of a processor.
    let busy = host.lane("busy.busy").expect("a lane");
    let (begin, before) = (Instant::now(), processor_time(busy));
    thread::sleep(Duration::from_secs(2));
    let ticks = begin.elapsed().as_secs_f64() * 100.0;
    let share = (processor_time(busy) - before) as f64 / ticks;
    assert!(share > 0.02 && share < 0.3, "{share}");

    // And more, as soon as that is declared.
    let more = declared.replace("processors = 0.2", "processors = 4");
    let more = more.replace("run = 'greedy.click'", "run = 'idle.click'");
    assert_eq!(host.declare(&more), "~ greedy\n~ limits of tenants\n");
    assert_eq!(host.lane("busy.busy"), Some(busy), "it goes on");
    host.until(|| {
        let before = processor_time(busy);
        thread::sleep(Duration::from_millis(500));
        (processor_time(busy) >= before + 15).then_some(())
    });
    host.wait("greedy", "running");

    // Nothing is left of tenants that are gone.
    let name = format!("sprat{}", host.path().join("sprat").display()).replace('/', "-");
    let groups: Vec<_> = ["", "memory", "cpu"]
        .map(|part| Path::new("/sys/fs/cgroup").join(part).join(&name))
        .into_iter()
        .filter(|group| group.exists())
        .collect();
    assert!(groups.iter().any(|group| group.join("acme").is_dir()));
    host.good(&["down"]);
    host.until(|| groups.iter().all(|group| !group.exists()).then_some(()));
}

#[test]
fn limits_that_mean_nothing_are_refused() {
    let host = Host::start("");
    fs::write(host.path().join("idle.click"), "Idle -> Discard;").expect("written");
    let function = "[functions.idle]\nrun = 'idle.click'\ndevices = []\n";
    for (limits, expected) in [
        (
            "[tenants.other]\nmemory = '1G'",
            "tenants.other: no function is this tenant's",
        ),
        (
            "[tenants.default]\nmemory = '1'",
            "tenants.default.memory: expected 64K or more, such as 512K or 8M",
        ),
        (
            "[tenants.default]\nprocessors = 0",
            "tenants.default.processors: expected 0.05 or more, found 0",
        ),
    ] {
        fs::write(
            host.path().join("edge.toml"),
            format!("{function}{limits}\n"),
        )
        .expect("written");
        let refused = host.run(&["up", "edge.toml"]).errors;
        assert!(refused.contains(expected), "{refused}");
    }
}
