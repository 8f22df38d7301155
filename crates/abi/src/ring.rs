//! Rings: one side produces, the other consumes, and neither believes the other.
//!
//! In shared memory a ring is a line with the producer's index, a line with the consumer's, and then
//! the entries. Indexes run freely through all of `u32` and are taken modulo the capacity, which is a
//! power of two, so a full ring and an empty one differ. Each side keeps its own index to itself and
//! only publishes it: what the other side writes there is never read back.
//!
//! Work goes by batches: one load of the other's index, any number of entries, one store of ours.

use crate::CACHE_LINE;
use crate::frame::Slot;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use core::fmt;
use core::marker::PhantomData;

/// Bytes before a ring's first entry: the two index lines.
pub const RING_HEADER: usize = 2 * CACHE_LINE;

/// Most entries a ring may have.
pub const MAX_CAPACITY: u32 = 1 << 20;

/// The other side's index cannot be: it claims more than the ring holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLie {
    /// Which index.
    pub side: Side,
    /// What it says.
    pub index: u32,
    /// Our own index, which it has to agree with.
    pub own: u32,
    /// How many entries the ring has.
    pub capacity: u32,
}

/// One of the two sides of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that puts entries in.
    Producer,
    /// The one that takes entries out.
    Consumer,
}

impl fmt::Display for RingLie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, own) = match self.side {
            Side::Producer => ("producer", "consumer"),
            Side::Consumer => ("consumer", "producer"),
        };
        write!(
            f,
            "{name} index {} is impossible: the {own} index is {} and the ring has {} entries",
            self.index, self.own, self.capacity
        )
    }
}

impl core::error::Error for RingLie {}

/// An index on a cache line of its own.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct IndexLine {
    index: AtomicU32,
}

impl IndexLine {
    /// A line that stands at zero. Shared memory that was zeroed holds the same.
    #[must_use]
    pub fn new() -> Self {
        Self {
            index: AtomicU32::new(0),
        }
    }
}

impl Default for IndexLine {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<IndexLine>() == CACHE_LINE && RING_HEADER == 128);

/// What a ring can hold: something that is read and written in whole atomic words.
///
/// # Safety
/// `Cell` must be made of atomics alone, so that any bytes are a valid one, and that it may change
/// while a reference leads to it.
pub unsafe trait Entry: Copy {
    /// The words in shared memory.
    type Cell: Sync;
    /// Takes a private copy.
    fn load(cell: &Self::Cell) -> Self;
    /// Puts it in.
    fn store(self, cell: &Self::Cell);
}

// SAFETY: an atomic word.
unsafe impl Entry for u32 {
    type Cell = AtomicU32;
    #[inline]
    fn load(cell: &AtomicU32) -> Self {
        cell.load(Ordering::Relaxed)
    }
    #[inline]
    fn store(self, cell: &AtomicU32) {
        cell.store(self, Ordering::Relaxed);
    }
}

// SAFETY: two atomic words.
unsafe impl Entry for Slot {
    type Cell = [AtomicU64; 2];
    #[inline]
    fn load(cell: &Self::Cell) -> Self {
        Self::from_words([
            cell[0].load(Ordering::Relaxed),
            cell[1].load(Ordering::Relaxed),
        ])
    }
    #[inline]
    fn store(self, cell: &Self::Cell) {
        let words = self.to_words();
        cell[0].store(words[0], Ordering::Relaxed);
        cell[1].store(words[1], Ordering::Relaxed);
    }
}

/// Bytes a ring of `capacity` entries of type `T` takes in shared memory.
#[must_use]
pub const fn ring_size<T: Entry>(capacity: u32) -> usize {
    RING_HEADER + capacity as usize * size_of::<T::Cell>()
}

/// The capacity of a ring of `T` that takes `bytes` in all, or `None` if that is no ring: the entries
/// must be a power of two of at most [`MAX_CAPACITY`].
#[must_use]
pub fn ring_capacity<T: Entry>(bytes: u64) -> Option<u32> {
    let entries = bytes.checked_sub(RING_HEADER as u64)?;
    let size = size_of::<T::Cell>() as u64;
    let capacity = u32::try_from(entries / size).ok()?;
    (entries.is_multiple_of(size) && capacity.is_power_of_two() && capacity <= MAX_CAPACITY)
        .then_some(capacity)
}

/// The two index lines as one side sees them: shared by entry rings and byte rings.
#[derive(Debug)]
pub(crate) struct Indexes {
    /// The line this side publishes to.
    own: *const IndexLine,
    /// The line the other side publishes to.
    other: *const IndexLine,
    /// Our index. Kept here, never read back from shared memory.
    position: u32,
    capacity: u32,
    side: Side,
}

impl Indexes {
    /// # Safety
    /// Both lines must stay valid for reads and writes as long as the value lives.
    pub(crate) unsafe fn new(
        producer: *const IndexLine,
        consumer: *const IndexLine,
        capacity: u32,
        side: Side,
    ) -> Self {
        assert!(
            capacity.is_power_of_two() && capacity <= 1 << 30,
            "capacity is a power of two"
        );
        let (own, other) = match side {
            Side::Producer => (producer, consumer),
            Side::Consumer => (consumer, producer),
        };
        Self {
            own,
            other,
            position: 0,
            capacity,
            side,
        }
    }

    /// Entries this side may handle now: filled ones for a consumer, free ones for a producer.
    #[inline]
    pub(crate) fn available(&self) -> Result<u32, RingLie> {
        // SAFETY: valid by the promise made to `new`; an atomic, so the other side may write it.
        let index = unsafe { &(*self.other).index }.load(Ordering::Acquire);
        let lie = RingLie {
            side: match self.side {
                Side::Producer => Side::Consumer,
                Side::Consumer => Side::Producer,
            },
            index,
            own: self.position,
            capacity: self.capacity,
        };
        match self.side {
            Side::Consumer => {
                let filled = index.wrapping_sub(self.position);
                if filled <= self.capacity {
                    Ok(filled)
                } else {
                    Err(lie)
                }
            }
            Side::Producer => {
                let filled = self.position.wrapping_sub(index);
                if filled <= self.capacity {
                    Ok(self.capacity - filled)
                } else {
                    Err(lie)
                }
            }
        }
    }

    /// Hands `count` entries to the other side.
    #[inline]
    pub(crate) fn advance(&mut self, count: u32) {
        self.position = self.position.wrapping_add(count);
        // SAFETY: as in `available`.
        unsafe { &(*self.own).index }.store(self.position, Ordering::Release);
    }

    /// Where the entry `ahead` of ours lies. Always below the capacity.
    #[inline]
    pub(crate) fn place(&self, ahead: u32) -> usize {
        (self.position.wrapping_add(ahead) & (self.capacity - 1)) as usize
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Both sides back to the start.
    pub(crate) fn reset(&mut self) {
        self.position = 0;
        // SAFETY: as in `available`.
        unsafe {
            (*self.own).index.store(0, Ordering::Relaxed);
            (*self.other).index.store(0, Ordering::Release);
        }
    }
}

macro_rules! side {
    ($(#[$doc:meta])* $name:ident, $side:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<T: Entry> {
            indexes: Indexes,
            entries: *const T::Cell,
            marker: PhantomData<T>,
        }

        // SAFETY: the pointers lead to index lines and cells, which are atomics by the promise of
        // `Entry`, valid on any thread as long as the value lives. The position is the value's own.
        unsafe impl<T: Entry + Send> Send for $name<T> {}

        impl<T: Entry> $name<T> {
            /// This side of the ring at `base`, which has `capacity` entries and stands at its start.
            ///
            /// # Safety
            /// `base` must be aligned to 64 bytes and [`ring_size`]`::<T>(capacity)` bytes from there
            /// must stay valid for reads and writes as long as the value lives; nothing may touch them
            /// but through atomics. The other side may write anything at any time.
            ///
            /// # Panics
            /// If `capacity` is not a power of two.
            #[cfg(not(loom))]
            #[must_use]
            pub unsafe fn attach(base: *mut u8, capacity: u32) -> Self {
                debug_assert!(base.cast_const().cast::<IndexLine>().is_aligned());
                // SAFETY: the two lines and the entries lie inside the ring, by the caller's promise.
                unsafe {
                    Self::from_parts(
                        base.cast(),
                        base.add(CACHE_LINE).cast(),
                        base.add(RING_HEADER).cast(),
                        capacity,
                    )
                }
            }

            /// This side of a ring whose parts lie apart, as a model of it may have them.
            ///
            /// # Safety
            /// As for `attach`: the two lines and `capacity` cells from `entries` must stay valid.
            ///
            /// # Panics
            /// If `capacity` is not a power of two.
            #[must_use]
            pub unsafe fn from_parts(
                producer: *const IndexLine,
                consumer: *const IndexLine,
                entries: *const T::Cell,
                capacity: u32,
            ) -> Self {
                // SAFETY: the caller's promise is the one asked for.
                let indexes = unsafe { Indexes::new(producer, consumer, capacity, $side) };
                Self { indexes, entries, marker: PhantomData }
            }

            /// How many entries the ring has.
            #[must_use]
            pub fn capacity(&self) -> u32 {
                self.indexes.capacity()
            }

            /// How many entries this side may handle now: free ones for a producer, filled ones for a
            /// consumer.
            ///
            /// # Errors
            /// If the other side's index is impossible.
            #[inline]
            pub fn available(&self) -> Result<u32, RingLie> {
                self.indexes.available()
            }

            /// Puts both indexes back to the start, for a ring that gets a new other side.
            pub fn reset(&mut self) {
                self.indexes.reset();
            }

            #[inline]
            fn cell(&self, ahead: u32) -> &T::Cell {
                // SAFETY: `place` is below the capacity, and so many cells are valid by the promise
                // made to `from_parts`. Whatever the other side writes there meanwhile, a cell is
                // atomics, of which any bytes are a valid value.
                unsafe { &*self.entries.add(self.indexes.place(ahead)) }
            }
        }
    };
}

side!(
    /// The side of a ring that puts entries in.
    Producer,
    Side::Producer
);
side!(
    /// The side of a ring that takes entries out.
    Consumer,
    Side::Consumer
);

impl<T: Entry> Producer<T> {
    /// Writes the entry `ahead` of the next free one, without publishing it.
    ///
    /// Meant for `ahead` below what [`available`](Self::available) said; beyond it entries that the
    /// other side has not taken yet are overwritten, nothing worse.
    #[inline]
    pub fn write(&mut self, ahead: u32, entry: T) {
        entry.store(self.cell(ahead));
    }

    /// What stands in the entry `ahead` of the next free one: the one the other side had last, or
    /// what it [left](Consumer::leave) there.
    #[inline]
    #[must_use]
    pub fn read(&self, ahead: u32) -> T {
        T::load(self.cell(ahead))
    }

    /// Publishes the next `count` entries, written before.
    #[inline]
    pub fn publish(&mut self, count: u32) {
        self.indexes.advance(count);
    }

    /// Puts in as many of `entries` as there is room for, and says how many.
    ///
    /// # Errors
    /// If the other side's index is impossible; then nothing is put in.
    pub fn push(&mut self, entries: &[T]) -> Result<usize, RingLie> {
        let room = self.available()?;
        let mut count = 0;
        for (ahead, &entry) in (0..room).zip(entries) {
            self.write(ahead, entry);
            count = ahead + 1;
        }
        if count > 0 {
            self.publish(count);
        }
        Ok(count as usize)
    }
}

impl<T: Entry> Consumer<T> {
    /// A private copy of the entry `ahead` of the next one.
    ///
    /// Meant for `ahead` below what [`available`](Self::available) said; beyond it the entry is old.
    #[inline]
    #[must_use]
    pub fn read(&self, ahead: u32) -> T {
        T::load(self.cell(ahead))
    }

    /// Writes into the entry `ahead` of the next one, for the other side to find once it is released.
    #[inline]
    pub fn leave(&mut self, ahead: u32, entry: T) {
        entry.store(self.cell(ahead));
    }

    /// Gives the next `count` entries back to the other side.
    #[inline]
    pub fn release(&mut self, count: u32) {
        self.indexes.advance(count);
    }

    /// Takes out as many entries as there are and `entries` has room for, and says how many.
    ///
    /// # Errors
    /// If the other side's index is impossible; then nothing is taken out.
    pub fn pop(&mut self, entries: &mut [T]) -> Result<usize, RingLie> {
        let filled = self.available()?;
        let mut count = 0;
        for (ahead, entry) in (0..filled).zip(entries) {
            *entry = self.read(ahead);
            count = ahead + 1;
        }
        if count > 0 {
            self.release(count);
        }
        Ok(count as usize)
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
