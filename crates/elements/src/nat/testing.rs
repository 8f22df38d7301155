//! Packets for the tests of rewriters.

use std::vec::Vec;

use sprat_packet::checksum::{Sum, internet_checksum};

/// A host behind a rewriter, one before it, and the address that the first is given.
pub(super) const INSIDE: [u8; 4] = [10, 0, 0, 1];
pub(super) const OUTSIDE: [u8; 4] = [192, 0, 2, 7];
pub(super) const PUBLIC: [u8; 4] = [198, 51, 100, 1];

/// A UDP or TCP packet with right checksums.
pub(super) fn packet(
    protocol: u8,
    source: [u8; 4],
    source_port: u16,
    destination: [u8; 4],
    port: u16,
    flags: u8,
) -> Vec<u8> {
    let transport_length: u8 = if protocol == 6 { 24 } else { 12 };
    let mut bytes = std::vec![0; 20 + usize::from(transport_length)];
    bytes[0] = 0x45;
    bytes[3] = 20 + transport_length;
    bytes[8] = 64;
    bytes[9] = protocol;
    bytes[12..16].copy_from_slice(&source);
    bytes[16..20].copy_from_slice(&destination);
    let sum = internet_checksum(&bytes[..20]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes[20..22].copy_from_slice(&source_port.to_be_bytes());
    bytes[22..24].copy_from_slice(&port.to_be_bytes());
    let checksum = if protocol == 6 {
        bytes[32] = 0x50;
        bytes[33] = flags;
        36
    } else {
        bytes[25] = transport_length;
        26
    };
    let sum = transport_sum(&bytes).finish();
    bytes[checksum..checksum + 2].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// The sum of a packet's pseudo-header and transport segment: zero once complemented if right.
pub(super) fn transport_sum(bytes: &[u8]) -> Sum {
    let length = u16::try_from(bytes.len() - 20).unwrap();
    Sum::new()
        .add_bytes(&bytes[12..20])
        .add_u16(u16::from(bytes[9]))
        .add_u16(length)
        .add_bytes(&bytes[20..])
}

pub(super) fn assert_sums(bytes: &[u8]) {
    assert_eq!(internet_checksum(&bytes[..20]), 0);
    assert_eq!(transport_sum(bytes).finish(), 0);
}

/// A TCP segment that acknowledges, from an address and port to another, with sequence and
/// acknowledgement numbers and right checksums.
pub(super) fn segment(
    (source, source_port): ([u8; 4], u16),
    (destination, port): ([u8; 4], u16),
    numbers: [u32; 2],
    payload: &[u8],
) -> Vec<u8> {
    let mut bytes = packet(6, source, source_port, destination, port, 16);
    bytes.truncate(40);
    bytes.extend(payload);
    let length = u16::try_from(bytes.len()).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes[10..12].fill(0);
    let sum = internet_checksum(&bytes[..20]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    for (at, number) in [24, 28].into_iter().zip(numbers) {
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    bytes[36..38].fill(0);
    let sum = transport_sum(&bytes).finish();
    bytes[36..38].copy_from_slice(&sum.to_be_bytes());
    bytes
}
