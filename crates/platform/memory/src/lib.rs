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

use core::arch::asm;
use core::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
    _mm_storeu_si128,
};
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

/// The difference of the first bytes that differ, or zero.
///
/// # Safety
/// `left` and `right` must be readable for `length` bytes.
#[inline(always)]
pub unsafe fn compare(left: *const u8, right: *const u8, length: usize) -> i32 {
    // SAFETY: every access lies within the `length` bytes promised by the caller.
    unsafe {
        let mut at = 0;
        while at + 64 <= length {
            let equal_at = |offset: usize| {
                let (a, b) = (left.add(at + offset), right.add(at + offset));
                _mm_cmpeq_epi8(_mm_loadu_si128(a.cast()), _mm_loadu_si128(b.cast()))
            };
            let first = _mm_and_si128(equal_at(0), equal_at(16));
            let second = _mm_and_si128(equal_at(32), equal_at(48));
            if _mm_movemask_epi8(_mm_and_si128(first, second)) != 0xffff {
                break;
            }
            at += 64;
        }
        while at + 16 <= length {
            let equal = _mm_cmpeq_epi8(
                _mm_loadu_si128(left.add(at).cast()),
                _mm_loadu_si128(right.add(at).cast()),
            );
            let differing = !_mm_movemask_epi8(equal).cast_unsigned() & 0xffff;
            if differing != 0 {
                at += differing.trailing_zeros() as usize;
                return i32::from(*left.add(at)) - i32::from(*right.add(at));
            }
            at += 16;
        }
        if at + 8 <= length {
            let (a, b): (u64, u64) = (load(left.add(at)), load(right.add(at)));
            if a != b {
                at += ((a ^ b).trailing_zeros() / 8) as usize;
                return i32::from(*left.add(at)) - i32::from(*right.add(at));
            }
            at += 8;
        }
        while at < length {
            let difference = i32::from(*left.add(at)) - i32::from(*right.add(at));
            if difference != 0 {
                return difference;
            }
            at += 1;
        }
        0
    }
}

/// The symbols that the compiler calls, with what it promises to C's functions of these names. An
/// ordinary program has its C library's.
#[cfg(any(sprat_target = "vm", sprat_target = "disk"))]
mod symbols {
    use core::ffi::{c_int, c_void};

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(
        to: *mut c_void,
        from: *const c_void,
        length: usize,
    ) -> *mut c_void {
        // SAFETY: as C's memcpy promises.
        unsafe { super::copy(to.cast(), from.cast(), length) };
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memmove(
        to: *mut c_void,
        from: *const c_void,
        length: usize,
    ) -> *mut c_void {
        // SAFETY: as C's memmove promises.
        unsafe { super::copy(to.cast(), from.cast(), length) };
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut c_void, value: c_int, length: usize) -> *mut c_void {
        // SAFETY: as C's memset promises; it uses the value's low byte.
        unsafe { super::fill(to.cast(), value.to_le_bytes()[0], length) };
        to
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(left: *const c_void, right: *const c_void, length: usize) -> c_int {
        // SAFETY: as C's memcmp promises.
        unsafe { super::compare(left.cast(), right.cast(), length) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(left: *const c_void, right: *const c_void, length: usize) -> c_int {
        // SAFETY: as POSIX's bcmp promises.
        unsafe { super::compare(left.cast(), right.cast(), length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Bytes that differ from their neighbours and from those 256 further on.
    fn pattern(length: usize) -> Vec<u8> {
        (0..length)
            .map(|index| (index * 7 + index / 256).to_le_bytes()[0])
            .collect()
    }

    fn lengths() -> impl Iterator<Item = usize> {
        (0..=300).chain([
            511, 512, 513, 1023, 1500, 2048, 4095, 4096, 4097, 9000, 65536,
        ])
    }

    /// Runs a check with each set of instructions this processor has. Tests beside each other may
    /// change one another's choice: every choice must be right at any moment.
    fn with_each_choice(mut check: impl FnMut()) {
        check();
        choose_instructions();
        check();
        STRING.store(usize::MAX, Ordering::Relaxed);
        check();
    }

    #[test]
    fn copy_moves_every_length_at_every_alignment_and_nothing_beside() {
        with_each_choice(|| {
            for length in lengths() {
                let from = pattern(length + 64);
                for (source, target) in [(0, 0), (1, 0), (0, 1), (3, 17), (31, 32), (15, 33)] {
                    let mut to = vec![0xee; length + 64];
                    // SAFETY: both vectors are 64 bytes longer than what is copied at offsets below 64.
                    unsafe {
                        copy(
                            to.as_mut_ptr().add(target),
                            from.as_ptr().add(source),
                            length,
                        )
                    };
                    assert_eq!(
                        to[target..target + length],
                        from[source..source + length],
                        "{length}"
                    );
                    assert!(
                        to[..target]
                            .iter()
                            .chain(&to[target + length..])
                            .all(|byte| *byte == 0xee)
                    );
                }
            }
        });
    }

    #[test]
    fn copy_is_right_when_the_stretches_overlap_either_way() {
        with_each_choice(|| {
            for length in lengths() {
                for distance in [1, 2, 7, 8, 15, 16, 31, 32, 63, 64, 100, 128, 1000] {
                    for up in [false, true] {
                        let (source, target) = if up { (0, distance) } else { (distance, 0) };
                        let mut bytes = pattern(length + distance);
                        let mut expected = bytes.clone();
                        expected.copy_within(source..source + length, target);
                        let start = bytes.as_mut_ptr();
                        // SAFETY: both stretches end within the `length + distance` bytes.
                        unsafe { copy(start.add(target), start.add(source), length) };
                        assert!(bytes == expected, "{length} by {distance}, up {up}");
                    }
                }
            }
        });
    }

    #[test]
    fn fill_sets_every_length_and_nothing_beside() {
        with_each_choice(|| {
            for length in lengths() {
                for start in [0, 1, 15, 16] {
                    let mut to = vec![0; length + 32];
                    // SAFETY: the vector is 32 bytes longer and `start` at most 16.
                    unsafe { fill(to.as_mut_ptr().add(start), 0xa5, length) };
                    assert!(
                        to[start..start + length].iter().all(|byte| *byte == 0xa5),
                        "{length}"
                    );
                    assert!(
                        to[..start]
                            .iter()
                            .chain(&to[start + length..])
                            .all(|byte| *byte == 0)
                    );
                }
            }
        });
    }

    #[test]
    fn compare_orders_by_the_first_byte_that_differs() {
        for length in lengths().filter(|length| *length > 0) {
            let left = pattern(length);
            // SAFETY: both have `length` bytes.
            let equal = unsafe { compare(left.as_ptr(), left.clone().as_ptr(), length) };
            assert_eq!(equal, 0);
            for at in [0, length / 2, length - 1] {
                let mut right = left.clone();
                right[at] ^= 0x80;
                // What follows the first difference does not count.
                if at + 1 < length {
                    right[at + 1] ^= 0xff;
                }
                let expected = left[at].cmp(&right[at]);
                // SAFETY: both have `length` bytes.
                let found = unsafe { compare(left.as_ptr(), right.as_ptr(), length) };
                assert_eq!(found.cmp(&0), expected, "{length} at {at}");
            }
        }
    }
}
