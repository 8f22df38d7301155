//! Names that stand for addresses, ports and protocols.

use alloc::borrow::ToOwned;
use core::net::{Ipv4Addr, Ipv6Addr};

use sprat_packet::EtherAddress;

use super::addresses::{Ipv4Prefix, Ipv6Prefix};
use super::annotation::Annotation;
use super::numbers::parse_unsigned;
use super::{Argument, ArgumentError};

/// What `AddressInfo` and `PortInfo` elements declare, seen from one element: names of the
/// compound it lies in hide those further out.
///
/// A name comes without the suffix (`:ip`, `:ipnet`, `:eth`, …) that chose the kind.
pub trait Names {
    /// The IPv4 address of this name.
    fn ipv4(&self, _name: &str) -> Option<Ipv4Addr> {
        None
    }

    /// The gateway of the network interface of this name.
    fn gateway(&self, _name: &str) -> Option<Ipv4Addr> {
        None
    }

    /// The IPv4 prefix of this name.
    fn ipv4_prefix(&self, _name: &str) -> Option<Ipv4Prefix> {
        None
    }

    /// The IPv6 address of this name.
    fn ipv6(&self, _name: &str) -> Option<Ipv6Addr> {
        None
    }

    /// The IPv6 prefix of this name.
    fn ipv6_prefix(&self, _name: &str) -> Option<Ipv6Prefix> {
        None
    }

    /// The Ethernet address of this name.
    fn ethernet(&self, _name: &str) -> Option<EtherAddress> {
        None
    }

    /// The port of this name under an IP protocol (6 or 17).
    fn port(&self, _name: &str, _protocol: u8) -> Option<u16> {
        None
    }

    /// The packet annotation of this name.
    fn annotation(&self, _name: &str) -> Option<Annotation> {
        None
    }

    /// The number of an IP protocol.
    fn protocol(&self, _name: &str) -> Option<u8> {
        None
    }
}

/// Nothing was declared.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Names for NoNames {}

/// An IP protocol number, given as a number or by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpProtocol(pub u8);

/// Names in the IANA registry of protocol numbers that configurations use.
const PROTOCOLS: [(&str, u8); 18] = [
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("tcp", 6),
    ("egp", 8),
    ("udp", 17),
    ("dccp", 33),
    ("ip6", 41),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmp6", 58),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("sctp", 132),
    ("udplite", 136),
];

impl IpProtocol {
    /// The well-known name of the protocol.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let mut names = PROTOCOLS.iter();
        names
            .find(|(_, number)| *number == self.0)
            .map(|(name, _)| *name)
    }

    /// The protocol of a well-known name such as `tcp`.
    #[must_use]
    pub fn well_known(name: &str) -> Option<Self> {
        PROTOCOLS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, number)| Self(number))
    }
}

impl Argument for IpProtocol {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        if let Some(number) = names.protocol(text) {
            return Ok(Self(number));
        }
        if let Some(known) = Self::well_known(text) {
            return Ok(known);
        }
        match parse_unsigned(text) {
            Some(Ok(number)) => u8::try_from(number)
                .map(Self)
                .map_err(|_| ArgumentError::OutOfRange { bound: 255 }),
            Some(Err(_)) => Err(ArgumentError::OutOfRange { bound: 255 }),
            None => Err(ArgumentError::Unreadable),
        }
    }
}

/// A TCP port, given as a number or by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TcpPort(pub u16);

/// A UDP port, given as a number or by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UdpPort(pub u16);

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Names in the IANA registry of services, with the protocols they are used over.
const SERVICES: [(&str, u16, &[u8]); 44] = [
    ("echo", 7, &[TCP, UDP]),
    ("discard", 9, &[TCP, UDP]),
    ("daytime", 13, &[TCP, UDP]),
    ("chargen", 19, &[TCP, UDP]),
    ("ftp-data", 20, &[TCP, UDP]),
    ("ftp", 21, &[TCP, UDP]),
    ("ssh", 22, &[TCP, UDP]),
    ("telnet", 23, &[TCP, UDP]),
    ("smtp", 25, &[TCP, UDP]),
    ("time", 37, &[TCP, UDP]),
    ("dns", 53, &[TCP, UDP]),
    ("domain", 53, &[TCP, UDP]),
    ("bootps", 67, &[UDP]),
    ("bootpc", 68, &[UDP]),
    ("tftp", 69, &[UDP]),
    ("gopher", 70, &[TCP, UDP]),
    ("finger", 79, &[TCP]),
    ("http", 80, &[TCP, UDP]),
    ("www", 80, &[TCP, UDP]),
    ("kerberos", 88, &[TCP, UDP]),
    ("pop2", 109, &[TCP]),
    ("pop3", 110, &[TCP, UDP]),
    ("sunrpc", 111, &[TCP, UDP]),
    ("auth", 113, &[TCP]),
    ("nntp", 119, &[TCP]),
    ("ntp", 123, &[TCP, UDP]),
    ("netbios-ns", 137, &[TCP, UDP]),
    ("netbios-dgm", 138, &[TCP, UDP]),
    ("netbios-ssn", 139, &[TCP, UDP]),
    ("imap", 143, &[TCP, UDP]),
    ("imap2", 143, &[TCP]),
    ("snmp", 161, &[TCP, UDP]),
    ("snmp-trap", 162, &[TCP, UDP]),
    ("bgp", 179, &[TCP]),
    ("irc", 194, &[TCP, UDP]),
    ("imap3", 220, &[TCP]),
    ("ldap", 389, &[TCP, UDP]),
    ("https", 443, &[TCP, UDP]),
    ("syslog", 514, &[UDP]),
    ("rip", 520, &[UDP]),
    ("ldaps", 636, &[TCP]),
    ("imaps", 993, &[TCP]),
    ("pop3s", 995, &[TCP]),
    ("nfs", 2049, &[TCP, UDP]),
];

/// Reads a port number or name under an IP protocol; names declared by `PortInfo` come first.
pub(crate) fn parse_port(
    text: &str,
    protocol: u8,
    names: &dyn Names,
) -> Result<u16, ArgumentError> {
    if let Some(port) = names.port(text, protocol) {
        return Ok(port);
    }
    if let Some((_, port, _)) = SERVICES
        .iter()
        .find(|(name, _, over)| *name == text && over.contains(&protocol))
    {
        return Ok(*port);
    }
    match parse_unsigned(text) {
        Some(Ok(number)) => {
            u16::try_from(number).map_err(|_| ArgumentError::OutOfRange { bound: 65535 })
        }
        Some(Err(_)) => Err(ArgumentError::OutOfRange { bound: 65535 }),
        None => Err(ArgumentError::Other("bad port number".to_owned())),
    }
}

impl TcpPort {
    /// Reads a port of any protocol: TCP's names for TCP, UDP's for everything else.
    ///
    /// # Errors
    /// The text is neither a number below 65,536 nor a name known for the protocol.
    pub fn parse_for(
        protocol: IpProtocol,
        text: &str,
        names: &dyn Names,
    ) -> Result<u16, ArgumentError> {
        parse_port(text, protocol.0, names)
    }
}

impl Argument for TcpPort {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        parse_port(text, TCP, names).map(Self)
    }
}

impl Argument for UdpPort {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        parse_port(text, UDP, names).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_and_ports_have_iana_names() {
        assert_eq!(IpProtocol::parse("tcp", &NoNames), Ok(IpProtocol(6)));
        assert_eq!(IpProtocol::parse("89", &NoNames), Ok(IpProtocol(89)));
        assert_eq!(
            IpProtocol::parse("256", &NoNames),
            Err(ArgumentError::OutOfRange { bound: 255 })
        );
        assert_eq!(TcpPort::parse("www", &NoNames), Ok(TcpPort(80)));
        assert_eq!(UdpPort::parse("bootps", &NoNames), Ok(UdpPort(67)));
        assert!(TcpPort::parse("bootps", &NoNames).is_err());
        assert_eq!(
            TcpPort::parse("65536", &NoNames),
            Err(ArgumentError::OutOfRange { bound: 65535 })
        );
    }

    #[test]
    fn a_declared_name_hides_the_well_known_one() {
        struct Declared;
        impl Names for Declared {
            fn port(&self, name: &str, protocol: u8) -> Option<u16> {
                (name == "http" && protocol == TCP).then_some(8080)
            }
        }
        assert_eq!(TcpPort::parse("http", &Declared), Ok(TcpPort(8080)));
        assert_eq!(UdpPort::parse("http", &Declared), Ok(UdpPort(80)));
    }
}
