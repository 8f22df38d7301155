//! What a lane was given: all that is open to it comes from outside.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};

use sprat_switch::port::{Claim, Port};
use sprat_switch::switch::PortId;

use super::Lane;
use super::capture::Capture;
use super::maker::Job;
use crate::protocol::{Answer, Given, Holdings};

/// What was given and is not used yet.
#[derive(Default)]
pub(super) struct Stock {
    /// Ports by name, with what they were declared as.
    pub(super) ports: BTreeMap<String, (String, Box<dyn Port>)>,
    /// Control sockets by instance.
    pub(super) sockets: BTreeMap<String, UnixListener>,
}

impl Lane {
    /// Takes something that was opened for this lane.
    pub(super) fn take(&mut self, given: Given, descriptors: Vec<OwnedFd>) -> Answer {
        let taken = self.try_take(given, descriptors);
        taken.unwrap_or_else(Answer::Refused)
    }

    fn try_take(&mut self, given: Given, descriptors: Vec<OwnedFd>) -> Result<Answer, String> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || descriptors.next().ok_or("no descriptor came with it");
        match given {
            Given::Port {
                name,
                spec,
                interface,
            } => {
                let claim = Claim {
                    what: interface.kind.into(),
                    name: interface.name,
                    frame_limit: interface.frame_limit,
                    descriptors: descriptors.collect(),
                };
                let port = claim.into_port().map_err(|error| error.to_string())?;
                self.take_port(name, spec, port);
            }
            Given::Socket { instance } => {
                self.stock.sockets.insert(instance, next()?.into());
            }
            Given::Reader { port, count } => {
                return Ok(self.read_frames(&port, count, next()?.into()));
            }
            Given::Image { path, build } => {
                let image = next()?.into();
                self.images.insert(path.clone(), build);
                self.maker.give(Job::Keep {
                    path,
                    image,
                    symbols: next().ok().map(File::from),
                });
            }
        }
        Ok(Answer::Done)
    }

    /// Has the frames of a port written to a stream from now on.
    fn read_frames(&mut self, name: &str, count: Option<u64>, stream: UnixStream) -> Answer {
        let named = |port: &PortId| self.switch.port_name(*port) == name;
        // The newest: those that were removed stay in the switch.
        let Some(port) = self.switch.ports().rfind(named) else {
            let (instance, device) = name.rsplit_once('.').unwrap_or((name, ""));
            return match self.units.get(instance) {
                Some(unit) => {
                    let known = unit.spec.devices.iter().map(|(name, _)| name.as_str());
                    let known = known.collect::<Vec<_>>().join(", ");
                    Answer::Refused(format!("{instance} has no device {device}; it has {known}"))
                }
                None => self.no_such(instance),
            };
        };
        match Capture::new(stream, count) {
            Ok(capture) => {
                self.switch.mirror(port, Box::new(capture));
                Answer::Done
            }
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    /// A port: of a change that is to come, or in the place of one that has failed.
    fn take_port(&mut self, name: String, spec: String, port: Box<dyn Port>) {
        match self.ports.get_mut(&name) {
            Some(known) if known.spec == spec => {
                self.switch.replace_port(known.id, Some(port));
                if known.failed.take().is_some() {
                    self.teller
                        .tell(crate::protocol::Event::PortBack { port: name });
                }
            }
            _ => {
                self.stock.ports.insert(name, (spec, port));
            }
        }
    }

    /// What it has been given.
    pub(super) fn holds(&self) -> Holdings {
        let used = self.ports.iter().map(|(name, port)| (name, &port.spec));
        let stock = self.stock.ports.iter();
        let ports = used.chain(stock.map(|(name, (spec, _))| (name, spec)));
        let units = self.units.iter();
        let served = units.filter(|(_, unit)| unit.server.is_some());
        let served = served.map(|(name, _)| name);
        Holdings {
            ports: ports
                .map(|(name, spec)| (name.clone(), spec.clone()))
                .collect(),
            sockets: served.chain(self.stock.sockets.keys()).cloned().collect(),
            images: self.images.clone(),
        }
    }
}
