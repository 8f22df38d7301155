//! Every example comes to what its `expected/` says, under both monitors and booting by itself.
//!
//! The expectations come from RFCs, arithmetic and the Linux kernel: see each `expect.py`.

use end_to_end::{Expectation, Record, has_kvm, project, read_capture, sprat};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// In the place of a monitor: the image boots by itself, on an emulated machine.
const DISK: &str = "disk";

/// A run of an example in a folder of its own.
struct Run {
    folder: tempfile::TempDir,
    report: Value,
    expectation: Expectation,
    /// From the command to its end.
    elapsed: Duration,
}

impl Run {
    fn of(example: &str, monitor: &str) -> Self {
        let original = project().join("examples").join(example);
        let folder = tempfile::tempdir().expect("a temporary folder");
        for entry in fs::read_dir(&original).expect("the example") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                fs::copy(&path, folder.path().join(path.file_name().expect("a name")))
                    .expect("a copy");
            }
        }
        let how = match monitor {
            DISK => ["--target", DISK],
            _ => ["--monitor", monitor],
        };
        let begin = Instant::now();
        let report = sprat(folder.path(), ["run", ".", "--json"].iter().chain(&how)).json();
        assert_eq!(report["monitor"], monitor);
        Self {
            folder,
            report,
            expectation: Expectation::of(&original),
            elapsed: begin.elapsed(),
        }
    }

    /// The capture that the example's run.toml names for a device.
    fn output(&self, device: &str) -> PathBuf {
        let text = fs::read_to_string(self.folder.path().join("run.toml")).expect("run.toml");
        let section = text.split("[out]").nth(1).expect("an [out] section");
        let line = section
            .lines()
            .find(|line| line.starts_with(&format!("{device} =")))
            .expect("the device");
        self.folder
            .path()
            .join(line.split('"').nth(1).expect("a path"))
    }

    /// What left by a device.
    fn sent(&self, device: &str) -> Vec<Record> {
        self.read(&self.output(device))
    }

    fn expected(&self, example: &str, device: &str) -> Vec<Record> {
        let folder = project().join("examples").join(example);
        self.read(&folder.join(&self.expectation.out[device]))
    }

    /// Reads a capture; without its times where the instance does not live in those of captures.
    fn read(&self, capture: &Path) -> Vec<Record> {
        let mut records = read_capture(capture);
        if self.report["monitor"] == DISK {
            records.iter_mut().for_each(|record| record.time = 0);
        }
        records
    }

    /// What must hold of every example.
    fn check(&self) {
        self.every_frame_is_accounted_for();
        self.handlers_read_what_they_must();
        self.nothing_leaves_that_never_may();
    }

    fn every_frame_is_accounted_for(&self) {
        for (device, frames) in &self.expectation.frames_in {
            let devices = self.report["devices"].as_array().expect("devices");
            let found = devices
                .iter()
                .find(|found| found["name"] == **device)
                .expect("the device");
            assert_eq!(found["received"], *frames, "{device}");
        }
        let frames = |name: &str| {
            self.report["frames"][name]
                .as_u64()
                .unwrap_or_else(|| panic!("frames.{name}"))
        };
        assert_eq!(
            frames("received"),
            self.expectation.frames_in.values().sum::<u64>()
        );
        assert_eq!(
            frames("delivered") + frames("made"),
            frames("sent") + frames("ended"),
            "{}",
            self.report["frames"]
        );
    }

    /// What the handlers of the report read.
    fn handlers(&self) -> BTreeMap<&str, u64> {
        let groups = self.report["groups"].as_array().expect("groups");
        groups
            .iter()
            .flat_map(|group| group["lines"].as_array().expect("lines"))
            .map(|line| {
                let value = line["value"].as_str().expect("a value").trim();
                (
                    line["handler"].as_str().expect("a handler"),
                    value.parse().expect("a number"),
                )
            })
            .collect()
    }

    fn handlers_read_what_they_must(&self) {
        let lines = self.handlers();
        // These are counts of a time that is the captures'.
        let between = match self.report["monitor"] == DISK {
            true => &BTreeMap::new(),
            false => &self.expectation.between,
        };
        let mut compared = 0;
        for (handler, value) in &lines {
            if let Some(expected) = self.expectation.handlers.get(*handler) {
                assert_eq!(value, expected, "{handler}");
                compared += 1;
            } else if let Some((least, most)) = between.get(*handler) {
                assert!(
                    (least..=most).contains(&value),
                    "{handler} reads {value}, not {least} to {most}"
                );
                compared += 1;
            }
        }
        assert!(
            compared >= 5,
            "only {compared} handlers of the report are expected ones"
        );
    }

    fn nothing_leaves_that_never_may(&self) {
        for (device, filters) in &self.expectation.never {
            for filter in filters {
                match tcpdump_count(&self.output(device), filter) {
                    Some(count) => assert_eq!(count, 0, "{device}: {filter}"),
                    None => return println!("skipped: needs tcpdump"),
                }
            }
        }
    }
}

/// How many frames of a capture a tcpdump filter matches; nothing without tcpdump.
fn tcpdump_count(capture: &Path, filter: &str) -> Option<usize> {
    let output = Command::new("tcpdump")
        .args(["-n", "-t", "-q", "-r"])
        .arg(capture)
        .arg(filter)
        .output()
        .ok()?;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    // One frame a line; what tcpdump cannot decode it may print as indented bytes below.
    let text = String::from_utf8_lossy(&output.stdout);
    Some(
        text.lines()
            .filter(|line| !line.starts_with(['\t', ' ']))
            .count(),
    )
}

fn in_words(frame: &[u8]) -> String {
    frame.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The same frames with the timestamps that they arrived with, those of each flow in order. Batches
/// may overtake each other on different paths through a router, as they may on different queues of
/// a network card; frames of one flow may not.
fn assert_same(device: &str, actual: &[Record], expected: &[Record]) {
    let by_flow = |records: &[Record]| {
        let mut flows: BTreeMap<Vec<u8>, Vec<(u64, String)>> = BTreeMap::new();
        for record in records {
            flows
                .entry(flow(&record.frame))
                .or_default()
                .push((record.time, in_words(&record.frame)));
        }
        flows
    };
    let (actual_flows, mut expected_flows) = (by_flow(actual), by_flow(expected));
    for (flow, frames) in actual_flows {
        let expected = expected_flows.remove(&flow).unwrap_or_default();
        assert_eq!(frames, expected, "{device}, flow {}", in_words(&flow));
    }
    assert!(
        expected_flows.is_empty(),
        "{device}: missing {expected_flows:#?}"
    );
    assert_eq!(actual.len(), expected.len(), "{device}");
}

/// What tells a frame's flow: EtherType, and for IPv4 protocol, addresses and ports.
fn flow(frame: &[u8]) -> Vec<u8> {
    let part = |range: std::ops::Range<usize>| frame.get(range).unwrap_or_default().to_vec();
    let kind = part(12..14);
    if kind == [8, 0] {
        [kind, part(23..24), part(26..34), part(34..38)].concat()
    } else {
        kind
    }
}

/// The same frames, however the kernel's processors happened to order them.
fn assert_same_set(device: &str, actual: Vec<Record>, expected: Vec<Record>) {
    let sorted = |records: Vec<Record>| {
        let mut frames: Vec<_> = records
            .into_iter()
            .map(|record| in_words(&record.frame))
            .collect();
        frames.sort();
        frames
    };
    let (actual, expected) = (sorted(actual), sorted(expected));
    let missing: Vec<_> = expected
        .iter()
        .filter(|frame| !actual.contains(frame))
        .collect();
    let extra: Vec<_> = actual
        .iter()
        .filter(|frame| !expected.contains(frame))
        .collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "{device}: missing {missing:#?}, extra {extra:#?}"
    );
    assert_eq!(actual.len(), expected.len(), "{device}");
}

fn is_arp_request(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[8, 6]) && frame.get(20..22) == Some(&[0, 1])
}

fn dotted(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(u8::to_string)
        .collect::<Vec<_>>()
        .join(".")
}

/// Whether a monitor can be tried here; says why not.
fn has(monitor: &str) -> bool {
    const QEMU: &str = "qemu-system-x86_64";
    if monitor == DISK && Command::new(QEMU).arg("--version").output().is_err() {
        println!("skipped: needs {QEMU}");
        return false;
    }
    let there = monitor != "vm" || has_kvm();
    if !there {
        println!("skipped: needs KVM");
    }
    there
}

fn firewall_passes_what_its_policy_says(monitor: &str) {
    if has(monitor) {
        let run = Run::of("firewall", monitor);
        run.check();
        assert_same("eth1", &run.sent("eth1"), &run.expected("firewall", "eth1"));
    }
}

fn nat_gives_each_customer_its_own_ports(monitor: &str) {
    if has(monitor) {
        let run = Run::of("nat", monitor);
        run.check();
        for device in ["eth0", "eth1"] {
            assert_same(device, &run.sent(device), &run.expected("nat", device));
        }
    }
}

fn loadbalancer_does_what_the_kernels_balancer_did(monitor: &str) {
    if has(monitor) {
        let run = Run::of("loadbalancer", monitor);
        run.check();
        for device in ["eth0", "eth1"] {
            assert_same_set(
                device,
                run.sent(device),
                run.expected("loadbalancer", device),
            );
        }
    }
}

fn monitor_leaves_the_link_untouched(monitor: &str) {
    if has(monitor) {
        let run = Run::of("monitor", monitor);
        run.check();
        assert_same("eth1", &run.sent("eth1"), &run.expected("monitor", "eth1"));
    }
}

fn ratelimit_holds_the_rate_and_spares_the_rest(monitor: &str) {
    if has(monitor) {
        let run = Run::of("ratelimit", monitor);
        run.check();
        // Bulk keeps its order, and what is not bulk arrives whole and in order too.
        let is_bulk = |record: &Record| record.frame.get(36..38) == Some(&9999u16.to_be_bytes());
        let sent = run.sent("eth1");
        let came = read_capture(&run.folder.path().join("capture.pcap"));
        let mut numbers = sent
            .iter()
            .filter(|record| is_bulk(record))
            .map(|record| record.frame[42..46].to_vec())
            .peekable();
        assert!(numbers.peek().is_some());
        assert!(numbers.is_sorted(), "bulk is out of order");
        if monitor == DISK {
            // 100 a second of the machine's time, of which there is no more than of ours; and what a
            // burst of a tenth of a second adds.
            let most = run.elapsed.as_secs_f64() * 100.0 + 10.0;
            let sent = run.handlers()["bulk_sent.count"];
            assert!(sent as f64 <= most, "{sent} in {:?}", run.elapsed);
        }
        assert_same_set(
            "eth1, all but bulk",
            sent.into_iter().filter(|record| !is_bulk(record)).collect(),
            came.into_iter().filter(|record| !is_bulk(record)).collect(),
        );
    }
}

/// What an ICMP message of the router says, as `expect.py` of the router puts it.
fn said(frame: &[u8]) -> Value {
    let ip = &frame[14..];
    let icmp = &ip[usize::from(ip[0] & 15) * 4..usize::from(u16::from_be_bytes([ip[2], ip[3]]))];
    let about = if icmp[0] == 0 {
        icmp[4..].to_vec()
    } else {
        let quoted = &icmp[8..];
        let header = usize::from(quoted[0] & 15) * 4;
        [
            &quoted[4..6],
            &quoted[9..10],
            &quoted[12..20],
            &quoted[header..header + 8],
        ]
        .concat()
    };
    json!({
        "icmp": format!("{}/{}", icmp[0], icmp[1]),
        "from": dotted(&ip[12..16]),
        "to": dotted(&ip[16..20]),
        "about": in_words(&about),
    })
}

fn router_does_what_the_kernels_router_did(monitor: &str) {
    if !has(monitor) {
        return;
    }
    let run = Run::of("router", monitor);
    run.check();
    let own = [
        [10, 0, 0, 1],
        [10, 0, 1, 1],
        [10, 0, 2, 1],
        [203, 0, 113, 2],
    ];
    for device in ["eth0", "eth1", "eth2", "eth3"] {
        let (mut forwarded, mut made, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for record in run.sent(device) {
            if is_arp_request(&record.frame) {
                asked.push(dotted(&record.frame[38..42]));
            } else if record.frame[12..14] == [8, 0]
                && own.iter().any(|address| record.frame[26..30] == *address)
            {
                made.push(said(&record.frame));
            } else {
                forwarded.push(record);
            }
        }
        assert_same_set(device, forwarded, run.expected("router", device));
        assert_eq!(made, run.expectation.made[device], "{device}: ICMP");
        asked.sort();
        asked.dedup();
        assert_eq!(asked, run.expectation.asked[device], "{device}: ARP");
    }
}

/// One test for each example and monitor.
macro_rules! under {
    ($name:ident: $($test:ident)*) => {
        mod $name {
            $(#[test] fn $test() { super::$test(stringify!($name)); })*
        }
    };
}

under! { vm:
    firewall_passes_what_its_policy_says
    nat_gives_each_customer_its_own_ports
    loadbalancer_does_what_the_kernels_balancer_did
    monitor_leaves_the_link_untouched
    ratelimit_holds_the_rate_and_spares_the_rest
    router_does_what_the_kernels_router_did
}

under! { process:
    firewall_passes_what_its_policy_says
    nat_gives_each_customer_its_own_ports
    loadbalancer_does_what_the_kernels_balancer_did
    monitor_leaves_the_link_untouched
    ratelimit_holds_the_rate_and_spares_the_rest
    router_does_what_the_kernels_router_did
}

// Where the image boots by itself it does not live in the captures' time.
under! { disk:
    firewall_passes_what_its_policy_says
    nat_gives_each_customer_its_own_ports
    loadbalancer_does_what_the_kernels_balancer_did
    monitor_leaves_the_link_untouched
    ratelimit_holds_the_rate_and_spares_the_rest
    router_does_what_the_kernels_router_did
}
