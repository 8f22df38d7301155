//! `sprat events`: what happens, as it happens.

use std::process::ExitCode;

use sprat_host::client::{self, ClientError};
use sprat_host::protocol::{Event, Happening};

use super::{FolderArguments, complain_of};
use crate::output::{self, complain};

/// Prints what happens to lanes, instances and ports, from now on until Ctrl-C
#[derive(Debug, clap::Args)]
pub(crate) struct EventsCommand {
    /// Prints JSON, a line for each.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

impl EventsCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let mut rest = Vec::new();
        let mut is_read = true;
        let heard = client::stream(&self.folders.asked(), "/v1/events", &mut |piece| {
            rest.extend_from_slice(piece);
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                is_read = is_read && self.print(&String::from_utf8_lossy(&line))?;
            }
            Ok(is_read)
        });
        match heard {
            Ok(()) if !is_read => ExitCode::SUCCESS,
            Ok(()) | Err(ClientError::Connection(_)) => {
                complain!("error: the daemon has ended");
                ExitCode::FAILURE
            }
            Err(ClientError::Output(error)) => {
                complain!("error: standard output: {error}");
                ExitCode::FAILURE
            }
            Err(error) => {
                complain_of(&error);
                ExitCode::FAILURE
            }
        }
    }

    /// Prints an event; whether somebody still reads.
    fn print(&self, line: &str) -> std::io::Result<bool> {
        if self.json {
            return output::print_on(line);
        }
        match serde_json::from_str(line) {
            Ok(happening) => output::print_on(&text(&happening)),
            // Of a newer daemon.
            Err(_) => output::print_on(line),
        }
    }
}

/// An event as people read it, after the time of day (UTC).
fn text(happening: &Happening) -> String {
    let seconds = happening.at / 1000;
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let what = match &happening.what {
        Event::Instance {
            instance,
            state,
            restarts,
            ..
        } => match restarts {
            0 => format!("{instance} {}", state.word()),
            1 => format!("{instance} {}, replaced once", state.word()),
            times => format!("{instance} {}, replaced {times} times", state.word()),
        },
        Event::Died {
            instance,
            how,
            report,
            ..
        } => format!("{instance} {how} ({report})"),
        Event::PortFailed { port, error, .. } => format!("port {port} failed: {error}"),
        Event::PortBack { port } => format!("port {port} is back"),
        Event::LaneStarted => "lane started".into(),
        Event::LaneEnded {
            out_of_memory: false,
        } => "lane ended".into(),
        Event::LaneEnded {
            out_of_memory: true,
        } => "lane ended: its tenant was out of memory".into(),
        Event::Declared { changes } => format!("declared: {}", changes.join(", ")),
    };
    let tenant = happening.tenant.as_deref().unwrap_or("-");
    format!("{hour:02}:{minute:02}:{second:02} {tenant} {what}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_understood() {
        let happening = Happening {
            at: 1_700_000_000_000,
            tenant: Some("acme".into()),
            what: Event::Died {
                instance: "fw".into(),
                at: 1_699_999_999_999,
                how: "exited with status 3".into(),
                report: "crashes/fw".into(),
            },
        };
        let sent = serde_json::to_string(&happening).expect("JSON");
        let understood: Happening = serde_json::from_str(&sent).expect("understood");
        assert_eq!(understood, happening);
        let expected = "22:13:20 acme fw exited with status 3 (crashes/fw)\n";
        assert_eq!(text(&understood), expected);
    }

    #[test]
    fn an_event_is_a_line() {
        let happening = Happening {
            at: (23 * 3600 + 59 * 60 + 7) * 1000,
            tenant: Some("default".into()),
            what: Event::PortBack { port: "wan".into() },
        };
        assert_eq!(text(&happening), "23:59:07 default port wan is back\n");
    }
}
