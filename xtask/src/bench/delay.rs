//! The delay that an instance adds when it has nothing else to do.
//!
//! Two namespaces ping each other, first over the kernel's bridge, then through an instance that
//! passes frames on between two interfaces. Half of the difference is one traversal: both
//! interfaces, waking up, entering the instance and leaving it.

use std::io::{BufRead as _, BufReader, Error, Result};

use super::Bench;
use super::network::{self, Network};
use super::table::{Row, Sample};
use crate::machine;

const PASS: &str = "FromDevice(eth0) -> Queue -> ToDevice(eth1);
FromDevice(eth1) -> Queue -> ToDevice(eth0);
";

const ROUNDS: usize = 3;

/// Pings in a round, and how far they lie apart: far enough for everybody to fall asleep.
const PINGS: &str = "200";
const APART: &str = "0.01";

pub(super) fn delay(bench: &Bench) -> Result<Vec<Row>> {
    if !network::is_possible() {
        let why = "not measured: needs root, ip and ping".to_owned();
        return Ok(vec![Row::plain("delay of an idle instance", why)]);
    }
    let configuration = bench.scratch.join("pass.click");
    std::fs::write(&configuration, PASS)?;
    let network = Network::new()?;
    let mut bridged = Vec::new();
    let mut monitors = vec!["process"];
    if machine::has_kvm() {
        monitors.insert(0, "vm");
    }
    let kinds = [
        (
            "an idle instance adds to a frame over AF_PACKET",
            "packet",
            &[][..],
        ),
        ("an idle instance adds to a frame over AF_XDP", "xdp", &[]),
        (
            "a dedicated instance, which never sleeps, adds to a frame over AF_PACKET",
            "packet",
            &["--dedicated"],
        ),
    ];
    let ways = monitors
        .iter()
        .flat_map(|monitor| kinds.map(|kind| (*monitor, kind)));
    let mut ways: Vec<_> = ways.map(|way| (way, Vec::new())).collect();
    for _ in 0..ROUNDS {
        network.bridge(true)?;
        let direct = ping(&network)?;
        network.bridge(false)?;
        bridged.push(direct / 2.0);
        for ((monitor, (_, port, more)), added) in &mut ways {
            let _instance = network.instance(&bench.sprat, &configuration, monitor, port, more)?;
            added.push((ping(&network)? - direct) / 2.0);
        }
    }
    let mut rows = vec![Row::plain(
        "a frame over the kernel's bridge, half of a ping",
        Sample::of(bridged).text("µs"),
    )];
    let rest = rest()?;
    for ((monitor, (who, port, more)), added) in ways {
        let added = Sample::of(added);
        let what = format!("delay that {who}, {monitor}");
        rows.push(Row::at_most(&what, &added, 60.0, "µs"));
        if let (Some(rest), "vm", "packet", []) = (&rest, monitor, port, more) {
            let what = "a thread that has rested is woken, on this machine";
            rows.push(Row::plain(what, format!("{:.1} µs", rest.wake)));
            let what =
                "KVM enters a machine that has rested, which leaves at once (without a rest)";
            let entry = format!("{:.1} µs ({:.1})", rest.entry, rest.again);
            rows.push(Row::plain(what, entry));
            let above = Sample::of(vec![added.median() - rest.wake - rest.entry]);
            let what = "the idle vm's delay beyond one of each";
            rows.push(Row::at_most(what, &above, 15.0, "µs"));
        }
    }
    Ok(rows)
}

/// What nobody can do without who sleeps and runs in a virtual machine, in microseconds.
#[derive(Default)]
struct Rest {
    wake: f64,
    entry: f64,
    again: f64,
}

/// `None` without KVM.
fn rest() -> Result<Option<Rest>> {
    let arguments = ["bench", "--locked", "--package", "click", "--bench", "rest"];
    let output = crate::process::cargo(&arguments).output()?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!("the rest bench failed: {errors}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found = None;
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let ["REST", what, microseconds] = words[..] {
            let rest = found.get_or_insert_with(Rest::default);
            let place = match what {
                "wake" => &mut rest.wake,
                "entry" => &mut rest.entry,
                _ => &mut rest.again,
            };
            *place = microseconds.parse().map_err(Error::other)?;
        }
    }
    Ok(found)
}

/// The median of many pings' times, in microseconds.
fn ping(network: &Network) -> Result<f64> {
    let output = network.pinging(&["-c", PINGS, "-i", APART]).output()?;
    let times: Vec<f64> = BufReader::new(&*output.stdout)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| {
            let (_, rest) = line.split_once("time=")?;
            rest.split(' ').next()?.parse().ok()
        })
        .collect();
    if times.is_empty() {
        return Err(Error::other("no ping comes back"));
    }
    Ok(Sample::of(times).median() * 1000.0)
}
