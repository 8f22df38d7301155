//! One queue of an interface, as who moves its frames uses it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SendFlags;

use super::super::mapping::Mapping;
use super::shared::{Giving, Layout, Taking};
use super::socket::{get, queue_size};

/// Frames that wait to be fetched, and as many that wait to leave.
pub(super) const DEPTH: u32 = 1024;

/// Rooms for frames: the first half is for those that come, the other for those that leave.
pub(super) const CHUNKS: u32 = 2 * DEPTH;

/// Frames sent with one call: what the kernel sends in a call.
pub(super) const BATCH: usize = 32;

/// How often the kernel is asked again to send what it has not sent.
const ATTEMPTS: usize = 64;

/// Bytes that the kernel keeps in front of a frame that comes.
const HEADROOM: usize = 256;

/// The longest frame that fits into the smaller rooms.
const SHORT: usize = 2048 - HEADROOM;

/// The longest frame that fits at all: into a page.
pub(super) const LONGEST: usize = 4096 - HEADROOM;

/// Bytes of a room for frames of at most `limit` bytes.
pub(super) fn chunk_size(limit: usize) -> u32 {
    match limit {
        0..=SHORT => 2048,
        _ => 4096,
    }
}

/// A socket and its rings.
pub(super) struct Queue {
    fill: Giving<u64>,
    completed: Taking<u64>,
    received: Taking<libc::xdp_desc>,
    leaving: Giving<libc::xdp_desc>,
    frames: Mapping,
    chunk: u64,
    /// Rooms of frames that may leave.
    free: Vec<u64>,
    /// Frames in the ring that the kernel was not shown yet.
    gathered: usize,
    /// Whether it refused to take all that stands in the ring.
    behind: bool,
    socket: OwnedFd,
}

impl Queue {
    /// The queue of a socket that is not bound yet, with its part of the memory: the one of this number.
    pub(super) fn new(
        socket: OwnedFd,
        memory: BorrowedFd<'_>,
        number: u32,
        limit: usize,
    ) -> io::Result<Self> {
        let size = queue_size(limit);
        let chunk = u64::from(chunk_size(limit));
        let length = usize::try_from(size).map_err(io::Error::other)?;
        let frames = Mapping::new(memory, u64::from(number) * size, length)?;
        let offsets: libc::xdp_mmap_offsets = get(socket.as_fd(), libc::XDP_MMAP_OFFSETS)?;
        let layout = |ring: libc::xdp_ring_offset| Layout {
            producer: ring.producer,
            consumer: ring.consumer,
            entries: ring.desc,
            count: DEPTH,
        };
        let (receive, transmit) = (libc::XDP_PGOFF_RX_RING, libc::XDP_PGOFF_TX_RING);
        let [receive, transmit] = [receive, transmit].map(i64::cast_unsigned);
        let completion = libc::XDP_UMEM_PGOFF_COMPLETION_RING;
        let of = socket.as_fd();
        let mut fill = Giving::new(of, libc::XDP_UMEM_PGOFF_FILL_RING, &layout(offsets.fr))?;
        let completed = Taking::new(of, completion, &layout(offsets.cr))?;
        let received = Taking::new(of, receive, &layout(offsets.rx))?;
        let leaving = Giving::new(of, transmit, &layout(offsets.tx))?;
        for number in 0..DEPTH {
            fill.push(u64::from(number) * chunk);
        }
        fill.publish();
        Ok(Self {
            fill,
            completed,
            received,
            leaving,
            frames,
            chunk,
            // The last first: those that were used lately are used again.
            free: (DEPTH..CHUNKS)
                .rev()
                .map(|number| u64::from(number) * chunk)
                .collect(),
            gathered: 0,
            behind: false,
            socket,
        })
    }

    /// Lends up to `limit` frames to `take`, until that returns false: the frame it refused comes again.
    pub(super) fn receive(
        &mut self,
        limit: usize,
        take: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> usize {
        let mut taken = 0;
        while taken < limit {
            let Some(frame) = self.received.next() else {
                break;
            };
            // The kernel names no bytes that were not given to it.
            let bytes = self.frames.bytes(frame.addr, frame.len as usize);
            if bytes.is_some_and(|bytes| !take(bytes)) {
                break;
            }
            self.received.advance();
            self.fill.push(frame.addr - frame.addr % self.chunk);
            taken += 1;
        }
        if taken > 0 {
            self.received.release();
            self.fill.publish();
        }
        taken
    }

    /// Adds a frame to those that leave. False where there is no room for it.
    pub(super) fn add(&mut self, frame: &[u8]) -> bool {
        if self.free.is_empty() {
            self.reclaim();
        }
        let Some(room) = self.free.pop() else {
            return false;
        };
        let (Some(bytes), Ok(len)) = (
            self.frames.bytes(room, frame.len()),
            u32::try_from(frame.len()),
        ) else {
            self.free.push(room);
            return false;
        };
        bytes.copy_from_slice(frame);
        let entry = libc::xdp_desc {
            addr: room,
            len,
            options: 0,
        };
        // As many entries as rooms: there is one.
        let added = self.leaving.push(entry);
        self.gathered += usize::from(added);
        added
    }

    /// Frames that leave with the next call.
    pub(super) fn gathered(&self) -> usize {
        self.gathered
    }

    /// Has the kernel send what has gathered, and what it did not take before.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if self.gathered == 0 && !self.behind {
            return Ok(());
        }
        self.gathered = 0;
        self.leaving.publish();
        self.push()
    }

    /// Asks the kernel to send what stands in the ring, which it does a batch a call.
    fn push(&mut self) -> io::Result<()> {
        self.behind = true;
        for _ in 0..ATTEMPTS {
            self.reclaim();
            match rustix::net::send(self.as_fd(), &[], SendFlags::DONTWAIT) {
                // It has taken all of it.
                Ok(_) => {
                    self.behind = false;
                    break;
                }
                Err(Errno::AGAIN | Errno::BUSY | Errno::NOBUFS | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes back the rooms of frames that have left.
    fn reclaim(&mut self) {
        let before = self.free.len();
        while let Some(room) = self.completed.next() {
            self.completed.advance();
            self.free.push(room);
        }
        if self.free.len() > before {
            self.completed.release();
        }
    }

    /// Whether there are frames that the kernel did not take yet.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Frames that the kernel dropped since the socket was made, as nobody had fetched others.
    pub(super) fn missed(&self) -> u64 {
        let statistics = get::<libc::xdp_statistics>(self.as_fd(), libc::XDP_STATISTICS);
        statistics.map_or(0, |statistics| {
            statistics.rx_dropped + statistics.rx_ring_full
        })
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
