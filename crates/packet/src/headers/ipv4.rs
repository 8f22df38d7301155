//! IPv4 (RFC 791; type of service as RFC 2474 and RFC 3168 have it).

use super::HeaderError;
use super::ipv4_options::Ipv4Options;
use crate::checksum::{self, Sum};
use core::net::Ipv4Addr;
use core::ops::{Deref, DerefMut};

header_view! {
    /// An IPv4 header with its options and payload.
    ///
    /// Making the view checks the version, that the header length is at least 20, and that the options
    /// are there; the total length may lie and is clamped by [`Ipv4::payload`].
    Ipv4View, Ipv4, Ipv4Mut, 20
}

header_fields! { Ipv4View, 20;
    /// Version (high four bits) and header length in 32-bit words (low four bits).
    u8, version_and_length, set_version_and_length, 0;
    /// Type of service: DSCP (high six bits) and ECN (low two bits).
    u8, type_of_service, set_type_of_service, 1;
    /// Stated length of header and payload in bytes.
    u16, total_length, set_total_length, 2;
    /// Identification.
    u16, identification, set_identification, 4;
    /// Flags (high three bits) and fragment offset in units of eight bytes.
    u16, flags_and_offset, set_flags_and_offset, 6;
    /// Time to live.
    u8, time_to_live, set_time_to_live, 8;
    /// Protocol of the payload; see [`super::protocol`].
    u8, protocol, set_protocol, 9;
    /// Header checksum.
    u16, checksum, set_checksum, 10;
    /// Source address.
    Ipv4Addr, source, set_source, 12;
    /// Destination address.
    Ipv4Addr, destination, set_destination, 16;
}

impl Ipv4<'_> {
    /// Reserved flag, which must be zero (RFC 3514 notwithstanding).
    pub const RESERVED: u16 = 0x8000;
    /// "Don't fragment" flag.
    pub const DONT_FRAGMENT: u16 = 0x4000;
    /// "More fragments" flag.
    pub const MORE_FRAGMENTS: u16 = 0x2000;
    /// Mask of the fragment offset.
    pub const OFFSET_MASK: u16 = 0x1fff;
}

impl<H, R> Ipv4View<H, R>
where
    H: Deref<Target = [u8; 20]>,
    R: Deref<Target = [u8]>,
{
    #[inline]
    fn check(&self) -> Result<(), HeaderError> {
        // The usual case, one comparison: version 4 and no options.
        if self.header[0] == 0x45 {
            return Ok(());
        }
        if self.version() != 4 {
            return Err(HeaderError::Version);
        }
        if self.header_length() < 20 {
            return Err(HeaderError::HeaderLength);
        }
        if self.options_length() > self.rest.len() {
            return Err(HeaderError::Truncated);
        }
        Ok(())
    }

    #[inline]
    fn options_length(&self) -> usize {
        self.header_length().saturating_sub(20)
    }

    /// Version, 4 when the view was made.
    #[inline]
    #[must_use]
    pub fn version(&self) -> u8 {
        self.header[0] >> 4
    }

    /// Header length with options in bytes, 20 to 60.
    #[inline]
    #[must_use]
    pub fn header_length(&self) -> usize {
        usize::from(self.header[0] & 0x0f) * 4
    }

    /// Differentiated services code point, 0 to 63.
    #[inline]
    #[must_use]
    pub fn dscp(&self) -> u8 {
        self.type_of_service() >> 2
    }

    /// Explicit congestion notification bits, 0 to 3.
    #[inline]
    #[must_use]
    pub fn ecn(&self) -> u8 {
        self.type_of_service() & 3
    }

    /// Whether the sender forbids fragmentation.
    #[inline]
    #[must_use]
    pub fn dont_fragment(&self) -> bool {
        self.flags_and_offset() & Ipv4::DONT_FRAGMENT != 0
    }

    /// Whether more fragments of the datagram follow.
    #[inline]
    #[must_use]
    pub fn more_fragments(&self) -> bool {
        self.flags_and_offset() & Ipv4::MORE_FRAGMENTS != 0
    }

    /// Offset of this fragment in the datagram's payload, in bytes.
    #[inline]
    #[must_use]
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.flags_and_offset() & Ipv4::OFFSET_MASK) * 8
    }

    /// Whether this is a fragment, first, middle or last.
    #[inline]
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.flags_and_offset() & (Ipv4::OFFSET_MASK | Ipv4::MORE_FRAGMENTS) != 0
    }

    /// Whether the transport header is here: the packet is whole or its first fragment.
    #[inline]
    #[must_use]
    pub fn is_first_fragment(&self) -> bool {
        self.flags_and_offset() & Ipv4::OFFSET_MASK == 0
    }

    /// Options, walked one by one.
    #[inline]
    #[must_use]
    pub fn options(&self) -> Ipv4Options<'_> {
        Ipv4Options::new(self.option_bytes())
    }

    /// Options as bytes.
    #[inline]
    #[must_use]
    pub fn option_bytes(&self) -> &[u8] {
        self.rest.get(..self.options_length()).unwrap_or_default()
    }

    /// The checksum that the header ought to have.
    #[inline]
    #[must_use]
    pub fn computed_checksum(&self) -> u16 {
        let fixed = Sum::of_ipv4_header(&self.header).add_u16(!self.checksum());
        if self.header_length() == 20 {
            fixed
        } else {
            fixed.add_bytes(self.option_bytes())
        }
        .finish()
    }

    /// Whether the header's checksum is right.
    #[inline]
    #[must_use]
    pub fn checksum_is_right(&self) -> bool {
        let fixed = Sum::of_ipv4_header(&self.header);
        let whole = if self.header_length() == 20 {
            fixed
        } else {
            fixed.add_bytes(self.option_bytes())
        };
        whole.finish() == 0
    }

    /// Sum of the pseudo-header for a payload of `length` bytes (RFC 768, RFC 9293).
    #[inline]
    #[must_use]
    pub fn pseudo_header(&self, length: u16) -> Sum {
        Sum::pseudo_header_v4(self.source(), self.destination(), self.protocol(), length)
    }

    /// The fixed part of the header as a value.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> Ipv4Fields {
        Ipv4Fields {
            type_of_service: self.type_of_service(),
            total_length: self.total_length(),
            identification: self.identification(),
            flags_and_offset: self.flags_and_offset(),
            time_to_live: self.time_to_live(),
            protocol: self.protocol(),
            source: self.source(),
            destination: self.destination(),
        }
    }
}

impl<'a> Ipv4<'a> {
    /// What follows header and options, up to the stated total length or the end of the bytes.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        let end = usize::from(self.total_length())
            .saturating_sub(20)
            .min(self.rest.len());
        self.rest
            .get(self.options_length()..end)
            .unwrap_or_default()
    }
}

impl<H, R> Ipv4View<H, R>
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

    /// What follows header and options, up to the stated total length or the end of the bytes.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let start = self.options_length();
        let end = usize::from(self.total_length())
            .saturating_sub(20)
            .min(self.rest.len());
        self.rest.get_mut(start..end).unwrap_or_default()
    }

    /// Computes and stores the header checksum.
    #[inline]
    pub fn fill_checksum(&mut self) {
        let checksum = self.computed_checksum();
        self.set_checksum(checksum);
    }

    /// Takes one from the time to live and mends the checksum (RFC 1624). A time to live of zero stays.
    #[inline]
    pub fn decrement_time_to_live(&mut self) {
        let old = self.time_to_live();
        if old > 0 {
            self.set_time_to_live(old - 1);
            // The field is the high byte of its word, so the sum falls by 0x100 and the checksum rises
            // by as much; the end-around carry comes early so that it does not become 0xffff.
            let (sum, carry) = self.checksum().overflowing_add(0x0100);
            self.set_checksum(sum.wrapping_add(u16::from(carry || sum == 0xffff)));
        }
    }

    /// Sets the differentiated services code point to the low six bits of `dscp`; the checksum is left.
    #[inline]
    pub fn set_dscp(&mut self, dscp: u8) {
        let ecn = self.ecn();
        self.set_type_of_service(dscp << 2 | ecn);
    }

    /// Sets the congestion bits to the low two bits of `ecn`; the checksum is left.
    #[inline]
    pub fn set_ecn(&mut self, ecn: u8) {
        let dscp = self.type_of_service() & 0xfc;
        self.set_type_of_service(dscp | ecn & 3);
    }
}

/// An IPv4 header without options as a value; its checksum is made when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Fields {
    /// Type of service.
    pub type_of_service: u8,
    /// Length of header and payload in bytes.
    pub total_length: u16,
    /// Identification.
    pub identification: u16,
    /// Flags (high three bits) and fragment offset in units of eight bytes.
    pub flags_and_offset: u16,
    /// Time to live.
    pub time_to_live: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
}

impl Ipv4Fields {
    /// The header as it goes on the wire, with its checksum.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; 20] {
        let mut header = [0; 20];
        let mut view = Ipv4View {
            header: &mut header,
            rest: (),
        };
        view.set_version_and_length(0x45);
        view.set_type_of_service(self.type_of_service);
        view.set_total_length(self.total_length);
        view.set_identification(self.identification);
        view.set_flags_and_offset(self.flags_and_offset);
        view.set_time_to_live(self.time_to_live);
        view.set_protocol(self.protocol);
        view.set_source(self.source);
        view.set_destination(self.destination);
        let checksum = checksum::ipv4_header_checksum(view.header);
        view.set_checksum(checksum);
        header
    }
}
