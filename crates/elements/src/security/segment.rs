//! TCP segments: what their headers say, and those that an element sends of its own.

use core::net::Ipv4Addr;

use sprat_click::Context;
use sprat_packet::checksum::update_u32;
use sprat_packet::headers::protocol::TCP;
use sprat_packet::headers::{
    Ipv4, Ipv4Fields, Ipv4Mut, Tcp, TcpFields, TcpMut, TcpOption, tcp_option,
};
use sprat_packet::{DEFAULT_HEADROOM, Packet};

use super::syn_cookie::Connection;

/// A segment without data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) from: (Ipv4Addr, u16),
    pub(super) to: (Ipv4Addr, u16),
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
    /// The maximum segment size option.
    pub(super) size: Option<u16>,
}

/// Bytes of an IP header, of a TCP header, and of the one option.
const NETWORK: usize = 20;
const TRANSPORT: usize = 20;
const OPTION: usize = 4;

impl Segment {
    /// The segment as an IP packet.
    pub(super) fn packet(&self, context: &Context<'_>) -> Packet {
        let header = TRANSPORT + self.size.map_or(0, |_| OPTION);
        let length = NETWORK + header;
        let network = Ipv4Fields {
            type_of_service: 0,
            total_length: u16::try_from(length).unwrap_or(u16::MAX),
            identification: 0,
            // Don't fragment: identification means nothing then (RFC 6864).
            flags_and_offset: 0x4000,
            time_to_live: 64,
            protocol: TCP,
            source: self.from.0,
            destination: self.to.0,
        };
        let transport = TcpFields {
            source_port: self.from.1,
            destination_port: self.to.1,
            sequence: self.sequence,
            acknowledgement: self.acknowledgement,
            flags: self.flags,
            window: self.window,
            checksum: 0,
            urgent: 0,
        };
        let mut packet = context
            .pool()
            .packet_uninitialised(DEFAULT_HEADROOM, length);
        let bytes = packet.data_mut();
        bytes[..NETWORK].copy_from_slice(&network.to_bytes());
        bytes[NETWORK..NETWORK + TRANSPORT].copy_from_slice(&transport.to_bytes());
        if let Some(size) = self.size {
            let [high, low] = size.to_be_bytes();
            let option = [tcp_option::MAXIMUM_SEGMENT_SIZE, 4, high, low];
            bytes[NETWORK + TRANSPORT..].copy_from_slice(&option);
        }
        if let Ok(mut ip) = Ipv4Mut::new(bytes) {
            let length = u16::try_from(header).unwrap_or(u16::MAX);
            let pseudo_header = ip.pseudo_header(length);
            if let Ok(mut tcp) = TcpMut::new(ip.payload_mut()) {
                let words = u8::try_from(header / 4).unwrap_or(5);
                tcp.set_data_offset_and_reserved(words << 4);
                tcp.fill_checksum(pseudo_header);
            }
        }
        packet.set_network_header(0, NETWORK);
        packet.set_destination(self.to.0);
        packet.set_timestamp(context.timestamp().0);
        packet
    }
}

/// Where packets come from; their output has the same number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client = 0,
    Server = 1,
}

/// What a segment's header says.
pub(super) struct Header {
    pub(super) connection: Connection,
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
    pub(super) size: u16,
}

/// What a host that says nothing takes (RFC 9293, section 3.7.1).
const LEAST_SIZE: u16 = 536;

impl Header {
    /// The header of a TCP segment from one side; `None` where it is none, or a later fragment.
    pub(super) fn of(packet: &Packet, side: Side) -> Option<Self> {
        let ip = Ipv4::new(packet.network_header()?).ok()?;
        if ip.protocol() != TCP || !ip.is_first_fragment() {
            return None;
        }
        let tcp = Tcp::new(ip.payload()).ok()?;
        let source = (ip.source(), tcp.source_port());
        let destination = (ip.destination(), tcp.destination_port());
        let (client, server) = match side {
            Side::Client => (source, destination),
            Side::Server => (destination, source),
        };
        let size = tcp.options().find_map(|option| match option {
            Ok(TcpOption::MaximumSegmentSize(size)) => Some(size),
            _ => None,
        });
        Some(Self {
            connection: Connection { client, server },
            sequence: tcp.sequence(),
            acknowledgement: tcp.acknowledgement(),
            flags: tcp.flags(),
            window: tcp.window(),
            size: size.unwrap_or(LEAST_SIZE),
        })
    }

    /// Whether exactly `wanted` is set of `among`.
    pub(super) fn has(&self, wanted: u8, among: u8) -> bool {
        self.flags & among == wanted
    }
}

/// Shifts the number at one place of a segment.
pub(super) fn shift(packet: &mut Packet, side: Side, by: u32) {
    let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) else {
        return;
    };
    let Ok(mut tcp) = TcpMut::new(ip.payload_mut()) else {
        return;
    };
    let (old, new);
    match side {
        Side::Client => {
            old = tcp.acknowledgement();
            new = old.wrapping_add(by);
            tcp.set_acknowledgement(new);
        }
        Side::Server => {
            old = tcp.sequence();
            new = old.wrapping_sub(by);
            tcp.set_sequence(new);
        }
    }
    let checksum = update_u32(tcp.checksum(), old, new);
    tcp.set_checksum(checksum);
}
