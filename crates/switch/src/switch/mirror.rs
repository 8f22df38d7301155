//! Mirrors: whoever looks on at a port sees copies of the frames that pass there.
//!
//! Frames go their usual way and wait where they would have waited; only where a port is looked at do
//! they take the longer one, one by one. Where nobody looks on, a batch costs one comparison more.

use sprat_abi::frame::FrameHead;
use sprat_abi::host::{Frame, Lie};
use sprat_monitor::Instance;

use super::drain::take_in;
use super::line::source;
use super::{Place, PortId, Switch};
use crate::port::{Assembly, DropCause, Port, PortError, wall_now};

/// Sees the frames that pass a port.
pub trait Mirror {
    /// A frame passed at this moment, in nanoseconds since 1970. False where there was no room for
    /// its copy.
    fn see(&mut self, frame: &Frame<'_>, now: i64) -> bool;

    /// A turn is over.
    fn turn(&mut self) -> Looking;
}

/// How it is with whoever looks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looking {
    /// All has been shown.
    On,
    /// Some has not been taken yet: another turn is wanted soon.
    Behind,
    /// Nobody looks on any more.
    Over,
}

/// A mirror at a port.
pub(super) struct Mirrored {
    port: usize,
    mirror: Box<dyn Mirror>,
}

impl Switch {
    /// Has a mirror see every frame that enters or leaves the switch at a port from now on.
    pub fn mirror(&mut self, port: PortId, mirror: Box<dyn Mirror>) {
        let port = port.index();
        self.mirrors.push(Mirrored { port, mirror });
        self.ports[port].mirrored = true;
        // It may have something to say before the first frame.
        self.behind = true;
    }

    /// Frames at a port that mirrors had no room for.
    #[must_use]
    pub fn unmirrored(&self, port: PortId) -> u64 {
        self.ports[port.index()].unmirrored
    }

    /// Shows a frame that passes a port to whoever looks on there.
    #[cold]
    pub(super) fn show(&mut self, port: usize, frame: &Frame<'_>) {
        let now = wall_now();
        let here = self.mirrors.iter_mut().filter(|found| found.port == port);
        for mirrored in here {
            self.ports[port].unmirrored += u64::from(!mirrored.mirror.see(frame, now));
        }
    }

    /// A turn is over for all who look on.
    #[cold]
    pub(super) fn turn_mirrors(&mut self) {
        self.behind = false;
        let behind = &mut self.behind;
        self.mirrors.retain_mut(|found| {
            let looking = found.mirror.turn();
            *behind |= looking == Looking::Behind;
            looking != Looking::Over
        });
        for (index, port) in self.ports.iter_mut().enumerate() {
            port.mirrored = self.mirrors.iter().any(|found| found.port == index);
        }
    }

    /// How many frames there is room for at the other end of a wire, and the instance there.
    fn room_at(&mut self, to: usize) -> Result<Option<(usize, u32)>, (usize, Lie)> {
        let Place::Device { instance, network } = self.ports[to].place else {
            return Ok(None);
        };
        let Some(held) = &mut self.instances[instance].instance else {
            return Ok(None);
        };
        match held.shared().room(network) {
            Ok(room) => Ok(Some((instance, room))),
            Err(lie) => Err((instance, lie)),
        }
    }

    /// Takes frames from a port that leads outside and on over a wire that is looked at. What there
    /// is no room for waits in the port.
    #[cold]
    pub(super) fn gather_watched(
        &mut self,
        from: usize,
        to: usize,
        port: &mut dyn Port,
    ) -> Result<usize, PortError> {
        let mut limit = self.options.batch;
        match self.room_at(to) {
            Ok(Some((_, room))) => limit = limit.min(room as usize),
            Ok(None) => {}
            Err(liar) => {
                self.liars.push(liar);
                return Ok(0);
            }
        }
        port.receive(limit, i64::MAX, &mut |frame| {
            self.cross_watched(from, to, &frame.plain());
            true
        })
    }

    /// Takes what an instance has sent over a wire that is looked at.
    #[cold]
    pub(super) fn drain_watched(
        &mut self,
        index: usize,
        instance: &mut dyn Instance,
        network: usize,
        to: usize,
        assembly: &mut Assembly,
        lossy: bool,
    ) -> Result<u32, Lie> {
        let from = self.instances[index].ports[network];
        let (mut limit, mut other) = (u32::MAX, None);
        if !lossy {
            match self.room_at(to) {
                Ok(Some((instance, room))) => (limit, other) = (room, Some(instance)),
                Ok(None) => {}
                Err(liar) => {
                    self.liars.push(liar);
                    return Ok(0);
                }
            }
        }
        let mut wrong = None;
        let drained = instance.shared().drain(network, limit, |part| {
            let taken = take_in(assembly, &part, |frame| {
                self.ports[from].counters.received.add(frame.len());
                self.cross_watched(from, to, frame);
            });
            wrong = wrong.take().or(taken.err());
        })?;
        if let Some(cause) = wrong {
            self.ports[from].counters.drop_frame(cause);
        }
        if let Some(other) = other
            && instance.shared().has_sent(network)?
        {
            // Entered in any case: that is what makes room.
            self.wake(other);
            self.instances[index].undrained = true;
        }
        Ok(drained)
    }

    fn cross_watched(&mut self, from: usize, to: usize, frame: &Frame<'_>) {
        if self.ports[from].mirrored {
            self.show(from, frame);
        }
        let mut copy = Vec::new();
        frame.append_to(&mut copy);
        let frame = &Frame::new(&copy, FrameHead::at(frame.head().timestamp));
        if source(frame).is_some_and(|source| !self.is_rightful(from, source)) {
            self.ports[from].counters.drop_frame(DropCause::Forged);
            return;
        }
        self.hand(to, frame);
    }
}
