//! Addresses as smoltcp has them, and which families of them this stack carries.
//!
//! IPv6 is a feature because it is a quarter of the stack; without it an IPv6 address is one that
//! cannot be used, and frames of IPv6 are nobody's.

use core::net::{IpAddr, SocketAddr};

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

/// An address as text, of a family that is carried.
#[must_use]
pub fn parse(text: &str) -> Option<IpAddr> {
    if IPV6 {
        text.parse().ok()
    } else {
        text.parse().ok().map(IpAddr::V4)
    }
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

    #[test]
    fn an_address_of_a_family_that_is_not_carried_cannot_be_used() {
        assert!(address([10, 0, 0, 1].into()).is_ok());
        let own = address(Ipv6Addr::LOCALHOST.into());
        assert_eq!(own.is_ok(), IPV6);
    }
}
