//! Frames out of fuzz input, with checksums that are right where the input asks for it: a random
//! one seldom is, and most elements look no further at a packet whose checksum is wrong.

use sprat_packet::headers::{IcmpMut, Ipv4, Ipv4Mut, TcpMut, UdpMut};

/// Most frames of one input.
const MOST: usize = 16;

/// Set in a frame's length: the checksum of its IPv4 header is to be filled in.
const FILL_NETWORK: u16 = 1 << 15;
/// Set in a frame's length: so is that of TCP, UDP or ICMP.
const FILL_TRANSPORT: u16 = 1 << 14;
/// The bits that are a frame's length.
const LENGTH: u16 = 0x7ff;

/// The frames in `bytes`: two bytes of length and flags before each, little end first.
pub fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((&head, rest)) = bytes.split_first_chunk::<2>()
        && frames.len() < MOST
    {
        let head = u16::from_le_bytes(head);
        let (frame, rest) = rest.split_at(usize::from(head & LENGTH).min(rest.len()));
        bytes = rest;
        let mut frame = frame.to_vec();
        fill(&mut frame, head);
        frames.push(frame);
    }
    frames
}

fn fill(frame: &mut [u8], flags: u16) {
    let Some(packet) = frame.get_mut(14..) else { return };
    if flags & FILL_NETWORK != 0
        && let Ok(mut view) = Ipv4Mut::new(packet)
    {
        view.fill_checksum();
    }
    if flags & FILL_TRANSPORT == 0 {
        return;
    }
    let Ok(view) = Ipv4::new(packet) else { return };
    let (start, length, pseudo_header) = (view.header_length(), view.payload().len(), view.pseudo_header(0));
    let protocol = packet[9];
    let payload = &mut packet[start..start + length];
    match protocol {
        1 => IcmpMut::new(payload).map(|mut view| view.fill_checksum()).unwrap_or_default(),
        6 => TcpMut::new(payload).map(|mut view| view.fill_checksum(pseudo_header)).unwrap_or_default(),
        17 => UdpMut::new(payload).map(|mut view| view.fill_checksum(pseudo_header)).unwrap_or_default(),
        _ => {}
    }
}
