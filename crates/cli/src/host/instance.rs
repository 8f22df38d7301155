//! `sprat inspect INSTANCE`: all that the daemon knows of an instance.

use std::fmt::Write as _;

use serde::Serialize;
use sprat_host::client::ClientError;
use sprat_host::desired::{Desired, Function, Program, device_address};
use sprat_host::protocol::{Confinement, Crash, InstanceStatus, Lanes, PortStatus};

use super::port::drops;
use super::ps::duration;
use super::{FolderArguments, encoded};
use crate::output::table;

/// An instance, and what it is part of.
#[derive(Serialize)]
pub(crate) struct Inspected {
    instance: InstanceStatus,
    /// Its function, as it is declared.
    function: Function,
    lane: LaneOf,
    devices: Vec<Device>,
    /// How it ended so far, newest first.
    crashes: Vec<Crash>,
}

/// The lane it is in.
#[derive(Serialize)]
struct LaneOf {
    name: String,
    pid: u32,
    monitor: String,
    confinement: Confinement,
}

/// One of its network devices.
#[derive(Serialize)]
struct Device {
    name: String,
    address: String,
    counted: Option<PortStatus>,
}

/// What is known of the instance of this name, or of the names of those that there are.
pub(crate) fn inspect(
    folders: &FolderArguments,
    name: &str,
) -> Result<Result<Inspected, Vec<String>>, ClientError> {
    let lanes: Lanes = folders.get("/v1/status")?;
    let declared: Desired = folders.get("/v1/declared")?;
    let mut others = Vec::new();
    for lane in lanes.lanes {
        let Some(status) = lane.status else {
            continue;
        };
        let instances = status.instances.iter();
        let Some(instance) = instances.clone().find(|found| found.name == name) else {
            others.extend(instances.map(|other| other.name.clone()));
            continue;
        };
        let Some(function) = declared.functions.get(&instance.function) else {
            continue;
        };
        let device = |device: &String| {
            let port = format!("{name}.{device}");
            let [a, b, c, d, e, f] = device_address(&instance.function, device);
            Device {
                name: device.clone(),
                address: format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}"),
                counted: status
                    .ports
                    .iter()
                    .find(|found| found.name == port)
                    .cloned(),
            }
        };
        let crashes = folders.get(&format!("/v1/instances/{}/crashes", encoded(name)))?;
        return Ok(Ok(Inspected {
            instance: instance.clone(),
            function: function.clone(),
            devices: function.devices.iter().map(device).collect(),
            lane: LaneOf {
                name: lane.tenant,
                pid: status.pid,
                monitor: status.monitor,
                confinement: status.confinement,
            },
            crashes,
        }));
    }
    Ok(Err(others))
}

impl Inspected {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let (instance, function, lane) = (&self.instance, &self.function, &self.lane);
        let mut text = format!(
            "{}: {} for {}",
            instance.name,
            instance.state.word(),
            duration(instance.milliseconds)
        );
        // Writing to a text does not fail.
        let _ = match instance.restarts {
            0 => Ok(()),
            1 => write!(text, ", replaced once"),
            times => write!(text, ", replaced {times} times"),
        };
        if let Some(end) = &instance.last_end {
            let _ = write!(text, ", the last {end}");
        }
        let program = match &function.program {
            Program::Click { name, .. } => name.clone(),
            Program::Image { path, build } => format!("{path}, build {build}"),
        };
        let _ = write!(text, "\nfunction {}: {program}", instance.function);
        for (key, value) in &function.parameters {
            let _ = write!(text, "\n  {key} = {value}");
        }
        let held = &lane.confinement;
        let mut walls = Vec::new();
        walls.extend(held.user.map(|user| format!("user {user}")));
        walls.extend(held.namespaces.then(|| "own namespaces".into()));
        walls.extend(held.landlock.then(|| "Landlock".into()));
        let _ = write!(
            text,
            "\nlane {}: process {}, by {}; {}\n",
            lane.name,
            lane.pid,
            lane.monitor,
            walls.join(", ")
        );
        if !self.devices.is_empty() {
            let rows = self.devices.iter().map(|device| {
                let counted = device.counted.as_ref();
                let number = |side: fn(&PortStatus) -> u64| {
                    counted.map(side).unwrap_or_default().to_string()
                };
                vec![
                    device.name.clone(),
                    device.address.clone(),
                    number(|port| port.received.0),
                    number(|port| port.sent.0),
                    counted.map(drops).unwrap_or_default(),
                ]
            });
            let header = ["DEVICE", "ADDRESS", "IN", "OUT", "DROPPED"];
            text += "\n";
            text += &table(&header, &[2, 3], rows);
        }
        for crash in &self.crashes {
            let _ = write!(text, "\n{}", crash.file);
        }
        if !self.crashes.is_empty() {
            text.push('\n');
        }
        text
    }
}
