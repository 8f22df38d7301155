//! The Internet checksum (RFC 1071), its pseudo-headers and its incremental update (RFC 1624).
//!
//! The ones' complement sum does not care about byte order as long as it is kept (RFC 1071, section 2),
//! so bytes are added as the machine's own words and the result is turned round once at the end.
//!
//! Corner cases. Ones' complement has two zeros. A sum over anything but all zero bytes is never
//! 0x0000, hence a checksum is never 0xffff, and the update of RFC 1624 keeps it so, where that of
//! RFC 1141 does not. UDP reserves 0x0000 for "no checksum" and sends 0xffff instead.

use core::net::{Ipv4Addr, Ipv6Addr};

/// A running ones' complement sum.
///
/// ```
/// use sprat_packet::checksum::Sum;
/// // The example of RFC 1071, section 3: the sum is 0xddf2.
/// assert_eq!(Sum::of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).finish(), !0xddf2);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum(u64);

/// Bytes that one turn of the wide loop adds.
const WIDE: usize = 64;

impl Sum {
    /// The empty sum.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// The sum of some bytes; an odd last byte is padded with zero.
    #[inline]
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(0).add_bytes(bytes)
    }

    /// The sum of an IPv4 header without options, in a straight line.
    #[inline]
    #[must_use]
    pub fn of_ipv4_header(header: &[u8; 20]) -> Self {
        let &[a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = header;
        let (first, carry) = u64::from_ne_bytes([a, b, c, d, e, f, g, h])
            .overflowing_add(u64::from_ne_bytes([i, j, k, l, m, n, o, p]));
        let last = u64::from(u32::from_ne_bytes([q, r, s, t])) + u64::from(carry);
        Self(first).plus(last)
    }

    #[inline]
    const fn plus(self, value: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(value);
        // The carry cannot overflow again: a sum that wrapped is at most 2^64 - 2.
        Self(sum.wrapping_add(carry as u64))
    }

    /// Adds bytes. Every slice but the last one added must have an even length.
    #[inline]
    #[must_use]
    pub fn add_bytes(self, bytes: &[u8]) -> Self {
        let (wide, tail) = bytes.as_chunks::<WIDE>();
        let mut sum = self;
        if !wide.is_empty() {
            sum = sum.plus(sum_wide(wide));
        }
        let (words, tail) = tail.as_chunks::<8>();
        for word in words {
            sum = sum.plus(u64::from_ne_bytes(*word));
        }
        let mut tail = tail;
        if let Some((word, rest)) = tail.split_first_chunk() {
            sum = sum.plus(u64::from(u32::from_ne_bytes(*word)));
            tail = rest;
        }
        if let Some((word, rest)) = tail.split_first_chunk() {
            sum = sum.plus(u64::from(u16::from_ne_bytes(*word)));
            tail = rest;
        }
        if let [last] = *tail {
            sum = sum.plus(u64::from(u16::from_ne_bytes([last, 0])));
        }
        sum
    }

    /// Adds a 16-bit field given as a number.
    #[inline]
    #[must_use]
    pub const fn add_u16(self, value: u16) -> Self {
        self.plus(value.to_be() as u64)
    }

    /// Adds a 32-bit field given as a number.
    #[inline]
    #[must_use]
    pub const fn add_u32(self, value: u32) -> Self {
        self.plus(value.to_be() as u64)
    }

    /// The pseudo-header of TCP and UDP over IPv4 (RFC 9293, section 3.1); `length` is that of the
    /// transport header and its payload in bytes.
    #[inline]
    #[must_use]
    pub const fn pseudo_header_v4(
        source: Ipv4Addr,
        destination: Ipv4Addr,
        protocol: u8,
        length: u16,
    ) -> Self {
        Self::new()
            .add_u32(source.to_bits())
            .add_u32(destination.to_bits())
            .add_u16(protocol as u16)
            .add_u16(length)
    }

    /// The pseudo-header of the layers above IPv6 (RFC 8200, section 8.1); `length` is that of the upper
    /// layer's header and payload in bytes, `protocol` its number, not that of an extension header.
    #[inline]
    #[must_use]
    pub fn pseudo_header_v6(
        source: Ipv6Addr,
        destination: Ipv6Addr,
        protocol: u8,
        length: u32,
    ) -> Self {
        Self::of(&source.octets())
            .add_bytes(&destination.octets())
            .add_u32(length)
            .add_u16(u16::from(protocol))
    }

    /// The sum folded to 16 bits, as a number.
    #[inline]
    #[must_use]
    pub const fn fold(self) -> u16 {
        let sum = (self.0 >> 32) + (self.0 & 0xffff_ffff);
        let sum = (sum >> 32) + (sum & 0xffff_ffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        low_half(sum).to_be()
    }

    /// The checksum: the complement of the sum, as a number to be stored in network byte order.
    #[inline]
    #[must_use]
    pub const fn finish(self) -> u16 {
        !self.fold()
    }

    /// The checksum for a UDP header: like [`Sum::finish`], but zero is sent as 0xffff (RFC 768).
    #[inline]
    #[must_use]
    pub const fn finish_udp(self) -> u16 {
        match self.finish() {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}

/// The low 16 bits of a folded sum, which holds no more.
#[inline]
const fn low_half(sum: u64) -> u16 {
    let [a, b, ..] = sum.to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// Adds 32-bit words into 64-bit lanes, which hold the carries of 2^32 additions. Eight independent
/// lanes let the compiler use vectors and hide the latency of the additions.
#[inline]
fn sum_wide(chunks: &[[u8; WIDE]]) -> u64 {
    let mut lanes = [0_u64; 8];
    for chunk in chunks {
        for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<8>().0) {
            let word = u64::from_ne_bytes(*word);
            *lane += (word & 0xffff_ffff) + (word >> 32);
        }
    }
    lanes.iter().fold(Sum(0), |sum, &lane| sum.plus(lane)).0
}

/// The Internet checksum of some bytes; an odd last byte is padded with zero.
#[inline]
#[must_use]
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    Sum::of(bytes).finish()
}

/// The checksum of an IPv4 header without options, whose checksum field holds zero.
#[inline]
#[must_use]
pub fn ipv4_header_checksum(header: &[u8; 20]) -> u16 {
    Sum::of_ipv4_header(header).finish()
}

/// The checksum after a 16-bit field has changed from `old` to `new` (RFC 1624, equation 3).
///
/// ```
/// // The example of RFC 1624, section 4.
/// assert_eq!(sprat_packet::checksum::update_u16(0xdd2f, 0x5555, 0x3285), 0x0000);
/// ```
#[inline]
#[must_use]
pub const fn update_u16(checksum: u16, old: u16, new: u16) -> u16 {
    Delta::new().replace_u16(old, new).apply(checksum)
}

/// The checksum after a 32-bit field has changed from `old` to `new`.
#[inline]
#[must_use]
pub const fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    Delta::new().replace_u32(old, new).apply(checksum)
}

/// What a set of changed fields does to a checksum.
///
/// It depends only on the old and new values, so a translator computes it once a flow and applies it to
/// every packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delta(u16);

/// The addresses and ports that name a connection, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressesAndPorts {
    /// Source address.
    pub source: u32,
    /// Destination address.
    pub destination: u32,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

impl Delta {
    /// No change.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    #[inline]
    const fn plus(self, sum: u32) -> Self {
        let sum = (sum >> 16) + (sum & 0xffff) + self.0 as u32;
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        Self(low_half(sum as u64))
    }

    /// Counts a 16-bit field's change.
    #[inline]
    #[must_use]
    pub const fn replace_u16(self, old: u16, new: u16) -> Self {
        self.plus(!old as u32 + new as u32)
    }

    /// Counts a 32-bit field's change.
    #[inline]
    #[must_use]
    pub const fn replace_u32(self, old: u32, new: u32) -> Self {
        let gone = (!old >> 16) + (!old & 0xffff);
        let come = (new >> 16) + (new & 0xffff);
        self.plus(gone + come)
    }

    /// The change of a network header's checksum when the addresses change.
    #[inline]
    #[must_use]
    pub const fn of_addresses(old: &AddressesAndPorts, new: &AddressesAndPorts) -> Self {
        Self::new()
            .replace_u32(old.source, new.source)
            .replace_u32(old.destination, new.destination)
    }

    /// The change of a TCP or UDP checksum when addresses and ports change.
    #[inline]
    #[must_use]
    pub const fn of_addresses_and_ports(old: &AddressesAndPorts, new: &AddressesAndPorts) -> Self {
        Self::of_addresses(old, new)
            .replace_u16(old.source_port, new.source_port)
            .replace_u16(old.destination_port, new.destination_port)
    }

    /// The change that undoes this one.
    #[inline]
    #[must_use]
    pub const fn reversed(self) -> Self {
        // The complement is the negative, but that of no change would be the other zero.
        match self.0 {
            0 => self,
            change => Self(!change),
        }
    }

    /// The checksum after the change.
    #[inline]
    #[must_use]
    pub const fn apply(self, checksum: u16) -> u16 {
        let sum = !checksum as u32 + self.0 as u32;
        let sum = (sum >> 16) + (sum & 0xffff);
        !low_half(sum as u64)
    }

    /// A UDP checksum after the change: none (zero) stays none, and a computed zero becomes 0xffff.
    #[inline]
    #[must_use]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        match (checksum, self.apply(checksum)) {
            (0, _) => 0,
            (_, 0) => 0xffff,
            (_, changed) => changed,
        }
    }
}

#[cfg(test)]
#[path = "checksum_tests.rs"]
mod tests;
