//! The commands that README.md gives, so that they can be tried.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sh_blocks_hold_commands() {
        let text = "text\n```sh\ncargo run -- a   # why\n\n# alone\nls\n```\n```\nnot this\n```\n```text\nnor this\n```\n";
        assert_eq!(commands(text), ["cargo run -- a", "ls"]);
    }

    #[test]
    fn the_test_command_is_not_tried_from_within() {
        assert!(!can_be_tried("cargo xtask test"));
        assert!(can_be_tried("cargo run --release -- run examples/firewall"));
    }
}
