//! The rules of packets seen lately, by the values of all fields that a program looks at.
//!
//! Traffic is flows: the values that decide about a packet are those of many packets before it.
//! Where a program is expensive, remembering them costs less. What is remembered follows from the
//! values alone, so an entry is never stale.

use alloc::vec;
use alloc::vec::Vec;

/// Entries in a set: one cache line.
const WAYS: usize = 4;

/// Sets at first, and when grown. 8,192 sets are 512 KiB and hold some 30,000 flows.
const LEAST_SETS: usize = 64;
const MOST_SETS: usize = 8192;

/// Groups let past after one that was mostly unknown, and at most when it is always so.
const IDLE: u32 = 8;
const MOST_IDLE: u32 = 64;

/// The low bits of a key's second word, which hold the rule.
const RULE: u64 = 0xffff;

/// What identifies a packet's field values: 112 bits, the low 16 of the second word being zero.
pub(super) type Key = [u64; 2];

#[derive(Clone, Debug)]
#[repr(align(64))]
struct Set([Key; WAYS]);

/// A cache for one program. It is emptied by making a new one.
#[derive(Clone, Debug)]
pub(super) struct FlowCache {
    sets: Vec<Set>,
    /// How far a hash of 32 bits is shifted to index the sets.
    shift: u32,
    /// Insertions since the last growth.
    inserted: usize,
    /// Groups of packets to let past without looking, and next time.
    idle: u32,
    next_idle: u32,
    /// What fills empty entries: the key of zeros with its true rule.
    empty: Key,
}

impl FlowCache {
    /// A cache for a program that finds `rule` where all fields are zero.
    pub(super) fn new(rule: u16) -> Self {
        let empty = [0, rule.into()];
        Self {
            sets: vec![Set([empty; WAYS]); LEAST_SETS],
            shift: 32 - LEAST_SETS.ilog2(),
            inserted: 0,
            idle: 0,
            next_idle: IDLE,
            empty,
        }
    }

    /// The set of a key. Multiplication by odd numbers spreads every bit of the key upwards; the
    /// numbers are fractions of the golden ratio and of the square root of three.
    #[inline]
    fn set(&self, key: Key) -> usize {
        let hash = (key[0] ^ key[0] >> 29)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add((key[1] ^ key[1] >> 31).wrapping_mul(0xbb67_ae85_84ca_a73b));
        // The upper half is spread best.
        let hash = (hash >> 32 & 0xffff_ffff) as u32;
        (hash >> self.shift) as usize
    }

    /// Whether a group of packets is to be looked for in it at all: not for a while after most of
    /// a group were unknown, for then traffic is not flows, and looking and remembering is work in
    /// vain.
    #[inline]
    pub(super) fn is_consulted(&mut self) -> bool {
        let consulted = self.idle == 0;
        self.idle = self.idle.saturating_sub(1);
        consulted
    }

    /// Notes how many of a group's packets were unknown, which says nothing as long as there is
    /// room for more.
    #[inline]
    pub(super) fn note(&mut self, unknown: usize, packets: usize) {
        let full = self.inserted >= MOST_SETS * WAYS;
        if full && unknown * 2 > packets {
            self.idle = self.next_idle;
            self.next_idle = MOST_IDLE.min(self.next_idle * 2);
        } else {
            self.next_idle = IDLE;
        }
    }

    /// The rule found for a key before.
    ///
    /// All entries of the set are compared, always: which of them it is cannot be predicted, and
    /// comparing costs less than having guessed wrong.
    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<u16> {
        let mut found = 0;
        for entry in &self.sets[self.set(key)].0 {
            let differs = (entry[0] ^ key[0]) | (entry[1] ^ key[1]) & !RULE;
            let same = u64::from(differs == 0);
            // A flow may be there twice, with the same rule.
            found |= same << 16 | same.wrapping_neg() & entry[1] & RULE;
        }
        (found >> 16 != 0).then_some((found & RULE) as u16)
    }

    /// Remembers the rule of a key, forgetting the oldest of its set.
    pub(super) fn insert(&mut self, key: Key, rule: u16) {
        self.inserted += 1;
        if self.inserted > self.sets.len() * WAYS && self.sets.len() < MOST_SETS {
            self.grow();
        }
        self.place([key[0], key[1] | u64::from(rule)]);
    }

    fn grow(&mut self) {
        let sets = MOST_SETS.min(self.sets.len() * 4);
        let grown = vec![Set([self.empty; WAYS]); sets];
        let old = core::mem::replace(&mut self.sets, grown);
        self.shift = 32 - sets.ilog2();
        self.inserted = 0;
        // The oldest first, as they came.
        let entries = old.iter().flat_map(|set| set.0.iter().rev());
        let empty = self.empty;
        for entry in entries.filter(|entry| **entry != empty) {
            self.place(*entry);
        }
    }

    fn place(&mut self, entry: Key) {
        let at = self.set([entry[0], entry[1] & !RULE]);
        let set = &mut self.sets[at].0;
        set.copy_within(..WAYS - 1, 1);
        set[0] = entry;
    }

    /// The memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_remembered_is_found_and_nothing_else() {
        let mut cache = FlowCache::new(7);
        assert_eq!(cache.get([0, 0]), Some(7));
        assert_eq!(cache.get([1, 0]), None);
        cache.insert([1, 0x2_0000], 3);
        assert_eq!(cache.get([1, 0x2_0000]), Some(3));
        assert_eq!(cache.get([1, 0x3_0000]), None);
        assert_eq!(cache.get([2, 0x2_0000]), None);
    }

    #[test]
    fn ten_thousand_flows_nearly_all_fit() {
        let mut cache = FlowCache::new(0);
        // Addresses and ports as of hosts one after the other.
        let keys: Vec<Key> = (1..=10_000u64)
            .map(|flow| [0x0a00_0000_8350_508b + (flow << 32), flow * 0x1_0003_0000])
            .collect();
        for _ in 0..20 {
            for key in &keys {
                if cache.get(*key).is_none() {
                    cache.insert(*key, 1);
                }
            }
        }
        let known = keys.iter().filter(|key| cache.get(**key).is_some()).count();
        assert!(known > 9_500, "{known}");
        assert!(cache.bytes() <= 512 << 10);
    }

    #[test]
    fn the_cache_is_left_alone_for_a_while_where_traffic_is_all_new() {
        let mut cache = FlowCache::new(0);
        cache.note(32, 32);
        assert!(cache.is_consulted(), "there is room for all");
        for flow in 1..100_000 {
            cache.insert([flow, 0], 1);
        }
        let mut refused = |unknown| {
            cache.note(unknown, 32);
            (0..100).take_while(|_| !cache.is_consulted()).count()
        };
        // The longer it is so, the longer it is left alone.
        assert_eq!([20, 20, 20, 20, 20].map(&mut refused), [8, 16, 32, 64, 64]);
        assert_eq!([16, 17].map(&mut refused), [0, 8]);
    }
}
