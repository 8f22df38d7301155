//! The two rings of a network device, from the host's side.

use super::frame::{PREFETCH_AHEAD, prefetch};
use super::{BufferPool, Frame, Lie};
use crate::frame::{
    BUFFER_STRIDE, DATA_SIZE, FrameHead, HEAD_SIZE, MAX_CHAIN, RECEIVE_OFFSET, SINGLE_FRAME_LIMIT,
    Slot, SlotLie,
};
use crate::ring::{Consumer, Producer};
use core::marker::PhantomData;

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

    /// Whether the instance has filled the ring it sends by, so that it may wait for room.
    ///
    /// # Errors
    /// If the transmit ring's index cannot be.
    pub fn is_full(&self) -> Result<bool, Lie> {
        let sent = self.transmit.available().map_err(Lie::TransmitIndex)?;
        Ok(sent == self.transmit.capacity())
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

    /// How many delivered frames the instance has not taken yet. Which slots belong to one frame is
    /// read from the ring, where an instance can forge it: then the number is wrong, and no more.
    ///
    /// # Errors
    /// If the receive ring's index cannot be.
    pub fn waiting_frames(&self) -> Result<u32, Lie> {
        let waiting = self.waiting()?;
        let ends = (1..=waiting).filter(|back| {
            let slot = self.receive.read(0_u32.wrapping_sub(*back));
            !slot.is_chained()
        });
        Ok(u32::try_from(ends.count()).unwrap_or(waiting))
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
                // SAFETY: the buffer was accepted, so it lies inside the pool.
                head: unsafe { read_head(at) },
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
            if slot.flags & Slot::OWN == 0 && pool.free() < pool.share {
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

/// Reads a head once, whatever is written to it meanwhile. By words: field by field takes three times
/// as long.
///
/// # Safety
/// `at` is the beginning of a buffer.
#[inline]
unsafe fn read_head(at: *const u8) -> FrameHead {
    const WORDS: usize = FrameHead::SIZE / size_of::<u64>();
    let words = at.cast::<u64>();
    // SAFETY: a buffer begins with a head and is aligned to a cache line. Any bytes are a head.
    unsafe {
        let words: [u64; WORDS] = core::array::from_fn(|word| words.add(word).read_volatile());
        core::mem::transmute::<[u64; WORDS], FrameHead>(words)
    }
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
