//! ICMP (RFC 792, RFC 1191, RFC 1256).

use super::HeaderError;
use crate::checksum::Sum;
use core::net::Ipv4Addr;
use core::ops::{Deref, DerefMut};

/// Values of the type field.
pub mod icmp_type {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Source quench.
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO: u8 = 8;
    /// Router advertisement.
    pub const ROUTER_ADVERTISEMENT: u8 = 9;
    /// Router solicitation.
    pub const ROUTER_SOLICITATION: u8 = 10;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
    /// Timestamp request.
    pub const TIMESTAMP: u8 = 13;
    /// Timestamp reply.
    pub const TIMESTAMP_REPLY: u8 = 14;
    /// Information request.
    pub const INFORMATION: u8 = 15;
    /// Information reply.
    pub const INFORMATION_REPLY: u8 = 16;
    /// Address mask request.
    pub const MASK_REQUEST: u8 = 17;
    /// Address mask reply.
    pub const MASK_REPLY: u8 = 18;

    /// Whether messages of this type report an error about another packet.
    #[inline]
    #[must_use]
    pub const fn is_error(kind: u8) -> bool {
        matches!(
            kind,
            UNREACHABLE | SOURCE_QUENCH | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
        )
    }
}

/// Codes of "destination unreachable" (RFC 792, RFC 1812).
pub mod unreachable_code {
    /// Network unreachable.
    pub const NETWORK: u8 = 0;
    /// Host unreachable.
    pub const HOST: u8 = 1;
    /// Protocol unreachable.
    pub const PROTOCOL: u8 = 2;
    /// Port unreachable.
    pub const PORT: u8 = 3;
    /// Fragmentation needed, but forbidden.
    pub const NEED_FRAGMENT: u8 = 4;
    /// Source route failed.
    pub const SOURCE_ROUTE_FAILED: u8 = 5;
    /// Communication forbidden by a filter.
    pub const FILTERED: u8 = 13;
}

header_view! {
    /// The eight bytes that begin every ICMP message, with what follows.
    IcmpView, Icmp, IcmpMut, 8
}

header_fields! { IcmpView, 8;
    /// Type; see [`icmp_type`].
    u8, kind, set_kind, 0;
    /// Code within the type.
    u8, code, set_code, 1;
    /// Checksum over the whole message.
    u16, checksum, set_checksum, 2;
    /// The second word as a whole, whose meaning the type decides.
    u32, second_word, set_second_word, 4;
    /// Identifier of an echo or timestamp message.
    u16, identifier, set_identifier, 4;
    /// Sequence number of an echo or timestamp message.
    u16, sequence, set_sequence, 6;
    /// Gateway address of a redirect.
    Ipv4Addr, gateway, set_gateway, 4;
    /// Offset of the bad byte in a parameter problem.
    u8, pointer, set_pointer, 4;
    /// Next-hop MTU of "fragmentation needed" (RFC 1191).
    u16, next_hop_mtu, set_next_hop_mtu, 6;
}

impl<H, R> IcmpView<H, R>
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

    /// The checksum that a message ending with these bytes ought to have.
    #[inline]
    #[must_use]
    pub fn computed_checksum(&self) -> u16 {
        // Without the checksum's own bytes: taking it out of a sum would give the other zero where
        // all the rest is zero, as in an echo reply.
        let [kind, code, _, _, rest @ ..] = *self.header;
        Sum::of(&[kind, code])
            .add_bytes(&rest)
            .add_bytes(&self.rest)
            .finish()
    }

    /// Whether the checksum is right for a message that ends with these bytes.
    #[inline]
    #[must_use]
    pub fn checksum_is_right(&self) -> bool {
        Sum::of(self.header.as_slice())
            .add_bytes(&self.rest)
            .finish()
            == 0
    }

    /// The first eight bytes as a value.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> IcmpFields {
        IcmpFields {
            kind: self.kind(),
            code: self.code(),
            checksum: self.checksum(),
            second_word: self.second_word(),
        }
    }
}

impl<'a> Icmp<'a> {
    /// What follows the first eight bytes; for errors, the quoted packet.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

impl<H, R> IcmpView<H, R>
where
    H: DerefMut<Target = [u8; 8]>,
    R: DerefMut<Target = [u8]>,
{
    /// What follows the first eight bytes.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.rest
    }

    /// Computes and stores the checksum of a message that ends with these bytes.
    #[inline]
    pub fn fill_checksum(&mut self) {
        let checksum = self.computed_checksum();
        self.set_checksum(checksum);
    }
}

/// The first eight bytes of an ICMP message as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpFields {
    /// Type; see [`icmp_type`].
    pub kind: u8,
    /// Code within the type.
    pub code: u8,
    /// Checksum over the whole message.
    pub checksum: u16,
    /// The second word, whose meaning the type decides.
    pub second_word: u32,
}

impl IcmpFields {
    /// The bytes as they go on the wire.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let mut header = [0; 8];
        let mut view = IcmpView {
            header: &mut header,
            rest: (),
        };
        view.set_kind(self.kind);
        view.set_code(self.code);
        view.set_checksum(self.checksum);
        view.set_second_word(self.second_word);
        header
    }
}
