//! The `sprat` command: one file a subcommand.
#![forbid(unsafe_code)]

mod click;
mod embedded;
mod explain;
mod inspect;

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
    Click(Box<click::ClickCommand>),
    Inspect(inspect::InspectCommand),
}

fn main() -> ExitCode {
    match Command::parse().subcommand {
        Subcommands::Click(command) => command.run(),
        Subcommands::Inspect(command) => command.run(),
    }
}
