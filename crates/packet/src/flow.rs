//! The five values that name an IPv4 flow, and a keyed hash for tables of flows.

use crate::checksum::AddressesAndPorts;
use crate::headers::{Ipv4, protocol};
use core::hash::{BuildHasher, Hash, Hasher};
use core::net::Ipv4Addr;

/// Addresses, ports and protocol of an IPv4 packet in 16 bytes.
///
/// Two words, so that comparing and hashing take a few instructions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FlowKey {
    addresses: u64,
    ports_and_protocol: u64,
}

impl FlowKey {
    /// A key from its parts.
    #[inline]
    #[must_use]
    pub const fn new(tuple: AddressesAndPorts, protocol: u8) -> Self {
        Self {
            addresses: (tuple.source as u64) << 32 | tuple.destination as u64,
            ports_and_protocol: (protocol as u64) << 32
                | (tuple.source_port as u64) << 16
                | tuple.destination_port as u64,
        }
    }

    /// The key of a packet. Ports are read for TCP, UDP, DCCP, SCTP and UDP-Lite when the packet is whole
    /// or a first fragment that holds them, and are zero otherwise.
    #[inline]
    #[must_use]
    pub fn of(packet: &Ipv4<'_>) -> Self {
        let kind = packet.protocol();
        let has_ports = matches!(
            kind,
            protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDP_LITE
        ) && packet.is_first_fragment();
        let ports = match packet.payload().first_chunk::<4>() {
            Some(ports) if has_ports => u32::from_be_bytes(*ports),
            _ => 0,
        };
        Self {
            addresses: u64::from(packet.source().to_bits()) << 32
                | u64::from(packet.destination().to_bits()),
            ports_and_protocol: u64::from(kind) << 32 | u64::from(ports),
        }
    }

    /// Source address.
    #[inline]
    #[must_use]
    pub const fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(high_half(self.addresses))
    }

    /// Destination address.
    #[inline]
    #[must_use]
    pub const fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(low_half(self.addresses))
    }

    /// Source port.
    #[inline]
    #[must_use]
    pub const fn source_port(&self) -> u16 {
        let [_, _, high, low, ..] = low_half(self.ports_and_protocol).to_le_bytes();
        u16::from_le_bytes([high, low])
    }

    /// Destination port.
    #[inline]
    #[must_use]
    pub const fn destination_port(&self) -> u16 {
        let [low, high, ..] = low_half(self.ports_and_protocol).to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Protocol number.
    #[inline]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        let [protocol, ..] = high_half(self.ports_and_protocol).to_le_bytes();
        protocol
    }

    /// Addresses and ports.
    #[inline]
    #[must_use]
    pub const fn tuple(&self) -> AddressesAndPorts {
        AddressesAndPorts {
            source: high_half(self.addresses),
            destination: low_half(self.addresses),
            source_port: self.source_port(),
            destination_port: self.destination_port(),
        }
    }

    /// The key of the answering direction.
    #[inline]
    #[must_use]
    pub const fn reversed(&self) -> Self {
        let ports = low_half(self.ports_and_protocol).rotate_left(16);
        Self {
            addresses: self.addresses.rotate_left(32),
            ports_and_protocol: self.ports_and_protocol & !0xffff_ffff | ports as u64,
        }
    }

    /// The key as two words, for tables of their own making.
    #[inline]
    #[must_use]
    pub const fn words(&self) -> [u64; 2] {
        [self.addresses, self.ports_and_protocol]
    }
}

impl core::fmt::Debug for FlowKey {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(
            out,
            "{}:{} > {}:{} protocol {}",
            self.source(),
            self.source_port(),
            self.destination(),
            self.destination_port(),
            self.protocol()
        )
    }
}

impl Hash for FlowKey {
    #[inline]
    fn hash<S: Hasher>(&self, state: &mut S) {
        state.write_u64(self.addresses);
        state.write_u64(self.ports_and_protocol);
    }
}

#[inline]
const fn low_half(word: u64) -> u32 {
    let [a, b, c, d, ..] = word.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[inline]
const fn high_half(word: u64) -> u32 {
    low_half(word >> 32)
}

/// A keyed hash for small keys: words are mixed by 64×64→128-bit multiplication whose halves are folded
/// together, as in wyhash. With a seed that senders do not know they cannot aim at one bucket; it is no
/// cryptographic promise.
///
/// Usable as the hasher of a `hashbrown` map, and directly by [`FlowHash::of`].
#[derive(Debug, Clone, Copy)]
pub struct FlowHash {
    keys: [u64; 2],
}

/// Odd constants with as many ones as zeros (fractional digits of pi), so that a weak seed still mixes.
const PI: [u64; 4] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7345,
    0xa409_3822_299f_31d1,
    0x082e_fa98_ec4e_6c89,
];

#[inline]
const fn fold_multiply(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    low_word(product) ^ low_word(product >> 64)
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the high word is taken apart by the caller"
)]
const fn low_word(product: u128) -> u64 {
    product as u64
}

impl FlowHash {
    /// A hash with a seed, which should be secret and differ between runs.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        let first = fold_multiply(seed ^ PI[0], PI[1]);
        Self {
            keys: [first ^ PI[2], fold_multiply(first ^ seed, PI[3]) ^ PI[0]],
        }
    }

    /// The hash of a flow. All 64 bits are good.
    #[inline]
    #[must_use]
    pub const fn of(&self, key: &FlowKey) -> u64 {
        self.of_words(key.addresses, key.ports_and_protocol)
    }

    /// The hash of two words.
    #[inline]
    #[must_use]
    pub const fn of_words(&self, first: u64, second: u64) -> u64 {
        let mixed = fold_multiply(first ^ self.keys[0], second ^ self.keys[1]);
        fold_multiply(mixed ^ self.keys[1], PI[1])
    }
}

impl BuildHasher for FlowHash {
    type Hasher = FlowHasher;

    #[inline]
    fn build_hasher(&self) -> FlowHasher {
        FlowHasher {
            state: self.keys[0],
            key: self.keys[1],
        }
    }
}

/// The [`Hasher`] of [`FlowHash`].
#[derive(Debug, Clone)]
pub struct FlowHasher {
    state: u64,
    key: u64,
}

impl Hasher for FlowHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (place, byte) in last.iter_mut().zip(tail) {
            *place = *byte;
        }
        // The length keeps apart keys that differ in trailing zeros only.
        self.write_u64(u64::from_le_bytes(last) ^ (bytes.len() as u64) << 56);
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.state = fold_multiply(self.state ^ value, self.key).rotate_left(23) ^ value;
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        fold_multiply(self.state ^ self.key, PI[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::{Ipv4Fields, UdpFields};
    use proptest::prelude::*;
    use std::collections::HashSet;
    use std::vec::Vec;

    fn packet(protocol: u8, flags_and_offset: u16) -> Vec<u8> {
        let header = Ipv4Fields {
            type_of_service: 0,
            total_length: 28,
            identification: 0,
            flags_and_offset,
            time_to_live: 64,
            protocol,
            source: Ipv4Addr::new(10, 0, 0, 1),
            destination: Ipv4Addr::new(10, 0, 0, 2),
        };
        let ports = UdpFields {
            source_port: 5353,
            destination_port: 53,
            length: 8,
            checksum: 0,
        };
        [&header.to_bytes()[..], &ports.to_bytes()[..]].concat()
    }

    #[test]
    fn key_is_sixteen_bytes() {
        assert_eq!(size_of::<FlowKey>(), 16);
    }

    #[test]
    fn key_of_a_packet_holds_its_five_values() {
        let bytes = packet(protocol::UDP, 0);
        let key = FlowKey::of(&Ipv4::new(&bytes).unwrap());
        assert_eq!(key.source(), Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(key.destination(), Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(
            (key.source_port(), key.destination_port(), key.protocol()),
            (5353, 53, 17)
        );
    }

    #[test]
    fn later_fragments_and_portless_protocols_have_no_ports() {
        for bytes in [packet(protocol::UDP, 1), packet(protocol::ICMP, 0)] {
            let key = FlowKey::of(&Ipv4::new(&bytes).unwrap());
            assert_eq!((key.source_port(), key.destination_port()), (0, 0));
        }
        let first = packet(protocol::UDP, Ipv4::MORE_FRAGMENTS);
        assert_eq!(FlowKey::of(&Ipv4::new(&first).unwrap()).source_port(), 5353);
    }

    #[test]
    fn neighbouring_flows_spread_over_a_small_table() {
        // A million flows that differ in a few low bits, into 2^20 buckets by low and by high bits:
        // a random function fills 1 - 1/e = 63.2 % of them.
        let hash = FlowHash::new(7);
        for shift in [0, 44] {
            let mut used = std::vec![false; 1 << 20];
            for flow in 0..1_u32 << 20 {
                let tuple = AddressesAndPorts {
                    source: 0x0a00_0000 | flow >> 8,
                    destination: 0x0a01_0101,
                    source_port: 1024 + u16::try_from(flow & 0xff).unwrap(),
                    destination_port: 80,
                };
                let bucket = hash.of(&FlowKey::new(tuple, 6)) >> shift & 0xf_ffff;
                used[usize::try_from(bucket).unwrap()] = true;
            }
            let filled = used.iter().filter(|used| **used).count();
            assert!(
                (650_000..676_000).contains(&filled),
                "{filled} buckets by bits from {shift}"
            );
        }
    }

    #[test]
    fn every_input_bit_moves_about_half_of_the_output() {
        let hash = FlowHash::new(0x5eed);
        let mut flips = 0;
        for bit in 0..128 {
            for start in 0..64_u64 {
                let words = [start.wrapping_mul(PI[0]), start.wrapping_mul(PI[2])];
                let mut other = words;
                other[bit / 64] ^= 1 << (bit % 64);
                let change = hash.of_words(words[0], words[1]) ^ hash.of_words(other[0], other[1]);
                assert!((8..=56).contains(&change.count_ones()), "bit {bit}");
                flips += change.count_ones();
            }
        }
        let average = flips / (128 * 64);
        assert!((31..=33).contains(&average), "{average}");
    }

    #[test]
    fn seeds_give_different_hashes() {
        let key = FlowKey::of(&Ipv4::new(&packet(protocol::UDP, 0)).unwrap());
        let hashes: HashSet<u64> = (0..1000).map(|seed| FlowHash::new(seed).of(&key)).collect();
        assert_eq!(hashes.len(), 1000);
    }

    proptest! {
        #[test]
        fn parts_come_back(source: u32, destination: u32, source_port: u16, destination_port: u16, protocol: u8) {
            let tuple = AddressesAndPorts { source, destination, source_port, destination_port };
            let key = FlowKey::new(tuple, protocol);
            prop_assert_eq!(key.tuple(), tuple);
            prop_assert_eq!(key.protocol(), protocol);
            prop_assert_eq!(key.reversed().source().to_bits(), destination);
            prop_assert_eq!(key.reversed().destination_port(), source_port);
            prop_assert_eq!(key.reversed().reversed(), key);
        }
    }
}
