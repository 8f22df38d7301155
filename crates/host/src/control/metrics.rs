//! Metrics of an instance as Prometheus text (its exposition format, version 0.0.4): what the host
//! counts, what the instance keeps where the host can see it, and what it says itself.
//!
//! What an instance says is checked line by line. It has no say in names that begin with `sprat_`.

use std::fmt::{self, Write};
use std::time::Duration;

use sprat_abi::statistics::{Counter, Snapshot, Subject};
use sprat_monitor::{MemoryUse, Shared};
use sprat_switch::port::Counters;

/// The handler in which services give their own metrics.
pub const OWN: &str = "os.metrics";

/// Most lines of metrics that are taken from an instance.
const LINE_LIMIT: usize = 10_000;

/// Longest of them, in bytes.
const LENGTH_LIMIT: usize = 1024;

/// What the host has counted for an instance.
#[derive(Clone, Debug)]
pub struct Counted {
    /// Times it was entered.
    pub entries: u64,
    /// Frames handed to it.
    pub delivered: u64,
    /// Frames taken from it.
    pub collected: u64,
    /// Console bytes dropped because there were too many.
    pub console_dropped: u64,
    /// Time spent in it.
    pub inside: Duration,
    /// Each of its devices, with what came in and what went out there.
    pub devices: Vec<(String, [Counters; 2])>,
    /// Its memory, where that is known.
    pub memory: Option<MemoryUse>,
}

/// Everything; `own` is what the instance says itself.
#[must_use]
pub fn text(counted: &Counted, shared: &mut Shared, own: &str) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_host(&mut text, counted, shared);
    let dropped = take_own(&mut text, own);
    let _ = single(
        &mut text,
        "sprat_metric_lines_refused",
        "gauge",
        "Lines of the instance's own metrics that are not well formed or not its to say.",
        dropped,
    );
    text
}

pub(crate) fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

/// A metric without labels.
fn single(
    out: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    value: impl fmt::Display,
) -> fmt::Result {
    family(out, name, kind, help)?;
    writeln!(out, "{name} {value}")
}

fn write_host(out: &mut String, counters: &Counted, shared: &mut Shared) -> fmt::Result {
    for (name, help, value) in [
        (
            "sprat_entries_total",
            "Times the instance was entered.",
            counters.entries,
        ),
        (
            "sprat_frames_delivered_total",
            "Frames handed to the instance.",
            counters.delivered,
        ),
        (
            "sprat_frames_collected_total",
            "Frames taken from the instance.",
            counters.collected,
        ),
        (
            "sprat_console_bytes_dropped_total",
            "Console bytes dropped because there were too many.",
            counters.console_dropped,
        ),
    ] {
        single(out, name, "counter", help, value)?;
    }
    single(
        out,
        "sprat_inside_seconds_total",
        "counter",
        "Time spent in the instance.",
        counters.inside.as_secs_f64(),
    )?;
    write_ports(out, &counters.devices)?;
    if let Some(memory) = counters.memory {
        let help = "Memory of the instance that is its own.";
        single(
            out,
            "sprat_memory_private_bytes",
            "gauge",
            help,
            memory.private,
        )?;
        let help = "Memory of the instance that it shares with others.";
        single(
            out,
            "sprat_memory_shared_bytes",
            "gauge",
            help,
            memory.shared,
        )?;
    }
    let help = "Heap in use, as the instance says.";
    single(
        out,
        "sprat_heap_used_bytes",
        "gauge",
        help,
        shared.heap_bytes(),
    )?;
    let records: Vec<Snapshot> = shared.records().collect();
    write_records(out, &records)
}

fn write_ports(out: &mut String, devices: &[(String, [Counters; 2])]) -> fmt::Result {
    for (name, help) in [
        (
            "sprat_port_frames_total",
            "Frames that came in and went out at ports.",
        ),
        (
            "sprat_port_bytes_total",
            "Bytes that came in and went out at ports.",
        ),
    ] {
        family(out, name, "counter", help)?;
        for (device, [input, output]) in devices {
            for (direction, volume) in [("in", input.received), ("out", output.sent)] {
                let value = match name.contains("frames") {
                    true => volume.frames,
                    false => volume.bytes,
                };
                let device = label(device);
                writeln!(
                    out,
                    "{name}{{device=\"{device}\",direction=\"{direction}\"}} {value}"
                )?;
            }
        }
    }
    let name = "sprat_port_frames_dropped_total";
    family(out, name, "counter", "Frames dropped at ports.")?;
    for (device, [input, output]) in devices {
        let device = label(device);
        for (direction, counters) in [("in", input), ("out", output)] {
            for (cause, frames) in &counters.dropped {
                let cause = label(&cause.to_string());
                writeln!(
                    out,
                    "{name}{{device=\"{device}\",direction=\"{direction}\",cause=\"{cause}\"}} {frames}"
                )?;
            }
        }
    }
    Ok(())
}

/// What a router's elements have counted.
fn write_records(out: &mut String, records: &[Snapshot]) -> fmt::Result {
    let elements = || {
        let of_elements = records
            .iter()
            .filter(|record| record.subject == Some(Subject::Element));
        of_elements.map(|record| (label(&String::from_utf8_lossy(record.name())), record))
    };
    if elements().next().is_none() {
        return Ok(());
    }
    let name = "sprat_element_packets_total";
    family(
        out,
        name,
        "counter",
        "Packets that came in and went out at elements.",
    )?;
    for (element, record) in elements() {
        for (direction, counter) in [("in", Counter::PacketsIn), ("out", Counter::PacketsOut)] {
            let value = record.get(counter);
            writeln!(
                out,
                "{name}{{element=\"{element}\",direction=\"{direction}\"}} {value}"
            )?;
        }
    }
    let name = "sprat_element_runs_total";
    family(out, name, "counter", "Times elements' tasks ran.")?;
    for (element, record) in elements() {
        match record.get(Counter::Calls) {
            // Most elements have no task.
            0 => {}
            runs => writeln!(out, "{name}{{element=\"{element}\"}} {runs}")?,
        }
    }
    Ok(())
}

/// The value of a label, with what would end it escaped.
pub(crate) fn label(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// Takes over an instance's own metrics; says how many lines of them it did not.
fn take_own(out: &mut String, own: &str) -> usize {
    let mut dropped = 0;
    for (number, line) in own.lines().enumerate() {
        if number < LINE_LIMIT && is_metric(line) {
            out.push_str(line);
            out.push('\n');
        } else {
            dropped += 1;
        }
    }
    dropped
}

/// Whether a line is a sample or says what its family is, and is an instance's to say.
fn is_metric(line: &str) -> bool {
    if line.len() > LENGTH_LIMIT || line.contains(char::is_control) {
        return false;
    }
    if let Some(rest) = line.strip_prefix("# ") {
        let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        return is_own_name(name)
            && match kind {
                "HELP" => true,
                "TYPE" => matches!(
                    rest,
                    "counter" | "gauge" | "histogram" | "summary" | "untyped"
                ),
                _ => false,
            };
    }
    let end = line.find(['{', ' ']).unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    let value = match rest.strip_prefix('{') {
        None => rest,
        Some(labels) => match end_of_labels(labels) {
            Some(end) => &labels[end..],
            None => return false,
        },
    };
    let value = value.strip_prefix(' ').unwrap_or("");
    is_own_name(name) && (value.parse::<f64>().is_ok() || value == "+Inf" || value == "-Inf")
}

/// Where a list of labels ends: behind its brace.
fn end_of_labels(labels: &str) -> Option<usize> {
    let mut rest = labels;
    while !rest.starts_with('}') {
        let (name, value) = rest.split_once("=\"")?;
        if !is_name(name) {
            return None;
        }
        let mut escaped = false;
        let end = value.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        })?;
        rest = &value[end + 1..];
        rest = match rest.strip_prefix(',') {
            Some(rest) => rest,
            None if rest.starts_with('}') => rest,
            None => return None,
        };
    }
    Some(labels.len() - rest.len() + 1)
}

fn is_own_name(name: &str) -> bool {
    is_name(name) && !name.starts_with("sprat_")
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':');
    name.starts_with(letter) && name.chars().all(|c| letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instance_says_is_taken_only_where_it_is_a_metric_of_its_own() {
        let good = [
            "# HELP requests_total Requests answered.",
            "# TYPE requests_total counter",
            "requests_total 3",
            "open -1",
            "bytes_bucket{le=\"+Inf\"} 6",
            "drops{cause=\"a \\\"b\\\" {c}\",device=\"eth0\"} 1e3",
            "ratio NaN",
        ];
        let bad = [
            "",
            "# requests_total",
            "# TYPE requests_total number",
            "# HELP sprat_entries_total Mine.",
            "sprat_entries_total 0",
            "requests_total",
            "requests_total three",
            "requests_total 3 4",
            "1up 3",
            "a{b=\"c} 1",
            "a{b=\"c\"d=\"e\"} 1",
            "a{b=c} 1",
            "a{} 1\u{7}",
        ];
        for line in good {
            assert!(is_metric(line), "{line}");
        }
        for line in bad {
            assert!(!is_metric(line), "{line}");
        }
        let mut text = String::new();
        let own = [&good[..], &bad[..]].concat().join("\n");
        assert_eq!(take_own(&mut text, &own), bad.len());
        assert_eq!(text, good.join("\n") + "\n");
    }

    #[test]
    fn an_endless_list_is_cut() {
        let mut text = String::new();
        assert_eq!(take_own(&mut text, &"a 1\n".repeat(LINE_LIMIT + 5)), 5);
        assert!(!is_metric(&format!("{} 1", "a".repeat(LENGTH_LIMIT))));
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
