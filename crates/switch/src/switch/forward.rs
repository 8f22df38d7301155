//! The way of a frame through a switch, from the port it enters by to those it leaves by.

use std::ops::Range;

use sprat_abi::frame::{FrameHead, offload};
use sprat_abi::host::{Frame, Lie};
use sprat_monitor::{Instance, Shared};

use super::bridge::Refusal;
use super::flow::{Flow, HEADERS};
use super::held::Kept;
use super::rules::{Then, Verdict};
use super::{Event, InstanceId, Network, Place, PortId, Switch, number};
use crate::port::{Assembly, DropCause, Port, PortError};

/// Frames that an instance sent to itself, and copies that rules ask for: put aside until nobody is
/// at work.
#[derive(Debug, Default)]
pub(super) struct Staged {
    bytes: Vec<u8>,
    frames: Vec<(usize, Range<usize>, i64)>,
}

impl Staged {
    fn add(&mut self, to: usize, frame: &Frame<'_>) {
        let begin = self.bytes.len();
        frame.append_to(&mut self.bytes);
        let timestamp = frame.head().timestamp;
        self.frames.push((to, begin..self.bytes.len(), timestamp));
    }
}

/// Hands on a frame in one piece with nothing left to be done to it. Most are so as they come.
#[inline]
fn take_in(
    assembly: &mut Assembly,
    part: &Frame<'_>,
    hand_on: impl FnOnce(&Frame<'_>),
) -> Result<(), DropCause> {
    let asks = offload::NEEDS_CHECKSUM;
    if !part.has_more() && part.head().offload & asks == 0 && assembly.is_empty() {
        hand_on(&part.plain());
        return Ok(());
    }
    let added = assembly.add(part, |bytes, head| {
        hand_on(&Frame::new(bytes, FrameHead::at(head.timestamp)));
        Ok(())
    });
    added.unwrap_or(Ok(()))
}

impl Switch {
    /// The port at the other end of a wire, where nothing else has a say.
    #[inline]
    pub(super) fn wired(&self, from: usize) -> Option<usize> {
        let Network::Join { join, side } = self.ports[from].network else {
            return None;
        };
        let only = self.joins[join].side(side.other()).only();
        only.filter(|_| self.rules.is_empty()).map(PortId::index)
    }

    /// How many frames to take from a port in one turn.
    fn appetite(&self, from: usize) -> usize {
        let several = match self.ports[from].network {
            Network::None => 1,
            Network::Join { join, side } => self.joins[join].side(side.other()).members().len(),
            Network::Bridge { bridge, .. } => self.bridges[bridge].ports.len().saturating_sub(1),
        };
        let spread = self.options.spread_batch.saturating_mul(several);
        self.options.batch.max(spread)
    }

    /// Takes frames from a port that leads outside.
    pub(super) fn gather_from(
        &mut self,
        from: usize,
        port: &mut dyn Port,
    ) -> Result<usize, PortError> {
        let limit = self.options.batch;
        let Some(to) = self.wired(from) else {
            let limit = self.appetite(from);
            return port.receive(limit, i64::MAX, &mut |frame| {
                self.route(from, &frame.plain());
                true
            });
        };
        match &mut self.ports[to].place {
            &mut Place::Device { instance, network } => {
                let Some(held) = &mut self.instances[instance].instance else {
                    return port.receive(limit, i64::MAX, &mut |frame| {
                        self.hand(to, &frame.plain());
                        true
                    });
                };
                let taken = match held.shared().fill(network) {
                    Ok(Some(mut filler)) => {
                        let sent = &mut self.ports[to].counters.sent;
                        // What there is no room for waits in the port: it is for nobody else.
                        port.receive(limit, i64::MAX, &mut |frame| {
                            let fits = filler.push(&frame.plain());
                            if fits {
                                sent.add(frame.len());
                            }
                            fits
                        })?
                    }
                    Ok(None) => 0,
                    Err(lie) => {
                        self.liars.push((instance, lie));
                        0
                    }
                };
                if taken > 0 {
                    self.wake(instance);
                }
                Ok(taken)
            }
            Place::Outside(Some(other)) => {
                let (mut failed, mut lost) = (None, 0);
                let taken = port.receive(limit, i64::MAX, &mut |frame| {
                    if failed.is_none() {
                        failed = other.send(&frame.plain()).err();
                    }
                    lost += u64::from(failed.is_some());
                    true
                });
                self.ports[to].kick = true;
                if let Some(error) = failed {
                    self.ports[to].counters.drop_frames(DropCause::Gone, lost);
                    self.port_failed(to, error);
                }
                taken
            }
            Place::Outside(None) => port.receive(limit, i64::MAX, &mut |frame| {
                self.hand(to, &frame.plain());
                true
            }),
        }
    }

    /// Takes what an instance has sent. Without `lossy` what has no room at the other end of a wire
    /// stays in the instance's ring; whether that is so is noted.
    pub(super) fn drain(
        &mut self,
        index: usize,
        instance: &mut dyn Instance,
        lossy: bool,
    ) -> Result<u64, Lie> {
        let mut collected = 0;
        self.instances[index].undrained = false;
        for network in 0..self.instances[index].ports.len() {
            let from = self.instances[index].ports[network];
            let mut assembly = std::mem::take(&mut self.ports[from].assembly);
            let drained = match self.wired(from) {
                Some(to) => self.drain_wire(index, instance, network, to, &mut assembly, lossy),
                None => {
                    let mut wrong = None;
                    let drained = instance.shared().drain(network, u32::MAX, |part| {
                        let taken = take_in(&mut assembly, &part, |frame| {
                            self.ports[from].counters.received.add(frame.len());
                            self.route(from, frame);
                        });
                        wrong = wrong.take().or(taken.err());
                    });
                    if let Some(cause) = wrong {
                        self.ports[from].counters.drop_frame(cause);
                    }
                    drained
                }
            };
            self.ports[from].assembly = assembly;
            collected += u64::from(drained?);
        }
        instance.shared().reclaim()?;
        Ok(collected)
    }

    fn drain_wire(
        &mut self,
        index: usize,
        instance: &mut dyn Instance,
        network: usize,
        to: usize,
        assembly: &mut Assembly,
        lossy: bool,
    ) -> Result<u32, Lie> {
        let from = self.instances[index].ports[network];
        let Ok([here, there]) = self.ports.get_disjoint_mut([from, to]) else {
            return instance.shared().drain(network, u32::MAX, |part| {
                let _ = take_in(assembly, &part, |frame| self.staged.add(to, frame));
            });
        };
        let (received, mut wrong) = (&mut here.counters.received, None);
        let drained = match &mut there.place {
            &mut Place::Device {
                instance: other,
                network: device,
            } => {
                let Some(held) = &mut self.instances[other].instance else {
                    return instance.shared().drain(network, u32::MAX, |part| {
                        let _ = take_in(assembly, &part, |frame| {
                            self.ports[from].counters.received.add(frame.len());
                            self.hand(to, frame);
                        });
                    });
                };
                let counters = &mut there.counters;
                let mut fill = |shared: &mut Shared| -> Result<Result<u32, Lie>, Lie> {
                    let room = shared.room(device)?;
                    let Some(mut filler) = shared.fill(device)? else {
                        return Ok(Ok(0));
                    };
                    let limit = if lossy { u32::MAX } else { room };
                    Ok(instance.shared().drain(network, limit, |part| {
                        let taken = take_in(assembly, &part, |frame| {
                            received.add(frame.len());
                            counters.count_sent(filler.push(frame), frame.len());
                        });
                        wrong = wrong.take().or(taken.err());
                    }))
                };
                let drained = match fill(held.shared()) {
                    Ok(drained) => drained?,
                    Err(lie) => {
                        self.liars.push((other, lie));
                        return Ok(0);
                    }
                };
                // Entered in any case: that is what makes room.
                let rest = !lossy && instance.shared().has_sent(network)?;
                if drained > 0 || rest {
                    self.wake(other);
                }
                self.instances[index].undrained |= rest;
                drained
            }
            Place::Outside(Some(port)) => {
                let mut failed = None;
                let drained = instance.shared().drain(network, u32::MAX, |part| {
                    let taken = take_in(assembly, &part, |frame| {
                        received.add(frame.len());
                        if let Err(error) = port.send(frame) {
                            failed.get_or_insert(error);
                        }
                    });
                    wrong = wrong.take().or(taken.err());
                });
                there.kick = true;
                if let Some(error) = failed {
                    self.port_failed(to, error);
                }
                drained?
            }
            Place::Outside(None) => instance.shared().drain(network, u32::MAX, |part| {
                let _ = take_in(assembly, &part, |frame| {
                    received.add(frame.len());
                    there.counters.drop_frame(DropCause::Gone);
                });
            })?,
        };
        if let Some(cause) = wrong {
            self.ports[from].counters.drop_frame(cause);
        }
        Ok(drained)
    }

    /// Finds where a whole frame goes that came in at a port, and hands it on.
    pub(super) fn route(&mut self, from: usize, frame: &Frame<'_>) {
        let mut bytes = [0; HEADERS];
        let length = frame.copy_to(&mut bytes);
        let Some(flow) = Flow::read(&bytes[..length]) else {
            self.ports[from].counters.drop_frame(DropCause::Malformed);
            return;
        };
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
                let targets = self.joins[join].side_mut(side.other());
                let chosen = match targets.only() {
                    Some(only) => Some(only),
                    None => {
                        let (ports, instances) = (&self.ports, &self.instances);
                        targets.choose(flow.conversation(), self.now, |port| {
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
                    Refusal::Source => DropCause::Forged,
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
                if let Err(error) = sent {
                    self.port_failed(to, error);
                }
            }
            Place::Outside(None) => port.counters.drop_frame(DropCause::Gone),
            &mut Place::Device { instance, network } => {
                let held = &mut self.instances[instance];
                match &mut held.instance {
                    Some(held) => {
                        let filler = held.shared().fill(network);
                        let fits = filler
                            .map(|filler| filler.is_some_and(|mut filler| filler.push(frame)));
                        match fits {
                            Ok(fits) => {
                                port.counters.count_sent(fits, frame.len());
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
        if !held.keeps || held.kept.len() >= self.options.awaiting {
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
