//! `cargo xtask fuzz [TARGET...] [--seconds N]`: runs fuzz targets under the address sanitizer.
//!
//! The sanitizer's flags are unstable, so the stable compiler is told to accept them
//! (`RUSTC_BOOTSTRAP`) for this build alone; nothing that ships is built that way.

use crate::report::Report;
use crate::{machine, process, seeds};
use std::io::{Error, ErrorKind, Result};

const DEFAULT_SECONDS: u32 = 60;

/// Runs the targets named, or all of them; true when none found a fault.
///
/// # Errors
/// An argument is wrong, or the tools cannot be had.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let known = targets()?;
    let mut chosen = Vec::new();
    let mut seconds = DEFAULT_SECONDS;
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            seconds = arguments
                .next()
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| {
                    Error::new(ErrorKind::InvalidInput, "--seconds: expected a number")
                })?;
        } else if known.contains(argument) {
            chosen.push(argument.clone());
        } else {
            let known = known.join(", ");
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("no target '{argument}'; there are: {known}"),
            ));
        }
    }
    if chosen.is_empty() {
        chosen = known;
    }
    machine::install_programs();
    machine::install_cargo_tool("cargo-fuzz")?;

    let mut total = Report::default();
    for target in &chosen {
        println!("==> {target}, {seconds} s");
        seeds::write(target)?;
        let mut command = process::cargo(&["fuzz", "run", target, "--"]);
        command
            .arg(format!("-max_total_time={seconds}"))
            .args([
                "-print_final_stats=1",
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-verbosity=0",
            ])
            .env("RUSTC_BOOTSTRAP", "1");
        let words = crate::root().join(format!("fuzz/dictionaries/{target}.dict"));
        if words.is_file() {
            command.arg(format!("-dict={}", words.display()));
        }
        total.add(Report::of(
            &format!("fuzz target {target}"),
            process::show(&mut command)?,
        ));
    }
    total.print();
    Ok(total.is_good())
}

/// The targets: one file each.
fn targets() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(crate::root().join("fuzz/fuzz_targets"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
