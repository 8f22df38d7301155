//! What one TCP connection carries between two instances.

use std::io::{Error, Result};

use super::Bench;
use super::table::{Row, Sample};

/// Both on one core, with the switch between them; each way.
pub(super) fn measure(_: &Bench) -> Result<Vec<Row>> {
    let arguments = [
        "bench",
        "--locked",
        "--package",
        "services",
        "--bench",
        "bulk",
    ];
    let output = crate::process::cargo(&arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut rows = Vec::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let ["BULK", monitor, sender, rate] = words[..] else {
            continue;
        };
        let way = if sender == "0" {
            "one way"
        } else {
            "the other way"
        };
        let what = format!("one TCP connection between two instances, MTU 1,500, {way}, {monitor}");
        let sample = Sample::of(vec![rate.parse().map_err(Error::other)?]);
        rows.push(Row::at_least(&what, &sample, 5.0, "Gbit/s"));
    }
    if !output.status.success() || rows.is_empty() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!("the bulk bench failed: {errors}")));
    }
    Ok(rows)
}
