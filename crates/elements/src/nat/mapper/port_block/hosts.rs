//! Which host has which blocks, and which of its endpoints which port.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use sprat_click::Instant;
use sprat_packet::headers::protocol::{TCP, UDP};

use super::pool::Pool;
use super::port_set::PortSet;

/// An address and a port of a protocol. A ping's identifier counts as a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Endpoint {
    pub(super) address: u32,
    pub(super) protocol: u8,
    pub(super) port: u16,
}

/// What an inside endpoint is outside, and how many flows it has.
struct Mapping {
    outside: Endpoint,
    flows: u32,
}

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
    hosts: BTreeMap<u32, Host>,
    mappings: BTreeMap<Endpoint, Mapping>,
    /// The inside endpoint that an outside one stands for.
    insides: BTreeMap<Endpoint, Endpoint>,
}

impl Hosts {
    pub(super) fn new(pool: Pool, most: usize) -> Self {
        Self {
            pool,
            most,
            hosts: BTreeMap::new(),
            mappings: BTreeMap::new(),
            insides: BTreeMap::new(),
        }
    }

    /// The inside endpoint that an outside one stands for.
    pub(super) fn inside_of(&self, outside: &Endpoint) -> Option<Endpoint> {
        self.insides.get(outside).copied()
    }

    /// What an inside endpoint is outside, which it becomes now if it is nothing yet. `start` says
    /// where in a block of some size a free port is looked for.
    pub(super) fn outside_of(
        &mut self,
        inside: &Endpoint,
        now: Instant,
        start: impl FnOnce(u16) -> u16,
    ) -> Option<Endpoint> {
        if let Some(mapping) = self.mappings.get(inside) {
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
        self.map(inside, outside);
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
        let host = match self.hosts.get_mut(&inside.address) {
            Some(host) => host,
            None => {
                let (place, block) = self.pool.take_any(now)?;
                self.hosts.entry(inside.address).or_insert(Host {
                    place,
                    blocks: Vec::from([Block::new(block)]),
                })
            }
        };
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

    fn map(&mut self, inside: &Endpoint, outside: Endpoint) {
        self.mappings.insert(*inside, Mapping { outside, flows: 0 });
        self.insides.insert(outside, *inside);
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
        self.insides.remove(&outside);
        let Some((number, port)) = self.pool.extent.block_of(outside.port) else {
            return;
        };
        let Some(host) = self.hosts.get_mut(&inside.address) else {
            return;
        };
        let found = host.blocks.iter().position(|block| block.number == number);
        let Some(place) = found else {
            return;
        };
        let block = &mut host.blocks[place];
        block.ports[class(inside.protocol)].free(port);
        block.taken -= 1;
        if block.taken > 0 {
            return;
        }
        self.pool.give_back(host.place, number, now);
        host.blocks.remove(place);
        if host.blocks.is_empty() {
            self.hosts.remove(&inside.address);
        }
    }

    /// An endpoint has a flow that began under another router, which had it mapped so. `None` where
    /// that cannot go on.
    pub(super) fn adopt(&mut self, inside: &Endpoint, outside: Endpoint) -> Option<()> {
        match self.mappings.get(inside) {
            Some(mapping) if mapping.outside == outside => {
                self.hold(inside);
                return Some(());
            }
            Some(_) => return None,
            None => {}
        }
        let place = self.pool.extent.place(outside.address)?;
        let (number, port) = self.pool.extent.block_of(outside.port)?;
        let host = self.hosts.entry(inside.address).or_insert(Host {
            place,
            blocks: Vec::new(),
        });
        let known = host.blocks.iter().any(|block| block.number == number);
        if host.place != place || !known && self.pool.take_this(place, number).is_none() {
            if host.blocks.is_empty() {
                self.hosts.remove(&inside.address);
            }
            return None;
        }
        if !known {
            host.blocks.push(Block::new(number));
        }
        let size = self.pool.extent.block_size;
        let mut blocks = host.blocks.iter_mut();
        let block = blocks.find(|block| block.number == number)?;
        if !block.ports[class(inside.protocol)].take_this(size, port) {
            return None;
        }
        block.taken += 1;
        self.map(inside, outside);
        self.hold(inside);
        Some(())
    }

    /// Every block that somebody has: whose it is, its address, its number, and how many ports of
    /// it are taken.
    pub(super) fn blocks(&self) -> impl Iterator<Item = (u32, u32, u16, u32)> {
        let first = self.pool.extent.first;
        self.hosts.iter().flat_map(move |(address, host)| {
            let blocks = host.blocks.iter();
            blocks.map(move |block| (*address, first + host.place, block.number, block.taken))
        })
    }

    /// Every endpoint, what it is outside, and how many flows it has.
    pub(super) fn mappings(&self) -> impl Iterator<Item = (&Endpoint, &Endpoint, u32)> {
        let mappings = self.mappings.iter();
        mappings.map(|(inside, mapping)| (inside, &mapping.outside, mapping.flows))
    }
}
