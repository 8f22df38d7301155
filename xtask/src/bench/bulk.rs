//! What one TCP connection carries, between two instances, and between an instance and Linux.

use std::io::{Error, Result};

use super::Bench;
use super::table::{Row, Sample};

/// Two instances on one core, with the switch between them, each way; and an instance and Linux with a
/// tap interface between them, each way, beside what such interfaces carry between two namespaces.
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
        rows.extend(row(line)?);
    }
    if !output.status.success() || rows.is_empty() {
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(Error::other(format!("the bulk bench failed: {errors}")));
    }
    Ok(rows)
}

/// What a line of the bench says, if it is one of figures.
fn row(line: &str) -> Result<Option<Row>> {
    let words: Vec<_> = line.split_whitespace().collect();
    let sample =
        |figure: &str| Ok::<_, Error>(Sample::of(vec![figure.parse().map_err(Error::other)?]));
    Ok(Some(match words[..] {
        ["BULK", monitor, sender, rate] => {
            let way = if sender == "0" {
                "one way"
            } else {
                "the other way"
            };
            let what =
                format!("one TCP connection between two instances, MTU 1,500, {way}, {monitor}");
            Row::at_least(&what, &sample(rate)?, 5.0, "Gbit/s")
        }
        ["TAP", "linux", _, rate, _] => {
            let what = "the same over taps between Linux in two namespaces";
            Row::plain(what, sample(rate)?.text("Gbit/s"))
        }
        ["TAP", monitor, way, rate, ratio] => {
            let what =
                format!("the same over a tap {way} Linux, {monitor}: {rate} Gbit/s, against that");
            Row::at_least(&what, &sample(ratio)?, 1.0, "×")
        }
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_figures_become_rows_that_keep_their_bars_or_do_not() {
        for (line, kept) in [
            ("BULK vm 0 5.01", Some(true)),
            ("BULK process 1 4.99", Some(false)),
            ("TAP linux both 2.00 1.00", None),
            ("TAP vm to 2.50 1.25", Some(true)),
            ("TAP vm from 1.50 0.75", Some(false)),
        ] {
            let row = row(line).expect("figures").expect("a row");
            assert_eq!(row.kept, kept, "{line}");
        }
        assert!(row("skipped: needs root").expect("no figures").is_none());
        assert!(row("BULK vm 0 much").is_err());
    }
}
