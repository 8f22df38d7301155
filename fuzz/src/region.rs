//! Memory that an instance shares with its host.

use std::alloc::{Layout, alloc_zeroed, dealloc};

/// Memory that both sides see.
pub struct Region {
    base: *mut u8,
    layout: Layout,
}

impl Region {
    /// So many bytes of zeroes, aligned to a cache line.
    pub fn new(size: usize) -> Self {
        let layout = Layout::from_size_align(size, 64).expect("a sound layout");
        // SAFETY: the size is not zero.
        let base = unsafe { alloc_zeroed(layout) };
        assert!(!base.is_null());
        Self { base, layout }
    }

    /// Address of the first byte.
    pub fn base(&self) -> *mut u8 {
        self.base
    }

    /// What a lying instance does.
    pub fn poke(&self, at: usize, value: u32) {
        let words = self.layout.size() / 4;
        // SAFETY: a whole aligned word inside the region.
        unsafe { self.base.cast::<u32>().add(at % words).write_volatile(value) };
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; what used it is gone.
        unsafe { dealloc(self.base, self.layout) };
    }
}
