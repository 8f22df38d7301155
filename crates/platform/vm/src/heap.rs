//! The heap: talc over the memory that the monitor gave, which is zeroed and grows by nothing.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::ptr::NonNull;

use sprat_abi::boot::Area;
use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;

/// An allocator for the instance's one thread.
struct Heap {
    talc: UnsafeCell<Talc<Manual, DefaultBinning>>,
    /// Bytes of live allocations.
    used: Cell<usize>,
    total: Cell<usize>,
}

// SAFETY: a sealed instance has one thread and no interrupts, so no two calls overlap; and no
// method calls out while it holds the allocator.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap {
    talc: UnsafeCell::new(Talc::new(Manual)),
    used: Cell::new(0),
    total: Cell::new(0),
};

// SAFETY: talc's own implementation, reached by one thread; only counted here.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: no other reference to the allocator exists, see `Sync` above; the layout's size is
        // not zero by this trait's contract.
        let memory = unsafe { (*self.talc.get()).allocate(layout) };
        match memory {
            Some(memory) => {
                self.used.set(self.used.get() + layout.size());
                memory.as_ptr()
            }
            None => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.used.set(self.used.get().wrapping_sub(layout.size()));
        // SAFETY: `memory` was allocated here with this layout, by this trait's contract, and no other
        // reference to the allocator exists, see `Sync` above.
        unsafe { (*self.talc.get()).deallocate(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: `memory` was allocated here with this layout and `size` is not zero, nor too large
        // for a layout, by this trait's contract. No two references to the allocator overlap: each
        // ends with its call. The new memory is another allocation, so the two cannot overlap either.
        unsafe {
            if (*self.talc.get()).try_realloc_in_place(memory, layout, size) {
                self.used
                    .set(self.used.get().wrapping_sub(layout.size()) + size);
                return memory;
            }
            let larger = Layout::from_size_align_unchecked(size, layout.align());
            let moved = self.alloc(larger);
            if let Some(target) = NonNull::new(moved) {
                core::ptr::copy_nonoverlapping(memory, target.as_ptr(), layout.size().min(size));
                self.dealloc(memory, layout);
            }
            moved
        }
    }
}

/// Gives the allocator its memory.
///
/// # Safety
/// `area` must be memory that nothing else uses, for ever.
pub(crate) unsafe fn claim(area: Area) {
    if area.is_empty() {
        return;
    }
    let bytes = sprat_abi::length(area.length);
    // SAFETY: the memory is the allocator's alone by the caller's promise, and no other reference to
    // the allocator exists.
    let end = unsafe { (*HEAP.talc.get()).claim(sprat_abi::pointer(area.address), bytes) };
    if end.is_some() {
        HEAP.total.set(bytes);
    }
}

/// Bytes of heap in use, and bytes there are.
#[must_use]
pub fn usage() -> (usize, usize) {
    (HEAP.used.get(), HEAP.total.get())
}
