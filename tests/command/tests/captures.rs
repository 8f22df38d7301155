//! Captures of every kind, as inputs and as outputs: what can be played is, at its own times; what
//! cannot is named, and nothing half done is left behind.

use end_to_end::{Finished, Record, has_kvm, interrupted_sprat, read_capture, sprat};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const PASS: &str = "FromDevice(eth0) -> Queue -> ToDevice(eth1);";
const FRAME: [u8; 60] = [7; 60];
const IN: [&str; 2] = ["--in", "eth0=in.pcap"];
const OUT: [&str; 2] = ["--out", "eth1=out.pcap"];

/// Seconds in thirty years.
const THIRTY_YEARS: u32 = 30 * 365 * 86_400;

fn pcap_header(magic: u32) -> Vec<u8> {
    [magic, 0x0004_0002, 0, 0, 65_535, 1]
        .map(u32::to_le_bytes)
        .concat()
}

/// A capture of frames that came at these seconds and microseconds.
fn capture(times: &[(u32, u32)]) -> Vec<u8> {
    capture_with(0xa1b2_c3d4, times)
}

fn capture_with(magic: u32, times: &[(u32, u32)]) -> Vec<u8> {
    let mut bytes = pcap_header(magic);
    for (seconds, fraction) in times {
        bytes.extend([*seconds, *fraction, 60, 60].map(u32::to_le_bytes).concat());
        bytes.extend(FRAME);
    }
    bytes
}

/// A block of a pcapng file (draft-ietf-opsawg-pcapng): type, length, body, length.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 12).expect("a short block");
    [
        &kind.to_le_bytes()[..],
        &length.to_le_bytes(),
        body,
        &length.to_le_bytes(),
    ]
    .concat()
}

/// A folder with `a.click` and `in.pcap`.
fn folder(configuration: &str, input: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("a.click"), configuration).expect("a file");
    fs::write(folder.path().join("in.pcap"), input).expect("a file");
    folder
}

fn run(folder: &Path, more: &[&[&str]]) -> Finished {
    let mut arguments = vec!["run", "a.click", "--json"];
    arguments.extend(more.iter().copied().flatten());
    sprat(folder, arguments)
}

/// Plays `in.pcap` through [`PASS`]; what came out.
fn play(input: &[u8]) -> Vec<Record> {
    let folder = folder(PASS, input);
    let finished = run(folder.path(), &[&IN, &OUT]);
    assert!(finished.good, "{finished:?}");
    read_capture(&folder.path().join("out.pcap"))
}

fn at(time: u64) -> Record {
    Record {
        time,
        frame: FRAME.to_vec(),
    }
}

/// That a run failed by itself, said every one of `words` in one line, and left `names` alone.
fn assert_refused(folder: &Path, finished: &Finished, words: &[&str], names: &[&str]) {
    assert_eq!(finished.status, Some(1), "{finished:?}");
    let told = finished
        .errors
        .lines()
        .find(|line| line.starts_with("error: "));
    let told = told.unwrap_or_else(|| panic!("no error in {finished:?}"));
    for word in words {
        assert!(told.contains(word), "no '{word}' in: {told}");
    }
    let mut left: Vec<String> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    left.sort();
    assert_eq!(left, names, "left behind");
}

fn make_pipe(folder: &Path, name: &str) {
    let made = Command::new("mkfifo").arg(folder.join(name)).status();
    assert!(made.expect("mkfifo starts").success());
}

#[test]
fn a_capture_without_frames_is_played() {
    assert_eq!(play(&pcap_header(0xa1b2_c3d4)), []);
}

#[test]
fn nanoseconds_are_kept() {
    assert_eq!(
        play(&capture_with(0xa1b2_3c4d, &[(5, 123_456_789)])),
        [at(5_123_456_789)]
    );
}

#[test]
fn a_pcapng_capture_is_played_at_its_times() {
    // A section, an Ethernet interface whose times are microseconds, a packet.
    let mut bytes = block(
        0x0a0d_0d0a,
        &[
            &0x1a2b_3c4d_u32.to_le_bytes()[..],
            &[1, 0, 0, 0],
            &[0xff; 8],
        ]
        .concat(),
    );
    bytes.extend(block(1, &[1, 0, 0, 0, 0, 0, 0, 0]));
    let packet = [0_u32, 0, 7_000_001, 60, 60].map(u32::to_le_bytes).concat();
    bytes.extend(block(6, &[packet, FRAME.to_vec()].concat()));
    assert_eq!(play(&bytes), [at(7_000_001_000)]);
}

#[test]
fn timestamps_in_any_order_are_kept() {
    let times = [
        (1_700_000_000, 0),
        (1_600_000_000, 1),
        (0, 0),
        (u32::MAX, 999_999),
        (1_700_000_000, 2),
    ];
    let expected = times
        .map(|(seconds, micros)| at(u64::from(seconds) * 1_000_000_000 + u64::from(micros) * 1000));
    assert_eq!(play(&capture(&times)), expected);
}

#[test]
fn thirty_quiet_years_are_crossed_at_once_by_whatever_keeps_time() {
    let input = capture(&[(1_000_000_000, 0), (1_000_000_000 + THIRTY_YEARS, 0)]);
    for (other, leaps) in [
        ("TimedSource(1) -> c :: Counter -> Discard;", 1),
        ("TimedSource(0.001) -> c :: Counter -> Discard;", 1),
        ("InfiniteSource -> c :: Counter -> Discard;", 0),
        ("Script(label again, wait 10ms, goto again);", 1),
        (
            "Idle -> IPRewriter(pattern - - - - 0 0, REAP_INTERVAL 1) -> Discard;",
            1,
        ),
    ] {
        let folder = folder(&format!("{PASS}\n{other}"), &input);
        let begun = Instant::now();
        let finished = run(folder.path(), &[&IN, &OUT]);
        assert!(finished.good, "{other}: {finished:?}");
        assert!(begun.elapsed() < Duration::from_secs(60), "{other}");
        assert_eq!(finished.json()["leaps"], leaps, "{other}");
        assert_eq!(read_capture(&folder.path().join("out.pcap")).len(), 2);
    }
}

#[test]
fn what_is_due_in_a_leap_is_done_before_the_next_frame() {
    // A timer that is set ten years ahead, behind one that expires each second.
    let configuration = "FromDevice(eth0) -> s :: Switch(0) -> Queue -> ToDevice(eth1);
        s[1] -> Discard;
        TimedSource(1) -> Discard;
        Script(wait 315360000s, write s.switch 1);";
    let folder = folder(
        configuration,
        &capture(&[(5, 0), (6, 0), (5 + THIRTY_YEARS, 0)]),
    );
    let finished = run(folder.path(), &[&IN, &OUT]);
    assert!(finished.good, "{finished:?}");
    let out = read_capture(&folder.path().join("out.pcap"));
    assert_eq!(out, [at(5_000_000_000), at(6_000_000_000)]);
}

#[test]
fn frames_that_are_never_taken_are_counted_and_end_the_run() {
    let configuration = "FromDevice(eth0, ACTIVE false) -> Queue -> ToDevice(eth1);";
    let folder = folder(configuration, &capture(&[(5, 0); 3000]));
    let report = run(folder.path(), &[&IN, &OUT]).json();
    assert_eq!(report["frames"]["received"], 3000);
    assert_eq!(report["frames"]["sent"], 0);
    assert_eq!(report["frames"]["dropped"], 3000);
    let cause = report["devices"][0]["dropped"][0]["cause"].as_str();
    assert!(
        cause.is_some_and(|cause| cause.contains("never took")),
        "{report}"
    );
}

#[test]
fn a_router_that_stops_by_itself_accounts_for_what_it_left() {
    let configuration = "FromDevice(eth0) -> c :: Counter -> Discard; Script(wait 1s, stop);";
    let folder = folder(configuration, &capture(&[(5, 0), (5, 1), (9, 0), (10, 0)]));
    let report = run(folder.path(), &[&IN]).json();
    let frames = &report["frames"];
    assert_eq!(
        (&frames["received"], &frames["ended"], &frames["dropped"]),
        (&4.into(), &2.into(), &2.into()),
        "{report}"
    );
}

#[test]
fn files_that_are_no_captures_are_called_what_they_are() {
    for (bytes, word) in [
        (&[][..], "empty"),
        (&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], "gunzip"),
        (&[0x28, 0xb5, 0x2f, 0xfd, 0, 0], "unzstd"),
        (b"\xfd7zXZ\0\0\0", "unxz"),
        (b"BZh91AY&SY", "bunzip2"),
        (b"plain text", "no pcap or pcapng"),
        (&[0xd4, 0xc3, 0xb2], "no pcap or pcapng"),
        (&[0xd4, 0xc3, 0xb2, 0xa1, 2], "in.pcap"),
    ] {
        let folder = folder(PASS, bytes);
        let finished = run(folder.path(), &[&IN, &OUT]);
        let names = ["a.click", "in.pcap"];
        assert_refused(folder.path(), &finished, &["in.pcap", word], &names);
    }
}

#[test]
fn the_null_device_is_an_empty_capture_file_and_takes_any_output() {
    let folder = folder(PASS, &capture(&[(5, 0)]));
    let finished = run(folder.path(), &[&["--in", "eth0=/dev/null"], &OUT]);
    let names = ["a.click", "in.pcap"];
    assert_refused(folder.path(), &finished, &["/dev/null", "empty"], &names);
    let report = run(folder.path(), &[&IN, &["--out", "eth1=/dev/null"]]).json();
    assert_eq!(report["frames"]["sent"], 1);
}

#[test]
fn a_pipe_is_read_as_it_is_written() {
    let folder = folder(PASS, &capture(&[(5, 0), (6, 0)]));
    make_pipe(folder.path(), "pipe");
    let copying = Command::new("cp")
        .args(["in.pcap", "pipe"])
        .current_dir(folder.path())
        .spawn();
    let finished = run(folder.path(), &[&["--in", "eth0=pipe"], &OUT]);
    assert!(finished.good, "{finished:?}");
    assert_eq!(read_capture(&folder.path().join("out.pcap")).len(), 2);
    assert!(
        copying
            .expect("cp starts")
            .wait()
            .expect("cp ends")
            .success()
    );
}

#[test]
fn an_output_that_is_an_input_or_another_output_is_refused() {
    let two =
        "FromDevice(eth0) -> t :: Tee -> Queue -> ToDevice(eth1); t[1] -> Queue -> ToDevice(eth2);";
    let folder = folder(two, &capture(&[(5, 0)]));
    std::os::unix::fs::symlink("in.pcap", folder.path().join("link.pcap")).expect("a link");
    let before = fs::read(folder.path().join("in.pcap")).expect("the capture");
    let names = ["a.click", "in.pcap", "link.pcap"];
    for (more, words) in [
        (
            &["--out", "eth1=in.pcap"][..],
            ["eth1=in.pcap", "--in eth0"],
        ),
        (
            &["--out", "eth1=link.pcap"],
            ["eth1=link.pcap", "--in eth0"],
        ),
        (
            &["--out", "eth1=o.pcap", "--out", "eth2=./o.pcap"],
            ["eth2=./o.pcap", "--out eth1"],
        ),
        (
            &["--out", "eth1=-", "--out", "eth2=-"],
            ["eth2=-", "--out eth1"],
        ),
        (
            &["--out", "eth1=o.pcap", "--file", "o.pcap:write"],
            ["--file o.pcap", "--out eth1"],
        ),
    ] {
        let finished = run(folder.path(), &[&IN, more]);
        assert_refused(folder.path(), &finished, &words, &names);
    }
    assert_eq!(
        fs::read(folder.path().join("in.pcap")).expect("the capture"),
        before
    );
}

#[test]
fn an_output_that_cannot_be_created_is_named() {
    let folder = folder(PASS, &capture(&[(5, 0)]));
    // Nobody, not even root, can create a file in /proc.
    for place in ["missing/out.pcap", "/proc/out.pcap", "."] {
        let out = format!("eth1={place}");
        let finished = run(folder.path(), &[&IN, &["--out", &out]]);
        let names = ["a.click", "in.pcap"];
        assert_refused(folder.path(), &finished, &["cannot write", place], &names);
    }
}

#[test]
fn a_full_disk_leaves_no_output_at_all() {
    let two =
        "FromDevice(eth0) -> t :: Tee -> Queue -> ToDevice(eth1); t[1] -> Queue -> ToDevice(eth2);";
    // More than is held back, so that it is noticed on the way; and less, so that it is at the end.
    for frames in [20_000, 1] {
        let folder = folder(two, &capture(&vec![(5, 0); frames]));
        let finished = run(folder.path(), &[&IN, &OUT, &["--out", "eth2=/dev/full"]]);
        let words = ["/dev/full", "No space left on device"];
        assert_refused(folder.path(), &finished, &words, &["a.click", "in.pcap"]);
    }
}

#[test]
fn an_interrupt_ends_a_run_that_has_no_end() {
    let folder = folder(PASS, &capture(&[(5, 0)]));
    for monitor in ["vm", "process"] {
        if monitor == "vm" && !has_kvm() {
            println!("skipped: needs KVM");
            continue;
        }
        let arguments = [
            "run",
            "a.click",
            "--in",
            "eth0=generate",
            "--monitor",
            monitor,
        ];
        let finished = interrupted_sprat(folder.path(), arguments.iter().chain(&OUT));
        let names = ["a.click", "in.pcap"];
        assert_refused(
            folder.path(),
            &finished,
            &["interrupted", "not written"],
            &names,
        );
        assert_eq!(finished.output, "");
    }
}

#[test]
fn an_interrupt_ends_the_wait_for_a_pipe() {
    let folder = folder(PASS, &capture(&[(5, 0)]));
    make_pipe(folder.path(), "pipe");
    let names = ["a.click", "in.pcap", "pipe"];
    let arguments = ["run", "a.click", "--in", "eth0=pipe"];
    let finished = interrupted_sprat(folder.path(), arguments.iter().chain(&OUT));
    assert_refused(folder.path(), &finished, &["interrupted"], &names);
    let arguments = ["run", "a.click", "--out", "eth1=pipe"];
    let finished = interrupted_sprat(folder.path(), arguments.iter().chain(&IN));
    assert_refused(folder.path(), &finished, &["interrupted"], &names);
    // One that is open and from which nothing comes.
    let mut holder = Command::new("sh")
        .args(["-c", "exec sleep 100 > pipe"])
        .current_dir(folder.path())
        .spawn()
        .expect("sh starts");
    let arguments = ["run", "a.click", "--in", "eth0=pipe"];
    let finished = interrupted_sprat(folder.path(), arguments.iter().chain(&OUT));
    holder.kill().expect("it runs");
    holder.wait().expect("it ends");
    assert_refused(folder.path(), &finished, &["interrupted"], &names);
}

#[test]
fn a_capture_is_played_as_fast_as_it_was_recorded_or_as_is_said() {
    let seconds = |times: &[(u32, u32)], more: &[&str]| {
        let folder = folder(PASS, &capture(times));
        let report = run(folder.path(), &[&IN, &["--out", "eth1=sink"], more]).json();
        assert_eq!(report["frames"]["sent"], times.len(), "{report}");
        report["seconds"].as_f64().expect("a number")
    };
    // Six tenths of a second, then what a run lingers.
    let short = [(1, 0), (1, 300_000), (1, 600_000)];
    let linger = ["--linger", "0.1"];
    let recorded = seconds(&short, &[&linger[..], &["--pace", "recorded"]].concat());
    assert!((0.6..10.0).contains(&recorded), "{recorded}");
    let long = [(1, 0), (1, 0), (THIRTY_YEARS, 0), (THIRTY_YEARS, 1)];
    let given = seconds(&long, &[&linger[..], &["--pace", "10"]].concat());
    assert!((0.3..10.0).contains(&given), "{given}");
    let generated = [
        "--in",
        "eth0=generate:count=11",
        "--pace",
        "20",
        "--out",
        "eth1=sink",
    ];
    let folder = folder(PASS, &[]);
    let report = run(folder.path(), &[&generated, &linger]).json();
    assert_eq!(report["frames"]["sent"], 11);
    assert!(report["seconds"].as_f64() >= Some(0.5), "{report}");

    for (more, expected) in [
        (
            &["--pace", "recorded", "--in", "eth0=generate"][..],
            "what is generated was not recorded: give frames in a second",
        ),
        (
            &["--pace", "10", "--in", "eth0=in.pcap", "--clock", "capture"],
            "frames come in the machine's time: leave --clock capture out",
        ),
        (
            &["--pace", "10", "--port", "eth0=user"],
            "it is for frames of --in, and there are none",
        ),
        (
            &["--pace", "fast"],
            "expected recorded, or frames in a second",
        ),
        (&["--pace", "0"], "expected recorded, or frames in a second"),
    ] {
        let refused = run(folder.path(), &[more]);
        assert!(
            !refused.good && refused.errors.contains(expected),
            "{refused:?}"
        );
    }
}
