//! Frames out of fuzz input, with checksums that are right where the input asks for it: a random
//! one seldom is, and most elements look no further at a packet whose checksum is wrong.

use sprat_packet::checksum::Sum;
use sprat_packet::headers::{Icmpv6Mut, IcmpMut, Ipv4, Ipv4Mut, Ipv6, TcpMut, UdpMut};

/// Most frames of one input.
const MOST: usize = 16;

/// Set in a frame's length: the checksum of its IPv4 header is to be filled in.
const FILL_NETWORK: u16 = 1 << 15;
/// Set in a frame's length: so is that of TCP, UDP or ICMP.
const FILL_TRANSPORT: u16 = 1 << 14;
/// The bits that are a frame's length.
const LENGTH: u16 = 0x7ff;

/// The frames in `bytes`: two bytes of length and flags before each, little end first.
pub fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let records = records(bytes).into_iter();
    records
        .map(|(flags, mut frame)| {
            fill(&mut frame, flags);
            frame
        })
        .collect()
}

/// The same frames as they stand there, and the two bytes before each.
pub fn records(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut records = Vec::new();
    while let Some((&head, rest)) = bytes.split_first_chunk::<2>()
        && records.len() < MOST
    {
        let head = u16::from_le_bytes(head);
        let (frame, rest) = rest.split_at(usize::from(head & LENGTH).min(rest.len()));
        bytes = rest;
        records.push((head, frame.to_vec()));
    }
    records
}

/// Fills in the checksums that the flags ask for.
pub fn fill(frame: &mut [u8], flags: u16) {
    let Some(packet) = frame.get_mut(14..) else { return };
    if flags & FILL_NETWORK != 0
        && let Ok(mut view) = Ipv4Mut::new(packet)
    {
        view.fill_checksum();
    }
    if flags & FILL_TRANSPORT == 0 {
        return;
    }
    if let Ok(view) = Ipv4::new(packet) {
        let (start, length, pseudo_header) = (view.header_length(), view.payload().len(), view.pseudo_header(0));
        let protocol = packet[9];
        fill_transport(protocol, pseudo_header, &mut packet[start..start + length]);
    } else if let Ok(view) = Ipv6::new(packet)
        && let Ok(upper) = view.upper_layer()
    {
        let start = packet.len() - view.payload().len() + upper.offset;
        let length = u32::try_from(packet.len() - start).unwrap_or(0);
        let pseudo_header = view.pseudo_header(upper.protocol, length);
        fill_transport(upper.protocol, pseudo_header, &mut packet[start..]);
    }
}

fn fill_transport(protocol: u8, pseudo_header: Sum, payload: &mut [u8]) {
    match protocol {
        1 => IcmpMut::new(payload).map(|mut view| view.fill_checksum()).unwrap_or_default(),
        6 => TcpMut::new(payload).map(|mut view| view.fill_checksum(pseudo_header)).unwrap_or_default(),
        58 => Icmpv6Mut::new(payload).map(|mut view| view.fill_checksum(pseudo_header)).unwrap_or_default(),
        17 => UdpMut::new(payload).map(|mut view| view.fill_checksum(pseudo_header)).unwrap_or_default(),
        _ => {}
    }
}
