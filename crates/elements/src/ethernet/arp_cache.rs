//! IPv4 addresses and the Ethernet addresses that go with them, and packets that wait for one.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use core::net::Ipv4Addr;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::{Arguments, Instant, Rejected};
use sprat_packet::{Batch, EtherAddress, Packet};

const DEFAULT_CAPACITY: u32 = 2048;
const DEFAULT_SLIM_FACTOR: u32 = 2;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// Requests for one address follow each other no faster than this, in milliseconds; and, after the
/// tenth that nobody answered, than the other.
const REQUEST_INTERVAL: u64 = 100;
const PATIENT_INTERVAL: u64 = 2000;
const PATIENT_AFTER: u8 = 10;

/// How much a table may hold and for how long; zero is without bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    packets: usize,
    entries: usize,
    packets_per_entry: usize,
    slim_factor: usize,
    pub(super) timeout: Duration,
}

impl Limits {
    /// Reads CAPACITY, ENTRY_CAPACITY, ENTRY_PACKET_CAPACITY, CAPACITY_SLIM_FACTOR and TIMEOUT.
    pub(super) fn configure(arguments: &mut Arguments<'_>) -> Result<Self, Rejected> {
        let number = |arguments: &mut Arguments<'_>, name: &str, otherwise: u32| {
            arguments.keyword::<u32>(name).unwrap_or(otherwise) as usize
        };
        let limits = Self {
            packets: number(arguments, "CAPACITY", DEFAULT_CAPACITY),
            entries: number(arguments, "ENTRY_CAPACITY", 0),
            packets_per_entry: number(arguments, "ENTRY_PACKET_CAPACITY", 0),
            slim_factor: number(arguments, "CAPACITY_SLIM_FACTOR", DEFAULT_SLIM_FACTOR),
            timeout: arguments.keyword("TIMEOUT").unwrap_or(DEFAULT_TIMEOUT),
        };
        if limits.slim_factor == 0 {
            return Err(arguments.error("CAPACITY_SLIM_FACTOR cannot be zero"));
        }
        Ok(limits)
    }
}

/// What a table says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The Ethernet address, and whether it is time to ask for it again.
    Known(EtherAddress, bool),
    /// Not known, or no longer.
    Unknown,
}

/// Milliseconds on the router's clock, by which tables count: ages are told in whole ones.
type Milliseconds = u64;

fn milliseconds(now: Instant) -> Milliseconds {
    now.0 / 1_000_000
}

/// Where an entry stands among the others: by its age, and among those of one age by the second
/// number.
type Place = (Milliseconds, i64);

/// One IPv4 address.
struct Entry {
    place: Place,
    address: EtherAddress,
    known: bool,
    /// When the Ethernet address was learned or, before that, the entry made; later where it is
    /// asked for still.
    live: Milliseconds,
    /// When it was asked for, and how often since the last answer.
    requested: Option<Milliseconds>,
    requests: u8,
    waiting: VecDeque<Packet>,
}

impl Entry {
    fn expired(&self, timeout: Milliseconds, now: Milliseconds) -> bool {
        timeout != 0 && self.live.saturating_add(timeout) < now
    }

    fn may_request(&self, now: Milliseconds) -> bool {
        let interval = match self.requests {
            PATIENT_AFTER.. => PATIENT_INTERVAL,
            _ => REQUEST_INTERVAL,
        };
        self.requested.is_none_or(|before| before + interval <= now)
    }

    fn note_request(&mut self, now: Milliseconds) {
        self.requested = Some(now);
        self.requests = self.requests.saturating_add(1);
    }
}

/// Places that entries have left, as many as the entries and these, are left alone.
const SPARE_PLACES: usize = 16;

/// The entry at a place; none where it has left it.
fn entry_at<'a>(
    entries: &'a HashMap<Ipv4Addr, Entry>,
    (place, ip): &(Place, Ipv4Addr),
) -> Option<&'a Entry> {
    entries.get(ip).filter(|entry| entry.place == *place)
}

/// The table itself. It takes the time as an argument and does no input or output.
pub(super) struct Table {
    pub(super) limits: Limits,
    entries: HashMap<Ipv4Addr, Entry>,
    /// Every entry, the oldest first; and places that entries have left.
    order: VecDeque<(Place, Ipv4Addr)>,
    /// What tells the next entry from others of its age, behind them or before.
    next: i64,
    /// Packets that wait.
    pub(super) waiting: usize,
    pub(super) drops: u64,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            order: VecDeque::new(),
            next: 0,
            waiting: 0,
            drops: 0,
        }
    }

    /// How many addresses it has.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn timeout(&self) -> Milliseconds {
        u64::try_from(self.limits.timeout.as_millis()).unwrap_or(0)
    }

    /// Looks an address up. Known ones are to be asked for again when `poll` has gone by since
    /// they were learned.
    #[inline]
    pub(super) fn look_up(&mut self, ip: Ipv4Addr, poll: Duration, now: Instant) -> Answer {
        let (timeout, now) = (self.timeout(), milliseconds(now));
        let known = |entry: &&mut Entry| entry.known && !entry.expired(timeout, now);
        let Some(entry) = self.entries.get_mut(&ip).filter(known) else {
            return Answer::Unknown;
        };
        let poll = u64::try_from(poll.as_millis()).unwrap_or(0);
        let poll = poll != 0 && entry.live.saturating_add(poll) <= now && entry.may_request(now);
        if poll {
            entry.note_request(now);
        }
        Answer::Known(entry.address, poll)
    }

    /// Puts an entry behind the others of an age, or before them.
    fn put(&mut self, ip: Ipv4Addr, live: Milliseconds, behind: bool) {
        let Some(entry) = self.entries.get_mut(&ip) else {
            return;
        };
        self.next += 1;
        entry.live = live;
        entry.place = (live, if behind { self.next } else { -self.next });
        let place = entry.place;
        let at = self.order.partition_point(|(other, _)| *other < place);
        self.order.insert(at, (place, ip));
        if self.order.len() > 2 * self.entries.len() + SPARE_PLACES {
            let entries = &self.entries;
            self.order
                .retain(|place| entry_at(entries, place).is_some());
        }
    }

    /// Has an entry for an address, made where there is none; the oldest one makes room.
    fn ensure(&mut self, ip: Ipv4Addr, now: Milliseconds) {
        if self.entries.contains_key(&ip) {
            return;
        }
        if self.limits.entries != 0 && self.len() >= self.limits.entries {
            self.slim(1, now);
        }
        let entry = Entry {
            place: (now, 0),
            address: EtherAddress::BROADCAST,
            known: false,
            live: now,
            requested: None,
            requests: 0,
            waiting: VecDeque::new(),
        };
        self.entries.insert(ip, entry);
        self.put(ip, now, true);
    }

    /// Keeps a packet until its address is known; returns whether to ask for it now.
    pub(super) fn wait(&mut self, ip: Ipv4Addr, packet: Packet, now: Instant) -> bool {
        let now = milliseconds(now);
        self.ensure(ip, now);
        let (timeout, most) = (self.timeout(), self.limits.packets_per_entry);
        let Some(entry) = self.entries.get(&ip) else {
            return false;
        };
        let full = most != 0 && entry.waiting.len() >= most;
        if entry.expired(timeout, now) {
            // It is wanted still: it goes after all that are not.
            self.put(ip, now - timeout, false);
        }
        if full {
            self.drops += 1;
            return false;
        }
        self.waiting += 1;
        if self.limits.packets != 0 && self.waiting > self.limits.packets {
            self.slim(0, now);
        }
        let Some(entry) = self.entries.get_mut(&ip) else {
            return false;
        };
        entry.waiting.push_back(packet);
        let request = entry.may_request(now);
        if request {
            entry.note_request(now);
        }
        request
    }

    /// Forgets what has expired, and the oldest addresses where `more` would be too many; and drops
    /// packets where those that wait are too many, those of the oldest entries first, until a part
    /// of the capacity is free.
    fn slim(&mut self, more: usize, now: Milliseconds) {
        let (most, timeout) = (self.limits.entries, self.timeout());
        while let Some(place) = self.order.front() {
            if let Some(entry) = entry_at(&self.entries, place) {
                if !entry.expired(timeout, now) && (most == 0 || self.len() + more <= most) {
                    break;
                }
                self.waiting -= entry.waiting.len();
                self.drops += entry.waiting.len() as u64;
                self.entries.remove(&place.1);
            }
            self.order.pop_front();
        }
        let capacity = self.limits.packets;
        if capacity == 0 || self.waiting <= capacity {
            return;
        }
        // One is for the packet that comes.
        let target = (capacity - capacity / self.limits.slim_factor).max(1);
        for (place, ip) in &self.order {
            let entry = self.entries.get_mut(ip);
            let Some(entry) = entry.filter(|entry| entry.place == *place) else {
                continue;
            };
            while self.waiting > target && entry.waiting.pop_front().is_some() {
                self.waiting -= 1;
                self.drops += 1;
            }
            if self.waiting <= target {
                break;
            }
        }
    }

    /// Learns an address. That of all stations is none: the entry is known no longer.
    pub(super) fn learn(&mut self, ip: Ipv4Addr, address: EtherAddress, now: Instant) {
        let now = milliseconds(now);
        self.ensure(ip, now);
        self.put(ip, now, true);
        let Some(entry) = self.entries.get_mut(&ip) else {
            return;
        };
        entry.address = address;
        entry.known = !address.is_broadcast();
        (entry.requested, entry.requests) = (None, 0);
    }

    /// Takes out the packets that wait for an address.
    pub(super) fn release(&mut self, ip: Ipv4Addr, batch: &mut Batch) {
        if let Some(entry) = self.entries.get_mut(&ip) {
            let waiting = core::mem::take(&mut entry.waiting);
            self.waiting -= waiting.len();
            batch.extend(waiting);
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.drops += self.waiting as u64;
        self.waiting = 0;
    }

    /// Forgets what nobody has answered or asked for in a timeout.
    pub(super) fn expire(&mut self, now: Instant) {
        self.slim(0, milliseconds(now));
    }

    /// One line an entry: address, whether it is known, Ethernet address, age in seconds. The
    /// oldest entry is the first.
    pub(super) fn text(&self, now: Instant) -> String {
        let (timeout, now) = (self.timeout(), milliseconds(now));
        let mut text = String::new();
        for place in &self.order {
            if let Some(entry) = entry_at(&self.entries, place) {
                let ip = place.1;
                let known = entry.known && !entry.expired(timeout, now);
                let age = now.saturating_sub(entry.live);
                text += &format!(
                    "{ip} {} {} {}.{:03}000\n",
                    u8::from(known),
                    entry.address,
                    age / 1000,
                    age % 1000
                );
            }
        }
        text
    }

    /// Takes over all that another table holds.
    pub(super) fn take_over(&mut self, old: &mut Self) {
        self.entries = core::mem::take(&mut old.entries);
        self.order = core::mem::take(&mut old.order);
        self.next = old.next;
        self.waiting = core::mem::take(&mut old.waiting);
        self.drops = old.drops;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sprat_packet::Pool;

    fn at(milliseconds: u64) -> Instant {
        Instant(1_000_000_000 + milliseconds * 1_000_000)
    }

    fn table(packets: usize, entries: usize) -> Table {
        Table::new(Limits {
            packets,
            entries,
            packets_per_entry: 0,
            slim_factor: 2,
            timeout: Duration::from_millis(100),
        })
    }

    fn ip(last: u8) -> Ipv4Addr {
        Ipv4Addr::new(1, 0, 0, last)
    }

    const ADDRESS: EtherAddress = EtherAddress([2, 0, 0, 0, 0, 1]);

    #[test]
    fn requests_for_one_address_are_a_tenth_of_a_second_apart() {
        let pool = Pool::growing();
        let mut table = table(0, 0);
        let asked: alloc::vec::Vec<bool> = [0, 50, 99, 100, 150, 200]
            .into_iter()
            .map(|time| table.wait(ip(1), pool.packet(b"x"), at(time)))
            .collect();
        assert_eq!(asked, [true, false, false, true, false, true]);
        assert!(table.wait(ip(2), pool.packet(b"x"), at(200)));
    }

    #[test]
    fn an_address_is_good_for_the_timeout_and_asked_for_again_before() {
        let mut table = table(0, 0);
        let poll = Duration::from_millis(60);
        table.learn(ip(1), ADDRESS, at(0));
        assert_eq!(
            table.look_up(ip(1), poll, at(59)),
            Answer::Known(ADDRESS, false)
        );
        assert_eq!(
            table.look_up(ip(1), poll, at(60)),
            Answer::Known(ADDRESS, true)
        );
        assert_eq!(
            table.look_up(ip(1), poll, at(100)),
            Answer::Known(ADDRESS, false)
        );
        assert_eq!(table.look_up(ip(1), poll, at(101)), Answer::Unknown);
        assert_eq!(
            table.text(at(101)),
            "1.0.0.1 0 02-00-00-00-00-01 0.101000\n"
        );
    }

    #[test]
    fn an_address_may_be_good_for_ever() {
        let mut table = table(0, 0);
        table.limits.timeout = Duration::from_millis(u64::MAX);
        table.learn(ip(1), ADDRESS, at(1));
        let answer = table.look_up(ip(1), Duration::from_millis(u64::MAX), at(100));
        assert_eq!(answer, Answer::Known(ADDRESS, false));
    }

    #[test]
    fn too_many_packets_cost_the_oldest_entries_theirs() {
        let pool = Pool::growing();
        let mut table = table(4, 0);
        for last in 1..=4 {
            table.wait(ip(last), pool.packet(&[last]), at(0));
        }
        // The fifth is one too many: two stay, it among them.
        table.wait(ip(5), pool.packet(&[5]), at(0));
        assert_eq!(table.waiting, 2);
        assert_eq!(table.drops, 3);
        let mut batch = Batch::new();
        for last in 1..=5 {
            table.release(ip(last), &mut batch);
        }
        let left: alloc::vec::Vec<u8> = batch.iter().map(|packet| packet.data()[0]).collect();
        assert_eq!(left, [4, 5]);
        assert_eq!(table.waiting, 0);
    }

    #[test]
    fn too_many_entries_cost_the_oldest() {
        let pool = Pool::growing();
        let mut table = table(0, 2);
        for last in 1..=3 {
            table.wait(ip(last), pool.packet(&[last]), at(0));
        }
        assert_eq!((table.entries.len(), table.waiting), (2, 2));
        assert!(!table.entries.contains_key(&ip(1)));
    }

    #[test]
    fn what_nobody_asks_for_any_more_is_forgotten_with_its_packets() {
        let pool = Pool::growing();
        let mut table = table(0, 0);
        table.learn(ip(1), ADDRESS, at(0));
        table.wait(ip(2), pool.packet(b"x"), at(50));
        table.expire(at(101));
        assert_eq!(table.entries.len(), 1);
        table.expire(at(151));
        assert_eq!((table.entries.len(), table.waiting, table.drops), (0, 0, 1));
    }

    #[test]
    fn nobody_who_never_answers_is_asked_ten_times_a_second_for_long() {
        let pool = Pool::growing();
        let mut table = table(0, 0);
        let times: alloc::vec::Vec<u64> = (0..60)
            .map(|tenth| tenth * 100)
            .filter(|time| table.wait(ip(1), pool.packet(b"x"), at(*time)))
            .collect();
        let mut expected: alloc::vec::Vec<u64> = (0..10).map(|tenth| tenth * 100).collect();
        expected.extend([2900, 4900]);
        assert_eq!(times, expected);
    }

    #[test]
    fn an_entry_that_is_wanted_still_goes_behind_those_that_are_not() {
        let pool = Pool::growing();
        let mut table = table(0, 0);
        for last in 1..=3 {
            table.learn(ip(last), ADDRESS, at(0));
        }
        for last in [1, 2, 3] {
            table.wait(ip(last), pool.packet(b"x"), at(120));
        }
        let text = table.text(at(120));
        let order: alloc::vec::Vec<&str> = text.lines().map(|line| &line[..7]).collect();
        assert_eq!(order, ["1.0.0.3", "1.0.0.2", "1.0.0.1"]);
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn places_that_entries_have_left_do_not_pile_up() {
        let mut table = table(0, 0);
        for time in 0..1000 {
            table.learn(ip(1 + (time % 3) as u8), ADDRESS, at(time));
        }
        assert!(table.order.len() <= 2 * 3 + SPARE_PLACES);
        let text = table.text(at(1000));
        let order: alloc::vec::Vec<&str> = text.lines().map(|line| &line[..7]).collect();
        assert_eq!(order, ["1.0.0.2", "1.0.0.3", "1.0.0.1"]);
    }

    #[test]
    fn of_more_packets_than_may_wait_for_one_address_the_newest_go() {
        let pool = Pool::growing();
        let mut table = table(0, 0);
        table.limits.packets_per_entry = 2;
        for byte in 1..=3 {
            table.wait(ip(1), pool.packet(&[byte]), at(0));
        }
        assert_eq!((table.waiting, table.drops), (2, 1));
        let mut batch = Batch::new();
        table.learn(ip(1), ADDRESS, at(1));
        assert_eq!(table.waiting, 2);
        table.release(ip(1), &mut batch);
        let left: alloc::vec::Vec<u8> = batch.iter().map(|packet| packet.data()[0]).collect();
        assert_eq!(left, [1, 2]);
    }
}
