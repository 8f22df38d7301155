//! Asking the processor to fetch memory before it is needed.

/// Hints that `place` will be read soon. Changes nothing but time.
#[inline(always)]
pub fn prefetch_read<T: ?Sized>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: prefetching has no effect on memory and cannot fault, whatever the address; SSE, which
        // brings the instruction, is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(core::ptr::from_ref(place).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// Hints that the element at `index` will be read soon; beyond the end it does nothing.
#[inline(always)]
pub fn prefetch_element<T>(slice: &[T], index: usize) {
    if let Some(element) = slice.get(index) {
        prefetch_read(element);
    }
}
