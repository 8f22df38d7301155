//! Which host has which blocks, and which of its endpoints which port.

use alloc::vec::Vec;

use sprat_click::Instant;
use sprat_packet::flow::FlowHash;
use sprat_packet::headers::protocol::{TCP, UDP};

use super::mappings::{Endpoint, Mapping, Mappings, Side};
use super::pool::Pool;
use super::port_set::PortSet;
use super::slab::Slab;
use crate::nat::flow_table::Index;

/// A block that a host has.
struct Block {
    number: u16,
    /// Ports taken of TCP, of UDP and of other protocols.
    ports: [PortSet; 3],
    /// How many those are.
    taken: u32,
}

impl Block {
    fn new(number: u16) -> Self {
        Self {
            number,
            ports: Default::default(),
            taken: 0,
        }
    }
}

/// A host that has blocks, all on one address.
struct Host {
    address: u32,
    place: u32,
    blocks: Vec<Block>,
}

fn class(protocol: u8) -> usize {
    match protocol {
        TCP => 0,
        UDP => 1,
        _ => 2,
    }
}

/// All hosts and what they have.
pub(super) struct Hosts {
    pub(super) pool: Pool,
    /// Most blocks of a host.
    most: usize,
    hosts: Slab<Host>,
    /// Their numbers, by address.
    index: Index,
    hash: FlowHash,
    mappings: Mappings,
}

impl Hosts {
    pub(super) fn new(pool: Pool, most: usize, seed: u64) -> Self {
        let hash = FlowHash::new(seed);
        Self {
            pool,
            most,
            hosts: Slab::new(),
            index: Index::default(),
            hash,
            mappings: Mappings::new(hash),
        }
    }

    /// The inside endpoint that an outside one stands for.
    pub(super) fn inside_of(&self, outside: &Endpoint) -> Option<Endpoint> {
        let mapping = self.mappings.get(outside, Side::Outside)?;
        Some(mapping.inside)
    }

    fn hash(&self, address: u32) -> u32 {
        // The high half is as good as the low one.
        (self.hash.of_words(u64::from(address), 0) >> 32) as u32
    }

    /// The number of a host that has blocks.
    fn number(&self, address: u32) -> Option<u32> {
        self.index.find(self.hash(address), |number| {
            let host = self.hosts.get(number);
            host.is_some_and(|host| host.address == address)
        })
    }

    fn add_host(&mut self, address: u32, place: u32) -> u32 {
        let number = self.hosts.insert(Host {
            address,
            place,
            blocks: Vec::new(),
        });
        self.index.insert(self.hash(address), number);
        number
    }

    /// A host without blocks is none any more.
    fn drop_if_idle(&mut self, number: u32) {
        if let Some(host) = self.hosts.get(number)
            && host.blocks.is_empty()
        {
            self.index.remove(self.hash(host.address), number);
            self.hosts.remove(number);
        }
    }

    /// What an inside endpoint is outside, which it becomes now if it is nothing yet. `start` says
    /// where in a block of some size a free port is looked for.
    pub(super) fn outside_of(
        &mut self,
        inside: &Endpoint,
        now: Instant,
        start: impl FnOnce(u16) -> u16,
    ) -> Option<Endpoint> {
        if let Some(mapping) = self.mappings.get(inside, Side::Inside) {
            return Some(mapping.outside);
        }
        let extent = self.pool.extent;
        let start = start(extent.block_size);
        let (place, block) = self.block_with_room(inside, now, start)?;
        let outside = Endpoint {
            address: extent.first + place,
            port: extent.first_of(block.0) + block.1,
            ..*inside
        };
        self.mappings.insert(*inside, outside);
        Some(outside)
    }

    /// Takes a port for an endpoint: its address's place, its block and which of the block's.
    fn block_with_room(
        &mut self,
        inside: &Endpoint,
        now: Instant,
        start: u16,
    ) -> Option<(u32, (u16, u16))> {
        let size = self.pool.extent.block_size;
        let class = class(inside.protocol);
        let number = match self.number(inside.address) {
            Some(number) => number,
            None => {
                let (place, block) = self.pool.take_any(now)?;
                let number = self.add_host(inside.address, place);
                let host = self.hosts.get_mut(number)?;
                host.blocks.push(Block::new(block));
                number
            }
        };
        let host = self.hosts.get_mut(number)?;
        for block in &mut host.blocks {
            if let Some(port) = block.ports[class].take(size, start) {
                block.taken += 1;
                return Some((host.place, (block.number, port)));
            }
        }
        if host.blocks.len() >= self.most {
            return None;
        }
        let mut block = Block::new(self.pool.take_on(host.place, now)?);
        let port = block.ports[class].take(size, start)?;
        block.taken = 1;
        let number = block.number;
        host.blocks.push(block);
        Some((host.place, (number, port)))
    }

    /// An endpoint has one flow more.
    pub(super) fn hold(&mut self, inside: &Endpoint) {
        if let Some(mapping) = self.mappings.get_mut(inside) {
            mapping.flows += 1;
        }
    }

    /// An endpoint has one flow less. Without any it gives its port back, and a host without ports
    /// its blocks.
    pub(super) fn release(&mut self, inside: &Endpoint, now: Instant) {
        let Some(mapping) = self.mappings.get_mut(inside) else {
            return;
        };
        mapping.flows = mapping.flows.saturating_sub(1);
        if mapping.flows > 0 {
            return;
        }
        let outside = mapping.outside;
        self.mappings.remove(inside);
        // Both are there where a mapping was.
        if let Some((block, port)) = self.pool.extent.block_of(outside.port)
            && let Some(number) = self.number(inside.address)
        {
            self.free_port(number, (block, port), class(inside.protocol), now);
            self.drop_if_idle(number);
        }
    }

    /// A port is free again, and so is its block if it was the last.
    fn free_port(&mut self, host: u32, (number, port): (u16, u16), class: usize, now: Instant) {
        let Some(host) = self.hosts.get_mut(host) else {
            return;
        };
        let found = host.blocks.iter().position(|block| block.number == number);
        let Some(place) = found else {
            return;
        };
        let block = &mut host.blocks[place];
        block.ports[class].free(port);
        block.taken -= 1;
        if block.taken == 0 {
            self.pool.give_back(host.place, number, now);
            host.blocks.remove(place);
        }
    }

    /// An endpoint has a flow that began under another router, which had it mapped so. `None` where
    /// that cannot go on.
    pub(super) fn adopt(&mut self, inside: &Endpoint, outside: Endpoint) -> Option<()> {
        match self.mappings.get(inside, Side::Inside) {
            Some(mapping) if mapping.outside == outside => {}
            Some(_) => return None,
            None => {
                let place = self.pool.extent.place(outside.address)?;
                let port = self.pool.extent.block_of(outside.port)?;
                let number = self.number(inside.address);
                let number = number.unwrap_or_else(|| self.add_host(inside.address, place));
                let taken = self.take_port(number, place, port, class(inside.protocol));
                self.drop_if_idle(number);
                taken?;
                self.mappings.insert(*inside, outside);
            }
        }
        self.hold(inside);
        Some(())
    }

    /// Takes a certain port for a host, and its block where the host has that not yet.
    fn take_port(
        &mut self,
        host: u32,
        place: u32,
        (number, port): (u16, u16),
        class: usize,
    ) -> Option<()> {
        let host = self
            .hosts
            .get_mut(host)
            .filter(|host| host.place == place)?;
        if host.blocks.iter().all(|block| block.number != number) {
            self.pool.take_this(place, number)?;
            host.blocks.push(Block::new(number));
        }
        let mut blocks = host.blocks.iter_mut();
        let block = blocks.find(|block| block.number == number)?;
        let was_free = block.ports[class].take_this(self.pool.extent.block_size, port);
        block.taken += u32::from(was_free);
        was_free.then_some(())
    }

    /// Every block that somebody has: whose it is, its address, its number, and how many ports of
    /// it are taken.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (u32, u32, u16, u32)> {
        let first = self.pool.extent.first;
        self.hosts.iter().flat_map(move |host| {
            let blocks = host.blocks.iter();
            blocks.map(move |block| (host.address, first + host.place, block.number, block.taken))
        })
    }

    /// Every mapping.
    pub(super) fn mappings(&self) -> impl Iterator<Item = &Mapping> {
        self.mappings.iter()
    }
}
