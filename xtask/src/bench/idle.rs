//! What instances cost that have nothing to do.

use std::io::{Error, Result};

use super::Bench;
use super::sealed::{firewall, number};
use super::table::{Row, Sample};

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
    match idle_instances()? {
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

/// Idle instances under one monitor, as the bench `memory` reports them.
struct Idle {
    monitor: String,
    mebibytes: f64,
}

/// Makes many idle instances under each monitor; or says why that cannot be measured.
fn idle_instances() -> Result<std::result::Result<Vec<Idle>, String>> {
    let arguments = [
        "bench",
        "--locked",
        "--package",
        "click",
        "--bench",
        "memory",
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
        let ["MEMORY", monitor, _, bytes] = words[..] else {
            continue;
        };
        let bytes: f64 = bytes.parse().map_err(Error::other)?;
        found.push(Idle {
            monitor: monitor.to_lowercase(),
            mebibytes: bytes / 1_048_576.0,
        });
    }
    Ok(Ok(found))
}
