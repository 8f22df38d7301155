//! One flow, in one cache line.

use sprat_click::Instant;
use sprat_packet::checksum::{AddressesAndPorts, Delta};
use sprat_packet::flow::FlowKey;

/// Which way a packet goes: as the flow's first packet did, or in answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Reply,
}

/// Where a flow's packets go by direction.
pub(crate) type Outputs = [u8; 2];

/// What a flow is made with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewFlow {
    /// What the first packet carries.
    pub(crate) original: FlowKey,
    /// What it is to carry.
    pub(crate) rewritten: FlowKey,
    pub(crate) outputs: Outputs,
    /// Which of the table's owners it counts for.
    pub(crate) owner: u16,
    /// Which of the table's lists it begins in.
    pub(crate) class: u8,
    pub(crate) reply_annotation: u8,
}

/// Addresses, and ports as the source's and the destination's half of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Endpoints {
    source: u32,
    destination: u32,
    ports: u32,
}

impl Endpoints {
    fn of(key: &FlowKey) -> Self {
        let AddressesAndPorts {
            source,
            destination,
            source_port,
            destination_port,
        } = key.tuple();
        Self {
            source,
            destination,
            ports: u32::from(source_port) << 16 | u32::from(destination_port),
        }
    }

    #[inline]
    fn reversed(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            ports: self.ports.rotate_left(16),
        }
    }

    #[inline]
    fn tuple(self) -> AddressesAndPorts {
        let [high, low] = [self.ports >> 16, self.ports & 0xffff];
        AddressesAndPorts {
            source: self.source,
            destination: self.destination,
            source_port: u16::try_from(high).unwrap_or(0),
            destination_port: u16::try_from(low).unwrap_or(0),
        }
    }
}

/// A flow. The list it stands in links through it.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct Flow {
    original: Endpoints,
    rewritten: Endpoints,
    protocol: u8,
    /// The rewriter whose flow it is, among those that share the table; [`FREE`] for no flow.
    pub(super) space: u8,
    pub(crate) owner: u16,
    pub(crate) outputs: Outputs,
    /// The list it stands in.
    pub(crate) class: u8,
    /// What the protocol remembers of the flow.
    pub(crate) state: u8,
    /// Changes of network and transport checksums on the way forward.
    network_delta: Delta,
    transport_delta: Delta,
    pub(crate) reply_annotation: u8,
    /// Whether sequence numbers change as well.
    pub(super) shifts_sequence: bool,
    pub(super) previous: u32,
    pub(super) next: u32,
    /// When its last packet came.
    pub(super) last: Instant,
    /// When it was put in its place in the list.
    pub(super) listed: Instant,
}

const _: () = assert!(size_of::<Flow>() == 64);

/// The space of places that hold no flow.
pub(super) const FREE: u8 = u8::MAX;

/// No flow: the end of a list.
pub(super) const NONE: u32 = u32::MAX;

impl Flow {
    pub(super) fn new(new: &NewFlow, space: u8, now: Instant) -> Self {
        let (from, to) = (new.original.tuple(), new.rewritten.tuple());
        Self {
            original: Endpoints::of(&new.original),
            rewritten: Endpoints::of(&new.rewritten),
            protocol: new.original.protocol(),
            space,
            owner: new.owner,
            outputs: new.outputs,
            class: new.class,
            state: 0,
            network_delta: Delta::of_addresses(&from, &to),
            transport_delta: Delta::of_addresses_and_ports(&from, &to),
            reply_annotation: new.reply_annotation,
            shifts_sequence: false,
            previous: NONE,
            next: NONE,
            last: now,
            listed: now,
        }
    }

    fn key(&self, endpoints: Endpoints) -> FlowKey {
        FlowKey::new(endpoints.tuple(), self.protocol)
    }

    /// When its last packet came.
    pub(crate) fn last(&self) -> Instant {
        self.last
    }

    /// What packets that go this way carry when they come.
    pub(crate) fn carried(&self, direction: Direction) -> FlowKey {
        self.key(self.carried_endpoints(direction))
    }

    /// What packets that go this way carry when they leave.
    #[inline]
    pub(crate) fn given(&self, direction: Direction) -> FlowKey {
        self.key(match direction {
            Direction::Forward => self.rewritten,
            Direction::Reply => self.original.reversed(),
        })
    }

    #[inline]
    fn carried_endpoints(&self, direction: Direction) -> Endpoints {
        match direction {
            Direction::Forward => self.original,
            Direction::Reply => self.rewritten.reversed(),
        }
    }

    /// Whether packets that carry `key` are this flow's, going this way.
    #[inline]
    pub(super) fn matches(&self, direction: Direction, key: &FlowKey, space: u8) -> bool {
        let carried = self.carried_endpoints(direction);
        let [addresses, ports] = [
            u64::from(carried.source) << 32 | u64::from(carried.destination),
            u64::from(self.protocol) << 32 | u64::from(carried.ports),
        ];
        [addresses, ports] == key.words() && self.space == space
    }

    /// Changes of network and transport checksums for packets that go this way.
    #[inline]
    pub(crate) fn deltas(&self, direction: Direction) -> [Delta; 2] {
        match direction {
            Direction::Forward => [self.network_delta, self.transport_delta],
            Direction::Reply => [
                self.network_delta.reversed(),
                self.transport_delta.reversed(),
            ],
        }
    }

    #[inline]
    pub(crate) fn output(&self, direction: Direction) -> usize {
        usize::from(self.outputs[direction as usize])
    }
}
