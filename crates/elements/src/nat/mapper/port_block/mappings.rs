//! What endpoints are on the other side.

use sprat_packet::flow::FlowHash;

use super::slab::Slab;
use crate::nat::flow_table::Index;

/// An address and a port of a protocol. A ping's identifier counts as a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) address: u32,
    pub(super) protocol: u8,
    pub(super) port: u16,
}

/// What an inside endpoint is outside, and how many flows it has.
pub(super) struct Mapping {
    pub(super) inside: Endpoint,
    pub(super) outside: Endpoint,
    pub(super) flows: u32,
}

/// Which of a mapping's endpoints is meant.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Inside,
    Outside,
}

impl Mapping {
    fn end(&self, side: Side) -> &Endpoint {
        match side {
            Side::Inside => &self.inside,
            Side::Outside => &self.outside,
        }
    }
}

/// All mappings, found from either side.
pub(super) struct Mappings {
    slab: Slab<Mapping>,
    index: Index,
    hash: FlowHash,
}

impl Mappings {
    pub(super) fn new(hash: FlowHash) -> Self {
        Self {
            slab: Slab::new(),
            index: Index::default(),
            hash,
        }
    }

    fn hash(&self, endpoint: &Endpoint, side: Side) -> u32 {
        let place = u64::from(endpoint.address) << 16 | u64::from(endpoint.port);
        let rest = u64::from(endpoint.protocol) << 1 | side as u64;
        // The high half is as good as the low one.
        (self.hash.of_words(place, rest) >> 32) as u32
    }

    fn number(&self, endpoint: &Endpoint, side: Side) -> Option<u32> {
        self.index.find(self.hash(endpoint, side), |number| {
            let mapping = self.slab.get(number);
            mapping.is_some_and(|mapping| mapping.end(side) == endpoint)
        })
    }

    pub(super) fn get(&self, endpoint: &Endpoint, side: Side) -> Option<&Mapping> {
        self.slab.get(self.number(endpoint, side)?)
    }

    pub(super) fn get_mut(&mut self, inside: &Endpoint) -> Option<&mut Mapping> {
        let number = self.number(inside, Side::Inside)?;
        self.slab.get_mut(number)
    }

    /// Adds a mapping whose endpoints have none.
    pub(super) fn insert(&mut self, inside: Endpoint, outside: Endpoint) {
        let [from, to] = [
            self.hash(&inside, Side::Inside),
            self.hash(&outside, Side::Outside),
        ];
        let number = self.slab.insert(Mapping {
            inside,
            outside,
            flows: 0,
        });
        self.index.insert(from, number);
        self.index.insert(to, number);
    }

    pub(super) fn remove(&mut self, inside: &Endpoint) {
        let number = self.number(inside, Side::Inside);
        let Some((number, mapping)) = number.zip(self.get(inside, Side::Inside)) else {
            return;
        };
        let [from, to] = [
            self.hash(inside, Side::Inside),
            self.hash(&mapping.outside, Side::Outside),
        ];
        self.index.remove(from, number);
        self.index.remove(to, number);
        self.slab.remove(number);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Mapping> {
        self.slab.iter()
    }
}
