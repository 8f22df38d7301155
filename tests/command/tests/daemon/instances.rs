//! Instances: ended, stopped, started, and looked at.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::thread;

use end_to_end::{Host, binary};

use crate::ALONE;

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
    // What an element takes is measured now and then.
    host.until(|| {
        let rows = top(&["one"]);
        let counter = rows.iter().find(|row| row["element"] == "c").expect("c");
        let takes = |what: &str| counter[what].as_f64() > Some(0.0);
        (takes("nanoseconds") && takes("processor")).then_some(())
    });
    let shown = host.good(&["top", "one", "--once", "--interval", "0.1"]);
    let header = shown.lines().next().expect("a line").split_whitespace();
    assert_eq!(
        header.collect::<Vec<_>>(),
        [
            "ELEMENT",
            "IN/S",
            "OUT/S",
            "DROPPED/S",
            "RUNS/S",
            "CPU",
            "NS/PACKET"
        ]
    );
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
fn what_would_go_on_ends_once_nobody_reads_it() {
    let host = Host::start("");
    let talk = "Script(label again, print said, wait 0.05, goto again)";
    fs::write(host.path().join("talk.click"), talk).expect("written");
    host.declare("[functions.talk]\nrun = 'talk.click'\ndevices = []\n");
    host.wait("talk", "running");
    for arguments in [
        &["top", "--interval", "0.1"][..],
        &["top", "talk", "--interval", "0.1", "--json"],
        &["events"],
        &["events", "--json"],
        &["logs", "--follow", "talk"],
        &["console", "talk"],
    ] {
        let mut shown = Command::new(binary())
            .args(arguments)
            .env("XDG_RUNTIME_DIR", host.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut first = String::new();
        let output = shown.stdout.take().expect("a pipe");
        let mut read = BufReader::new(output);
        let happens = || {
            if arguments[0] == "events" {
                let _ = host.run(&["kill", "talk"]);
            }
        };
        thread::scope(|scope| {
            let line = scope.spawn(|| {
                let bytes = read.read_line(&mut first).expect("text");
                // `read` is what would keep the pipe open.
                drop(read);
                bytes
            });
            host.until(|| {
                happens();
                line.is_finished().then_some(())
            });
            assert!(line.join().expect("no panic") > 0, "{arguments:?}");
        });
        let ended = host.until(|| {
            happens();
            shown.try_wait().expect("it was started")
        });
        assert_eq!(ended.code(), Some(0), "{arguments:?}");
        let errors = shown.wait_with_output().expect("it has ended").stderr;
        assert_eq!(String::from_utf8_lossy(&errors), "", "{arguments:?}");
    }
}

#[test]
fn an_instance_is_inspected_with_all_that_is_known_of_it() {
    let host = Host::start("");
    let pass =
        "FromDevice(eth0) -> Queue -> ToDevice(eth1); FromDevice(eth1) -> Queue -> ToDevice(eth0);";
    fs::write(host.path().join("pass.click"), pass).expect("written");
    host.declare("[functions.fw]\nrun = 'pass.click'\nparameters = { NET = '10.0.0.0/8' }\n");
    host.wait("fw", "running");
    host.good(&["kill", "fw"]);
    host.until(|| host.instance("fw").filter(|fw| fw["restarts"] == 1));
    let lane = host.lane("default").expect("a lane");
    let shown = host.until(|| {
        let shown = host.run(&["inspect", "fw", "--json"]).json();
        (shown["crashes"][0].is_object()).then_some(shown)
    });
    assert_eq!(shown["instance"]["last_end"], "was ended by the host");
    assert_eq!(shown["function"]["parameters"][0][1], "10.0.0.0/8");
    assert_eq!(shown["lane"]["pid"], lane);
    let crash = &shown["crashes"][0];
    let report = crash["file"].as_str().expect("a file");
    let written = fs::read_to_string(report).expect("readable");
    assert_eq!(crash["report"], *written);
    assert!(crash["at"].as_u64() > Some(1_700_000_000_000), "{crash}");
    let text = host.good(&["inspect", "fw"]);
    for part in [
        "fw: running for ",
        ", replaced once, the last was ended by the host\n",
        "function fw: pass.click\n  NET = 10.0.0.0/8\n",
        &format!("lane default: process {lane}, by "),
        " eth0    02:",
        " eth1    02:",
        report,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let refused = host.run(&["inspect", "fv"]);
    assert!(!refused.good);
    assert_eq!(
        refused.errors,
        "error: fv: no such file, and the daemon has no such instance; there are: fw\n"
    );
    // Who names a file gets what is said of files.
    let refused = host.run(&["inspect", "./fw"]).errors;
    assert!(refused.contains("./fw: No such file"), "{refused}");
}

#[test]
fn what_commands_say_is_there_as_json_too() {
    let host = Host::start(ALONE);
    let json = |arguments: &[&str]| host.run(&[arguments, &["--json"]].concat()).json();
    let changed = |changes: &[&str]| serde_json::json!({ "changes": changes });
    assert_eq!(json(&["up", "edge.toml"]), changed(&["+ one", "+ two"]));
    assert_eq!(json(&["up", "edge.toml"]), changed(&[]));
    host.wait("one", "running");
    assert_eq!(json(&["stop", "two"]), changed(&["stopped two"]));
    assert_eq!(json(&["start", "two"]), changed(&["started two"]));
    let read = json(&["read", "one", "c.count"]);
    let expected = serde_json::json!({ "instance": "one", "handler": "c.count", "value": "5" });
    assert_eq!(read, expected);
    let written = json(&["write", "one", "c.reset", ""]);
    let expected = serde_json::json!({ "instance": "one", "handler": "c.reset", "written": "" });
    assert_eq!(written, expected);
    assert_eq!(json(&["kill", "one"]), changed(&["killed one"]));
    host.wait("one", "running");
    let said = "Script(print \"one\", print \"two\", stop)";
    fs::write(host.path().join("said.click"), said).expect("written");
    host.declare("[functions.said]\nrun = 'said.click'\ndevices = []\nrestart = 'never'\n");
    let lines = host.until(|| {
        let lines = host.good(&["logs", "said", "--json"]);
        (lines.lines().count() >= 2).then_some(lines)
    });
    let expected =
        "{\"instance\":\"said\",\"line\":\"one\"}\n{\"instance\":\"said\",\"line\":\"two\"}\n";
    assert!(lines.contains(expected), "{lines}");
    let gone = json(&["down"]);
    assert_eq!(gone, changed(&["- said"]));
}
