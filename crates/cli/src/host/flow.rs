//! `sprat flow` and `sprat steer`: flow rules, and shares of conversations.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::json;
use sprat_host::desired::Part;
use sprat_host::protocol::{FlowStatus, Lanes};

use super::up::say_changes;
use super::{FolderArguments, complain_of};
use crate::output::{self, complain, table};

/// Shows the flow rules of what was declared, and what they have done
#[derive(Debug, clap::Args)]
pub(crate) struct FlowCommand {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

/// Changes which conversations functions get at their place in a chain
///
/// A function gets a share of them beside the others' shares, those with addresses that it asks for, and
/// those whose hashes, 0 to 65535, are in a range that it asks for. Conversations that are under way
/// stay where they are. A function that is not at the place yet comes to it; one whose share is 0, and
/// that asks for nothing, leaves it, and its conversations go elsewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    sprat steer firewall=90 next=10\n  \
    sprat steer next=203.0.113.0/24,2001:db8::/32   by addresses\n  \
    sprat steer next=0-6553                         by hashes, a tenth\n  \
    sprat steer next=0")]
pub(crate) struct SteerCommand {
    /// A function, and what it gets from now on: a share, addresses, a range of hashes, with commas
    /// between.
    #[arg(required = true, value_name = "FUNCTION=SHARE", value_parser = share)]
    shares: Vec<(String, Part)>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: FolderArguments,
}

fn share(text: &str) -> Result<(String, Part), String> {
    let expected = || {
        "expected FUNCTION=SHARE, such as next=10, next=203.0.113.0/24 or next=0-6553".to_string()
    };
    let (function, part) = text.split_once('=').ok_or_else(expected)?;
    match part.parse() {
        Ok(part) if !function.is_empty() => Ok((function.into(), part)),
        _ => Err(expected()),
    }
}

impl FlowCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let lanes: Lanes = match self.folders.get("/v1/status") {
            Ok(lanes) => lanes,
            Err(error) => {
                complain_of(&error);
                return ExitCode::FAILURE;
            }
        };
        let statuses = lanes.lanes.into_iter().filter_map(|lane| lane.status);
        let flows: Vec<FlowStatus> = statuses.flat_map(|status| status.flows).collect();
        let text = if self.json {
            serde_json::to_string_pretty(&flows).unwrap_or_default() + "\n"
        } else {
            let rows = flows.iter().map(|flow| {
                vec![
                    flow.frames.to_string(),
                    flow.over_limit.to_string(),
                    flow.rule.to_string(),
                ]
            });
            table(&["FRAMES", "OVER LIMIT", "RULE"], &[0, 1], rows)
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

impl SteerCommand {
    pub(crate) fn run(&self) -> ExitCode {
        let shares: BTreeMap<_, _> = self.shares.iter().cloned().collect();
        let body = json!({ "shares": shares });
        match self.folders.ask("POST", "/v1/steer", Some(&body)) {
            Ok(answer) => say_changes(&answer, self.json),
            Err(error) => {
                complain_of(&error);
                ExitCode::FAILURE
            }
        }
    }
}
