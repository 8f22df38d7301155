//! `cargo xtask fuzz [TARGET...] [--seconds N]`: runs fuzz targets under the address sanitizer.
//!
//! The sanitizer's flags are unstable, so the stable compiler is told to accept them
//! (`RUSTC_BOOTSTRAP`) for this build alone; nothing that ships is built that way.

use crate::report::Report;
use crate::{machine, process};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

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
    machine::install_packages(&[("c++", "g++")]);
    machine::install_cargo_tool("cargo-fuzz")?;

    let mut total = Report::default();
    for target in &chosen {
        println!("==> {target}, {seconds} s");
        seed(target)?;
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

/// Puts the examples that the target can read into its corpus, so that the search begins with
/// input that is accepted.
fn seed(target: &str) -> Result<()> {
    let extension = match target {
        "capture" => "pcap",
        "click" => "click",
        _ => return Ok(()),
    };
    let corpus = crate::root().join("fuzz/corpus").join(target);
    std::fs::create_dir_all(&corpus)?;
    for example in files_under(&crate::root().join("examples"), extension)? {
        let name = example.strip_prefix(crate::root()).unwrap_or(&example);
        let name = name.to_string_lossy().replace('/', "-");
        std::fs::copy(&example, corpus.join(name))?;
    }
    Ok(())
}

fn files_under(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_under(&path, extension)?);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    Ok(found)
}
