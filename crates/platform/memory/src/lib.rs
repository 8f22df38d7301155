//! `memcpy`, `memmove`, `memset`, `memcmp` and `bcmp`: an image has no C library to bring them.
//!
//! Short lengths, by far the most frequent in packet code, are moved by loading everything into
//! registers before the first store: no loop, and right for overlapping stretches too. Longer ones
//! use 32-byte AVX moves where the processor has them and 16-byte SSE2 moves where not.
//! `rep movsb` is never used: processors that promise it to be fast move 4 bytes a nanosecond
//! between unequally aligned stretches, a thirtieth of the AVX loop (`benches/memory.rs`), and
//! frames are seldom aligned. `rep stosb` has no such trap and clears long stretches.
//!
//! The loops are assembly because the compiler recognizes a loop that copies and would replace it
//! by a call to `memcpy`: itself.
//!
//! The symbols exist in images and in the boot monitor only, so that the rest can be tested as an
//! ordinary program. No other crate of the guest's side is below this one.
#![no_std]

#[cfg(test)]
extern crate std;

mod compare;
mod copy;
mod fill;
#[cfg(any(sprat_target = "vm", sprat_target = "disk"))]
mod symbols;
#[cfg(test)]
mod tests;

pub use compare::compare;
pub use copy::copy;
pub use fill::fill;

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether 32-byte moves may be used.
static WIDE: AtomicBool = AtomicBool::new(false);

/// From how many bytes on `rep stosb` is used.
static STRING: AtomicUsize = AtomicUsize::new(usize::MAX);

/// From here on `rep stosb` is as fast as a loop or faster (`benches/memory.rs`) on processors
/// that have it enhanced.
const STRING_FROM: usize = 2048;

/// Chooses the instructions for this processor; until then every x86-64's are used.
pub fn choose_instructions() {
    use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
    const OSXSAVE: u32 = 1 << 27;
    const AVX: u32 = 1 << 28;
    const ERMS: u32 = 1 << 9;
    if __cpuid(0).eax < 7 {
        return;
    }
    let basic = __cpuid(1).ecx;
    if basic & (OSXSAVE | AVX) == OSXSAVE | AVX {
        // SAFETY: OSXSAVE says that the instruction exists and may be used.
        let enabled = unsafe { xgetbv() };
        // Bits 1 and 2: the lower and upper halves of the vector registers.
        WIDE.store(enabled & 6 == 6, Ordering::Relaxed);
    }
    if __cpuid_count(7, 0).ebx & ERMS != 0 {
        STRING.store(STRING_FROM, Ordering::Relaxed);
    }

    /// # Safety
    /// The processor must have OSXSAVE set.
    #[target_feature(enable = "xsave")]
    unsafe fn xgetbv() -> u64 {
        // SAFETY: as promised by the caller.
        unsafe { _xgetbv(0) }
    }
}

/// Loads a value from anywhere.
///
/// # Safety
/// `from` must be readable for the size of `T`.
#[inline(always)]
unsafe fn load<T: Copy>(from: *const u8) -> T {
    // SAFETY: as promised by the caller.
    unsafe { from.cast::<T>().read_unaligned() }
}

/// Stores a value anywhere.
///
/// # Safety
/// `to` must be writable for the size of `T`.
#[inline(always)]
unsafe fn store<T: Copy>(to: *mut u8, value: T) {
    // SAFETY: as promised by the caller.
    unsafe { to.cast::<T>().write_unaligned(value) }
}
