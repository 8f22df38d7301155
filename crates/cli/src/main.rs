//! The `sprat` command: one file a subcommand.
#![forbid(unsafe_code)]
// They panic where the reader has gone: see `output`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod click;
mod doctor;
mod embedded;
mod explain;
mod inspect;
mod output;
mod package;
mod run;
mod size;
mod subject;
mod why;

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
    Build(package::BuildCommand),
    Click(Box<click::ClickCommand>),
    Doctor(doctor::DoctorCommand),
    Inspect(inspect::InspectCommand),
    New(package::NewCommand),
    Run(Box<run::RunCommand>),
    Size(size::SizeCommand),
    Test(package::TestCommand),
    Why(why::WhyCommand),
}

fn main() -> ExitCode {
    match Command::parse().subcommand {
        Subcommands::Build(command) => command.run(),
        Subcommands::Click(command) => command.run(),
        Subcommands::Doctor(command) => command.run(),
        Subcommands::Inspect(command) => command.run(),
        Subcommands::New(command) => command.run(),
        Subcommands::Run(command) => command.run(),
        Subcommands::Size(command) => command.run(),
        Subcommands::Test(command) => command.run(),
        Subcommands::Why(command) => command.run(),
    }
}
