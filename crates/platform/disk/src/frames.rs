//! Free memory, by whole pages: taken from the bottom and never given back.

/// Bytes of a page.
pub const PAGE: u64 = 4096;

/// Most stretches of memory that are looked at; machines have a handful.
const MOST: usize = 32;

/// Free stretches of physical memory.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    stretches: [(u64, u64); MOST],
    count: usize,
}

impl Frames {
    /// No memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the whole pages of a stretch, as far as they lie in `from..to`.
    pub fn add(&mut self, start: u64, length: u64, (from, to): (u64, u64)) {
        let end = start.saturating_add(length).min(to) & !(PAGE - 1);
        let Some(start) = start.max(from).checked_next_multiple_of(PAGE) else {
            return;
        };
        if end > start && self.count < MOST {
            self.stretches[self.count] = (start, end);
            self.count += 1;
        }
    }

    /// Leaves a stretch out: it is in use.
    pub fn exclude(&mut self, from: u64, to: u64) {
        for index in 0..self.count {
            let (start, end) = self.stretches[index];
            if from >= end || to <= start {
                continue;
            }
            self.stretches[index] = (start, from.max(start));
            self.add(to, end.saturating_sub(to), (0, u64::MAX));
        }
    }

    /// Pages that are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        let all = self.stretches[..self.count].iter();
        all.map(|(start, end)| (end - start) / PAGE).sum()
    }

    /// Bytes of free memory from `address` on, without a gap.
    #[must_use]
    pub fn room_at(&self, address: u64) -> u64 {
        let mut all = self.stretches[..self.count].iter();
        let stretch = all.find(|(start, end)| (*start..*end).contains(&address));
        stretch.map_or(0, |(_, end)| end - address)
    }

    /// Takes so many pages that lie together; where they begin.
    pub fn take(&mut self, pages: u64) -> Option<u64> {
        let bytes = pages.checked_mul(PAGE)?;
        let stretch = self.stretches[..self.count]
            .iter_mut()
            .find(|(start, end)| end - *start >= bytes)?;
        let at = stretch.0;
        stretch.0 += bytes;
        Some(at)
    }

    /// Takes at most so many pages that lie together, of the longest stretch there is; where they begin
    /// and how many they are.
    pub fn take_most(&mut self, pages: u64) -> Option<(u64, u64)> {
        let stretch = self.stretches[..self.count]
            .iter_mut()
            .max_by_key(|(start, end)| end - *start)?;
        let taken = pages.min((stretch.1 - stretch.0) / PAGE);
        if taken == 0 {
            return None;
        }
        let at = stretch.0;
        stretch.0 += taken * PAGE;
        Some((at, taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of memory that the boot monitor looks at.
    const ALL: (u64, u64) = (0x1000, 1 << 32);

    #[test]
    fn only_whole_pages_inside_the_bounds_are_free() {
        let mut frames = Frames::new();
        frames.add(0x10_0800, 0x1800, ALL);
        assert_eq!((frames.left(), frames.take(1)), (1, Some(0x10_1000)));
        frames.add(0, 0x3000, ALL);
        assert_eq!(frames.left(), 2, "page zero is nobody's");
        frames.add((1 << 32) - 0x1000, 0x10_0000, ALL);
        assert_eq!(frames.left(), 3);
        frames.add(u64::MAX - 10, u64::MAX, ALL);
        frames.add(0x5000, 0x800, ALL);
        assert_eq!(frames.left(), 3, "not one whole page");
    }

    #[test]
    fn what_is_in_use_is_left_out_whatever_it_covers() {
        let mut frames = Frames::new();
        frames.add(0x10_0000, 0x10_0000, ALL);
        frames.exclude(0x10_0000, 0x10_3000);
        frames.exclude(0x18_0000, 0x18_1000);
        frames.exclude(0x1f_f000, 0x30_0000);
        frames.exclude(0x40_0000, 0x50_0000);
        assert_eq!(frames.left(), 0x100 - 3 - 1 - 1);
        assert_eq!(frames.take(0x7d), Some(0x10_3000));
        assert_eq!(frames.take(0x7e), Some(0x18_1000));
        assert_eq!(frames.take(1), None);
    }

    #[test]
    fn no_page_is_given_twice_and_what_is_together_stays_so() {
        let mut frames = Frames::new();
        frames.add(0x10_0000, 0x4000, ALL);
        frames.add(0x20_0000, 0x8000, ALL);
        assert_eq!(frames.take(5), Some(0x20_0000));
        assert_eq!(frames.take(4), Some(0x10_0000));
        assert_eq!(frames.take(4), None);
        assert_eq!(frames.take_most(100), Some((0x20_5000, 3)));
        assert_eq!(frames.take_most(1), None);
        assert_eq!(frames.take(u64::MAX), None);
    }
}
