//! A network device over its two rings.

use alloc::rc::Rc;
use core::cell::Cell;
use core::mem;

use sprat_abi::boot::NetworkDevice;
use sprat_abi::frame::{self, MAX_CHAIN, Slot};
use sprat_abi::ring::{Consumer, Producer};
use sprat_packet::{Batch, DEFAULT_HEADROOM, Packet, Pool};
use sprat_platform::Network;

// Both crates describe the same buffers.
const _: () = {
    assert!(sprat_packet::BUFFER_STRIDE == frame::BUFFER_STRIDE);
    assert!(sprat_packet::HEAD_SIZE == frame::HEAD_SIZE);
    assert!(sprat_packet::BUFFER_CAPACITY == frame::DATA_SIZE);
};

/// When to try again what could not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Retry {
    /// When the monitor has taken what stands in the ring: that makes room.
    AtOnce,
    /// Some time later: who knows when there will be buffers.
    Later,
}

/// The buffers that all network devices of an instance share.
#[derive(Clone)]
pub(crate) struct Buffers {
    pub(crate) pool: Pool,
    /// Free buffers that the instance keeps for packets it makes.
    pub(crate) own: usize,
    /// Set when something could not be sent.
    pub(crate) retry: Rc<Cell<Option<Retry>>>,
}

/// A network device: frames move by handing buffers over, never by copying them.
pub struct RingDevice {
    index: usize,
    name: &'static str,
    address: [u8; 6],
    frame_limit: usize,
    receive: Consumer<Slot>,
    transmit: Producer<Slot>,
    buffers: Buffers,
    /// Buffers of the instance's own that were missing when it began to send, and are not yet asked
    /// back.
    missing: usize,
    /// Holds what found no room while a batch is sorted out; keeps its memory.
    leftover: Batch,
    /// Frames too long for the link, dropped.
    oversized: u64,
}

impl RingDevice {
    pub(crate) fn new(
        index: u32,
        name: &'static str,
        device: &NetworkDevice,
        receive: Consumer<Slot>,
        transmit: Producer<Slot>,
        buffers: Buffers,
    ) -> Self {
        Self {
            index: index as usize,
            name,
            address: device.address,
            frame_limit: device.frame_limit as usize,
            receive,
            transmit,
            buffers,
            missing: 0,
            leftover: Batch::new(),
            oversized: 0,
        }
    }

    /// Frames that were longer than the link takes and were dropped.
    #[must_use]
    pub fn oversized(&self) -> u64 {
        self.oversized
    }

    fn adopt(&self, slot: Slot) -> Option<Packet> {
        // SAFETY: the monitor hands over buffers of this pool, each to one owner: it is in no
        // packet and not free.
        unsafe {
            self.buffers
                .pool
                .adopt(slot.buffer, slot.offset, slot.length)
        }
    }

    /// A frame over several buffers, gathered into one packet; the slots it took. `None` while its
    /// end has not come.
    fn receive_chain(&self, start: u32, filled: u32) -> Option<(Option<Packet>, u32)> {
        let mut count = 0;
        let mut total = 0;
        loop {
            if start + count >= filled {
                return None;
            }
            let slot = self.receive.read(start + count);
            count += 1;
            total += usize::from(slot.length);
            if !slot.is_chained() {
                break;
            }
        }
        let mut whole = self
            .buffers
            .pool
            .packet_uninitialised(DEFAULT_HEADROOM, total);
        let mut at = 0;
        for ahead in start..start + count {
            let Some(part) = self.adopt(self.receive.read(ahead)) else {
                return Some((None, count));
            };
            if at == 0 {
                whole.copy_metadata(&part);
            }
            whole.data_mut()[at..at + part.len()].copy_from_slice(part.data());
            at += part.len();
        }
        Some((Some(whole), count))
    }

    /// The flags of the next slot: whether its buffer is asked back.
    #[inline]
    fn flags(&mut self) -> u16 {
        let wanted = self.missing > 0;
        self.missing -= usize::from(wanted);
        u16::from(wanted) * Slot::OWN
    }

    /// Writes a slot, after taking back the buffer that the monitor may have left in its place.
    fn put(&mut self, ahead: u32, slot: Slot) {
        self.recover(ahead);
        self.transmit.write(ahead, slot);
    }

    /// Takes back the buffer that the monitor left in a free slot.
    #[inline]
    fn recover(&self, ahead: u32) -> bool {
        let old = self.transmit.read(ahead);
        let returned = old.flags & Slot::RETURNED != 0;
        if returned {
            // SAFETY: the monitor says that the buffer is the instance's again; its packet was
            // surrendered when it was sent, so nobody here has it.
            unsafe { self.buffers.pool.give(old.buffer) };
        }
        returned
    }

    /// Takes back all buffers that the monitor left in free slots.
    #[cold]
    fn recover_all(&mut self, room: u32) {
        for ahead in 0..room {
            if self.recover(ahead) {
                self.transmit.write(ahead, Slot::default());
            }
        }
    }

    /// Writes the slots of one frame `ahead` of the next free one; how many it took. The frame
    /// comes back when slots or buffers are missing.
    fn send_one(&mut self, packet: Packet, ahead: u32, room: u32) -> Result<u32, Packet> {
        match self.buffers.pool.surrender(packet) {
            Ok((buffer, offset, length)) => {
                let flags = self.flags();
                self.put(
                    ahead,
                    Slot {
                        buffer,
                        offset,
                        length,
                        flags,
                        ..Slot::default()
                    },
                );
                Ok(1)
            }
            Err(foreign) => self.send_copy(foreign, ahead, room),
        }
    }

    /// [`RingDevice::send_one`] for a packet outside the pool: copied into as many buffers as it
    /// needs.
    #[cold]
    fn send_copy(&mut self, packet: Packet, ahead: u32, room: u32) -> Result<u32, Packet> {
        let parts = packet.len().div_ceil(frame::DATA_SIZE).max(1);
        if parts > MAX_CHAIN || parts > room as usize || parts > self.buffers.pool.available() {
            return Err(packet);
        }
        let mut count = 0;
        let mut chunks = packet.data().chunks(frame::DATA_SIZE).peekable();
        loop {
            let chunk = chunks.next().unwrap_or(&[]);
            let mut copy = self.buffers.pool.packet_uninitialised(0, chunk.len());
            copy.data_mut().copy_from_slice(chunk);
            if count == 0 {
                copy.set_timestamp(packet.timestamp());
                copy.set_offload(packet.offload());
            }
            // A buffer was available for each part, so the copy lies in the region.
            let Ok((buffer, offset, length)) = self.buffers.pool.surrender(copy) else {
                return Err(packet);
            };
            let more = chunks.peek().is_some();
            let flags = self.flags() | if more { Slot::CHAINED } else { 0 };
            self.put(
                ahead + count,
                Slot {
                    buffer,
                    offset,
                    length,
                    flags,
                    ..Slot::default()
                },
            );
            count += 1;
            if !more {
                return Ok(count);
            }
        }
    }
}

impl Network for RingDevice {
    fn name(&self) -> &'static str {
        self.name
    }

    fn index(&self) -> usize {
        self.index
    }

    fn address(&self) -> [u8; 6] {
        self.address
    }

    fn frame_limit(&self) -> usize {
        self.frame_limit
    }

    fn receive(&mut self, frames: &mut Batch, limit: usize) -> usize {
        // The monitor is trusted: an impossible index is a ring without frames.
        let filled = self.receive.available().unwrap_or(0);
        let mut at = 0;
        let mut count = 0;
        while at < filled && count < limit {
            let slot = self.receive.read(at);
            let packet = if slot.is_chained() {
                let Some((packet, slots)) = self.receive_chain(at, filled) else {
                    break;
                };
                at += slots;
                packet
            } else {
                at += 1;
                self.adopt(slot)
            };
            if let Some(packet) = packet {
                frames.push(packet);
                count += 1;
            }
        }
        if at > 0 {
            self.receive.release(at);
        }
        count
    }

    fn transmit(&mut self, frames: &mut Batch) -> usize {
        let room = self.transmit.available().unwrap_or(0);
        if self.buffers.pool.available() < frames.len() {
            self.recover_all(room);
        }
        self.missing = self
            .buffers
            .own
            .saturating_sub(self.buffers.pool.available());
        let mut written = 0;
        let mut taken = 0;
        let mut leftover = mem::take(&mut self.leftover);
        let mut packets = frames.drain_front(room as usize);
        for packet in packets.by_ref() {
            if packet.len() > self.frame_limit {
                self.oversized += 1;
                taken += 1;
                continue;
            }
            match self.send_one(packet, written, room - written) {
                Ok(slots) => {
                    written += slots;
                    taken += 1;
                }
                Err(packet) => {
                    leftover.push(packet);
                    break;
                }
            }
            if written == room {
                break;
            }
        }
        leftover.extend(packets);
        if !leftover.is_empty() {
            // What found no room goes back to the front.
            leftover.append(frames);
            mem::swap(frames, &mut leftover);
        }
        self.leftover = leftover;
        if written > 0 {
            self.transmit.publish(written);
        }
        if !frames.is_empty() {
            let stands = self.transmit.available().unwrap_or(0) < self.transmit.capacity();
            let retry = if stands { Retry::AtOnce } else { Retry::Later };
            let known = self.buffers.retry.get().unwrap_or(retry);
            self.buffers.retry.set(Some(known.min(retry)));
        }
        taken
    }

    fn room(&self) -> usize {
        self.transmit.available().unwrap_or(0) as usize
    }

    fn has_frames(&self) -> bool {
        self.receive.available().unwrap_or(0) > 0
    }
}
