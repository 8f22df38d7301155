//! ICMPv6 (RFC 4443) with the messages of neighbour discovery (RFC 4861).

use super::HeaderError;
use crate::checksum::Sum;
use core::net::Ipv6Addr;
use core::ops::{Deref, DerefMut};

/// Values of the type field.
pub mod icmpv6_type {
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Packet too big.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub const ECHO: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Router solicitation.
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Router advertisement.
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Neighbour solicitation.
    pub const NEIGHBOUR_SOLICITATION: u8 = 135;
    /// Neighbour advertisement.
    pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
    /// Redirect.
    pub const REDIRECT: u8 = 137;

    /// Whether messages of this type report an error about another packet (RFC 4443, section 2.1).
    #[inline]
    #[must_use]
    pub const fn is_error(kind: u8) -> bool {
        kind < 128
    }
}

header_view! {
    /// The eight bytes that begin every ICMPv6 message, with what follows.
    Icmpv6View, Icmpv6, Icmpv6Mut, 8
}

header_fields! { Icmpv6View, 8;
    /// Type; see [`icmpv6_type`].
    u8, kind, set_kind, 0;
    /// Code within the type.
    u8, code, set_code, 1;
    /// Checksum over the pseudo-header and the whole message.
    u16, checksum, set_checksum, 2;
    /// The second word as a whole, whose meaning the type decides: MTU, pointer, flags.
    u32, second_word, set_second_word, 4;
    /// Identifier of an echo message.
    u16, identifier, set_identifier, 4;
    /// Sequence number of an echo message.
    u16, sequence, set_sequence, 6;
}

impl<H, R> Icmpv6View<H, R>
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

    /// Target address of a neighbour solicitation, advertisement or redirect, when it is there.
    #[inline]
    #[must_use]
    pub fn target(&self) -> Option<Ipv6Addr> {
        self.rest
            .first_chunk::<16>()
            .map(|bytes| Ipv6Addr::from(*bytes))
    }

    /// The checksum that a message ending with these bytes ought to have, under the pseudo-header given.
    #[inline]
    #[must_use]
    pub fn computed_checksum(&self, pseudo_header: Sum) -> u16 {
        pseudo_header
            .add_bytes(self.header.as_slice())
            .add_u16(!self.checksum())
            .add_bytes(&self.rest)
            .finish()
    }

    /// The first eight bytes as a value.
    #[inline]
    #[must_use]
    pub fn fields(&self) -> Icmpv6Fields {
        Icmpv6Fields {
            kind: self.kind(),
            code: self.code(),
            checksum: self.checksum(),
            second_word: self.second_word(),
        }
    }
}

impl<'a> Icmpv6<'a> {
    /// What follows the first eight bytes.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.rest
    }
}

impl<H, R> Icmpv6View<H, R>
where
    H: DerefMut<Target = [u8; 8]>,
    R: DerefMut<Target = [u8]>,
{
    /// Computes and stores the checksum of a message that ends with these bytes.
    #[inline]
    pub fn fill_checksum(&mut self, pseudo_header: Sum) {
        let checksum = self.computed_checksum(pseudo_header);
        self.set_checksum(checksum);
    }
}

/// The first eight bytes of an ICMPv6 message as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmpv6Fields {
    /// Type; see [`icmpv6_type`].
    pub kind: u8,
    /// Code within the type.
    pub code: u8,
    /// Checksum over the pseudo-header and the whole message.
    pub checksum: u16,
    /// The second word, whose meaning the type decides.
    pub second_word: u32,
}

impl Icmpv6Fields {
    /// The bytes as they go on the wire.
    #[inline]
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let mut header = [0; 8];
        let mut view = Icmpv6View {
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
