//! Which of many strings occur in some bytes, found in one pass over them (Aho and Corasick,
//! "Efficient string matching: an aid to bibliographic search", 1975).

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

/// The most states an automaton may have.
const STATES: usize = 1 << 16;

/// More strings, or longer ones, than there are states for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// An automaton for a list of strings: a state for each prefix of one, and a row of next states for
/// each. Bytes that occur in no string are one class, so that rows are short.
#[derive(Clone, Debug)]
pub(super) struct StringMatcher {
    classes: [u8; 256],
    /// Classes are at most 256.
    width: usize,
    next: Vec<u16>,
    /// The first string of the list that ends in a state.
    found: Vec<Option<u32>>,
}

impl StringMatcher {
    /// An automaton for strings, letters of either case being the same where `any_case`.
    pub(super) fn new(strings: &[Vec<u8>], any_case: bool) -> Result<Self, TooLarge> {
        let fold = |byte: u8| {
            if any_case {
                byte.to_ascii_lowercase()
            } else {
                byte
            }
        };
        let mut classes = [0u8; 256];
        let mut count = 0u8;
        let mut used = [false; 256];
        strings
            .iter()
            .flatten()
            .for_each(|byte| used[usize::from(fold(*byte))] = true);
        // Where all bytes occur, the first needs no class apart from what occurs nowhere.
        let all = used.iter().all(|used| *used);
        for (class, _) in classes.iter_mut().zip(used).filter(|(_, used)| *used) {
            if all {
                (*class, count) = (count, count.saturating_add(1));
            } else {
                count += 1;
                *class = count;
            }
        }
        let folded: [u8; 256] = core::array::from_fn(|byte| {
            u8::try_from(byte).map_or(0, |byte| classes[usize::from(fold(byte))])
        });
        let mut matcher = Self {
            classes: folded,
            width: if all { 256 } else { usize::from(count) + 1 },
            next: Vec::new(),
            found: Vec::new(),
        };
        matcher.add_state()?;
        for (number, string) in (0u32..).zip(strings) {
            let mut state = 0;
            for byte in string {
                let edge = matcher.edge(state, *byte);
                if matcher.next[edge] == 0 {
                    matcher.next[edge] = matcher.add_state()?;
                }
                state = matcher.next[edge];
            }
            let found = &mut matcher.found[usize::from(state)];
            *found = found.or(Some(number));
        }
        matcher.complete();
        Ok(matcher)
    }

    fn add_state(&mut self) -> Result<u16, TooLarge> {
        let state = self.found.len();
        if state >= STATES {
            return Err(TooLarge);
        }
        self.next.resize(self.next.len() + self.width, 0);
        self.found.push(None);
        u16::try_from(state).map_err(|_| TooLarge)
    }

    fn edge(&self, state: u16, byte: u8) -> usize {
        usize::from(state) * self.width + usize::from(self.classes[usize::from(byte)])
    }

    /// Gives every state a next one for every class: where no string goes on, that of its longest
    /// proper suffix which is a state.
    fn complete(&mut self) {
        let mut suffixes = vec![0u16; self.found.len()];
        let mut queue = VecDeque::from([0u16]);
        while let Some(state) = queue.pop_front() {
            let suffix = suffixes[usize::from(state)];
            let row = usize::from(state) * self.width;
            for class in 0..self.width {
                let beside = match state {
                    0 => 0,
                    _ => self.next[usize::from(suffix) * self.width + class],
                };
                let next = &mut self.next[row + class];
                if *next == 0 {
                    *next = beside;
                    continue;
                }
                let child = usize::from(*next);
                suffixes[child] = beside;
                let of_suffix = self.found[usize::from(beside)];
                self.found[child] = match (self.found[child], of_suffix) {
                    (Some(own), Some(other)) => Some(own.min(other)),
                    (own, other) => own.or(other),
                };
                queue.push_back(*next);
            }
        }
    }

    /// The first string of the list that occurs in some bytes.
    pub(super) fn first_in(&self, bytes: &[u8]) -> Option<u32> {
        let mut state = 0;
        let mut first = self.found[0];
        for byte in bytes {
            state = self.next[self.edge(state, *byte)];
            if let Some(found) = self.found[usize::from(state)] {
                first = Some(first.map_or(found, |first| first.min(found)));
                if first == Some(0) {
                    break;
                }
            }
        }
        first
    }

    /// The memory it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self) + size_of_val(&*self.next) + size_of_val(&*self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;

    fn matcher(strings: &[&str]) -> StringMatcher {
        let strings: Vec<Vec<u8>> = strings
            .iter()
            .map(|string| string.as_bytes().to_vec())
            .collect();
        StringMatcher::new(&strings, false).expect("few strings")
    }

    #[test]
    fn the_example_of_the_paper() {
        let strings = matcher(&["he", "she", "his", "hers"]);
        assert_eq!(strings.first_in(b"ushers"), Some(0));
        assert_eq!(strings.first_in(b"ushis"), Some(2));
        assert_eq!(strings.first_in(b"usher"), Some(0));
        assert_eq!(strings.first_in(b"sh hi s"), None);
        // A state for each prefix: "", h, he, her, hers, hi, his, s, sh, she.
        assert_eq!(strings.found.len(), 10);
    }

    #[test]
    fn the_empty_string_is_everywhere() {
        assert_eq!(matcher(&["x", ""]).first_in(b""), Some(1));
    }

    #[test]
    fn case_counts_only_where_it_is_to() {
        let strings = [b"GeT".to_vec()];
        let exact = StringMatcher::new(&strings, false).expect("one string");
        let any = StringMatcher::new(&strings, true).expect("one string");
        assert_eq!(
            (exact.first_in(b"get"), any.first_in(b"get")),
            (None, Some(0))
        );
        assert_eq!(any.first_in(b"aGETb"), Some(0));
    }

    #[test]
    fn all_bytes_may_occur() {
        let all: Vec<u8> = (0..=255).collect();
        let strings = [all.clone(), alloc::vec![0, 0, 0]];
        let matcher = StringMatcher::new(&strings, false).expect("two strings");
        assert_eq!(matcher.first_in(&all), Some(0));
        assert_eq!(matcher.first_in(&[1, 0, 0, 0, 1]), Some(1));
        assert_eq!(matcher.first_in(&all[1..]), None);
    }

    #[test]
    fn more_than_there_are_states_for_is_refused() {
        let long = [alloc::vec![b'x'; STATES]];
        assert_eq!(StringMatcher::new(&long, false).err(), Some(TooLarge));
    }

    proptest! {
        #[test]
        fn strings_are_found_as_by_looking_for_each(
            strings in prop::collection::vec("[ab]{0,4}|[a-d]{1,5}", 0..8),
            text in "[a-d]{0,30}",
        ) {
            let first = strings.iter().position(|string| text.contains(string.as_str()));
            let strings: Vec<Vec<u8>> = strings.into_iter().map(String::into_bytes).collect();
            let matcher = StringMatcher::new(&strings, false).expect("few strings");
            let found = matcher.first_in(text.as_bytes()).map(|found| found as usize);
            prop_assert_eq!(found, first);
        }
    }
}
