//! Watching instances and ports, and putting others in the place of those that ended.

use sprat_monitor::{Death, Instance};
use sprat_switch::switch::{Event, InstanceId};

use super::carry::Carrying;
use super::maker::{Job, Made};
use super::{Lane, Making};
use crate::desired::{Boot, Restart};
use crate::protocol::{self, State};

/// How long after an instance could not be made it is tried again, at least, in nanoseconds.
const ANOTHER_TRY: u64 = 200_000_000;

/// How long an instance that is asked to stop may take, in nanoseconds.
pub(super) const FAREWELL: u64 = 2_000_000_000;

impl Lane {
    /// Acts on what has happened in the switch.
    pub(super) fn act_on(&mut self, event: Event) {
        match event {
            Event::Ended {
                instance,
                death,
                remains,
            } => {
                self.maker.give(Job::Bury(remains));
                self.instance_ended(instance, *death);
            }
            Event::Wanted { instance } => {
                let unit = self.units.values().find(|unit| unit.place == instance);
                if let Some(unit) = unit.filter(|unit| unit.state == State::Waiting) {
                    let name = unit.name.clone();
                    self.start(&name);
                }
            }
            Event::Console { instance, text } => {
                let mut units = self.units.values_mut();
                if let Some(unit) = units.find(|unit| unit.place == instance) {
                    unit.console.write(&text);
                }
            }
            Event::Answer { ticket, result } => {
                if let Some(carrying) = self.carrying.remove(&ticket) {
                    self.carried(carrying, result);
                } else if let Some(asked) = self.asked.remove(&ticket) {
                    let text = |text: Vec<u8>| String::from_utf8_lossy(&text).into_owned();
                    asked.answer(result.map(text));
                }
            }
            Event::PortFailed { port, error } => {
                let mut ports = self.ports.iter_mut();
                if let Some((name, found)) = ports.find(|(_, found)| found.id == port) {
                    found.failed = Some(error.to_string());
                    // Whoever gave it gives another.
                    self.teller.tell(found.failure(name, &error.to_string()));
                }
            }
            _ => {}
        }
    }

    /// An instance is no more: decides what comes after it.
    pub(super) fn instance_ended(&mut self, place: InstanceId, death: Death) {
        let mut units = self.units.values_mut();
        let Some(unit) = units.find(|unit| unit.place == place) else {
            return;
        };
        if unit.state == State::Stopped {
            unit.due = None;
            return;
        }
        let ran = self.now.saturating_sub(unit.since);
        let well = matches!(death, Death::Exited(0));
        if !well {
            unit.last_end = Some(first_line(&death.to_string()));
            let console = unit.console.read(0, false);
            let console = console.map_or(Vec::new(), |(_, text)| text);
            self.maker.give(Job::Report {
                instance: unit.name.clone(),
                spec: unit.spec.clone(),
                death: Box::new(death),
                console,
            });
        }
        let again = match unit.restart {
            Restart::Always => true,
            Restart::OnFailure => !well,
            Restart::Never => false,
        };
        if !again {
            unit.enter(State::Ended, self.now);
            return;
        }
        let wait = unit.backoff.wait(ran);
        unit.restarts += 1;
        unit.enter(State::BackingOff, self.now);
        if wait > 0 {
            unit.due = Some(self.now.saturating_add(wait));
            return;
        }
        let name = unit.name.clone();
        self.start(&name);
    }

    /// Has a unit run, as soon as an instance is made for it. What all instances need stands ready for
    /// that (`maker.rs`).
    pub(super) fn start(&mut self, name: &str) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        // What comes meanwhile is kept.
        self.switch.keep_frames(unit.place, true);
        unit.enter(State::Starting, self.now);
        if std::mem::replace(&mut unit.making, true) {
            return;
        }
        let spec = unit.spec.clone();
        let ticket = self.ticket();
        self.making.insert(ticket, Making::Unit(name.into()));
        self.maker.give(Job::Make { ticket, spec });
    }

    /// Puts an instance in a unit's place.
    pub(super) fn put(&mut self, name: &str, instance: Box<dyn Instance>) {
        let Some(unit) = self.units.get_mut(name) else {
            self.maker.give(Job::Discard(instance));
            return;
        };
        unit.enter(State::Running, self.now);
        let place = unit.place;
        if unit.boot == Boot::FirstFrame {
            unit.due = Some(self.now.saturating_add(unit.idle));
        }
        // What was kept comes after what is carried in.
        self.switch.pause(place, true);
        self.switch.put(place, instance);
        self.switch.keep_frames(place, false);
        self.carry_in(name);
    }

    /// Finds the place of what was made.
    pub(super) fn place_made(&mut self, made: Made) {
        let (ticket, result) = match made {
            Made::Instance { ticket, result } => (ticket, result),
            Made::Report {
                instance,
                at,
                how,
                report,
            } => {
                // Now with the names of functions.
                if let Some(unit) = self.units.get_mut(&instance)
                    && unit.last_end.is_some()
                {
                    unit.last_end = Some(how.clone());
                }
                self.teller.tell(protocol::Event::Died {
                    instance,
                    at,
                    how,
                    report,
                });
                return;
            }
        };
        match (self.making.remove(&ticket), result) {
            (Some(Making::Change(name)), result) => self.made_for_change(&name, result),
            (Some(Making::Unit(name)), Ok(instance)) => {
                let Some(unit) = self.units.get_mut(&name) else {
                    self.maker.give(Job::Discard(instance));
                    return;
                };
                unit.making = false;
                match unit.state {
                    State::Starting => self.put(&name, instance),
                    // It was stopped or put away meanwhile.
                    _ => self.maker.give(Job::Discard(instance)),
                }
            }
            (Some(Making::Unit(name)), Err(error)) => {
                if let Some(unit) = self.units.get_mut(&name) {
                    unit.making = false;
                    unit.last_end = Some(error);
                    if unit.state == State::Starting {
                        let wait = unit.backoff.wait(0);
                        unit.enter(State::BackingOff, self.now);
                        unit.due = Some(self.now.saturating_add(wait.max(ANOTHER_TRY)));
                    }
                }
            }
            (None, Ok(instance)) => self.maker.give(Job::Discard(instance)),
            (None, Err(_)) => {}
        }
    }

    /// Has a unit stop, or go on.
    pub(super) fn set_stopped(&mut self, name: &str, stopped: bool) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        if stopped && unit.state != State::Stopped {
            let running = unit.state == State::Running;
            unit.enter(State::Stopped, self.now);
            let place = unit.place;
            if running {
                unit.due = Some(self.now.saturating_add(FAREWELL));
                self.switch.stop(place);
            }
            self.switch.keep_frames(place, false);
        } else if !stopped && unit.state == State::Stopped {
            // One that is still on its way out makes room.
            if let Some(remains) = self.switch.take(unit.place) {
                self.maker.give(Job::Bury(remains));
            }
            self.begin(name);
        }
    }

    /// Has a unit begin as it is declared to.
    pub(super) fn begin(&mut self, name: &str) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        match unit.boot {
            Boot::Now => self.start(name),
            Boot::FirstFrame => {
                unit.enter(State::Waiting, self.now);
                self.switch.keep_frames(unit.place, true);
            }
        }
    }

    /// Replaces what has backed off for long enough, and gives up what does not stop.
    pub(super) fn see_what_is_due(&mut self) {
        let now = self.now;
        let due = |due: &Option<u64>| due.is_some_and(|due| due <= now);
        while let Some(unit) = self.units.values_mut().find(|unit| due(&unit.due)) {
            unit.due = None;
            let (name, place) = (unit.name.clone(), unit.place);
            if unit.state == State::BackingOff {
                self.start(&name);
            } else if unit.state == State::Running {
                self.look_whether_idle(&name);
            } else if let Some(remains) = self.switch.take(place) {
                self.maker.give(Job::Bury(remains));
            }
        }
    }

    /// Puts a unit away that begins with a frame and has had none since it was last looked at.
    fn look_whether_idle(&mut self, name: &str) {
        let Some(unit) = self.units.get_mut(name) else {
            return;
        };
        if unit.boot != Boot::FirstFrame {
            return;
        }
        let counted = self.switch.devices(unit.place);
        let counted = counted.map(|port| self.switch.port_counters(port));
        let passed = counted.map(|port| port.received.frames + port.sent.frames);
        let passed = passed.sum();
        if std::mem::replace(&mut unit.passed, passed) != passed {
            unit.due = Some(self.now.saturating_add(unit.idle));
        } else if unit.carries {
            self.carry_out(Carrying::OutToRest(name.into()));
        } else {
            self.put_away(name);
        }
    }

    /// When there is something to do without anything happening.
    pub(super) fn next_due(&self) -> u64 {
        let due = self.units.values().filter_map(|unit| unit.due);
        due.min().unwrap_or(u64::MAX)
    }
}

/// The beginning of a death, which may have a backtrace of many lines.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().into()
}
