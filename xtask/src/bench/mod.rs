//! `cargo xtask bench [NAME..]`: what SPECIFICATION.md promises, measured with the command as it ships.
//!
//! Each benchmark is one function that gives rows of one table. Everything is run several times;
//! the table has medians and how far runs lay apart. Machines that share their cores with others
//! are noisy: compare figures of one run with each other rather than with yesterday's.

mod bulk;
mod click;
mod delay;
mod density;
mod filter;
mod idle;
mod live;
mod network;
mod package;
mod sealed;
mod services;
mod switch;
mod table;
mod trace;

use crate::{machine, process};
use std::io::{Error, ErrorKind, Result};
use std::path::PathBuf;
use table::Row;

/// What a benchmark has to hand.
struct Bench {
    /// The command under test.
    sprat: PathBuf,
    /// A folder for what benchmarks write.
    scratch: PathBuf,
    /// Other commands that take Click configurations, by name, to be timed in turn with ours.
    peers: Vec<(String, String)>,
}

type Measure = fn(&Bench) -> Result<Vec<Row>>;

const BENCHMARKS: [(&str, &str, Measure); 14] = [
    (
        "boot",
        "from nothing to the first frame out, under both monitors",
        sealed::boot,
    ),
    (
        "delay",
        "what an idle instance adds to a ping",
        delay::delay,
    ),
    (
        "density",
        "thousands of idle firewalls of many tenants under one daemon",
        density::measure,
    ),
    ("size", "bytes of the images", sealed::size),
    ("memory", "private memory of an instance", idle::memory),
    (
        "forward",
        "frames through one sealed instance",
        sealed::forward,
    ),
    (
        "switch",
        "frames through a switch, alone and with 1 and 100 instances",
        switch::switch,
    ),
    (
        "live",
        "frames between two interfaces through a firewall, and over the kernel's bridge",
        live::measure,
    ),
    (
        "package",
        "a new service, an edit and a build, as whoever waits for them sees it",
        package::measure,
    ),
    (
        "bulk",
        "one TCP connection between two instances, and between one and Linux",
        bulk::measure,
    ),
    (
        "services",
        "a name server, a web server and a store beside NSD, Knot, nginx and Redis",
        services::measure,
    ),
    (
        "filter",
        "IPFilter with 10, 100 and 5,000 rules",
        filter::measure,
    ),
    (
        "click",
        "Click configurations over a trace of 10,000 flows",
        click::measure,
    ),
    (
        "allocations",
        "what the same configurations allocate for packets",
        click::allocations,
    ),
];

/// What more than one benchmark starts, and Debian's packages that hold it.
const PROGRAMS: [(&str, &str); 3] = [
    ("ip", "iproute2"),
    ("ping", "iputils-ping"),
    ("python3", "python3"),
];

/// Runs the benchmarks named, or all; true when every bar is kept.
///
/// # Errors
/// An argument is wrong, Sprat does not build, or a benchmark cannot run.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let mut chosen = Vec::new();
    let mut peers = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--peer" {
            let peer = arguments.next().and_then(|peer| peer.split_once('='));
            let (name, command) = peer.ok_or_else(|| {
                invalid("--peer: expected NAME=COMMAND, such as click=/usr/bin/click")
            })?;
            peers.push((name.to_owned(), command.to_owned()));
        } else if let Some(benchmark) = BENCHMARKS.iter().find(|(name, ..)| name == argument) {
            chosen.push(benchmark);
        } else {
            let known: Vec<_> = BENCHMARKS
                .iter()
                .map(|(name, what, _)| format!("  {name:12} {what}"))
                .collect();
            return Err(invalid(&format!(
                "no benchmark '{argument}'; there are:\n{}",
                known.join("\n")
            )));
        }
    }
    if chosen.is_empty() {
        chosen = BENCHMARKS.iter().collect();
    }
    machine::install_packages(&PROGRAMS);
    if !process::show(&mut process::cargo(&[
        "build",
        "--release",
        "--locked",
        "--package",
        "sprat-cli",
    ]))? {
        return Err(Error::other("sprat does not build"));
    }
    let scratch = crate::target_folder().join("bench");
    std::fs::create_dir_all(&scratch)?;
    let bench = Bench {
        sprat: crate::target_folder().join("release/sprat"),
        scratch,
        peers,
    };
    let mut rows = Vec::new();
    for (name, what, measure) in chosen {
        println!("==> {name}: {what}");
        rows.extend(measure(&bench)?);
    }
    println!("\n{}", table::markdown(&rows));
    Ok(rows.iter().all(|row| row.kept != Some(false)))
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, text.to_owned())
}
