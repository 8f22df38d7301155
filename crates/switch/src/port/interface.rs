//! Network interfaces of the host: asking about one, and bringing it up.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// Longest Ethernet header: with a VLAN tag.
const LONGEST_HEADER: usize = 18;

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
        // SAFETY: every call this is used for reads and writes one `struct ifreq`, as long as `self`.
        match unsafe { libc::ioctl(whom.as_raw_fd(), call, std::ptr::from_mut(self)) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
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

    /// The longest frame it carries.
    pub(super) fn frame_limit(&self) -> io::Result<usize> {
        let mtu = self.ask(libc::SIOCGIFMTU, 0)?;
        Ok(usize::try_from(mtu).unwrap_or(0) + LONGEST_HEADER)
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
