//! TCP segments: those that elements make, and what those that come say.

use sprat_click::Context;
use sprat_packet::checksum::Sum;
use sprat_packet::headers::{Ipv4, Ipv4Fields, Tcp, TcpFields, protocol, tcp_flags};
use sprat_packet::{DEFAULT_HEADROOM, Packet};

/// Bytes of IP and TCP headers.
pub(super) const HEADERS: usize = 40;

/// An IP packet with a segment whose checksum stays what `tcp` says.
pub(super) fn unsummed(
    context: &Context<'_>,
    network: Ipv4Fields,
    tcp: TcpFields,
    payload: &[u8],
) -> Packet {
    let length = HEADERS + payload.len();
    let network = Ipv4Fields {
        total_length: u16::try_from(length).unwrap_or(u16::MAX),
        protocol: protocol::TCP,
        ..network
    };
    let mut packet = context
        .pool()
        .packet_uninitialised(DEFAULT_HEADROOM, length);
    let bytes = packet.data_mut();
    bytes[..20].copy_from_slice(&network.to_bytes());
    bytes[20..HEADERS].copy_from_slice(&tcp.to_bytes());
    bytes[HEADERS..].copy_from_slice(payload);
    packet.set_network_header(0, 20);
    packet
}

/// An IP packet with a segment.
pub(super) fn segment(
    context: &Context<'_>,
    network: Ipv4Fields,
    tcp: TcpFields,
    payload: &[u8],
) -> Packet {
    let (source, destination) = (network.source, network.destination);
    let length = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX);
    let tcp = TcpFields { checksum: 0, ..tcp };
    let checksum = Sum::pseudo_header_v4(source, destination, protocol::TCP, length)
        .add_bytes(&tcp.to_bytes())
        .add_bytes(payload)
        .finish();
    unsummed(context, network, TcpFields { checksum, ..tcp }, payload)
}

/// The headers of a packet that holds a segment, or the first part of one.
pub(super) fn headers(packet: &Packet) -> Option<(Ipv4<'_>, Tcp<'_>)> {
    let ip = Ipv4::new(packet.network_header()?).ok()?;
    if ip.protocol() != protocol::TCP || !ip.is_first_fragment() {
        return None;
    }
    let tcp = Tcp::new(ip.payload()).ok()?;
    Some((ip, tcp))
}

/// By how much a segment moves the sequence number on.
pub(super) fn sequence_length(tcp: &Tcp<'_>) -> u32 {
    // Segments are shorter than 65,536 bytes.
    let payload = u32::try_from(tcp.payload().len()).unwrap_or(0);
    payload + u32::from(tcp.has_any(tcp_flags::SYN | tcp_flags::FIN))
}

/// Whether sequence number `one` comes before `other` (RFC 9293, section 3.4).
pub(super) fn before(one: u32, other: u32) -> bool {
    one.wrapping_sub(other) > 1 << 31
}
