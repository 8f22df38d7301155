//! Packets that travel together.

use alloc::vec::{self, Vec};
use core::ops::{Index, IndexMut};

use crate::Packet;

/// A list of packets in order of arrival.
///
/// Its memory is kept when it is emptied, so a batch that is passed by reference and drained
/// costs no allocation once it has grown to the size in use.
#[derive(Debug, Default)]
pub struct Batch {
    packets: Vec<Packet>,
}

impl Batch {
    /// An empty batch, without memory of its own yet.
    pub const fn new() -> Self {
        Self {
            packets: Vec::new(),
        }
    }

    /// An empty batch with room for `capacity` packets.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            packets: Vec::with_capacity(capacity),
        }
    }

    /// Packets in the batch.
    #[inline]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Adds a packet at the end.
    #[inline]
    pub fn push(&mut self, packet: Packet) {
        self.packets.push(packet);
    }

    /// Moves all packets of `other` to the end of this batch.
    #[inline]
    pub fn append(&mut self, other: &mut Batch) {
        if self.packets.is_empty() {
            core::mem::swap(self, other);
        } else {
            self.packets.append(&mut other.packets);
        }
    }

    /// Drops every packet.
    pub fn clear(&mut self) {
        self.packets.clear();
    }

    /// The packets in order.
    #[inline]
    pub fn iter(&self) -> core::slice::Iter<'_, Packet> {
        self.packets.iter()
    }

    /// The packets in order, to be changed.
    #[inline]
    pub fn iter_mut(&mut self) -> core::slice::IterMut<'_, Packet> {
        self.packets.iter_mut()
    }

    /// Takes all packets out, in order.
    #[inline]
    pub fn drain(&mut self) -> vec::Drain<'_, Packet> {
        self.packets.drain(..)
    }

    /// Takes the first `count` packets out, in order.
    pub fn drain_front(&mut self, count: usize) -> vec::Drain<'_, Packet> {
        let count = count.min(self.packets.len());
        self.packets.drain(..count)
    }

    /// The packets as a slice.
    #[inline]
    pub fn as_slice(&self) -> &[Packet] {
        &self.packets
    }

    /// The packets as a slice, to be changed.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [Packet] {
        &mut self.packets
    }

    /// Keeps the packets for which `keep` says so and drops the others.
    #[inline]
    pub fn retain(&mut self, keep: impl FnMut(&mut Packet) -> bool) {
        self.packets.retain_mut(keep);
    }

    /// Passes each packet through `action`, in order, keeping what it returns in its place.
    ///
    /// The packet after the next is prefetched while one is worked on.
    #[inline]
    pub fn filter(&mut self, mut action: impl FnMut(Packet) -> Option<Packet>) {
        let total = self.packets.len();
        let base = self.packets.as_mut_ptr();
        // SAFETY: with the length at zero a panic in `action` leaks packets and nothing else.
        // Slots below `kept` hold packets to keep, slots from `at` on packets not yet looked at,
        // and `kept <= at`, so no slot is read twice or overwritten while it holds a packet.
        unsafe {
            self.packets.set_len(0);
            let mut kept = 0;
            for at in 0..total {
                if at + 2 < total {
                    (*base.add(at + 2)).prefetch();
                }
                if let Some(packet) = action(base.add(at).read()) {
                    base.add(kept).write(packet);
                    kept += 1;
                }
            }
            self.packets.set_len(kept);
        }
    }
}

impl Index<usize> for Batch {
    type Output = Packet;

    fn index(&self, index: usize) -> &Packet {
        &self.packets[index]
    }
}

impl IndexMut<usize> for Batch {
    fn index_mut(&mut self, index: usize) -> &mut Packet {
        &mut self.packets[index]
    }
}

impl Extend<Packet> for Batch {
    fn extend<I: IntoIterator<Item = Packet>>(&mut self, packets: I) {
        self.packets.extend(packets);
    }
}

impl FromIterator<Packet> for Batch {
    fn from_iter<I: IntoIterator<Item = Packet>>(packets: I) -> Self {
        Self {
            packets: packets.into_iter().collect(),
        }
    }
}

impl IntoIterator for Batch {
    type Item = Packet;
    type IntoIter = vec::IntoIter<Packet>;

    fn into_iter(self) -> Self::IntoIter {
        self.packets.into_iter()
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a Packet;
    type IntoIter = core::slice::Iter<'a, Packet>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
