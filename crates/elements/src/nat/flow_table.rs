//! Flows and how they are found: by what their packets carry, in either direction.
//!
//! Flows lie in a slab and are found through an index of both directions' keys, so a flow costs one
//! entry of 80 bytes and two of five in the index. Each flow stands in one list for its kind of
//! timeout, ordered by last use, so the next to expire, and whom to give up when the table is full,
//! are at the heads of the lists. A flow is moved to the end of its list at most twice a second:
//! packets of a busy flow touch the flow alone and not its neighbours in the list.

use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashTable;
use sprat_click::Instant;
use sprat_packet::checksum::Delta;
use sprat_packet::flow::{FlowHash, FlowKey};

/// A moment in the table's time, in units of 2^24 nanoseconds (17 ms). After two years it begins
/// again, so moments are not compared: what counts is how long ago one was, and flows are reaped
/// long before they are two years old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tick(u32);

/// Nanoseconds in a tick, as a power of two.
const TICK_BITS: u32 = 24;

impl Tick {
    pub(super) fn at(moment: Instant) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "time begins again")]
        Self((moment.0 >> TICK_BITS) as u32)
    }

    /// Ticks from `earlier` until this moment.
    fn since(self, earlier: Self) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// A span in ticks. Rounds up: nothing ends early.
fn ticks(span: Duration) -> u32 {
    u32::try_from(span.as_nanos().div_ceil(1 << TICK_BITS)).unwrap_or(u32::MAX)
}

/// How long a flow may stand in its list before a packet moves it to the end: half a second.
const MOVE_AFTER: u32 = 30;

/// Which way a packet goes: as the flow's first packet did, or in answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Reply,
}

/// A flow by its place in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlowId(u32);

/// No flow: the end of a list.
const NONE: u32 = u32::MAX;

/// What a flow is made with.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewFlow {
    /// What the first packet carries.
    pub(super) original: FlowKey,
    /// What it is to carry.
    pub(super) rewritten: FlowKey,
    /// The input whose specification made it.
    pub(super) owner: u16,
    /// Where packets of each direction go.
    pub(super) outputs: [u16; 2],
    /// Its list.
    pub(super) class: u8,
    /// How long after its last packet nobody may take its place.
    pub(super) guarantee: Duration,
    /// The annotation that replies get.
    pub(super) reply_annotation: u8,
}

/// A flow.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) original: FlowKey,
    pub(super) rewritten: FlowKey,
    pub(super) outputs: [u16; 2],
    pub(super) owner: u16,
    /// Changes of network and transport checksums, forward and in reply.
    pub(super) network_delta: [Delta; 2],
    pub(super) transport_delta: [Delta; 2],
    pub(super) class: u8,
    /// What the protocol remembers of the flow.
    pub(super) state: u8,
    pub(super) reply_annotation: u8,
    /// When its last packet came, and when it was put in its place in the list.
    last: Tick,
    listed: Tick,
    /// For how many ticks it is not given up for another.
    guarantee: u32,
    previous: u32,
    next: u32,
}

/// One list of flows, oldest first.
#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
    timeout: Duration,
}

/// A table of flows.
pub(super) struct FlowTable {
    flows: Vec<Flow>,
    /// Places in the slab that are free.
    free: Vec<u32>,
    /// Flow and direction, by key: place times two, plus one for replies.
    index: HashTable<u32>,
    hash: FlowHash,
    lists: Vec<List>,
}

impl FlowTable {
    /// An empty table with a list for each timeout.
    pub(super) fn new(timeouts: &[Duration], seed: u64) -> Self {
        let list = |timeout: &Duration| List {
            head: NONE,
            tail: NONE,
            timeout: *timeout,
        };
        Self {
            flows: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hash: FlowHash::new(seed),
            lists: timeouts.iter().map(list).collect(),
        }
    }

    /// Flows in the table.
    pub(super) fn len(&self) -> usize {
        self.flows.len() - self.free.len()
    }

    pub(super) fn flow(&self, id: FlowId) -> &Flow {
        &self.flows[id.0 as usize]
    }

    pub(super) fn flow_mut(&mut self, id: FlowId) -> &mut Flow {
        &mut self.flows[id.0 as usize]
    }

    /// The flow that packets with this key belong to.
    #[inline]
    pub(super) fn find(&self, key: &FlowKey) -> Option<(FlowId, Direction)> {
        let found = self
            .index
            .find(self.hash.of(key), |&entry| self.key_of(entry) == *key)?;
        let direction = if found & 1 == 0 {
            Direction::Forward
        } else {
            Direction::Reply
        };
        Some((FlowId(found >> 1), direction))
    }

    /// The key by which an entry of the index is found.
    #[inline]
    fn key_of(&self, entry: u32) -> FlowKey {
        let flow = &self.flows[(entry >> 1) as usize];
        if entry & 1 == 0 {
            flow.original
        } else {
            flow.rewritten.reversed()
        }
    }

    /// Whether a flow that is rewritten so could be told apart from all others by its replies.
    pub(super) fn is_free(&self, rewritten: &FlowKey) -> bool {
        self.find(&rewritten.reversed()).is_none()
    }

    /// Adds a flow, whose keys must both be free.
    pub(super) fn insert(&mut self, new: &NewFlow, now: Tick) -> FlowId {
        let (from, to) = (new.original.tuple(), new.rewritten.tuple());
        let (back_from, back_to) = (
            new.rewritten.reversed().tuple(),
            new.original.reversed().tuple(),
        );
        let flow = Flow {
            original: new.original,
            rewritten: new.rewritten,
            outputs: new.outputs,
            owner: new.owner,
            network_delta: [
                Delta::of_addresses(&from, &to),
                Delta::of_addresses(&back_from, &back_to),
            ],
            transport_delta: [
                Delta::of_addresses_and_ports(&from, &to),
                Delta::of_addresses_and_ports(&back_from, &back_to),
            ],
            class: new.class,
            state: 0,
            reply_annotation: new.reply_annotation,
            last: now,
            listed: now,
            guarantee: ticks(new.guarantee),
            previous: NONE,
            next: NONE,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.flows[place as usize] = flow;
                place
            }
            None => {
                self.flows.push(flow);
                // Four thousand million flows would not fit in memory.
                u32::try_from(self.flows.len() - 1).unwrap_or(NONE)
            }
        };
        for entry in [place << 1, place << 1 | 1] {
            let hash = self.hash.of(&self.key_of(entry));
            let (flows, hasher) = (&self.flows, &self.hash);
            self.index.insert_unique(hash, entry, |&entry| {
                let flow = &flows[(entry >> 1) as usize];
                hasher.of(&if entry & 1 == 0 {
                    flow.original
                } else {
                    flow.rewritten.reversed()
                })
            });
        }
        self.append(place);
        FlowId(place)
    }

    /// Removes a flow.
    pub(super) fn remove(&mut self, id: FlowId) {
        self.unlink(id.0);
        for entry in [id.0 << 1, id.0 << 1 | 1] {
            let hash = self.hash.of(&self.key_of(entry));
            if let Ok(found) = self.index.find_entry(hash, |&other| other == entry) {
                found.remove();
            }
        }
        self.free.push(id.0);
    }

    /// Notes that a packet of the flow came; `class` is the list it belongs to from now on.
    #[inline]
    pub(super) fn touch(&mut self, id: FlowId, class: u8, now: Tick) {
        let flow = &mut self.flows[id.0 as usize];
        flow.last = now;
        if flow.class != class || now.since(flow.listed) >= MOVE_AFTER {
            self.unlink(id.0);
            let flow = &mut self.flows[id.0 as usize];
            flow.class = class;
            flow.listed = now;
            self.append(id.0);
        }
    }

    /// Whether a flow has lived out its time.
    #[inline]
    pub(super) fn is_expired(&self, id: FlowId, now: Tick) -> bool {
        self.left(id.0, now) == 0
    }

    /// How many ticks a flow still has to live.
    fn left(&self, place: u32, now: Tick) -> u32 {
        let flow = &self.flows[place as usize];
        ticks(self.lists[usize::from(flow.class)].timeout).saturating_sub(now.since(flow.last))
    }

    /// Removes flows that have lived out their time; tells `removed` of each.
    pub(super) fn reap(&mut self, now: Tick, removed: &mut dyn FnMut(&Flow)) {
        for class in 0..self.lists.len() {
            let mut place = self.lists[class].head;
            while place != NONE {
                let (next, listed) = (
                    self.flows[place as usize].next,
                    self.flows[place as usize].listed,
                );
                if self.left(place, now) == 0 {
                    removed(&self.flows[place as usize]);
                    self.remove(FlowId(place));
                } else if now.since(listed) < ticks(self.lists[class].timeout) {
                    // Those behind it were put there later.
                    break;
                }
                place = next;
            }
        }
    }

    /// The flow to give up for another: of those no longer guaranteed, the one that expires first.
    pub(super) fn least_wanted(&self, now: Tick) -> Option<FlowId> {
        self.lists
            .iter()
            .filter_map(|list| self.first_unguaranteed(list.head, now))
            .min_by_key(|place| self.left(*place, now))
            .map(FlowId)
    }

    /// The first of a list that has outlived its guarantee, not looking far.
    fn first_unguaranteed(&self, head: u32, now: Tick) -> Option<u32> {
        const LOOK: usize = 16;
        self.list(head).take(LOOK).find(|place| {
            let flow = &self.flows[*place as usize];
            now.since(flow.last) >= flow.guarantee
        })
    }

    /// The places of a list, from `head` on.
    fn list(&self, head: u32) -> impl Iterator<Item = u32> {
        let place = |place: u32| Some(place).filter(|place| *place != NONE);
        core::iter::successors(place(head), move |at| place(self.flows[*at as usize].next))
    }

    /// All flows, from the oldest of each list to the newest.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FlowId, &Flow)> {
        self.lists.iter().flat_map(|list| {
            self.list(list.head)
                .map(|place| (FlowId(place), &self.flows[place as usize]))
        })
    }

    /// Keeps the flows for which `keep` says so.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Flow) -> bool) {
        let gone: Vec<FlowId> = self
            .iter()
            .filter(|(_, flow)| !keep(flow))
            .map(|(id, _)| id)
            .collect();
        for id in gone {
            self.remove(id);
        }
    }

    fn append(&mut self, place: u32) {
        let class = usize::from(self.flows[place as usize].class);
        let tail = self.lists[class].tail;
        let flow = &mut self.flows[place as usize];
        (flow.previous, flow.next) = (tail, NONE);
        match self.flows.get_mut(tail as usize) {
            Some(before) => before.next = place,
            None => self.lists[class].head = place,
        }
        self.lists[class].tail = place;
    }

    fn unlink(&mut self, place: u32) {
        let flow = &self.flows[place as usize];
        let (class, previous, next) = (usize::from(flow.class), flow.previous, flow.next);
        match self.flows.get_mut(previous as usize) {
            Some(before) => before.next = next,
            None => self.lists[class].head = next,
        }
        match self.flows.get_mut(next as usize) {
            Some(after) => after.previous = previous,
            None => self.lists[class].tail = previous,
        }
    }
}

const _: () = assert!(size_of::<Flow>() <= 80);

#[cfg(test)]
mod tests {
    use super::*;
    use sprat_packet::checksum::AddressesAndPorts;

    fn key(source: u32, source_port: u16) -> FlowKey {
        let tuple = AddressesAndPorts {
            source,
            destination: 9,
            source_port,
            destination_port: 80,
        };
        FlowKey::new(tuple, 17)
    }

    fn new(number: u32) -> NewFlow {
        NewFlow {
            original: key(number, 1),
            rewritten: key(1000, u16::try_from(number).unwrap()),
            owner: 0,
            outputs: [0, 1],
            class: 0,
            guarantee: Duration::from_secs(5),
            reply_annotation: 0,
        }
    }

    fn seconds(count: u64) -> Tick {
        Tick::at(Instant(count * 1_000_000_000))
    }

    #[test]
    fn a_flow_is_found_by_its_packets_and_by_their_replies() {
        let mut table = FlowTable::new(&[Duration::from_secs(60)], 7);
        let id = table.insert(&new(5), seconds(0));
        assert_eq!(table.find(&key(5, 1)), Some((id, Direction::Forward)));
        assert_eq!(
            table.find(&key(1000, 5).reversed()),
            Some((id, Direction::Reply))
        );
        assert!(!table.is_free(&key(1000, 5)) && table.is_free(&key(1000, 6)));
        table.remove(id);
        assert_eq!(table.find(&key(5, 1)), None);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn flows_expire_after_their_last_packet() {
        let mut table = FlowTable::new(&[Duration::from_secs(60)], 7);
        let first = table.insert(&new(1), seconds(0));
        table.insert(&new(2), seconds(10));
        table.touch(first, 0, seconds(30));
        let mut gone = Vec::new();
        table.reap(seconds(75), &mut |flow| gone.push(flow.original));
        assert_eq!(gone, [key(2, 1)]);
        assert!(!table.is_expired(first, seconds(89)) && table.is_expired(first, seconds(91)));
    }

    #[test]
    fn flows_live_as_long_after_decades_as_on_the_first_day() {
        const YEAR: u64 = 365 * 86_400;
        for start in [
            2 * YEAR,
            30 * YEAR,
            (u64::from(u32::MAX) << TICK_BITS) / 1_000_000_000,
        ] {
            let mut table = FlowTable::new(&[Duration::from_secs(60)], 7);
            let flow = table.insert(&new(1), seconds(start));
            assert!(!table.is_expired(flow, seconds(start + 59)));
            assert!(table.is_expired(flow, seconds(start + 61)));
            table.reap(seconds(start + 59), &mut |_| ());
            assert_eq!(table.len(), 1);
            table.reap(seconds(start + 61), &mut |_| ());
            assert_eq!(table.len(), 0);
        }
    }

    #[test]
    fn a_guaranteed_flow_is_not_given_up() {
        let mut table = FlowTable::new(&[Duration::from_secs(60)], 7);
        let first = table.insert(&new(1), seconds(0));
        let second = table.insert(&new(2), seconds(4));
        assert_eq!(table.least_wanted(seconds(4)), None);
        assert_eq!(table.least_wanted(seconds(6)), Some(first));
        table.touch(first, 0, seconds(6));
        assert_eq!(table.least_wanted(seconds(10)), Some(second));
    }

    #[test]
    fn a_thousand_flows_come_and_go_and_leave_nothing() {
        let mut table = FlowTable::new(&[Duration::from_secs(60), Duration::from_secs(5)], 7);
        let ids: Vec<FlowId> = (0..1000)
            .map(|number| table.insert(&new(number), seconds(0)))
            .collect();
        for (number, id) in (0..1000).zip(&ids) {
            assert_eq!(table.find(&key(number, 1)), Some((*id, Direction::Forward)));
            table.touch(*id, u8::try_from(number % 2).unwrap(), seconds(1));
        }
        assert_eq!(table.iter().count(), 1000);
        table.reap(seconds(10), &mut |_| ());
        assert_eq!(table.len(), 500);
        table.retain(|_| false);
        assert_eq!(
            (table.len(), table.iter().count(), table.index.len()),
            (0, 0, 0)
        );
    }
}
