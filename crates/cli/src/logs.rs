//! `sprat logs`: what an instance that runs wrote to its console.

use std::process::ExitCode;

use serde_json::json;

use crate::control::{CONSOLE, Client, ClientError, with_instance};
use crate::output;

/// Prints what an instance that runs has logged, and with --follow what it goes on to log.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat logs fw\n  \
    sprat logs --follow --level warn,web=debug web")]
pub(crate) struct LogsCommand {
    /// The instance: its name, or the path of its control socket.
    instance: String,
    /// Goes on until the instance ends.
    #[arg(short, long)]
    follow: bool,
    /// How much a service logs from now on: off, error, warn, info, debug or trace, and with a
    /// comma between, MODULE=LEVEL for modules apart.
    #[arg(long)]
    level: Option<String>,
    /// Prints JSON, an object for each line.
    #[arg(long)]
    json: bool,
}

/// Shows an instance's console, all that it holds and what comes, until the instance ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "It has no keyboard: `sprat write` gives an instance something to do.")]
pub(crate) struct ConsoleCommand {
    /// The instance: its name, or the path of its control socket.
    instance: String,
    /// Prints JSON, an object for each line.
    #[arg(long)]
    json: bool,
}

impl ConsoleCommand {
    /// Runs the command.
    pub(crate) fn run(self) -> ExitCode {
        let logs = LogsCommand {
            instance: self.instance,
            follow: true,
            level: None,
            json: self.json,
        };
        logs.run()
    }
}

impl LogsCommand {
    /// Runs the command.
    pub(crate) fn run(&self) -> ExitCode {
        with_instance(&self.instance, |client| {
            if let Some(level) = &self.level {
                client.write("os.log", level)?;
            }
            match self.print(client) {
                // That is how following ends.
                Err(ClientError::Ended) if self.follow => Ok(()),
                other => other,
            }
        })
    }

    fn print(&self, client: &mut Client) -> Result<(), ClientError> {
        let mut offset = 0;
        let mut lines = Lines::default();
        let wait = if self.follow { " wait" } else { "" };
        loop {
            let answer = client.read(CONSOLE, &format!("{offset}{wait}"))?;
            let ended = answer == b"end\n";
            let (next, text) = match ended {
                true => (offset, Vec::new()),
                false => piece(&answer)?,
            };
            let last = ended || (text.is_empty() && !self.follow);
            let printed = match self.json {
                true => output::print_on(&lines.take(&self.instance, &text, last)),
                false => output::print_foreign_on(&text),
            };
            if last || !printed.map_err(ClientError::Output)? {
                return Ok(());
            }
            offset = next;
        }
    }
}

/// Takes an answer apart: where what comes next begins, and the text.
/// The lines of a text that comes in pieces.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// Those that are whole now as JSON, and where this is the `last` piece what is left.
    fn take(&mut self, instance: &str, piece: &[u8], last: bool) -> String {
        self.0.extend_from_slice(piece);
        if last && self.0.last().is_some_and(|byte| *byte != b'\n') {
            self.0.push(b'\n');
        }
        let end = self.0.iter().rposition(|byte| *byte == b'\n');
        let whole: Vec<u8> = self.0.drain(..end.map_or(0, |end| end + 1)).collect();
        let lines = whole.split_inclusive(|byte| *byte == b'\n');
        let told = lines.map(|line| {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end_matches('\n');
            format!("{}\n", json!({ "instance": instance, "line": line }))
        });
        told.collect()
    }
}

fn piece(answer: &[u8]) -> Result<(u64, Vec<u8>), ClientError> {
    let mut lines = answer.splitn(2, |byte| *byte == b'\n');
    let next = lines.next().and_then(|line| str::from_utf8(line).ok());
    match (next.and_then(|line| line.parse().ok()), lines.next()) {
        (Some(next), Some(text)) => Ok((next, text.to_vec())),
        _ => Err(ClientError::Nonsense(
            String::from_utf8_lossy(answer).chars().take(80).collect(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_however_their_text_comes() {
        let mut lines = Lines::default();
        let mut told = String::new();
        for piece in ["on", "e\ntw", "o\n\n", "thr"] {
            told += &lines.take("fw", piece.as_bytes(), false);
        }
        told += &lines.take("fw", b"ee", true);
        told += &lines.take("fw", b"", true);
        let expected: String = ["one", "two", "", "three"]
            .map(|line| format!("{{\"instance\":\"fw\",\"line\":\"{line}\"}}\n"))
            .concat();
        assert_eq!(told, expected);
    }
}
