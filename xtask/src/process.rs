//! Starts programs and shows what they do.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A `cargo` command in the workspace's folder, by the cargo that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(arguments)
        .current_dir(crate::root())
        .env("CARGO_TERM_COLOR", "never");
    // Set by the `cargo run` that started us; they would leak into builds and tests.
    for name in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
        "CARGO_PKG_VERSION",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs a command with its output on screen; true when it ended well.
///
/// # Errors
/// The program cannot be started.
pub(crate) fn show(command: &mut Command) -> std::io::Result<bool> {
    println!("    {}", describe(command));
    Ok(command.status()?.success())
}

/// Runs a command, giving each line of its standard output to `line`; its standard error goes
/// straight to the screen. True when it ended well and within `limit`.
///
/// # Errors
/// The program cannot be started.
pub(crate) fn lines(
    command: &mut Command,
    limit: Duration,
    mut line: impl FnMut(&str),
) -> std::io::Result<bool> {
    println!("    {}", describe(command));
    let end = Instant::now() + limit;
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let Some(output) = child.stdout.take() else {
        return Ok(child.wait()?.success());
    };
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        // Tests may print bytes that are not UTF-8.
        while output
            .read_until(b'\n', &mut bytes)
            .is_ok_and(|length| length > 0)
        {
            let text = String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\n', '\r'])
                .to_owned();
            bytes.clear();
            if sender.send(text).is_err() {
                break;
            }
        }
    });
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(text) => line(&text),
            Err(RecvTimeoutError::Disconnected) => return Ok(child.wait()?.success()),
            Err(RecvTimeoutError::Timeout) => {
                println!("    no end after {} minutes", limit.as_secs() / 60);
                child.kill()?;
                child.wait()?;
                return Ok(false);
            }
        }
    }
}

/// The command as one would type it.
fn describe(command: &Command) -> String {
    let mut words = vec![
        std::path::Path::new(command.get_program())
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
    ];
    words.extend(
        command
            .get_args()
            .map(|word| word.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_arrive_in_order_and_the_status_is_kept() {
        let mut seen = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two; exit 3"]);
        let good = lines(&mut command, Duration::from_secs(20), |line| {
            seen.push(line.to_owned())
        })
        .unwrap();
        assert_eq!(seen, ["one", "two"]);
        assert!(!good);
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("60");
        let begun = Instant::now();
        assert!(!lines(&mut command, Duration::from_millis(50), |_| {}).unwrap());
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
