//! A split virtqueue: section 2.7 of the Virtual I/O Device specification, version 1.2.
//!
//! The driver's side, which never copies: descriptors lead to where the bytes are. What the device
//! writes is checked, so a faulty one costs frames and nothing else.

use core::sync::atomic::{Ordering, fence};

/// Most entries of a queue that are used; devices may offer more.
pub const MOST: u16 = 256;

/// Bytes of memory that a queue takes.
pub const MEMORY: u64 = 3 * 4096;

/// Offsets of its parts in that memory.
const AVAILABLE: u64 = 4096;
const USED: u64 = 2 * 4096;

/// Flags of a descriptor: another follows; the device writes it.
const NEXT: u16 = 1;
const WRITE: u16 = 2;

/// A flag of both rings: no interrupt, or no notification, is wanted.
const QUIET: u16 = 1;

/// A queue.
#[derive(Debug)]
pub struct Queue {
    /// Where its memory is mapped.
    memory: u64,
    size: u16,
    /// Descriptors that are in no chain: the first `free_count` of the list.
    free: [u16; MOST as usize],
    free_count: u16,
    /// For the first descriptor of each chain: how many there are, and what the chain stands for.
    chains: [(u8, u32); MOST as usize],
    /// For each descriptor the next one of its chain.
    next: [u16; MOST as usize],
    /// Chains handed over, and chains published.
    added: u16,
    published: u16,
    /// Chains taken back.
    taken: u16,
}

impl Queue {
    /// A queue without memory, for statics.
    pub const EMPTY: Self = Self {
        memory: 0,
        size: 0,
        free: [0; MOST as usize],
        free_count: 0,
        chains: [(0, 0); MOST as usize],
        next: [0; MOST as usize],
        added: 0,
        published: 0,
        taken: 0,
    };

    /// Begins with zeroed memory, mapped at `memory`: [`MEMORY`] bytes on a page. `size` is a power of
    /// two of at most [`MOST`].
    ///
    /// # Safety
    /// The memory must be the queue's and its device's alone as long as the queue is used.
    pub unsafe fn start(&mut self, memory: u64, size: u16) {
        let size = size.min(MOST);
        *self = Self {
            memory,
            size,
            free_count: size,
            ..Self::EMPTY
        };
        for (place, index) in self.free.iter_mut().zip((0..size).rev()) {
            *place = index;
        }
        self.set_interrupts(false);
    }

    /// How many entries it has.
    #[must_use]
    pub fn size(&self) -> u16 {
        self.size
    }

    /// Where its three parts lie, from the physical address of its memory on: descriptors, what is
    /// available, what was used.
    #[must_use]
    pub fn parts(physical: u64) -> [u64; 3] {
        [physical, physical + AVAILABLE, physical + USED]
    }

    /// Chains that are with the device.
    #[must_use]
    pub fn under_way(&self) -> u16 {
        self.added.wrapping_sub(self.taken)
    }

    /// Descriptors that are free.
    #[must_use]
    pub fn room(&self) -> usize {
        usize::from(self.free_count)
    }

    fn read(&self, offset: u64) -> u16 {
        // SAFETY: inside the queue's memory, by `start`'s promise; the device may write it meanwhile,
        // so the read is volatile.
        unsafe {
            sprat_abi::pointer(self.memory + offset)
                .cast::<u16>()
                .read_volatile()
        }
    }

    fn write<T>(&self, offset: u64, value: T) {
        // SAFETY: as above, and aligned: parts lie on pages and entries on multiples of their size.
        unsafe {
            sprat_abi::pointer(self.memory + offset)
                .cast::<T>()
                .write_volatile(value);
        }
    }

    /// Adds a chain of stretches (physical address and length) that stands for `token`: those that the
    /// device reads, and behind them those that it writes. Whether there was room. [`Queue::publish`]
    /// hands it over.
    pub fn add(&mut self, read: &[(u64, u32)], written: &[(u64, u32)], token: u32) -> bool {
        let count = read.len() + written.len();
        let Ok(length @ 1..) = u8::try_from(count) else {
            return false;
        };
        if count > self.room() {
            return false;
        }
        let read = read.iter().map(|stretch| (stretch, 0));
        let written = written.iter().map(|stretch| (stretch, WRITE));
        let mut following = None;
        for ((address, length), kind) in read.chain(written).rev() {
            self.free_count -= 1;
            let descriptor = self.free[usize::from(self.free_count)];
            let at = u64::from(descriptor) * 16;
            self.write(at, *address);
            self.write(at + 8, *length);
            self.write(at + 12, following.map_or(kind, |_| kind | NEXT));
            self.write(at + 14, following.unwrap_or(0));
            self.next[usize::from(descriptor)] = following.unwrap_or(descriptor);
            following = Some(descriptor);
        }
        let first = following.unwrap_or(0);
        self.chains[usize::from(first)] = (length, token);
        let place = u64::from(self.added % self.size);
        self.write(AVAILABLE + 4 + 2 * place, first);
        self.added = self.added.wrapping_add(1);
        true
    }

    /// Hands over what was added; whether the device wants to be notified.
    pub fn publish(&mut self) -> bool {
        if self.added == self.published {
            return false;
        }
        self.published = self.added;
        // Entries before the index, and the index before the device's wish is read.
        fence(Ordering::Release);
        self.write(AVAILABLE + 2, self.added);
        fence(Ordering::SeqCst);
        self.read(USED) & QUIET == 0
    }

    /// Whether the device has used something that was not taken back.
    #[must_use]
    pub fn has_used(&self) -> bool {
        self.read(USED + 2) != self.taken
    }

    /// Takes back a chain that the device used: what it stands for, and the bytes that were written.
    pub fn take(&mut self) -> Option<(u32, u32)> {
        while self.has_used() {
            fence(Ordering::Acquire);
            let at = USED + 4 + 8 * u64::from(self.taken % self.size);
            let first = usize::from(self.read(at));
            let length = u32::from(self.read(at + 4)) | u32::from(self.read(at + 6)) << 16;
            self.taken = self.taken.wrapping_add(1);
            let Some((count @ 1.., token)) = self.chains.get(first).copied() else {
                // No chain of ours begins there.
                continue;
            };
            self.chains[first].0 = 0;
            let mut descriptor = first;
            for _ in 0..count {
                // A chain's descriptors are below the size, of which the list has as many places.
                let (Some(place), Ok(index)) = (
                    self.free.get_mut(usize::from(self.free_count)),
                    u16::try_from(descriptor),
                ) else {
                    break;
                };
                *place = index;
                self.free_count += 1;
                descriptor = usize::from(self.next[descriptor]);
            }
            return Some((token, length));
        }
        None
    }

    /// Whether the device is to interrupt when it has used something. After turning it on, look once
    /// more: what was used before does not interrupt.
    pub fn set_interrupts(&mut self, on: bool) {
        self.write(AVAILABLE, if on { 0 } else { QUIET });
        fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [`MEMORY`], as a length.
    const BYTES: usize = 3 * 4096;

    #[repr(C, align(4096))]
    struct Memory([u8; BYTES]);

    impl Memory {
        fn queue(&mut self, size: u16) -> Queue {
            let mut queue = Queue::EMPTY;
            let at = self.0.as_mut_ptr().expose_provenance() as u64;
            // SAFETY: the tests keep the memory longer than the queue and play its device.
            unsafe { queue.start(at, size) };
            queue
        }
    }

    /// What the device sees of a descriptor: address, length, flags, next.
    fn descriptor(queue: &Queue, index: u16) -> (u64, u32, u16, u16) {
        let at = u64::from(index) * 16;
        let word = |place: u64| u64::from(queue.read(at + place));
        (
            word(0) | word(2) << 16 | word(4) << 32 | word(6) << 48,
            u32::from(queue.read(at + 8)) | u32::from(queue.read(at + 10)) << 16,
            queue.read(at + 12),
            queue.read(at + 14),
        )
    }

    /// The device uses a chain.
    fn use_chain(queue: &Queue, first: u16, length: u32) {
        let used = queue.read(USED + 2);
        let at = USED + 4 + 8 * u64::from(used % queue.size());
        queue.write(at, u32::from(first));
        queue.write(at + 4, length);
        queue.write(USED + 2, used.wrapping_add(1));
    }

    #[test]
    fn a_chain_is_laid_out_as_the_specification_says() {
        let mut memory = Memory([0; BYTES]);
        let mut queue = memory.queue(8);
        assert!(queue.add(&[(0x1234_5678_9000, 12), (0x5000, 1500)], &[], 7));
        assert_eq!(queue.read(AVAILABLE + 2), 0, "not published");
        assert!(queue.publish());
        assert!(!queue.publish(), "nothing new");
        assert_eq!(queue.read(AVAILABLE + 2), 1);
        let first = queue.read(AVAILABLE + 4);
        let (address, length, flags, next) = descriptor(&queue, first);
        assert_eq!((address, length, flags), (0x1234_5678_9000, 12, NEXT));
        assert_eq!(descriptor(&queue, next), (0x5000, 1500, 0, 0));
        use_chain(&queue, first, 0);
        assert_eq!(queue.take(), Some((7, 0)));
        assert_eq!((queue.take(), queue.room()), (None, 8));
    }

    #[test]
    fn what_the_device_writes_stands_behind_what_it_reads() {
        let mut memory = Memory([0; BYTES]);
        let mut queue = memory.queue(8);
        let written = [(0x2000, 512), (0x3000, 1)];
        assert!(queue.add(&[(0x1000, 16)], &written, 3));
        assert!(queue.publish());
        let (address, length, flags, next) = descriptor(&queue, queue.read(AVAILABLE + 4));
        assert_eq!((address, length, flags), (0x1000, 16, NEXT));
        let (address, length, flags, next) = descriptor(&queue, next);
        assert_eq!((address, length, flags), (0x2000, 512, WRITE | NEXT));
        assert_eq!(descriptor(&queue, next), (0x3000, 1, WRITE, 0));
    }

    #[test]
    fn a_queue_goes_round_any_number_of_times_and_never_overfills() {
        let mut memory = Memory([0; BYTES]);
        let mut queue = memory.queue(4);
        for token in 0..200_000 {
            for part in 0..4 {
                assert!(queue.add(&[], &[(0x1000, 64)], token * 4 + part));
            }
            assert!(!queue.add(&[], &[(0x1000, 64)], 0), "full");
            queue.publish();
            let chains = [0, 1, 2, 3].map(|place| queue.read(AVAILABLE + 4 + 2 * place));
            // Out of order, as a device may.
            for place in [2, 0, 3, 1] {
                use_chain(&queue, chains[place], 60);
            }
            let mut taken = [0; 4].map(|_: u32| queue.take());
            taken.sort_unstable();
            let expected = [0, 1, 2, 3].map(|part| Some((token * 4 + part, 60)));
            assert_eq!(taken, expected);
        }
    }

    #[test]
    fn a_device_that_uses_what_it_was_not_given_changes_nothing() {
        let mut memory = Memory([0; BYTES]);
        let mut queue = memory.queue(4);
        assert!(queue.add(&[], &[(0x1000, 64)], 9));
        queue.publish();
        let first = queue.read(AVAILABLE + 4);
        for wrong in [first ^ 1, 77, u16::MAX] {
            use_chain(&queue, wrong, 1);
        }
        use_chain(&queue, first, 1);
        use_chain(&queue, first, 1);
        assert_eq!(queue.take(), Some((9, 1)));
        assert_eq!((queue.take(), queue.room()), (None, 4));
    }

    #[test]
    fn interrupts_are_asked_for_by_the_flag() {
        let mut memory = Memory([0; BYTES]);
        let mut queue = memory.queue(4);
        assert_eq!(queue.read(AVAILABLE), QUIET);
        queue.set_interrupts(true);
        assert_eq!(queue.read(AVAILABLE), 0);
        queue.write(USED, QUIET);
        assert!(queue.add(&[], &[(0x1000, 64)], 0));
        assert!(!queue.publish(), "the device wants no notification");
    }
}
