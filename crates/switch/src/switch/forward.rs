//! The way of a frame through a switch, from the port it enters by to those it leaves by.

use std::ops::Range;

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::bridge::Refusal;
use super::flow::{Flow, HEADERS};
use super::held::Kept;
use super::rules::{Then, Verdict};
use super::{EthernetAddress, Event, InstanceId, Network, Place, PortId, Switch, number};
use crate::port::{DropCause, PortError};

/// Frames that an instance sent to itself, and copies that rules ask for: put aside until nobody is
/// at work.
#[derive(Debug, Default)]
pub(super) struct Staged {
    bytes: Vec<u8>,
    frames: Vec<(usize, Range<usize>, i64)>,
}

impl Staged {
    pub(super) fn add(&mut self, to: usize, frame: &Frame<'_>) {
        let begin = self.bytes.len();
        frame.append_to(&mut self.bytes);
        let timestamp = frame.head().timestamp;
        self.frames.push((to, begin..self.bytes.len(), timestamp));
    }
}

impl Switch {
    /// Finds where a whole frame goes that came in at a port, and hands it on.
    pub(super) fn route(&mut self, from: usize, frame: &Frame<'_>) {
        if self.ports[from].mirrored {
            self.show(from, frame);
        }
        let mut bytes = [0; HEADERS];
        let length = frame.copy_to(&mut bytes);
        let Some(flow) = Flow::read(&bytes[..length]) else {
            self.ports[from].counters.drop_frame(DropCause::Malformed);
            return;
        };
        if !self.is_rightful(from, flow.source) {
            self.ports[from].counters.drop_frame(DropCause::Forged);
            return;
        }
        if !self.rules.is_empty() {
            let port = PortId(number(from));
            let rule = match self.rules.judge(port, &flow, frame.len(), self.now) {
                Verdict::Usual => None,
                Verdict::Rule(rule) => {
                    Some((rule.then, rule.copy, rule.set_destination, rule.set_source))
                }
                Verdict::OverLimit => {
                    self.ports[from].counters.drop_frame(DropCause::OverLimit);
                    return;
                }
            };
            if let Some((then, copy, destination, source)) = rule {
                self.obey(from, frame, flow, (then, copy, destination, source));
                return;
            }
        }
        self.pass(from, frame, &flow);
    }

    /// Whether a frame may come from an address at a port. What comes in from outside is believed, and
    /// noted.
    pub(super) fn is_rightful(&mut self, from: usize, source: EthernetAddress) -> bool {
        let attached = &self.ports[from];
        let outside = matches!(attached.place, Place::Outside(_));
        match attached.network {
            Network::None => true,
            Network::Bridge { bridge, member } => {
                self.bridges[bridge].bridge.admits(member, source)
            }
            Network::Join { join, side } => {
                let Some(spot) = self.joins[join].spot else {
                    return true;
                };
                let line = &mut self.lines[spot.line];
                if outside {
                    line.hear(side, source, self.now);
                    return true;
                }
                line.admits(PortId(number(from)), (spot.hop, side), source, self.now)
            }
        }
    }

    #[expect(clippy::type_complexity, reason = "what a rule says, taken apart")]
    fn obey(
        &mut self,
        from: usize,
        frame: &Frame<'_>,
        mut flow: Flow,
        (then, copy, destination, source): (Then, Option<PortId>, Option<[u8; 6]>, Option<[u8; 6]>),
    ) {
        let mut changed = Vec::new();
        let frame = if destination.is_some() || source.is_some() {
            frame.append_to(&mut changed);
            for (at, address) in [(0, destination), (6, source)] {
                if let (Some(address), Some(place)) = (address, changed.get_mut(at..at + 6)) {
                    place.copy_from_slice(&address);
                }
            }
            flow.destination = destination.unwrap_or(flow.destination);
            flow.source = source.unwrap_or(flow.source);
            &Frame::new(&changed, FrameHead::at(frame.head().timestamp))
        } else {
            frame
        };
        if let Some(copy) = copy {
            self.hand(copy.index(), frame);
        }
        match then {
            Then::Pass => self.pass(from, frame, &flow),
            Then::Forward(to) => self.hand(to.index(), frame),
            Then::Drop => self.ports[from].counters.drop_frame(DropCause::Rule),
        }
    }

    /// The usual way of a frame.
    fn pass(&mut self, from: usize, frame: &Frame<'_>, flow: &Flow) {
        match self.ports[from].network {
            Network::None => self.ports[from]
                .counters
                .drop_frame(DropCause::NotConnected),
            Network::Join { join, side } => {
                let own = self.joins[join].side_mut(side);
                if own.only().is_none() {
                    own.learn(flow.conversation(), PortId(number(from)), self.now);
                }
                let targets = self.joins[join].side_mut(side.other());
                let chosen = match targets.only() {
                    Some(only) => Some(only),
                    None => {
                        let (ports, instances) = (&self.ports, &self.instances);
                        targets.choose(flow.conversation(), flow.addresses, self.now, |port| {
                            match &ports[port.index()].place {
                                Place::Outside(port) => port.is_some(),
                                Place::Device { instance, .. } => {
                                    let held = &instances[*instance];
                                    held.instance.is_some() || held.keeps
                                }
                            }
                        })
                    }
                };
                match chosen {
                    Some(to) => self.hand(to.index(), frame),
                    None => self.ports[from].counters.drop_frame(DropCause::NoReceiver),
                }
            }
            Network::Bridge { bridge, member } => self.cross(from, bridge, member, frame, flow),
        }
    }

    /// The way of a frame over a bridge.
    fn cross(&mut self, from: usize, bridge: usize, member: usize, frame: &Frame<'_>, flow: &Flow) {
        let (source, destination) = (flow.source, flow.destination);
        let found =
            self.bridges[bridge]
                .bridge
                .way(member, flow.vlan, source, destination, self.now);
        let (vlan, way) = match found {
            Ok(found) => found,
            Err(refusal) => {
                let cause = match refusal {
                    Refusal::Vlan => DropCause::Vlan,
                    Refusal::Reserved => DropCause::Reserved,
                    Refusal::Back => DropCause::Back,
                };
                self.ports[from].counters.drop_frame(cause);
                return;
            }
        };
        let mut other_form = Vec::new();
        let mut place = 0;
        // One after another, because handing on needs the whole switch.
        loop {
            let mut leaves = self.bridges[bridge].bridge.leaves(member, vlan, way);
            let Some((to, tagged)) = leaves.find(|(to, _)| *to >= place) else {
                break;
            };
            drop(leaves);
            place = to + 1;
            let to = self.bridges[bridge].ports[to];
            if tagged == flow.vlan.is_some() {
                self.hand(to, frame);
                continue;
            }
            if other_form.is_empty() {
                frame.append_to(&mut other_form);
                if tagged {
                    let [high, low] = vlan.number().to_be_bytes();
                    other_form.splice(12..12, [0x81, 0, high, low]);
                } else {
                    other_form.drain(12..16);
                }
            }
            let head = FrameHead::at(frame.head().timestamp);
            self.hand(to, &Frame::new(&other_form, head));
        }
    }

    /// Gives a whole frame to a port.
    pub(super) fn hand(&mut self, to: usize, frame: &Frame<'_>) {
        let port = &mut self.ports[to];
        match &mut port.place {
            Place::Outside(Some(outside)) => {
                let sent = outside.send(frame);
                port.kick = true;
                match sent {
                    Ok(()) if port.mirrored => self.show(to, frame),
                    Ok(()) => {}
                    Err(error) => self.port_failed(to, error),
                }
            }
            Place::Outside(None) => port.counters.drop_frame(DropCause::Gone),
            &mut Place::Device { instance, network } => {
                let held = &mut self.instances[instance];
                match &mut held.instance {
                    Some(_) if held.paused => self.keep(to, instance, network, frame),
                    Some(held) => {
                        let filler = held.shared().fill(network);
                        let fits = filler
                            .map(|filler| filler.is_some_and(|mut filler| filler.push(frame)));
                        match fits {
                            Ok(fits) => {
                                port.counters.count_sent(fits, frame.len());
                                if fits && port.mirrored {
                                    self.show(to, frame);
                                }
                                self.wake(instance);
                            }
                            Err(lie) => self.liars.push((instance, lie)),
                        }
                    }
                    None if held.working => self.staged.add(to, frame),
                    None => self.keep(to, instance, network, frame),
                }
            }
        }
    }

    /// Keeps a frame for an instance that is to come.
    #[cold]
    fn keep(&mut self, to: usize, instance: usize, network: usize, frame: &Frame<'_>) {
        let held = &mut self.instances[instance];
        if !(held.keeps || held.paused) || held.kept.len() >= self.options.awaiting {
            self.ports[to].counters.drop_frame(DropCause::Ended);
            return;
        }
        let mut bytes = Vec::new();
        frame.append_to(&mut bytes);
        held.kept.push(Kept {
            network,
            bytes,
            timestamp: frame.head().timestamp,
        });
        if held.kept.len() == 1 {
            self.events.push(Event::Wanted {
                instance: InstanceId(number(instance)),
            });
        }
    }

    /// Delivers what was kept for an instance that has come.
    pub(super) fn deliver_kept(&mut self, index: usize) {
        for kept in std::mem::take(&mut self.instances[index].kept) {
            let to = self.instances[index].ports[kept.network];
            let frame = Frame::new(&kept.bytes, FrameHead::at(kept.timestamp));
            self.hand(to, &frame);
        }
    }

    /// Hands on what was put aside.
    pub(super) fn hand_staged(&mut self) {
        if self.staged.frames.is_empty() {
            return;
        }
        let mut staged = std::mem::take(&mut self.staged);
        for (to, range, timestamp) in staged.frames.drain(..) {
            let frame = Frame::new(&staged.bytes[range], FrameHead::at(timestamp));
            self.hand(to, &frame);
        }
        staged.bytes.clear();
        self.staged = staged;
    }

    /// A port failed: it is gone, and that is told.
    #[cold]
    pub(super) fn port_failed(&mut self, index: usize, error: PortError) {
        if let Place::Outside(port) = &mut self.ports[index].place {
            if let Some(gone) = port.take() {
                // What it counted stays.
                let counters = gone.counters().clone();
                for (cause, count) in counters.dropped {
                    self.ports[index].counters.drop_frames(cause, count);
                }
            }
            self.events.push(Event::PortFailed {
                port: PortId(number(index)),
                error,
            });
        }
    }
}
