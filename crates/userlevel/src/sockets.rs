//! TCP, UDP and Unix sockets, none of which ever blocks.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;

use rustix::io::{Errno, ioctl_fionbio};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix, SocketFlags, SocketType,
    accept_with, bind, connect as connect_socket, getpeername, getsockname, listen as listen_on,
    recvfrom, send, sendto, socket_with, sockopt,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use sprat_click::environment::{AccessError, Connection, Listener, SocketAddress};

use crate::files::access_error;
use crate::readiness::{Readiness, Watched};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 16;

pub(crate) const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

pub(crate) fn system(error: Errno) -> AccessError {
    access_error(&error.into())
}

fn open(address: &SocketAddress) -> Result<OwnedFd, AccessError> {
    let family = |address: &SocketAddr| match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let (family, kind) = match address {
        SocketAddress::Tcp(address) => (family(address), SocketType::STREAM),
        SocketAddress::Udp(address) => (family(address), SocketType::DGRAM),
        SocketAddress::Unix(_) => (AddressFamily::UNIX, SocketType::STREAM),
        SocketAddress::UnixDatagram(_) => (AddressFamily::UNIX, SocketType::DGRAM),
    };
    socket_with(family, kind, FLAGS, None).map_err(system)
}

/// Binds a socket that connects to an address of its own.
fn bind_local(socket: &OwnedFd, local: &SocketAddress) -> Result<Option<SocketFile>, AccessError> {
    match local {
        SocketAddress::Tcp(local) | SocketAddress::Udp(local) => {
            sockopt::set_socket_reuseaddr(socket, true).map_err(system)?;
            bind(socket, local).map_err(system)?;
            Ok(None)
        }
        SocketAddress::Unix(path) | SocketAddress::UnixDatagram(path) => {
            let name = SocketAddrUnix::new(path.as_str()).map_err(system)?;
            bind(socket, &name).map_err(system)?;
            Ok(Some(SocketFile(path.into())))
        }
    }
}

/// Opens a connection, or a datagram socket that sends to one place; or, where the place is no
/// address, to the one that each datagram names.
pub(crate) fn connect(
    address: &SocketAddress,
    local: Option<&SocketAddress>,
    readiness: &Readiness,
) -> Result<Box<dyn Connection>, AccessError> {
    let socket = open(address)?;
    let file = local.map(|local| bind_local(&socket, local)).transpose()?;
    if let SocketAddress::Udp(address) = address
        && address.ip().is_unspecified()
    {
        return Ok(Box::new(Datagrams {
            watched: readiness.add(socket),
            peer: RefCell::new(Some((*address).into())),
        }));
    }
    let connected = match address {
        SocketAddress::Tcp(address) | SocketAddress::Udp(address) => {
            connect_socket(&socket, address)
        }
        SocketAddress::Unix(path) | SocketAddress::UnixDatagram(path) => {
            let path = SocketAddrUnix::new(path.as_str()).map_err(system)?;
            connect_socket(&socket, &path)
        }
    };
    match connected {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(system(error)),
    }
    Ok(Box::new(Stream {
        watched: readiness.add(socket),
        _file: file.flatten(),
    }))
}

/// Listens for connections, or for datagrams: a datagram socket is its own only connection.
pub(crate) fn listen(
    address: &SocketAddress,
    readiness: &Rc<Readiness>,
) -> Result<Box<dyn Listener>, AccessError> {
    let socket = open(address)?;
    let mut file = None;
    match address {
        SocketAddress::Tcp(address) | SocketAddress::Udp(address) => {
            sockopt::set_socket_reuseaddr(&socket, true).map_err(system)?;
            bind(&socket, address).map_err(system)?;
        }
        SocketAddress::Unix(path) | SocketAddress::UnixDatagram(path) => {
            let name = SocketAddrUnix::new(path.as_str()).map_err(system)?;
            match bind(&socket, &name) {
                Ok(()) => {}
                Err(Errno::ADDRINUSE) => {
                    // The file of a process that is gone may be taken over; another's may not.
                    if connect_socket(&open(address)?, &name) != Err(Errno::CONNREFUSED) {
                        return Err(system(Errno::ADDRINUSE));
                    }
                    std::fs::remove_file(path).map_err(|error| access_error(&error))?;
                    bind(&socket, &name).map_err(system)?;
                }
                Err(error) => return Err(system(error)),
            }
            file = Some(SocketFile(path.into()));
        }
    }
    let stream = matches!(address, SocketAddress::Tcp(_) | SocketAddress::Unix(_));
    if stream {
        listen_on(&socket, BACKLOG).map_err(system)?;
    }
    Ok(Box::new(Listening {
        watched: readiness.add(socket),
        readiness: readiness.clone(),
        stream,
        accepted: false,
        _file: file.map(Rc::new),
    }))
}

/// The socket that whoever started this process left open at a descriptor: another descriptor for it.
pub(crate) fn inherited(
    descriptor: i32,
    readiness: &Readiness,
) -> Result<Box<dyn Connection>, AccessError> {
    let this = pidfd_open(getpid(), PidfdFlags::empty()).map_err(system)?;
    let socket = pidfd_getfd(this, descriptor, PidfdGetfdFlags::empty()).map_err(system)?;
    // Anything but a socket is refused here.
    sockopt::socket_type(&socket).map_err(system)?;
    ioctl_fionbio(&socket, true).map_err(system)?;
    Ok(Box::new(Stream {
        watched: readiness.add(socket),
        _file: None,
    }))
}

/// The file of a Unix socket, removed in the end.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Listening {
    watched: Rc<Watched>,
    readiness: Rc<Readiness>,
    stream: bool,
    accepted: bool,
    _file: Option<Rc<SocketFile>>,
}

impl Listener for Listening {
    fn accept(&mut self) -> Result<Option<Box<dyn Connection>>, AccessError> {
        if !self.stream {
            let first = !std::mem::replace(&mut self.accepted, true);
            return Ok(first.then(|| {
                Box::new(Datagrams {
                    watched: self.watched.clone(),
                    peer: RefCell::default(),
                }) as Box<dyn Connection>
            }));
        }
        if !self.watched.readable.get() {
            return Ok(None);
        }
        match accept_with(&self.watched.socket, FLAGS) {
            Ok(socket) => Ok(Some(Box::new(Stream {
                watched: self.readiness.add(socket),
                _file: None,
            }))),
            Err(error) => later(error, &self.watched.readable),
        }
    }

    fn port(&self) -> Option<u16> {
        let address: SocketAddr = getsockname(&self.watched.socket).ok()?.try_into().ok()?;
        Some(address.port())
    }
}

/// Nothing for the moment, where the system says so.
pub(crate) fn later<T>(
    error: Errno,
    ready: &std::cell::Cell<bool>,
) -> Result<Option<T>, AccessError> {
    match error {
        Errno::AGAIN | Errno::INTR | Errno::NOTCONN | Errno::INPROGRESS | Errno::CONNABORTED => {
            ready.set(false);
            Ok(None)
        }
        error => Err(system(error)),
    }
}

struct Stream {
    watched: Rc<Watched>,
    _file: Option<SocketFile>,
}

impl Connection for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, AccessError> {
        if !self.watched.readable.get() {
            return Ok(None);
        }
        match recvfrom(&self.watched.socket, buffer, RecvFlags::empty()) {
            Ok((count, ..)) => Ok(Some(count)),
            Err(error) => later(error, &self.watched.readable),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, AccessError> {
        if !self.watched.writable.get() {
            return Ok(None);
        }
        match send(&self.watched.socket, bytes, SendFlags::NOSIGNAL) {
            Ok(count) => Ok(Some(count)),
            Err(error) => later(error, &self.watched.writable),
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        let peer = getpeername(&self.watched.socket).ok()??;
        SocketAddr::try_from(peer).ok().map(|peer| peer.ip())
    }
}

/// A bound datagram socket: it answers whoever spoke last.
struct Datagrams {
    watched: Rc<Watched>,
    peer: RefCell<Option<SocketAddrAny>>,
}

impl Connection for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, AccessError> {
        if !self.watched.readable.get() {
            return Ok(None);
        }
        match recvfrom(&self.watched.socket, buffer, RecvFlags::empty()) {
            Ok((count, _, peer)) => {
                *self.peer.borrow_mut() = peer;
                Ok(Some(count))
            }
            Err(error) => later(error, &self.watched.readable),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Option<usize>, AccessError> {
        let peer = self.peer.borrow();
        let Some(peer) = peer.as_ref().filter(|_| self.watched.writable.get()) else {
            return Ok(None);
        };
        match sendto(&self.watched.socket, bytes, SendFlags::NOSIGNAL, peer) {
            Ok(count) => Ok(Some(count)),
            Err(error) => later(error, &self.watched.writable),
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        let peer = self.peer.borrow().clone()?;
        SocketAddr::try_from(peer).ok().map(|peer| peer.ip())
    }

    fn write_to(&mut self, bytes: &[u8], address: IpAddr) -> Result<Option<usize>, AccessError> {
        if let Some(Ok(peer)) = self.peer.get_mut().take().map(SocketAddr::try_from) {
            *self.peer.get_mut() = Some(SocketAddr::new(address, peer.port()).into());
        }
        self.write(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LIMIT: Option<Duration> = Some(Duration::from_secs(5));

    fn read_soon(connection: &mut dyn Connection, readiness: &Readiness) -> Vec<u8> {
        let mut buffer = [0; 64];
        for _ in 0..100 {
            if let Some(count) = connection.read(&mut buffer).unwrap() {
                return buffer[..count].to_vec();
            }
            readiness.wait(LIMIT);
        }
        panic!("nothing arrived");
    }

    fn echo(address: &SocketAddress, reach: impl Fn(&dyn Listener) -> SocketAddress) {
        let readiness = Rc::new(Readiness::default());
        let mut listener = listen(address, &readiness).unwrap();
        let mut client = connect(&reach(&*listener), None, &readiness).unwrap();
        assert_eq!(client.write(b"ping"), Ok(Some(4)));
        let mut server = loop {
            match listener.accept().unwrap() {
                Some(server) => break server,
                None => readiness.wait(LIMIT),
            }
        };
        assert_eq!(read_soon(&mut *server, &readiness), b"ping");
        assert_eq!(server.read(&mut [0; 8]), Ok(None));
        assert_eq!(server.write(b"pong"), Ok(Some(4)));
        assert_eq!(read_soon(&mut *client, &readiness), b"pong");
    }

    #[test]
    fn a_tcp_connection_carries_bytes_both_ways() {
        let any = "127.0.0.1:0".parse().unwrap();
        echo(&SocketAddress::Tcp(any), |listener| {
            SocketAddress::Tcp(([127, 0, 0, 1], listener.port().unwrap()).into())
        });
    }

    #[test]
    fn a_udp_socket_answers_whoever_spoke_last() {
        let any = "127.0.0.1:0".parse().unwrap();
        echo(&SocketAddress::Udp(any), |listener| {
            SocketAddress::Udp(([127, 0, 0, 1], listener.port().unwrap()).into())
        });
    }

    #[test]
    fn a_connection_comes_from_the_address_it_is_told() {
        let readiness = Rc::new(Readiness::default());
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = SocketAddress::Udp(server.local_addr().unwrap());
        let from = SocketAddress::Udp("127.0.0.2:0".parse().unwrap());
        let mut client = connect(&to, Some(&from), &readiness).unwrap();
        assert_eq!(client.write(b"ping"), Ok(Some(4)));
        let (_, peer) = server.recv_from(&mut [0; 8]).unwrap();
        assert_eq!(peer.ip().to_string(), "127.0.0.2");
        assert_eq!(client.peer(), Some("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn datagrams_name_their_address_where_the_socket_has_none() {
        let readiness = Rc::new(Readiness::default());
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let any = SocketAddress::Udp(([0, 0, 0, 0], port).into());
        let mut client = connect(&any, None, &readiness).unwrap();
        let to = "127.0.0.1".parse().unwrap();
        assert_eq!(client.write_to(b"ping", to), Ok(Some(4)));
        assert_eq!(server.recv_from(&mut [0; 8]).unwrap().0, 4);
    }

    #[test]
    fn a_unix_socket_takes_over_the_file_of_one_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let address = SocketAddress::Unix(path.to_str().unwrap().into());
        echo(&address, |_| address.clone());
        assert!(!path.exists());
    }

    #[test]
    fn a_port_in_use_is_refused_in_the_systems_words() {
        let readiness = Rc::new(Readiness::default());
        let any = SocketAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let listener = listen(&any, &readiness).unwrap();
        let taken = ([127, 0, 0, 1], listener.port().unwrap()).into();
        assert_eq!(
            listen(&SocketAddress::Tcp(taken), &readiness).err(),
            Some(AccessError::System("Address already in use".into()))
        );
    }
}
