//! IPv4 addresses and the Ethernet addresses that go with them, and packets that wait for one.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::string::String;
use core::net::Ipv4Addr;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::{Arguments, Instant, Rejected};
use sprat_packet::{Batch, EtherAddress, Packet};

use crate::standard::timestamps::timestamp_text;

const DEFAULT_CAPACITY: u32 = 2048;
const DEFAULT_SLIM_FACTOR: u32 = 2;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// Requests for one address follow each other no faster than this.
const REQUEST_INTERVAL: Duration = Duration::from_millis(100);

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
            return Err(arguments.error("CAPACITY_SLIM_FACTOR must be > 0"));
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

/// One IPv4 address.
struct Entry {
    /// Its place in the order of creation.
    number: u64,
    address: EtherAddress,
    known: bool,
    /// When the Ethernet address was learned or, before that, the entry made.
    live: Instant,
    requested: Option<Instant>,
    waiting: VecDeque<Packet>,
}

/// The table itself. It takes the time as an argument and does no input or output.
pub(super) struct Table {
    pub(super) limits: Limits,
    entries: HashMap<Ipv4Addr, Entry>,
    /// Every entry, the oldest first.
    order: BTreeMap<u64, Ipv4Addr>,
    next_number: u64,
    /// Packets that wait.
    pub(super) waiting: usize,
    pub(super) drops: u64,
}

impl Table {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            order: BTreeMap::new(),
            next_number: 0,
            waiting: 0,
            drops: 0,
        }
    }

    /// How many addresses it has.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn expired(&self, entry: &Entry, now: Instant) -> bool {
        !self.limits.timeout.is_zero() && now - entry.live > self.limits.timeout
    }

    /// Looks an address up. Known ones are to be asked for again when `poll` has gone by since
    /// they were learned.
    #[inline]
    pub(super) fn look_up(&mut self, ip: Ipv4Addr, poll: Duration, now: Instant) -> Answer {
        let timeout = self.limits.timeout;
        let Some(entry) = self.entries.get_mut(&ip).filter(|entry| entry.known) else {
            return Answer::Unknown;
        };
        let age = now - entry.live;
        if !timeout.is_zero() && age > timeout {
            entry.known = false;
            return Answer::Unknown;
        }
        let poll = !poll.is_zero() && age >= poll && may_request(entry, now);
        if poll {
            entry.requested = Some(now);
        }
        Answer::Known(entry.address, poll)
    }

    /// The entry for an address, made where there is none; the oldest one makes room.
    fn entry(&mut self, ip: Ipv4Addr, now: Instant) -> &mut Entry {
        if !self.entries.contains_key(&ip) {
            while self.limits.entries != 0 && self.entries.len() >= self.limits.entries {
                let Some((_, &oldest)) = self.order.first_key_value() else {
                    break;
                };
                self.remove(oldest);
            }
        }
        let Self {
            entries,
            order,
            next_number,
            ..
        } = self;
        entries.entry(ip).or_insert_with(|| {
            let number = *next_number;
            *next_number += 1;
            order.insert(number, ip);
            Entry {
                number,
                address: EtherAddress::BROADCAST,
                known: false,
                live: now,
                requested: None,
                waiting: VecDeque::new(),
            }
        })
    }

    /// Keeps a packet until its address is known; returns whether to ask for it now.
    pub(super) fn wait(&mut self, ip: Ipv4Addr, packet: Packet, now: Instant) -> bool {
        self.waiting += 1;
        if self.limits.packets != 0 && self.waiting > self.limits.packets {
            self.slim();
        }
        let most = self.limits.packets_per_entry;
        let entry = self.entry(ip, now);
        let full = most != 0 && entry.waiting.len() >= most;
        if full {
            entry.waiting.pop_front();
        }
        entry.waiting.push_back(packet);
        let request = may_request(entry, now);
        if request {
            entry.requested = Some(now);
        }
        if full {
            self.waiting -= 1;
            self.drops += 1;
        }
        request
    }

    /// Drops waiting packets, those of the oldest entries first, until a part of the capacity is
    /// free.
    fn slim(&mut self) {
        let capacity = self.limits.packets;
        let target = capacity - capacity / self.limits.slim_factor;
        for ip in self.order.values() {
            let Some(entry) = self.entries.get_mut(ip) else {
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

    /// Learns an address and takes out the packets that waited for it.
    pub(super) fn learn(
        &mut self,
        ip: Ipv4Addr,
        address: EtherAddress,
        now: Instant,
        batch: &mut Batch,
    ) {
        let entry = self.entry(ip, now);
        entry.address = address;
        entry.known = !address.is_broadcast();
        entry.live = now;
        entry.requested = None;
        let waiting = core::mem::take(&mut entry.waiting);
        self.waiting -= waiting.len();
        batch.extend(waiting);
    }

    /// Forgets an address; returns whether it was there.
    pub(super) fn remove(&mut self, ip: Ipv4Addr) -> bool {
        let Some(entry) = self.entries.remove(&ip) else {
            return false;
        };
        self.order.remove(&entry.number);
        self.waiting -= entry.waiting.len();
        self.drops += entry.waiting.len() as u64;
        true
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.waiting = 0;
    }

    /// Forgets what nobody has answered or asked for in a timeout.
    pub(super) fn expire(&mut self, now: Instant) {
        let stale: alloc::vec::Vec<Ipv4Addr> = self
            .order
            .values()
            .filter(|ip| {
                self.entries.get(*ip).is_some_and(|entry| {
                    let asked = entry.requested.unwrap_or(entry.live).max(entry.live);
                    self.expired(entry, now) && now - asked > self.limits.timeout
                })
            })
            .copied()
            .collect();
        for ip in stale {
            self.remove(ip);
        }
    }

    /// One line an entry: address, whether it is known, Ethernet address, age in seconds. The
    /// newest entry is the first.
    pub(super) fn text(&self, now: Instant) -> String {
        let mut text = String::new();
        for ip in self.order.values().rev() {
            if let Some(entry) = self.entries.get(ip) {
                let known = entry.known && !self.expired(entry, now);
                let age = i64::try_from((now - entry.live).as_nanos()).unwrap_or(i64::MAX);
                text += &format!(
                    "{ip} {} {} {}\n",
                    u8::from(known),
                    entry.address,
                    timestamp_text(age)
                );
            }
        }
        text
    }

    /// Takes over all that another table holds.
    pub(super) fn take_over(&mut self, old: &mut Self) {
        self.entries = core::mem::take(&mut old.entries);
        self.order = core::mem::take(&mut old.order);
        self.next_number = old.next_number;
        self.waiting = core::mem::take(&mut old.waiting);
        self.drops = old.drops;
    }
}

fn may_request(entry: &Entry, now: Instant) -> bool {
    entry
        .requested
        .is_none_or(|before| now - before >= REQUEST_INTERVAL)
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
        table.learn(ip(1), ADDRESS, at(0), &mut Batch::new());
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
            table.learn(ip(last), ADDRESS, at(1), &mut batch);
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
        assert_eq!(
            (table.entries.len(), table.order.len(), table.waiting),
            (2, 2, 2)
        );
        assert!(!table.entries.contains_key(&ip(1)));
    }

    #[test]
    fn what_nobody_asks_for_any_more_is_forgotten_with_its_packets() {
        let pool = Pool::growing();
        let mut table = table(0, 0);
        table.learn(ip(1), ADDRESS, at(0), &mut Batch::new());
        table.wait(ip(2), pool.packet(b"x"), at(50));
        table.expire(at(101));
        assert_eq!(table.entries.len(), 1);
        table.expire(at(151));
        assert_eq!((table.entries.len(), table.waiting, table.drops), (0, 0, 1));
    }
}
