//! The commands that README.md gives, so that they can be tried.

use std::process::{Command, Stdio};

/// The lines of the fenced `sh` blocks, in order; comments and blank lines left out.
pub(crate) fn commands(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            inside = !inside && language.trim() == "sh";
        } else if inside {
            let command = line.split(" #").next().unwrap_or_default().trim();
            if !command.is_empty() && !command.starts_with('#') {
                found.push(command);
            }
        }
    }
    found
}

/// Whether a command can be tried from inside a test run: not the test run itself, and not
/// what fetches the sources that are already here.
pub(crate) fn can_be_tried(command: &str) -> bool {
    !command.starts_with("cargo xtask")
        && !command.starts_with("git clone")
        && !command.starts_with("cd ")
}

/// What gives a command a network of its own, as root and as anybody where the kernel lets them.
const ALONE: [&[&str]; 2] = [
    &["--net"],
    &["--user", "--map-current-user", "--keep-caps", "--net"],
];

/// A shell for a command, in a network of its own where this machine has such: the ports that it
/// publishes may be taken in ours.
pub(crate) fn shell(command: &str) -> Command {
    for flags in ALONE {
        let mut alone = Command::new("unshare");
        alone.args(flags).args(["sh", "-euc"]);
        let mut trial = Command::new("unshare");
        trial.args(flags).args(["ip", "link", "set", "lo", "up"]);
        trial.stdout(Stdio::null()).stderr(Stdio::null());
        if trial.status().is_ok_and(|status| status.success()) {
            alone.arg(format!("ip link set lo up; {command}"));
            return alone;
        }
    }
    let mut shell = Command::new("sh");
    shell.args(["-euc", command]);
    shell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sh_blocks_hold_commands() {
        let text = "text\n```sh\ncargo run -- a   # why\n\n# alone\nls\n```\n```\nnot this\n```\n```text\nnor this\n```\n";
        assert_eq!(commands(text), ["cargo run -- a", "ls"]);
    }

    #[test]
    fn a_command_has_the_network_to_itself() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        // Who listens is in the first line after the head of this table.
        let output = shell("wc -l < /proc/net/tcp; echo said").output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && said.ends_with("said\n"),
            "{said}"
        );
        if shell("").get_program() != "unshare" {
            println!("skipped: needs namespaces");
            return;
        }
        assert_eq!(said, "1\nsaid\n", "{port}");
    }

    #[test]
    fn the_test_command_is_not_tried_from_within() {
        assert!(!can_be_tried("cargo xtask test"));
        assert!(can_be_tried("cargo run --release -- run examples/firewall"));
    }
}
