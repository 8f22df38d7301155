//! IPv6 (RFC 8200).

use super::HeaderError;
use super::ipv6_extensions::{UpperLayer, upper_layer};
use crate::checksum::Sum;
use core::net::Ipv6Addr;
use core::ops::{Deref, DerefMut};

header_view! {
    /// An IPv6 header with its payload. Making the view checks the version.
    Ipv6View, Ipv6, Ipv6Mut, 40
}

header_fields! { Ipv6View, 40;
    /// Version, traffic class and flow label as one word.
    u32, version_class_and_label, set_version_class_and_label, 0;
    /// Stated length of what follows the header, extension headers included, in bytes.
    u16, payload_length, set_payload_length, 4;
    /// Type of the header that follows; see [`super::protocol`].
    u8, next_header, set_next_header, 6;
    /// Hop limit.
    u8, hop_limit, set_hop_limit, 7;
    /// Source address.
    Ipv6Addr, source, set_source, 8;
    /// Destination address.
    Ipv6Addr, destination, set_destination, 24;
}

impl<H: Deref<Target = [u8; 40]>, R> Ipv6View<H, R> {
    #[inline]
    fn check(&self) -> Result<(), HeaderError> {
        if self.version() == 6 {
            Ok(())
        } else {
            Err(HeaderError::Version)
        }
    }

    /// Version, 6 when the view was made.
    #[inline]
    #[must_use]
    pub fn version(&self) -> u8 {
        self.header[0] >> 4
    }

    /// Traffic class: DSCP (high six bits) and ECN (low two bits).
    #[inline]
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        self.header[0] << 4 | self.header[1] >> 4
    }

    /// Flow label, 20 bits.
    #[inline]
    #[must_use]
    pub fn flow_label(&self) -> u32 {
        self.version_class_and_label() & 0x000f_ffff
    }

    /// Sum of the pseudo-header for an upper layer of `length` bytes (RFC 8200, section 8.1).
    #[inline]
    #[must_use]
    pub fn pseudo_header(&self, protocol: u8, length: u32) -> Sum {
        Sum::pseudo_header_v6(self.source(), self.destination(), protocol, length)
    }

    /// The header as a value.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> Ipv6Fields {
        Ipv6Fields {
            traffic_class: self.traffic_class(),
            flow_label: self.flow_label(),
            payload_length: self.payload_length(),
            next_header: self.next_header(),
            hop_limit: self.hop_limit(),
            source: self.source(),
            destination: self.destination(),
        }
    }
}

impl<'a> Ipv6<'a> {
    /// What follows the header, up to the stated payload length or the end of the bytes.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        let end = usize::from(self.payload_length()).min(self.rest.len());
        self.rest.get(..end).unwrap_or_default()
    }

    /// Walks the extension headers to the upper layer; its offset counts from the start of the payload.
    ///
    /// # Errors
    /// When the payload ends inside an extension header.
    #[inline]
    pub fn upper_layer(&self) -> Result<UpperLayer, HeaderError> {
        upper_layer(self.next_header(), self.payload())
    }
}

impl<H: DerefMut<Target = [u8; 40]>, R> Ipv6View<H, R> {
    /// Sets the traffic class.
    #[inline]
    pub fn set_traffic_class(&mut self, class: u8) {
        let others = self.version_class_and_label() & 0xf00f_ffff;
        self.set_version_class_and_label(others | u32::from(class) << 20);
    }

    /// Sets the flow label to the low 20 bits of `label`.
    #[inline]
    pub fn set_flow_label(&mut self, label: u32) {
        let others = self.version_class_and_label() & 0xfff0_0000;
        self.set_version_class_and_label(others | label & 0x000f_ffff);
    }
}

/// An IPv6 header as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Fields {
    /// Traffic class.
    pub traffic_class: u8,
    /// Flow label, 20 bits; higher bits are dropped.
    pub flow_label: u32,
    /// Length of what follows the header in bytes.
    pub payload_length: u16,
    /// Type of the header that follows.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
}

impl Ipv6Fields {
    /// The header as it goes on the wire.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; 40] {
        let mut header = [0; 40];
        let mut view = Ipv6View {
            header: &mut header,
            rest: (),
        };
        view.set_version_class_and_label(
            6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0x000f_ffff,
        );
        view.set_payload_length(self.payload_length);
        view.set_next_header(self.next_header);
        view.set_hop_limit(self.hop_limit);
        view.set_source(self.source);
        view.set_destination(self.destination);
        header
    }
}
