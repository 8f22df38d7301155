//! A port of another lane: frames go from one lane to the other through rings in memory that both have.
//!
//! The memory holds a byte ring each way, in which a frame is its length and its bytes, and a word each
//! way by which a side says that it has found nothing and may sleep. Who sends rings the other's bell
//! then, and else makes no call. Neither side believes the other: a frame is copied out before it is
//! looked at, and a side that writes what is none loses the port.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering, fence};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use sprat_abi::bytes::{ByteConsumer, ByteProducer, byte_ring_size};
use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::assembly::Assembly;
use super::{Arrival, Claim, Claimed, Counters, DropCause, FRAME_LIMIT, Port, PortError, wall_now};

/// Bytes that may be under way in each direction.
const CAPACITY: u32 = 1 << 20;

/// Bytes of a direction: its ring, and a page with the word of who reads.
const DIRECTION: usize = byte_ring_size(CAPACITY).next_multiple_of(PAGE) + PAGE;
const PAGE: usize = 4096;

/// Bytes of the memory.
const LENGTH: usize = 2 * DIRECTION;

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

/// The memory of a pair, mapped.
struct Memory(*mut u8);

// SAFETY: an address range that belongs to the value; what lies in it are atomics and bytes that are
// copied.
unsafe impl Send for Memory {}

impl Memory {
    fn map(file: &OwnedFd) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice. The file cannot shrink: it was
        // sealed before anybody else had it.
        let base = unsafe {
            mmap(
                std::ptr::null_mut(),
                LENGTH,
                protection,
                MapFlags::SHARED,
                file,
                0,
            )
        };
        Ok(Self(base?.cast()))
    }

    /// Where the ring begins by which frames of `end` go.
    fn ring(&self, end: RingEnd) -> *mut u8 {
        self.0.wrapping_add(match end {
            RingEnd::First => 0,
            RingEnd::Second => DIRECTION,
        })
    }

    /// Whether who reads that ring may be asleep.
    fn sleeps(&self, end: RingEnd) -> &AtomicU32 {
        let word = self.ring(end).wrapping_add(DIRECTION - PAGE);
        // SAFETY: a word at the beginning of a page of the mapping, which lives as long as the borrow.
        unsafe { &*word.cast() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is the value's own, and nobody has it any more: rings are dropped first.
        let _ = unsafe { munmap(self.0.cast(), LENGTH) };
    }
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
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = File::from(memfd_create("sprat-ring", flags)?);
        memory.set_len(LENGTH as u64)?;
        // Who has the file cannot take memory away from under the other.
        fcntl_add_seals(
            &memory,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
        )?;
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
                descriptors: vec![
                    memory.try_clone()?.into(),
                    own.try_clone()?,
                    other.try_clone()?,
                ],
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
        let lie = |error: sprat_abi::ring::RingLie| io::Error::other(error.to_string());
        self.came.drain(..self.taken);
        self.taken = 0;
        let kept = self.came.len();
        let available = self.incoming.available().map_err(lie);
        let more = available.map_err(|source| failed(&self.name, source))? as usize;
        let more = more.min((HEADER + FRAME_LIMIT).max(GATHERED));
        self.came.resize(kept + more, 0);
        let read = self.incoming.read(&mut self.came[kept..]).map_err(lie);
        let read = read.map_err(|source| failed(&self.name, source))?;
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
            _ => Err(failed(
                &self.name,
                io::Error::other(format!("the other lane sends a frame of {length} bytes")),
            )),
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
        let written =
            written.map_err(|error| failed(&self.name, io::Error::other(error.to_string())))?;
        if written {
            self.room = self.room.saturating_sub(self.leaving.len());
        }
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
    fn has_room(&mut self, bytes: usize) -> bool {
        if self.leaving.len() + bytes > self.room {
            // One that lies is found when it is written to.
            self.room = self.outgoing.available().unwrap_or(0) as usize;
        }
        self.leaving.len() + bytes <= self.room
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
        let added = assembly.add(part, |frame, _| {
            if frame.is_empty() {
                return Err(DropCause::Malformed);
            }
            if !self.has_room(HEADER + frame.len()) {
                return Err(DropCause::NoRoom);
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
        match self.leaving.len() {
            GATHERED.. => self.hand_over(),
            _ => Ok(()),
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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn pair() -> [Box<dyn Port + Send>; 2] {
        let [one, other] = Ring::pair("test").expect("permitted");
        let port = |claim: Claim, end| -> Box<dyn Port + Send> {
            Box::new(Ring::of_claim(claim, end).expect("mapped"))
        };
        [port(one, RingEnd::First), port(other, RingEnd::Second)]
    }

    fn send(port: &mut dyn Port, frame: &[u8]) {
        port.send(&Frame::new(frame, FrameHead::default()))
            .expect("sent");
    }

    fn receive(port: &mut dyn Port, limit: usize) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let taken = port.receive(limit, i64::MAX, &mut |frame| {
            let mut bytes = Vec::new();
            frame.append_to(&mut bytes);
            frames.push(bytes);
            true
        });
        assert_eq!(taken.expect("received"), frames.len());
        frames
    }

    /// Whether the port's descriptor can be read now.
    fn is_rung(port: &dyn Port) -> bool {
        let descriptor = port.descriptor().expect("a bell");
        let mut waiting = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
        poll(&mut waiting, Some(&Timespec::default())).expect("polled") == 1
    }

    #[test]
    fn frames_of_every_length_come_whole_in_order_both_ways() {
        let [mut one, mut other] = pair();
        let frames: Vec<Vec<u8>> = [1, 59, 60, 1514, 9000, FRAME_LIMIT]
            .iter()
            .map(|length| {
                (0..*length)
                    .map(|at| u8::try_from(at % 251).expect("small"))
                    .collect()
            })
            .collect();
        for _ in 0..40 {
            for frame in &frames {
                send(&mut *one, frame);
            }
            assert_eq!(one.kick().err().map(|error| error.to_string()), None);
            assert_eq!(receive(&mut *other, 4), frames[..4]);
            assert_eq!(receive(&mut *other, 100), frames[4..]);
            std::mem::swap(&mut one, &mut other);
        }
        assert_eq!(one.counters().sent.frames, 20 * 6);
        assert_eq!(one.counters().received.frames, 20 * 6);
    }

    #[test]
    fn a_frame_that_is_refused_comes_again() {
        let [mut one, mut other] = pair();
        send(&mut *one, &[1; 60]);
        send(&mut *one, &[2; 60]);
        one.kick().expect("handed over");
        let mut seen = Vec::new();
        let taken = other.receive(10, 0, &mut |frame| {
            let mut bytes = Vec::new();
            frame.append_to(&mut bytes);
            seen.push(bytes[0]);
            seen.len() < 2
        });
        assert_eq!((taken.expect("received"), seen), (1, vec![1, 2]));
        assert_eq!(receive(&mut *other, 10), [[2; 60]]);
    }

    #[test]
    fn what_has_no_room_is_dropped_and_counted_and_the_rest_comes() {
        let [mut one, mut other] = pair();
        for _ in 0..1000 {
            send(&mut *one, &[7; 1514]);
        }
        one.kick().expect("handed over");
        let fit = u64::from(CAPACITY) / 1518;
        assert_eq!(one.counters().sent.frames, fit);
        assert_eq!(
            one.counters().dropped,
            [(DropCause::NoRoom, 1000 - fit)],
            "by cause"
        );
        assert_eq!(receive(&mut *other, 2000).len() as u64, fit);
        send(&mut *one, &[8; 60]);
        one.kick().expect("handed over");
        assert_eq!(receive(&mut *other, 10), [[8; 60]]);
    }

    #[test]
    fn who_sleeps_is_woken_once_and_who_does_not_is_left_alone() {
        let [mut one, mut other] = pair();
        assert!(receive(&mut *other, 10).is_empty(), "nothing yet");
        assert!(!is_rung(&*other));
        send(&mut *one, &[1; 60]);
        one.kick().expect("handed over");
        assert!(is_rung(&*other));
        assert_eq!(receive(&mut *other, 1).len(), 1);
        // It has not looked whether there is more, so it is not asleep.
        send(&mut *one, &[2; 60]);
        one.kick().expect("handed over");
        assert_eq!(receive(&mut *other, 10).len(), 1);
        assert!(!is_rung(&*other), "silent when nothing is left");
        send(&mut *one, &[3; 60]);
        one.kick().expect("handed over");
        assert!(is_rung(&*other));
    }

    #[test]
    fn nothing_is_lost_between_two_threads_that_sleep() {
        const FRAMES: u32 = 20_000;
        let [mut one, mut other] = pair();
        let sender = std::thread::spawn(move || {
            for number in 0..FRAMES {
                let before = one.counters().total_dropped();
                loop {
                    send(&mut *one, &number.to_le_bytes());
                    one.kick().expect("handed over");
                    if one.counters().total_dropped() == before {
                        break;
                    }
                    std::thread::yield_now();
                }
            }
            one
        });
        let begun = Instant::now();
        let mut next = 0_u32;
        while next < FRAMES {
            let frames = receive(&mut *other, 64);
            if frames.is_empty() {
                let descriptor = other.descriptor().expect("a bell");
                let mut waiting = [PollFd::from_borrowed_fd(descriptor, PollFlags::IN)];
                let longest = Timespec {
                    tv_sec: 60,
                    tv_nsec: 0,
                };
                let woken = poll(&mut waiting, Some(&longest)).expect("polled");
                assert_eq!(woken, 1, "asleep for ever at frame {next}");
            }
            for frame in frames {
                assert_eq!(frame, next.to_le_bytes());
                next += 1;
            }
            assert!(begun.elapsed() < Duration::from_secs(300));
        }
        sender.join().expect("no panic");
    }

    #[test]
    fn a_side_that_writes_what_is_no_frame_loses_the_port_and_nothing_else() {
        for (written, expected) in [
            (
                &0_u32.to_ne_bytes()[..],
                "ring:test: the other lane sends a frame of 0 bytes",
            ),
            (
                &70_000_u32.to_ne_bytes()[..],
                "ring:test: the other lane sends a frame of 70000 bytes",
            ),
        ] {
            let [liar, honest] = Ring::pair("test").expect("permitted");
            let mut liar = Ring::of_claim(liar, RingEnd::First).expect("mapped");
            let mut honest = Ring::of_claim(honest, RingEnd::Second).expect("mapped");
            assert_eq!(liar.outgoing.write_all(&[written]), Ok(true));
            let error = honest.receive(10, 0, &mut |_| true).expect_err("a lie");
            assert_eq!(error.to_string(), expected);
        }
        let [liar, honest] = Ring::pair("test").expect("permitted");
        let liar = Ring::of_claim(liar, RingEnd::First).expect("mapped");
        let mut honest = Ring::of_claim(honest, RingEnd::Second).expect("mapped");
        let index = liar.memory.ring(RingEnd::First).cast::<AtomicU32>();
        // SAFETY: the first word of the ring, in a mapping that both keep.
        unsafe { &*index }.store(CAPACITY + 1, Ordering::Release);
        let error = honest.receive(10, 0, &mut |_| true).expect_err("a lie");
        assert!(error.to_string().contains("impossible"), "{error}");
    }

    #[test]
    fn a_bell_that_is_rung_without_a_frame_falls_silent() {
        let [liar, honest] = Ring::pair("test").expect("permitted");
        let liar = Ring::of_claim(liar, RingEnd::First).expect("mapped");
        let mut honest = Ring::of_claim(honest, RingEnd::Second).expect("mapped");
        rustix::io::write(&liar.other, &1_u64.to_ne_bytes()).expect("rung");
        drop(liar);
        for _ in 0..=SILENCE {
            assert!(receive(&mut honest, 10).is_empty());
        }
        assert!(!is_rung(&honest));
    }
}
