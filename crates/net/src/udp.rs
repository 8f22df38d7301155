//! UDP sockets.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;

use smoltcp::socket::udp;
use smoltcp::wire::{IpAddress, IpListenEndpoint};
use sprat_devices::Random as _;

use crate::engine::Engine;
use crate::family;
use crate::sockets::{Kind, SocketId};
use crate::{Error, Stack};

/// First of the ports that are given out when none is asked for, and how many there are (RFC 6335).
const FIRST_PORT: u64 = 49152;
const PORTS: u64 = 16384;

/// How much a UDP socket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Datagrams that may wait, each way.
    pub datagrams: usize,
    /// Bytes that may wait, each way.
    pub bytes: usize,
}

impl Default for UdpOptions {
    /// 64 datagrams, 32 KiB.
    fn default() -> Self {
        Self {
            datagrams: 64,
            bytes: 32 << 10,
        }
    }
}

/// What came with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// How many of its bytes were stored; the rest of a longer one is lost.
    pub length: usize,
    /// Who sent it.
    pub from: SocketAddr,
    /// The address it was sent to, to answer from.
    pub to: Option<IpAddr>,
}

/// Which ports are taken.
#[derive(Default)]
pub(crate) struct Ports {
    bound: Vec<(u16, Option<IpAddress>, SocketId)>,
}

impl Ports {
    fn find(&self, port: u16, local: IpAddress) -> Option<SocketId> {
        self.bound
            .iter()
            .find(|(bound, address, _)| {
                *bound == port && address.is_none_or(|address| address == local)
            })
            .map(|(_, _, id)| *id)
    }

    fn is_taken(&self, port: u16, address: Option<IpAddress>) -> bool {
        self.bound.iter().any(|(bound, known, _)| {
            *bound == port && (known.is_none() || address.is_none() || *known == address)
        })
    }
}

impl Engine {
    /// The socket that takes a datagram.
    pub(crate) fn socket_for_datagram(&self, local: IpAddress, port: u16) -> Option<SocketId> {
        self.configurator
            .dhcp_client(port)
            .or_else(|| self.ports.find(port, local))
    }

    fn bind_udp(&mut self, local: SocketAddr, options: UdpOptions) -> Result<SocketId, Error> {
        let address = family::local(local.ip())?;
        let mut port = local.port();
        if port == 0 {
            // At random: that a stranger cannot guess it protects those who ask name servers.
            let start = self.random.below(PORTS);
            port = self.free_port(start, |engine, port| engine.ports.is_taken(port, None))?;
        } else if self.ports.is_taken(port, address) {
            return Err(Error::InUse);
        }
        let buffer = || {
            udp::PacketBuffer::new(
                vec![udp::PacketMetadata::EMPTY; options.datagrams],
                vec![0; options.bytes],
            )
        };
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket
            .bind(IpListenEndpoint {
                addr: address,
                port,
            })
            .map_err(|_| Error::BadAddress)?;
        let id = self.sockets.add(socket, Kind::Udp);
        self.ports.bound.push((port, address, id));
        Ok(id)
    }

    /// A port that is not taken, counted from `start` in the range of ports for such use.
    pub(crate) fn free_port(
        &self,
        start: u64,
        is_taken: impl Fn(&Self, u16) -> bool,
    ) -> Result<u16, Error> {
        (0..PORTS)
            .filter_map(|step| u16::try_from(FIRST_PORT + (start + step) % PORTS).ok())
            .find(|port| !is_taken(self, *port))
            .ok_or(Error::TooMany)
    }
}

/// A UDP socket. Dropping it closes it; clones are handles of the same one.
#[derive(Clone)]
pub struct UdpSocket {
    handle: Rc<Handle>,
}

struct Handle {
    stack: Stack,
    id: SocketId,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let Self { stack, id } = self;
        // Dropped when the borrow has ended: wakers may hold tasks that hold sockets.
        let _socket = stack.with(|engine| {
            engine.ports.bound.retain(|(_, _, known)| known != id);
            engine.timers.remove_socket(*id);
            #[cfg(feature = "multicast")]
            if engine.groups.leave(*id, |_| true) {
                engine.wake_runner();
            }
            engine.sockets.remove(*id)
        });
    }
}

impl Stack {
    /// A socket at an address (unspecified: all of them) and a port (zero: any that is free).
    ///
    /// # Errors
    /// When the port is taken.
    pub fn bind_udp(
        &self,
        local: impl Into<SocketAddr>,
        options: UdpOptions,
    ) -> Result<UdpSocket, Error> {
        let id = self.with(|engine| engine.bind_udp(local.into(), options))?;
        Ok(UdpSocket {
            handle: Rc::new(Handle {
                stack: self.clone(),
                id,
            }),
        })
    }
}

impl UdpSocket {
    fn with<R>(&self, use_it: impl FnOnce(&mut udp::Socket<'static>) -> R) -> Result<R, Error> {
        let Handle { stack, id } = &*self.handle;
        stack.with(|engine| {
            let socket = engine.sockets.get(*id).ok_or(Error::Closed)?;
            Ok(use_it(socket.udp()))
        })
    }

    /// Changes which groups it is in, which others are told of.
    #[cfg(feature = "multicast")]
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Engine, SocketId) -> R) -> R {
        let Handle { stack, id } = &*self.handle;
        stack.with(|engine| {
            engine.wake_runner();
            change(engine, *id)
        })
    }

    fn waits_for(&self, what: &'static str) {
        self.handle.stack.with(|engine| (engine.waits_for)(what));
    }

    /// The port it is bound to.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.with(|socket| socket.endpoint().port).unwrap_or(0)
    }

    /// The next datagram, if one waits.
    pub fn try_receive(&self, buffer: &mut [u8]) -> Option<Datagram> {
        self.with(|socket| take(socket, buffer)).ok().flatten()
    }

    /// Waits until a datagram waits.
    ///
    /// # Errors
    /// None while the socket is open.
    pub async fn readable(&self) -> Result<(), Error> {
        poll_fn(|context| {
            let ready = self.with(|socket| {
                let ready = socket.can_recv();
                if !ready {
                    socket.register_recv_waker(context.waker());
                }
                ready
            });
            match ready {
                Ok(false) => {
                    self.waits_for("a datagram");
                    Poll::Pending
                }
                ready => Poll::Ready(ready.map(|_| ())),
            }
        })
        .await
    }

    /// Waits for a datagram.
    ///
    /// # Errors
    /// None while the socket is open.
    pub async fn receive(&self, buffer: &mut [u8]) -> Result<Datagram, Error> {
        poll_fn(|context| {
            let received = self.with(|socket| match take(socket, buffer) {
                Some(datagram) => Poll::Ready(Ok(datagram)),
                None => {
                    socket.register_recv_waker(context.waker());
                    Poll::Pending
                }
            });
            if let Ok(Poll::Pending) = received {
                self.waits_for("a datagram");
            }
            received.unwrap_or_else(|error| Poll::Ready(Err(error)))
        })
        .await
    }

    /// Sends a datagram, waiting for room where there is none; `from` chooses among several
    /// addresses of this side.
    ///
    /// # Errors
    /// When it can never be sent: no such address, or longer than the buffer.
    pub async fn send(
        &self,
        bytes: &[u8],
        to: SocketAddr,
        from: Option<IpAddr>,
    ) -> Result<(), Error> {
        poll_fn(|context| {
            let sent = self.with(|socket| {
                let to_and_from = family::endpoint(to)
                    .and_then(|to| Ok((to, from.map(family::address).transpose()?)));
                let (to, from) = match to_and_from {
                    Ok(both) => both,
                    Err(error) => return Poll::Ready(Err(error)),
                };
                let mut metadata = udp::UdpMetadata::from(to);
                metadata.local_address = from;
                if bytes.len() > socket.payload_send_capacity() {
                    return Poll::Ready(Err(Error::TooLong));
                }
                match socket.send_slice(bytes, metadata) {
                    Ok(()) => Poll::Ready(Ok(())),
                    Err(udp::SendError::Unaddressable) => Poll::Ready(Err(Error::BadAddress)),
                    Err(udp::SendError::BufferFull) => {
                        socket.register_send_waker(context.waker());
                        Poll::Pending
                    }
                }
            });
            let Handle { stack, id } = &*self.handle;
            stack.with(|engine| engine.enqueue(*id));
            if let Ok(Poll::Pending) = sent {
                self.waits_for("room for a datagram");
            }
            sent.unwrap_or_else(|error| Poll::Ready(Err(error)))
        })
        .await
    }
}

fn take(socket: &mut udp::Socket<'static>, buffer: &mut [u8]) -> Option<Datagram> {
    let (payload, metadata) = socket.recv().ok()?;
    let length = payload.len().min(buffer.len());
    buffer[..length].copy_from_slice(&payload[..length]);
    Some(Datagram {
        length,
        from: SocketAddr::new(metadata.endpoint.addr.into(), metadata.endpoint.port),
        to: metadata.local_address.map(Into::into),
    })
}
