//! What all lanes count, as Prometheus text.

use std::fmt::{self, Write as _};

use crate::control::metrics::{family, label};
use crate::protocol::{InstanceStatus, PortStatus, State, Status};

/// The text.
pub(super) fn text(lanes: &[(String, Result<Status, String>)]) -> String {
    let mut text = String::new();
    // Writing to a text does not fail.
    let _ = write(&mut text, lanes);
    text
}

/// A number of an instance that only grows: its name, what it is, and how it is found.
type Number = (&'static str, &'static str, fn(&InstanceStatus) -> u64);

const NUMBERS: [Number; 3] = [
    (
        "sprat_instance_restarts_total",
        "How often an instance was replaced.",
        |instance| instance.restarts,
    ),
    (
        "sprat_instance_entries_total",
        "Times an instance was entered.",
        |instance| instance.entries,
    ),
    (
        "sprat_instance_dropped_total",
        "Frames for an instance and from it that were dropped.",
        |instance| instance.dropped,
    ),
];

fn write(out: &mut String, lanes: &[(String, Result<Status, String>)]) -> fmt::Result {
    family(out, "sprat_lane_up", "gauge", "Whether a lane answers.")?;
    for (tenant, status) in lanes {
        let up = u8::from(status.is_ok());
        writeln!(out, "sprat_lane_up{{tenant=\"{}\"}} {up}", label(tenant))?;
    }
    let statuses = || {
        let lanes = lanes.iter();
        lanes.filter_map(|(tenant, status)| Some((tenant, status.as_ref().ok()?)))
    };
    let instances = || {
        statuses().flat_map(|(tenant, status)| {
            let instances = status.instances.iter();
            instances.map(move |instance| {
                let (name, tenant) = (label(&instance.name), label(tenant));
                let labels = format!("instance=\"{name}\",tenant=\"{tenant}\"");
                (labels, instance)
            })
        })
    };
    family(
        out,
        "sprat_instance_up",
        "gauge",
        "Whether an instance runs.",
    )?;
    for (labels, instance) in instances() {
        let up = u8::from(instance.state == State::Running);
        writeln!(out, "sprat_instance_up{{{labels}}} {up}")?;
    }
    for (name, help, number) in NUMBERS {
        family(out, name, "counter", help)?;
        for (labels, instance) in instances() {
            writeln!(out, "{name}{{{labels}}} {}", number(instance))?;
        }
    }
    let name = "sprat_instance_inside_seconds_total";
    family(out, name, "counter", "Time spent in an instance.")?;
    for (labels, instance) in instances() {
        let seconds = instance.inside as f64 / 1e6;
        writeln!(out, "{name}{{{labels}}} {seconds}")?;
    }
    let ports = || statuses().flat_map(|(_, status)| &status.ports);
    let sides = |port: &PortStatus| [("in", port.received), ("out", port.sent)];
    for (name, help, frames) in [
        (
            "sprat_port_frames_total",
            "Frames that passed a port.",
            true,
        ),
        ("sprat_port_bytes_total", "Bytes that passed a port.", false),
    ] {
        family(out, name, "counter", help)?;
        for port in ports() {
            for (direction, volume) in sides(port) {
                let value = if frames { volume.0 } else { volume.1 };
                let port = label(&port.name);
                writeln!(
                    out,
                    "{name}{{port=\"{port}\",direction=\"{direction}\"}} {value}"
                )?;
            }
        }
    }
    let name = "sprat_port_frames_dropped_total";
    family(out, name, "counter", "Frames dropped at ports.")?;
    for port in ports() {
        for (cause, frames) in &port.dropped {
            let (port, cause) = (label(&port.name), label(cause));
            writeln!(out, "{name}{{port=\"{port}\",cause=\"{cause}\"}} {frames}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Confinement;

    /// By the text format of Prometheus, version 0.0.4.
    #[test]
    fn each_instance_and_port_has_its_samples() {
        let status = Status {
            pid: 1,
            monitor: "vm".into(),
            confinement: Confinement {
                user: None,
                namespaces: true,
                landlock: true,
            },
            instances: vec![InstanceStatus {
                name: "fw".into(),
                function: "fw".into(),
                state: State::Running,
                milliseconds: 5,
                restarts: 2,
                received: 3,
                sent: 4,
                dropped: 1,
                entries: 9,
                inside: 1_500_000,
                last_end: None,
            }],
            ports: vec![PortStatus {
                name: "wan".into(),
                failed: None,
                received: (10, 640),
                sent: (7, 448),
                dropped: vec![("no room".into(), 6)],
                uncaptured: 0,
            }],
            flows: Vec::new(),
        };
        let lanes = [
            ("default".to_string(), Ok(status)),
            ("other".to_string(), Err("gone".to_string())),
        ];
        let text = text(&lanes);
        for line in [
            "sprat_lane_up{tenant=\"other\"} 0",
            "sprat_instance_up{instance=\"fw\",tenant=\"default\"} 1",
            "# TYPE sprat_instance_restarts_total counter",
            "sprat_instance_restarts_total{instance=\"fw\",tenant=\"default\"} 2",
            "sprat_instance_inside_seconds_total{instance=\"fw\",tenant=\"default\"} 1.5",
            "sprat_port_bytes_total{port=\"wan\",direction=\"in\"} 640",
            "sprat_port_frames_dropped_total{port=\"wan\",cause=\"no room\"} 6",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
