//! Comparing.

use core::arch::x86_64::{_mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8};

use crate::load;

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
