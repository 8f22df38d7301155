//! A port of another lane: frames go from one lane to the other through rings in memory that both have.
//!
//! The memory holds a byte ring each way, in which a frame is its length and its bytes, and a word each
//! way by which a side says that it has found nothing and may sleep. Who sends rings the other's bell
//! then, and else makes no call. Neither side believes the other: a frame is copied out before it is
//! looked at, and a side that writes what is none loses the port.

mod memory;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};

use rustix::event::{EventfdFlags, eventfd};
use sprat_abi::bytes::{ByteConsumer, ByteProducer};
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::assembly::Assembly;
use super::{Arrival, Claim, Claimed, Counters, DropCause, FRAME_LIMIT, Port, PortError, wall_now};
use memory::{CAPACITY, Memory};

/// Bytes before each frame: its length, in the order of the host.
const HEADER: usize = 4;

/// Bytes that are gathered before they are handed over.
const GATHERED: usize = 64 << 10;

/// In so many turns without a frame the own bell is silenced once, whoever has rung it.
const SILENCE: u32 = 256;

/// Which end of the rings a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RingEnd {
    /// The one whose frames go by the first ring.
    First,
    /// The other one.
    Second,
}

/// One end of a pair of rings.
pub struct Ring {
    name: String,
    end: RingEnd,
    // Dropped before the memory that they lie in.
    incoming: ByteConsumer,
    outgoing: ByteProducer,
    memory: Memory,
    /// Rung by the other side.
    bell: OwnedFd,
    /// The other side's.
    other: OwnedFd,
    /// Bytes that came, of which those from `taken` on are still to be delivered.
    came: Vec<u8>,
    taken: usize,
    /// Turns since anything came.
    quiet: u32,
    /// Whole frames that were not handed over yet, and how many bytes there is room for.
    leaving: Vec<u8>,
    room: usize,
    assembly: Assembly,
    counters: Counters,
}

impl Ring {
    /// A pair of ends, to be handed to two lanes.
    ///
    /// # Errors
    /// The system refuses.
    pub fn pair(name: &str) -> Result<[Claim; 2], PortError> {
        Self::make(name).map_err(|source| failed(name, source))
    }

    fn make(name: &str) -> io::Result<[Claim; 2]> {
        let memory = Memory::file()?;
        let bell = || eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let bells = [bell()?, bell()?];
        let claim = |end| -> io::Result<Claim> {
            let (own, other) = match end {
                RingEnd::First => (&bells[0], &bells[1]),
                RingEnd::Second => (&bells[1], &bells[0]),
            };
            Ok(Claim {
                what: Claimed::Ring(end),
                name: name.into(),
                frame_limit: FRAME_LIMIT,
                descriptors: vec![memory.try_clone()?, own.try_clone()?, other.try_clone()?],
            })
        };
        Ok([claim(RingEnd::First)?, claim(RingEnd::Second)?])
    }

    /// The end that was handed over, whose rings nobody has used yet.
    pub(super) fn of_claim(claim: Claim, end: RingEnd) -> Result<Self, PortError> {
        let Claim {
            name, descriptors, ..
        } = claim;
        let attached = <[OwnedFd; 3]>::try_from(descriptors)
            .map_err(|_| io::Error::other("expected memory and two bells"))
            .and_then(|[memory, bell, other]| Ok((Memory::map(&memory)?, bell, other)));
        let (memory, bell, other) = attached.map_err(|source| failed(&name, source))?;
        // SAFETY: both rings lie on pages of the mapping, which is dropped after them, and no reference
        // leads into them.
        let (incoming, outgoing) = unsafe {
            (
                ByteConsumer::attach(memory.ring(end.other()), CAPACITY),
                ByteProducer::attach(memory.ring(end), CAPACITY),
            )
        };
        Ok(Self {
            name,
            end,
            incoming,
            outgoing,
            memory,
            bell,
            other,
            came: Vec::new(),
            taken: 0,
            quiet: 0,
            leaving: Vec::new(),
            room: 0,
            assembly: Assembly::default(),
            counters: Counters::default(),
        })
    }

    /// Fetches what has come; whether there is more than there was.
    fn fetch(&mut self) -> Result<bool, PortError> {
        self.came.drain(..self.taken);
        self.taken = 0;
        let kept = self.came.len();
        let available = self.incoming.available();
        let more = available.map_err(|lie| self.lied(lie))? as usize;
        let more = more.min((HEADER + FRAME_LIMIT).max(GATHERED));
        self.came.resize(kept + more, 0);
        let read = self.incoming.read(&mut self.came[kept..]);
        let read = read.map_err(|lie| self.lied(lie))?;
        self.came.truncate(kept + read);
        Ok(read > 0)
    }

    /// Length of the next frame among what was fetched; `None` where it is not there as a whole.
    fn next_length(&self) -> Result<Option<usize>, PortError> {
        let rest = &self.came[self.taken..];
        let Some(header) = rest.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_ne_bytes(*header) as usize;
        match length {
            1..=FRAME_LIMIT => Ok((rest.len() >= HEADER + length).then_some(length)),
            _ => Err(self.lied(format!("the other lane sends a frame of {length} bytes"))),
        }
    }

    /// Makes sure that whatever comes next rings the bell; whether something has come meanwhile.
    fn listen(&mut self) -> Result<bool, PortError> {
        let word = self.memory.sleeps(self.end.other());
        if word.swap(1, Ordering::Relaxed) == 0 || self.quiet.is_multiple_of(SILENCE) {
            // It was rung, or it may have been by who does not keep to the rules.
            let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        }
        self.quiet = self.quiet.wrapping_add(1);
        // The word before the look at the ring: who sends does it the other way round.
        fence(Ordering::SeqCst);
        self.fetch()
    }

    /// Hands over what has gathered.
    fn hand_over(&mut self) -> Result<(), PortError> {
        if self.leaving.is_empty() {
            return Ok(());
        }
        let written = self.outgoing.write_all(&[&self.leaving]);
        if !written.map_err(|lie| self.lied(lie))? {
            // Room that there was is never less later.
            return Err(self.lied("the other lane takes room back"));
        }
        self.room = self.room.saturating_sub(self.leaving.len());
        self.leaving.clear();
        fence(Ordering::SeqCst);
        let word = self.memory.sleeps(self.end);
        if word.load(Ordering::Relaxed) != 0 && word.swap(0, Ordering::Relaxed) != 0 {
            // One that has been rung without end is heard all the same.
            let _ = rustix::io::write(&self.other, &1_u64.to_ne_bytes());
        }
        Ok(())
    }

    /// Whether there is room for so many bytes beside those that have gathered.
    fn has_room(&mut self, bytes: usize) -> Result<bool, PortError> {
        if self.leaving.len() + bytes > self.room {
            let available = self.outgoing.available();
            self.room = available.map_err(|lie| self.lied(lie))? as usize;
        }
        Ok(self.leaving.len() + bytes <= self.room)
    }

    /// The other side does not keep to the rules.
    fn lied(&self, how: impl std::fmt::Display) -> PortError {
        failed(&self.name, io::Error::other(how.to_string()))
    }
}

impl RingEnd {
    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

fn failed(name: &str, source: io::Error) -> PortError {
    PortError::Interface {
        kind: "ring",
        name: name.into(),
        source,
    }
}

impl Port for Ring {
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
        let mut taken = 0;
        while taken < limit {
            let Some(length) = self.next_length()? else {
                if !self.fetch()? && !self.listen()? {
                    break;
                }
                continue;
            };
            let begin = self.taken + HEADER;
            let frame = &self.came[begin..begin + length];
            if !deliver(&Frame::new(frame, head)) {
                break;
            }
            self.taken = begin + length;
            self.counters.received.add(length);
            self.quiet = 0;
            taken += 1;
        }
        Ok(taken)
    }

    fn send(&mut self, part: &Frame<'_>) -> Result<(), PortError> {
        let mut assembly = std::mem::take(&mut self.assembly);
        let mut lie = None;
        let added = assembly.add(part, |frame, _| {
            if frame.is_empty() {
                return Err(DropCause::Malformed);
            }
            match self.has_room(HEADER + frame.len()) {
                Ok(true) => {}
                Ok(false) => return Err(DropCause::NoRoom),
                Err(error) => {
                    lie = Some(error);
                    return Err(DropCause::NoRoom);
                }
            }
            let length = u32::try_from(frame.len()).unwrap_or(0);
            self.leaving.extend_from_slice(&length.to_ne_bytes());
            self.leaving.extend_from_slice(frame);
            Ok(frame.len())
        });
        self.assembly = assembly;
        match added {
            Some(Ok(length)) => self.counters.sent.add(length),
            Some(Err(cause)) => self.counters.drop_frame(cause),
            None => {}
        }
        match (lie, self.leaving.len()) {
            (Some(lie), _) => Err(lie),
            (None, GATHERED..) => self.hand_over(),
            (None, _) => Ok(()),
        }
    }

    fn kick(&mut self) -> Result<(), PortError> {
        self.hand_over()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.bell.as_fd())
    }

    fn counters(&self) -> &Counters {
        &self.counters
    }
}
