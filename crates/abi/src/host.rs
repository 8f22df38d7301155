//! The host's side of pool and network rings: who owns which buffer, and every check there is.
//!
//! The host keeps the buffers that are its to fill on a private stack, last in, first out. A frame that
//! leaves through a transmit ring leaves its buffer on that stack, to be filled next, while its lines
//! are still in the cache. So what an instance costs in cache and in memory follows the batches it
//! handles, not the length of its rings.
//!
//! The host keeps no more buffers than its share. What an instance sends beyond that stays the
//! instance's: the drained slot says so ([`Slot::RETURNED`]), and the instance takes the buffer back
//! when it next uses the slot. So one that makes all its packets itself never runs out.
//!
//! Nothing read from shared memory is used before it was checked, and what is used is the copy that
//! was checked. A buffer is accepted from the instance only if it is the instance's at that moment, so
//! no lie can make the host fill one buffer for two frames.

use crate::control::ControlLie;
use crate::frame::{
    BUFFER_STRIDE, DATA_SIZE, FrameHead, HEAD_SIZE, MAX_CHAIN, RECEIVE_OFFSET, SINGLE_FRAME_LIMIT,
    Slot, SlotLie,
};
use crate::ring::{Consumer, Producer, RingLie};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

/// A ring that the instance broke. The instance is to be ended: what its rings hold means nothing now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// An index of a device's receive ring.
    ReceiveIndex(RingLie),
    /// An index of a device's transmit ring.
    TransmitIndex(RingLie),
    /// A slot of a device's transmit ring.
    TransmitSlot(SlotLie),
    /// An index of the supply ring.
    SupplyIndex(RingLie),
    /// A buffer in the supply ring.
    SupplyBuffer(SlotLie),
    /// An index of the console ring.
    Console(RingLie),
    /// An index of the ring of a file being written.
    File(RingLie),
    /// An index or a message of a control ring.
    Control(ControlLie),
}

impl fmt::Display for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReceiveIndex(lie) => write!(f, "receive ring: {lie}"),
            Self::TransmitIndex(lie) => write!(f, "transmit ring: {lie}"),
            Self::TransmitSlot(lie) => write!(f, "transmit ring: {lie}"),
            Self::SupplyIndex(lie) => write!(f, "supply ring: {lie}"),
            Self::SupplyBuffer(lie) => write!(f, "supply ring: {lie}"),
            Self::Console(lie) => write!(f, "console ring: {lie}"),
            Self::File(lie) => write!(f, "ring of a file being written: {lie}"),
            Self::Control(lie) => write!(f, "control ring: {lie}"),
        }
    }
}

impl core::error::Error for Lie {}

/// A frame, or the part of one that lies in one buffer: bytes that may be shared memory.
///
/// They are read by copying only. When they lie in a pool whose instance runs at the same time they may
/// change while they are copied: then the copy is a mixture, which harms nobody but that instance.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    data: *const u8,
    length: usize,
    head: FrameHead,
    more: bool,
    marker: PhantomData<&'a [u8]>,
}

impl<'a> Frame<'a> {
    /// A whole frame in private memory.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8], head: FrameHead) -> Self {
        Self {
            data: bytes.as_ptr(),
            length: bytes.len(),
            head,
            more: false,
            marker: PhantomData,
        }
    }

    /// How many bytes there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What travels with the frame. Of a frame in several parts, the first part's counts.
    #[inline]
    #[must_use]
    pub fn head(&self) -> &FrameHead {
        &self.head
    }

    /// Whether the frame goes on in the next part.
    #[inline]
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// Copies the first bytes to `to`, and says how many: the lesser of both lengths.
    #[inline]
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let count = self.length.min(to.len());
        // SAFETY: `count` bytes are readable from `data` (a slice, or a checked stretch of a pool), and
        // `to` is private memory that cannot overlap them.
        unsafe { copy(self.data, to.as_mut_ptr(), count) };
        count
    }

    /// Appends the bytes to `to`.
    pub fn append_to(&self, to: &mut Vec<u8>) {
        to.reserve(self.length);
        let end = to.spare_capacity_mut();
        debug_assert!(end.len() >= self.length);
        // SAFETY: as in `copy_to`; so much was reserved, and all of it is written before it counts.
        unsafe {
            copy(self.data, end.as_mut_ptr().cast(), self.length);
            to.set_len(to.len() + self.length);
        }
    }
}

/// Copies `count` bytes. Short ones, which most frames are, without a call.
///
/// # Safety
/// As for [`core::ptr::copy_nonoverlapping`].
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, count: usize) {
    // SAFETY: every stretch lies inside the `count` bytes, by the conditions around it.
    unsafe {
        if count == 64 {
            core::ptr::copy_nonoverlapping(from, to, 64);
        } else if !(16..=256).contains(&count) {
            core::ptr::copy_nonoverlapping(from, to, count);
        } else {
            let mut at = 0;
            while at + 16 < count {
                core::ptr::copy_nonoverlapping(from.add(at), to.add(at), 16);
                at += 16;
            }
            core::ptr::copy_nonoverlapping(from.add(count - 16), to.add(count - 16), 16);
        }
    }
}

/// Asks for a line that will be written soon.
#[inline]
fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address does nothing but ask.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// How many frames ahead lines are asked for.
const PREFETCH_AHEAD: u32 = 6;

/// A pool as the host sees it: which buffers are its to fill.
#[derive(Debug)]
pub struct BufferPool {
    base: *mut u8,
    count: u32,
    /// How many buffers the host keeps; what it gets beyond them stays with the instance.
    share: u32,
    /// The buffers that are the host's; the top was there last.
    stack: Vec<u32>,
    /// For each buffer whether it is on the stack.
    ours: Box<[bool]>,
    supply: Consumer<u32>,
}

// SAFETY: the pool's memory is shared with an instance in any case; on the host's side it has one owner.
unsafe impl Send for BufferPool {}

impl BufferPool {
    /// A pool of `count` buffers at `base` of which the first `first_own` are the host's.
    ///
    /// # Safety
    /// `base` must be aligned to 64 bytes, and `count` times [`BUFFER_STRIDE`] bytes from there must
    /// stay valid for reads and writes as long as the value or any [`Frame`] got from it lives, with no
    /// references leading into them.
    #[must_use]
    pub unsafe fn new(base: *mut u8, count: u32, first_own: u32, supply: Consumer<u32>) -> Self {
        let mut pool = Self {
            base,
            count,
            share: first_own,
            stack: Vec::with_capacity(count as usize),
            ours: alloc::vec![false; count as usize].into_boxed_slice(),
            supply,
        };
        pool.reset(first_own);
        pool
    }

    /// Back to the start, for an instance that is started again: the first `first_own` buffers are the
    /// host's and the supply ring is empty.
    pub fn reset(&mut self, first_own: u32) {
        self.stack.clear();
        self.share = first_own;
        self.ours.fill(false);
        for buffer in (0..first_own.min(self.count)).rev() {
            self.give_back(buffer);
        }
        self.supply.reset();
    }

    /// How many buffers it has in all.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many buffers are the host's to fill now.
    #[inline]
    #[must_use]
    pub fn free(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "no more than `count`, which is a u32"
        )]
        {
            self.stack.len() as u32
        }
    }

    /// Takes back the buffers in the supply ring, and says how many.
    ///
    /// # Errors
    /// If the ring or a buffer in it cannot be.
    pub fn reclaim(&mut self) -> Result<u32, Lie> {
        let available = self.supply.available().map_err(Lie::SupplyIndex)?;
        for ahead in 0..available {
            let buffer = self.supply.read(ahead);
            self.accept(buffer).map_err(Lie::SupplyBuffer)?;
            self.give_back(buffer);
        }
        if available > 0 {
            self.supply.release(available);
        }
        Ok(available)
    }

    /// Whether the instance may hand over this buffer.
    #[inline]
    fn accept(&self, buffer: u32) -> Result<(), SlotLie> {
        match self.ours.get(buffer as usize) {
            Some(false) => Ok(()),
            Some(true) => Err(SlotLie::NotYours { buffer }),
            None => Err(SlotLie::Buffer {
                buffer,
                buffers: self.count,
            }),
        }
    }

    /// Puts a buffer that was accepted on the stack. The stack never holds one twice, so it never
    /// grows past the capacity it was made with.
    #[inline]
    fn give_back(&mut self, buffer: u32) {
        if let Some(ours) = self.ours.get_mut(buffer as usize) {
            *ours = true;
            self.stack.push(buffer);
        }
    }

    #[inline]
    fn take(&mut self) -> Option<u32> {
        let buffer = self.stack.pop()?;
        self.ours[buffer as usize] = false;
        Some(buffer)
    }

    /// Asks for the lines of a buffer that will be taken soon.
    #[inline]
    fn prefetch_ahead(&self) {
        let ahead = self.stack.len().wrapping_sub(PREFETCH_AHEAD as usize);
        if let Some(&buffer) = self.stack.get(ahead) {
            let at = self.address(buffer);
            prefetch(at);
            prefetch(at.wrapping_add(HEAD_SIZE + RECEIVE_OFFSET as usize));
        }
    }

    /// Address of a buffer. The index must have been checked, or come from the stack.
    #[inline]
    fn address(&self, buffer: u32) -> *mut u8 {
        debug_assert!(buffer < self.count);
        self.base.wrapping_add(buffer as usize * BUFFER_STRIDE)
    }

    /// Writes one buffer: the head if there is one, and bytes at [`RECEIVE_OFFSET`].
    ///
    /// # Safety
    /// `length` bytes must be readable from `data`, and be at most [`SINGLE_FRAME_LIMIT`].
    #[inline]
    unsafe fn fill(&self, buffer: u32, head: Option<&FrameHead>, data: *const u8, length: usize) {
        let at = self.address(buffer);
        // SAFETY: the buffer is the pool's, head and data fit it, by the caller's promise; the source
        // is another buffer or private memory.
        unsafe {
            if let Some(head) = head {
                at.cast::<FrameHead>().write(*head);
            }
            copy(data, at.add(HEAD_SIZE + RECEIVE_OFFSET as usize), length);
        }
    }
}

/// The host's side of a network device: its two rings.
#[derive(Debug)]
pub struct NetworkPort {
    receive: Producer<Slot>,
    transmit: Consumer<Slot>,
}

impl NetworkPort {
    /// A device that receives from the host through `receive` and sends through `transmit`.
    #[must_use]
    pub fn new(receive: Producer<Slot>, transmit: Consumer<Slot>) -> Self {
        Self { receive, transmit }
    }

    /// Both rings back to the start, for an instance that is started again.
    pub fn reset(&mut self) {
        self.receive.reset();
        self.transmit.reset();
    }

    /// How many single-buffer frames could be delivered now.
    ///
    /// # Errors
    /// If the receive ring's index cannot be.
    pub fn room(&self, pool: &BufferPool) -> Result<u32, Lie> {
        Ok(self
            .receive
            .available()
            .map_err(Lie::ReceiveIndex)?
            .min(pool.free()))
    }

    /// Whether the instance has sent something that was not drained yet.
    ///
    /// # Errors
    /// If the transmit ring's index cannot be.
    pub fn has_sent(&self) -> Result<bool, Lie> {
        Ok(self.transmit.available().map_err(Lie::TransmitIndex)? > 0)
    }

    /// How many delivered frames the instance has not taken yet, in slots.
    ///
    /// # Errors
    /// If the receive ring's index cannot be.
    pub fn waiting(&self) -> Result<u32, Lie> {
        Ok(self.receive.capacity() - self.receive.available().map_err(Lie::ReceiveIndex)?)
    }

    /// Begins a delivery; frames pushed are published together when it is dropped.
    ///
    /// # Errors
    /// If the receive ring's index cannot be.
    #[inline]
    pub fn fill<'p>(&'p mut self, pool: &'p mut BufferPool) -> Result<Filler<'p>, Lie> {
        let room = self.room(pool)?;
        Ok(Filler {
            receive: &mut self.receive,
            pool,
            room,
            used: 0,
        })
    }

    /// Copies frames into the receive ring until `frames` ends or there is no room, and says how many
    /// went in. A frame longer than [`SINGLE_FRAME_LIMIT`] is chained over several buffers.
    ///
    /// A frame is taken from `frames` only when there is room for one of a single buffer. One that is
    /// longer and does not fit is given back in [`Delivery::refused`].
    ///
    /// # Errors
    /// If the receive ring's index cannot be.
    #[inline]
    pub fn deliver<'f>(
        &mut self,
        pool: &mut BufferPool,
        frames: impl IntoIterator<Item = Frame<'f>>,
    ) -> Result<Delivery<'f>, Lie> {
        let mut filler = self.fill(pool)?;
        let mut frames = frames.into_iter();
        let mut delivered = 0;
        while filler.has_room() {
            let Some(frame) = frames.next() else { break };
            if !filler.push(&frame) {
                return Ok(Delivery {
                    delivered,
                    refused: Some(frame),
                });
            }
            delivered += 1;
        }
        Ok(Delivery {
            delivered,
            refused: None,
        })
    }

    /// Hands every part of every frame the instance sent to `sink`, in order, at most about `limit`
    /// slots, and takes the buffers back. Says how many slots that were.
    ///
    /// A frame is never cut: the last part handed over has no [`more`](Frame::has_more).
    ///
    /// # Errors
    /// If the ring or a slot in it cannot be; then nothing after the bad slot is handed over, and
    /// parts of a chained frame may have been.
    #[inline]
    pub fn drain(
        &mut self,
        pool: &mut BufferPool,
        limit: u32,
        mut sink: impl FnMut(Frame<'_>),
    ) -> Result<u32, Lie> {
        let available = self.transmit.available().map_err(Lie::TransmitIndex)?;
        let lie = Lie::TransmitSlot;
        let (mut done, mut chain) = (0, 0);
        while done < available && (done < limit || chain > 0) {
            if done + PREFETCH_AHEAD < available {
                let ahead = self.transmit.read(done + PREFETCH_AHEAD);
                // A wrong index only asks for a line that nobody needs.
                let at = pool
                    .base
                    .wrapping_add(ahead.buffer as usize * BUFFER_STRIDE);
                prefetch(at);
                prefetch(at.wrapping_add(HEAD_SIZE + ahead.offset as usize));
            }
            let slot = self.transmit.read(done);
            pool.accept(slot.buffer).map_err(lie)?;
            if slot.offset as usize + slot.length as usize > DATA_SIZE {
                return Err(lie(SlotLie::Extent {
                    offset: slot.offset,
                    length: slot.length,
                }));
            }
            let at = pool.address(slot.buffer);
            let frame = Frame {
                data: at.wrapping_add(HEAD_SIZE + slot.offset as usize),
                length: slot.length as usize,
                // SAFETY: the buffer was accepted, so it lies inside the pool; any bytes are a head.
                head: unsafe { at.cast::<FrameHead>().read_volatile() },
                more: slot.is_chained(),
                marker: PhantomData,
            };
            let place = done;
            done += 1;
            if slot.is_chained() {
                chain += 1;
                if chain >= MAX_CHAIN {
                    return Err(lie(SlotLie::LongChain));
                }
                if done == available {
                    return Err(lie(SlotLie::OpenChain));
                }
            } else {
                chain = 0;
            }
            sink(frame);
            if pool.free() < pool.share {
                pool.give_back(slot.buffer);
            } else {
                let flags = Slot::RETURNED;
                self.transmit.leave(place, Slot { flags, ..slot });
            }
        }
        if done > 0 {
            self.transmit.release(done);
        }
        Ok(done)
    }
}

/// A delivery under way: [`NetworkPort::fill`].
#[derive(Debug)]
pub struct Filler<'p> {
    receive: &'p mut Producer<Slot>,
    pool: &'p mut BufferPool,
    room: u32,
    used: u32,
}

impl Filler<'_> {
    /// Whether a frame of a single buffer still fits.
    #[inline]
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.used < self.room
    }

    /// Copies one frame in; `false` if there is no room for it, and then nothing was done.
    #[inline]
    pub fn push(&mut self, frame: &Frame<'_>) -> bool {
        if frame.length > SINGLE_FRAME_LIMIT {
            return self.push_chain(frame);
        }
        if self.used >= self.room {
            return false;
        }
        let Some(buffer) = self.pool.take() else {
            return false;
        };
        self.pool.prefetch_ahead();
        // SAFETY: a frame's bytes are readable, and the length was compared.
        unsafe {
            self.pool
                .fill(buffer, Some(&frame.head), frame.data, frame.length)
        };
        self.receive
            .write(self.used, slot(buffer, frame.length, frame.more));
        self.used += 1;
        true
    }

    #[cold]
    fn push_chain(&mut self, frame: &Frame<'_>) -> bool {
        let buffers = frame.length.div_ceil(SINGLE_FRAME_LIMIT);
        if buffers > (self.room - self.used) as usize || buffers > MAX_CHAIN {
            return false;
        }
        let mut at = 0;
        while at < frame.length {
            let Some(buffer) = self.pool.take() else {
                break;
            };
            let length = (frame.length - at).min(SINGLE_FRAME_LIMIT);
            let head = (at == 0).then_some(&frame.head);
            // SAFETY: the stretch lies inside the frame and fits a buffer.
            unsafe { self.pool.fill(buffer, head, frame.data.add(at), length) };
            at += length;
            self.receive.write(
                self.used,
                slot(buffer, length, at < frame.length || frame.more),
            );
            self.used += 1;
        }
        true
    }
}

impl Drop for Filler<'_> {
    fn drop(&mut self) {
        if self.used > 0 {
            self.receive.publish(self.used);
        }
    }
}

/// How a delivery went.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'f> {
    /// Frames that went in.
    pub delivered: u32,
    /// A frame that was taken from the source and did not fit: too long for the room there is, or, if
    /// it is longer than [`MAX_CHAIN`] buffers hold, for ever.
    pub refused: Option<Frame<'f>>,
}

#[inline]
fn slot(buffer: u32, length: usize, chained: bool) -> Slot {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "at most SINGLE_FRAME_LIMIT"
    )]
    let length = length as u16;
    let flags = if chained { Slot::CHAINED } else { 0 };
    Slot {
        buffer,
        offset: RECEIVE_OFFSET,
        length,
        flags,
        reserved: 0,
        metadata: 0,
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
