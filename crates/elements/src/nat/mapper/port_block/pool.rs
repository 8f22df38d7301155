//! The public addresses, cut into blocks of ports.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use sprat_click::Instant;

/// What there is to give out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// The first address, and how many.
    pub(super) first: u32,
    pub(super) addresses: u32,
    /// The first port, ports of a block, and blocks of an address.
    pub(super) first_port: u16,
    pub(super) block_size: u16,
    pub(super) blocks: u16,
}

impl Extent {
    /// The place of an address, where it is one of them.
    pub(super) fn place(&self, address: u32) -> Option<u32> {
        let place = address.wrapping_sub(self.first);
        (place < self.addresses).then_some(place)
    }

    /// The block that a port is in, and which of the block's it is.
    pub(super) fn block_of(&self, port: u16) -> Option<(u16, u16)> {
        let offset = port.checked_sub(self.first_port)?;
        let block = offset / self.block_size;
        (block < self.blocks).then_some((block, offset % self.block_size))
    }

    /// The first port of a block.
    pub(super) fn first_of(&self, block: u16) -> u16 {
        self.first_port + block * self.block_size
    }
}

/// The blocks of an address that nobody has.
#[derive(Default)]
struct Address {
    /// Blocks from this one on have never been given out.
    fresh: u16,
    /// Others, with the time from which they may be given out again, in that order.
    returned: VecDeque<(u16, Instant)>,
}

impl Address {
    /// When there is a block to be had; `None` for not before one is given back.
    fn available(&self, blocks: u16) -> Option<Instant> {
        if self.fresh < blocks {
            return Some(Instant(0));
        }
        self.returned.front().map(|(_, from)| *from)
    }

    fn take(&mut self, blocks: u16) -> Option<u16> {
        if self.fresh < blocks {
            self.fresh += 1;
            return Some(self.fresh - 1);
        }
        self.returned.pop_front().map(|(block, _)| block)
    }
}

/// The addresses and which of their blocks are free.
pub(super) struct Pool {
    pub(super) extent: Extent,
    addresses: Vec<Address>,
    /// How long a block rests after it was given back.
    hold: Duration,
    /// The address to which the next host is given, if it has a block.
    next: usize,
    /// Before this time there is no block on any address; `None` for not before one is given
    /// back.
    none_before: Option<Instant>,
}

impl Pool {
    pub(super) fn new(extent: Extent, hold: Duration) -> Self {
        let mut addresses = Vec::new();
        addresses.resize_with(extent.addresses as usize, Address::default);
        Self {
            extent,
            addresses,
            hold,
            next: 0,
            none_before: Some(Instant(0)),
        }
    }

    /// A block on any address, for a host that has none.
    pub(super) fn take_any(&mut self, now: Instant) -> Option<(u32, u16)> {
        if self.none_before.is_none_or(|time| time > now) {
            return None;
        }
        let count = self.addresses.len();
        for _ in 0..count {
            let place = self.next;
            self.next = (place + 1) % count;
            let place = u32::try_from(place).unwrap_or(0);
            if let Some(block) = self.take_on(place, now) {
                return Some((place, block));
            }
        }
        let blocks = self.extent.blocks;
        let times = self.addresses.iter();
        self.none_before = times.filter_map(|address| address.available(blocks)).min();
        None
    }

    /// A block on one address.
    pub(super) fn take_on(&mut self, place: u32, now: Instant) -> Option<u16> {
        let blocks = self.extent.blocks;
        let address = self.addresses.get_mut(place as usize)?;
        address.available(blocks).filter(|time| *time <= now)?;
        address.take(blocks)
    }

    /// One certain block, where it is free.
    pub(super) fn take_this(&mut self, place: u32, block: u16) -> Option<()> {
        let address = self.addresses.get_mut(place as usize)?;
        if block >= address.fresh {
            // Those passed over are to be had at once.
            let passed = (address.fresh..block).map(|block| (block, Instant(0)));
            passed.rev().for_each(|it| address.returned.push_front(it));
            address.fresh = block + 1;
            return Some(());
        }
        let found = address.returned.iter().position(|(it, _)| *it == block)?;
        address.returned.remove(found).map(|_| ())
    }

    /// A block is given back.
    pub(super) fn give_back(&mut self, place: u32, block: u16, now: Instant) {
        let time = now + self.hold;
        if let Some(address) = self.addresses.get_mut(place as usize) {
            address.returned.push_back((block, time));
        }
        self.none_before = Some(self.none_before.map_or(time, |other| other.min(time)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        let extent = Extent {
            first: 0xc633_6401,
            addresses: 2,
            first_port: 1024,
            block_size: 64,
            blocks: 2,
        };
        Pool::new(extent, Duration::from_secs(120))
    }

    fn seconds(count: u64) -> Instant {
        Instant(count * 1_000_000_000)
    }

    #[test]
    fn hosts_spread_over_the_addresses() {
        let mut pool = pool();
        let given: Vec<_> = (0..5).map(|_| pool.take_any(seconds(0))).collect();
        assert_eq!(
            given,
            [Some((0, 0)), Some((1, 0)), Some((0, 1)), Some((1, 1)), None]
        );
    }

    #[test]
    fn a_block_rests_before_it_is_anothers() {
        let mut pool = pool();
        while pool.take_any(seconds(0)).is_some() {}
        pool.give_back(1, 0, seconds(10));
        assert_eq!(pool.take_any(seconds(129)), None);
        assert_eq!(pool.take_on(1, seconds(129)), None);
        assert_eq!(pool.take_any(seconds(130)), Some((1, 0)));
    }

    #[test]
    fn a_block_that_a_predecessor_gave_out_is_not_given_out_again() {
        let mut pool = pool();
        assert_eq!(pool.take_this(0, 1), Some(()));
        assert_eq!(pool.take_this(0, 1), None);
        assert_eq!(pool.take_on(0, seconds(0)), Some(0));
        assert_eq!(pool.take_on(0, seconds(0)), None);
    }
}
