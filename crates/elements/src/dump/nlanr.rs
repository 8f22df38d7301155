//! NLANR's traces: cells of one size, of packets' first headers. All numbers are in network byte order.

use sprat_click::Context;
use sprat_packet::annotations::EXTRA_LENGTH;
use sprat_packet::headers::{Ipv4, Ipv4Fields, protocol};
use sprat_packet::{DEFAULT_HEADROOM, Packet};

/// How a packet is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// `fr`: time, addresses, length, protocol, TCP flags and ports.
    Fields,
    /// `fr+`: time, the IP header and all but the last four bytes of the TCP header.
    Headers,
    /// `tsh`: the same, with the interface in the highest byte of the microseconds.
    Interface,
}

/// Bytes of the short cells and of the long ones.
const SHORT: usize = 24;
pub(super) const LONG: usize = 44;

/// Where the IP header of a long cell is.
const NETWORK: usize = 8;

/// Which cells a trace that begins so has.
pub(super) fn guess(begin: &[u8]) -> Cell {
    let header = begin
        .get(NETWORK)
        .is_some_and(|byte| (0x45..=0x4f).contains(byte));
    if header {
        Cell::Interface
    } else {
        Cell::Fields
    }
}

impl Cell {
    /// By the names that FORMAT takes.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "fr" => Some(Self::Fields),
            "fr+" => Some(Self::Headers),
            "tsh" => Some(Self::Interface),
            _ => None,
        }
    }

    pub(super) fn length(self) -> usize {
        match self {
            Self::Fields => SHORT,
            Self::Headers | Self::Interface => LONG,
        }
    }

    /// The packet of a cell; `None` where there are too few bytes.
    pub(super) fn packet(self, context: &Context<'_>, cell: &[u8]) -> Option<Packet> {
        let word = |at: usize| Some(u32::from_be_bytes(*cell.get(at..)?.first_chunk()?));
        let fraction = word(4)?;
        let (fraction, interface) = match self {
            Self::Interface => (fraction & 0x00ff_ffff, fraction.to_be_bytes()[0]),
            Self::Fields | Self::Headers => (fraction, 0),
        };
        let mut headers = [0; LONG - NETWORK];
        let present = match self {
            Self::Fields => described(cell, &mut headers)?,
            Self::Headers | Self::Interface => {
                headers.copy_from_slice(cell.get(NETWORK..LONG)?);
                headers.len()
            }
        };
        let length = usize::from(u16::from_be_bytes([headers[2], headers[3]]));
        let present = present.min(length.max(20));
        let mut packet = context
            .pool()
            .packet_uninitialised(DEFAULT_HEADROOM, present);
        packet.data_mut().copy_from_slice(&headers[..present]);
        packet.set_timestamp(i64::from(word(0)?) * 1_000_000_000 + i64::from(fraction) * 1000);
        packet.set_paint(interface);
        if let Some(missing) = length.checked_sub(present).filter(|missing| *missing > 0) {
            packet.set_annotation_word(EXTRA_LENGTH, u32::try_from(missing).unwrap_or(0));
        }
        if let Ok(ip) = Ipv4::new(&headers[..present]) {
            let (header, destination) = (ip.header_length(), ip.destination());
            packet.set_network_header(0, header);
            packet.set_destination(destination);
        }
        Some(packet)
    }
}

/// Makes headers of what a short cell says; returns their length.
fn described(cell: &[u8], headers: &mut [u8; LONG - NETWORK]) -> Option<usize> {
    let cell: &[u8; SHORT] = cell.first_chunk()?;
    let address = |at: usize| [cell[at], cell[at + 1], cell[at + 2], cell[at + 3]].into();
    let network = Ipv4Fields {
        type_of_service: 0,
        total_length: u16::from_be_bytes([cell[16], cell[17]]),
        identification: 0,
        flags_and_offset: 0,
        time_to_live: 100,
        protocol: cell[18],
        source: address(8),
        destination: address(12),
    };
    headers[..20].copy_from_slice(&network.to_bytes());
    let transport = match network.protocol {
        protocol::TCP => {
            // A header of five words, and its flags.
            headers[32] = 5 << 4;
            headers[33] = cell[19];
            16
        }
        protocol::UDP => 8,
        _ => return Some(20),
    };
    headers[20..24].copy_from_slice(&cell[20..24]);
    if network.protocol == protocol::UDP {
        let length = network.total_length.saturating_sub(20);
        headers[24..26].copy_from_slice(&length.to_be_bytes());
    }
    Some(20 + transport)
}
