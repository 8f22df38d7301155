//! What is wrong is named, the exit status says so, and nothing half done is left behind.

use end_to_end::{Finished, sprat};
use std::fs;
use std::path::Path;

const PASS: &str = "FromDevice(eth0) -> Queue -> ToDevice(eth1);";

/// A capture with one frame.
fn capture(frame: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    let length = u32::try_from(frame.len())
        .expect("a short frame")
        .to_le_bytes();
    bytes.extend([1_u32.to_le_bytes(), 2_u32.to_le_bytes(), length, length].concat());
    bytes.extend(frame);
    bytes
}

/// Runs a configuration over `in.pcap` in a folder that holds nothing else.
fn run(configuration: &str, input: &[u8], more: &[&str]) -> (Finished, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("a.click"), configuration).expect("a file");
    fs::write(folder.path().join("in.pcap"), input).expect("a file");
    let arguments = [
        "run",
        "a.click",
        "--in",
        "eth0=in.pcap",
        "--out",
        "eth1=out.pcap",
    ];
    let finished = sprat(folder.path(), arguments.iter().chain(more));
    (finished, folder)
}

/// That a run failed, said every one of `words`, and left only what was there before.
fn assert_refused((finished, folder): (Finished, tempfile::TempDir), words: &[&str]) {
    assert!(!finished.good, "{finished:?}");
    assert!(
        finished
            .status
            .is_some_and(|status| status != 124 && status != 101),
        "{finished:?}"
    );
    for word in words {
        assert!(
            finished.errors.contains(word),
            "no '{word}' in:\n{}",
            finished.errors
        );
    }
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["a.click", "in.pcap"], "left behind");
}

#[test]
fn a_good_run_writes_its_output() {
    let frame = [7; 60];
    let (finished, folder) = run(PASS, &capture(&frame), &[]);
    assert!(finished.good, "{finished:?}");
    let out = end_to_end::read_capture(&folder.path().join("out.pcap"));
    assert_eq!(
        out,
        [end_to_end::Record {
            time: 1_000_002_000,
            frame: frame.to_vec()
        }]
    );
}

#[test]
fn a_configuration_that_does_not_parse_is_refused_with_file_and_line() {
    assert_refused(
        run(
            "FromDevice(eth0) ->\n-> ToDevice(eth1);",
            &capture(&[7; 60]),
            &[],
        ),
        &["a.click", "2"],
    );
}

#[test]
fn a_class_that_does_not_exist_is_named() {
    assert_refused(
        run(
            "FromDevice(eth0) -> NoSuchThing -> Discard;",
            &capture(&[7; 60]),
            &[],
        ),
        &["NoSuchThing"],
    );
}

#[test]
fn an_argument_that_is_wrong_is_named() {
    assert_refused(
        run(
            "FromDevice(eth0) -> Queue(many) -> ToDevice(eth1);",
            &capture(&[7; 60]),
            &[],
        ),
        &["CAPACITY"],
    );
}

#[test]
fn a_variable_that_is_not_set_is_named_with_how_to_set_it() {
    let configuration = "FromDevice(eth0) -> Queue($N) -> ToDevice(eth1);";
    let frame = capture(&[7; 60]);
    assert_refused(
        run(configuration, &frame, &[]),
        &[
            "  CAPACITY: invalid number\n",
            "  help: $N is not set: --param N=...",
        ],
    );
    let (finished, _folder) = run(configuration, &frame, &["--param", "N=5"]);
    assert!(finished.good, "{finished:?}");
}

#[test]
fn an_address_that_a_sealed_instance_does_not_know_is_named_with_what_to_write() {
    assert_refused(
        run(
            "FromDevice(eth0) -> IPEncap(udp, eth0:ip, 1.0.0.1) -> ToDevice(eth1);",
            &capture(&[7; 60]),
            &[],
        ),
        &[
            "SRC: parse error",
            "help: eth0:ip is not known",
            "AddressInfo(eth0 ",
        ],
    );
    assert_refused(
        run(
            "FromDevice(eth0) -> ARPResponder(eth0) -> ToDevice(eth1);",
            &capture(&[7; 60]),
            &[],
        ),
        &["help: eth0 is not known", "AddressInfo(eth0 "],
    );
}

#[test]
fn what_only_plain_routers_have_is_named_with_what_sealed_ones_have() {
    assert_refused(
        run(
            "ControlSocket(TCP, 7777); FromDevice(eth0) -> ToDevice(eth1);",
            &capture(&[7; 60]),
            &[],
        ),
        &["ControlSocket@1 has nothing to listen on", "`sprat read`"],
    );
}

#[test]
fn variables_stand_behind_the_program_as_behind_click() {
    let configuration = "FromDevice(eth0) -> Queue($N) -> ToDevice(eth1);";
    let frame = capture(&[7; 60]);
    let (finished, _folder) = run(configuration, &frame, &["N=5"]);
    assert!(finished.good, "{finished:?}");
    let (twice, _folder) = run(configuration, &frame, &["N=5", "--param", "N=6"]);
    assert!(!twice.good, "{twice:?}");
    let (nothing, _folder) = run(configuration, &frame, &["other.click"]);
    assert!(
        nothing.errors.contains("NAME=VALUE for a variable"),
        "{nothing:?}"
    );
}

#[test]
fn a_file_that_is_no_capture_is_refused_by_name() {
    assert_refused(
        run(
            PASS,
            b"this is no capture at all, but it is long enough",
            &[],
        ),
        &["in.pcap"],
    );
}

#[test]
fn a_capture_of_another_link_type_is_refused_by_name() {
    let mut wifi = capture(&[7; 60]);
    wifi[20] = 105;
    assert_refused(run(PASS, &wifi, &[]), &["in.pcap"]);
}

#[test]
fn a_capture_that_is_cut_short_is_refused_by_name() {
    let whole = capture(&[7; 60]);
    assert_refused(run(PASS, &whole[..whole.len() - 9], &[]), &["in.pcap"]);
}

#[test]
fn a_device_that_the_configuration_does_not_have_is_named() {
    assert_refused(
        run(PASS, &capture(&[7; 60]), &["--in", "eth7=in.pcap"]),
        &["eth7"],
    );
}

#[test]
fn an_unknown_monitor_is_refused() {
    assert_refused(
        run(PASS, &capture(&[7; 60]), &["--monitor", "xen"]),
        &["xen"],
    );
}

#[test]
fn a_file_that_was_not_granted_is_refused_by_name() {
    let configuration = "FromDevice(eth0) -> ToDump(secret.pcap); Idle -> ToDevice(eth1);";
    assert_refused(
        run(configuration, &capture(&[7; 60]), &[]),
        &["secret.pcap"],
    );
}

#[test]
fn a_configuration_that_is_missing_is_named() {
    let finished = sprat(Path::new("/"), ["run", "/no/such/file.click"]);
    assert!(!finished.good);
    assert!(
        finished.errors.contains("/no/such/file.click"),
        "{}",
        finished.errors
    );
}

/// Click's driver ends with 1 where its own options are wrong; other commands follow getopt's habit.
#[test]
fn an_option_that_there_is_not_is_named_with_the_exit_status_of_click() {
    for (command, status) in [("click", 1), ("run", 2)] {
        let finished = sprat(Path::new("/"), [command, "--no-such-option"]);
        assert_eq!(finished.status, Some(status), "{finished:?}");
        assert!(finished.errors.contains("--no-such-option"), "{finished:?}");
    }
    assert!(sprat(Path::new("/"), ["click", "--help"]).good);
}

#[test]
fn what_is_said_twice_is_refused() {
    let refused = |more: &[&str], words: &[&str]| {
        assert_refused(run(PASS, &capture(&[7; 60]), more), words);
    };
    let twice = "eth0 was given before: --in eth0=in.pcap";
    refused(&["--in", "eth0=other.pcap"], &[twice]);
    let twice = "eth1 was given before: --out eth1=out.pcap";
    refused(&["--out", "eth1=other.pcap"], &[twice]);
    refused(
        &["--param", "a=1", "--param", "a=2"],
        &["--param a=2", "a was given before: --param a=1"],
    );
}

#[test]
fn a_folder_is_no_file() {
    let refused = |more: &[&str], words: &[&str]| {
        assert_refused(run(PASS, &capture(&[7; 60]), more), words);
    };
    refused(&["--file", "."], &["the file .: is a directory"]);
    refused(&["--file", ".:write"], &["the file .: is a directory"]);
    refused(
        &["--file", "missing/a.pcap:write"],
        &["the file missing/a.pcap", "No such file"],
    );
    refused(&["--file", ":write"], &["--file :write", "FILE:write"]);
}

#[test]
fn a_batch_holds_a_frame() {
    assert_refused(
        run(PASS, &capture(&[7; 60]), &["--batch", "0"]),
        &["--batch", "1.."],
    );
}
