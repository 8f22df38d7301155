//! What a zone has under each of its names: a hash table, because it is asked for a name several
//! times for each question, and built once.

use alloc::vec::Vec;

use sprat::net::dns::Name;

use crate::zone::Set;

/// Sets of records by name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// In the order in which they came.
    entries: Vec<(Name, Vec<Set>)>,
    /// One more than an entry's place, where its name's hash leads or as soon behind as there was
    /// room; zero where there is none. A power of two long and at most half full.
    index: Vec<u32>,
}

/// FNV-1a. Names are of the zone's own master file; nobody else can choose them to collide.
fn hash(name: &Name) -> usize {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let hash = name.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step);
    usize::try_from(hash >> 32).unwrap_or(0)
}

impl Names {
    /// Where an entry's place is, or would be, in the index, which has some.
    fn find(&self, name: &Name) -> usize {
        let mask = self.index.len() - 1;
        let mut at = hash(name) & mask;
        while self.entry(at).is_some_and(|(known, _)| known != name) {
            at = (at + 1) & mask;
        }
        at
    }

    /// The entry that a place in the index leads to.
    fn entry(&self, at: usize) -> Option<&(Name, Vec<Set>)> {
        let place = *self.index.get(at)? as usize;
        self.entries.get(place.checked_sub(1)?)
    }

    /// A name as the zone has it, and its sets.
    pub(crate) fn get(&self, name: &Name) -> Option<(&Name, &[Set])> {
        if self.index.is_empty() {
            return None;
        }
        let (name, sets) = self.entry(self.find(name))?;
        Some((name, sets))
    }

    /// All names with their sets, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Name, &[Set])> {
        self.entries.iter().map(|(name, sets)| (name, &sets[..]))
    }

    /// One of these.
    pub(crate) fn nth(&self, place: usize) -> Option<(&Name, &[Set])> {
        let (name, sets) = self.entries.get(place)?;
        Some((name, sets))
    }

    /// The sets of a name, which is added where there is none.
    pub(crate) fn add(&mut self, name: &Name) -> &mut Vec<Set> {
        if self.entries.len() * 2 >= self.index.len() {
            self.grow();
        }
        let at = self.find(name);
        let place = match self.index[at] as usize {
            0 => {
                self.entries.push((*name, Vec::new()));
                // A zone of 4,000 million names has no room in memory.
                self.index[at] = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
                self.entries.len() - 1
            }
            known => known - 1,
        };
        &mut self.entries[place].1
    }

    fn grow(&mut self) {
        let length = (self.index.len() * 2).max(16);
        self.index.clear();
        self.index.resize(length, 0);
        for (place, (name, _)) in (1..).zip(&self.entries) {
            let mut at = hash(name) & (length - 1);
            while self.index[at] != 0 {
                at = (at + 1) & (length - 1);
            }
            self.index[at] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn every_name_that_was_added_is_found_and_no_other() {
        let name = |number: u32| -> Name { format!("n{number}.test.").parse().expect("a name") };
        let mut names = Names::default();
        assert!(names.get(&name(0)).is_none());
        for number in (0..2000).chain(0..2000) {
            names.add(&name(number));
        }
        assert_eq!(names.entries.len(), 2000);
        for number in 0..2000 {
            let (known, sets) = names.get(&name(number)).expect("added");
            assert_eq!((known, sets.len()), (&name(number), 0));
        }
        assert!(names.get(&name(2000)).is_none());
    }
}
