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

fn number(report: &Value, pointer: &str) -> Result<f64> {
    report
        .pointer(pointer)
        .and_then(Value::as_f64)
        .ok_or_else(|| Error::other(format!("no {pointer} in the report")))
}

/// The firewall over its own capture.
fn firewall<'a>(bench: &Bench, monitor: &'a str, example: &'a str) -> Result<Value> {
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

/// Memory of an instance that has forwarded and is idle: what it has touched itself, and what it
/// costs the host in all by the kernel's count.
pub(super) fn memory(bench: &Bench) -> Result<Vec<Row>> {
    let example = crate::root().join("examples/firewall");
    let example = example.to_string_lossy();
    let monitor = if crate::machine::has_kvm() {
        "vm"
    } else {
        "process"
    };
    let sample = Sample::take(3, || {
        Ok(number(&firewall(bench, monitor, &example)?, "/memory/private")? / 1048576.0)
    })?;
    let what = format!("memory that the firewall has touched, {monitor}");
    let mut rows = vec![Row::plain(&what, sample.text("MiB"))];
    match idle_instances(64)? {
        Ok(many) => rows.extend(many.into_iter().map(|idle| {
            let what = format!(
                "private memory of an idle firewall, host side included, {}",
                idle.monitor
            );
            Row::at_most(&what, &Sample::of(vec![idle.mebibytes]), 1.5, "MiB")
        })),
        Err(why) => rows.push(Row::plain("the host's side included", why)),
    }
    Ok(rows)
}

/// Instances on this machine at once, each of which answers at the end.
const MANY: usize = 5000;

/// What many idle instances cost: the last of them as well.
pub(super) fn density(_: &Bench) -> Result<Vec<Row>> {
    let many = match idle_instances(MANY)? {
        Ok(many) => many,
        Err(why) => return Ok(vec![Row::plain("idle firewalls at once", why)]),
    };
    let mut rows = Vec::new();
    for idle in many {
        let monitor = &idle.monitor;
        let one = |value| Sample::of(vec![value]);
        rows.extend([
            Row::at_least(
                &format!("idle firewalls at once, each answers at the end, {monitor}"),
                &one(idle.count),
                5000.0,
                "instances",
            ),
            Row::at_most(
                &format!("private memory of each, host side included, {monitor}"),
                &one(idle.mebibytes),
                1.2,
                "MiB",
            ),
            Row::at_most(
                &format!(
                    "to the first frame forwarded, the last ones against the first, {monitor}"
                ),
                &one(idle.late / idle.early),
                1.5,
                "times",
            ),
            Row::plain(
                &format!("a frame through one that was idle, {monitor}"),
                one(idle.probe).text("µs"),
            ),
        ]);
    }
    Ok(rows)
}

/// Idle instances under one monitor, as the bench `memory` reports them.
struct Idle {
    monitor: String,
    count: f64,
    mebibytes: f64,
    early: f64,
    late: f64,
    probe: f64,
}

/// Makes many idle instances under each monitor; or says why that cannot be measured.
fn idle_instances(count: usize) -> Result<std::result::Result<Vec<Idle>, String>> {
    let count = count.to_string();
    let arguments = [
        "bench",
        "--locked",
        "--package",
        "click",
        "--bench",
        "memory",
        "--",
        &*count,
    ];
    let output = crate::process::cargo(&arguments).output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!("the memory bench failed: {errors}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.starts_with(&["not", "measured:"]) {
            return Ok(Err(line.to_owned()));
        }
        let ["MEMORY", monitor, numbers @ ..] = &words[..] else {
            continue;
        };
        let numbers: std::result::Result<Vec<f64>, _> =
            numbers.iter().map(|number| number.parse()).collect();
        let [count, bytes, early, late, probe] = numbers.map_err(Error::other)?[..] else {
            return Err(Error::other(format!("not understood: {line}")));
        };
        found.push(Idle {
            monitor: monitor.to_lowercase(),
            count,
            mebibytes: bytes / 1_048_576.0,
            early,
            late,
            probe,
        });
    }
    Ok(Ok(found))
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

/// Frames from a generator to a sink through a switch and its instances, on one core.
pub(super) fn switch(_: &Bench) -> Result<Vec<Row>> {
    let arguments = [
        "bench",
        "--locked",
        "--package",
        "click",
        "--bench",
        "switch",
    ];
    let output = crate::process::cargo(&arguments).output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!("the switch bench failed: {errors}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut rows = Vec::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let ["REPLACE", milliseconds] = words[..] {
            let sample = Sample::of(vec![milliseconds.parse().map_err(Error::other)?]);
            let what = "end of an instance to first frame through the one that was ready";
            rows.push(Row::at_most(what, &sample, 5.0, "ms"));
            continue;
        }
        let ["SWITCH", name, rate, batch] = words[..] else {
            continue;
        };
        let (what, bar) = match name {
            "alone-64" => ("port to port through the switch alone, 64 bytes", 40.0),
            "one-64" => ("through 1 instance (EtherMirror), 64 bytes", 10.0),
            "one-1500" => ("through 1 instance (EtherMirror), 1,500 bytes", 2.5),
            "hundred-64" => ("over 100 instances (EtherMirror), 64 bytes", 3.0),
            "hundred-1500" => ("over 100 instances (EtherMirror), 1,500 bytes", 0.0),
            other => (other, 0.0),
        };
        let what = match name {
            "alone-64" => what.to_owned(),
            _ => format!("{what}, {batch} frames an entry"),
        };
        let sample = Sample::of(vec![rate.parse().map_err(Error::other)?]);
        rows.push(if bar > 0.0 {
            Row::at_least(&what, &sample, bar, "million frames/s")
        } else {
            Row::plain(&what, sample.text("million frames/s"))
        });
    }
    Ok(rows)
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
