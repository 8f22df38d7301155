//! The order in which Click lists flows: that of the buckets in which it keeps them.

use alloc::vec;
use alloc::vec::Vec;

use sprat_packet::checksum::AddressesAndPorts;

use crate::nat::flow_table::{Direction, FlowId};

/// One direction of a flow.
type Line = (FlowId, Direction);

/// Buckets of lines, in each the latest behind the others: it is listed first.
pub(super) struct Listing {
    buckets: Vec<Vec<(u64, Line)>>,
    lines: usize,
}

impl Listing {
    pub(super) fn new() -> Self {
        Self {
            buckets: vec![Vec::new()],
            lines: 0,
        }
    }

    pub(super) fn insert(&mut self, key: AddressesAndPorts, line: Line) {
        self.put(hash(&key), line);
        self.lines += 1;
    }

    fn put(&mut self, hash: u64, line: Line) {
        // It is less than the number of buckets, and fits.
        let bucket = usize::try_from(hash % self.buckets.len() as u64).unwrap_or(0);
        self.buckets[bucket].push((hash, line));
    }

    /// Makes more buckets where there are more than two lines for each: one less than the next
    /// power of two. That turns those about that stay together.
    pub(super) fn balance(&mut self) {
        let buckets = self.buckets.len();
        if self.lines <= 2 * buckets {
            return;
        }
        let more = vec![Vec::new(); 2 * buckets + 1];
        for bucket in core::mem::replace(&mut self.buckets, more) {
            for (hash, line) in bucket.into_iter().rev() {
                self.put(hash, line);
            }
        }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Line> {
        let lines = self.buckets.iter().flat_map(|bucket| bucket.iter().rev());
        lines.map(|(_, line)| *line)
    }
}

/// The number by which Click chooses a bucket, on machines of 64 bits that put the low byte first.
fn hash(key: &AddressesAndPorts) -> u64 {
    let turned = |address: u32, by: u16| {
        let (address, by) = (address.swap_bytes(), u32::from(by));
        // By none is by 32, which leaves an address as it is.
        u64::from(address) << by | u64::from(address.checked_shr(32 - by).unwrap_or(address))
    };
    let ports = u32::from(key.destination_port) << 16 | u32::from(key.source_port);
    turned(key.source, key.source_port % 16)
        ^ turned(key.destination, 31 - key.destination_port % 16)
        ^ i64::from(ports.cast_signed()).cast_unsigned()
}
