//! The index of a flow table: numbers, found by a hash.
//!
//! Open addressing with linear probing. A slot holds the hash and the number in one word, so a
//! lookup reads one cache line of the index and then, almost always, the one flow it is after;
//! growing reads no flows at all. Removing moves later entries up and leaves no tombstones, so
//! the index does not wear out under churn.

use alloc::vec::Vec;

use sprat_packet::prefetch::prefetch_element;

/// Numbers of up to 32 bits less one, by their hashes.
#[derive(Default)]
pub(crate) struct Index {
    /// The hash in the high half, the number plus one in the low half; zero where empty. A power
    /// of two of them, or none.
    slots: Vec<u64>,
    used: usize,
}

/// Slots of the smallest index that holds anything.
const SMALLEST: usize = 16;

impl Index {
    /// Entries.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        hash as usize & self.slots.len().wrapping_sub(1)
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        (place + 1) & self.slots.len().wrapping_sub(1)
    }

    /// Has the memory fetched that a lookup of `hash` reads first.
    #[inline]
    pub(crate) fn prefetch(&self, hash: u32) {
        prefetch_element(&self.slots, self.home(hash));
    }

    /// The first number under `hash` that `wanted` accepts.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut wanted: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut place = self.home(hash);
        loop {
            // An index without slots has no place at all.
            let slot = *self.slots.get(place)?;
            if slot == 0 {
                return None;
            }
            if slot >> 32 == u64::from(hash) && wanted(number(slot)) {
                return Some(number(slot));
            }
            place = self.after(place);
        }
    }

    /// Adds a number that is not there.
    pub(crate) fn insert(&mut self, hash: u32, number: u32) {
        if (self.used + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        self.put(u64::from(hash) << 32 | (u64::from(number) + 1));
        self.used += 1;
    }

    fn put(&mut self, entry: u64) {
        let mut place = self.home(hash(entry));
        while self.slots[place] != 0 {
            place = self.after(place);
        }
        self.slots[place] = entry;
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(SMALLEST);
        let old = core::mem::replace(&mut self.slots, alloc::vec![0; size]);
        for entry in old.into_iter().filter(|entry| *entry != 0) {
            self.put(entry);
        }
    }

    /// Removes a number, where it is there.
    pub(crate) fn remove(&mut self, hash: u32, wanted: u32) {
        let mut place = self.home(hash);
        loop {
            match self.slots.get(place) {
                None | Some(0) => return,
                Some(slot) if *slot >> 32 == u64::from(hash) && number(*slot) == wanted => break,
                Some(_) => place = self.after(place),
            }
        }
        self.used -= 1;
        self.close_gap(place);
    }

    /// Moves entries behind an emptied slot up, so that each is still found from its home on.
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.slots.len() - 1;
        let mut place = self.after(gap);
        while self.slots[place] != 0 {
            let home = self.home(hash(self.slots[place]));
            // How far the entry stands from home, and how far the gap is: it may move that far.
            if place.wrapping_sub(home) & mask >= place.wrapping_sub(gap) & mask {
                self.slots[gap] = self.slots[place];
                gap = place;
            }
            place = self.after(place);
        }
        self.slots[gap] = 0;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
#[inline]
fn number(slot: u64) -> u32 {
    (slot as u32).wrapping_sub(1)
}

#[inline]
fn hash(slot: u64) -> u32 {
    (slot >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_not_taken_out(
            // Few hashes, so that runs of entries grow long and wrap around the end.
            steps in prop::collection::vec((any::<bool>(), 0..40_u32, 0..30_u32), 1..400),
        ) {
            let mut index = Index::default();
            let mut model = BTreeSet::new();
            for (insert, hash, number) in steps {
                let hash = hash.wrapping_sub(20);
                if insert && model.insert((hash, number)) {
                    index.insert(hash, number);
                } else if !insert {
                    model.remove(&(hash, number));
                    index.remove(hash, number);
                }
                prop_assert_eq!(index.len(), model.len());
                let found = index.find(hash, |other| other == number);
                prop_assert_eq!(found.is_some(), insert);
            }
            for hash in (0..40_u32).map(|hash| hash.wrapping_sub(20)) {
                for number in 0..30 {
                    let found = index.find(hash, |other| other == number);
                    prop_assert_eq!(found.is_some(), model.contains(&(hash, number)));
                }
            }
        }
    }
}
