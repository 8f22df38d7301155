//! `sprat port`: what passed the ports, and what was dropped there.

use std::process::ExitCode;

use serde::Serialize;
use sprat_host::protocol::{Lanes, PortStatus};

use super::{FolderArguments, complain_of};
use crate::output::{self, complain, table};

/// Shows ports: what passed them, what was dropped there and why
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat port\n  \
    sprat port lan fw.eth0 --json")]
pub(crate) struct PortCommand {
    /// The ports: names of declared ones, and FUNCTION.DEVICE; all, if none is named
    names: Vec<String>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

/// A port, and whose it is.
#[derive(Serialize)]
struct Shown<'a> {
    tenant: &'a str,
    #[serde(flatten)]
    status: &'a PortStatus,
}

impl PortCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let lanes: Lanes = match self.folders.get("/v1/status") {
            Ok(lanes) => lanes,
            Err(error) => {
                complain_of(&error);
                return ExitCode::FAILURE;
            }
        };
        let mut ports = all(&lanes);
        // `sprat capture` has a colon before the device.
        let names: Vec<_> = self
            .names
            .iter()
            .map(|name| name.replace(':', "."))
            .collect();
        for name in &names {
            if ports.iter().all(|port| port.status.name != *name) {
                let there: Vec<_> = ports.iter().map(|port| &*port.status.name).collect();
                complain!(
                    "error: no port {name}; there are: {}",
                    match &*there {
                        [] => "none".into(),
                        there => there.join(", "),
                    }
                );
                return ExitCode::FAILURE;
            }
        }
        ports.retain(|port| names.is_empty() || names.contains(&port.status.name));
        let text = if self.json {
            serde_json::to_string_pretty(&ports).unwrap_or_default() + "\n"
        } else {
            rows(&ports)
        };
        match output::print(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain!("error: standard output: {error}");
                ExitCode::FAILURE
            }
        }
    }
}

/// The ports of all lanes, as a table.
pub(super) fn ports_of(lanes: &Lanes) -> String {
    rows(&all(lanes))
}

fn all(lanes: &Lanes) -> Vec<Shown<'_>> {
    let lanes = lanes.lanes.iter();
    let of_lane = lanes.filter_map(|lane| Some((&*lane.tenant, lane.status.as_ref()?)));
    let shown = |(tenant, status)| Shown { tenant, status };
    of_lane
        .flat_map(|(tenant, status)| status.ports.iter().map(move |port| (tenant, port)))
        .map(shown)
        .collect()
}

/// What was dropped at a port, and before that why it is not there.
pub(super) fn drops(status: &PortStatus) -> String {
    let mut remarks: Vec<String> = status.failed.iter().cloned().collect();
    let drops = status.dropped.iter();
    remarks.extend(drops.map(|(cause, frames)| format!("{frames} {cause}")));
    remarks.join("; ")
}

fn rows(ports: &[Shown<'_>]) -> String {
    let rows = ports.iter().map(|Shown { tenant, status }| {
        vec![
            status.name.clone(),
            (*tenant).into(),
            status.received.0.to_string(),
            status.sent.0.to_string(),
            drops(status),
        ]
    });
    table(&["PORT", "TENANT", "IN", "OUT", "DROPPED"], &[2, 3], rows)
}
