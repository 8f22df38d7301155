//! What a frame's headers say about where it belongs, in a form that is compared and hashed whole.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// Bytes of a frame that are looked at: Ethernet with two tags, IPv6 and the ports behind it.
pub(super) const HEADERS: usize = 128;

/// EtherTypes (IEEE 802 numbers) that are looked into.
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const TAG: u16 = 0x8100;
const SERVICE_TAG: u16 = 0x88a8;

/// An Ethernet address.
pub type EthernetAddress = [u8; 6];

/// The headers of a frame, as far as rules and steering look at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Where the frame goes.
    pub destination: EthernetAddress,
    /// Where it comes from.
    pub source: EthernetAddress,
    /// Its VLAN, where it has a tag.
    pub vlan: Option<u16>,
    /// What is behind the tag.
    pub ether_type: u16,
    /// Source and destination address: IPv4 addresses in the last four bytes, mapped as RFC 4291
    /// maps them. Of ARP, sender and target.
    pub addresses: Option<[[u8; 16]; 2]>,
    /// The protocol over IP.
    pub protocol: u8,
    /// Source and destination port, of TCP, UDP and SCTP; none of a fragment, whose first alone would
    /// have them.
    pub ports: Option<[u16; 2]>,
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// An IPv4 address as an IPv6 address.
#[must_use]
pub fn mapped(address: [u8; 4]) -> [u8; 16] {
    let mut mapped = [0; 16];
    mapped[10..12].fill(0xff);
    mapped[12..].copy_from_slice(&address);
    mapped
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

impl Flow {
    /// Reads the first bytes of a frame; what they do not hold stays unset. `None` where not even the
    /// Ethernet header is whole.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut flow = Self {
            destination: array(bytes, 0)?,
            source: array(bytes, 6)?,
            ether_type: word(bytes, 12)?,
            ..Self::default()
        };
        let mut at = 14;
        if matches!(flow.ether_type, TAG | SERVICE_TAG)
            && let (Some(tag), Some(inner)) = (word(bytes, at), word(bytes, at + 2))
        {
            flow.vlan = Some(tag & 0xfff);
            flow.ether_type = inner;
            at += 4;
        }
        let payload = bytes.get(at..).unwrap_or(&[]);
        // What is cut off simply has no more to say.
        let _ = match flow.ether_type {
            IPV4 => flow.read_ipv4(payload),
            IPV6 => flow.read_ipv6(payload),
            ARP => flow.read_arp(payload),
            _ => None,
        };
        Some(flow)
    }

    fn read_ipv4(&mut self, packet: &[u8]) -> Option<()> {
        let first = *packet.first()?;
        let header = usize::from(first & 0xf) * 4;
        if first >> 4 != 4 || header < 20 {
            return None;
        }
        self.addresses = Some([mapped(array(packet, 12)?), mapped(array(packet, 16)?)]);
        self.protocol = *packet.get(9)?;
        let is_fragment = word(packet, 6)? & 0x3fff != 0;
        if !is_fragment {
            self.read_ports(packet.get(header..)?);
        }
        Some(())
    }

    fn read_ipv6(&mut self, packet: &[u8]) -> Option<()> {
        if *packet.first()? >> 4 != 6 {
            return None;
        }
        self.addresses = Some([array(packet, 8)?, array(packet, 24)?]);
        self.protocol = *packet.get(6)?;
        // Behind extension headers nothing is looked for: such packets have no ports.
        self.read_ports(packet.get(40..)?);
        Some(())
    }

    fn read_arp(&mut self, packet: &[u8]) -> Option<()> {
        // Ethernet and IPv4 (RFC 826).
        if packet.get(..6)? != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        self.addresses = Some([mapped(array(packet, 14)?), mapped(array(packet, 24)?)]);
        Some(())
    }

    fn read_ports(&mut self, segment: &[u8]) {
        const TCP: u8 = 6;
        const UDP: u8 = 17;
        const SCTP: u8 = 132;
        if matches!(self.protocol, TCP | UDP | SCTP)
            && let (Some(source), Some(destination)) = (word(segment, 0), word(segment, 2))
        {
            self.ports = Some([source, destination]);
        }
    }

    /// The conversation a frame belongs to: the same for both directions.
    #[must_use]
    pub fn conversation(&self) -> Conversation {
        let [source, destination] = match self.addresses {
            Some(addresses) => addresses.map(u128::from_be_bytes),
            None => [self.source, self.destination].map(|address| {
                let mut wide = [0; 16];
                wide[..6].copy_from_slice(&address);
                u128::from_be_bytes(wide)
            }),
        };
        let [source_port, destination_port] = self.ports.unwrap_or_default();
        let ends = [(source, source_port), (destination, destination_port)];
        let [low, high] = if ends[0] <= ends[1] {
            ends
        } else {
            [ends[1], ends[0]]
        };
        let mut hash = Secret::fixed().build_hasher();
        for (address, _) in [low, high] {
            hash.write_u128(address);
        }
        let [one, other] = [low.1, high.1].map(u64::from);
        let vlan = u64::from(self.vlan.unwrap_or(u16::MAX));
        hash.write_u64(one << 48 | other << 32 | vlan << 16 | u64::from(self.protocol));
        Conversation(hash.finish())
    }
}

/// Two ends that talk to each other, whoever speaks: a hash of their addresses, protocol and ports.
/// It is the same on every machine, so that replicas on several agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation(u64);

impl Conversation {
    /// Its hash.
    #[must_use]
    pub fn hash(self) -> u64 {
        self.0
    }
}

impl Hash for Conversation {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Makes hashers with a secret of their own: whoever chooses the frames cannot choose where they
/// collide.
#[derive(Clone, Debug)]
pub(super) struct Secret(u64);

impl Secret {
    pub(super) fn new() -> Self {
        Self(RandomState::new().hash_one(0))
    }

    /// One that is the same in every process, for choices that must come out alike.
    pub(super) fn fixed() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl BuildHasher for Secret {
    type Hasher = Folding;

    #[inline]
    fn build_hasher(&self) -> Folding {
        Folding {
            state: self.0,
            key: self.0 | 1,
        }
    }
}

/// A hash that folds 128-bit products, for keys of a few words.
#[derive(Debug)]
pub(super) struct Folding {
    state: u64,
    key: u64,
}

impl Folding {
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key ^ 0xa076_1d64_78bd_642f);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
        {
            self.state = (product as u64) ^ ((product >> 64) as u64).rotate_left(23) ^ word;
        }
    }
}

impl Hasher for Folding {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    #[inline]
    fn write_u128(&mut self, value: u128) {
        #[expect(clippy::cast_possible_truncation, reason = "the two halves are meant")]
        {
            self.mix(value as u64);
            self.mix((value >> 64) as u64);
        }
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        // The finalizer of MurmurHash3, whose every output bit depends on every input bit.
        let mut hash = self.state;
        hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A DNS query from 192.0.2.1:5353 to 198.51.100.7:53, by hand after RFC 791 and RFC 768.
    fn query() -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        frame.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0]);
        frame.extend([192, 0, 2, 1, 198, 51, 100, 7]);
        frame.extend([0x14, 0xe9, 0, 53, 0, 8, 0, 0]);
        frame
    }

    #[test]
    fn addresses_protocol_and_ports_are_read() {
        let flow = Flow::read(&query()).expect("a frame");
        let addresses = [mapped([192, 0, 2, 1]), mapped([198, 51, 100, 7])];
        assert_eq!(flow.addresses, Some(addresses));
        assert_eq!((flow.protocol, flow.ports), (17, Some([5353, 53])));
        assert_eq!((flow.vlan, flow.ether_type), (None, 0x0800));
    }

    #[test]
    fn a_tag_is_read_and_what_is_behind_it_too() {
        let mut frame = query();
        frame.splice(12..12, [0x81, 0, 0xe0, 100]);
        let flow = Flow::read(&frame).expect("a frame");
        assert_eq!((flow.vlan, flow.ether_type), (Some(100), 0x0800));
        assert_eq!(flow.ports, Some([5353, 53]));
    }

    #[test]
    fn fragments_have_no_ports_not_even_the_first() {
        for field in [0x2000_u16, 0x0001] {
            let mut frame = query();
            frame[20..22].copy_from_slice(&field.to_be_bytes());
            let flow = Flow::read(&frame).expect("a frame");
            assert!(flow.addresses.is_some() && flow.ports.is_none());
        }
        // "Don't fragment" makes no fragment.
        let mut frame = query();
        frame[20] = 0x40;
        assert!(Flow::read(&frame).expect("a frame").ports.is_some());
    }

    #[test]
    fn both_directions_are_one_conversation() {
        let there = Flow::read(&query()).expect("a frame");
        let mut back = there;
        std::mem::swap(&mut back.source, &mut back.destination);
        back.addresses = there.addresses.map(|[one, other]| [other, one]);
        back.ports = Some([53, 5353]);
        assert_eq!(there.conversation(), back.conversation());
        back.ports = Some([53, 5354]);
        assert_ne!(there.conversation(), back.conversation());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_short_or_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(Flow::read(&bytes).is_some(), bytes.len() >= 14);
        }
    }
}
