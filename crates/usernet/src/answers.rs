//! What the gateway answers and asks itself: ARP, DHCP and ICMP echoes.

use std::net::{Ipv4Addr, SocketAddrV4};

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpMessageType,
    DhcpPacket, DhcpRepr, EthernetAddress, EthernetProtocol, Icmpv4Packet, Icmpv4Repr, IpProtocol,
    Ipv4Repr, UDP_HEADER_LEN,
};

use super::network::{GATEWAY, GATEWAY_ETHERNET, GUEST, NAME_SERVER, PREFIX};
use super::packets;
use super::queue::Queue;

/// How long the instance may keep its address, in seconds.
const LEASE: u32 = 86_400;

/// Answers whoever asks for the gateway or the name server. Says who asked.
pub(super) fn arp(queue: &mut Queue, bytes: &[u8]) -> Option<Ipv4Addr> {
    let packet = ArpPacket::new_checked(bytes).ok()?;
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        source_protocol_addr,
        target_protocol_addr,
        ..
    } = ArpRepr::parse(&packet).ok()?
    else {
        return None;
    };
    let ours = [GATEWAY, NAME_SERVER].contains(&target_protocol_addr);
    if operation == ArpOperation::Request && ours {
        let answer = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: EthernetAddress(GATEWAY_ETHERNET),
            source_protocol_addr: target_protocol_addr,
            target_hardware_addr: source_hardware_addr,
            target_protocol_addr: source_protocol_addr,
        };
        if let Some(bytes) = queue.add(EthernetProtocol::Arp, answer.buffer_len()) {
            answer.emit(&mut ArpPacket::new_unchecked(bytes));
        }
    }
    Some(source_protocol_addr)
}

/// Asks for an address of the instance, as the gateway.
pub(super) fn ask(queue: &mut Queue, address: Ipv4Addr) {
    let question = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(GATEWAY_ETHERNET),
        source_protocol_addr: GATEWAY,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: address,
    };
    let everybody = EthernetAddress::BROADCAST.0;
    let length = question.buffer_len();
    if let Some(bytes) = queue.add_to(everybody, EthernetProtocol::Arp, length) {
        question.emit(&mut ArpPacket::new_unchecked(bytes));
    }
}

/// Answers an echo request to the gateway or the name server; false for anything else.
pub(super) fn echo(queue: &mut Queue, from: Ipv4Addr, to: Ipv4Addr, bytes: &[u8]) -> bool {
    if ![GATEWAY, NAME_SERVER].contains(&to) {
        return false;
    }
    let Ok(packet) = Icmpv4Packet::new_checked(bytes) else {
        return false;
    };
    let Ok(Icmpv4Repr::EchoRequest {
        ident,
        seq_no,
        data,
    }) = Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default())
    else {
        return false;
    };
    let answer = Icmpv4Repr::EchoReply {
        ident,
        seq_no,
        data,
    };
    let (from, to) = (SocketAddrV4::new(from, 0), SocketAddrV4::new(to, 0));
    packets::icmp(queue, to, from, &answer);
    true
}

/// Answers a DHCP client; false for anything else. `acknowledged` is set when it was given its
/// address for good.
pub(super) fn dhcp(queue: &mut Queue, bytes: &[u8], acknowledged: &mut bool) -> bool {
    let Ok(packet) = DhcpPacket::new_checked(bytes) else {
        return false;
    };
    let Ok(request) = DhcpRepr::parse(&packet) else {
        return false;
    };
    let wanted = request.requested_ip.unwrap_or(request.client_ip);
    let message_type = match request.message_type {
        DhcpMessageType::Discover => DhcpMessageType::Offer,
        DhcpMessageType::Request if request.server_identifier.is_some_and(|id| id != GATEWAY) => {
            // It has chosen another server.
            return true;
        }
        DhcpMessageType::Request if wanted == GUEST => DhcpMessageType::Ack,
        DhcpMessageType::Request => DhcpMessageType::Nak,
        _ => return true,
    };
    let granted = message_type != DhcpMessageType::Nak;
    *acknowledged = message_type == DhcpMessageType::Ack;
    let mask = Ipv4Addr::from_bits(u32::MAX << (32 - PREFIX));
    let answer = DhcpRepr {
        message_type,
        transaction_id: request.transaction_id,
        secs: 0,
        client_hardware_address: request.client_hardware_address,
        client_ip: Ipv4Addr::UNSPECIFIED,
        your_ip: if granted {
            GUEST
        } else {
            Ipv4Addr::UNSPECIFIED
        },
        server_ip: Ipv4Addr::UNSPECIFIED,
        router: granted.then_some(GATEWAY),
        subnet_mask: granted.then_some(mask),
        relay_agent_ip: Ipv4Addr::UNSPECIFIED,
        broadcast: request.broadcast,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(GATEWAY),
        parameter_request_list: None,
        dns_servers: granted.then(|| [NAME_SERVER].into_iter().collect()),
        max_size: None,
        lease_duration: granted.then_some(LEASE),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    send(queue, &answer);
    true
}

/// To everybody, since whom it is for has no address yet.
fn send(queue: &mut Queue, answer: &DhcpRepr<'_>) {
    let from = SocketAddrV4::new(GATEWAY, DHCP_SERVER_PORT);
    let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, DHCP_CLIENT_PORT);
    let mut message = vec![0; answer.buffer_len()];
    if answer
        .emit(&mut DhcpPacket::new_unchecked(&mut message))
        .is_err()
    {
        return;
    }
    let header = Ipv4Repr {
        src_addr: *from.ip(),
        dst_addr: *to.ip(),
        next_header: IpProtocol::Udp,
        payload_len: UDP_HEADER_LEN + message.len(),
        hop_limit: 64,
    };
    let length = header.buffer_len() + header.payload_len;
    if let Some(bytes) = queue.add_to([0xff; 6], EthernetProtocol::Ipv4, length) {
        packets::write_udp(bytes, &header, from, to, &message);
    }
}
