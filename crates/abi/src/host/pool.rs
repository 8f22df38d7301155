//! Which buffers of a pool are the host's.

use super::Lie;
use super::frame::{PREFETCH_AHEAD, copy, prefetch};
use crate::frame::{BUFFER_STRIDE, FrameHead, HEAD_SIZE, RECEIVE_OFFSET, SlotLie};
use crate::ring::Consumer;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// A pool as the host sees it: which buffers are its to fill.
#[derive(Debug)]
pub struct BufferPool {
    pub(super) base: *mut u8,
    count: u32,
    /// How many buffers the host keeps; what it gets beyond them stays with the instance.
    pub(super) share: u32,
    /// The buffers that are the host's; the top was there last.
    pub(super) stack: Vec<u32>,
    /// For each buffer whether it is on the stack.
    pub(super) ours: Box<[bool]>,
    supply: Consumer<u32>,
}

// SAFETY: the pool's memory is shared with an instance in any case; on the host's side it has one owner.
unsafe impl Send for BufferPool {}

impl BufferPool {
    /// A pool of `count` buffers at `base` of which the first `first_own` are the host's.
    ///
    /// # Safety
    /// `base` must be aligned to 64 bytes, and `count` times [`BUFFER_STRIDE`] bytes from there must
    /// stay valid for reads and writes as long as the value or any [`Frame`](super::Frame) got from it lives, with no
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
    pub(super) fn accept(&self, buffer: u32) -> Result<(), SlotLie> {
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
    pub(super) fn give_back(&mut self, buffer: u32) {
        if let Some(ours) = self.ours.get_mut(buffer as usize) {
            *ours = true;
            self.stack.push(buffer);
        }
    }

    #[inline]
    pub(super) fn take(&mut self) -> Option<u32> {
        let buffer = self.stack.pop()?;
        self.ours[buffer as usize] = false;
        Some(buffer)
    }

    /// Asks for the lines of a buffer that will be taken soon.
    #[inline]
    pub(super) fn prefetch_ahead(&self) {
        let ahead = self.stack.len().wrapping_sub(PREFETCH_AHEAD as usize);
        if let Some(&buffer) = self.stack.get(ahead) {
            let at = self.address(buffer);
            prefetch(at);
            prefetch(at.wrapping_add(HEAD_SIZE + RECEIVE_OFFSET as usize));
        }
    }

    /// Address of a buffer. The index must have been checked, or come from the stack.
    #[inline]
    pub(super) fn address(&self, buffer: u32) -> *mut u8 {
        debug_assert!(buffer < self.count);
        self.base.wrapping_add(buffer as usize * BUFFER_STRIDE)
    }

    /// Writes one buffer: the head if there is one, and bytes at [`RECEIVE_OFFSET`].
    ///
    /// # Safety
    /// `length` bytes must be readable from `data`, and be at most [`SINGLE_FRAME_LIMIT`](crate::frame::SINGLE_FRAME_LIMIT).
    #[inline]
    pub(super) unsafe fn fill(
        &self,
        buffer: u32,
        head: Option<&FrameHead>,
        data: *const u8,
        length: usize,
    ) {
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
