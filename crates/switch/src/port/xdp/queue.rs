//! One queue of an interface: its socket, and the memory that it shares with the kernel.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use rustix::io::Errno;
use rustix::net::SendFlags;
use xdp::nic::NicIndex;
use xdp::slab::{HeapSlab, Slab as _};
use xdp::socket::{SocketError, XdpSocket, XdpSocketBuilder};
use xdp::umem::{FrameSize, UmemCfgBuilder};
use xdp::{Packet, RingConfigBuilder, Umem, WakableRings};

/// Frames that wait to be fetched, and as many that wait to leave.
const DEPTH: u32 = 1024;

/// Frames taken from the ring at once, and sent with one call: what the kernel sends in a call.
pub(super) const BATCH: usize = 32;

/// How often the kernel is asked again to send what it has not sent.
const ATTEMPTS: usize = 64;

/// A socket and its rings. The memory comes last, so that it is dropped last.
pub(super) struct Queue {
    socket: XdpSocket,
    rings: WakableRings,
    received: HeapSlab,
    leaving: HeapSlab,
    /// The frame that was refused and comes again.
    current: Option<Packet>,
    /// Frames whose memory the kernel has not given back.
    sending: usize,
    /// Whether it refused to take all that stands in the ring.
    behind: bool,
    memory: Umem,
}

impl Queue {
    /// Joins a queue, for frames of at most `limit` bytes.
    pub(super) fn open(interface: u32, queue: u32, limit: usize) -> io::Result<Self> {
        let frame_size = match limit {
            0..=SHORT => FrameSize::TwoK,
            _ => FrameSize::FourK,
        };
        let configuration = UmemCfgBuilder {
            frame_size,
            frame_count: 2 * DEPTH,
            ..UmemCfgBuilder::default()
        };
        let configuration = configuration.build().map_err(io::Error::other)?;
        let mut memory = Umem::map(configuration)?;
        let rings = RingConfigBuilder {
            rx_count: DEPTH,
            tx_count: DEPTH,
            fill_count: DEPTH,
            completion_count: DEPTH,
        };
        let rings = rings.build().map_err(io::Error::other)?;
        let mut builder = XdpSocketBuilder::new().map_err(cause)?;
        let (mut rings, flags) = builder.build_wakable_rings(&memory, rings).map_err(cause)?;
        // SAFETY: the memory is dropped after the socket, as the order of the fields says.
        unsafe {
            rings
                .fill_ring
                .enqueue(&mut memory, DEPTH as usize, false)?;
        }
        let socket = builder
            .bind(NicIndex::new(interface), queue, flags)
            .map_err(cause)?;
        Ok(Self {
            socket,
            rings,
            received: HeapSlab::with_capacity(BATCH),
            leaving: HeapSlab::with_capacity(BATCH),
            current: None,
            sending: 0,
            behind: false,
            memory,
        })
    }

    /// Lends up to `limit` frames to `take`, until that returns false: the frame it refused comes again.
    pub(super) fn receive(
        &mut self,
        limit: usize,
        take: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> io::Result<usize> {
        let mut taken = 0;
        while taken < limit {
            let Some(mut packet) = self.next_packet() else {
                break;
            };
            if !take(&mut packet) {
                self.current = Some(packet);
                break;
            }
            self.memory.free_packet(packet);
            taken += 1;
        }
        if taken > 0 {
            // As many go back as were taken, so that those that leave have their half.
            // SAFETY: the memory is dropped after the socket.
            unsafe {
                self.rings
                    .fill_ring
                    .enqueue(&mut self.memory, taken, false)?;
            }
        }
        Ok(taken)
    }

    fn next_packet(&mut self) -> Option<Packet> {
        if let Some(packet) = self.current.take() {
            return Some(packet);
        }
        if self.received.is_empty()
            && let Some(ring) = &mut self.rings.rx_ring
        {
            // SAFETY: packets stay within this structure, whose memory is dropped last.
            unsafe { ring.recv(&self.memory, &mut self.received) };
        }
        self.received.pop_back()
    }

    /// Adds a frame to those that leave. False where there is no room for it.
    pub(super) fn add(&mut self, frame: &[u8]) -> bool {
        if self.leaving.available() == 0 && self.leave().is_err() {
            return false;
        }
        // Half of the memory is for frames that are yet to come.
        if self.sending + self.leaving.len() >= DEPTH as usize {
            self.reclaim();
            if self.sending + self.leaving.len() >= DEPTH as usize {
                return false;
            }
        }
        // SAFETY: the packet stays within this structure, whose memory is dropped last.
        let Some(mut packet) = (unsafe { self.memory.alloc() }) else {
            return false;
        };
        if packet.insert(0, frame).is_err() {
            self.memory.free_packet(packet);
            return false;
        }
        self.leaving.push_front(packet).is_none()
    }

    /// Frames that leave with the next call.
    pub(super) fn gathered(&self) -> usize {
        self.leaving.len()
    }

    /// Has the kernel send what has gathered, and what it did not take before.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if self.leaving.is_empty() && !self.behind {
            return Ok(());
        }
        let Some(ring) = &mut self.rings.tx_ring else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        // SAFETY: the memory is dropped after the socket.
        let queued = unsafe { ring.send(&mut self.leaving, false)? };
        self.sending += queued;
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

    /// Takes back the memory of frames that have left.
    fn reclaim(&mut self) {
        let done = self
            .rings
            .completion_ring
            .dequeue(&mut self.memory, self.sending);
        self.sending -= done;
    }

    /// Whether there are frames that the kernel did not take yet.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Frames that the kernel dropped since the socket was made, as nobody had fetched others.
    pub(super) fn missed(&self) -> u64 {
        self.socket.statistics().map_or(0, |statistics| {
            statistics.rx_dropped + statistics.rx_ring_full
        })
    }
}

/// The longest frame that fits into the smaller rooms: 2 KiB, of which the kernel keeps 256 bytes.
const SHORT: usize = 2048 - 256;

/// The longest frame that fits at all.
pub(super) const LONGEST: usize = 4096 - 256;

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket is open as long as it is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

fn cause(error: SocketError) -> io::Error {
    match error {
        SocketError::SocketCreation(error) | SocketError::Bind(error) => error,
        SocketError::SetSockOpt { inner, .. }
        | SocketError::GetSockOpt { inner, .. }
        | SocketError::RingMap { inner, .. } => inner,
    }
}
