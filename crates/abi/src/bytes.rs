//! Byte rings: the console, files being written, and the control messages.
//!
//! Same index lines and same rules as [entry rings](crate::ring), with bytes for entries. The bytes
//! are copied out before anything looks at them: a side that writes what it has handed over may make
//! the copy a mixture, and changes nothing in it afterwards.

use crate::CACHE_LINE;
use crate::ring::{IndexLine, Indexes, RING_HEADER, RingLie, Side};
use core::sync::atomic::{Ordering, compiler_fence};

/// Bytes a byte ring that holds `capacity` bytes takes in shared memory.
#[must_use]
pub const fn byte_ring_size(capacity: u32) -> usize {
    RING_HEADER + capacity as usize
}

/// How many bytes a byte ring that takes `bytes` of memory holds, or `None` if that is no byte ring:
/// it must be a power of two of at most 2^30.
#[must_use]
pub fn byte_ring_capacity(bytes: u64) -> Option<u32> {
    let capacity = u32::try_from(bytes.checked_sub(RING_HEADER as u64)?).ok()?;
    (capacity.is_power_of_two() && capacity <= 1 << 30).then_some(capacity)
}

macro_rules! side {
    ($(#[$doc:meta])* $name:ident, $side:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            indexes: Indexes,
            bytes: *mut u8,
        }

        // SAFETY: the pointers lead to atomic index lines and to bytes that no reference leads into,
        // valid on any thread as long as the value lives. The position is the value's own.
        unsafe impl Send for $name {}

        impl $name {
            /// This side of the byte ring at `base`, which holds `capacity` bytes and stands at its
            /// start.
            ///
            /// # Safety
            /// `base` must be aligned to 64 bytes and [`byte_ring_size`]`(capacity)` bytes from there
            /// must stay valid for reads and writes as long as the value lives, and no references may
            /// lead into them. The other side may write anything at any time.
            ///
            /// # Panics
            /// If `capacity` is not a power of two.
            #[must_use]
            pub unsafe fn attach(base: *mut u8, capacity: u32) -> Self {
                // SAFETY: lines and bytes lie inside the ring, by the caller's promise.
                unsafe {
                    let consumer = base.add(CACHE_LINE).cast::<IndexLine>();
                    Self {
                        indexes: Indexes::new(base.cast(), consumer, capacity, $side),
                        bytes: base.add(RING_HEADER),
                    }
                }
            }

            /// How many bytes the ring holds.
            #[must_use]
            pub fn capacity(&self) -> u32 {
                self.indexes.capacity()
            }

            /// How many bytes this side may handle now.
            ///
            /// # Errors
            /// If the other side's index is impossible.
            pub fn available(&self) -> Result<u32, RingLie> {
                self.indexes.available()
            }

            /// Puts both indexes back to the start, for a ring that gets a new other side.
            pub fn reset(&mut self) {
                self.indexes.reset();
            }

            /// The at most two stretches that `count` bytes, `ahead` of our index, lie in.
            fn stretches(&self, ahead: u32, count: usize) -> [(*mut u8, usize); 2] {
                let start = self.indexes.place(ahead);
                let first = count.min(self.capacity() as usize - start);
                // SAFETY: `start` is below the capacity, so the pointer stays inside the ring.
                [(unsafe { self.bytes.add(start) }, first), (self.bytes, count - first)]
            }
        }
    };
}

side!(
    /// The side of a byte ring that writes.
    ByteProducer,
    Side::Producer
);
side!(
    /// The side of a byte ring that reads.
    ByteConsumer,
    Side::Consumer
);

impl ByteProducer {
    /// Writes as much of `bytes` as there is room for, and says how much.
    ///
    /// # Errors
    /// If the other side's index is impossible; then nothing is written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, RingLie> {
        let room = self.available()?;
        let count = bytes.len().min(room as usize);
        self.copy_in(0, &bytes[..count]);
        self.publish_checked(count);
        Ok(count)
    }

    /// Writes all of `parts`, one after the other, or nothing; says which.
    ///
    /// # Errors
    /// If the other side's index is impossible; then nothing is written.
    pub fn write_all(&mut self, parts: &[&[u8]]) -> Result<bool, RingLie> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total > self.available()? as usize {
            return Ok(false);
        }
        let mut ahead = 0;
        for part in parts {
            self.copy_in(ahead, part);
            ahead += part.len();
        }
        self.publish_checked(total);
        Ok(true)
    }

    fn copy_in(&self, ahead: usize, bytes: &[u8]) {
        let Ok(ahead) = u32::try_from(ahead) else {
            return;
        };
        let [(first, length), (second, rest)] = self.stretches(ahead, bytes.len());
        // SAFETY: the callers have compared `ahead` and the length with the room there is, so both
        // stretches lie inside the ring. `bytes` is a reference, and none leads into the ring.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), first, length);
            core::ptr::copy_nonoverlapping(bytes.as_ptr().add(length), second, rest);
        }
    }

    fn publish_checked(&mut self, count: usize) {
        // `count` is no more than the capacity, which is a u32.
        if let Ok(count @ 1..) = u32::try_from(count) {
            self.indexes.advance(count);
        }
    }
}

impl ByteConsumer {
    /// Reads as much as there is and `bytes` has room for, and says how much.
    ///
    /// # Errors
    /// If the other side's index is impossible; then nothing is read.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, RingLie> {
        let count = self.peek(0, bytes)?;
        self.release(count);
        Ok(count)
    }

    /// Copies out what lies `ahead` bytes past our index and leaves it in the ring; says how much it
    /// copied, which is less than asked for when the ring holds no more.
    ///
    /// # Errors
    /// If the other side's index is impossible; then nothing is copied.
    pub fn peek(&self, ahead: u32, bytes: &mut [u8]) -> Result<usize, RingLie> {
        let filled = self.available()?.saturating_sub(ahead) as usize;
        let count = bytes.len().min(filled);
        let [(first, length), (second, rest)] = self.stretches(ahead, count);
        // SAFETY: `count` is at most the capacity, so both stretches lie inside the ring, and their
        // lengths add up to it. `bytes` is a reference, and none leads into the ring. Any byte is a
        // valid one, also a byte that the other side is writing.
        unsafe {
            core::ptr::copy_nonoverlapping(first, bytes.as_mut_ptr(), length);
            core::ptr::copy_nonoverlapping(second, bytes.as_mut_ptr().add(length), rest);
        }
        // What is checked from here on is the copy: the compiler may not read the ring once more.
        compiler_fence(Ordering::SeqCst);
        Ok(count)
    }

    /// Gives `count` bytes back to the other side.
    pub fn release(&mut self, count: usize) {
        if let Ok(count @ 1..) = u32::try_from(count) {
            self.indexes.advance(count);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[repr(C, align(64))]
    struct Memory([u8; 128 + 32]);

    fn pair(memory: &mut Memory) -> (ByteProducer, ByteConsumer) {
        let base = memory.0.as_mut_ptr();
        // SAFETY: the tests keep the memory longer than both sides and look at it in no other way.
        unsafe {
            (
                ByteProducer::attach(base, 32),
                ByteConsumer::attach(base, 32),
            )
        }
    }

    #[test]
    fn all_or_nothing_is_one_of_the_two() {
        let mut memory = Memory([0; 160]);
        let (mut producer, mut consumer) = pair(&mut memory);
        assert_eq!(producer.write_all(&[&[1; 20], &[2; 13]]), Ok(false));
        assert_eq!(consumer.available(), Ok(0));
        assert_eq!(producer.write_all(&[&[1; 20], &[2; 12]]), Ok(true));
        let mut out = [0; 40];
        assert_eq!(consumer.read(&mut out), Ok(32));
        assert_eq!((out[19], out[20], out[31]), (1, 2, 2));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(chunks in prop::collection::vec((0usize..40, 0usize..40), 1..60)) {
            let mut memory = Memory([0; 160]);
            let (mut producer, mut consumer) = pair(&mut memory);
            let (mut sent, mut received): (Vec<u8>, Vec<u8>) = (vec![], vec![]);
            let mut next = 0u8;
            for (write, read) in chunks {
                let bytes: Vec<u8> = (0..write).map(|_| { next = next.wrapping_add(1); next }).collect();
                let count = producer.write(&bytes).expect("honest");
                next = if count == 0 { sent.last().copied().unwrap_or(0) } else { bytes[count - 1] };
                sent.extend(&bytes[..count]);
                let mut out = vec![0; read];
                let count = consumer.read(&mut out).expect("honest");
                received.extend(&out[..count]);
            }
            let mut out = [0; 32];
            let count = consumer.read(&mut out).expect("honest");
            received.extend(&out[..count]);
            prop_assert_eq!(sent, received);
        }
    }
}
