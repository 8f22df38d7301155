//! The lists that a table's flows stand in: one for each kind of timeout, ordered by last use, so
//! that the next to expire, and whom to give up when the table is full, are found at the heads.
//!
//! A flow is moved to the end of its list at most twice a second: a packet of a busy flow touches
//! that flow alone and not its neighbours in the list.

use core::time::Duration;

use sprat_click::Instant;

use super::flow::{Flow, NONE};

/// How long a flow may stand in its list before a packet moves it to the end.
const MOVE_AFTER: Duration = Duration::from_millis(500);

/// How long flows of a list live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// How long after its last packet a flow may be given up to reclaim what it holds.
    pub(crate) timeout: Duration,
    /// How long after its last packet nobody may take its place.
    pub(crate) guarantee: Duration,
}

impl Lifetime {
    /// A flow that is guaranteed its place lives as long as that, whatever its timeout.
    pub(crate) fn new(timeout: Duration, guarantee: Duration) -> Self {
        Self {
            timeout: timeout.max(guarantee),
            guarantee,
        }
    }
}

/// One list of flows, oldest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    head: u32,
    tail: u32,
    lifetime: Lifetime,
}

impl List {
    pub(super) fn new(lifetime: Lifetime) -> Self {
        Self {
            head: NONE,
            tail: NONE,
            lifetime,
        }
    }

    /// When a flow may be reclaimed.
    pub(super) fn deadline(&self, flow: &Flow) -> Instant {
        flow.last + self.lifetime.timeout
    }

    /// Until when nobody may take a flow's place.
    pub(super) fn guaranteed(&self, flow: &Flow) -> Instant {
        flow.last + self.lifetime.guarantee
    }

    /// The places of its flows.
    pub(super) fn places(&self, flows: &[Flow]) -> impl Iterator<Item = u32> {
        let place = |place: u32| Some(place).filter(|place| *place != NONE);
        core::iter::successors(place(self.head), move |at| place(flows[*at as usize].next))
    }

    /// The place of its first flow.
    pub(super) fn head(&self) -> Option<u32> {
        Some(self.head).filter(|place| *place != NONE)
    }

    /// The flow that expires first of those that have outlived their guarantee, and when that is.
    /// It does not look at more than the oldest few.
    pub(super) fn least_wanted(&self, flows: &[Flow], now: Instant) -> Option<(Instant, u32)> {
        const LOOK: usize = 64;
        let mut found: Option<(Instant, u32)> = None;
        for place in self.places(flows).take(LOOK) {
            let flow = &flows[place as usize];
            if found.is_some_and(|(deadline, _)| flow.listed + self.lifetime.timeout >= deadline) {
                // Those behind it were put there later still, and used no earlier.
                break;
            }
            let deadline = self.deadline(flow);
            if self.guaranteed(flow) <= now && found.is_none_or(|(other, _)| deadline < other) {
                found = Some((deadline, place));
            }
        }
        found
    }

    /// Whether a flow of this list, and with it all behind it, cannot have expired yet.
    pub(super) fn all_live_from(&self, flow: &Flow, now: Instant) -> bool {
        flow.listed + self.lifetime.timeout > now
    }

    pub(super) fn append(&mut self, flows: &mut [Flow], place: u32) {
        let flow = &mut flows[place as usize];
        (flow.previous, flow.next) = (self.tail, NONE);
        match flows.get_mut(self.tail as usize) {
            Some(before) => before.next = place,
            None => self.head = place,
        }
        self.tail = place;
    }

    pub(super) fn unlink(&mut self, flows: &mut [Flow], place: u32) {
        let flow = &flows[place as usize];
        let (previous, next) = (flow.previous, flow.next);
        match flows.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.head = next,
        }
        match flows.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.tail = previous,
        }
    }
}

/// Notes that a packet of a flow came; `class` is the list it belongs to from now on.
#[inline]
pub(super) fn touch(lists: &mut [List], flows: &mut [Flow], place: u32, class: u8, now: Instant) {
    let flow = &mut flows[place as usize];
    flow.last = now;
    if flow.class != class || now.since(flow.listed) >= MOVE_AFTER {
        let old = usize::from(flow.class);
        flow.class = class;
        flow.listed = now;
        lists[old].unlink(flows, place);
        lists[usize::from(class)].append(flows, place);
    }
}
