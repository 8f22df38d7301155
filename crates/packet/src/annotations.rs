//! Click's packet annotations: 48 bytes that elements use to tell each other things.
//!
//! Offsets and sizes are those of Click's manual (elements documentation of Paint, SetAnnoByte
//! and others); several names share bytes there, and configurations rely on it.

use core::net::{Ipv4Addr, Ipv6Addr};

use crate::{ANNOTATION_SIZE, Packet};

/// Where the destination address annotation stands; `GetIPAddress` and routing elements use it.
pub const DESTINATION_IP: usize = 0;
/// The color that `Paint` sets.
pub const PAINT: usize = 16;
/// Which byte an ICMP parameter problem points at.
pub const ICMP_PARAMETER_PROBLEM: usize = 17;
/// Whether `FixIPSrc` should act.
pub const FIX_IP_SOURCE: usize = 18;
/// A VLAN tag's control information, in network byte order.
pub const VLAN_TCI: usize = 20;
/// The aggregate number.
pub const AGGREGATE: usize = 20;
/// Packets or bytes a second of the source's network.
pub const FORWARD_RATE: usize = 20;
/// Packets or bytes a second of the destination's network.
pub const REVERSE_RATE: usize = 24;
/// The number of packets this one stands for, less one.
pub const EXTRA_PACKETS: usize = 24;
/// Bytes of the original packet that are not here.
pub const EXTRA_LENGTH: usize = 28;
/// When the first packet of the flow was seen.
pub const FIRST_TIMESTAMP: usize = 40;
/// The packet's number.
pub const PACKET_NUMBER: usize = 32;

/// A packet's annotations, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Annotations<'a> {
    bytes: &'a [u8; ANNOTATION_SIZE],
}

impl<'a> Annotations<'a> {
    pub(crate) fn new(bytes: &'a [u8; ANNOTATION_SIZE]) -> Self {
        Self { bytes }
    }

    /// All 48 bytes.
    pub fn bytes(self) -> &'a [u8; ANNOTATION_SIZE] {
        self.bytes
    }

    /// The byte at `offset`; zero outside the annotations.
    #[inline]
    pub fn byte(self, offset: usize) -> u8 {
        self.bytes.get(offset).copied().unwrap_or(0)
    }

    /// The 16-bit number at `offset`, in host order as Click keeps it.
    #[inline]
    pub fn half(self, offset: usize) -> u16 {
        self.bytes
            .get(offset..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |bytes| u16::from_ne_bytes(*bytes))
    }

    /// The 32-bit number at `offset`, in host order as Click keeps it.
    #[inline]
    pub fn word(self, offset: usize) -> u32 {
        self.bytes
            .get(offset..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    }

    /// The 64-bit number at `offset`, in host order.
    pub fn double(self, offset: usize) -> u64 {
        self.bytes
            .get(offset..)
            .and_then(<[u8]>::first_chunk)
            .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    /// The IPv4 address at `offset`.
    #[inline]
    pub fn ipv4(self, offset: usize) -> Ipv4Addr {
        self.bytes
            .get(offset..)
            .and_then(<[u8]>::first_chunk::<4>)
            .map_or(Ipv4Addr::UNSPECIFIED, |b| Ipv4Addr::from(*b))
    }

    /// The destination address annotation.
    #[inline]
    pub fn destination(self) -> Ipv4Addr {
        self.ipv4(DESTINATION_IP)
    }

    /// The IPv6 destination address annotation.
    pub fn destination6(self) -> Ipv6Addr {
        self.bytes
            .first_chunk::<16>()
            .map_or(Ipv6Addr::UNSPECIFIED, |b| Ipv6Addr::from(*b))
    }

    /// The paint.
    #[inline]
    pub fn paint(self) -> u8 {
        self.byte(PAINT)
    }
}

impl Packet {
    /// Sets the annotation byte at `offset`; nothing outside the annotations.
    #[inline]
    pub fn set_annotation_byte(&mut self, offset: usize, value: u8) {
        self.set_annotation(offset, &[value]);
    }

    /// Sets the 16-bit annotation at `offset`, in host order.
    pub fn set_annotation_half(&mut self, offset: usize, value: u16) {
        self.set_annotation(offset, &value.to_ne_bytes());
    }

    /// Sets the 32-bit annotation at `offset`, in host order.
    #[inline]
    pub fn set_annotation_word(&mut self, offset: usize, value: u32) {
        self.set_annotation(offset, &value.to_ne_bytes());
    }

    /// Sets the 64-bit annotation at `offset`, in host order.
    pub fn set_annotation_double(&mut self, offset: usize, value: u64) {
        self.set_annotation(offset, &value.to_ne_bytes());
    }

    /// Sets annotation bytes from `offset` on; nothing where they would not fit.
    #[inline]
    pub fn set_annotation(&mut self, offset: usize, bytes: &[u8]) {
        if let Some(target) = self
            .annotations_mut()
            .get_mut(offset..)
            .and_then(|rest| rest.get_mut(..bytes.len()))
        {
            target.copy_from_slice(bytes);
        }
    }

    /// Sets the destination address annotation.
    #[inline]
    pub fn set_destination(&mut self, address: Ipv4Addr) {
        self.set_annotation(DESTINATION_IP, &address.octets());
    }

    /// Sets the IPv6 destination address annotation.
    pub fn set_destination6(&mut self, address: Ipv6Addr) {
        self.set_annotation(DESTINATION_IP, &address.octets());
    }

    /// Sets the paint.
    #[inline]
    pub fn set_paint(&mut self, color: u8) {
        self.set_annotation_byte(PAINT, color);
    }
}
