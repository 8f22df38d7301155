//! Packets that the port makes itself.

use std::net::SocketAddrV4;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetProtocol, Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Packet,
    Ipv4Repr, UDP_HEADER_LEN, UdpPacket, UdpRepr,
};

use super::queue::Queue;

/// What new packets live through at most.
const HOP_LIMIT: u8 = 64;

fn ipv4(from: SocketAddrV4, to: SocketAddrV4, protocol: IpProtocol, length: usize) -> Ipv4Repr {
    Ipv4Repr {
        src_addr: *from.ip(),
        dst_addr: *to.ip(),
        next_header: protocol,
        payload_len: length,
        hop_limit: HOP_LIMIT,
    }
}

/// Queues a datagram to the instance; false where it is too long for the link, or the queue full.
pub(super) fn udp(queue: &mut Queue, from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> bool {
    let header = ipv4(from, to, IpProtocol::Udp, UDP_HEADER_LEN + payload.len());
    let length = header.buffer_len() + header.payload_len;
    let Some(bytes) = queue.add(EthernetProtocol::Ipv4, length) else {
        return false;
    };
    write_udp(bytes, &header, from, to, payload);
    true
}

/// Writes a datagram.
pub(super) fn write_udp(
    bytes: &mut [u8],
    header: &Ipv4Repr,
    from: SocketAddrV4,
    to: SocketAddrV4,
    payload: &[u8],
) {
    let checksums = ChecksumCapabilities::default();
    let mut packet = Ipv4Packet::new_unchecked(bytes);
    header.emit(&mut packet, &checksums);
    let ports = UdpRepr {
        src_port: from.port(),
        dst_port: to.port(),
    };
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    ports.emit(
        &mut datagram,
        &(*from.ip()).into(),
        &(*to.ip()).into(),
        payload.len(),
        |room| room.copy_from_slice(payload),
        &checksums,
    );
}

/// Tells the instance that nobody listens where it sent a datagram.
pub(super) fn port_unreachable(queue: &mut Queue, guest: SocketAddrV4, remote: SocketAddrV4) {
    let mut ports = [0; UDP_HEADER_LEN];
    ports[..2].copy_from_slice(&guest.port().to_be_bytes());
    ports[2..4].copy_from_slice(&remote.port().to_be_bytes());
    ports[5] = 8;
    let message = Icmpv4Repr::DstUnreachable {
        reason: Icmpv4DstUnreachable::PortUnreachable,
        header: ipv4(guest, remote, IpProtocol::Udp, UDP_HEADER_LEN),
        data: &ports,
    };
    icmp(queue, remote, guest, &message);
}

/// Queues an ICMP message to the instance.
pub(super) fn icmp(
    queue: &mut Queue,
    from: SocketAddrV4,
    to: SocketAddrV4,
    message: &Icmpv4Repr<'_>,
) {
    let checksums = ChecksumCapabilities::default();
    let header = ipv4(from, to, IpProtocol::Icmp, message.buffer_len());
    let length = header.buffer_len() + header.payload_len;
    if let Some(bytes) = queue.add(EthernetProtocol::Ipv4, length) {
        let mut packet = Ipv4Packet::new_unchecked(bytes);
        header.emit(&mut packet, &checksums);
        message.emit(
            &mut Icmpv4Packet::new_unchecked(packet.payload_mut()),
            &checksums,
        );
    }
}
