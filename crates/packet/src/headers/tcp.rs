//! TCP (RFC 9293; ECN bits from RFC 3168).

use super::HeaderError;
use super::tcp_options::TcpOptions;
use crate::checksum::Sum;
use core::ops::{Deref, DerefMut};

/// Bits of the flags byte.
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;
    /// Congestion experienced, echoed.
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced.
    pub const CWR: u8 = 0x80;
}

header_view! {
    /// A TCP header with its options and payload.
    ///
    /// Making the view checks that the data offset is at least 20 bytes and that the options are there.
    TcpView, Tcp, TcpMut, 20
}

header_fields! { TcpView, 20;
    /// Source port.
    u16, source_port, set_source_port, 0;
    /// Destination port.
    u16, destination_port, set_destination_port, 2;
    /// Sequence number.
    u32, sequence, set_sequence, 4;
    /// Acknowledgement number.
    u32, acknowledgement, set_acknowledgement, 8;
    /// Data offset in 32-bit words (high four bits) and reserved bits.
    u8, data_offset_and_reserved, set_data_offset_and_reserved, 12;
    /// Flags; see [`tcp_flags`].
    u8, flags, set_flags, 13;
    /// Window, before scaling.
    u16, window, set_window, 14;
    /// Checksum over pseudo-header, header and payload.
    u16, checksum, set_checksum, 16;
    /// Urgent pointer.
    u16, urgent, set_urgent, 18;
}

impl<H, R> TcpView<H, R>
where
    H: Deref<Target = [u8; 20]>,
    R: Deref<Target = [u8]>,
{
    #[inline]
    fn check(&self) -> Result<(), HeaderError> {
        if self.header_length() < 20 {
            Err(HeaderError::HeaderLength)
        } else if self.options_length() > self.rest.len() {
            Err(HeaderError::Truncated)
        } else {
            Ok(())
        }
    }

    #[inline]
    fn options_length(&self) -> usize {
        self.header_length().saturating_sub(20)
    }

    /// Header length with options in bytes, 20 to 60.
    #[inline]
    #[must_use]
    pub fn header_length(&self) -> usize {
        usize::from(self.header[12] >> 4) * 4
    }

    /// Whether any of `flags` is set.
    #[inline]
    #[must_use]
    pub fn has_any(&self, flags: u8) -> bool {
        self.flags() & flags != 0
    }

    /// Options, walked one by one.
    #[inline]
    #[must_use]
    pub fn options(&self) -> TcpOptions<'_> {
        TcpOptions::new(self.option_bytes())
    }

    /// Options as bytes.
    #[inline]
    #[must_use]
    pub fn option_bytes(&self) -> &[u8] {
        self.rest.get(..self.options_length()).unwrap_or_default()
    }

    /// The checksum that a segment ending with these bytes ought to have.
    #[inline]
    #[must_use]
    pub fn computed_checksum(&self, pseudo_header: Sum) -> u16 {
        self.sum(pseudo_header).add_u16(!self.checksum()).finish()
    }

    /// Whether the checksum is right for a segment that ends with these bytes.
    #[inline]
    #[must_use]
    pub fn checksum_is_right(&self, pseudo_header: Sum) -> bool {
        self.sum(pseudo_header).finish() == 0
    }

    #[inline]
    fn sum(&self, pseudo_header: Sum) -> Sum {
        pseudo_header
            .add_bytes(self.header.as_slice())
            .add_bytes(&self.rest)
    }

    /// The fixed part of the header as a value.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> TcpFields {
        TcpFields {
            source_port: self.source_port(),
            destination_port: self.destination_port(),
            sequence: self.sequence(),
            acknowledgement: self.acknowledgement(),
            flags: self.flags(),
            window: self.window(),
            checksum: self.checksum(),
            urgent: self.urgent(),
        }
    }
}

impl<'a> Tcp<'a> {
    /// What follows header and options.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.rest.get(self.options_length()..).unwrap_or_default()
    }
}

impl<H, R> TcpView<H, R>
where
    H: DerefMut<Target = [u8; 20]>,
    R: DerefMut<Target = [u8]>,
{
    /// Options as writable bytes.
    #[inline]
    pub fn option_bytes_mut(&mut self) -> &mut [u8] {
        let length = self.options_length();
        self.rest.get_mut(..length).unwrap_or_default()
    }

    /// What follows header and options.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let start = self.options_length();
        self.rest.get_mut(start..).unwrap_or_default()
    }

    /// Computes and stores the checksum of a segment that ends with these bytes.
    #[inline]
    pub fn fill_checksum(&mut self, pseudo_header: Sum) {
        let checksum = self.computed_checksum(pseudo_header);
        self.set_checksum(checksum);
    }
}

/// A TCP header without options as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpFields {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Flags; see [`tcp_flags`].
    pub flags: u8,
    /// Window, before scaling.
    pub window: u16,
    /// Checksum.
    pub checksum: u16,
    /// Urgent pointer.
    pub urgent: u16,
}

impl TcpFields {
    /// The header as it goes on the wire, with a data offset of 20 bytes.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; 20] {
        let mut header = [0; 20];
        let mut view = TcpView {
            header: &mut header,
            rest: (),
        };
        view.set_source_port(self.source_port);
        view.set_destination_port(self.destination_port);
        view.set_sequence(self.sequence);
        view.set_acknowledgement(self.acknowledgement);
        view.set_data_offset_and_reserved(5 << 4);
        view.set_flags(self.flags);
        view.set_window(self.window);
        view.set_checksum(self.checksum);
        view.set_urgent(self.urgent);
        header
    }
}
