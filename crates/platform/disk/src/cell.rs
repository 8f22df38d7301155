//! Statics of the machine's one thread of execution.
//!
//! Interrupt handlers touch counters alone, which are atomic, and nothing here.

use core::cell::UnsafeCell;

/// A static that only the one thread reaches.
pub(crate) struct Local<T>(UnsafeCell<T>);

// SAFETY: one processor is ever started, and what interrupts it touches no such static.
unsafe impl<T> Sync for Local<T> {}

impl<T> Local<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value.
    pub(crate) fn get(&self) -> &T {
        // SAFETY: a unique reference is made by `get_mut` alone, whose callers promise that no other
        // is alive.
        unsafe { &*self.0.get() }
    }

    /// The value, to be changed.
    ///
    /// # Safety
    /// No other reference to it may be alive as long as this one is.
    #[expect(clippy::mut_from_ref, reason = "the promise is the caller's")]
    pub(crate) unsafe fn get_mut(&self) -> &mut T {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.0.get() }
    }
}
