//! Every length, alignment and overlap, with each set of instructions.

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
