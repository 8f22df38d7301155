//! What a router needs of the place it runs in.
//!
//! One trait, implemented by the user-level driver over an operating system and by the sealed
//! image over its rings. The router and the elements know nothing else of the outside.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::fmt;

use sprat_packet::{Batch, EtherAddress, Pool};

use crate::arguments::{Ipv4Prefix, Ipv6Prefix};
use crate::names::Meaning;
use crate::time::{Instant, Timestamp};

/// The outside of a router.
pub trait Environment {
    /// The time on the steady clock.
    fn instant(&self) -> Instant;

    /// The wall-clock time.
    fn timestamp(&self) -> Timestamp;

    /// Writes text where a person reads it.
    fn console(&self, stream: Console, text: &[u8]);

    /// A number to seed random choices with.
    fn random_seed(&self) -> u64;

    /// Opens a file to be read; `-` is the standard input.
    fn open_input(&self, name: &str) -> Result<Box<dyn Input>, AccessError>;

    /// Opens a file to be written, from its start or its end; `-` is the standard output.
    fn open_output(&self, name: &str, append: bool) -> Result<Box<dyn Output>, AccessError>;

    /// The network device called `name`. Asked twice, it gives the same device.
    fn device(&self, name: &str) -> Result<Rc<dyn Device>, AccessError>;

    /// What the name of a network interface stands for: the addresses it has, where they are known.
    fn interface_addresses(&self, name: &str) -> Option<Meaning> {
        let _ = name;
        None
    }

    /// Makes an interface of the host's own network, at whose other end the router is, and says
    /// what it is called. Places without a network refuse.
    fn tunnel(&self, tunnel: &Tunnel) -> Result<(String, Rc<dyn Device>), AccessError> {
        let _ = tunnel;
        Err(AccessError::Unsupported)
    }

    /// Listens for connections. Places without sockets refuse.
    fn listen(&self, address: &SocketAddress) -> Result<Box<dyn Listener>, AccessError> {
        let _ = address;
        Err(AccessError::Unsupported)
    }

    /// The connection that whoever started the process left open at a descriptor.
    fn inherited(&self, _descriptor: i32) -> Result<Box<dyn Connection>, AccessError> {
        Err(AccessError::Unsupported)
    }

    /// Opens a connection, or a datagram socket; from `local`, an address of the same kind, where
    /// it is given.
    fn connect(
        &self,
        address: &SocketAddress,
        local: Option<&SocketAddress>,
    ) -> Result<Box<dyn Connection>, AccessError> {
        let _ = (address, local);
        Err(AccessError::Unsupported)
    }

    /// Opens a socket that hears the IP packets of a protocol, and sends IP packets where their own
    /// header says.
    fn raw_socket(&self, protocol: u8) -> Result<Box<dyn Connection>, AccessError> {
        let _ = protocol;
        Err(AccessError::Unsupported)
    }

    /// Whether the router runs with the rights of another user than the one who started it.
    fn has_borrowed_rights(&self) -> bool {
        false
    }

    /// Joins a multicast group of UDP.
    fn join(&self, group: &MulticastGroup) -> Result<Box<dyn Connection>, AccessError> {
        let _ = group;
        Err(AccessError::Unsupported)
    }

    /// Whether a signal has arrived that it is for this asker to look at; asking first subscribes.
    /// Of several who subscribed, who did so last, or was given one last, is first.
    fn signal(&self, asker: usize, number: i32) -> bool {
        let _ = (asker, number);
        false
    }

    /// Whether a signal has arrived that not all who asked for it have looked at.
    fn signals_wait(&self) -> bool {
        false
    }

    /// Asks for a signal no longer; where nobody does, it is left to what it does by default.
    fn release_signal(&self, asker: usize, number: i32) {
        let _ = (asker, number);
    }

    /// The number of the process the router is, where it is one.
    fn process_id(&self) -> Option<i32> {
        None
    }

    /// Sends a signal to a process.
    fn send_signal(&self, process: i32, number: i32) -> Result<(), AccessError> {
        let _ = (process, number);
        Err(AccessError::Unsupported)
    }
}

/// Where console text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// What was asked for.
    Output,
    /// Everything said besides.
    Error,
}

/// A file open for reading.
pub trait Input {
    /// Reads into `buffer` and returns the number of bytes; zero at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, AccessError>;

    /// The whole file, where it lies in memory already.
    fn contents(&self) -> Option<&[u8]> {
        None
    }
}

/// A file open for writing.
pub trait Output {
    /// Writes all of `bytes`; they may be held back until [`Output::flush`].
    fn write(&mut self, bytes: &[u8]) -> Result<(), AccessError>;

    /// Hands everything written so far on.
    fn flush(&mut self) -> Result<(), AccessError>;
}

/// A network device.
pub trait Device {
    /// Adds up to `limit` frames that have arrived to `batch`, timestamps set.
    fn receive(&self, pool: &Pool, limit: usize, batch: &mut Batch);

    /// Sends from the front of `batch`, taking out what it sent. What is left found no room.
    fn send(&self, batch: &mut Batch);

    /// Whether frames may still arrive: a capture file that has been read to its end has none.
    fn exhausted(&self) -> bool {
        false
    }

    /// Whether frames are written down in the order in which they are sent, so that they must go
    /// through the router one by one, as Click's do.
    fn records_order(&self) -> bool {
        false
    }

    /// Gives frames that are for others too from now on, where it did not.
    ///
    /// # Errors
    /// The system refuses.
    fn hear_all(&self) -> Result<(), AccessError> {
        Ok(())
    }

    /// The device's own link address, where it has one.
    fn ethernet_address(&self) -> Option<[u8; 6]> {
        None
    }
}

/// An interface to be made in the host's own network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tunnel {
    /// What it is to be called; as the host likes, where this is empty.
    pub name: String,
    /// Whether it carries Ethernet frames rather than IP packets.
    pub ethernet: bool,
    /// The host's address on it, and the network that is reached through it.
    pub address: Option<Ipv4Prefix>,
    /// The same of IPv6.
    pub address6: Option<Ipv6Prefix>,
    /// Where the host's default route is to lead through it.
    pub gateway: Option<core::net::Ipv4Addr>,
    /// The host's Ethernet address on it.
    pub ethernet_address: Option<EtherAddress>,
    /// The longest packet.
    pub mtu: Option<u16>,
}

/// An address that can be listened on or connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketAddress {
    /// A TCP port.
    Tcp(core::net::SocketAddr),
    /// A UDP port.
    Udp(core::net::SocketAddr),
    /// A Unix stream socket's path.
    Unix(String),
    /// A Unix datagram socket's path.
    UnixDatagram(String),
}

/// A group to hear and to speak to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MulticastGroup {
    /// Its address and port.
    pub group: core::net::SocketAddrV4,
    /// Whose interface to use and what to send from; what comes from there is not heard.
    pub source: Option<core::net::SocketAddrV4>,
    /// Whether this machine hears what is sent.
    pub looped: bool,
}

/// A socket that accepts connections; nothing in it blocks.
pub trait Listener {
    /// The next connection, where one waits.
    fn accept(&mut self) -> Result<Option<Box<dyn Connection>>, AccessError>;

    /// The port it got, for TCP.
    fn port(&self) -> Option<u16>;
}

/// A stream of bytes, or a datagram socket; nothing in it blocks.
pub trait Connection {
    /// Reads what has arrived: `Ok(None)` says nothing yet, `Ok(Some(0))` the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, AccessError>;

    /// Writes as much as there is room for and returns how much; `Ok(None)` says no room now.
    fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, AccessError>;

    /// Who is at the other end, or sent the last datagram, where it has an address.
    fn peer(&self) -> Option<core::net::IpAddr> {
        None
    }

    /// Sends a datagram to `address`, at the port this was opened for.
    fn write_to(
        &mut self,
        bytes: &[u8],
        address: core::net::IpAddr,
    ) -> Result<Option<usize>, AccessError> {
        let _ = (bytes, address);
        Err(AccessError::Unsupported)
    }
}

/// Why something outside could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// There is nothing of that name.
    NotFound,
    /// It is there, and closed to us.
    PermissionDenied,
    /// The instance was started without it; the command line can grant it.
    NotGranted {
        /// The flag that would grant it, such as `--file in.pcap`.
        grant: String,
    },
    /// This place has no such thing at all.
    Unsupported,
    /// What the system said.
    System(String),
}

/// As the C library words it, where it has words.
impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("No such file or directory"),
            Self::PermissionDenied => f.write_str("Permission denied"),
            Self::NotGranted { grant } => {
                write!(f, "not granted to this instance (grant it with {grant})")
            }
            Self::Unsupported => f.write_str("not available here"),
            Self::System(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for AccessError {}
