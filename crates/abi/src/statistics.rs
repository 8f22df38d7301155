//! The statistics region: counters and events that can be read from outside at any time.
//!
//! The instance writes, the monitor reads, without entering the instance and whether or not it still
//! runs. Where things lie follows from the region's length alone, so the reader trusts nothing that is
//! written in it: a [`Header`], [`EVENT_CAPACITY`] events, and counter [records](Record) to the end.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// How many events the ring keeps: the newest ones.
pub const EVENT_CAPACITY: usize = 256;

/// Longest name a record keeps, in bytes; longer ones are cut.
pub const NAME_LIMIT: usize = 56;

/// How many counters a record has.
pub const COUNTERS: usize = 8;

/// Which counter of a record: its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Times it was run.
    Calls = 0,
    /// Packets that came in.
    PacketsIn = 1,
    /// Packets that went out.
    PacketsOut = 2,
    /// Bytes that came in.
    BytesIn = 3,
    /// Bytes that went out.
    BytesOut = 4,
    /// Packets dropped.
    Drops = 5,
    /// Nanoseconds it took; an estimate where not all of it is measured.
    Time = 6,
    /// Whatever the subject wants to count beside.
    Other = 7,
}

/// What a record or an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Subject {
    /// The instance as a whole.
    Instance = 1,
    /// An element of a router.
    Element = 2,
    /// A task.
    Task = 3,
    /// A device.
    Device = 4,
}

impl Subject {
    /// The subject that `value` stands for, if this version knows it.
    #[must_use]
    pub const fn from_value(value: u16) -> Option<Self> {
        Some(match value {
            1 => Self::Instance,
            2 => Self::Element,
            3 => Self::Task,
            4 => Self::Device,
            _ => return None,
        })
    }
}

/// First line of the region.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Header {
    /// How many records are in use.
    records: AtomicU32,
    /// Bytes of heap in use, in KiB.
    heap_kilobytes: AtomicU32,
    /// How many events were ever written.
    events: AtomicU64,
}

/// One event: 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Monotonic time in nanoseconds.
    pub time: u64,
    /// What happened; numbers are the instance's own.
    pub code: u32,
    /// The record it happened to, counted from 0.
    pub record: u32,
    /// Facts about it.
    pub values: [u64; 2],
}

#[repr(C)]
#[derive(Debug)]
struct EventCell([AtomicU64; 4]);

/// One subject's name and counters: two cache lines.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Record {
    /// Low 16 bits: the [`Subject`]. Next 16: length of the name. High 32: zero.
    label: AtomicU64,
    name: [AtomicU64; NAME_LIMIT / 8],
    counters: [AtomicU64; COUNTERS],
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<Header>() == 64);
    assert!(size_of::<EventCell>() == 32);
    assert!(size_of::<Record>() == 128);
    assert!(core::mem::offset_of!(Record, counters) == 64);
};

const RECORDS_OFFSET: usize = 64 + EVENT_CAPACITY * 32;

/// Bytes of a region with room for `records` records.
#[must_use]
pub const fn region_size(records: u32) -> u64 {
    (RECORDS_OFFSET + records as usize * size_of::<Record>()) as u64
}

/// The region, from either side.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    base: *mut u8,
    capacity: u32,
}

// SAFETY: everything behind the pointer is atomics, valid as long as promised to `attach`.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// The region of `length` bytes at `base`; `None` if not even the events fit.
    ///
    /// # Safety
    /// `base` must be aligned to 64 bytes, and `length` bytes from there must stay valid for reads and
    /// writes as long as the value or anything got from it lives, touched only through atomics. They
    /// must have been zero before the first use.
    #[must_use]
    pub unsafe fn attach(base: *mut u8, length: u64) -> Option<Self> {
        let room = length.checked_sub(RECORDS_OFFSET as u64)?;
        let capacity = u32::try_from(room / size_of::<Record>() as u64).ok()?;
        Some(Self { base, capacity })
    }

    fn header(&self) -> &Header {
        // SAFETY: the region is longer than a header, by the check in `attach`.
        unsafe { &*self.base.cast::<Header>() }
    }

    fn event_cell(&self, index: usize) -> &EventCell {
        // SAFETY: the index is taken modulo the capacity, and all cells lie inside the region.
        unsafe {
            &*self
                .base
                .add(64)
                .cast::<EventCell>()
                .add(index % EVENT_CAPACITY)
        }
    }

    fn record_cell(&self, index: u32) -> Option<&Record> {
        // SAFETY: the index is below the capacity, which was computed from the region's length.
        (index < self.capacity).then(|| unsafe {
            &*self
                .base
                .add(RECORDS_OFFSET)
                .cast::<Record>()
                .add(index as usize)
        })
    }

    /// How many records the region has room for.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Guest: takes the next record for a subject; `None` when all are taken.
    pub fn register(&self, subject: Subject, name: &[u8]) -> Option<RecordHandle<'_>> {
        let index = self.header().records.load(Ordering::Relaxed);
        let record = self.record_cell(index)?;
        let name = &name[..name.len().min(NAME_LIMIT)];
        for (word, bytes) in record.name.iter().zip(name.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
        record.label.store(
            u64::from(subject as u16) | (name.len() as u64) << 16,
            Ordering::Relaxed,
        );
        self.header().records.store(index + 1, Ordering::Release);
        Some(RecordHandle { record, index })
    }

    /// Guest: gives up all records from `count` on, as a configuration that is replaced does.
    pub fn truncate(&self, count: u32) {
        let records = self
            .header()
            .records
            .load(Ordering::Relaxed)
            .min(self.capacity);
        for index in count..records {
            if let Some(record) = self.record_cell(index) {
                record.label.store(0, Ordering::Relaxed);
                record
                    .counters
                    .iter()
                    .for_each(|counter| counter.store(0, Ordering::Relaxed));
            }
        }
        self.header()
            .records
            .store(records.min(count), Ordering::Release);
    }

    /// Guest: writes an event, over the oldest one when the ring is full. One writer at a time.
    pub fn record_event(&self, event: Event) {
        let number = self.header().events.load(Ordering::Relaxed);
        let cell = self.event_cell(crate::length(number));
        cell.0[0].store(event.time, Ordering::Relaxed);
        cell.0[1].store(
            u64::from(event.code) | u64::from(event.record) << 32,
            Ordering::Relaxed,
        );
        cell.0[2].store(event.values[0], Ordering::Relaxed);
        cell.0[3].store(event.values[1], Ordering::Relaxed);
        self.header()
            .events
            .store(number.wrapping_add(1), Ordering::Release);
    }

    /// Guest: says how much of its heap is in use, in KiB.
    pub fn set_heap_kilobytes(&self, kilobytes: u32) {
        self.header()
            .heap_kilobytes
            .store(kilobytes, Ordering::Relaxed);
    }

    /// Host: how much of its heap the instance says is in use, in KiB.
    #[must_use]
    pub fn heap_kilobytes(&self) -> u32 {
        self.header().heap_kilobytes.load(Ordering::Relaxed)
    }

    /// Host: the records in use. Numbers and names are what the instance wrote, true or not.
    pub fn records(&self) -> impl Iterator<Item = Snapshot> + '_ {
        let count = self
            .header()
            .records
            .load(Ordering::Acquire)
            .min(self.capacity);
        (0..count)
            .filter_map(|index| self.record_cell(index))
            .map(Record::snapshot)
    }

    /// Host: the events that are still there, oldest first.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let count = self.header().events.load(Ordering::Acquire);
        (count.saturating_sub(EVENT_CAPACITY as u64)..count).map(|number| {
            let words = self
                .event_cell(crate::length(number))
                .0
                .each_ref()
                .map(|w| w.load(Ordering::Relaxed));
            #[expect(clippy::cast_possible_truncation, reason = "two halves of one word")]
            Event {
                time: words[0],
                code: words[1] as u32,
                record: (words[1] >> 32) as u32,
                values: [words[2], words[3]],
            }
        })
    }
}

impl Record {
    fn snapshot(&self) -> Snapshot {
        let label = self.label.load(Ordering::Relaxed);
        let mut name = [0; NAME_LIMIT];
        for (bytes, word) in name.chunks_mut(8).zip(&self.name) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        #[expect(clippy::cast_possible_truncation, reason = "taking the label apart")]
        Snapshot {
            subject: Subject::from_value(label as u16),
            name,
            name_length: usize::from((label >> 16) as u16).min(NAME_LIMIT),
            counters: self.counters.each_ref().map(|c| c.load(Ordering::Relaxed)),
        }
    }
}

/// A copy of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// What it is about, if this version knows it.
    pub subject: Option<Subject>,
    name: [u8; NAME_LIMIT],
    name_length: usize,
    /// The counters, by [`Counter`].
    pub counters: [u64; COUNTERS],
}

impl Snapshot {
    /// Its name: whatever bytes the instance wrote.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name[..self.name_length]
    }

    /// One counter.
    #[must_use]
    pub const fn get(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }
}

/// Guest: a record to count in.
#[derive(Clone, Copy, Debug)]
pub struct RecordHandle<'a> {
    record: &'a Record,
    index: u32,
}

impl RecordHandle<'_> {
    /// Its number, for [`Event::record`].
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Adds to a counter. An instance has one thread, so a load and a store do; the reader may miss the
    /// newest, never sees half.
    #[inline]
    pub fn add(&self, counter: Counter, amount: u64) {
        let word = &self.record.counters[counter as usize];
        word.store(
            word.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// Sets a counter that is kept elsewhere.
    #[inline]
    pub fn set(&self, counter: Counter, value: u64) {
        self.record.counters[counter as usize].store(value, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
#[path = "statistics_tests.rs"]
mod tests;
