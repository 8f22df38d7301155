//! `sprat ps`: what runs.

use std::process::ExitCode;

use serde_json::Value;
use sprat_host::protocol::{InstanceStatus, Lanes, Status, TenantLane};

use super::port::ports_of;
use super::{FolderArguments, complain_of};
use crate::output::{self, complain, table};

/// Shows the instances of what was declared
#[derive(Debug, clap::Args)]
pub(crate) struct PsCommand {
    /// Shows ports too, with what was dropped there and why
    #[arg(long)]
    ports: bool,
    /// Prints everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

impl PsCommand {
    pub(crate) fn run(&self) -> ExitCode {
        // As JSON, also what a newer daemon has to say.
        let text = if self.json {
            let value = self.folders.get("/v1/status");
            value
                .map(|value: Value| serde_json::to_string_pretty(&value).unwrap_or_default() + "\n")
        } else {
            let lanes = self.folders.get("/v1/status");
            lanes.map(|lanes| self.text(&lanes))
        };
        let text = match text {
            Ok(text) => text,
            Err(error) => {
                complain_of(&error);
                return ExitCode::FAILURE;
            }
        };
        match output::print(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain!("error: standard output: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn text(&self, lanes: &Lanes) -> String {
        for lane in &lanes.lanes {
            if let Some(error) = &lane.error {
                complain!("warning: {error}");
            }
        }
        let states = |lane: &'_ TenantLane| -> Vec<Vec<String>> {
            let of_status = |status: &Status| -> Vec<Vec<String>> {
                let instances = status.instances.iter();
                instances
                    .map(|instance| instance_row(&lane.tenant, status.pid, instance))
                    .collect()
            };
            lane.status.iter().flat_map(of_status).collect()
        };
        let rows = lanes.lanes.iter().flat_map(states);
        let mut text = table(
            &[
                "INSTANCE", "TENANT", "PROCESS", "STATE", "FOR", "RESTARTS", "RECEIVED", "SENT",
                "DROPPED", "LAST END",
            ],
            &[2, 4, 5, 6, 7, 8],
            rows,
        );
        if self.ports {
            text.push('\n');
            text.push_str(&ports_of(lanes));
        }
        text
    }
}

/// What is shown of an instance, which `process` holds.
fn instance_row(tenant: &str, process: u32, instance: &InstanceStatus) -> Vec<String> {
    vec![
        instance.name.clone(),
        tenant.into(),
        process.to_string(),
        instance.state.word().into(),
        duration(instance.milliseconds),
        instance.restarts.to_string(),
        instance.received.to_string(),
        instance.sent.to_string(),
        instance.dropped.to_string(),
        instance.last_end.clone().unwrap_or_default(),
    ]
}

/// A time as people say it, by its largest unit.
pub(super) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_by_their_largest_unit() {
        let said = [999, 1000, 119_000, 120_000, 7_200_000, 172_800_000].map(duration);
        assert_eq!(said, ["999 ms", "1 s", "119 s", "2 min", "2 h", "2 d"]);
    }
}
