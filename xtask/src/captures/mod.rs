//! `cargo xtask captures`: every capture of a folder through every example.
//!
//! An example is fed the capture at each of its inputs in turn, its other inputs keeping the captures
//! of its own, and at all of them at once, under both monitors. A run must end well and in time, and
//! account for every frame: the frames that its report says came in are those that the files hold,
//! those it says went out are those in the files it wrote, and what came in and was made is what
//! went out, ended and was dropped. A capture that holds no Ethernet frames must be refused by the
//! name of its link type. The files are read here, by the letter of the format, and not by Sprat.
//!
//! The captures are not part of the project: they are looked for in `../shared/captures`.

mod example;
mod pcap;

use std::io::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::report::Report;
use crate::{machine, process};
use example::Example;
use pcap::Capture;

/// No run may take longer, in seconds; a healthy one takes a few hundredths.
const LIMIT: &str = "60";

/// An example and a capture.
struct Cell<'a> {
    example: &'a Example,
    capture: &'a Capture,
}

/// What the runs of a cell came to, added up.
#[derive(Default)]
struct Sums {
    runs: u64,
    refused: u64,
    received: u64,
    made: u64,
    sent: u64,
    ended: u64,
    dropped: u64,
    longest: Duration,
    wrong: Vec<String>,
}

/// Prints a line for each example and capture.
///
/// # Errors
/// The command does not build, or a folder cannot be read.
pub(crate) fn run(arguments: &[String]) -> Result<bool> {
    let folder = match arguments {
        [] => default_folder(),
        [folder] => folder.into(),
        [_, unknown, ..] => {
            eprintln!("xtask captures takes one folder, and found '{unknown}' too");
            return Ok(false);
        }
    };
    if !folder.is_dir() {
        eprintln!("xtask captures: there is no folder {}", folder.display());
        return Ok(false);
    }
    let report = measure(&folder, true)?;
    report.print();
    Ok(report.is_good())
}

/// As a step of the tests: each example and capture is a check.
///
/// # Errors
/// As for [`run`].
pub(crate) fn check() -> Result<Report> {
    let folder = default_folder();
    if folder.is_dir() {
        return measure(&folder, false);
    }
    Ok(Report {
        skipped: vec!["captures through the examples: needs captures at ../shared/captures".into()],
        ..Report::default()
    })
}

fn default_folder() -> PathBuf {
    crate::root().join("../shared/captures")
}

fn sprat() -> PathBuf {
    crate::target_folder().join("release/sprat")
}

fn measure(folder: &Path, table: bool) -> Result<Report> {
    let mut build = process::cargo(&["build", "--release", "--locked", "--package", "sprat-cli"]);
    if !process::show(&mut build)? {
        return Ok(Report::of("the command does not build", false));
    }
    let examples = Example::all(&crate::root().join("examples"))?;
    let captures = Capture::all(folder)?;
    let mut monitors = vec!["process"];
    if machine::has_kvm() {
        monitors.push("vm");
    }
    let cells: Vec<Cell<'_>> = examples
        .iter()
        .flat_map(|example| {
            captures
                .iter()
                .map(move |capture| Cell { example, capture })
        })
        .collect();
    println!(
        "    {} captures of {} through {} examples, monitors: {}",
        captures.len(),
        folder.display(),
        examples.len(),
        monitors.join(", ")
    );
    let sums = run_all(&cells, &monitors)?;
    let mut report = Report::default();
    if !machine::has_kvm() {
        report
            .skipped
            .push("captures under the monitor vm: needs KVM".into());
    }
    if table {
        println!(
            "{:12} {:36} {:>4} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7}",
            "example", "capture", "runs", "in", "made", "out", "ended", "dropped", "longest"
        );
    }
    for (cell, sums) in cells.iter().zip(&sums) {
        if table {
            print_line(cell, sums);
        }
        report.passed += usize::from(sums.wrong.is_empty());
        report.failed.extend(sums.wrong.iter().cloned());
    }
    Ok(report)
}

fn print_line(cell: &Cell<'_>, sums: &Sums) {
    let name = |width: usize, name: &str| name.chars().take(width).collect::<String>();
    print!(
        "{:12} {:36} {:>4} ",
        name(12, &cell.example.name),
        name(36, &cell.capture.name()),
        sums.runs
    );
    if sums.runs == sums.refused {
        println!("refused: link type {}", cell.capture.link_type);
    } else {
        println!(
            "{:>8} {:>8} {:>8} {:>8} {:>8} {:>4} ms{}",
            sums.received,
            sums.made,
            sums.sent,
            sums.ended,
            sums.dropped,
            sums.longest.as_millis(),
            if sums.wrong.is_empty() { "" } else { "  wrong" }
        );
    }
}

/// Runs every cell, on as many processors as there are.
fn run_all(cells: &[Cell<'_>], monitors: &[&str]) -> Result<Vec<Sums>> {
    let done = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let work = || -> Result<()> {
        while let index = next.fetch_add(1, Ordering::Relaxed)
            && let Some(cell) = cells.get(index)
        {
            let sums = run_cell(cell, monitors)?;
            done.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push((index, sums));
        }
        Ok(())
    };
    let count = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err(std::io::Error::other("a run panicked")))
        })
    })?;
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, sums)| sums).collect())
}

fn run_cell(cell: &Cell<'_>, monitors: &[&str]) -> Result<Sums> {
    let mut sums = Sums::default();
    for monitor in monitors {
        for fed in cell.example.feeds() {
            run_once(cell, monitor, &fed, &mut sums)?;
        }
    }
    Ok(sums)
}

/// One run, the devices `fed` being fed the capture.
fn run_once(cell: &Cell<'_>, monitor: &str, fed: &[&str], sums: &mut Sums) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new("timeout");
    command
        .args(["--kill-after=5", LIMIT])
        .arg(sprat())
        .arg("run")
        .arg(&cell.example.folder)
        .args(["--json", "--monitor", monitor]);
    for device in fed {
        command.arg("--in");
        command.arg(format!("{device}={}", cell.capture.path.display()));
    }
    let outputs: Vec<PathBuf> = cell
        .example
        .outputs
        .iter()
        .map(|device| folder.path().join(format!("{device}.pcap")))
        .collect();
    for (device, path) in cell.example.outputs.iter().zip(&outputs) {
        command.arg("--out");
        command.arg(format!("{device}={}", path.display()));
    }
    let begun = Instant::now();
    let finished = command.output()?;
    sums.longest = sums.longest.max(begun.elapsed());
    sums.runs += 1;
    let told = String::from_utf8_lossy(&finished.stderr);
    let judged = if cell.capture.is_ethernet() {
        judge_run(
            cell,
            fed,
            &outputs,
            finished.status.success(),
            &finished.stdout,
            sums,
        )
        .map_err(|what| format!("{what}; {}", last_line(&told)))
    } else {
        sums.refused += 1;
        let named = told.contains(&format!("link type {}", cell.capture.link_type));
        let left = outputs.iter().any(|path| path.exists());
        match finished.status.code() {
            Some(1) if named && !left => Ok(()),
            code => Err(format!(
                "not refused by its link type: exit status {code:?}, outputs left: {left}; {}",
                last_line(&told)
            )),
        }
    };
    if let Err(what) = judged {
        sums.wrong.push(format!(
            "captures: {} at {} of {} under {monitor}: {what}",
            cell.capture.name(),
            fed.join(" and "),
            cell.example.name
        ));
    }
    Ok(())
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or("nothing was said")
}

/// Whether a run ended well and accounts for every frame.
fn judge_run(
    cell: &Cell<'_>,
    fed: &[&str],
    outputs: &[PathBuf],
    good: bool,
    report: &[u8],
    sums: &mut Sums,
) -> std::result::Result<(), String> {
    if !good {
        return Err("it failed or did not end".into());
    }
    let report: serde_json::Value =
        serde_json::from_slice(report).map_err(|error| format!("no report: {error}"))?;
    let count = |name: &str| {
        report["frames"][name]
            .as_u64()
            .ok_or(format!("no frames.{name} in the report"))
    };
    let (received, made, sent) = (count("received")?, count("made")?, count("sent")?);
    let (ended, dropped) = (count("ended")?, count("dropped")?);
    sums.received += received;
    sums.made += made;
    sums.sent += sent;
    sums.ended += ended;
    sums.dropped += dropped;

    let there = cell.example.frames_in(fed, cell.capture.frames);
    if received != there {
        return Err(format!(
            "{received} frames in, and the captures hold {there}"
        ));
    }
    let mut written = 0;
    for path in outputs {
        let capture = Capture::read(path).map_err(|error| error.to_string())?;
        written += capture.frames;
    }
    if sent != written {
        return Err(format!(
            "{sent} frames out, and the captures written hold {written}"
        ));
    }
    if received + made != sent + ended + dropped {
        return Err(format!(
            "{received} in + {made} made, but {sent} out + {ended} ended + {dropped} dropped"
        ));
    }
    Ok(())
}
