//! What a run came to, as a table for people and as JSON for programs.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

/// A run's result.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// What ran.
    pub(super) program: String,
    /// Which monitor held it, and why that one.
    pub(super) monitor: &'static str,
    pub(super) monitor_reason: String,
    pub(super) image_bytes: u64,
    /// Whether the image holds every element, and not only those that are used.
    pub(super) image_is_general: bool,
    pub(super) memory: Memory,
    pub(super) boot: Boot,
    pub(super) frames: Frames,
    pub(super) devices: Vec<Device>,
    /// The numbers that the run's folder asks for.
    pub(super) groups: Vec<Group>,
    /// Where frames ended or were made, element by element.
    pub(super) elements: Vec<Element>,
    pub(super) seconds: f64,
    pub(super) frames_per_second: f64,
    pub(super) entries: u64,
    pub(super) largest_batch: u64,
    /// Quiet stretches in which timers expired later than they were due.
    pub(super) leaps: u64,
    pub(super) console_bytes_dropped: u64,
}

/// Memory in use at the end, in bytes.
#[derive(Debug, Serialize)]
pub(super) struct Memory {
    pub(super) private: u64,
    pub(super) shared: u64,
}

/// What booting took, in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct Boot {
    pub(super) monitor: u64,
    pub(super) load: u64,
    pub(super) memory: u64,
    pub(super) machine: u64,
    pub(super) page_tables: u64,
    pub(super) contract: u64,
    /// From the first entry to the first yield.
    pub(super) guest_start: u64,
    /// From the first yield to the first frame out; nothing where none came.
    pub(super) first_frame: Option<u64>,
    pub(super) total: u64,
}

/// All devices together.
#[derive(Debug, Serialize)]
pub(super) struct Frames {
    /// Frames that the ports had.
    pub(super) received: u64,
    /// Frames that were handed to the instance.
    pub(super) delivered: u64,
    /// Frames that came out of the instance.
    pub(super) sent: u64,
    /// Frames that elements made: copies, answers, fragments.
    pub(super) made: u64,
    /// Frames that ended in elements: dropped, discarded, or still held.
    pub(super) ended: u64,
    /// Frames dropped at ports, before they came to an element or after they left the last one.
    pub(super) dropped: u64,
}

/// One device.
#[derive(Debug, Serialize)]
pub(super) struct Device {
    pub(super) name: String,
    pub(super) received: u64,
    pub(super) received_bytes: u64,
    pub(super) sent: u64,
    pub(super) sent_bytes: u64,
    /// The capture that was written.
    pub(super) capture: Option<String>,
    pub(super) dropped: Vec<Drop>,
}

/// Frames dropped at a port, on their way in or out.
#[derive(Debug, Serialize)]
pub(super) struct Drop {
    pub(super) cause: String,
    pub(super) frames: u64,
}

/// Numbers that belong together.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) lines: Vec<Line>,
}

/// A number by name.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) handler: String,
    pub(super) value: String,
}

/// An element that frames did not simply pass through.
#[derive(Debug, Serialize)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) class: String,
    #[serde(rename = "in")]
    pub(super) taken: u64,
    #[serde(rename = "out")]
    pub(super) given: u64,
}

impl Element {
    /// Frames that came out without having gone in.
    pub(super) fn made(&self) -> u64 {
        self.given.saturating_sub(self.taken)
    }

    /// Frames that went in and did not come out.
    pub(super) fn ended(&self) -> u64 {
        self.taken.saturating_sub(self.given)
    }
}

impl Report {
    /// The report for a person.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        let boot = &self.boot;
        // Writing to a string cannot fail.
        let _ = self.write_head(&mut text, boot);
        let _ = self.write_devices(&mut text);
        for group in &self.groups {
            let _ = writeln!(text, "\n{}", group.title);
            let width = group
                .lines
                .iter()
                .map(|line| line.name.chars().count())
                .max()
                .unwrap_or(0);
            for line in &group.lines {
                let _ = writeln!(text, "  {:width$}  {:>12}", line.name, line.value);
            }
        }
        if self.groups.is_empty() {
            let all = self.elements.iter();
            let _ = write_elements(&mut text, "where frames ended or were made", all.collect());
        } else {
            // Whoever wrote the report counts what goes where it is thrown away.
            let elements = self.elements.iter();
            let others = elements.filter(|one| one.ended() > 0 && one.class != "Discard");
            let _ = write_elements(&mut text, "ended elsewhere", others.collect());
        }
        text
    }

    fn write_head(&self, text: &mut String, boot: &Boot) -> std::fmt::Result {
        writeln!(text, "{}", self.program)?;
        writeln!(text, "  monitor  {}: {}", self.monitor, self.monitor_reason)?;
        writeln!(
            text,
            "  memory   {} private, {} shared; image {}{}",
            bytes(self.memory.private),
            bytes(self.memory.shared),
            bytes(self.image_bytes),
            if self.image_is_general {
                ", with every element (`sprat build` makes one with those that are used)"
            } else {
                ""
            }
        )?;
        let first = boot.first_frame.map_or_else(
            || ", no frame came out".into(),
            |time| format!(", first frame {}", micros(time)),
        );
        writeln!(
            text,
            "  boot     {}: monitor {}, load {}, memory {}, machine {}, page tables {}, contract {}, guest start {}{first}",
            micros(boot.total),
            micros(boot.monitor),
            micros(boot.load),
            micros(boot.memory),
            micros(boot.machine),
            micros(boot.page_tables),
            micros(boot.contract),
            micros(boot.guest_start),
        )?;
        writeln!(
            text,
            "  frames   {} in, {} made inside; {} out, {} ended inside, {} dropped at ports",
            self.frames.received,
            self.frames.made,
            self.frames.sent,
            self.frames.ended,
            self.frames.dropped
        )?;
        writeln!(
            text,
            "  speed    {} frames/s ({} in {} entries of up to {})",
            rate(self.frames_per_second),
            seconds(self.seconds),
            self.entries,
            self.largest_batch
        )?;
        if self.leaps > 0 {
            writeln!(
                text,
                "  time     {} long quiet stretches leapt: timers in them expired up to 1/64 of the quiet late",
                self.leaps
            )?;
        }
        Ok(())
    }

    fn write_devices(&self, text: &mut String) -> std::fmt::Result {
        let width = self
            .devices
            .iter()
            .map(|device| device.name.chars().count())
            .max()
            .unwrap_or(0);
        writeln!(text)?;
        for device in &self.devices {
            writeln!(
                text,
                "  {:width$}  in {:>10} ({})  out {:>10} ({}){}",
                device.name,
                device.received,
                bytes(device.received_bytes),
                device.sent,
                bytes(device.sent_bytes),
                device
                    .capture
                    .as_ref()
                    .map(|path| format!(": {path}"))
                    .unwrap_or_default()
            )?;
            for drop in &device.dropped {
                writeln!(
                    text,
                    "  {:width$}  {:>10} dropped: {}",
                    "", drop.frames, drop.cause
                )?;
            }
        }
        Ok(())
    }
}

fn write_elements(text: &mut String, title: &str, elements: Vec<&Element>) -> std::fmt::Result {
    if elements.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n{title}")?;
    let lengths = elements.iter().map(|element| element.name.chars().count());
    let width = lengths.max().unwrap_or(0);
    for element in elements {
        let (what, count) = match element.ended() {
            0 => ("made", element.made()),
            ended => ("ended", ended),
        };
        writeln!(text, "  {:width$}  {count:>12} {what}", element.name)?;
    }
    Ok(())
}

fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => format!("{count} B"),
        10_000..=9_999_999 => format!("{} KiB", count / 1024),
        _ => format!("{} MiB", count >> 20),
    }
}

fn micros(count: u64) -> String {
    if count < 1000 {
        format!("{count} µs")
    } else {
        format!("{:.2} ms", count as f64 / 1000.0)
    }
}

fn seconds(count: f64) -> String {
    if count < 1.0 {
        format!("{:.2} ms", count * 1000.0)
    } else {
        format!("{count:.2} s")
    }
}

/// A rate, by the second.
pub(super) fn rate(count: f64) -> String {
    if count >= 1e6 {
        format!("{:.2} million", count / 1e6)
    } else {
        format!("{count:.0}")
    }
}

/// A duration in whole microseconds.
pub(super) fn microseconds(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
