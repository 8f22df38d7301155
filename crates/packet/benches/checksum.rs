//! The Internet checksum against the loop that RFC 1071 prints.

use divan::{Bencher, black_box, counter::BytesCount};
use sprat_packet::checksum::{internet_checksum, ipv4_header_checksum};

fn main() {
    divan::main();
}

/// RFC 1071, section 4.1: sixteen bits at a time.
fn naive(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    let mut pairs = bytes.chunks_exact(2);
    for pair in &mut pairs {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    if let [last] = pairs.remainder() {
        sum += u32::from(*last) << 8;
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

const LENGTHS: &[usize] = &[20, 40, 64, 576, 1500];

#[divan::bench(args = LENGTHS)]
fn fast(bencher: Bencher<'_, '_>, length: usize) {
    let bytes = vec![0xa5_u8; length];
    bencher
        .counter(BytesCount::new(length))
        .bench(|| internet_checksum(black_box(&bytes)));
}

#[divan::bench(args = LENGTHS)]
fn rfc_loop(bencher: Bencher<'_, '_>, length: usize) {
    let bytes = vec![0xa5_u8; length];
    bencher
        .counter(BytesCount::new(length))
        .bench(|| naive(black_box(&bytes)));
}

#[divan::bench]
fn header_of_twenty_bytes(bencher: Bencher<'_, '_>) {
    let header = [0x45_u8; 20];
    bencher
        .counter(BytesCount::new(20_usize))
        .bench(|| ipv4_header_checksum(black_box(&header)));
}
