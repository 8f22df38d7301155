//! Sorting.

use alloc::vec;
use alloc::vec::Vec;
use core::mem;

/// Sorts, keeping the order of items that are equal. Allocates two numbers for each item.
pub fn sort<T: Ord>(items: &mut [T]) {
    arrange(items, |first, second| first < second);
}

/// Sorts by a key, keeping the order of items whose keys are equal. The key is made anew for each
/// comparison.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], mut key: impl FnMut(&T) -> K) {
    arrange(items, |first, second| key(first) < key(second));
}

fn arrange<T>(items: &mut [T], mut before: impl FnMut(&T, &T) -> bool) {
    let mut places = places(items.len(), &mut |first, second| {
        before(&items[first], &items[second])
    });
    // Each exchange brings an item to its place for good.
    for at in 0..items.len() {
        while places[at] != at {
            let place = places[at];
            items.swap(at, place);
            places.swap(at, place);
        }
    }
}

/// Where each of so many items goes, found by merging ever longer runs.
fn places(length: usize, before: &mut dyn FnMut(usize, usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..length).collect();
    let mut merged = vec![0; length];
    let mut run = 1;
    while run < length {
        for start in (0..length).step_by(2 * run) {
            let middle = length.min(start + run);
            let end = length.min(start + 2 * run);
            let (mut left, mut right) = (start, middle);
            for slot in &mut merged[start..end] {
                let from_right =
                    right < end && (left == middle || before(order[right], order[left]));
                let from = if from_right { &mut right } else { &mut left };
                *slot = order[*from];
                *from += 1;
            }
        }
        mem::swap(&mut order, &mut merged);
        run *= 2;
    }
    for (place, item) in order.into_iter().enumerate() {
        merged[item] = place;
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sorts_as_the_standard_library_does(numbers: Vec<u8>) {
            let mut ours = numbers.clone();
            sort(&mut ours);
            let mut theirs = numbers;
            theirs.sort_unstable();
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn equal_keys_stay_in_order(numbers: Vec<u8>) {
            let numbered: Vec<(usize, u8)> = numbers.into_iter().enumerate().collect();
            let mut ours = numbered.clone();
            sort_by_key(&mut ours, |(_, number)| number / 64);
            let mut theirs = numbered;
            theirs.sort_by_key(|(_, number)| number / 64);
            prop_assert_eq!(ours, theirs);
        }
    }
}
