//! The daemon as a service of the machine.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use end_to_end::{Host, binary, project, sprat};

/// The file that systemd reads.
fn unit() -> std::path::PathBuf {
    project().join("dist/systemd/sprat.service")
}

/// The value of a key of the file.
fn value(key: &str) -> String {
    let text = fs::read_to_string(unit()).expect("readable");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {key}")).into()
}

#[test]
fn the_unit_starts_the_daemon_with_flags_that_it_has() {
    let start = value("ExecStart");
    let words: Vec<&str> = start.split(' ').collect();
    let [program, subcommand, flags @ ..] = &words[..] else {
        panic!("{start}")
    };
    assert_eq!((*program, *subcommand), ("/usr/bin/sprat", "daemon"));
    let folder = tempfile::tempdir().expect("a folder");
    let help = sprat(folder.path(), ["daemon", "--help"]);
    assert!(help.good, "{}", help.errors);
    let flags: Vec<_> = flags.iter().filter(|word| word.starts_with('-')).collect();
    assert!(!flags.is_empty());
    for flag in flags {
        let own = |line: &str| line.trim_start().starts_with(&format!("{flag} "));
        assert!(help.output.lines().any(own), "{flag}: {}", help.output);
    }

    // What it declares for itself leads to the folders where `sprat` looks for it.
    let environment = value("Environment");
    assert_eq!(environment, "XDG_RUNTIME_DIR=/run XDG_STATE_HOME=/var/lib");
    assert_eq!(value("KillMode"), "process", "lanes outlive the daemon");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let present = Command::new("systemd-analyze").arg("--version").output();
    if !present.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs systemd-analyze");
        return;
    }
    // It looks whether the program is there, which is installed nowhere here.
    let folder = tempfile::tempdir().expect("a folder");
    let text = fs::read_to_string(unit()).expect("readable");
    let here = binary().display().to_string();
    let copy = folder.path().join("sprat.service");
    fs::write(&copy, text.replace("/usr/bin/sprat", &here)).expect("written");
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&copy)
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    let about: Vec<&str> = said.lines().filter(|line| line.contains("sprat")).collect();
    assert!(about.is_empty(), "{said}");
}

#[test]
fn members_of_a_group_may_ask_the_daemon_and_reach_nothing_else() {
    let groups = fs::read_to_string("/etc/group").expect("groups");
    let own = fs::metadata("/proc/self").expect("there");
    // Any group of which this user may give its files to: root any, others their own.
    let wanted = |number: u32| match own.uid() {
        0 => number != 0,
        _ => number == own.gid(),
    };
    let found = groups.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let number = fields.get(2)?.parse().ok()?;
        wanted(number).then(|| (fields[0].to_string(), number))
    });
    let Some((name, number)) = found else {
        println!("skipped: needs a group of this user's in /etc/group");
        return;
    };
    let host = Host::of_group("", &name);
    let run = host.path().join("sprat");
    let seen = |path: &std::path::Path| {
        let found = fs::metadata(path).expect("there");
        (found.mode() & 0o777, found.gid())
    };
    assert_eq!(seen(&run), (0o710, number));
    assert_eq!(seen(&run.join("daemon.socket")), (0o660, number));
    let private = seen(&run.join("lanes"));
    assert_eq!(private.0, 0o700, "lanes are the owner's");
    assert_eq!(seen(&host.path().join("state")).0, 0o700);

    let folder = tempfile::tempdir().expect("a folder");
    let refused = sprat(folder.path(), ["daemon", "--group", "no-such-group"]);
    assert!(!refused.good);
    assert!(
        refused
            .errors
            .starts_with("error: --group: no group no-such-group in /etc/group"),
        "{}",
        refused.errors
    );
}
