//! Network interfaces of the host: asking about one, and bringing it up.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// Longest Ethernet header: with a VLAN tag.
const LONGEST_HEADER: usize = 18;

/// The call that hands a request on to an interface's driver, and a request: linux/ethtool.h.
const SIOCETHTOOL: libc::Ioctl = 0x8946;
const GET_CHANNELS: u32 = 0x3c;

/// How many queues an interface has: `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    _at_most: [u32; 4],
    receiving: u32,
    _sending: u32,
    _other: u32,
    /// Those that frames come and leave by.
    both: u32,
}

/// The request of every call about an interface: its name, and a value that differs.
#[repr(C)]
pub(super) struct Request {
    name: [u8; libc::IFNAMSIZ],
    /// The first of its fields.
    pub(super) value: i32,
    rest: [u32; 5],
}

// The kernel's `struct ifreq`, which it copies whole.
const _: () = assert!(size_of::<Request>() == 40);

impl Request {
    /// A request about the interface of this name.
    pub(super) fn new(name: &str, value: i32) -> io::Result<Self> {
        let mut request = Self {
            name: [0; libc::IFNAMSIZ],
            value,
            rest: [0; 5],
        };
        // The last byte stays zero.
        match request.name.get_mut(..name.len()) {
            Some(place) if !name.is_empty() && name.len() < libc::IFNAMSIZ => {
                place.copy_from_slice(name.as_bytes());
                Ok(request)
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// The name, as the kernel has completed it.
    pub(super) fn name(&self) -> String {
        let length = self.name.iter().position(|byte| *byte == 0);
        String::from_utf8_lossy(&self.name[..length.unwrap_or(self.name.len())]).into_owned()
    }

    /// Asks the kernel.
    pub(super) fn ask(&mut self, whom: &OwnedFd, call: libc::Ioctl) -> io::Result<()> {
        // SAFETY: every call this is used for reads and writes one `struct ifreq`, as long as `self`, and
        // at most what the caller has put a pointer to into it.
        match unsafe { libc::ioctl(whom.as_raw_fd(), call, std::ptr::from_mut(self)) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

/// The addresses of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Its Ethernet address.
    pub ethernet: Option<[u8; 6]>,
    /// Its IPv4 address and the mask of its network.
    pub ipv4: Option<(Ipv4Addr, Ipv4Addr)>,
    /// Its IPv6 address, the widest known one, and the length of its prefix.
    pub ipv6: Option<(Ipv6Addr, u8)>,
    /// The gateway of the default route that leads through it.
    pub gateway: Option<Ipv4Addr>,
}

impl Addresses {
    /// Those of the interface of this name, where there is one.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        let interface = Interface::new(name).ok()?;
        let ethernet = interface.address().ok()?;
        let mask = interface.ipv4(libc::SIOCGIFNETMASK);
        let ipv4 = interface.ipv4(libc::SIOCGIFADDR).ok().zip(mask.ok());
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Some(Self {
            ethernet: Some(ethernet),
            ipv4,
            ipv6: ipv6_address(&read("/proc/net/if_inet6"), name),
            gateway: gateway(&read("/proc/net/route"), name),
        })
    }
}

/// The address of an interface in the kernel's list: address, index, length of the prefix, scope,
/// flags and name, all numbers in hexadecimal.
fn ipv6_address(list: &str, name: &str) -> Option<(Ipv6Addr, u8)> {
    let entries = list.lines().filter_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        let &[address, _, length, scope, _, interface] = words.as_slice() else {
            return None;
        };
        let address = u128::from_str_radix(address, 16).ok()?;
        let length = u8::from_str_radix(length, 16).ok()?;
        (interface == name).then_some((scope, (Ipv6Addr::from_bits(address), length)))
    });
    // Scope zero is global, and those of links and hosts have higher numbers.
    entries
        .min_by_key(|(scope, _)| *scope)
        .map(|(_, found)| found)
}

/// The gateway of an interface's default route in the kernel's table: interface, destination,
/// gateway, flags and more, addresses as they lie in memory.
fn gateway(table: &str, name: &str) -> Option<Ipv4Addr> {
    table.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (interface, destination) = (words.next()?, words.next()?);
        let gateway = u32::from_str_radix(words.next()?, 16).ok()?;
        let flags = u16::from_str_radix(words.next()?, 16).ok()?;
        let leads = flags & libc::RTF_GATEWAY != 0 && destination == "00000000";
        (interface == name && leads).then(|| gateway.to_ne_bytes().into())
    })
}

/// An interface, by its name.
pub(super) struct Interface {
    name: String,
    socket: OwnedFd,
}

impl Interface {
    pub(super) fn new(name: &str) -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
        Ok(Self {
            name: name.into(),
            socket,
        })
    }

    fn ask(&self, call: libc::Ioctl, value: i32) -> io::Result<i32> {
        let mut request = Request::new(&self.name, value)?;
        request.ask(&self.socket, call)?;
        Ok(request.value)
    }

    /// Its number.
    pub(super) fn index(&self) -> io::Result<i32> {
        self.ask(libc::SIOCGIFINDEX, 0)
    }

    /// Its Ethernet address.
    pub(super) fn address(&self) -> io::Result<[u8; 6]> {
        let mut request = Request::new(&self.name, 0)?;
        request.ask(&self.socket, libc::SIOCGIFHWADDR)?;
        // A `struct sockaddr`: two bytes that say of what kind it is, then the address.
        let (mut bytes, [rest, ..]) = ([0; 8], request.rest);
        bytes[..4].copy_from_slice(&request.value.to_ne_bytes());
        bytes[4..].copy_from_slice(&rest.to_ne_bytes());
        let [_, _, address @ ..] = bytes;
        Ok(address)
    }

    /// Its IPv4 address, or the mask of its network.
    fn ipv4(&self, call: libc::Ioctl) -> io::Result<Ipv4Addr> {
        let mut request = Request::new(&self.name, 0)?;
        request.ask(&self.socket, call)?;
        // A `struct sockaddr_in`: its kind and a port, then the address as it is sent.
        let [address, ..] = request.rest;
        Ok(address.to_ne_bytes().into())
    }

    /// The longest frame it carries.
    pub(super) fn frame_limit(&self) -> io::Result<usize> {
        let mtu = self.ask(libc::SIOCGIFMTU, 0)?;
        Ok(usize::try_from(mtu).unwrap_or(0) + LONGEST_HEADER)
    }

    /// How many queues frames come by; one where its driver does not say.
    pub(super) fn receiving_queues(&self) -> io::Result<u32> {
        let mut channels = Channels {
            command: GET_CHANNELS,
            ..Channels::default()
        };
        let mut request = Request::new(&self.name, 0)?;
        let place = std::ptr::from_mut(&mut channels).expose_provenance();
        let [a, b, c, d, e, f, g, h] = place.to_ne_bytes();
        request.value = i32::from_ne_bytes([a, b, c, d]);
        request.rest[0] = u32::from_ne_bytes([e, f, g, h]);
        // What it writes into the channels is as long as they are, and they outlive the call.
        match request.ask(&self.socket, SIOCETHTOOL) {
            Ok(()) => Ok((channels.receiving + channels.both).max(1)),
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(1),
            Err(error) => Err(error),
        }
    }

    /// Brings it up, where it is not.
    pub(super) fn bring_up(&self) -> io::Result<()> {
        let flags = self.ask(libc::SIOCGIFFLAGS, 0)?;
        let up = libc::IFF_UP;
        if flags & up == 0 {
            self.ask(libc::SIOCSIFFLAGS, flags | up)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_the_addresses_of_rfc_1122_and_4291() {
        let Some(found) = Addresses::of("lo") else {
            println!("skipped: needs a loopback interface");
            return;
        };
        assert_eq!(found.ethernet, Some([0; 6]));
        if let Some(ipv4) = found.ipv4 {
            assert_eq!(ipv4, (Ipv4Addr::LOCALHOST, Ipv4Addr::new(255, 0, 0, 0)));
        }
        if let Some(ipv6) = found.ipv6 {
            assert_eq!(ipv6, (Ipv6Addr::LOCALHOST, 128));
        }
        assert_eq!(found.gateway, None);
        assert_eq!(Addresses::of("no such device"), None);
    }

    #[test]
    fn a_global_address_goes_before_one_of_the_link() {
        let list = "fe80000000000000020c29fffe1d5a3b 02 40 20 80     eth0\n\
                    20010db8000000000000000000000007 02 40 00 80     eth0\n\
                    00000000000000000000000000000001 01 80 10 80       lo\n";
        let expected = "2001:db8::7".parse().ok().map(|address| (address, 64));
        assert_eq!(ipv6_address(list, "eth0"), expected);
        assert_eq!(ipv6_address(list, "eth1"), None);
    }

    #[test]
    fn the_gateway_is_that_of_the_default_route() {
        let word = |octets| format!("{:08X}", u32::from_ne_bytes(octets));
        let (gateway_address, network) = (word([192, 168, 1, 1]), word([192, 168, 1, 0]));
        let table = format!(
            "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
             eth0 {network} 00000000 0001 0 0 0 00FFFFFF 0 0 0\n\
             eth0 00000000 {gateway_address} 0003 0 0 0 00000000 0 0 0\n"
        );
        assert_eq!(gateway(&table, "eth0"), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(gateway(&table, "eth1"), None);
    }
}
