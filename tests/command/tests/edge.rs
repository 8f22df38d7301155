//! `examples/edge`, as its README.md says: every command of it, in a shell.

use std::process::Command;

use end_to_end::{binary, project};

/// The commands of all `sh` blocks, as they stand there.
fn commands(text: &str) -> String {
    let mut commands = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside {
            commands.push_str(line);
            commands.push('\n');
        }
    }
    commands
}

#[test]
fn the_walk_through_of_examples_edge_goes_as_it_is_written() {
    let permitted = Command::new("unshare")
        .args(["--net", "--mount", "true"])
        .output();
    if !permitted.is_ok_and(|output| output.status.success()) {
        println!("skipped: needs root");
        return;
    }
    let readme = project().join("examples/edge/README.md");
    let readme = std::fs::read_to_string(readme).expect("a walk-through");
    let state = tempfile::tempdir().expect("a folder");
    let copy = tempfile::tempdir().expect("a folder");
    // The walk-through writes beside the files it begins with.
    let copied = Command::new("cp")
        .arg("-r")
        .arg(project().join("examples"))
        .arg(copy.path())
        .status();
    assert!(copied.expect("cp starts").success());
    let folder = binary().parent().expect("it is in a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    // Namespaces that are named here are named nowhere else, and all of it ends with the shell.
    let script = format!(
        "set -eu\nmount -t tmpfs none /run\nip link set lo up\n{}",
        commands(&readme)
    );
    let done = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child",
        ])
        .args(["bash", "-c", &script])
        .current_dir(copy.path())
        .env("PATH", format!("{folder}:{path}"))
        .env("XDG_RUNTIME_DIR", state.path())
        .env("XDG_STATE_HOME", state.path())
        .output()
        .expect("unshare starts");
    let (said, errors) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    assert!(done.status.success(), "{said}{errors}");

    let count = |line: &str| said.lines().filter(|found| *found == line).count();
    // Two pages that were asked for one after the other, and one in the end.
    let pages = [count("server 11"), count("server 12")];
    assert!(pages.iter().all(|count| *count >= 1), "{said}{errors}");
    assert_eq!(pages.iter().sum::<usize>(), 3, "{said}{errors}");
    // What `cksum` says of the lines 1 to 5000000 (POSIX).
    let sum = String::from_utf8(
        Command::new("sh")
            .args(["-c", "seq 5000000 | cksum"])
            .output()
            .expect("sh starts")
            .stdout,
    );
    let sum = sum.expect("text");
    assert_eq!(count(sum.trim()), 2, "{said}{errors}");
    assert_eq!(count("500"), 1, "the new NAT runs: {said}{errors}");
    // What `uniq -c` counted of those who answered while all this went on.
    let answered = |by: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_suffix(by));
        line.map_or(0, |number| number.trim().parse::<u32>().unwrap_or(0))
    };
    let [one, other, none] = [" server 11", " server 12", " no answer"].map(answered);
    assert!(one > 0 && other > 0, "{said}{errors}");
    // Those that were under way when all ended at once; each that is not answered takes five seconds.
    assert!(none <= 10, "{said}{errors}");
}
