//! Views of protocol headers over borrowed bytes.
//!
//! A view is made by `new`, which does the one length check; after it no accessor can panic, whatever
//! the bytes hold. The fixed part of a header is held as a reference to an array, so the offsets of its
//! fields are checked when compiling; what follows is a slice, and lengths that the header itself states
//! (options, total length) are clamped to it. Each protocol has a read-only view (`Udp`), a writable one
//! (`UdpMut`) and a plain value (`UdpFields`) that turns into bytes and back without loss.
//!
//! The views state what the bytes say. Whether a packet is acceptable (checksums, lengths that agree,
//! addresses that make sense) is for the elements to decide.
//!
//! ```
//! use sprat_packet::headers::{Udp, UdpFields};
//! let bytes = UdpFields { source_port: 53, destination_port: 4096, length: 8, checksum: 0 }.to_bytes();
//! assert_eq!(Udp::new(&bytes).unwrap().source_port(), 53);
//! assert!(Udp::new(&bytes[..7]).is_err());
//! ```

use core::fmt;

/// Declares the view types of one protocol: the generic view, its read-only and its writable form.
///
/// The view's `check` method is called once, when a view is made.
macro_rules! header_view {
    ($(#[$documentation:meta])* $view:ident, $shared:ident, $exclusive:ident, $length:literal) => {
        $(#[$documentation])*
        #[derive(Debug, Clone, Copy)]
        pub struct $view<H, R> {
            header: H,
            rest: R,
        }

        $(#[$documentation])*
        ///
        /// Read-only.
        pub type $shared<'a> = $view<&'a [u8; $length], &'a [u8]>;

        $(#[$documentation])*
        ///
        /// Writable.
        pub type $exclusive<'a> = $view<&'a mut [u8; $length], &'a mut [u8]>;

        impl $shared<'_> {
            /// Length of the fixed part of the header, in bytes.
            pub const LENGTH: usize = $length;
        }

        impl<'a> $shared<'a> {
            /// Reads the header at the start of `bytes`.
            ///
            /// # Errors
            /// When `bytes` are too few for the header, or the header contradicts itself.
            #[inline]
            pub fn new(bytes: &'a [u8]) -> Result<Self, $crate::headers::HeaderError> {
                let (header, rest) =
                    bytes.split_first_chunk().ok_or($crate::headers::HeaderError::Truncated)?;
                let view = Self { header, rest };
                view.check()?;
                Ok(view)
            }
        }

        impl<'a> $exclusive<'a> {
            /// Opens the header at the start of `bytes` for writing.
            ///
            /// # Errors
            /// When `bytes` are too few for the header, or the header contradicts itself.
            #[inline]
            pub fn new(bytes: &'a mut [u8]) -> Result<Self, $crate::headers::HeaderError> {
                let (header, rest) =
                    bytes.split_first_chunk_mut().ok_or($crate::headers::HeaderError::Truncated)?;
                let view = Self { header, rest };
                view.check()?;
                Ok(view)
            }
        }

        impl<H, R> $view<H, R>
        where
            H: core::ops::Deref<Target = [u8; $length]>,
            R: core::ops::Deref<Target = [u8]>,
        {
            /// The fixed part of the header.
            #[inline]
            pub fn header(&self) -> &[u8; $length] {
                &self.header
            }

            /// Everything that follows the fixed part of the header.
            #[inline]
            pub fn rest(&self) -> &[u8] {
                &self.rest
            }
        }
    };
}

/// Declares the accessors of whole-byte fields: `type getter setter @ offset`.
macro_rules! header_fields {
    ($view:ident, $length:literal; $( $(#[$documentation:meta])* $kind:ty, $get:ident, $set:ident, $at:literal; )*) => {
        impl<H: core::ops::Deref<Target = [u8; $length]>, R> $view<H, R> {
            $(
                $(#[$documentation])*
                #[inline]
                #[must_use]
                pub fn $get(&self) -> $kind {
                    <$kind as $crate::headers::field::Field>::read(self.header.as_slice(), $at)
                }
            )*
        }
        impl<H: core::ops::DerefMut<Target = [u8; $length]>, R> $view<H, R> {
            $(
                /// Sets the field that the method without `set_` reads.
                #[inline]
                pub fn $set(&mut self, value: $kind) {
                    <$kind as $crate::headers::field::Field>::write(value, self.header.as_mut_slice(), $at);
                }
            )*
        }
    };
}

mod arp;
mod ethernet;
mod field;
mod icmp;
mod icmpv6;
mod ipv4;
mod ipv4_options;
mod ipv6;
mod ipv6_extensions;
pub mod protocol;
mod tcp;
mod tcp_options;
#[cfg(test)]
mod tests;
mod udp;
mod vlan;

pub use arp::{Arp, ArpFields, ArpMut, ArpView, arp_operation};
pub use ethernet::{Ethernet, EthernetFields, EthernetMut, EthernetView, ethertype};
pub use icmp::{Icmp, IcmpFields, IcmpMut, IcmpView, icmp_type, unreachable_code};
pub use icmpv6::{Icmpv6, Icmpv6Fields, Icmpv6Mut, Icmpv6View, icmpv6_type};
pub use ipv4::{Ipv4, Ipv4Fields, Ipv4Mut, Ipv4View};
pub use ipv4_options::{Ipv4Option, Ipv4Options, ip_option};
pub use ipv6::{Ipv6, Ipv6Fields, Ipv6Mut, Ipv6View};
pub use ipv6_extensions::{Ipv6Fragment, UpperLayer, upper_layer};
pub use tcp::{Tcp, TcpFields, TcpMut, TcpView, tcp_flags};
pub use tcp_options::{SackBlocks, TcpOption, TcpOptions, tcp_option};
pub use udp::{Udp, UdpFields, UdpMut, UdpView};
pub use vlan::{NetworkLayer, Vlan, VlanFields, VlanMut, VlanView, network_layer};

/// Why bytes could not be read as a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderError {
    /// There are fewer bytes than the header needs, its own options included.
    Truncated,
    /// The version field names another protocol.
    Version,
    /// The stated header length is below the protocol's minimum.
    HeaderLength,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Truncated => "too few bytes for the header",
            Self::Version => "the header has another protocol's version",
            Self::HeaderLength => "the header states a length below the minimum",
        })
    }
}

impl core::error::Error for HeaderError {}
