//! Frames through a switch and its instances.

use std::io::{Error, Result};

use super::Bench;
use super::table::{Row, Sample};

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
    let mut alone = 0.0;
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let ["REPLACE", milliseconds] = words[..] {
            let sample = Sample::of(vec![milliseconds.parse().map_err(Error::other)?]);
            let what = "end of an instance to first frame through another, whose machine was ready";
            rows.push(Row::at_most(what, &sample, 5.0, "ms"));
            continue;
        }
        if let ["WANTED", ready, milliseconds] = words[..] {
            let sample = Sample::of(vec![milliseconds.parse().map_err(Error::other)?]);
            let (what, bar) = match ready {
                "0" => (
                    "an instance that a frame asks for, until it is through",
                    2.0,
                ),
                _ => ("the same where a machine stood ready", 0.5),
            };
            rows.push(Row::at_most(what, &sample, bar, "ms"));
            continue;
        }
        let ["SWITCH", name, rate, batch] = words[..] else {
            continue;
        };
        let rate: f64 = rate.parse().map_err(Error::other)?;
        if let Some(length) = name.strip_prefix("chain-") {
            let instances: f64 = length.parse().map_err(Error::other)?;
            if instances <= 1.0 {
                alone = rate;
                continue;
            }
            let what = format!(
                "through a chain of {length} instances at {rate} million frames/s, against a share of \
                 what one does"
            );
            let sample = Sample::of(vec![rate * instances / alone]);
            rows.push(Row::at_least(&what, &sample, 1.0, "times"));
            continue;
        }
        let (what, bar) = match name {
            "alone-64" => ("port to port through the switch alone, 64 bytes", 40.0),
            "one-64" => ("through 1 instance (EtherMirror), 64 bytes", 10.0),
            "one-1500" => ("through 1 instance (EtherMirror), 1,500 bytes", 2.5),
            "hundred-64" => ("over 100 instances (EtherMirror), 64 bytes", 3.0),
            "hundred-1500" => ("over 100 instances (EtherMirror), 1,500 bytes", 0.0),
            "ring-64" => ("from one lane to another by rings, 64 bytes", 10.0),
            "ring-1500" => ("from one lane to another by rings, 1,500 bytes", 2.5),
            other => (other, 0.0),
        };
        let what = match name {
            "alone-64" | "ring-64" | "ring-1500" => what.to_owned(),
            _ => format!("{what}, {batch} frames an entry"),
        };
        let sample = Sample::of(vec![rate]);
        rows.push(if bar > 0.0 {
            Row::at_least(&what, &sample, bar, "million frames/s")
        } else {
            Row::plain(&what, sample.text("million frames/s"))
        });
    }
    Ok(rows)
}
