//! Cutting an IPv4 packet into fragments (RFC 791, section 3.2).

use sprat_click::Context;
use sprat_packet::headers::{Ipv4, Ipv4Mut, Ipv4Options};
use sprat_packet::{Batch, Packet};

/// The options that every fragment carries, filled up to a multiple of four bytes.
struct CopiedOptions {
    bytes: [u8; 40],
    length: usize,
}

impl CopiedOptions {
    fn of(options: Ipv4Options<'_>) -> Self {
        let mut copied = Self {
            bytes: [0; 40],
            length: 0,
        };
        // What follows a malformed option has no meaning.
        for option in options
            .map_while(Result::ok)
            .filter(|option| option.is_copied())
        {
            let end = copied.length + option.bytes.len();
            if let Some(place) = copied.bytes.get_mut(copied.length..end) {
                place.copy_from_slice(option.bytes);
                copied.length = end;
            }
        }
        copied.length = copied.length.next_multiple_of(4);
        copied
    }
}

/// Whether the packet is longer than `mtu` bytes from its IP header on.
#[inline]
pub(super) fn is_too_long(packet: &Packet, mtu: usize) -> bool {
    packet
        .network_header()
        .is_some_and(|bytes| bytes.len() > mtu)
}

/// Cuts a packet so that no part is longer than `mtu` bytes, and gives each to `emit`, the first first.
///
/// The packet itself becomes the first fragment and keeps what stands before its IP header; the others
/// begin with theirs. All keep the annotations. `later` is room to work in, kept between packets.
///
/// # Errors
/// Gives the packet back unchanged.
pub(super) fn fragment(
    context: &mut Context<'_>,
    mut packet: Packet,
    mtu: usize,
    honor_dont_fragment: bool,
    headroom: Option<usize>,
    later: &mut Batch,
    mut emit: impl FnMut(&mut Context<'_>, Packet),
) -> Result<usize, Packet> {
    let Some(Ok(ip)) = packet.network_header().map(Ipv4::new) else {
        return Err(packet);
    };
    if honor_dont_fragment && ip.dont_fragment() {
        return Err(packet);
    }
    let header_length = ip.header_length();
    let first_room = mtu.saturating_sub(header_length) & !7;
    let copied = CopiedOptions::of(ip.options());
    let later_header = 20 + copied.length;
    let later_room = mtu.saturating_sub(later_header) & !7;
    if first_room == 0 || later_room == 0 {
        return Err(packet);
    }
    let mut original = *ip.header();
    // Who forbids fragments may give all packets the same identification.
    if ip.dont_fragment() {
        let identification = context.random_below(1 << 16).to_be_bytes();
        original[4..6].copy_from_slice(&identification[2..]);
    }
    let word = ip.flags_and_offset();
    let (offset, more) = (word & Ipv4::OFFSET_MASK, word & Ipv4::MORE_FRAGMENTS);
    let payload = ip.payload().len();
    if payload <= first_room {
        emit(context, packet);
        return Ok(1);
    }

    let mut parts = 1;
    // The first part is cut last, when the others have been copied from it, and sent first.
    later.clear();
    let mut at = first_room;
    while at < payload {
        let length = later_room.min(payload - at);
        let mut part = context.pool().packet_uninitialised(
            headroom.unwrap_or(sprat_packet::DEFAULT_HEADROOM),
            later_header + length,
        );
        part.copy_metadata(&packet);
        part.clear_headers();
        let (header, body) = part.data_mut().split_at_mut(later_header);
        let (fixed, options) = header.split_at_mut(20);
        fixed.copy_from_slice(&original);
        options.copy_from_slice(&copied.bytes[..copied.length]);
        let source = packet
            .network_header()
            .and_then(|bytes| bytes.get(header_length + at..));
        if let Some(source) = source.and_then(|bytes| bytes.get(..length)) {
            body.copy_from_slice(source);
        }
        let last = at + length == payload;
        write_header(
            part.data_mut(),
            later_header,
            later_header + length,
            if last { more } else { Ipv4::MORE_FRAGMENTS },
            offset + eighths(at),
        );
        part.set_network_header(0, later_header);
        later.push(part);
        at += length;
    }
    let start = packet.network_offset().unwrap_or(0);
    let end = start + isize::try_from(header_length + first_room).unwrap_or(0);
    packet.truncate(usize::try_from(end).unwrap_or(0));
    if let Some(bytes) = packet.network_header_mut() {
        bytes[4..6].copy_from_slice(&original[4..6]);
        write_header(
            bytes,
            header_length,
            header_length + first_room,
            Ipv4::MORE_FRAGMENTS,
            offset,
        );
    }
    emit(context, packet);
    for part in later.drain() {
        parts += 1;
        emit(context, part);
    }
    Ok(parts)
}

/// A payload is shorter than 65,536 bytes, so this is below 8,192.
fn eighths(bytes: usize) -> u16 {
    u16::try_from(bytes / 8).unwrap_or(0)
}

fn write_header(bytes: &mut [u8], header_length: usize, total: usize, more: u16, offset: u16) {
    if let Some(first) = bytes.first_mut() {
        *first = 0x40 | u8::try_from(header_length / 4).unwrap_or(5);
    }
    if let Ok(mut ip) = Ipv4Mut::new(bytes) {
        ip.set_total_length(u16::try_from(total).unwrap_or(u16::MAX));
        ip.set_flags_and_offset(more | offset & Ipv4::OFFSET_MASK);
        ip.fill_checksum();
    }
}
