//! Maps and sets.

use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::{BuildHasher as _, Hash};
use core::{fmt, mem, ops};

use hashbrown::{DefaultHashBuilder, HashTable};

/// A hash map that remembers the order in which its keys came, until one is removed.
#[derive(Clone)]
pub struct Map<K, V> {
    entries: Vec<(K, V)>,
    index: Index,
}

/// Where the entries with a hash are.
#[derive(Clone, Default)]
struct Index {
    hashes: DefaultHashBuilder,
    /// The hash of a key and the place of its entry.
    places: HashTable<(u64, usize)>,
}

impl Index {
    fn find(&self, hash: u64, is: &mut dyn FnMut(usize) -> bool) -> Option<usize> {
        let entry = self
            .places
            .find(hash, |(of, place)| *of == hash && is(*place));
        entry.map(|(_, place)| *place)
    }

    fn insert(&mut self, hash: u64, place: usize) {
        self.places
            .insert_unique(hash, (hash, place), |(hash, _)| *hash);
    }

    /// Forgets the entry at `place`, to which the last entry, of hash `moved`, goes.
    fn remove(&mut self, hash: u64, place: usize, moved: u64, last: usize) {
        if let Ok(found) = self.places.find_entry(hash, |(_, at)| *at == place) {
            found.remove();
        }
        if let Some((_, at)) = self.places.find_mut(moved, |(_, at)| *at == last) {
            *at = place;
        }
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            index: Index::default(),
        }
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K, V> Map<K, V> {
    /// An empty map. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.index.places.clear();
    }

    /// The entries.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> + DoubleEndedIterator {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// The keys.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &K> + DoubleEndedIterator {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &V> + DoubleEndedIterator {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }
}

impl<K: Hash + Eq, V> Map<K, V> {
    fn place<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> (u64, Option<usize>)
    where
        K: Borrow<Q>,
    {
        let hash = self.index.hashes.hash_one(key);
        let is = &mut |place: usize| self.entries[place].0.borrow() == key;
        (hash, self.index.find(hash, is))
    }

    fn add(&mut self, hash: u64, key: K, value: V) -> &mut V {
        self.index.insert(hash, self.entries.len());
        &mut self.entries.push_mut((key, value)).1
    }

    /// The value of a key.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let (_, place) = self.place(key);
        place.map(|place| &self.entries[place].1)
    }

    /// A key as it is here, and its value.
    pub fn get_key_value<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        let (_, place) = self.place(key);
        place.map(|place| {
            let (key, value) = &self.entries[place];
            (key, value)
        })
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (_, place) = self.place(key);
        place.map(|place| &mut self.entries[place].1)
    }

    /// Whether a key has a value.
    pub fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).1.is_some()
    }

    /// Gives a key a value; returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            (_, Some(place)) => Some(mem::replace(&mut self.entries[place].1, value)),
            (hash, None) => {
                self.add(hash, key, value);
                None
            }
        }
    }

    /// The value of a key, which is made where it has none.
    pub fn get_or_insert_with(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        match self.place(&key) {
            (_, Some(place)) => &mut self.entries[place].1,
            (hash, None) => self.add(hash, key, value()),
        }
    }

    /// Keeps the entries that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        *self = mem::take(self)
            .into_iter()
            .filter_map(|(key, mut value)| keep(&key, &mut value).then_some((key, value)))
            .collect();
    }

    /// Takes a key's value out.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let (hash, place) = self.place(key);
        let place = place?;
        let last = self.entries.len() - 1;
        let moved = self.index.hashes.hash_one(&self.entries[last].0);
        self.index.remove(hash, place, moved, last);
        Some(self.entries.swap_remove(place).1)
    }
}

impl<K: Hash + Eq + Borrow<Q>, Q: Hash + Eq + ?Sized, V> ops::Index<&Q> for Map<K, V> {
    type Output = V;

    /// # Panics
    /// The key has no value.
    fn index(&self, key: &Q) -> &V {
        &self.entries[self.place(key).1.unwrap_or(usize::MAX)].1
    }
}

impl<K: Hash + Eq, V> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Hash + Eq, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = alloc::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// A hash set that remembers the order in which its items came.
#[derive(Clone)]
pub struct Set<T> {
    items: Map<T, ()>,
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self {
            items: Map::default(),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.items.keys()).finish()
    }
}

impl<T: Hash + Eq> Set<T> {
    /// An empty set. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts an item in; says whether it is new.
    pub fn insert(&mut self, item: T) -> bool {
        self.items.insert(item, ()).is_none()
    }

    /// Whether it has the item.
    pub fn contains<Q: Hash + Eq + ?Sized>(&self, item: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.items.contains_key(item)
    }
}

impl<T: Hash + Eq> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self {
            items: items.into_iter().map(|item| (item, ())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u8, u8),
        Remove(u8),
        Ensure(u8, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..40_u8, any::<u8>()).prop_map(|(key, value)| Step::Insert(key, value)),
            (0..40_u8).prop_map(Step::Remove),
            (0..40_u8, any::<u8>()).prop_map(|(key, value)| Step::Ensure(key, value)),
        ]
    }

    proptest! {
        #[test]
        fn holds_what_the_standard_map_holds(steps in proptest::collection::vec(step(), 0..300)) {
            let mut ours = Map::new();
            let mut theirs = HashMap::new();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        prop_assert_eq!(ours.insert(key, value), theirs.insert(key, value));
                    }
                    Step::Remove(key) => prop_assert_eq!(ours.remove(&key), theirs.remove(&key)),
                    Step::Ensure(key, value) => {
                        prop_assert_eq!(
                            ours.get_or_insert_with(key, || value),
                            theirs.entry(key).or_insert(value)
                        );
                    }
                }
                for key in 0..40 {
                    prop_assert_eq!(ours.get(&key), theirs.get(&key));
                }
                prop_assert_eq!(ours.len(), theirs.len());
            }
        }
    }

    #[test]
    fn entries_keep_the_order_in_which_they_came() {
        let map: Map<_, _> = [("b", 1), ("a", 2), ("c", 3)].into_iter().collect();
        assert!(map.keys().eq(["b", "a", "c"].iter()));
        assert!(map.values().eq([1, 2, 3].iter()));
    }
}
