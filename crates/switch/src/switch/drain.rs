//! Frames on their way in: from ports that lead outside, and out of the rings of instances. What
//! crosses a wire goes straight from one end to the other; all else is routed (`forward.rs`).

use sprat_abi::frame::FrameHead;
use sprat_abi::frame::offload;
use sprat_abi::host::{Frame, Lie};
use sprat_monitor::{Instance, Shared};

use super::line::{self, Gate, Line};
use super::{Join, Network, Place, PortId, Switch, number};
use crate::port::{Assembly, DropCause, Port, PortError};

/// Hands on a frame in one piece with nothing left to be done to it. Most are so as they come.
#[inline]
pub(super) fn take_in(
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
        let join = &self.joins[join];
        // What one of several sends has to be known as its own.
        join.side(side).only()?;
        let to = join.side(side.other()).only()?.index();
        if let Place::Device { instance, .. } = self.ports[to].place {
            let held = &self.instances[instance];
            // Frames may have to be kept.
            if held.instance.is_none() || held.paused {
                return None;
            }
        }
        self.rules.is_empty().then_some(to)
    }

    /// What the instance behind a port has to pass with what it sends, where it is on a line.
    fn gate<'a>(
        lines: &'a mut [Line],
        joins: &[Join],
        (from, network): (usize, Network),
        now: u64,
        still: bool,
    ) -> Option<Gate<'a>> {
        let Network::Join { join, side } = network else {
            return None;
        };
        let spot = joins[join].spot?;
        Some(Gate {
            line: &mut lines[spot.line],
            port: PortId(number(from)),
            at: (spot.hop, side),
            now,
            still,
        })
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
        if self.ports[from].mirrored || self.ports[to].mirrored {
            return self.gather_watched(from, to, port);
        }
        let (place, now) = (self.ports[from].network, self.now);
        match &mut self.ports[to].place {
            &mut Place::Device { instance, network } => {
                // A wire leads to somebody who is there.
                let Some(held) = &mut self.instances[instance].instance else {
                    return Ok(0);
                };
                let taken = match held.shared().fill(network) {
                    Ok(Some(mut filler)) => {
                        let sent = &mut self.ports[to].counters.sent;
                        let mut gate =
                            Self::gate(&mut self.lines, &self.joins, (from, place), now, true);
                        // What there is no room for waits in the port: it is for nobody else.
                        port.receive(limit, i64::MAX, &mut |frame| {
                            let fits = filler.push(&frame.plain());
                            if fits {
                                sent.add(frame.len());
                                if let Some(gate) = &mut gate {
                                    gate.hear(frame);
                                }
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

    /// Whether an instance has filled a ring that it sends by.
    pub(super) fn is_full(&self, index: usize, instance: &mut dyn Instance) -> Result<bool, Lie> {
        for network in 0..self.instances[index].ports.len() {
            if instance.shared().is_full(network)? {
                return Ok(true);
            }
        }
        Ok(false)
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
                Some(to) if self.ports[from].mirrored || self.ports[to].mirrored => {
                    self.drain_watched(index, instance, network, to, &mut assembly, lossy)
                }
                Some(to) => self.drain_wire(index, instance, network, to, &mut assembly, lossy),
                None => {
                    let (mut wrong, still) = (None, instance.stands_still());
                    let drained = instance.shared().drain(network, u32::MAX, |part| {
                        let taken = take_in(&mut assembly, &part, |frame| {
                            self.ports[from].counters.received.add(frame.len());
                            if still {
                                self.route(from, frame);
                                return;
                            }
                            let mut copy = std::mem::take(&mut self.copy);
                            copy.clear();
                            frame.append_to(&mut copy);
                            let head = FrameHead::at(frame.head().timestamp);
                            self.route(from, &Frame::new(&copy, head));
                            self.copy = copy;
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
            // A wire has two ends.
            return Ok(0);
        };
        let (end, still) = ((from, here.network), instance.stands_still());
        let mut gate = Self::gate(&mut self.lines, &self.joins, end, self.now, still);
        let (received, mut wrong, mut forged) = (&mut here.counters.received, None, 0);
        let drained = match &mut there.place {
            &mut Place::Device {
                instance: other,
                network: device,
            } => {
                // It leads to somebody who is there.
                let Some(held) = &mut self.instances[other].instance else {
                    return Ok(0);
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
                            let passed = line::pass(&mut gate, frame, |frame| {
                                counters.count_sent(filler.push(frame), frame.len());
                            });
                            forged += u64::from(!passed);
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
                        let passed = line::pass(&mut gate, frame, |frame| {
                            if let Err(error) = port.send(frame) {
                                failed.get_or_insert(error);
                            }
                        });
                        forged += u64::from(!passed);
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
        let counters = &mut self.ports[from].counters;
        if let Some(cause) = wrong {
            counters.drop_frame(cause);
        }
        if forged > 0 {
            counters.drop_frames(DropCause::Forged, forged);
        }
        Ok(drained)
    }
}
