//! Which ports of the host lead to the instance.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::str::FromStr;

use super::network::GUEST;

/// What is carried to a published port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// A port of the host that leads to a port of the instance:
/// `[ADDRESS:]PORT:[GUEST_ADDRESS:]GUEST_PORT[/tcp|/udp]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The host's address and port; port 0 for one that the system chooses.
    pub host: SocketAddr,
    /// The instance's address and port.
    pub guest: SocketAddrV4,
    /// What is carried.
    pub transport: Transport,
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.host, self.guest, self.transport)
    }
}

/// A text that publishes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishError {
    /// The text has the wrong shape.
    Shape,
    /// Something is no port number.
    Port(String),
    /// Something is no address.
    Address(String),
    /// Something is no transport.
    Transport(String),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => {
                f.write_str("expected [ADDRESS:]PORT:GUEST_PORT[/tcp|/udp], such as 8080:80")
            }
            Self::Port(text) => write!(f, "{text:?} is no port number"),
            Self::Address(text) => write!(f, "{text:?} is no address"),
            Self::Transport(text) => write!(f, "{text:?} is neither tcp nor udp"),
        }
    }
}

impl std::error::Error for PublishError {}

impl FromStr for Publish {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        let (ports, transport) = match text.split_once('/') {
            None => (text, Transport::Tcp),
            Some((ports, "tcp")) => (ports, Transport::Tcp),
            Some((ports, "udp")) => (ports, Transport::Udp),
            Some((_, other)) => return Err(PublishError::Transport(other.into())),
        };
        let (host, rest) = host_end(ports)?;
        let (address, port) = match rest.split_once(':') {
            Some((address, port)) => (address.parse().map_err(|_| address_error(address))?, port),
            None => (GUEST, rest),
        };
        Ok(Self {
            host,
            guest: SocketAddrV4::new(address, guest_port(port)?),
            transport,
        })
    }
}

/// The host's end at the beginning of a text, and what is left.
fn host_end(text: &str) -> Result<(SocketAddr, &str), PublishError> {
    let (address, rest) = if let Some(inside) = text.strip_prefix('[') {
        let (address, rest) = inside.split_once("]:").ok_or(PublishError::Shape)?;
        (Some(address), rest)
    } else {
        match text.split_once(':') {
            Some((first, rest)) if first.contains('.') => (Some(first), rest),
            _ => (None, text),
        }
    };
    let address = match address {
        Some(address) => address.parse().map_err(|_| address_error(address))?,
        None => Ipv4Addr::LOCALHOST.into(),
    };
    let (port, rest) = rest.split_once(':').ok_or(PublishError::Shape)?;
    let port = port
        .parse()
        .map_err(|_| PublishError::Port(port.to_string()))?;
    Ok((SocketAddr::new(address, port), rest))
}

fn address_error(text: &str) -> PublishError {
    PublishError::Address(text.into())
}

fn guest_port(text: &str) -> Result<u16, PublishError> {
    match text.parse() {
        Ok(0) | Err(_) => Err(PublishError::Port(text.into())),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_names_both_ends_and_the_transport() {
        let cases = [
            ("8080:80", "127.0.0.1:8080", "10.0.2.15:80", Transport::Tcp),
            ("0:53/udp", "127.0.0.1:0", "10.0.2.15:53", Transport::Udp),
            (
                "0.0.0.0:8080:80/tcp",
                "0.0.0.0:8080",
                "10.0.2.15:80",
                Transport::Tcp,
            ),
            (
                "[::1]:8080:80",
                "[::1]:8080",
                "10.0.2.15:80",
                Transport::Tcp,
            ),
            (
                "8080:192.0.2.7:80",
                "127.0.0.1:8080",
                "192.0.2.7:80",
                Transport::Tcp,
            ),
        ];
        for (text, host, guest, transport) in cases {
            let expected = Publish {
                host: host.parse().expect("an address"),
                guest: guest.parse().expect("an address"),
                transport,
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
            assert_eq!(expected.to_string().parse(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_publication_is_named() {
        let cases = [
            ("80", PublishError::Shape),
            ("", PublishError::Shape),
            ("http:80", PublishError::Port("http".into())),
            ("8080:0", PublishError::Port("0".into())),
            ("8080:70000", PublishError::Port("70000".into())),
            ("1.2.3:1:2", PublishError::Address("1.2.3".into())),
            ("8080:80/sctp", PublishError::Transport("sctp".into())),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Publish>(), Err(error), "{text}");
        }
    }
}
