//! A run under way, and what it came to.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sprat_abi::statistics::{Counter, Subject};
use sprat_switch::lane::{ControlError, Lane, LaneError, Link};
use sprat_switch::port::GiveUp;

use super::control::Control;
use super::error::RunError;
use super::files::Files;
use super::machine::Facts;
use super::progress::Progress;
use super::report::{
    Boot, Device, Drop, Element, Frames, Group, Line, Memory, Report, microseconds,
};
use super::settings::{Program, Settings};

/// A run under way.
pub(super) struct Session {
    pub(super) lane: Lane,
    pub(super) facts: Facts,
    pub(super) files: Files,
    pub(super) interrupted: GiveUp,
    /// Whether an interrupt is how the run ends.
    pub(super) live: bool,
    pub(super) control: Control,
    pub(super) progress: Progress,
}

impl Session {
    /// Plays everything through the instance and asks it what came of it.
    pub(super) fn play(&mut self, settings: &Settings) -> Result<Report, RunError> {
        let begin = Instant::now();
        let (progress, interrupted, files, control) = (
            &mut self.progress,
            &self.interrupted,
            &mut self.files,
            &self.control,
        );
        let mut failed: Option<RunError> = None;
        self.lane.run(&mut |lane| {
            if let Err(error) = control.answer(lane) {
                failed = Some(error.into());
            }
            let said = lane.take_console();
            if !said.is_empty() {
                // Not behind the line that shows progress.
                progress.clear();
                say(&said, control);
            }
            if let Err(error) = files.write(&lane.take_files()) {
                failed.get_or_insert(error);
            }
            progress.show(lane);
            failed.is_none() && !interrupted.load(Ordering::Relaxed)
        })?;
        self.progress.clear();
        let elapsed = begin.elapsed();
        if let Some(error) = failed {
            return Err(error);
        }
        if self.interrupted.load(Ordering::Relaxed) && !self.live {
            return Err(RunError::Interrupted);
        }
        if let Some(status @ 1..) = self.lane.exit_status().map(i32::unsigned_abs) {
            return Err(RunError::Exit(i32::try_from(status).unwrap_or(1)));
        }
        // Handlers answer only while the instance lives; what the ports count may still grow while
        // it comes to its end.
        let (groups, elements) = (self.groups(settings)?, self.elements()?);
        let memory = self.lane.instance().memory_use()?;
        self.lane.stop()?;
        self.lane.count_untaken()?;
        self.files.write(&self.lane.take_files())?;
        let memory = Memory {
            private: memory.private,
            shared: memory.shared,
        };
        Ok(self.report(settings, groups, elements, memory, elapsed))
    }

    pub(super) fn say_console(&mut self) {
        self.progress.clear();
        say(&self.lane.take_console(), &self.control);
    }

    /// Adds function names to a fault.
    pub(super) fn explain(&self, error: RunError) -> RunError {
        match error {
            RunError::Lane(LaneError::Death(death)) => {
                RunError::Lane(LaneError::Death(Box::new(self.facts.name(*death))))
            }
            other => other,
        }
    }

    fn report(
        &mut self,
        settings: &Settings,
        groups: Vec<Group>,
        elements: Vec<Element>,
        memory: Memory,
        elapsed: Duration,
    ) -> Report {
        let counters = *self.lane.counters();
        let devices: Vec<Device> = self
            .lane
            .links()
            .iter()
            .map(|link| device(link, settings.capture_of(&link.device)))
            .collect();
        let received = devices.iter().map(|device| device.received).sum();
        let sent = devices.iter().map(|device| device.sent).sum();
        let drops = devices.iter().flat_map(|device| &device.dropped);
        let dropped = drops.map(|drop| drop.frames).sum();
        let made = elements.iter().map(Element::made).sum();
        let ended = elements.iter().map(Element::ended).sum();
        let times = self.lane.instance().creation_times();
        let started = counters.first_yield.unwrap_or_default();
        let first_frame = counters
            .first_frame
            .map(|time| time.saturating_sub(started));
        let created = self.facts.open + self.facts.load + times.total();
        let total = created + started + first_frame.unwrap_or_default();
        Report {
            program: self.facts.program.clone(),
            monitor: self.facts.monitor,
            monitor_reason: self.facts.reason.clone(),
            image_bytes: self.facts.image_bytes,
            image_is_general: matches!(settings.program, Program::Click { .. }),
            memory,
            boot: Boot {
                monitor: microseconds(self.facts.open),
                load: microseconds(self.facts.load),
                memory: microseconds(times.memory),
                machine: microseconds(times.machine),
                page_tables: microseconds(times.tables),
                contract: microseconds(times.contract),
                guest_start: microseconds(started),
                first_frame: first_frame.map(microseconds),
                total: microseconds(total),
            },
            frames: Frames {
                received,
                delivered: counters.delivered,
                sent,
                made,
                ended,
                dropped,
            },
            devices,
            groups,
            elements,
            seconds: elapsed.as_secs_f64(),
            frames_per_second: counters.delivered as f64 / elapsed.as_secs_f64().max(f64::EPSILON),
            entries: counters.entries,
            largest_batch: counters.largest_batch,
            leaps: counters.leaps,
            console_bytes_dropped: counters.console_dropped,
        }
    }

    /// The numbers that the run's folder asks for.
    fn groups(&mut self, settings: &Settings) -> Result<Vec<Group>, RunError> {
        let mut groups = Vec::new();
        if self.lane.exit_status().is_some() {
            // Nobody answers any more.
            return Ok(groups);
        }
        for group in &settings.report {
            let mut lines = Vec::new();
            for (name, handler) in &group.lines {
                let value =
                    self.lane
                        .read_handler(handler, "")
                        .map_err(|source| RunError::Report {
                            handler: handler.clone(),
                            source,
                        })?;
                let value = String::from_utf8_lossy(&value).trim().to_string();
                lines.push(Line {
                    name: name.clone(),
                    handler: handler.clone(),
                    value,
                });
            }
            groups.push(Group {
                title: group.title.clone(),
                lines,
            });
        }
        Ok(groups)
    }

    /// Elements that frames did not simply pass through. An image that is no Click router has none.
    fn elements(&mut self) -> Result<Vec<Element>, LaneError> {
        let text = match self.lane.read_handler("traffic", "") {
            Ok(text) => text,
            Err(ControlError::Lane(error)) => return Err(error),
            Err(_) => return Ok(self.recorded_elements()),
        };
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = |line: &str| {
            let mut fields = line.split('\t');
            let (name, class) = (fields.next()?.to_string(), fields.next()?.to_string());
            let (taken, given) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            Some(Element {
                name,
                class,
                taken,
                given,
            })
        };
        let lines = text.lines().filter_map(line);
        Ok(lines
            .filter(|element| element.taken != element.given)
            .collect())
    }

    /// The same, of a router that came to its end by itself and answers no more: what it has
    /// recorded in shared memory, where no classes are told.
    fn recorded_elements(&mut self) -> Vec<Element> {
        let shared = self.lane.instance().shared();
        let records = shared.records();
        records
            .filter(|record| record.subject == Some(Subject::Element))
            .map(|record| Element {
                name: String::from_utf8_lossy(record.name()).into_owned(),
                class: String::new(),
                taken: record.get(Counter::PacketsIn),
                given: record.get(Counter::PacketsOut),
            })
            .filter(|element| element.taken != element.given)
            .collect()
    }
}

fn device(link: &Link, capture: Option<&Path>) -> Device {
    let input = link
        .input()
        .map(|port| port.counters().clone())
        .unwrap_or_default();
    let output = link
        .output()
        .map(|port| port.counters().clone())
        .unwrap_or_default();
    let mut dropped: Vec<Drop> = input
        .dropped
        .iter()
        .chain(&output.dropped)
        .map(|(cause, frames)| Drop {
            cause: cause.to_string(),
            frames: *frames,
        })
        .collect();
    if link.unconnected > 0 {
        dropped.push(Drop {
            cause: format!("no --out {}", link.device),
            frames: link.unconnected,
        });
    }
    if link.untaken > 0 {
        dropped.push(Drop {
            cause: format!("the instance never took them from {}", link.device),
            frames: link.untaken,
        });
    }
    Device {
        name: link.device.clone(),
        received: input.received.frames,
        received_bytes: input.received.bytes,
        sent: output.sent.frames,
        sent_bytes: output.sent.bytes,
        capture: capture.map(|path| path.display().to_string()),
        dropped,
    }
}

/// Passes on what the instance said.
fn say(text: &[u8], control: &Control) {
    if !text.is_empty() {
        control.say(text);
        // Nobody is left to tell that standard error is closed.
        let _ = std::io::stderr().write_all(text);
    }
}
