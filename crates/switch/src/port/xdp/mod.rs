//! An interface of the host, by AF_XDP sockets: frames come before the kernel's own network sees
//! them, into memory that is shared with it, and no call is made for each.
//!
//! The kernel sees none of the frames that come: the interface is the port's alone.

mod partial;
mod program;
mod queue;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::epoll;
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_monitor::monotonic_now;

use super::assembly::Assembly;
use super::interface::Interface;
use super::{Arrival, Counters, DropCause, Port, PortError, packet, wall_now};
use partial::complete_partial;
use program::Program;
use queue::{BATCH, LONGEST, Queue};

/// After how long a kernel that could not send is asked again, in nanoseconds.
const BREATH: u64 = 1_000_000;

/// An interface of the host, all of whose queues are joined.
pub struct Xdp {
    name: String,
    /// Taken off the interface before the sockets are closed.
    _program: Program,
    queues: Vec<Queue>,
    /// What is waited for, where there are several sockets.
    any: Option<OwnedFd>,
    /// Has frames come that are for others than the interface itself.
    _promiscuous: OwnedFd,
    /// Which queue is looked at first.
    first: usize,
    frame_limit: usize,
    assembly: Assembly,
    missed: u64,
    counters: Counters,
}

impl Xdp {
    /// Joins an interface, which takes root: `CAP_NET_ADMIN`, `CAP_NET_RAW` and `CAP_BPF`.
    ///
    /// # Errors
    /// There is no such interface, its frames are too long, or the system refuses.
    pub fn open(name: &str) -> Result<Self, PortError> {
        Self::join(name).map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => PortError::NoXdpSocket { name: name.into() },
            io::ErrorKind::ResourceBusy => failed(
                name,
                io::Error::other(format!(
                    "something else takes its frames: another port xdp:{name}, or a program that \
                     `ip link show {name}` names"
                )),
            ),
            _ => failed(name, source),
        })
    }

    fn join(name: &str) -> io::Result<Self> {
        let interface = Interface::new(name)?;
        let index = interface.index()?;
        let frame_limit = interface.frame_limit()?;
        if frame_limit > LONGEST {
            return Err(io::Error::other(format!(
                "its frames have up to {frame_limit} bytes, and AF_XDP carries {LONGEST}: lower its \
                 MTU, or use packet:{name}"
            )));
        }
        let promiscuous = packet::promiscuous(index)?;
        let index = u32::try_from(index).map_err(io::Error::other)?;
        let queues = (0..interface.receiving_queues()?)
            .map(|queue| Queue::open(index, queue, frame_limit))
            .collect::<io::Result<Vec<_>>>()?;
        let sockets: Vec<_> = queues.iter().map(|queue| queue.as_fd()).collect();
        let any = match &sockets[..] {
            [_] => None,
            many => Some(any_of(many)?),
        };
        let program = Program::attach(index, &sockets)?;
        Ok(Self {
            name: name.into(),
            _program: program,
            queues,
            any,
            _promiscuous: promiscuous,
            first: 0,
            frame_limit,
            assembly: Assembly::default(),
            missed: 0,
            counters: Counters::default(),
        })
    }

    /// Frames leave by the first queue: they are one thread's. Where the interface is down, which may
    /// change, they wait.
    fn leave(&mut self) -> Result<(), PortError> {
        self.queues[0]
            .leave()
            .or_else(|error| match error.raw_os_error() {
                Some(libc::ENETDOWN | libc::ENXIO) => Ok(()),
                _ => Err(failed(&self.name, error)),
            })
    }
}

fn failed(name: &str, source: io::Error) -> PortError {
    PortError::Interface {
        kind: "xdp",
        name: name.into(),
        source,
    }
}

/// A descriptor that can be read whenever one of several can.
fn any_of(descriptors: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
    let any = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for descriptor in descriptors {
        let data = epoll::EventData::new_u64(0);
        epoll::add(&any, descriptor, data, epoll::EventFlags::IN)?;
    }
    Ok(any)
}

impl Port for Xdp {
    fn next_arrival(&mut self) -> Result<Arrival, PortError> {
        Ok(Arrival::Live)
    }

    fn receive(
        &mut self,
        limit: usize,
        _: i64,
        deliver: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError> {
        if self.queues[0].is_behind() {
            self.leave()?;
        }
        let head = FrameHead::at(wall_now());
        let received = &mut self.counters.received;
        let mut taken = 0;
        let count = self.queues.len();
        for turn in 0..count {
            let queue = &mut self.queues[(self.first + turn) % count];
            let mut refused = false;
            let result = queue.receive(limit - taken, &mut |frame| {
                complete_partial(frame);
                refused = !deliver(&Frame::new(frame, head));
                if !refused {
                    received.add(frame.len());
                }
                !refused
            });
            taken += result.map_err(|error| failed(&self.name, error))?;
            if refused || taken == limit {
                break;
            }
        }
        self.first = (self.first + 1) % count;
        Ok(taken)
    }

    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        let (queue, limit) = (&mut self.queues[0], self.frame_limit);
        let added = self.assembly.add(part, |frame, _| {
            if frame.len() > limit {
                return Err(DropCause::OverLong);
            }
            match queue.add(frame) {
                true => Ok(frame.len()),
                false => Err(DropCause::NoRoom),
            }
        });
        match added {
            Some(Ok(length)) => self.counters.sent.add(length),
            Some(Err(cause)) => self.counters.drop_frame(cause),
            None => {}
        }
        match queue.gathered() {
            BATCH => self.leave(),
            _ => Ok(()),
        }
    }

    fn kick(&mut self) -> Result<(), PortError> {
        self.leave()
    }

    fn flush(&mut self) -> Result<(), PortError> {
        self.leave()?;
        let missed = self.queues.iter().map(Queue::missed).sum();
        self.counters
            .drop_frames(DropCause::Late, missed - self.missed);
        self.missed = missed;
        Ok(())
    }

    fn frame_limit(&self) -> usize {
        self.frame_limit
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match &self.any {
            Some(any) => Some(any.as_fd()),
            None => self.queues.first().map(|queue| queue.as_fd()),
        }
    }

    fn deadline(&self) -> Option<u64> {
        let behind = self.queues[0].is_behind();
        behind.then(|| monotonic_now().saturating_add(BREATH))
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}
