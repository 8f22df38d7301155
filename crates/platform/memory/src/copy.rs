//! Copying.

use core::arch::asm;
use core::arch::x86_64::__m128i;
use core::sync::atomic::Ordering;

use crate::{WIDE, load, store};

/// Moves `N` to `2 * N` bytes as the first and the last `size_of::<T>()`.
///
/// # Safety
/// Both stretches must be valid for `length` bytes, and `length` at least the size of `T`.
#[inline(always)]
unsafe fn move_ends<T: Copy>(to: *mut u8, from: *const u8, length: usize) {
    let last = length - size_of::<T>();
    // SAFETY: `last + size_of::<T>()` is `length`.
    unsafe {
        let head: T = load(from);
        let tail: T = load(from.add(last));
        store(to, head);
        store(to.add(last), tail);
    }
}

/// Copies `length` bytes; the stretches may overlap.
///
/// # Safety
/// `from` must be readable and `to` writable for `length` bytes.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    type X = __m128i;
    // SAFETY: every access lies within the `length` bytes promised by the caller, as the conditions
    // say; all loads of a case come before its stores.
    unsafe {
        if length <= 16 {
            match length {
                8.. => move_ends::<u64>(to, from, length),
                4.. => move_ends::<u32>(to, from, length),
                2.. => move_ends::<u16>(to, from, length),
                1 => store::<u8>(to, load(from)),
                0 => {}
            }
        } else if length <= 32 {
            move_ends::<X>(to, from, length);
        } else if length <= 128 {
            if WIDE.load(Ordering::Relaxed) {
                copy_medium_wide(to, from, length);
            } else if length <= 64 {
                move_ends::<[X; 2]>(to, from, length);
            } else {
                move_ends::<[X; 4]>(to, from, length);
            }
        } else {
            copy_long(to, from, length);
        }
    }
}

/// [`copy`] for 33 to 128 bytes in 32-byte moves.
///
/// # Safety
/// As [`copy`], and the processor must have AVX.
#[inline(always)]
unsafe fn copy_medium_wide(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: 32 or 64 bytes at either end, at most `length` each; all loads come first.
    unsafe {
        if length <= 64 {
            asm!(
                "vmovdqu ymm0, [{from}]",
                "vmovdqu ymm1, [{from} + {length} - 32]",
                "vmovdqu [{to}], ymm0",
                "vmovdqu [{to} + {length} - 32], ymm1",
                "vzeroupper",
                from = in(reg) from, to = in(reg) to, length = in(reg) length,
                out("xmm0") _, out("xmm1") _,
                options(nostack, preserves_flags),
            );
        } else {
            asm!(
                "vmovdqu ymm0, [{from}]",
                "vmovdqu ymm1, [{from} + 32]",
                "vmovdqu ymm2, [{from} + {length} - 64]",
                "vmovdqu ymm3, [{from} + {length} - 32]",
                "vmovdqu [{to}], ymm0",
                "vmovdqu [{to} + 32], ymm1",
                "vmovdqu [{to} + {length} - 64], ymm2",
                "vmovdqu [{to} + {length} - 32], ymm3",
                "vzeroupper",
                from = in(reg) from, to = in(reg) to, length = in(reg) length,
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                options(nostack, preserves_flags),
            );
        }
    }
}

/// [`copy`] for more than 128 bytes.
///
/// # Safety
/// As [`copy`], and `length` must be more than 128.
unsafe fn copy_long(to: *mut u8, from: *const u8, length: usize) {
    let ahead = (to as usize).wrapping_sub(from as usize);
    // SAFETY: as promised by the caller; a store of the forward loops never reaches a byte still to
    // be loaded unless `to` lies within `from`'s stretch, and then the backward loop is used.
    unsafe {
        if ahead < length {
            copy_backward(to, from, length);
        } else if WIDE.load(Ordering::Relaxed) {
            copy_forward_wide(to, from, length);
        } else {
            copy_forward(to, from, length);
        }
    }
}

/// 128 bytes a turn in 32-byte moves, stores aligned; the unaligned first 32 and last 128 bytes are
/// loaded before the first store and stored after the last.
///
/// # Safety
/// As [`copy_long`]; `to` must not lie within the `length` bytes at `from`; the processor must have AVX.
unsafe fn copy_forward_wide(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the loop ends before the last 128 bytes, which the tail covers.
    unsafe {
        asm!(
            "vmovdqu ymm4, [rsi]",
            "vmovdqu ymm5, [rsi + {length} - 128]",
            "vmovdqu ymm6, [rsi + {length} - 96]",
            "vmovdqu ymm7, [rsi + {length} - 64]",
            "vmovdqu ymm8, [rsi + {length} - 32]",
            "lea {end}, [rdi + {length} - 128]",
            "mov {start}, rdi",
            // The first aligned address behind the start, and the source in step with it.
            "sub rsi, rdi",
            "and rdi, -32",
            "add rdi, 32",
            "cmp rdi, {end}",
            "jae 3f",
            ".p2align 4",
            "2:",
            "vmovdqu ymm0, [rsi + rdi]",
            "vmovdqu ymm1, [rsi + rdi + 32]",
            "vmovdqu ymm2, [rsi + rdi + 64]",
            "vmovdqu ymm3, [rsi + rdi + 96]",
            "vmovdqa [rdi], ymm0",
            "vmovdqa [rdi + 32], ymm1",
            "vmovdqa [rdi + 64], ymm2",
            "vmovdqa [rdi + 96], ymm3",
            "add rdi, 128",
            "cmp rdi, {end}",
            "jb 2b",
            "3:",
            "vmovdqu [{end}], ymm5",
            "vmovdqu [{end} + 32], ymm6",
            "vmovdqu [{end} + 64], ymm7",
            "vmovdqu [{end} + 96], ymm8",
            "vmovdqu [{start}], ymm4",
            "vzeroupper",
            length = in(reg) length, end = out(reg) _, start = out(reg) _,
            inout("rdi") to => _, inout("rsi") from => _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
            out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _,
            options(nostack),
        );
    }
}

/// [`copy_forward_wide`] for processors without AVX: 64 bytes a turn.
///
/// # Safety
/// As [`copy_long`]; `to` must not lie within the `length` bytes at `from`.
unsafe fn copy_forward(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the loop ends before the last 64 bytes, which the tail covers.
    unsafe {
        asm!(
            "movdqu xmm4, [rsi]",
            "movdqu xmm5, [rsi + {length} - 64]",
            "movdqu xmm6, [rsi + {length} - 48]",
            "movdqu xmm7, [rsi + {length} - 32]",
            "movdqu xmm8, [rsi + {length} - 16]",
            "lea {end}, [rdi + {length} - 64]",
            "mov {start}, rdi",
            "sub rsi, rdi",
            "and rdi, -16",
            "add rdi, 16",
            "cmp rdi, {end}",
            "jae 3f",
            ".p2align 4",
            "2:",
            "movdqu xmm0, [rsi + rdi]",
            "movdqu xmm1, [rsi + rdi + 16]",
            "movdqu xmm2, [rsi + rdi + 32]",
            "movdqu xmm3, [rsi + rdi + 48]",
            "movdqa [rdi], xmm0",
            "movdqa [rdi + 16], xmm1",
            "movdqa [rdi + 32], xmm2",
            "movdqa [rdi + 48], xmm3",
            "add rdi, 64",
            "cmp rdi, {end}",
            "jb 2b",
            "3:",
            "movdqu [{end}], xmm5",
            "movdqu [{end} + 16], xmm6",
            "movdqu [{end} + 32], xmm7",
            "movdqu [{end} + 48], xmm8",
            "movdqu [{start}], xmm4",
            length = in(reg) length, end = out(reg) _, start = out(reg) _,
            inout("rdi") to => _, inout("rsi") from => _,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
            out("xmm5") _, out("xmm6") _, out("xmm7") _, out("xmm8") _,
            options(nostack),
        );
    }
}

/// Copies from the end to the beginning, for `to` within `from`'s stretch: 64 bytes a turn.
///
/// # Safety
/// As [`copy_long`].
unsafe fn copy_backward(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the loop stops at the first 64 bytes, which were loaded before the first store and are
    // stored at the end.
    unsafe {
        asm!(
            "movdqu xmm4, [rsi]",
            "movdqu xmm5, [rsi + 16]",
            "movdqu xmm6, [rsi + 32]",
            "movdqu xmm7, [rsi + 48]",
            ".p2align 4",
            "2:",
            "movdqu xmm0, [rsi + {length} - 16]",
            "movdqu xmm1, [rsi + {length} - 32]",
            "movdqu xmm2, [rsi + {length} - 48]",
            "movdqu xmm3, [rsi + {length} - 64]",
            "movdqu [rdi + {length} - 16], xmm0",
            "movdqu [rdi + {length} - 32], xmm1",
            "movdqu [rdi + {length} - 48], xmm2",
            "movdqu [rdi + {length} - 64], xmm3",
            "sub {length}, 64",
            "cmp {length}, 64",
            "ja 2b",
            "movdqu [rdi], xmm4",
            "movdqu [rdi + 16], xmm5",
            "movdqu [rdi + 32], xmm6",
            "movdqu [rdi + 48], xmm7",
            length = inout(reg) length => _,
            in("rdi") to, in("rsi") from,
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _, out("xmm4") _,
            out("xmm5") _, out("xmm6") _, out("xmm7") _,
            options(nostack),
        );
    }
}
