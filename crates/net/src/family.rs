//! Addresses as smoltcp has them, and which families of them this stack carries.
//!
//! IPv6 is a feature because it is a quarter of the stack; without it an IPv6 address is one that
//! cannot be used, and frames of IPv6 are nobody's.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::Error;

/// Whether IPv6 is carried.
pub(crate) const IPV6: bool = cfg!(feature = "ipv6");

/// An address for smoltcp.
///
/// # Errors
/// When it is of a family that is not carried.
pub(crate) fn address(address: IpAddr) -> Result<IpAddress, Error> {
    match address {
        IpAddr::V4(address) => Ok(IpAddress::Ipv4(address)),
        #[cfg(feature = "ipv6")]
        IpAddr::V6(address) => Ok(IpAddress::Ipv6(address)),
        #[cfg(not(feature = "ipv6"))]
        IpAddr::V6(_) => Err(Error::BadAddress),
    }
}

/// An address of this side, for sockets of smoltcp: none for all of them.
///
/// # Errors
/// As for [`address`].
pub(crate) fn local(own: IpAddr) -> Result<Option<IpAddress>, Error> {
    if own.is_unspecified() {
        Ok(None)
    } else {
        address(own).map(Some)
    }
}

/// An address as text, of a family that is carried.
#[must_use]
pub fn parse(text: &str) -> Option<IpAddr> {
    if IPV6 {
        text.parse().ok()
    } else {
        parse_ipv4(text).map(IpAddr::V4)
    }
}

/// What the standard library takes for an IPv4 address too, with a fifth of its code: images that
/// carry IPv4 alone have no use for the rest.
#[inline(never)]
fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut address = [0; 4];
    let (mut part, mut digits) = (0, 0);
    for byte in text.bytes() {
        match byte {
            b'.' if digits > 0 && part < 3 => {
                part += 1;
                digits = 0;
            }
            // No zero before other digits: some take such a number for an octal one.
            b'0'..=b'9' if digits == 0 || address[part] != 0 => {
                let number: &mut u8 = &mut address[part];
                *number = number.checked_mul(10)?.checked_add(byte - b'0')?;
                digits += 1;
            }
            _ => return None,
        }
    }
    (part == 3 && digits > 0).then(|| address.into())
}

/// An address and port for smoltcp.
///
/// # Errors
/// As for [`address`].
pub(crate) fn endpoint(peer: SocketAddr) -> Result<IpEndpoint, Error> {
    Ok(IpEndpoint::new(address(peer.ip())?, peer.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv6Addr;
    use proptest::prelude::*;

    proptest! {
        /// As the standard library has it.
        #[test]
        fn ipv4_addresses_are_what_the_standard_library_takes_for_them(
            text in "([0-9]{1,3}\\.){3}[0-9]{1,3}|[0-9.]{0,16}|([0-9]\\.){2,5}[0-9]?|[0-9.x]{7}"
        ) {
            prop_assert_eq!(parse_ipv4(&text), text.parse().ok());
        }
    }

    #[test]
    fn an_address_of_a_family_that_is_not_carried_cannot_be_used() {
        assert!(address([10, 0, 0, 1].into()).is_ok());
        let own = address(Ipv6Addr::LOCALHOST.into());
        assert_eq!(own.is_ok(), IPV6);
    }
}
