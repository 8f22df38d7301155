//! Setting all bytes to one value.

use core::arch::asm;
use core::arch::x86_64::{_mm_set1_epi8, _mm_storeu_si128};
use core::sync::atomic::Ordering;

use crate::{STRING, store};

/// Sets `length` bytes to `value`.
///
/// # Safety
/// `to` must be writable for `length` bytes.
#[inline(always)]
pub unsafe fn fill(to: *mut u8, value: u8, length: usize) {
    let word = u64::from(value) * 0x0101_0101_0101_0101;
    // SAFETY: every access lies within the `length` bytes promised by the caller.
    unsafe {
        if length < 16 {
            let [short, shorter] = [word.to_le_bytes(), word.to_le_bytes()];
            match length {
                8.. => {
                    store(to, short);
                    store(to.add(length - 8), short);
                }
                4.. => {
                    let [a, b, c, d, ..] = shorter;
                    store(to, [a, b, c, d]);
                    store(to.add(length - 4), [a, b, c, d]);
                }
                2.. => {
                    store(to, [value; 2]);
                    store(to.add(length - 2), [value; 2]);
                }
                1 => store(to, value),
                0 => {}
            }
            return;
        }
        let vector = _mm_set1_epi8(value.cast_signed());
        let last = to.add(length - 16);
        _mm_storeu_si128(to.cast(), vector);
        _mm_storeu_si128(last.cast(), vector);
        if length <= 32 {
            return;
        }
        _mm_storeu_si128(to.add(16).cast(), vector);
        _mm_storeu_si128(last.sub(16).cast(), vector);
        if length <= 64 {
            return;
        }
        _mm_storeu_si128(to.add(32).cast(), vector);
        _mm_storeu_si128(to.add(48).cast(), vector);
        _mm_storeu_si128(last.sub(32).cast(), vector);
        _mm_storeu_si128(last.sub(48).cast(), vector);
        if length <= 128 {
            return;
        }
        if length >= STRING.load(Ordering::Relaxed) {
            asm!("rep stosb", inout("rcx") length => _, inout("rdi") to => _, in("al") value,
                options(nostack, preserves_flags));
        } else {
            // The 64 bytes at either end are set: what is left are the aligned 64-byte lines
            // that begin between them.
            asm!(
                "and rdi, -64",
                "add rdi, 64",
                ".p2align 4",
                "2:",
                "movdqa [rdi], {vector}",
                "movdqa [rdi + 16], {vector}",
                "movdqa [rdi + 32], {vector}",
                "movdqa [rdi + 48], {vector}",
                "add rdi, 64",
                "cmp rdi, {end}",
                "jb 2b",
                inout("rdi") to => _, end = in(reg) last.sub(48), vector = in(xmm_reg) vector,
                options(nostack),
            );
        }
    }
}
