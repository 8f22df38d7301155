//! Where a security header goes: behind the packet's own IP header, or between it and a new one.

use core::net::Ipv4Addr;

use sprat_packet::Packet;
use sprat_packet::headers::{Ipv4, Ipv4Fields, Ipv4Mut};

use super::Refusal;

/// Bytes of an IP header without options.
pub(super) const NETWORK: usize = 20;

/// IP in IP, which is what a tunnel's security header has inside (RFC 4303, section 2.6).
pub(super) const IP_IN_IP: u8 = 4;

/// The longest IP packet.
const LONGEST: usize = 0xffff;

/// The ends of a tunnel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tunnel {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
}

/// A security header's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// Bytes of the IP header before it.
    pub(super) at: usize,
    /// The protocol of what it protects.
    pub(super) next_header: u8,
}

/// Has a packet be its IP packet and nothing else.
pub(super) fn unwrap(packet: &mut Packet) -> Result<(), Refusal> {
    let offset = packet
        .network_offset()
        .and_then(|offset| usize::try_from(offset).ok())
        .ok_or(Refusal::Unfit)?;
    if !packet.strip(offset) {
        return Err(Refusal::Unfit);
    }
    let ip = Ipv4::new(packet.data()).map_err(|_| Refusal::Unfit)?;
    let (length, header) = (usize::from(ip.total_length()), ip.header_length());
    if length < header || length > packet.len() {
        return Err(Refusal::Unfit);
    }
    packet.truncate(length);
    packet.set_network_header(0, header);
    Ok(())
}

/// Makes room for a security header of so many bytes in an unwrapped packet.
pub(super) fn make_room(
    packet: &mut Packet,
    tunnel: Option<Tunnel>,
    protocol: u8,
    header: usize,
    identification: u16,
) -> Result<Place, Refusal> {
    let ip = Ipv4::new(packet.data()).map_err(|_| Refusal::Unfit)?;
    let fields = ip.fields();
    let (at, next_header) = match tunnel {
        Some(_) => (NETWORK, IP_IN_IP),
        // What is protected end to end is protected before it is cut up.
        None if ip.is_fragment() => return Err(Refusal::Unfit),
        None => (ip.header_length(), ip.protocol()),
    };
    match tunnel {
        Some(tunnel) => {
            packet.prepend(NETWORK + header);
            let outer = Ipv4Fields {
                // Congestion marks and priority are those of the inner packet (RFC 6040, RFC 4301).
                type_of_service: fields.type_of_service,
                total_length: 0,
                identification,
                // Don't fragment, where the inner packet says so.
                flags_and_offset: fields.flags_and_offset & 0x4000,
                time_to_live: 64,
                protocol,
                source: tunnel.source,
                destination: tunnel.destination,
            };
            packet.data_mut()[..NETWORK].copy_from_slice(&outer.to_bytes());
        }
        None => {
            packet.prepend(header);
            packet.data_mut().copy_within(header..header + at, 0);
            packet.data_mut()[9] = protocol;
        }
    }
    Ok(Place { at, next_header })
}

/// Has the IP header say how long the packet has become.
pub(super) fn settle(packet: &mut Packet) -> Result<(), Refusal> {
    let length = packet.len();
    let mut ip = Ipv4Mut::new(packet.data_mut()).map_err(|_| Refusal::Unfit)?;
    let Some(total) = u16::try_from(length).ok().filter(|_| length <= LONGEST) else {
        return Err(Refusal::Unfit);
    };
    ip.set_total_length(total);
    ip.fill_checksum();
    let (header, destination) = (ip.header_length(), ip.destination());
    packet.set_network_header(0, header);
    packet.set_destination(destination);
    Ok(())
}

/// Takes a security header of so many bytes out of its place.
pub(super) fn take_out(
    packet: &mut Packet,
    place: Place,
    header: usize,
    tunnel: bool,
) -> Result<(), Refusal> {
    if tunnel != (place.next_header == IP_IN_IP) {
        return Err(Refusal::Unfit);
    }
    if tunnel {
        if !packet.strip(place.at + header) {
            return Err(Refusal::Unfit);
        }
        packet.set_network_header(0, NETWORK);
        return unwrap(packet);
    }
    packet.data_mut().copy_within(..place.at, header);
    if !packet.strip(header) {
        return Err(Refusal::Unfit);
    }
    packet.data_mut()[9] = place.next_header;
    settle(packet)
}
