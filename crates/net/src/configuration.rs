//! Addresses and routes: given, or asked of a server.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::task::Waker;

use smoltcp::iface::Route;
use smoltcp::wire::{EthernetAddress, IpCidr};

#[cfg(feature = "ipv6")]
use sprat_packet::Batch;

use crate::engine::Engine;
use crate::family;
#[cfg(feature = "ipv6")]
use crate::neighbours::{self, Message};
#[cfg(feature = "ipv6")]
use crate::slaac::Slaac;
use crate::sockets::SocketId;

/// How a stack comes by its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// Its IPv4 address.
    pub ipv4: Ipv4,
    /// Its IPv6 addresses.
    pub ipv6: Ipv6,
    /// Name servers, in the order in which they are asked. Those that a DHCP server and IPv6 routers
    /// name come after these.
    pub name_servers: Vec<IpAddr>,
    /// Domains that a name without a dot is looked for in.
    pub search: Vec<String>,
}

/// An IPv4 address, or where it comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv4 {
    /// None: no IPv4.
    Off,
    /// From a DHCP server.
    #[default]
    Dhcp,
    /// This one.
    Static {
        /// The address.
        address: Ipv4Addr,
        /// How many of its bits name the network.
        prefix: u8,
        /// Through whom other networks are reached.
        gateway: Option<Ipv4Addr>,
    },
}

/// IPv6 addresses, or where they come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6 {
    /// None: no IPv6.
    #[default]
    Off,
    /// A link-local address, and one on each network that routers advertise for it (SLAAC, RFC 4862).
    Slaac,
    /// A link-local address, and this one.
    Static {
        /// The address.
        address: Ipv6Addr,
        /// How many of its bits name the network.
        prefix: u8,
        /// Through whom other networks are reached.
        gateway: Option<Ipv6Addr>,
    },
}

/// What a stack has come by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Addresses, each with the length of its network's prefix.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Name servers.
    pub name_servers: Vec<IpAddr>,
}

/// Keeps the addresses as they should be.
#[derive(Default)]
pub(crate) struct Configurator {
    name_servers: Vec<IpAddr>,
    leased_servers: Vec<IpAddr>,
    pub(crate) search: Vec<String>,
    /// Whether a first address is still to come.
    pub(crate) pending: bool,
    waiting: Vec<Waker>,
    #[cfg(feature = "dhcp")]
    dhcp: Option<SocketId>,
    #[cfg(feature = "ipv6")]
    pub(crate) slaac: Option<Slaac>,
}

impl Configurator {
    pub(crate) fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|known| known.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    pub(crate) fn name_servers(&self) -> Vec<IpAddr> {
        #[cfg_attr(not(feature = "ipv6"), expect(unused_mut, reason = "none come later"))]
        let mut servers = [&self.name_servers[..], &self.leased_servers].concat();
        #[cfg(feature = "ipv6")]
        servers.extend(self.slaac.iter().flat_map(Slaac::name_servers));
        servers
    }

    /// Who takes datagrams for the DHCP client's port.
    pub(crate) fn dhcp_client(&self, port: u16) -> Option<SocketId> {
        #[cfg(feature = "dhcp")]
        if port == 68 {
            return self.dhcp;
        }
        let _ = port;
        None
    }
}

impl Engine {
    pub(crate) fn configure(&mut self, configuration: &Configuration, address: EthernetAddress) {
        self.configurator.name_servers = configuration.name_servers.clone();
        self.configurator.search = configuration.search.clone();
        match configuration.ipv4 {
            Ipv4::Off => {}
            Ipv4::Static {
                address,
                prefix,
                gateway,
            } => self.set_address(address.into(), prefix, gateway.map(IpAddr::V4)),
            Ipv4::Dhcp => self.start_dhcp(),
        }
        #[cfg(feature = "ipv6")]
        self.configure_ipv6(configuration, address);
        #[cfg(not(feature = "ipv6"))]
        let _ = address;
    }

    #[cfg(feature = "ipv6")]
    fn configure_ipv6(&mut self, configuration: &Configuration, address: EthernetAddress) {
        let mut listens = false;
        match configuration.ipv6 {
            Ipv6::Off => return,
            Ipv6::Static {
                address: own,
                prefix,
                gateway,
            } => self.set_address(own.into(), prefix, gateway.map(IpAddr::V6)),
            Ipv6::Slaac => {
                listens = true;
                self.configurator.pending |= configuration.ipv4 == Ipv4::Off;
            }
        }
        self.configurator.slaac = Some(Slaac::new(address.0, listens));
    }

    /// Takes a frame that may be a router's advertisement, or about an address of the stack's own.
    #[cfg(feature = "ipv6")]
    pub(crate) fn hear_neighbour(&mut self, now: u64, frame: &[u8], sent: &mut Batch) {
        let Some(slaac) = &mut self.configurator.slaac else {
            return;
        };
        let Some(message) = Message::read(frame) else {
            return;
        };
        if let Some(address) = slaac.hear(&message, &mut self.random) {
            self.counters.addresses_in_use += 1;
            let neighbour = EthernetAddress(message.from);
            log::warn!("address {address} is not taken: {neighbour} has it");
        } else if slaac.take(&message, now) {
            self.take_advertised();
        } else if let Some(wanted) = message.wanted()
            && self.interface.has_ip_addr(wanted)
        {
            let claim = neighbours::claim(self.hardware, wanted);
            sent.push(self.pool.packet(&claim));
        }
    }

    /// Gives up what routers' advertisements no longer hold for, and asks routers and neighbours when
    /// it is time.
    #[cfg(feature = "ipv6")]
    pub(crate) fn ask_neighbours(&mut self, now: u64, sent: &mut Batch) {
        if let Some(slaac) = &mut self.configurator.slaac
            && slaac.due() <= now
            && slaac.advance(now, &mut self.random, |question| {
                sent.push(self.pool.packet(question));
            })
        {
            self.take_advertised();
        }
    }

    /// Has the addresses that nobody else has, and the router that is advertised.
    #[cfg(feature = "ipv6")]
    fn take_advertised(&mut self) {
        let Some(slaac) = &self.configurator.slaac else {
            return;
        };
        let own: Vec<Ipv6Addr> = slaac.addresses().collect();
        if slaac.listens() {
            let router = slaac.router();
            let has = |known: &IpCidr| match IpAddr::from(known.address()) {
                IpAddr::V4(_) => true,
                IpAddr::V6(known) => own.contains(&known),
            };
            self.interface
                .update_ip_addrs(|addresses| addresses.retain(has));
            self.interface.routes_mut().remove_default_ipv6_route();
            if let Some(router) = router {
                self.set_route(Route::new_ipv6_gateway(router));
            }
        }
        for address in own {
            let is_new = !self.has_address(address.into());
            if is_new {
                self.set_address(address.into(), 64, None);
            }
            if !address.is_unicast_link_local() {
                if is_new {
                    log::info!("address {address} by SLAAC");
                }
                self.is_configured();
            }
        }
    }

    /// A first address is there.
    #[cfg(any(feature = "dhcp", feature = "ipv6"))]
    fn is_configured(&mut self) {
        self.configurator.pending = false;
        for waker in core::mem::take(&mut self.configurator.waiting) {
            waker.wake();
        }
    }

    #[cfg(feature = "dhcp")]
    fn start_dhcp(&mut self) {
        let id = self.sockets.add(
            smoltcp::socket::dhcpv4::Socket::new(),
            crate::sockets::Kind::Dhcp,
        );
        self.configurator.dhcp = Some(id);
        self.configurator.pending = true;
        self.enqueue(id);
    }

    #[cfg(not(feature = "dhcp"))]
    fn start_dhcp(&mut self) {}

    /// Adds an address and the way to other networks; what is no host's address is left out.
    fn set_address(&mut self, address: IpAddr, prefix: u8, gateway: Option<IpAddr>) {
        let widest = if address.is_ipv4() { 32 } else { 128 };
        if prefix > widest
            || address.is_unspecified()
            || address.is_multicast()
            || address == IpAddr::V4(Ipv4Addr::BROADCAST)
        {
            return;
        }
        let Ok(own) = family::address(address) else {
            return;
        };
        self.interface.update_ip_addrs(|addresses| {
            // There is room for the few that are ever set.
            let _ = addresses.push(IpCidr::new(own, prefix));
        });
        match gateway {
            Some(IpAddr::V4(gateway)) => self.set_route(Route::new_ipv4_gateway(gateway)),
            #[cfg(feature = "ipv6")]
            Some(IpAddr::V6(gateway)) => self.set_route(Route::new_ipv6_gateway(gateway)),
            _ => {}
        }
    }

    fn set_route(&mut self, route: Route) {
        self.interface.routes_mut().update(|routes| {
            routes.retain(|known| known.cidr != route.cidr);
            let _ = routes.push(route);
        });
    }

    /// Takes what the DHCP server gave or withdrew.
    #[cfg(feature = "dhcp")]
    pub(crate) fn take_lease(&mut self, id: SocketId) {
        use smoltcp::socket::dhcpv4::Event;
        use smoltcp::wire::Ipv4Cidr;

        enum Change {
            Lost,
            Given {
                address: Ipv4Cidr,
                router: Option<Ipv4Addr>,
                servers: Vec<IpAddr>,
            },
        }
        let change = match self.sockets.get(id).map(|socket| socket.dhcp().poll()) {
            Some(Some(Event::Configured(config))) => Change::Given {
                address: config.address,
                router: config.router,
                servers: config
                    .dns_servers
                    .iter()
                    .map(|server| IpAddr::V4(*server))
                    .collect(),
            },
            Some(Some(Event::Deconfigured)) => Change::Lost,
            Some(None) | None => return,
        };
        let had_one = self.interface.ipv4_addr().is_some();
        self.interface.update_ip_addrs(|addresses| {
            addresses.retain(|known| !IpAddr::from(known.address()).is_ipv4());
        });
        self.interface.routes_mut().remove_default_ipv4_route();
        match change {
            Change::Lost => {
                // It is told of at the start too, when there is nothing to lose.
                if had_one {
                    log::warn!("the DHCP lease ended");
                }
                self.configurator.leased_servers.clear();
                self.configurator.pending = true;
            }
            Change::Given {
                address,
                router,
                servers,
            } => {
                log::info!("address {} by DHCP", address.address());
                self.configurator.leased_servers = servers;
                self.set_address(
                    IpAddr::V4(address.address()),
                    address.prefix_len(),
                    router.map(IpAddr::V4),
                );
                self.is_configured();
            }
        }
    }

    pub(crate) fn lease(&self) -> Lease {
        Lease {
            addresses: self
                .interface
                .ip_addrs()
                .iter()
                .map(|known| (known.address().into(), known.prefix_len()))
                .collect(),
            name_servers: self.configurator.name_servers(),
        }
    }
}
