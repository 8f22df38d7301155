//! A disk that is full.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use end_to_end::{Host, in_namespaces};

use crate::load::{self, Load, PASS, assert_whole};

/// A small file system of its own.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let size = format!("size={size},mode=0700");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "none"])
            .arg(folder.path())
            .status();
        assert!(mounted.expect("mount starts").success());
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to the last block; what is to be removed to have room again.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filling");
        let mut file = File::create(&path).expect("a file");
        while file.write(&[7; 4096]).is_ok_and(|count| count > 0) {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also when somebody still has something open there.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// A chain, and a function beside it whose configuration is so long that keeping it takes room.
fn declared(limit: u32) -> String {
    let [ports, chain] = load::chain("a", "default");
    format!(
        "[ports]\n{ports}{chain}
        [functions.two]
        run = 'long.click'
        devices = []
        carry-state = false
        parameters = {{ LIMIT = {limit} }}
        "
    )
}

#[test]
fn a_full_disk_costs_what_was_to_be_written_and_nothing_else() {
    let test = "disk::a_full_disk_costs_what_was_to_be_written_and_nothing_else";
    if !in_namespaces(test, &["--net", "--mount"]) {
        return;
    }
    let ends = load::wire("a");
    let disk = Disk::new("64M");
    let mut host = Host::keeping(&declared(7), disk.path());
    let path = host.path().to_owned();
    let long = |length: usize| {
        let source = "InfiniteSource(LIMIT $LIMIT) -> c :: Counter -> Discard;";
        let text = format!("{source}\n// {}\n", "-".repeat(length));
        fs::write(path.join("long.click"), text).expect("written");
    };
    let counts = |host: &Host, limit: &str| {
        host.until(|| {
            let count = host.run(&["read", "two", "c.count"]).output;
            (count == format!("{limit}\n")).then_some(())
        });
    };
    fs::write(path.join("pass.click"), PASS).expect("written");
    long(10);
    host.good(&["up", "edge.toml"]);
    host.wait("a", "running");
    counts(&host, "7");
    let lane = host.lane("default");
    let load = Load::start(&[ends]);

    // What cannot be kept is not done: twice, for the second one finds what the first one left.
    let filling = disk.fill();
    long(4 << 20);
    for _ in 0..2 {
        fs::write(path.join("edge.toml"), declared(9)).expect("written");
        let refused = host.run(&["up", "edge.toml"]);
        assert!(!refused.good, "{}", refused.output);
        let errors = &refused.errors;
        assert!(errors.starts_with("error: the store "), "{errors}");
        assert!(errors.contains("No space left on device"), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        counts(&host, "7");
    }
    // What ends is replaced, and no half of a report is left.
    let restarts = |host: &Host| host.instance("two").expect("declared")["restarts"].as_u64();
    let before = restarts(&host);
    host.good(&["kill", "two"]);
    host.until(|| (restarts(&host) > before).then_some(()));
    counts(&host, "7");
    for report in fs::read_dir(disk.path().join("crashes")).expect("there") {
        let report = report.expect("an entry");
        assert!(report.metadata().expect("there").len() > 0, "{report:?}");
    }
    // Who records there is told so.
    let file = disk.path().join("a.pcap");
    let file = file.to_str().expect("a plain name");
    let recorded = host.run(&["capture", "a:eth0", "-c", "100000", "-w", file]);
    assert!(!recorded.good);
    let expected = format!("error: {file}: No space left on device (os error 28)\n");
    assert_eq!(recorded.errors, expected);

    // As soon as there is room, all is as ever, and kept.
    fs::remove_file(filling).expect("removed");
    assert_eq!(host.good(&["up", "edge.toml"]), "~ two\n");
    counts(&host, "9");
    host.kill_daemon();
    host.begin();
    host.wait("two", "running");
    assert_eq!(host.good(&["up", "edge.toml"]), "nothing to change\n");
    assert_eq!(host.lane("default"), lane, "nobody ended it");
    assert_whole(&host, "default", "a", &load.end()[0]);
}
