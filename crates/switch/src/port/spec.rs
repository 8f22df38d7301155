//! What people write for a live port: `user`, `tap:NAME` and so on.

use super::{Packet, Port, PortError, Publish, Tap, User, UserOptions, Xdp};

/// What a device is joined to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortSpec {
    /// A network of its own, carried on by the host's sockets.
    User {
        /// Whether its gateway leads to the host's loopback addresses.
        loopback: bool,
    },
    /// A tap interface.
    Tap(String),
    /// An interface that is there.
    Packet(String),
    /// The same, by AF_XDP: faster, and the port's alone.
    Xdp(String),
}

impl PortSpec {
    /// Reads a specification.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "user" => Ok(Self::User { loopback: false }),
            Some(("user", "loopback")) => Ok(Self::User { loopback: true }),
            Some(("tap", name)) => interface(name).map(Self::Tap),
            Some(("packet", name)) => interface(name).map(Self::Packet),
            Some(("xdp", name)) => interface(name).map(Self::Xdp),
            _ => Err(format!(
                "`{text}` is none of user, user:loopback, tap:INTERFACE, packet:INTERFACE and \
                 xdp:INTERFACE"
            )),
        }
    }

    /// Opens the port; `publish` is for one that has a network of its own.
    ///
    /// # Errors
    /// The system refuses.
    pub fn open(&self, publish: &[Publish]) -> Result<Opened, PortError> {
        match self {
            Self::User { loopback } => {
                let options = UserOptions {
                    publish: publish.to_vec(),
                    loopback: *loopback,
                    resolver: None,
                };
                let port = User::open(&options)?;
                let published = port.publications().to_vec();
                Ok(Opened {
                    port: Box::new(port),
                    published,
                })
            }
            Self::Tap(name) => Ok(Opened {
                port: Box::new(Tap::open(name)?),
                published: Vec::new(),
            }),
            // The instance has an address of its own.
            Self::Packet(name) => Ok(Opened {
                port: Box::new(Packet::open(name, true)?),
                published: Vec::new(),
            }),
            Self::Xdp(name) => Ok(Opened {
                port: Box::new(Xdp::open(name)?),
                published: Vec::new(),
            }),
        }
    }

    /// Whether it is a network of the instance's own.
    #[must_use]
    pub fn is_user(&self) -> bool {
        matches!(self, Self::User { .. })
    }
}

/// An open port, and what it has published with the host's ports as they are.
pub struct Opened {
    /// The port.
    pub port: Box<dyn Port>,
    /// What it has published.
    pub published: Vec<Publish>,
}

/// The name of an interface, as the kernel would take it.
fn interface(name: &str) -> Result<String, String> {
    let fits = (1..16).contains(&name.len());
    let odd = |c: char| c.is_whitespace() || matches!(c, '/' | ':' | '%' | '\0');
    if fits && !name.contains(odd) && name != "." && name != ".." {
        Ok(name.into())
    } else {
        Err(format!("`{name}` is no name of an interface"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_network_of_its_own_or_an_interface() {
        let user = |loopback| Ok(PortSpec::User { loopback });
        assert_eq!(PortSpec::parse("user"), user(false));
        assert_eq!(PortSpec::parse("user:loopback"), user(true));
        assert_eq!(
            PortSpec::parse("tap:tap0"),
            Ok(PortSpec::Tap("tap0".into()))
        );
    }

    #[test]
    fn a_name_that_the_kernel_would_refuse_is_refused() {
        for name in ["", "sixteen-letters-", "a/b", "a b", "..", "tap%d"] {
            let error = PortSpec::parse(&format!("tap:{name}")).unwrap_err();
            assert_eq!(error, format!("`{name}` is no name of an interface"));
        }
    }

    #[test]
    fn other_ports_are_named() {
        let error = PortSpec::parse("bridge:br0").unwrap_err();
        assert!(error.starts_with("`bridge:br0` is none of"), "{error}");
    }
}
