//! Which sequence numbers have come (RFC 4303, section 3.4.3).

/// A window of the last 64 numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplayWindow {
    highest: u32,
    /// A bit for each number that has come, the lowest for the highest.
    seen: u64,
}

impl ReplayWindow {
    /// Whether a number may be new. It is not noted: that is for when its packet has proved genuine.
    pub(super) fn admits(&self, number: u32) -> bool {
        match self.highest.checked_sub(number) {
            _ if number == 0 => false,
            None => true,
            Some(behind) => behind < 64 && self.seen >> behind & 1 == 0,
        }
    }

    /// Notes a number.
    pub(super) fn note(&mut self, number: u32) {
        match self.highest.checked_sub(number) {
            Some(behind) => self.seen |= 1u64.checked_shl(behind).unwrap_or(0),
            None => {
                let ahead = number - self.highest;
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.highest = number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_too_far_behind_are_refused_whether_they_came_or_not() {
        let mut window = ReplayWindow::default();
        assert!(!window.admits(0), "none begins with it");
        window.note(100);
        for (number, admitted) in [
            (100, false),
            (101, true),
            (99, true),
            (37, true),
            (36, false),
        ] {
            assert_eq!(window.admits(number), admitted, "{number}");
        }
        window.note(u32::MAX);
        assert!(!window.admits(u32::MAX) && window.admits(u32::MAX - 63) && !window.admits(200));
    }

    proptest! {
        #[test]
        fn no_number_is_admitted_twice(numbers in prop::collection::vec(1..300u32, 0..200)) {
            let mut window = ReplayWindow::default();
            let mut seen = BTreeSet::new();
            for number in numbers {
                let highest = seen.last().copied().unwrap_or(0);
                let fresh = number + 63 >= highest && !seen.contains(&number);
                prop_assert_eq!(window.admits(number), fresh);
                if fresh {
                    window.note(number);
                    seen.insert(number);
                }
            }
        }
    }
}
