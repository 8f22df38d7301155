//! The far end of an instance's network devices: frames of the lane's go to the emulated machine's cards
//! as datagrams, and the other way round.
//!
//! Towards the lane this is the guest's side of the rings: what the lane delivers is taken as an
//! instance takes it, and what the machine sends is sent as an instance sends it.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use sprat_abi::frame::{DATA_SIZE, FrameHead, MAX_CHAIN, Slot};
use sprat_abi::guest::Pool;
use sprat_abi::ring::{Consumer, Producer};

use crate::memory::SystemError;

/// One card's datagrams, and the device that they belong to.
#[derive(Debug)]
pub(super) struct Wire {
    socket: OwnedFd,
    receive: Consumer<Slot>,
    transmit: Producer<Slot>,
}

/// What all wires of a machine have in common.
#[derive(Debug)]
pub(super) struct Buffers {
    pub(super) pool: Pool,
    /// Gives buffers back to the lane.
    pub(super) supply: Producer<u32>,
    /// Buffers of this side.
    pub(super) free: Vec<u32>,
}

// SAFETY: the pool is an address range that is kept as long as the machine; the rest is sendable.
unsafe impl Send for Buffers {}

/// Two sockets that are joined: ours, and the emulator's.
pub(super) fn pair() -> Result<(OwnedFd, OwnedFd), SystemError> {
    let mut ends: [RawFd; 2] = [0; 2];
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: the array has room for two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) } != 0 {
        return Err(SystemError::last("joining two sockets"));
    }
    // SAFETY: both were just made and belong to nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

impl Wire {
    pub(super) fn new(socket: OwnedFd, receive: Consumer<Slot>, transmit: Producer<Slot>) -> Self {
        Self {
            socket,
            receive,
            transmit,
        }
    }

    pub(super) fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Whether something that the lane delivered has still to be sent.
    pub(super) fn has_more(&self) -> bool {
        self.receive.available().unwrap_or(0) > 0
    }

    /// Sends what the lane delivered, until the machine takes no more; how many frames.
    pub(super) fn send(&mut self, buffers: &mut Buffers) -> Result<usize, SystemError> {
        let mut count = 0;
        let mut frame = Vec::new();
        while let Some(slots) = self.gather(&buffers.pool, &mut frame) {
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: the bytes are readable for their length.
            let sent =
                unsafe { libc::send(self.descriptor(), frame.as_ptr().cast(), frame.len(), flags) };
            if sent < 0 {
                let error = std::io::Error::last_os_error();
                return match error.raw_os_error() {
                    Some(libc::EAGAIN | libc::ENOBUFS) => Ok(count),
                    // The machine has ended, which its process tells better.
                    Some(libc::EPIPE | libc::ECONNRESET | libc::ECONNREFUSED | libc::ENOTCONN) => {
                        Ok(count)
                    }
                    _ => Err(SystemError::new("sending a frame", error)),
                };
            }
            for ahead in 0..slots {
                let buffer = self.receive.read(ahead).buffer;
                if buffers.supply.push(&[buffer]) != Ok(1) {
                    buffers.free.push(buffer);
                }
            }
            self.receive.release(slots);
            count += 1;
        }
        Ok(count)
    }

    /// The next frame's bytes, and the slots that it takes.
    fn gather(&self, pool: &Pool, frame: &mut Vec<u8>) -> Option<u32> {
        frame.clear();
        let filled = self.receive.available().unwrap_or(0);
        let most = u32::try_from(MAX_CHAIN).unwrap_or(u32::MAX);
        for ahead in 0..filled.min(most) {
            let slot = self.receive.read(ahead);
            let bytes = pool.data(slot.buffer).wrapping_add(slot.offset.into());
            // SAFETY: the lane, which is ours, delivered a stretch of one of the pool's buffers.
            frame.extend_from_slice(unsafe {
                std::slice::from_raw_parts(bytes, slot.length.into())
            });
            if !slot.is_chained() {
                return Some(ahead + 1);
            }
        }
        None
    }

    /// Takes what the machine sent, as far as the lane has room; how many frames.
    pub(super) fn receive(
        &mut self,
        buffers: &mut Buffers,
        arrived: i64,
    ) -> Result<usize, SystemError> {
        let room = self.transmit.available().unwrap_or(0);
        for ahead in 0..room {
            let old = self.transmit.read(ahead);
            if old.flags & Slot::RETURNED != 0 {
                buffers.free.push(old.buffer);
                self.transmit.write(ahead, Slot::default());
            }
        }
        let mut count = 0;
        while count < room {
            let Some(buffer) = buffers.free.pop() else {
                break;
            };
            let data = buffers.pool.data(buffer);
            // SAFETY: the buffer is this side's, and its data area is so long.
            let length = unsafe {
                libc::recv(
                    self.descriptor(),
                    data.cast(),
                    DATA_SIZE,
                    libc::MSG_DONTWAIT,
                )
            };
            let Some(length @ 1..) = u16::try_from(length).ok() else {
                buffers.free.push(buffer);
                break;
            };
            // SAFETY: the buffer is this side's; a head begins it.
            unsafe { buffers.pool.head(buffer).write(FrameHead::at(arrived)) };
            let slot = Slot {
                buffer,
                length,
                ..Slot::default()
            };
            self.transmit.write(count, slot);
            count += 1;
        }
        if count > 0 {
            self.transmit.publish(count);
        }
        Ok(count as usize)
    }
}
