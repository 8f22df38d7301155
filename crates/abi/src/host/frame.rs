//! Frames as the host passes them on, and how their bytes are copied.

use crate::frame::FrameHead;
use alloc::vec::Vec;
use core::marker::PhantomData;
use core::sync::atomic::{Ordering, compiler_fence};

/// A frame, or the part of one that lies in one buffer: bytes that may be shared memory.
///
/// They are read by copying only. When they lie in a pool whose instance runs at the same time they may
/// change while they are copied: then the copy is a mixture, which harms nobody but that instance.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub(super) data: *const u8,
    pub(super) length: usize,
    pub(super) head: FrameHead,
    pub(super) more: bool,
    pub(super) marker: PhantomData<&'a [u8]>,
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

    /// The same bytes, beside which nothing travels but when the frame arrived: for what is handed on
    /// to somebody who need not believe the rest.
    #[inline]
    #[must_use]
    pub fn plain(self) -> Self {
        Self {
            head: FrameHead::at(self.head.timestamp),
            ..self
        }
    }

    /// Copies the first bytes to `to`, and says how many: the lesser of both lengths.
    #[inline]
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let count = self.length.min(to.len());
        // SAFETY: `count` bytes are readable from `data` (a slice, or a checked stretch of a pool), and
        // `to` is a reference, none of which leads into a pool, so they cannot overlap. Any byte is a
        // valid one, also a byte that the instance is writing.
        unsafe { copy(self.data, to.as_mut_ptr(), count) };
        copied();
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
        copied();
    }
}

/// Keeps the compiler from reading a frame once more where the copy is meant: what is looked at in the
/// copy must not change any more.
#[inline]
fn copied() {
    compiler_fence(Ordering::SeqCst);
}

/// Copies `count` bytes. Short ones, which most frames are, without a call.
///
/// # Safety
/// As for [`core::ptr::copy_nonoverlapping`].
#[inline]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, count: usize) {
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
pub(super) fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address does nothing but ask.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// How many frames ahead lines are asked for.
pub(super) const PREFETCH_AHEAD: u32 = 6;
