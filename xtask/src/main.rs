//! Everything that developers and CI run: `cargo xtask <command>`.
//!
//! Each command is one module. They start the tools that do the work (cargo, the
//! conformance runner, cargo-fuzz, cargo-deny), show what is going on while it goes on, and
//! end with a summary and an exit status. Nothing here is part of what Sprat ships.

#![forbid(unsafe_code)]

mod audit;
mod bench;
mod captures;
mod chaos;
mod conformance;
mod element_pages;
mod element_tests;
mod fuzz;
mod hardware;
mod libtest;
mod machine;
mod process;
mod readme;
mod report;
mod reproduce;
mod seeds;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask <command>

  test                          format, lints, documentation, every test, the README's commands
  conformance                   Click's own cases, run by `sprat click`
  conformance targets           what holds on every target, run there, as a table
  captures [FOLDER]             every capture of a folder through every example, every frame counted
  chaos [MOMENTS]               instances, lanes and daemons killed under load, frames accounted for
  fuzz [TARGET..] [--seconds N] fuzz targets under the address sanitizer, 60 seconds each
  hardware [intel] [amd]        the sealed tests on emulated processors with VT-x and AMD-V
  bench [NAME..] [--peer NAME=COMMAND]
                                what SPECIFICATION.md promises, measured
  reproduce [IMAGE..]           every image built twice, here and elsewhere: the same bytes
  audit                         licences and sources of what we depend on
  docs-elements                 writes docs/elements/ from the elements' manual pages
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let outcome = match command {
        "test" => test::run(rest),
        "conformance" => conformance::run(rest),
        "captures" => captures::run(rest),
        "chaos" => chaos::run(rest),
        "fuzz" => fuzz::run(rest),
        "hardware" => hardware::run(rest),
        "bench" => bench::run(rest),
        "reproduce" => reproduce::run(rest),
        "audit" => audit::run(),
        "docs-elements" => element_pages::write(),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(true)
        }
        unknown => {
            eprintln!("xtask: no command '{unknown}'\n\n{HELP}");
            Ok(false)
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask {command}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where cargo puts what it builds.
fn target_folder() -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}

/// The folder of the workspace, wherever the command was started.
fn root() -> &'static std::path::Path {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(std::path::Path::new("."))
}
