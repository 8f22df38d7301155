//! Doing what was declared: the smallest change from what is there.
//!
//! What can fail comes first: ports are opened and instances made while everything goes on as it
//! was. Then all of it is put in place between two turns.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;

use sprat_monitor::Instance;
use sprat_switch::port::Port;
use sprat_switch::switch::PortId;

use super::carry::Carrying;
use super::given::Stock;
use super::maker::{Job, Spec};
use super::unit::{Backoff, Unit};
use super::{Lane, LanePort, Making};
use crate::control::Console;
use crate::desired::{Boot, Desired, Function, device_address, instance_names};
use crate::protocol::{Answer, State};

/// What units are to run, and the instances that were made for them.
type Wanted = BTreeMap<String, (Arc<Spec>, Option<Box<dyn Instance>>)>;

/// A change whose instances are being made.
pub(super) struct Pending {
    desired: Desired,
    /// Ports that were opened for it.
    ports: BTreeMap<String, Box<dyn Port>>,
    /// Units that are new, or are to run something else.
    units: Wanted,
    /// Instances that are being made; then, what is being carried out of their predecessors.
    missing: usize,
    /// Whether these have been asked.
    asked: bool,
    reply: Sender<Answer>,
}

/// In nanoseconds.
fn idle(function: &Function) -> u64 {
    u64::from(function.idle).saturating_mul(1_000_000_000)
}

fn spec(name: &str, function: &Function) -> Arc<Spec> {
    let devices = function.devices.iter();
    Arc::new(Spec {
        program: function.program.clone(),
        devices: devices
            .map(|device| (device.clone(), device_address(name, device)))
            .collect(),
        parameters: function.parameters.clone(),
        memory: function.memory,
    })
}

impl Lane {
    /// Begins to do what is declared from now on.
    pub(super) fn apply(&mut self, desired: Desired, reply: Sender<Answer>) {
        if self.pending.is_some() {
            let _ = reply.send(Answer::Refused("another change is under way".into()));
            return;
        }
        let ports = match self.new_ports(&desired) {
            Ok(ports) => ports,
            Err(error) => {
                self.stock = Stock::default();
                let _ = reply.send(Answer::Refused(error));
                return;
            }
        };
        let mut units = BTreeMap::new();
        let mut jobs = Vec::new();
        for (name, function) in &desired.functions {
            let spec = spec(name, function);
            for unit in instance_names(name, function.replicas) {
                if self
                    .units
                    .get(&unit)
                    .is_some_and(|known| known.spec == spec)
                {
                    continue;
                }
                let waits = function.boot == Boot::FirstFrame && !self.units.contains_key(&unit);
                if !waits && !desired.stopped.contains(name) {
                    jobs.push((unit.clone(), spec.clone()));
                }
                units.insert(unit, (spec.clone(), None));
            }
        }
        self.pending = Some(Pending {
            desired,
            ports,
            units,
            missing: jobs.len(),
            asked: false,
            reply,
        });
        for (unit, spec) in jobs {
            let ticket = self.ticket();
            self.making.insert(ticket, Making::Change(unit));
            self.maker.give(Job::Make { ticket, spec });
        }
        self.commit_when_whole();
    }

    /// Takes the ports of a change out of what was given, where they are not there yet.
    fn new_ports(&mut self, desired: &Desired) -> Result<BTreeMap<String, Box<dyn Port>>, String> {
        let mut ports = BTreeMap::new();
        for (name, spec) in &desired.ports {
            let known = self.ports.get(name);
            if known.is_some_and(|known| known.spec == *spec) {
                continue;
            }
            match self.stock.ports.remove(name) {
                Some((given, port)) if given == *spec => ports.insert(name.clone(), port),
                _ => return Err(format!("ports.{name}: it was not given")),
            };
        }
        Ok(ports)
    }

    /// An instance that a change needs was made, or cannot be.
    pub(super) fn made_for_change(
        &mut self,
        name: &str,
        result: Result<Box<dyn Instance>, String>,
    ) {
        let Some(pending) = &mut self.pending else {
            if let Ok(instance) = result {
                self.maker.give(Job::Discard(instance));
            }
            return;
        };
        match result {
            Ok(instance) => {
                if let Some((_, place)) = pending.units.get_mut(name) {
                    *place = Some(instance);
                }
                self.one_is_there();
            }
            Err(error) => {
                let answer = Answer::Refused(format!("functions.{name}: {error}"));
                if let Some(pending) = self.pending.take() {
                    for (_, instance) in pending.units.into_values() {
                        if let Some(instance) = instance {
                            self.maker.give(Job::Discard(instance));
                        }
                    }
                    let _ = pending.reply.send(answer);
                }
                self.stock = Stock::default();
            }
        }
    }

    /// Something that a change waited for is there.
    pub(super) fn one_is_there(&mut self) {
        if let Some(pending) = &mut self.pending {
            pending.missing -= 1;
            self.commit_when_whole();
        }
    }

    fn commit_when_whole(&mut self) {
        let Some(pending) = self.pending.as_mut().filter(|it| it.missing == 0) else {
            return;
        };
        if !std::mem::replace(&mut pending.asked, true) {
            let (units, functions) = (&self.units, &pending.desired.functions);
            let hands_over = |(name, (spec, made)): (&String, &(Arc<Spec>, Option<_>))| {
                let unit = units.get(name)?;
                let same = unit.spec.devices == spec.devices && unit.state == State::Running;
                let carries = functions.get(&unit.function)?.carry_state;
                (same && carries && made.is_some()).then(|| name.clone())
            };
            let carried: Vec<String> = pending.units.iter().filter_map(hands_over).collect();
            pending.missing = carried.len();
            if !carried.is_empty() {
                for name in carried {
                    self.carry_out(Carrying::OutForChange(name));
                }
                return;
            }
        }
        if let Some(pending) = self.pending.take() {
            let reply = pending.reply.clone();
            self.commit(pending);
            let _ = reply.send(Answer::Done);
        }
    }

    /// Puts a change in place, between two turns.
    fn commit(&mut self, pending: Pending) {
        let Pending {
            desired,
            ports,
            units,
            ..
        } = pending;
        for (name, port) in ports {
            let spec = desired.ports.get(&name).cloned().unwrap_or_default();
            let id = match self.ports.get(&name) {
                Some(known) => {
                    self.switch.replace_port(known.id, Some(port));
                    known.id
                }
                None => self.switch.add_port(&name, port),
            };
            let failed = None;
            self.ports.insert(name, LanePort { id, spec, failed });
        }
        let gone = |name: &String| !desired.ports.contains_key(name);
        for (_, port) in self.ports.extract_if(.., |name, _| gone(name)) {
            self.switch.leave(port.id);
            self.switch.replace_port(port.id, None);
        }
        let wanted: BTreeSet<String> = desired
            .functions
            .iter()
            .flat_map(|(name, function)| instance_names(name, function.replicas))
            .collect();
        let removed: Vec<String> = self.units.keys().cloned().collect();
        for name in removed.iter().filter(|name| !wanted.contains(*name)) {
            self.remove_unit(name);
        }
        for (name, function) in &desired.functions {
            for unit in instance_names(name, function.replicas) {
                if let Some(known) = self.units.get_mut(&unit) {
                    known.restart = function.restart;
                    known.boot = function.boot;
                    known.idle = idle(function);
                    known.carries = function.carry_state;
                }
            }
        }
        self.change_units(&desired, units);
        self.rewire(&desired);
        self.set_flows(&desired);
        for (name, function) in &desired.functions {
            let stopped = desired.stopped.contains(name);
            for unit in instance_names(name, function.replicas) {
                self.set_stopped(&unit, stopped);
            }
        }
        self.desired = desired;
        self.stock = Stock::default();
    }

    fn remove_unit(&mut self, name: &str) {
        let Some(unit) = self.units.remove(name) else {
            return;
        };
        self.switch.keep_frames(unit.place, false);
        if let Some(remains) = self.switch.take(unit.place) {
            self.maker.give(Job::Bury(remains));
        }
        unit.console.end();
        if let Some(server) = unit.server {
            self.maker.give(Job::Close(server));
        }
        let ports: Vec<PortId> = self.switch.devices(unit.place).collect();
        for port in ports {
            self.switch.leave(port);
        }
    }

    /// Makes units that are new, and has others run something else.
    fn change_units(&mut self, desired: &Desired, units: Wanted) {
        for (name, (spec, instance)) in units {
            let mut functions = desired.functions.iter();
            let function = functions
                .find(|(function, what)| instance_names(function, what.replicas).contains(&name));
            let Some((function, what)) = function else {
                continue;
            };
            let devices: Vec<String> = what.devices.clone();
            let same_devices = self
                .units
                .get(&name)
                .is_some_and(|unit| unit.spec.devices == spec.devices);
            if !same_devices {
                self.remove_unit(&name);
                let place = self.switch.add_place(&name, &devices);
                let console = Console::default();
                let unit = Unit {
                    name: name.clone(),
                    function: function.clone(),
                    spec: spec.clone(),
                    restart: what.restart,
                    boot: what.boot,
                    idle: idle(what),
                    carries: what.carry_state,
                    place,
                    state: State::Starting,
                    since: self.now,
                    saved: None,
                    passed: 0,
                    making: false,
                    due: None,
                    backoff: Backoff::default(),
                    restarts: 0,
                    last_end: None,
                    server: self.listen(&name, &console),
                    console,
                    teller: self.teller.clone(),
                };
                self.units.insert(name.clone(), unit);
            }
            let Some(unit) = self.units.get_mut(&name) else {
                continue;
            };
            unit.spec = spec;
            unit.backoff = Backoff::default();
            // One that is being made is of what was declared before.
            unit.making = false;
            self.making
                .retain(|_, what| !matches!(what, Making::Unit(other) if *other == name));
            if let Some(remains) = self.switch.take(unit.place) {
                self.maker.give(Job::Bury(remains));
            }
            if desired.stopped.contains(function) {
                unit.enter(State::Stopped, self.now);
                continue;
            }
            match instance {
                Some(instance) => self.put(&name, instance),
                None => self.begin(&name),
            }
        }
    }
}
