//! The `sprat` command: one file a subcommand.
#![forbid(unsafe_code)]

mod click;
mod explain;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs network functions and small services as sealed virtual machines.
#[derive(Parser)]
#[command(name = "sprat", version, infer_long_args = true)]
struct Command {
    #[command(subcommand)]
    subcommand: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    Click(click::ClickCommand),
}

fn main() -> ExitCode {
    match Command::parse().subcommand {
        Subcommands::Click(command) => command.run(),
    }
}
