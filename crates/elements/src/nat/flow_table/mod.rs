//! Flows and how they are found: by what their packets carry, in either direction.
//!
//! Flows lie in a slab, one cache line each, and are found through an index of both directions'
//! keys. A table belongs to one rewriter, or to several that share a capacity; each then has its
//! own space of keys.

mod entry;
mod flow;
mod index;
mod lists;

use alloc::rc::Rc;
use alloc::vec::Vec;

use sprat_click::Instant;
use sprat_click::collections::Map;
use sprat_click::time::SECOND;
use sprat_packet::flow::{FlowHash, FlowKey};
use sprat_packet::prefetch::prefetch_element;

use super::mapper::Mapper;
use super::sequence::SequenceShifts;
use flow::{FREE, NONE};
use lists::List;

pub(super) use entry::{Entry, FlowId};
pub(super) use flow::{Direction, Flow, NewFlow, Outputs};
pub(super) use index::Index;
pub(super) use lists::Lifetime;

/// Most flows a table may hold: their numbers have 31 bits, and one is no flow.
const LARGEST: usize = (1 << 31) - 2;

/// Whom flows count for: one input of a rewriter.
pub(super) struct Owner {
    /// Flows that are there.
    pub(super) flows: u32,
    /// New flows for which there was no port, address or place.
    pub(super) failures: u32,
    /// Who is to be told when a flow ends.
    mapper: Option<Rc<dyn Mapper>>,
}

/// A rewriter's part of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) space: u8,
    /// The first of its lists, and the first of its owners.
    pub(super) class: u8,
    pub(super) owner: u16,
}

/// A table of flows.
pub(super) struct FlowTable {
    flows: Vec<Flow>,
    /// Places in the slab that are free.
    free: Vec<u32>,
    index: Index,
    hash: FlowHash,
    lists: Vec<List>,
    owners: Vec<Owner>,
    spaces: u8,
    pub(super) capacity: usize,
    /// How many flows have ended since the beginning.
    ended: u64,
    /// The second in which flows were last reaped because something was wanted of them.
    reaped: Option<u64>,
    /// Changes of sequence numbers, for the few flows that have any.
    sequences: Map<u32, SequenceShifts>,
}

impl FlowTable {
    pub(super) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            flows: Vec::new(),
            free: Vec::new(),
            index: Index::default(),
            hash: FlowHash::new(seed),
            lists: Vec::new(),
            owners: Vec::new(),
            spaces: 0,
            capacity: capacity.min(LARGEST),
            ended: 0,
            reaped: None,
            sequences: Map::new(),
        }
    }

    /// Makes room for a rewriter with these lists and so many inputs. `None` where too many share
    /// the table already.
    pub(super) fn join(&mut self, lifetimes: &[Lifetime], inputs: usize) -> Option<Share> {
        let share = Share {
            space: self.spaces,
            class: u8::try_from(self.lists.len()).ok()?,
            owner: u16::try_from(self.owners.len()).ok()?,
        };
        u8::try_from(self.lists.len() + lifetimes.len()).ok()?;
        u16::try_from(self.owners.len() + inputs).ok()?;
        self.spaces = self.spaces.checked_add(1).filter(|next| *next < FREE)?;
        self.lists
            .extend(lifetimes.iter().map(|lifetime| List::new(*lifetime)));
        self.owners.extend((0..inputs).map(|_| Owner {
            flows: 0,
            failures: 0,
            mapper: None,
        }));
        Some(share)
    }

    /// Flows in the table.
    pub(super) fn len(&self) -> usize {
        self.flows.len() - self.free.len()
    }

    /// How many flows have ended since the beginning: where it has not changed, what was taken is
    /// taken still.
    pub(super) fn ended(&self) -> u64 {
        self.ended
    }

    pub(super) fn flow(&self, id: FlowId) -> &Flow {
        &self.flows[id.0 as usize]
    }

    pub(super) fn flow_mut(&mut self, id: FlowId) -> &mut Flow {
        &mut self.flows[id.0 as usize]
    }

    pub(super) fn owner(&self, owner: u16) -> &Owner {
        &self.owners[usize::from(owner)]
    }

    /// Counts a flow that could not be made.
    pub(super) fn count_failure(&mut self, owner: u16) {
        let failures = &mut self.owners[usize::from(owner)].failures;
        *failures = failures.saturating_add(1);
    }

    /// Has `mapper` told of the ends of an owner's flows.
    pub(super) fn set_mapper(&mut self, owner: u16, mapper: Option<Rc<dyn Mapper>>) {
        self.owners[usize::from(owner)].mapper = mapper;
    }

    /// The hash of a key of a space.
    #[inline]
    pub(super) fn hash(&self, key: &FlowKey, space: u8) -> u32 {
        let [addresses, rest] = key.words();
        let hash = self.hash.of_words(addresses, rest | u64::from(space) << 40);
        // The high half is as good as the low one.
        (hash >> 32) as u32
    }

    /// Has the memory fetched that [`Self::candidate`] reads.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        self.index.prefetch(hash);
    }

    /// What is probably found under a hash; has the flow fetched.
    #[inline]
    pub(super) fn candidate(&self, hash: u32) -> Option<Entry> {
        let entry = Entry(self.index.find(hash, |_| true)?);
        prefetch_element(&self.flows, entry.id().0 as usize);
        Some(entry)
    }

    /// Whether packets with this key are of that flow and direction.
    #[inline]
    pub(super) fn is_of(&self, entry: Entry, key: &FlowKey, space: u8) -> bool {
        self.flow(entry.id()).matches(entry.direction(), key, space)
    }

    /// The flow that packets with this key belong to.
    #[inline]
    pub(super) fn find(&self, key: &FlowKey, space: u8) -> Option<Entry> {
        self.find_hashed(self.hash(key, space), key, space)
    }

    /// [`Self::find`] by a hash that is known already.
    #[inline]
    pub(super) fn find_hashed(&self, hash: u32, key: &FlowKey, space: u8) -> Option<Entry> {
        let wanted = |entry: u32| self.is_of(Entry(entry), key, space);
        self.index.find(hash, wanted).map(Entry)
    }

    /// Whether a flow that is rewritten so could be told apart by its replies from all others that
    /// live.
    pub(super) fn is_free(&self, rewritten: &FlowKey, space: u8, now: Instant) -> bool {
        self.find(&rewritten.reversed(), space)
            .is_none_or(|entry| !self.lives(entry.id(), now))
    }

    /// Adds a flow. Those whose packets could not be told from its own end.
    pub(super) fn insert(&mut self, new: &NewFlow, space: u8, now: Instant) -> FlowId {
        let keys = [new.original, new.rewritten.reversed()];
        for key in &keys {
            if let Some(other) = self.find(key, space) {
                self.remove(other.id(), now);
            }
        }
        let flow = Flow::new(new, space, now);
        let place = match self.free.pop() {
            Some(place) => {
                self.flows[place as usize] = flow;
                place
            }
            None => {
                self.flows.push(flow);
                // More would not fit in memory.
                u32::try_from(self.flows.len() - 1).unwrap_or(NONE)
            }
        };
        // A flow whose replies look like itself is found by them.
        let same = keys[0] == keys[1];
        for (key, direction) in keys.iter().zip([Direction::Forward, Direction::Reply]) {
            if direction == Direction::Reply || !same {
                let hash = self.hash(key, space);
                self.index.insert(hash, Entry::new(place, direction).0);
            }
        }
        self.lists[usize::from(new.class)].append(&mut self.flows, place);
        self.owners[usize::from(new.owner)].flows += 1;
        FlowId(place)
    }

    /// Adds a flow within the capacity: where the table is full, the least wanted one that nobody
    /// is guaranteed ends for it. `None` where that is the new one.
    pub(super) fn admit(&mut self, new: &NewFlow, space: u8, now: Instant) -> Option<FlowId> {
        let id = self.insert(new, space, now);
        if self.len() <= self.capacity {
            return Some(id);
        }
        let victim = self.least_wanted(now).unwrap_or(id);
        self.remove(victim, now);
        (victim != id).then_some(id)
    }

    /// Removes a flow.
    pub(super) fn remove(&mut self, id: FlowId, now: Instant) {
        let place = id.0;
        let flow = &self.flows[place as usize];
        let (space, class, owner) = (flow.space, usize::from(flow.class), flow.owner);
        for direction in [Direction::Forward, Direction::Reply] {
            let hash = self.hash(&self.flow(id).carried(direction), space);
            self.index.remove(hash, Entry::new(place, direction).0);
        }
        self.lists[class].unlink(&mut self.flows, place);
        if self.flows[place as usize].shifts_sequence {
            self.sequences.remove(&place);
        }
        let flow = &mut self.flows[place as usize];
        flow.space = FREE;
        self.free.push(place);
        self.ended += 1;
        let owner = &mut self.owners[usize::from(owner)];
        owner.flows = owner.flows.saturating_sub(1);
        if let Some(mapper) = &owner.mapper {
            let flow = &self.flows[place as usize];
            mapper.ended(
                &flow.carried(Direction::Forward),
                &flow.given(Direction::Forward),
                now,
            );
        }
    }

    /// Notes that a packet of the flow came; `class` is the list it belongs to from now on.
    #[inline]
    pub(super) fn touch(&mut self, id: FlowId, class: u8, now: Instant) {
        lists::touch(&mut self.lists, &mut self.flows, id.0, class, now);
    }

    fn deadline(&self, place: u32) -> Instant {
        let flow = &self.flows[place as usize];
        self.lists[usize::from(flow.class)].deadline(flow)
    }

    /// Whether a flow has not lived out its time. One that has may still be there, until it is
    /// reaped or another takes its place.
    #[inline]
    pub(super) fn lives(&self, id: FlowId, now: Instant) -> bool {
        self.deadline(id.0) > now
    }

    /// When a flow has lived out its time, whether or not it is guaranteed its place until then.
    pub(super) fn expiry(&self, id: FlowId) -> Instant {
        self.deadline(id.0)
    }

    /// Removes flows that have lived out their time.
    pub(super) fn reap(&mut self, now: Instant) {
        for class in 0..self.lists.len() {
            let mut at = self.lists[class].head();
            while let Some(place) = at {
                let (list, flow) = (&self.lists[class], &self.flows[place as usize]);
                at = Some(flow.next).filter(|next| *next != NONE);
                if list.deadline(flow) <= now {
                    self.remove(FlowId(place), now);
                } else if list.all_live_from(flow, now) {
                    break;
                }
            }
        }
    }

    /// Removes flows that have lived out their time, for what they hold is wanted. A flood of new
    /// flows does not cost a search each: nothing is done twice in a second. Returns whether any
    /// flow ended.
    pub(super) fn reap_for_room(&mut self, now: Instant) -> bool {
        let second = Some(now.0 / SECOND);
        if self.reaped == second {
            return false;
        }
        self.reaped = second;
        let before = self.ended;
        self.reap(now);
        self.ended != before
    }

    /// The flow to give up for another: of those no longer guaranteed, the one that expires first.
    fn least_wanted(&self, now: Instant) -> Option<FlowId> {
        self.lists
            .iter()
            .filter_map(|list| list.least_wanted(&self.flows, now))
            .min_by_key(|(deadline, _)| *deadline)
            .map(|(_, place)| FlowId(place))
    }

    /// Sets how many flows there may be, and gives up those that are too many: guaranteed ones
    /// where there are no others.
    pub(super) fn set_capacity(&mut self, capacity: usize, now: Instant) {
        self.capacity = capacity.min(LARGEST);
        self.reap(now);
        while self.len() > self.capacity {
            let oldest = || self.iter(None).map(|(id, _)| id).next();
            let Some(id) = self.least_wanted(now).or_else(oldest) else {
                break;
            };
            self.remove(id, now);
        }
    }

    /// Flows of a space, or all, from the oldest of each list to the newest.
    pub(super) fn iter(&self, space: Option<u8>) -> impl Iterator<Item = (FlowId, &Flow)> {
        self.lists
            .iter()
            .flat_map(|list| {
                list.places(&self.flows)
                    .map(|place| (FlowId(place), &self.flows[place as usize]))
            })
            .filter(move |(_, flow)| space.is_none_or(|space| flow.space == space))
    }

    /// Keeps the flows for which `keep` says so.
    pub(super) fn retain(&mut self, now: Instant, keep: impl Fn(&Flow) -> bool) {
        let gone: Vec<FlowId> = self
            .iter(None)
            .filter(|(_, flow)| !keep(flow))
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            self.remove(id, now);
        }
    }

    /// What changes in a flow's sequence numbers, where anything does.
    #[inline]
    pub(super) fn sequence_shifts(&mut self, id: FlowId) -> Option<&mut SequenceShifts> {
        if self.flow(id).shifts_sequence {
            self.sequences.get_mut(&id.0)
        } else {
            None
        }
    }

    /// By how much a flow's sequence numbers are shifted now.
    pub(super) fn latest_shift(&self, id: FlowId, direction: Direction) -> i32 {
        let shifts = self.sequences.get(&id.0);
        shifts.map_or(0, |shifts| shifts.latest(direction))
    }

    /// The same, to be changed, for a flow in which nothing need have changed so far.
    pub(super) fn sequence_shifts_mut(&mut self, id: FlowId) -> &mut SequenceShifts {
        self.flow_mut(id).shifts_sequence = true;
        self.sequences
            .get_or_insert_with(id.0, SequenceShifts::default)
    }

    /// Puts a flow of another table into this one as it is there, under another owner and list.
    pub(super) fn take_over(&mut self, old: &mut Self, id: FlowId, new: &NewFlow, space: u8) {
        let from = old.flow(id);
        let (state, last) = (from.state, from.last);
        let shifts = old.sequence_shifts(id).map(core::mem::take);
        self.adopt(new, space, state, last, shifts);
    }

    /// Adds a flow that another table had: what its protocol remembers, when its last packet came,
    /// and what changes in its sequence numbers.
    pub(super) fn adopt(
        &mut self,
        new: &NewFlow,
        space: u8,
        state: u8,
        last: Instant,
        shifts: Option<SequenceShifts>,
    ) {
        let copy = self.insert(new, space, last);
        self.flow_mut(copy).state = state;
        if let Some(shifts) = shifts {
            *self.sequence_shifts_mut(copy) = shifts;
        }
    }
}

#[cfg(test)]
mod tests;
