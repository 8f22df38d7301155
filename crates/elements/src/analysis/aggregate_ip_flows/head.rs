//! What is known of a packet before its ports are.

use core::net::Ipv4Addr;

use sprat_packet::checksum::AddressesAndPorts;
use sprat_packet::flow::FlowKey;
use sprat_packet::headers::Ipv4;
use sprat_packet::headers::protocol::{TCP, UDP};

/// What all fragments of a datagram have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FragmentKey {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    identification: u16,
    pub(super) protocol: u8,
}

/// What is known of a packet before its ports.
pub(super) struct Head {
    pub(super) fragment: FragmentKey,
    pub(super) is_fragment: bool,
    pub(super) first: bool,
    pub(super) ports: Option<[u16; 2]>,
    /// TCP's.
    pub(super) flags: u8,
}

impl Head {
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let ip = Ipv4::new(bytes).ok()?;
        let first = ip.is_first_fragment();
        let segment = ip.payload();
        let ports = segment
            .first_chunk()
            .filter(|_| first)
            .map(|&[a, b, c, d]| [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
        let flags = match ip.protocol() {
            TCP if first => segment.get(13).copied().unwrap_or(0),
            _ => 0,
        };
        Some(Self {
            fragment: FragmentKey {
                source: ip.source(),
                destination: ip.destination(),
                identification: ip.identification(),
                protocol: ip.protocol(),
            },
            is_fragment: ip.is_fragment(),
            first,
            ports,
            flags,
        })
    }

    /// Whether packets like this one are of flows.
    pub(super) fn has_flow(&self) -> bool {
        let unspecified =
            self.fragment.source.is_unspecified() && self.fragment.destination.is_unspecified();
        matches!(self.fragment.protocol, TCP | UDP) && !unspecified
    }

    pub(super) fn pair(&self) -> [Ipv4Addr; 2] {
        let mut pair = [self.fragment.source, self.fragment.destination];
        pair.sort_unstable();
        pair
    }

    /// The key of the packet with these ports.
    pub(super) fn key(&self, [source_port, destination_port]: [u16; 2]) -> FlowKey {
        let tuple = AddressesAndPorts {
            source: self.fragment.source.to_bits(),
            destination: self.fragment.destination.to_bits(),
            source_port,
            destination_port,
        };
        FlowKey::new(tuple, self.fragment.protocol)
    }
}
