//! An interface of the host, by a packet socket (packet(7)).
//!
//! Frames come and leave many in one call. For those that come a ring in memory (`TPACKET_V3`) would
//! save the kernel's copy, but hands frames over only when a block is full or a millisecond has passed.

mod segment;
mod sending;
mod socket;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use sprat_abi::frame::{FrameHead, offload};
use sprat_abi::host::Frame;
use sprat_monitor::monotonic_now;

use super::assembly::Assembly;
use super::interface::Interface;
use super::offload::complete;
use super::{Arrival, Claim, Claimed, Counters, DropCause, FRAME_LIMIT, Port, PortError, wall_now};
use segment::{Cut, Lead};
use sending::{Sending, Shape};
use socket::{Arrived, BATCH, Socket};

/// How long after an interface went down it is looked whether it is still there, in nanoseconds.
const LOOK: u64 = 100_000_000;

/// Bytes of a VLAN tag, kept free in front of each frame.
const TAG: usize = 4;

/// Room for one frame and its tag.
const ROOM: usize = TAG + FRAME_LIMIT + 1;

/// An interface of the host.
pub struct Packet {
    name: String,
    index: i32,
    address: [u8; 6],
    socket: Socket,
    sending: Sending,
    frame_limit: usize,
    /// Rooms for [`BATCH`] frames, and what the kernel says of those that came.
    rooms: Vec<u8>,
    arrived: [Arrived; BATCH],
    /// The interface was down when frames were asked for last.
    is_down: bool,
    /// Of those that came: how many, and which is next.
    filled: usize,
    next: usize,
    current: Option<Current>,
    segment: Vec<u8>,
    assembly: Assembly,
    counters: Counters,
}

/// The frame that is being delivered.
#[derive(Clone, Copy)]
struct Current {
    begin: usize,
    end: usize,
    /// How it is cut, and which piece is next.
    cut: Option<(Cut, usize)>,
}

impl Packet {
    /// Joins an interface, which takes `CAP_NET_RAW`. Where `promiscuous`, frames come that are for
    /// others than the interface itself: an instance has an address of its own.
    ///
    /// # Errors
    /// There is no such interface, or the system refuses.
    pub fn open(name: &str, promiscuous: bool) -> Result<Self, PortError> {
        let opened = Interface::new(name).and_then(|interface| {
            let index = interface.index()?;
            let frame_limit = interface.frame_limit()?;
            let socket = Socket::open(index, Shape::of(frame_limit))?;
            if promiscuous {
                socket.set_promiscuous(index)?;
            }
            let address = interface.address()?;
            Self::over(name.into(), index, address, socket, frame_limit)
        });
        opened.map_err(|source| match source.kind() {
            io::ErrorKind::PermissionDenied => PortError::NoPacketSocket { name: name.into() },
            _ => failed(name, source),
        })
    }

    fn over(
        name: String,
        index: i32,
        address: [u8; 6],
        socket: Socket,
        frame_limit: usize,
    ) -> io::Result<Self> {
        Ok(Self {
            name,
            index,
            address,
            sending: Sending::new(&socket, frame_limit)?,
            socket,
            frame_limit,
            rooms: vec![0; BATCH * ROOM],
            arrived: [Arrived::default(); BATCH],
            is_down: false,
            filled: 0,
            next: 0,
            current: None,
            segment: Vec::new(),
            assembly: Assembly::default(),
            counters: Counters::default(),
        })
    }

    /// What another process needs to use it.
    pub(super) fn into_claim(self) -> Claim {
        Claim {
            what: Claimed::Packet {
                index: self.index,
                address: self.address,
            },
            name: self.name,
            frame_limit: self.frame_limit,
            descriptors: vec![self.socket.into()],
        }
    }

    /// One that was opened elsewhere.
    pub(super) fn of_claim(
        mut claim: Claim,
        index: i32,
        address: [u8; 6],
    ) -> Result<Self, PortError> {
        let socket = claim.descriptor("packet")?.into();
        let name = claim.name.clone();
        Self::over(claim.name, index, address, socket, claim.frame_limit)
            .map_err(|source| failed(&name, source))
    }

    fn failed(&self, source: io::Error) -> PortError {
        failed(&self.name, source)
    }

    /// Gives frames that are for others too from now on.
    ///
    /// # Errors
    /// The system refuses.
    pub fn set_promiscuous(&self) -> io::Result<()> {
        self.socket.set_promiscuous(self.index)
    }

    /// The interface's own Ethernet address.
    #[must_use]
    pub fn address(&self) -> [u8; 6] {
        self.address
    }

    /// [`Port::receive`], with the bytes of each frame.
    ///
    /// # Errors
    /// The interface gives no more frames.
    pub fn receive_bytes(
        &mut self,
        limit: usize,
        take: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<usize, PortError> {
        let mut taken = 0;
        while taken < limit {
            let Some(current) = self.current else {
                if self.next == self.filled && !self.fill()? {
                    break;
                }
                self.prepare();
                continue;
            };
            let frame = self.frame(&current);
            let length = frame.len();
            if !take(frame) {
                break;
            }
            self.counters.received.add(length);
            taken += 1;
            self.advance(current);
        }
        Ok(taken)
    }

    /// Asks the kernel for more frames. False where there are none.
    fn fill(&mut self) -> Result<bool, PortError> {
        let (rooms, _) = self.rooms.as_chunks_mut::<ROOM>();
        (self.next, self.filled) = (0, 0);
        match self.socket.receive(rooms, TAG, &mut self.arrived) {
            Ok(count) => {
                self.filled = count;
                self.is_down = false;
            }
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => {}
                // The interface is down, which may change, or it is going.
                Some(libc::ENETDOWN) => self.is_down = true,
                _ => return Err(self.failed(error)),
            },
        }
        if self.is_down && !self.socket.has_interface() {
            return Err(self.failed(io::Error::from_raw_os_error(libc::ENODEV)));
        }
        Ok(self.filled > 0)
    }

    /// Makes the next frame that came ready to be delivered.
    fn prepare(&mut self) {
        let arrived = self.arrived[self.next];
        let mut begin = self.next * ROOM + TAG;
        self.next += 1;
        if arrived.length + arrived.tag.map_or(0, |_| TAG) > FRAME_LIMIT {
            self.counters.drop_frame(DropCause::OverLong);
            return;
        }
        let end = begin + arrived.length;
        let mut lead = Lead::parse(&arrived.lead);
        if let Some((protocol, value)) = arrived.tag
            && arrived.length >= 12
        {
            self.rooms.copy_within(begin..begin + 12, begin - TAG);
            begin -= TAG;
            self.rooms[begin + 12..begin + 14].copy_from_slice(&protocol.to_be_bytes());
            self.rooms[begin + 14..begin + 16].copy_from_slice(&value.to_be_bytes());
            lead.shift_behind_tag();
        }
        let frame = &mut self.rooms[begin..end];
        let cut = if lead.is_whole() {
            let head = FrameHead {
                offload: match lead.flags & Lead::NEEDS_CHECKSUM {
                    0 => 0,
                    _ => offload::NEEDS_CHECKSUM,
                },
                checksum_start: lead.checksum_start,
                checksum_offset: lead.checksum_offset,
                ..FrameHead::default()
            };
            if !complete(frame, &head) {
                self.counters.drop_frame(DropCause::Malformed);
                return;
            }
            None
        } else {
            let Some(cut) = Cut::plan(frame, &lead) else {
                self.counters.drop_frame(DropCause::Unsupported);
                return;
            };
            cut.write(frame, 0, &mut self.segment);
            Some((cut, 0))
        };
        self.current = Some(Current { begin, end, cut });
    }

    /// What is to be delivered now.
    fn frame(&self, current: &Current) -> &[u8] {
        match current.cut {
            Some(_) => &self.segment,
            None => &self.rooms[current.begin..current.end],
        }
    }

    /// Goes on to the next piece of a frame that is cut; to none where that was the last.
    fn advance(&mut self, current: Current) {
        self.current = current.cut.and_then(|(cut, index)| {
            let index = index + 1;
            (index < cut.count).then(|| {
                let frame = &self.rooms[current.begin..current.end];
                cut.write(frame, index, &mut self.segment);
                Current {
                    cut: Some((cut, index)),
                    ..current
                }
            })
        });
    }

    /// Sends the frames that have gathered.
    fn leave(&mut self) -> Result<(), PortError> {
        let left = self.sending.leave(&self.socket, &mut self.counters);
        left.map_err(|source| self.failed(source))
    }
}

fn failed(name: &str, source: io::Error) -> PortError {
    PortError::Interface {
        kind: "packet",
        name: name.into(),
        source,
    }
}

/// Has an interface give frames that are for others too, as long as the descriptor is open.
pub(super) fn promiscuous(interface: i32) -> io::Result<OwnedFd> {
    let socket = Socket::silent()?;
    socket.set_promiscuous(interface)?;
    Ok(socket.into())
}

impl AsFd for Packet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Port for Packet {
    fn next_arrival(&mut self) -> Result<Arrival, PortError> {
        Ok(Arrival::Live)
    }

    fn receive(
        &mut self,
        limit: usize,
        _: i64,
        deliver: &mut dyn FnMut(&Frame<'_>) -> bool,
    ) -> Result<usize, PortError> {
        let head = FrameHead::at(wall_now());
        self.receive_bytes(limit, &mut |frame| deliver(&Frame::new(frame, head)))
    }

    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        let sending = &mut self.sending;
        let put = self.assembly.add(part, |frame, _| sending.put(frame));
        if let Some(Err(cause)) = put {
            self.counters.drop_frame(cause);
        }
        match self.sending.is_full() {
            true => self.leave(),
            false => Ok(()),
        }
    }

    fn kick(&mut self) -> Result<(), PortError> {
        self.leave()
    }

    fn flush(&mut self) -> Result<(), PortError> {
        self.leave()?;
        let missed = self.socket.missed();
        self.counters.drop_frames(DropCause::Late, missed);
        Ok(())
    }

    fn frame_limit(&self) -> usize {
        self.frame_limit
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    fn deadline(&self) -> Option<u64> {
        // The kernel says when an interface goes down, and no more when it then goes altogether.
        self.is_down.then(|| monotonic_now().saturating_add(LOOK))
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests;
