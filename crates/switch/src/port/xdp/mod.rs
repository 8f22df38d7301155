//! An interface of the host, by AF_XDP sockets: frames come before the kernel's own network sees
//! them, into memory that is shared with it, and no call is made for each.
//!
//! The kernel sees none of the frames that come: the interface is the port's alone.
//!
//! Who may makes the sockets (`socket.rs`), and who moves the frames maps their rings (`queue.rs`), which
//! may be another process. The crates that there are for AF_XDP make both in one.

mod partial;
mod program;
mod queue;
mod shared;
mod socket;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::io::Errno;
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;
use sprat_monitor::monotonic_now;

use super::assembly::Assembly;
use super::interface::Interface;
use super::{Arrival, Claim, Claimed, Counters, DropCause, Port, PortError, packet, wall_now};
use partial::complete_partial;
use queue::{BATCH, LONGEST, Queue};

/// After how long a kernel that could not send is asked again, in nanoseconds.
const BREATH: u64 = 1_000_000;

/// How often it is looked whether the interface is still there, in nanoseconds: nobody is woken when it
/// goes.
const LOOK: u64 = 500_000_000;

/// How long it may take until the kernel has let go of a queue.
const LETTING_GO: Duration = Duration::from_millis(500);

/// Descriptors of a claim that come before its sockets.
const BESIDE: usize = 4;

/// Most queues of an interface: all descriptors of a claim are handed over at once, and the kernel does
/// that with 253.
const MOST_QUEUES: u32 = 249;

/// An interface of the host, all of whose queues are joined.
pub struct Xdp {
    name: String,
    /// The program that hands over the interface's frames, which is taken off when this is closed:
    /// before the sockets are.
    _link: OwnedFd,
    /// Has frames come that are for others than the interface itself.
    _promiscuous: OwnedFd,
    /// What is waited for: it can be read whenever one of the sockets can.
    any: OwnedFd,
    queues: Vec<Queue>,
    /// Which queue is looked at first.
    first: usize,
    frame_limit: usize,
    /// When it was looked whether the interface is there.
    looked: u64,
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
        let (index, claim) = Self::prepare(name).map_err(|error| explained(name, error))?;
        let port = Self::of_claim(claim)?;
        begin(name, index, port.queues.iter().map(Queue::as_fd))?;
        Ok(port)
    }

    /// What another process needs to use it. The last step is left: [`complete`], once that process has
    /// made a port of it.
    pub(super) fn claim(name: &str) -> Result<Claim, PortError> {
        let prepared = Self::prepare(name).map_err(|error| explained(name, error));
        prepared.map(|(_, claim)| claim)
    }

    fn prepare(name: &str) -> io::Result<(u32, Claim)> {
        let interface = Interface::new(name)?;
        let index = interface.index()?;
        let frame_limit = interface.frame_limit()?;
        if frame_limit > LONGEST {
            return Err(io::Error::other(format!(
                "its frames have up to {frame_limit} bytes, and AF_XDP carries {LONGEST}: lower its \
                 MTU, or use packet:{name}"
            )));
        }
        let queues = interface.receiving_queues()?;
        if queues > MOST_QUEUES {
            return Err(io::Error::other(format!(
                "it has {queues} queues, and up to {MOST_QUEUES} can be joined: `ethtool -L {name}` \
                 sets how many it has"
            )));
        }
        let promiscuous = packet::promiscuous(index)?;
        let index = u32::try_from(index).map_err(io::Error::other)?;
        let memory = socket::memory(frame_limit, queues)?;
        let sockets = (0..queues)
            .map(|queue| socket::create(memory.as_fd(), queue, frame_limit))
            .collect::<io::Result<Vec<_>>>()?;
        let borrowed: Vec<_> = sockets.iter().map(OwnedFd::as_fd).collect();
        let any = any_of(&borrowed)?;
        let link = program::attach(index, &borrowed)?;
        let mut descriptors = vec![link, promiscuous, any, memory];
        debug_assert_eq!(descriptors.len(), BESIDE);
        descriptors.extend(sockets);
        let claim = Claim {
            what: Claimed::Xdp { index },
            name: name.into(),
            frame_limit,
            descriptors,
        };
        Ok((index, claim))
    }

    /// The port of a claim, whose rings are mapped.
    pub(super) fn of_claim(claim: Claim) -> Result<Self, PortError> {
        let name = claim.name;
        let limit = claim.frame_limit;
        let mut descriptors = claim.descriptors.into_iter();
        let mut next = || {
            let missing = || failed(&name, io::Error::other("no descriptor came with it"));
            descriptors.next().ok_or_else(missing)
        };
        let (link, promiscuous, any, memory) = (next()?, next()?, next()?, next()?);
        let queues = (0..)
            .zip(descriptors)
            .map(|(number, socket)| Queue::new(socket, memory.as_fd(), number, limit))
            .collect::<io::Result<Vec<_>>>()
            .map_err(|source| failed(&name, source))?;
        if queues.is_empty() {
            return Err(failed(&name, io::Error::other("no socket came with it")));
        }
        Ok(Self {
            name,
            _link: link,
            _promiscuous: promiscuous,
            any,
            queues,
            first: 0,
            frame_limit: limit,
            looked: monotonic_now(),
            assembly: Assembly::default(),
            missed: 0,
            counters: Counters::default(),
        })
    }

    /// An error where the interface was removed, which the kernel tells sockets that were bound to it.
    fn look(&mut self) -> Result<(), PortError> {
        self.looked = monotonic_now();
        match rustix::net::sockopt::socket_error(&self.queues[0]) {
            Ok(Err(Errno::NETDOWN)) => {
                let gone = io::Error::from_raw_os_error(libc::ENODEV);
                Err(failed(&self.name, gone))
            }
            _ => Ok(()),
        }
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

/// Has the frames of a claim come and go, of which somebody has made a port: no sooner can its sockets be
/// bound, and only by who may.
pub(super) fn complete(claim: &Claim, index: u32) -> Result<(), PortError> {
    let sockets = claim.descriptors.iter().skip(BESIDE);
    begin(&claim.name, index, sockets.map(OwnedFd::as_fd))
}

fn begin<'s>(
    name: &str,
    index: u32,
    sockets: impl Iterator<Item = BorrowedFd<'s>>,
) -> Result<(), PortError> {
    (0..)
        .zip(sockets)
        .try_for_each(|(queue, socket)| bind(socket, index, queue))
        .map_err(|error| explained(name, error))
}

/// Binds a socket. The kernel takes a moment until it has let go of another that had the queue and was
/// closed.
fn bind(socket: BorrowedFd<'_>, index: u32, queue: u32) -> io::Result<()> {
    let until = Instant::now() + LETTING_GO;
    loop {
        match socket::bind(socket, index, queue) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                thread::sleep(Duration::from_millis(2));
            }
            bound => return bound,
        }
    }
}

/// Why an interface could not be joined.
fn explained(name: &str, source: io::Error) -> PortError {
    match source.kind() {
        io::ErrorKind::PermissionDenied => PortError::NoXdpSocket { name: name.into() },
        io::ErrorKind::ResourceBusy => failed(
            name,
            io::Error::other(format!(
                "something else takes its frames: another port xdp:{name}, or a program that \
                 `ip link show {name}` names"
            )),
        ),
        _ => failed(name, source),
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
            taken += queue.receive(limit - taken, &mut |frame| {
                complete_partial(frame);
                refused = !deliver(&Frame::new(frame, head));
                if !refused {
                    received.add(frame.len());
                }
                !refused
            });
            if refused || taken == limit {
                break;
            }
        }
        self.first = (self.first + 1) % count;
        if taken == 0 && monotonic_now() >= self.looked + LOOK {
            self.look()?;
        }
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
        Some(self.any.as_fd())
    }

    fn deadline(&self) -> Option<u64> {
        Some(match self.queues[0].is_behind() {
            true => monotonic_now().saturating_add(BREATH),
            false => self.looked + LOOK,
        })
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}
