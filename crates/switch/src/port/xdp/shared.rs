//! The rings that name frames in memory that is shared with the kernel
//! (Documentation/networking/af_xdp.rst).

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::mapping::Mapping;

/// Where the parts of a ring are in its mapping, and how many entries it has, a power of two.
pub(super) struct Layout {
    pub(super) producer: u64,
    pub(super) consumer: u64,
    pub(super) entries: u64,
    pub(super) count: u32,
}

/// A ring of which this program uses one end and the kernel the other.
struct Ring<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    entries: NonNull<T>,
    mask: u32,
    /// Where this end will be once it says so, and where the other was last.
    own: u32,
    other: u32,
    _mapping: Mapping,
}

// SAFETY: the pointers lead into the mapping, which goes where they go.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    fn new(socket: BorrowedFd<'_>, offset: u64, layout: &Layout) -> io::Result<Self> {
        let count = layout.count as usize;
        let begin = usize::try_from(layout.entries).map_err(io::Error::other)?;
        let mapping = Mapping::new(socket, offset, begin + count * size_of::<T>())?;
        Ok(Self {
            producer: mapping.place(layout.producer, 1)?,
            consumer: mapping.place(layout.consumer, 1)?,
            entries: mapping.place(layout.entries, count)?,
            mask: layout.count - 1,
            own: 0,
            other: 0,
            _mapping: mapping,
        })
    }

    fn entry(&self, number: u32) -> NonNull<T> {
        // SAFETY: the mask keeps it among the entries, which were found to be in the mapping.
        unsafe { self.entries.add((number & self.mask) as usize) }
    }

    /// What the two ends say of themselves.
    fn ends(&self) -> (&AtomicU32, &AtomicU32) {
        // SAFETY: both are in the mapping, aligned, and only ever used as atomics.
        unsafe { (self.producer.as_ref(), self.consumer.as_ref()) }
    }
}

/// A ring by which the kernel is given something.
pub(super) struct Giving<T>(Ring<T>);

impl<T: Copy> Giving<T> {
    /// Maps the ring at this offset of a socket.
    pub(super) fn new(socket: BorrowedFd<'_>, offset: u64, layout: &Layout) -> io::Result<Self> {
        Ring::new(socket, offset, layout).map(Self)
    }

    /// Puts an entry into the ring, which the kernel sees after [`Giving::publish`]. False where there
    /// is no room.
    pub(super) fn push(&mut self, entry: T) -> bool {
        let ring = &mut self.0;
        if ring.own.wrapping_sub(ring.other) > ring.mask {
            ring.other = ring.ends().1.load(Ordering::Acquire);
            if ring.own.wrapping_sub(ring.other) > ring.mask {
                return false;
            }
        }
        // SAFETY: an entry that the kernel has taken, and does not look at before it is published.
        unsafe { ring.entry(ring.own).write(entry) };
        ring.own = ring.own.wrapping_add(1);
        true
    }

    /// Shows the kernel what has been put into the ring.
    pub(super) fn publish(&mut self) {
        self.0.ends().0.store(self.0.own, Ordering::Release);
    }
}

/// A ring by which the kernel gives something.
pub(super) struct Taking<T>(Ring<T>);

impl<T: Copy> Taking<T> {
    /// Maps the ring at this offset of a socket.
    pub(super) fn new(socket: BorrowedFd<'_>, offset: u64, layout: &Layout) -> io::Result<Self> {
        Ring::new(socket, offset, layout).map(Self)
    }

    /// The next entry, which stays the next until [`Taking::advance`].
    pub(super) fn next(&mut self) -> Option<T> {
        let ring = &mut self.0;
        if ring.own == ring.other {
            ring.other = ring.ends().0.load(Ordering::Acquire);
            if ring.own == ring.other {
                return None;
            }
        }
        // SAFETY: an entry that the kernel has published, and does not write before it is released.
        Some(unsafe { ring.entry(ring.own).read() })
    }

    /// Goes on to the entry behind that one.
    pub(super) fn advance(&mut self) {
        self.0.own = self.0.own.wrapping_add(1);
    }

    /// Gives the kernel the room of entries that were gone past.
    pub(super) fn release(&mut self) {
        self.0.ends().1.store(self.0.own, Ordering::Release);
    }
}
