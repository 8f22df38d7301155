//! A packet's time through IPFilter must not grow with the number of rules.

use super::Bench;
use super::click::rules;
use super::table::{Row, Sample};
use std::io::{Error, Result};
use std::process::Command;

const RUNS: usize = 7;
const PACKETS: u64 = 5_000_000;

/// Times filters of several sizes, and the compiling of the largest.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut baseline = None;
    let mut rows = Vec::new();
    let empty = run_filter(bench, "// none", 1)?;
    for count in [10, 100, 5000] {
        let filter = format!("-> IPFilter({})", rules(count));
        let sample = Sample::take(RUNS, || {
            Ok(run_filter(bench, &filter, PACKETS)?.seconds * 1e9 / PACKETS as f64)
        })?;
        let what = format!("a packet through {count} rules");
        rows.push(Row::plain(&what, sample.text("ns")));
        match baseline {
            None => baseline = Some(sample.median()),
            Some(baseline) => {
                let ratio = Sample::of(vec![sample.median() / baseline]);
                rows.push(Row::at_most(
                    &format!("{what}, against 10"),
                    &ratio,
                    1.5,
                    "times",
                ));
            }
        }
    }
    // What starting with the rules costs beyond starting without.
    let filter = format!("-> IPFilter({})", rules(5000));
    let mut times = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..RUNS {
        let run = run_filter(bench, &filter, 1)?;
        times.push((run.total - empty.total) * 1000.0);
        sizes.push((run.resident - empty.resident) / 1048576.0);
    }
    rows.push(Row::at_most(
        "start with 5,000 rules, beyond starting with none",
        &Sample::of(times),
        100.0,
        "ms",
    ));
    rows.push(Row::at_most(
        "memory with 5,000 rules, beyond that with none",
        &Sample::of(sizes),
        16.0,
        "MiB",
    ));
    Ok(rows)
}

struct Run {
    /// Time that the packets took, in seconds.
    seconds: f64,
    /// From start to exit, in seconds.
    total: f64,
    /// Most memory resident, in bytes.
    resident: f64,
}

/// Sends packets of one flow, which only the last rule knows, through a filter.
fn run_filter(bench: &Bench, filter: &str, packets: u64) -> Result<Run> {
    let path = bench.scratch.join("filter.click");
    let text = format!(
        "source :: InfiniteSource(DATA \\<{FRAME}>, LIMIT {packets}, BURST 32, STOP true)\n  \
         -> Strip(14) -> CheckIPHeader\n  {filter}\n  -> Discard;\n\
         DriverManager(set begun $(now), wait_stop, set ended $(now), print \"RESULT $(sub $ended $begun)\");\n"
    );
    std::fs::write(&path, text)?;
    let begun = std::time::Instant::now();
    let output = Command::new(&bench.sprat)
        .arg("click")
        .arg(&path)
        .output()?;
    let total = begun.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds = text
        .lines()
        .find_map(|line| line.strip_prefix("RESULT ")?.trim().parse().ok());
    let seconds = seconds
        .ok_or_else(|| Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))?;
    Ok(Run {
        seconds,
        total,
        resident: peak_memory(bench, &path)?,
    })
}

/// The peak resident memory of a run, as the kernel tells its parent.
fn peak_memory(bench: &Bench, path: &std::path::Path) -> Result<f64> {
    let script = "import resource, subprocess, sys\n\
                  subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n\
                  print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(&bench.sprat)
        .arg("click")
        .arg(path)
        .output()?;
    let kilobytes: f64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .map_err(Error::other)?;
    Ok(kilobytes * 1024.0)
}

/// UDP from 10.0.0.1 port 1234 to 131.179.80.139 port 5678, 64 bytes.
const FRAME: &str = "0000000000020000000000010800450000320000000040119c7c0a00000183b3508b04d2162e001e0000\
                     00000000000000000000000000000000000000000000";
