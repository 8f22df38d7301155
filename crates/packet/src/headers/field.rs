//! Reading and writing of whole-byte fields in network byte order.

use crate::EtherAddress;
use core::net::{Ipv4Addr, Ipv6Addr};

/// The `N` bytes at `at`. Offsets are constants inside the array that the caller holds, so the fallback
/// is dead code that the optimizer removes together with the check.
#[inline(always)]
fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes
        .get(at..)
        .and_then(|tail| tail.first_chunk())
        .copied()
        .unwrap_or([0; N])
}

/// Writes `value` at `at`; see [`bytes_at`].
#[inline(always)]
fn put_at<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|tail| tail.first_chunk_mut()) {
        *place = value;
    }
}

/// A value with a fixed form on the wire.
pub(super) trait Field: Sized {
    /// Reads the value at an offset.
    fn read(bytes: &[u8], at: usize) -> Self;
    /// Writes the value at an offset.
    fn write(self, bytes: &mut [u8], at: usize);
}

macro_rules! integer_field {
    ($($integer:ty),*) => {$(
        impl Field for $integer {
            #[inline(always)]
            fn read(bytes: &[u8], at: usize) -> Self {
                Self::from_be_bytes(bytes_at(bytes, at))
            }
            #[inline(always)]
            fn write(self, bytes: &mut [u8], at: usize) {
                put_at(bytes, at, self.to_be_bytes());
            }
        }
    )*};
}

integer_field!(u8, u16, u32);

impl Field for Ipv4Addr {
    #[inline(always)]
    fn read(bytes: &[u8], at: usize) -> Self {
        Self::from_bits(u32::read(bytes, at))
    }
    #[inline(always)]
    fn write(self, bytes: &mut [u8], at: usize) {
        self.to_bits().write(bytes, at);
    }
}

impl Field for Ipv6Addr {
    #[inline(always)]
    fn read(bytes: &[u8], at: usize) -> Self {
        Self::from(bytes_at::<16>(bytes, at))
    }
    #[inline(always)]
    fn write(self, bytes: &mut [u8], at: usize) {
        put_at(bytes, at, self.octets());
    }
}

impl Field for EtherAddress {
    #[inline(always)]
    fn read(bytes: &[u8], at: usize) -> Self {
        Self(bytes_at(bytes, at))
    }
    #[inline(always)]
    fn write(self, bytes: &mut [u8], at: usize) {
        put_at(bytes, at, self.0);
    }
}
