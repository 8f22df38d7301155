//! The private network that an instance sees, and where its addresses lead.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// Where the host is.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Where names are resolved.
pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// The address that the instance is given.
pub const GUEST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);

/// Bits of the network's prefix.
pub const PREFIX: u8 = 24;

/// The Ethernet address of gateway and name server.
pub const GATEWAY_ETHERNET: [u8; 6] = [0x52, 0x55, 10, 0, 2, 2];

/// Longest IP packet.
pub(super) const MTU: usize = 1500;

/// The port of name servers.
pub(super) const DNS_PORT: u16 = 53;

/// Which hosts an instance may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reach {
    /// Whether the gateway leads to the host's own loopback addresses.
    pub(super) loopback: bool,
    /// Whom names are asked of.
    pub(super) resolver: Option<SocketAddr>,
}

impl Reach {
    /// Where a destination of the instance leads; none where it may not go.
    ///
    /// The host's loopback is open only where that was asked for. Link-local addresses never are:
    /// clouds hand out credentials there.
    pub(super) fn lead(&self, to: SocketAddrV4) -> Option<SocketAddr> {
        let address = *to.ip();
        if address == GATEWAY {
            let host = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), to.port());
            return Some(host).filter(|_| self.loopback);
        }
        if address == NAME_SERVER {
            return self.resolver.filter(|_| to.port() == DNS_PORT);
        }
        let own = address.octets()[..3] == GATEWAY.octets()[..3];
        let barred = own
            || address.is_loopback()
            || address.is_link_local()
            || address.is_multicast()
            || address.octets()[0] == 0
            || address.octets()[0] >= 240;
        (!barred && to.port() != 0).then_some(SocketAddr::V4(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lead(loopback: bool, to: &str) -> Option<String> {
        let reach = Reach {
            loopback,
            resolver: "192.0.2.53:53".parse().ok(),
        };
        reach
            .lead(to.parse().expect("an address"))
            .map(|address| address.to_string())
    }

    #[test]
    fn the_hosts_loopback_is_closed_unless_it_was_opened() {
        assert_eq!(lead(false, "10.0.2.2:80"), None);
        assert_eq!(lead(true, "10.0.2.2:80").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(lead(true, "127.0.0.1:80"), None);
    }

    #[test]
    fn only_name_queries_reach_the_resolver() {
        assert_eq!(lead(false, "10.0.2.3:53").as_deref(), Some("192.0.2.53:53"));
        assert_eq!(lead(false, "10.0.2.3:80"), None);
    }

    #[test]
    fn addresses_that_are_no_hosts_lead_nowhere() {
        for to in [
            "10.0.2.15:80",
            "10.0.2.255:80",
            "169.254.169.254:80",
            "224.0.0.1:80",
            "255.255.255.255:67",
            "0.0.0.0:80",
            "192.0.2.1:0",
        ] {
            assert_eq!(lead(true, to), None, "{to}");
        }
        assert_eq!(lead(false, "192.0.2.1:80").as_deref(), Some("192.0.2.1:80"));
    }
}
