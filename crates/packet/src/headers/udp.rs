//! UDP (RFC 768).

use super::HeaderError;
use crate::checksum::Sum;
use core::ops::{Deref, DerefMut};

header_view! {
    /// A UDP header with its payload.
    UdpView, Udp, UdpMut, 8
}

header_fields! { UdpView, 8;
    /// Source port.
    u16, source_port, set_source_port, 0;
    /// Destination port.
    u16, destination_port, set_destination_port, 2;
    /// Stated length of header and payload in bytes.
    u16, length, set_length, 4;
    /// Checksum; zero over IPv4 means that there is none.
    u16, checksum, set_checksum, 6;
}

impl<H, R> UdpView<H, R>
where
    H: Deref<Target = [u8; 8]>,
    R: Deref<Target = [u8]>,
{
    #[inline]
    #[expect(
        clippy::unused_self,
        reason = "the same shape as the other headers' checks"
    )]
    fn check(&self) -> Result<(), HeaderError> {
        Ok(())
    }

    #[inline]
    fn payload_end(&self) -> usize {
        usize::from(self.length())
            .saturating_sub(8)
            .min(self.rest.len())
    }

    #[inline]
    fn sum(&self, pseudo_header: Sum) -> Sum {
        let payload = self.rest.get(..self.payload_end()).unwrap_or_default();
        pseudo_header
            .add_bytes(self.header.as_slice())
            .add_bytes(payload)
    }

    /// The checksum to send, never zero (RFC 768), over the stated length.
    #[inline]
    #[must_use]
    pub fn computed_checksum(&self, pseudo_header: Sum) -> u16 {
        self.sum(pseudo_header)
            .add_u16(!self.checksum())
            .finish_udp()
    }

    /// Whether the checksum is right over the stated length. The sender's choice to have none (zero) is
    /// the caller's to ask first: it is right over IPv4 and wrong over IPv6 (RFC 8200, section 8.1).
    #[inline]
    #[must_use]
    pub fn checksum_is_right(&self, pseudo_header: Sum) -> bool {
        self.sum(pseudo_header).finish() == 0
    }

    /// The header as a value.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> UdpFields {
        UdpFields {
            source_port: self.source_port(),
            destination_port: self.destination_port(),
            length: self.length(),
            checksum: self.checksum(),
        }
    }
}

impl<'a> Udp<'a> {
    /// What follows the header, up to the stated length or the end of the bytes.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.rest.get(..self.payload_end()).unwrap_or_default()
    }
}

impl<H, R> UdpView<H, R>
where
    H: DerefMut<Target = [u8; 8]>,
    R: DerefMut<Target = [u8]>,
{
    /// What follows the header, up to the stated length or the end of the bytes.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let end = self.payload_end();
        self.rest.get_mut(..end).unwrap_or_default()
    }

    /// Computes and stores the checksum over the stated length.
    #[inline]
    pub fn fill_checksum(&mut self, pseudo_header: Sum) {
        let checksum = self.computed_checksum(pseudo_header);
        self.set_checksum(checksum);
    }
}

/// A UDP header as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpFields {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Length of header and payload in bytes.
    pub length: u16,
    /// Checksum; zero for none.
    pub checksum: u16,
}

impl UdpFields {
    /// The header as it goes on the wire.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let mut header = [0; 8];
        let mut view = UdpView {
            header: &mut header,
            rest: (),
        };
        view.set_source_port(self.source_port);
        view.set_destination_port(self.destination_port);
        view.set_length(self.length);
        view.set_checksum(self.checksum);
        header
    }
}
