//! When instances want to be entered: a heap that knows where each one stands, so that a deadline
//! that changes, as most do with every entry, leaves nothing stale behind.

/// Not in the heap.
const ABSENT: u32 = u32::MAX;

/// Deadlines by instance, the earliest at hand.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Deadline and instance; the parent of `i` is at `(i - 1) / 2` and no later.
    heap: Vec<(u64, u32)>,
    /// For each instance its place in the heap.
    places: Vec<u32>,
}

impl Timers {
    /// The earliest deadline; far away where there is none.
    pub(super) fn earliest(&self) -> u64 {
        self.heap
            .first()
            .map_or(u64::MAX, |(deadline, _)| *deadline)
    }

    /// Sets the deadline of an instance; none takes it out.
    pub(super) fn set(&mut self, instance: usize, deadline: Option<u64>) {
        if self.places.len() <= instance {
            self.places.resize(instance + 1, ABSENT);
        }
        let place = self.places[instance];
        match (place, deadline) {
            (ABSENT, None) => {}
            (ABSENT, Some(deadline)) => {
                let instance = u32::try_from(instance).unwrap_or(ABSENT);
                self.heap.push((deadline, instance));
                self.settle(self.heap.len() - 1);
            }
            (place, Some(deadline)) => {
                self.heap[place as usize].0 = deadline;
                self.settle(place as usize);
            }
            (place, None) => self.remove(place as usize),
        }
    }

    /// Takes out an instance whose deadline has come.
    pub(super) fn expire(&mut self, now: u64) -> Option<usize> {
        let (deadline, instance) = *self.heap.first()?;
        (deadline <= now).then(|| {
            self.remove(0);
            instance as usize
        })
    }

    fn remove(&mut self, place: usize) {
        let (_, instance) = self.heap.swap_remove(place);
        self.places[instance as usize] = ABSENT;
        if place < self.heap.len() {
            self.settle(place);
        }
    }

    /// Moves the entry at a place to where it belongs.
    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.heap[place].0 < self.heap[(place - 1) / 2].0 {
            self.heap.swap(place, (place - 1) / 2);
            self.note(place);
            place = (place - 1) / 2;
        }
        loop {
            let children = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let least = children.min_by_key(|child| self.heap[*child].0);
            let Some(child) = least.filter(|child| self.heap[*child].0 < self.heap[place].0) else {
                break;
            };
            self.heap.swap(place, child);
            self.note(place);
            place = child;
        }
        self.note(place);
    }

    fn note(&mut self, place: usize) {
        let instance = self.heap[place].1 as usize;
        self.places[instance] = u32::try_from(place).unwrap_or(ABSENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against a list that is searched.
        #[test]
        fn deadlines_expire_in_order_whatever_was_set_before(
            steps in prop::collection::vec((0usize..12, prop::option::of(0u64..100)), 0..200)
        ) {
            let (mut timers, mut list) = (Timers::default(), BTreeMap::new());
            for (instance, deadline) in steps {
                timers.set(instance, deadline);
                match deadline {
                    Some(deadline) => list.insert(instance, deadline),
                    None => list.remove(&instance),
                };
                let earliest = list.values().min().copied().unwrap_or(u64::MAX);
                prop_assert_eq!(timers.earliest(), earliest);
            }
            let mut last = 0;
            while let Some(instance) = timers.expire(99) {
                let deadline = list.remove(&instance).expect("set before");
                prop_assert!(deadline >= last);
                last = deadline;
            }
            prop_assert!(list.is_empty());
        }
    }

    #[test]
    fn nothing_expires_before_its_time() {
        let mut timers = Timers::default();
        timers.set(3, Some(10));
        assert_eq!(timers.expire(9), None);
        assert_eq!(timers.expire(10), Some(3));
        assert_eq!(timers.expire(u64::MAX), None);
    }
}
