//! Sealed instances: boot, size, memory, speed.

use super::table::{Row, Sample};
use super::{Bench, click};
use serde_json::Value;
use std::io::{Error, Result};
use std::process::Command;

const RUNS: usize = 9;

/// `sprat run` with a report in JSON.
fn report(bench: &Bench, arguments: &[&str]) -> Result<Value> {
    report_of(Command::new(&bench.sprat), arguments)
}

/// The same on one core, for where a lane and what it runs only take turns.
fn report_on_one_core(bench: &Bench, arguments: &[&str]) -> Result<Value> {
    let mut command = Command::new("taskset");
    command.args(["-c", "1"]).arg(&bench.sprat);
    report_of(command, arguments)
}

fn report_of(mut command: Command, arguments: &[&str]) -> Result<Value> {
    let output = command.arg("run").args(arguments).arg("--json").output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!(
            "sprat run {}: {errors}",
            arguments.join(" ")
        )));
    }
    serde_json::from_slice(&output.stdout).map_err(Error::other)
}

pub(super) fn number(report: &Value, pointer: &str) -> Result<f64> {
    report
        .pointer(pointer)
        .and_then(Value::as_f64)
        .ok_or_else(|| Error::other(format!("no {pointer} in the report")))
}

/// The firewall over its own capture.
pub(super) fn firewall<'a>(bench: &Bench, monitor: &'a str, example: &'a str) -> Result<Value> {
    let output = bench.scratch.join("clean.pcap");
    let out = format!("eth1={}", output.display());
    report(bench, &[example, "--monitor", monitor, "--out", &out])
}

/// From nothing to the first frame out.
pub(super) fn boot(bench: &Bench) -> Result<Vec<Row>> {
    let example = crate::root().join("examples/firewall");
    let example = example.to_string_lossy();
    let mut rows = Vec::new();
    for (monitor, bar) in [("vm", 4.0), ("process", 2.5)] {
        if monitor == "vm" && !crate::machine::has_kvm() {
            rows.push(Row::plain(
                "boot to first frame out, vm",
                "no KVM here".to_owned(),
            ));
            continue;
        }
        let mut reports = Vec::new();
        for _ in 0..RUNS {
            reports.push(firewall(bench, monitor, &example)?);
        }
        let milliseconds = |pointer: &str| -> Result<Sample> {
            let values = reports
                .iter()
                .map(|report| Ok(number(report, pointer)? / 1000.0));
            Ok(Sample::of(values.collect::<Result<_>>()?))
        };
        rows.push(Row::at_most(
            &format!("boot to first frame out, {monitor}"),
            &milliseconds("/boot/total")?,
            bar,
            "ms",
        ));
        for (part, what) in [
            ("monitor", "open the monitor"),
            ("load", "load the image"),
            ("memory", "memory"),
            ("machine", "the machine"),
            ("page_tables", "page tables"),
            ("contract", "rings and boot page"),
            ("guest_start", "guest start"),
            ("first_frame", "first frame"),
        ] {
            let sample = milliseconds(&format!("/boot/{part}"))?;
            rows.push(Row::plain(
                &format!("of that, {what}, {monitor}"),
                sample.text("ms"),
            ));
        }
    }
    Ok(rows)
}

/// Bytes of the images.
pub(super) fn size(bench: &Bench) -> Result<Vec<Row>> {
    let example = crate::root().join("examples/firewall");
    let monitor = if crate::machine::has_kvm() {
        "vm"
    } else {
        "process"
    };
    let click = number(
        &firewall(bench, monitor, &example.to_string_lossy())?,
        "/image_bytes",
    )?;
    let kilobytes = |bytes| Sample::of(vec![bytes / 1000.0]);
    let everyday = built(bench, "images/click/benches/everyday.click")?;
    Ok(vec![
        Row::at_most(
            "Click image with every element",
            &kilobytes(click),
            600.0,
            "KB",
        ),
        Row::at_most(
            "Click image with the everyday elements",
            &kilobytes(everyday),
            600.0,
            "KB",
        ),
    ])
}

/// Bytes of the image of a configuration and the elements it uses.
fn built(bench: &Bench, configuration: &str) -> Result<f64> {
    let image = bench.scratch.join("built.image");
    let mut command = Command::new(&bench.sprat);
    command
        .arg("build")
        .arg(crate::root().join(configuration))
        .arg("--output")
        .arg(&image);
    if !crate::process::show(&mut command)? {
        return Err(Error::other(format!("{configuration} does not build")));
    }
    let bytes = std::fs::metadata(&image)?.len();
    u32::try_from(bytes).map(f64::from).map_err(Error::other)
}

/// The same router in a plain process: frames are copied from the trace instead of by a lane.
const IN_PROCESS: &str = "-> EtherMirror -> Queue(2048) -> Unqueue -> Discard;";

/// What a frame took in a run, and how often the instance was entered for it.
struct Entries {
    nanoseconds: f64,
    entries: f64,
}

impl Entries {
    fn of(report: &Value) -> Result<Self> {
        let frames = number(report, "/frames/sent")?;
        Ok(Self {
            nanoseconds: number(report, "/seconds")? * 1e9 / frames,
            entries: number(report, "/entries")? / frames,
        })
    }

    /// What a frame costs when the entries are taken out. What an entry costs shows in a run with
    /// smaller batches.
    fn nanoseconds_without(&self, smaller: &Self) -> f64 {
        let entry = (smaller.nanoseconds - self.nanoseconds) / (smaller.entries - self.entries);
        self.nanoseconds - self.entries * entry
    }
}

/// 64-byte frames through one instance that turns them round, generator and sink included.
pub(super) fn forward(bench: &Bench) -> Result<Vec<Row>> {
    let configuration = bench.scratch.join("mirror.click");
    std::fs::write(
        &configuration,
        "FromDevice(eth0) -> EtherMirror -> Queue(2048) -> ToDevice(eth0);\n",
    )?;
    let configuration = configuration.to_string_lossy();
    let mut rows = Vec::new();
    for monitor in ["vm", "process"] {
        if monitor == "vm" && !crate::machine::has_kvm() {
            rows.push(Row::plain(
                "FromDevice → EtherMirror → ToDevice, vm",
                "no KVM here".to_owned(),
            ));
            continue;
        }
        let run = |batch: &str, count: u32| {
            let source = format!("eth0=generate:size=64,count={count}");
            let arguments = [
                &*configuration,
                "--monitor",
                monitor,
                "--batch",
                batch,
                "--in",
                &*source,
                "--out",
                "eth0=sink",
            ];
            report_on_one_core(bench, &arguments)
        };
        let mut speeds = Vec::new();
        let mut inside = Vec::new();
        let mut ratios = Vec::new();
        for _ in 0..RUNS {
            let (large, small) = (
                Entries::of(&run("1024", 20_000_000)?)?,
                Entries::of(&run("64", 2_000_000)?)?,
            );
            let sealed = large.nanoseconds_without(&small);
            let plain = click::in_process(bench, IN_PROCESS)?;
            speeds.push(1000.0 / large.nanoseconds);
            inside.push(sealed);
            ratios.push(plain / sealed);
        }
        let sample = Sample::of(speeds);
        let what = format!("FromDevice → EtherMirror → ToDevice, 64 bytes, {monitor}");
        rows.push(if monitor == "vm" {
            Row::at_least(&what, &sample, 8.0, "million frames/s")
        } else {
            Row::plain(&what, sample.text("million frames/s"))
        });
        rows.push(Row::plain(
            &format!("of that, a frame without the entries, {monitor}"),
            Sample::of(inside).text("ns"),
        ));
        rows.push(Row::at_least(
            &format!("its speed against the same router in-process, over the trace, {monitor}"),
            &Sample::of(ratios),
            0.8,
            "times",
        ));
    }
    Ok(rows)
}
