//! What a lane says of itself and its instances.

use std::time::Duration;

use sprat_abi::statistics::{Counter, Subject};
use sprat_click::HandlerError;
use sprat_switch::port::Counters;

use super::Lane;
use super::asker::MetricsQuestion;
use crate::control::metrics::{self, Counted};
use crate::protocol::{Answer, ElementStatus, FlowStatus, InstanceStatus, PortStatus, Status};

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Lane {
    pub(super) fn status(&mut self) -> Status {
        self.switch.count_missed();
        let instances = self.units.values().map(|unit| {
            let (mut received, mut sent, mut dropped) = (0, 0, 0);
            for port in self.switch.devices(unit.place) {
                let counters = self.switch.port_counters(port);
                received += counters.sent.frames;
                sent += counters.received.frames;
                dropped += counters.total_dropped();
            }
            InstanceStatus {
                name: unit.name.clone(),
                function: unit.function.clone(),
                state: unit.state,
                milliseconds: self.now.saturating_sub(unit.since) / 1_000_000,
                restarts: unit.restarts,
                received,
                sent,
                dropped,
                entries: self.switch.instance_counters(unit.place).entries,
                inside: microseconds(self.switch.instance_counters(unit.place).inside),
                last_end: unit.last_end.clone(),
            }
        });
        let outside = self.ports.iter();
        let outside = outside.map(|(name, port)| (name.clone(), port.id, port.failed.clone()));
        let devices = self.units.values().flat_map(|unit| {
            let ports = self.switch.devices(unit.place);
            ports.map(|port| (self.switch.port_name(port).to_string(), port, None))
        });
        let ports = outside.chain(devices).map(|(name, port, failed)| {
            let counters = self.switch.port_counters(port);
            let dropped = counters.dropped.iter();
            PortStatus {
                name,
                failed,
                received: (counters.received.frames, counters.received.bytes),
                sent: (counters.sent.frames, counters.sent.bytes),
                dropped: dropped
                    .map(|(cause, frames)| (cause.to_string(), *frames))
                    .collect(),
                uncaptured: self.switch.unmirrored(port),
            }
        });
        Status {
            pid: std::process::id(),
            monitor: self.monitor.into(),
            confinement: self.confinement,
            instances: instances.collect(),
            ports: ports.collect(),
            flows: self.flow_status(),
        }
    }

    /// What the flow rules have done: one may stand for several in the switch.
    fn flow_status(&self) -> Vec<FlowStatus> {
        let flows = self.desired.flows.iter().map(|rule| FlowStatus {
            rule: rule.clone(),
            frames: 0,
            over_limit: 0,
        });
        let mut flows: Vec<_> = flows.collect();
        for (place, (_, counted)) in self.flows.iter().zip(self.switch.rules()) {
            if let Some(flow) = flows.get_mut(*place) {
                flow.frames += counted.frames;
                flow.over_limit += counted.over_limit;
            }
        }
        flows
    }

    /// What the elements of an instance have counted, without asking it.
    pub(super) fn elements(&mut self, instance: &str) -> Answer {
        let Some(unit) = self.units.get(instance) else {
            return self.no_such(instance);
        };
        let Some(running) = self.switch.instance(unit.place) else {
            return Answer::Refused(format!("{instance} is not running"));
        };
        let records = running.shared().records();
        let elements = records.filter(|record| record.subject == Some(Subject::Element));
        let elements = elements.map(|record| ElementStatus {
            name: String::from_utf8_lossy(record.name()).into_owned(),
            received: record.get(Counter::PacketsIn),
            sent: record.get(Counter::PacketsOut),
            runs: record.get(Counter::Calls),
            time: record.get(Counter::Time),
        });
        Answer::Elements(elements.collect())
    }

    /// What is counted for an instance, as Prometheus text.
    pub(super) fn answer_metrics(&mut self, question: MetricsQuestion) {
        let MetricsQuestion {
            instance,
            own,
            reply,
        } = question;
        // Whoever asked may have gone.
        let _ = reply.send(self.metrics(&instance, &own));
    }

    fn metrics(&mut self, instance: &str, own: &str) -> Result<String, HandlerError> {
        let Some(unit) = self.units.get(instance) else {
            let known: Vec<&str> = self.units.keys().map(String::as_str).collect();
            let known = known.join(", ");
            return Err(HandlerError::failed(format!(
                "no instance {instance}; there are {known}"
            )));
        };
        let place = unit.place;
        let counters = *self.switch.instance_counters(place);
        let names = unit.spec.devices.iter().map(|(name, _)| name.clone());
        // What leaves the switch here comes into the instance; what was dropped was dropped there.
        let devices = names.zip(self.switch.devices(place)).map(|(name, port)| {
            let counters = self.switch.port_counters(port);
            let input = Counters {
                received: counters.sent,
                ..Counters::default()
            };
            let output = Counters {
                sent: counters.received,
                dropped: counters.dropped,
                ..Counters::default()
            };
            (name, [input, output])
        });
        let devices: Vec<_> = devices.collect();
        let delivered = devices.iter().map(|(_, [input, _])| input.received.frames);
        let counted = Counted {
            entries: counters.entries,
            delivered: delivered.sum(),
            collected: counters.collected,
            console_dropped: counters.console_dropped,
            inside: counters.inside,
            devices,
            // It stands in files, which a lane does not open.
            memory: None,
        };
        match self.switch.instance(place) {
            Some(running) => Ok(metrics::text(&counted, running.shared(), own)),
            None => Err(HandlerError::failed(format!("{instance} is not running"))),
        }
    }
}
