//! The ring by which frames leave (Documentation/networking/packet_mmap.rst, `TPACKET_V2`).
//!
//! Frames are put into slots of memory that the kernel reads, and one call that names nobody has it
//! send all of them by the interface that the socket is bound to. So it is all that a process needs that
//! must not send by any other.

use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::net::SendFlags;

use super::super::mapping::Mapping;
use super::super::{Counters, DropCause};
use super::segment::Lead;
use super::socket::Socket;

/// Bytes of slots, where that is not too few of them.
const MEMORY: usize = 256 << 10;
const FEWEST: usize = 8;
const PAGE: usize = 4096;

/// In each slot: its state, the length of what it holds, and where that begins.
const STATE: usize = 0;
const LENGTH: usize = 4;
const DATA: usize = libc::TPACKET2_HDRLEN - size_of::<libc::sockaddr_ll>();
const _: () = assert!(size_of::<libc::tpacket2_hdr>() <= DATA);

/// Bytes of a frame that the kernel copies at once; others it may read until the frame is sent.
const COPIED: usize = 2048;

/// Bytes of a VLAN tag, by which a frame that has one may be longer, and what such a frame begins with
/// behind its addresses.
const TAG: usize = 4;
const TAGGED: [u8; 2] = [0x81, 0];

/// How a ring lies in its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bytes of a slot, a power of two.
    slot: usize,
    slots: usize,
}

impl Shape {
    /// For frames of so many bytes at most.
    pub(super) fn of(frame_limit: usize) -> Self {
        let slot = (DATA + Lead::LENGTH + frame_limit).next_power_of_two();
        Self {
            slot,
            slots: (MEMORY / slot).max(FEWEST),
        }
    }

    /// As the kernel is asked for it.
    pub(super) fn request(self) -> io::Result<libc::tpacket_req> {
        let number = |value| u32::try_from(value).map_err(io::Error::other);
        let block = self.slot.max(PAGE);
        Ok(libc::tpacket_req {
            tp_block_size: number(block)?,
            tp_block_nr: number(self.slot * self.slots / block)?,
            tp_frame_size: number(self.slot)?,
            tp_frame_nr: number(self.slots)?,
        })
    }
}

/// The ring of a socket.
pub(super) struct Sending {
    memory: Mapping,
    shape: Shape,
    frame_limit: usize,
    /// The slot behind the last one that is filled, which is where the kernel is when none waits.
    next: usize,
    /// How many slots are filled and not handed to the kernel.
    waiting: usize,
}

impl Sending {
    /// Maps the ring that a socket was opened with.
    pub(super) fn new(socket: &Socket, frame_limit: usize) -> io::Result<Self> {
        let shape = Shape::of(frame_limit);
        Ok(Self {
            memory: Mapping::new(socket.as_fd(), 0, shape.slot * shape.slots)?,
            shape,
            frame_limit,
            next: 0,
            waiting: 0,
        })
    }

    /// The slot `back` before the next one.
    fn before(&self, back: usize) -> usize {
        let slots = self.shape.slots;
        (self.next + slots - back) % slots
    }

    fn state(&self, slot: usize) -> &AtomicU32 {
        let at = (slot * self.shape.slot + STATE) as u64;
        let place = self.memory.place::<AtomicU32>(at, 1);
        // SAFETY: the word is in the mapping, aligned, and only ever used as an atomic.
        unsafe { place.expect("slots lie in the memory").as_ref() }
    }

    fn bytes(&mut self, slot: usize) -> &mut [u8] {
        let at = (slot * self.shape.slot + LENGTH) as u64;
        let length = self.shape.slot - LENGTH;
        self.memory
            .bytes(at, length)
            .expect("slots lie in the memory")
    }

    /// Whether as many frames wait as one call should send.
    pub(super) fn is_full(&self) -> bool {
        self.waiting >= self.shape.slots / 2
    }

    /// Puts a frame into the next slot, to leave with [`Sending::leave`].
    pub(super) fn put(&mut self, frame: &[u8]) -> Result<(), DropCause> {
        let is_tagged = frame.get(12..14) == Some(&TAGGED);
        let limit = self.frame_limit - if is_tagged { 0 } else { TAG };
        if frame.len() > limit {
            return Err(DropCause::OverLong);
        }
        let slot = self.next;
        if self.state(slot).load(Ordering::Acquire) != libc::TP_STATUS_AVAILABLE {
            return Err(DropCause::NoRoom);
        }
        let (length, copied) = (Lead::LENGTH + frame.len(), frame.len().min(COPIED));
        let bytes = self.bytes(slot);
        // Both fit: a frame has been found to have at most 64 KiB and a tag.
        bytes[..4].copy_from_slice(&u32::try_from(length).unwrap_or(0).to_ne_bytes());
        let data = &mut bytes[DATA - LENGTH..];
        data[..Lead::LENGTH].copy_from_slice(&Lead::complete(copied));
        data[Lead::LENGTH..length].copy_from_slice(frame);
        self.state(slot)
            .store(libc::TP_STATUS_SEND_REQUEST, Ordering::Release);
        self.next = (slot + 1) % self.shape.slots;
        self.waiting += 1;
        Ok(())
    }

    /// Has the kernel send what waits. Frames that cannot be sent are dropped.
    ///
    /// # Errors
    /// The interface takes no more frames, ever.
    pub(super) fn leave(&mut self, socket: &Socket, counters: &mut Counters) -> io::Result<()> {
        while self.waiting > 0 {
            let done = rustix::net::send(socket, &[], SendFlags::DONTWAIT);
            let before = self.waiting;
            self.settle(counters);
            let cause = match done.map_err(io::Error::from) {
                // It sends what there is memory for.
                Ok(_) if self.waiting < before => continue,
                Ok(_) => DropCause::NoRoom,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => continue,
                    Some(libc::EAGAIN | libc::ENOBUFS) => DropCause::NoRoom,
                    Some(libc::ENETDOWN | libc::ENXIO) => DropCause::NoWay,
                    Some(libc::EMSGSIZE) => DropCause::OverLong,
                    Some(libc::EINVAL) => DropCause::Malformed,
                    _ => {
                        self.withdraw(self.waiting);
                        return Err(error);
                    }
                },
            };
            let dropped = match cause {
                // The frame's own fault: those behind it may go.
                DropCause::OverLong | DropCause::Malformed => {
                    self.close_up();
                    1
                }
                _ => self.waiting,
            };
            counters.drop_frames(cause, dropped as u64);
            self.withdraw(dropped);
        }
        Ok(())
    }

    /// Counts what the kernel has taken.
    fn settle(&mut self, counters: &mut Counters) {
        while self.waiting > 0 {
            let slot = self.before(self.waiting);
            let state = self.state(slot).load(Ordering::Acquire);
            if state & (libc::TP_STATUS_SEND_REQUEST | libc::TP_STATUS_WRONG_FORMAT) != 0 {
                break;
            }
            let length = self.length(slot);
            counters.sent.add(length.saturating_sub(Lead::LENGTH));
            self.waiting -= 1;
        }
    }

    /// Bytes in a slot, with what leads the frame.
    fn length(&mut self, slot: usize) -> usize {
        let limit = self.shape.slot - DATA;
        let length = self
            .bytes(slot)
            .first_chunk()
            .map(|length| u32::from_ne_bytes(*length));
        length.map_or(0, |length| (length as usize).min(limit))
    }

    /// Moves each frame that waits to the slot before it, over the first of them: the kernel goes no
    /// further than a frame that it does not take.
    fn close_up(&mut self) {
        for back in (1..self.waiting).rev() {
            let (from, to) = (self.before(back), self.before(back + 1));
            let end = DATA - LENGTH + self.length(from);
            let frame = self.bytes(from)[..end].to_vec();
            self.bytes(to)[..end].copy_from_slice(&frame);
            self.state(to)
                .store(libc::TP_STATUS_SEND_REQUEST, Ordering::Release);
        }
    }

    /// Takes the last of those that wait back.
    fn withdraw(&mut self, count: usize) {
        for back in 1..=count {
            self.state(self.before(back))
                .store(libc::TP_STATUS_AVAILABLE, Ordering::Release);
        }
        self.next = self.before(count);
        self.waiting -= count;
    }
}
