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
    for ((monitor, (who, ..)), added) in ways {
        let what = format!("delay that {who}, {monitor}");
        rows.push(Row::at_most(&what, &Sample::of(added), 60.0, "µs"));
    }
    Ok(rows)
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
