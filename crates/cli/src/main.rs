//! The `sprat` command: one file a subcommand.
#![forbid(unsafe_code)]
// They panic where the reader has gone: see `output`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod click;
mod control;
mod devices;
mod disk;
mod doctor;
mod embedded;
mod explain;
mod host;
mod inspect;
mod logs;
mod manual;
mod metrics;
mod output;
mod package;
mod read;
mod run;
mod size;
mod store;
mod subject;
mod why;
mod write;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

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
    Capture(host::CaptureCommand),
    Click(Box<click::ClickCommand>),
    Completions(manual::CompletionsCommand),
    Console(logs::ConsoleCommand),
    Daemon(host::DaemonCommand),
    Doctor(doctor::DoctorCommand),
    Down(host::DownCommand),
    Events(host::EventsCommand),
    Flow(host::FlowCommand),
    Images(store::ImagesCommand),
    Inspect(inspect::InspectCommand),
    Kill(host::KillCommand),
    #[command(hide = true)]
    Lane(host::LaneCommand),
    Logs(logs::LogsCommand),
    Man(manual::ManCommand),
    Metrics(metrics::MetricsCommand),
    New(package::NewCommand),
    Port(host::PortCommand),
    Provenance(store::ProvenanceCommand),
    Ps(host::PsCommand),
    Read(read::ReadCommand),
    Run(Box<run::RunCommand>),
    Size(size::SizeCommand),
    Start(host::StartCommand),
    Steer(host::SteerCommand),
    Stop(host::StopCommand),
    Store(store::StoreCommand),
    Test(package::TestCommand),
    Top(host::TopCommand),
    Up(host::UpCommand),
    Verify(store::VerifyCommand),
    Why(why::WhyCommand),
    Write(write::WriteCommand),
}

fn main() -> ExitCode {
    match parse().subcommand {
        Subcommands::Build(command) => command.run(),
        Subcommands::Capture(command) => command.run(),
        Subcommands::Click(command) => command.run(),
        Subcommands::Completions(command) => command.run(Command::command()),
        Subcommands::Console(command) => command.run(),
        Subcommands::Daemon(command) => command.run(),
        Subcommands::Doctor(command) => command.run(),
        Subcommands::Down(command) => command.run(),
        Subcommands::Events(command) => command.run(),
        Subcommands::Flow(command) => command.run(),
        Subcommands::Images(command) => command.run(),
        Subcommands::Inspect(command) => command.run(),
        Subcommands::Kill(command) => command.run(),
        Subcommands::Lane(command) => command.run(),
        Subcommands::Logs(command) => command.run(),
        Subcommands::Man(command) => command.run(Command::command()),
        Subcommands::Metrics(command) => command.run(),
        Subcommands::New(command) => command.run(),
        Subcommands::Port(command) => command.run(),
        Subcommands::Provenance(command) => command.run(),
        Subcommands::Ps(command) => command.run(),
        Subcommands::Read(command) => command.run(),
        Subcommands::Run(command) => command.run(),
        Subcommands::Size(command) => command.run(),
        Subcommands::Start(command) => command.run(),
        Subcommands::Steer(command) => command.run(),
        Subcommands::Stop(command) => command.run(),
        Subcommands::Store(command) => command.run(),
        Subcommands::Test(command) => command.run(),
        Subcommands::Top(command) => command.run(),
        Subcommands::Up(command) => command.run(),
        Subcommands::Verify(command) => command.run(),
        Subcommands::Why(command) => command.run(),
        Subcommands::Write(command) => command.run(),
    }
}

/// The command line; who wrote a wrong one is told so, and how it ends depends on whose place the
/// subcommand takes: Click's driver ends with status 1.
fn parse() -> Command {
    Command::try_parse().unwrap_or_else(|error| {
        let of_click = std::env::args_os()
            .nth(1)
            .is_some_and(|word| word == "click");
        if of_click && error.use_stderr() {
            click::complain_of_usage(&error);
            std::process::exit(1);
        }
        error.exit()
    })
}
