//! `sprat logs`: what an instance that runs wrote to its console.

use std::process::ExitCode;

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
}

/// Shows an instance's console, all that it holds and what comes, until the instance ends.
#[derive(Debug, clap::Args)]
#[command(after_help = "It has no keyboard: `sprat write` gives an instance something to do.")]
pub(crate) struct ConsoleCommand {
    /// The instance: its name, or the path of its control socket.
    instance: String,
}

impl ConsoleCommand {
    /// Runs the command.
    pub(crate) fn run(self) -> ExitCode {
        let logs = LogsCommand {
            instance: self.instance,
            follow: true,
            level: None,
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
        let wait = if self.follow { " wait" } else { "" };
        loop {
            let answer = client.read(CONSOLE, &format!("{offset}{wait}"))?;
            if answer == b"end\n" {
                return Ok(());
            }
            let (next, text) = piece(&answer)?;
            let is_read = output::print_foreign_on(&text).map_err(ClientError::Output)?;
            if !is_read || (text.is_empty() && !self.follow) {
                return Ok(());
            }
            offset = next;
        }
    }
}

/// Takes an answer apart: where what comes next begins, and the text.
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
