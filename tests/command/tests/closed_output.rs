//! Whoever reads what the command says may stop, as `head` does: then it ends quietly.

use end_to_end::{Finished, unread_sprat};
use std::fs;

const PASS: &str = "FromDevice(eth0) -> c :: Counter -> Queue -> ToDevice(eth1);";
const RUN: [&str; 4] = ["run", "a.click", "--in", "eth0=generate:count=100000"];

fn unread(arguments: &[&str]) -> Finished {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("a.click"), PASS).expect("a file");
    unread_sprat(folder.path(), arguments)
}

#[test]
fn whatever_is_printed_may_go_unread() {
    let run = |more: &[&'static str]| [&RUN[..], more].concat();
    let cases = [
        run(&["--out", "eth1=sink"]),
        run(&["--out", "eth1=sink", "--json"]),
        vec!["doctor"],
        vec!["doctor", "--json"],
        vec!["inspect"],
        vec!["inspect", "--json"],
        vec!["size"],
        vec!["why", "hashbrown"],
        vec![
            "click",
            "-e",
            "c :: Counter -> Discard; Idle -> c;",
            "-q",
            "-h",
            "c.count",
        ],
        vec!["click", "-e", "Idle -> Discard;", "--dump", "flat", "-q"],
        vec!["run", "--help"],
        vec!["--version"],
    ];
    for arguments in cases {
        let finished = unread(&arguments);
        assert_eq!(finished.status, Some(0), "{arguments:?}: {finished:?}");
        assert_eq!(finished.errors, "", "{arguments:?}");
    }
}

#[test]
fn a_capture_that_nobody_reads_on_ends_the_run_without_a_word() {
    let arguments = [&RUN[..], &["--out", "eth1=-"]].concat();
    let finished = unread(&arguments);
    assert_eq!(finished.status, Some(1), "{finished:?}");
    assert_eq!(finished.errors, "");
}
