//! The names that `AddressInfo` and `PortInfo` define, and who sees them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::cell::RefCell;
use core::net::{Ipv4Addr, Ipv6Addr};

use crate::collections::Map;
use sprat_packet::EtherAddress;

use crate::arguments::{Annotation, Ipv4Prefix, Ipv6Prefix, Names};
use crate::configure::scopes;
use crate::environment::Environment;

/// What a name stands for; one name may stand for several kinds of thing at once.
#[derive(Clone, Debug, Default)]
pub struct Meaning {
    /// As an IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// As a device: the router that its network's packets leave by.
    pub gateway: Option<Ipv4Addr>,
    /// As an IPv4 network.
    pub ipv4_prefix: Option<Ipv4Prefix>,
    /// As an IPv6 address.
    pub ipv6: Option<Ipv6Addr>,
    /// As an IPv6 network.
    pub ipv6_prefix: Option<Ipv6Prefix>,
    /// As an Ethernet address.
    pub ethernet: Option<EtherAddress>,
    /// As a TCP port.
    pub tcp_port: Option<u16>,
    /// As a UDP port.
    pub udp_port: Option<u16>,
    /// As a packet annotation.
    pub annotation: Option<Annotation>,
}

/// All names defined in a router, by the compound element they were defined in.
#[derive(Debug, Default)]
pub struct NameTable {
    meanings: Map<String, Meaning>,
}

impl NameTable {
    /// Adds to what `name` means inside `scope`, a compound's name with its final slash or
    /// nothing.
    pub fn define(&mut self, scope: &str, name: &str) -> &mut Meaning {
        self.meanings
            .get_or_insert_with(scope.to_owned() + name, Default::default)
    }

    fn find<T>(&self, scope: &str, name: &str, kind: impl Fn(&Meaning) -> Option<T>) -> Option<T> {
        let mut full = String::new();
        scopes(scope).find_map(|scope| {
            full.clear();
            full.push_str(scope);
            full.push_str(name);
            self.meanings.get(full.as_str()).and_then(&kind)
        })
    }
}

/// A name table as seen from inside one compound element. Names that are not in it may be those of
/// network interfaces.
pub struct ScopedNames<'a> {
    table: &'a RefCell<NameTable>,
    scope: &'a str,
    environment: &'a dyn Environment,
}

impl<'a> ScopedNames<'a> {
    /// The names visible in `scope`.
    pub fn new(
        table: &'a RefCell<NameTable>,
        scope: &'a str,
        environment: &'a dyn Environment,
    ) -> Self {
        Self {
            table,
            scope,
            environment,
        }
    }

    fn find<T>(&self, name: &str, kind: impl Fn(&Meaning) -> Option<T>) -> Option<T> {
        let defined = self.table.borrow().find(self.scope, name, &kind);
        defined.or_else(|| kind(&self.environment.interface_addresses(name)?))
    }
}

impl Names for ScopedNames<'_> {
    fn ipv4(&self, name: &str) -> Option<Ipv4Addr> {
        self.find(name, |meaning| meaning.ipv4)
    }

    fn gateway(&self, name: &str) -> Option<Ipv4Addr> {
        self.find(name, |meaning| meaning.gateway)
    }

    fn ipv4_prefix(&self, name: &str) -> Option<Ipv4Prefix> {
        self.find(name, |meaning| meaning.ipv4_prefix)
    }

    fn ipv6(&self, name: &str) -> Option<Ipv6Addr> {
        self.find(name, |meaning| meaning.ipv6)
    }

    fn ipv6_prefix(&self, name: &str) -> Option<Ipv6Prefix> {
        self.find(name, |meaning| meaning.ipv6_prefix)
    }

    fn ethernet(&self, name: &str) -> Option<EtherAddress> {
        self.find(name, |meaning| meaning.ethernet)
    }

    fn port(&self, name: &str, protocol: u8) -> Option<u16> {
        self.find(name, |meaning| match protocol {
            6 => meaning.tcp_port,
            17 => meaning.udp_port,
            _ => None,
        })
    }

    fn annotation(&self, name: &str) -> Option<Annotation> {
        self.find(name, |meaning| meaning.annotation)
    }
}
