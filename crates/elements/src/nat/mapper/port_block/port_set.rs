//! The ports of a block that are taken.

use alloc::vec::Vec;

/// Which of a number of ports are taken, a bit each.
#[derive(Default)]
pub(super) struct PortSet {
    /// Empty until the first is taken.
    words: Vec<u64>,
}

impl PortSet {
    /// Takes the first free one of `size` ports from `start` on, and around the end.
    pub(super) fn take(&mut self, size: u16, start: u16) -> Option<u16> {
        self.words.resize(usize::from(size).div_ceil(64), 0);
        let free = |port: &u16| self.words[usize::from(*port / 64)] & bit(*port) == 0;
        let from = |low: u16, high: u16| -> Option<u16> {
            let mut port = low;
            while port < high {
                if self.words[usize::from(port / 64)] == u64::MAX {
                    // A word of which all are taken is passed over at once.
                    port = (port / 64 + 1).checked_mul(64)?;
                } else if free(&port) {
                    return Some(port);
                } else {
                    port += 1;
                }
            }
            None
        };
        let found = from(start, size).or_else(|| from(0, start))?;
        self.words[usize::from(found / 64)] |= bit(found);
        Some(found)
    }

    /// Takes a port; says whether it was free.
    pub(super) fn take_this(&mut self, size: u16, port: u16) -> bool {
        self.words.resize(usize::from(size).div_ceil(64), 0);
        let Some(word) = self.words.get_mut(usize::from(port / 64)) else {
            return false;
        };
        let was_free = *word & bit(port) == 0;
        *word |= bit(port);
        was_free
    }

    /// Gives a port back.
    pub(super) fn free(&mut self, port: u16) {
        if let Some(word) = self.words.get_mut(usize::from(port / 64)) {
            *word &= !bit(port);
        }
    }
}

fn bit(port: u16) -> u64 {
    1 << (port % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_port_is_taken_once_and_can_be_given_back(size in 1..=200_u16, starts in prop::collection::vec(any::<u16>(), 200)) {
            let mut ports = PortSet::default();
            let mut taken = std::collections::BTreeSet::new();
            for start in starts.iter().take(usize::from(size)) {
                let port = ports.take(size, start % size);
                prop_assert!(port.is_some_and(|port| port < size && taken.insert(port)));
            }
            prop_assert_eq!(ports.take(size, 0), None);
            let back = starts[0] % size;
            ports.free(back);
            prop_assert_eq!(ports.take(size, size - 1), Some(back));
        }
    }

    #[test]
    fn the_last_word_of_the_highest_ports_ends_the_search() {
        let mut ports = PortSet::default();
        for port in 0..u16::MAX {
            assert!(ports.take_this(u16::MAX, port));
        }
        assert_eq!(ports.take(u16::MAX, 65_500), None);
    }
}
