//! One TCP connection: the instance's end in a stack of its own, the other end a socket of the host.
//!
//! Each connection has its own stack, so finding it is one look-up and it costs others nothing. The
//! stack acknowledges only what its buffer holds, and its buffer is emptied into the host's socket:
//! whoever is slow slows its peer down, and nobody else.

use std::io;
use std::net::{Shutdown, SocketAddrV4, TcpStream};

use rustix::io::Errno;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::queue::{Link, Queue};

/// Bytes that may wait in each direction.
const BUFFER: usize = 256 << 10;

/// How long the instance may be silent before the connection is given up. Who loses frames in a row
/// sends again after a minute at last (RFC 6298), and more than one of those may be lost.
const PATIENCE: Duration = Duration::from_secs(300);

/// After how long a silence the instance is asked whether it is still there: two ends that have
/// nothing to say to each other are no reason to part them.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Rounds of moving bytes before others have their turn.
const ROUNDS: usize = 4;

/// The two ends as the instance sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ends {
    pub(super) guest: SocketAddrV4,
    pub(super) remote: SocketAddrV4,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Somebody has connected to a published port, and the instance has not been seen yet.
    Waiting,
    /// The instance has asked, and the host's socket is being connected.
    Connecting,
    /// Bytes may flow.
    Open,
}

/// What a connection wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// To be served again as soon as there is room in the queue.
    Again,
    /// To be served when something arrives, or at this time.
    Wait(Option<Instant>),
    /// Nothing: it has come to its end.
    Gone,
}

/// What a connection is made with.
pub(super) struct Birth<'a> {
    /// For its sequence numbers.
    pub(super) seed: u64,
    pub(super) now: Instant,
    /// Where its packets will go.
    pub(super) queue: &'a mut Queue,
}

pub(super) struct Connection {
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    stream: TcpStream,
    stage: Stage,
    ends: Ends,
    /// Whether reading, or writing, the host's socket may get somewhere.
    readable: bool,
    writable: bool,
    /// Whether the instance's end of its bytes was passed on.
    shut: bool,
    /// Whether the host's end of its bytes was passed on.
    closed: bool,
}

impl Connection {
    /// A connection the instance asks for, whose `stream` is being connected. The request has to be
    /// handed over by [`Connection::receive`].
    pub(super) fn outbound(ends: Ends, stream: TcpStream, birth: Birth<'_>) -> Self {
        let mut connection = Self::new(ends, stream, Stage::Connecting, birth);
        let remote = ends.remote;
        let socket = connection.socket();
        // The answer waits until the host is connected, so that a refusal can be passed on.
        socket.pause_synack(true);
        let _ = socket.listen((IpAddress::Ipv4(*remote.ip()), remote.port()));
        connection
    }

    /// A connection from outside to a published port.
    pub(super) fn inbound(ends: Ends, stream: TcpStream, birth: Birth<'_>) -> Self {
        Self::new(ends, stream, Stage::Waiting, birth)
    }

    fn new(ends: Ends, stream: TcpStream, stage: Stage, birth: Birth<'_>) -> Self {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = birth.seed;
        let mut link = Link {
            packet: None,
            queue: birth.queue,
        };
        let mut interface = Interface::new(config, &mut link, birth.now);
        interface.update_ip_addrs(|addresses| {
            // Everybody is a neighbour. The list has room for one.
            let _ = addresses.push(IpCidr::new(IpAddress::Ipv4(*ends.remote.ip()), 0));
        });
        let buffer = || SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.set_nagle_enabled(false);
        // The last acknowledgement must be out before the connection is gone.
        socket.set_ack_delay(None);
        socket.set_timeout(Some(PATIENCE));
        socket.set_keep_alive(Some(KEEP_ALIVE));
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Self {
            interface,
            sockets,
            handle,
            stream,
            stage,
            ends,
            readable: stage == Stage::Waiting,
            writable: stage == Stage::Waiting,
            shut: false,
            closed: false,
        }
    }

    fn socket(&mut self) -> &mut Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(super) fn ends(&self) -> Ends {
        self.ends
    }

    /// Whether the instance has to be seen before the connection can go on.
    pub(super) fn is_waiting(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// Whether the host's socket is still being connected.
    pub(super) fn is_connecting(&self) -> bool {
        self.stage == Stage::Connecting
    }

    /// Notes what the host's socket is ready for.
    pub(super) fn ready(&mut self, readable: bool, writable: bool) {
        self.readable |= readable;
        self.writable |= writable;
    }

    /// Takes a packet from the instance.
    pub(super) fn receive(&mut self, packet: &[u8], queue: &mut Queue, now: Instant) {
        let mut link = Link {
            packet: Some(packet),
            queue,
        };
        self.interface
            .poll_ingress_single(now, &mut link, &mut self.sockets);
    }

    /// The instance has been seen: asks it for the connection.
    pub(super) fn begin(&mut self) {
        let Ends { guest, remote } = self.ends;
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        let to = (IpAddress::Ipv4(*guest.ip()), guest.port());
        let from = (IpAddress::Ipv4(*remote.ip()), remote.port());
        // Both addresses are valid, so it cannot fail; if it did, the socket would stay closed, and
        // the connection go.
        let _ = socket.connect(self.interface.context(), to, from);
        self.stage = Stage::Open;
    }

    /// Moves what can be moved in both directions.
    pub(super) fn serve(&mut self, queue: &mut Queue, now: Instant) -> Next {
        match self.stage {
            Stage::Waiting => return Next::Wait(None),
            Stage::Connecting if self.writable => self.connected(),
            Stage::Connecting | Stage::Open => {}
        }
        if self.stage == Stage::Connecting && self.socket().state() == State::SynReceived {
            return Next::Wait(None);
        }
        let mut moved = true;
        for _ in 0..ROUNDS {
            if !moved {
                break;
            }
            moved = false;
            if self.stage == Stage::Open {
                let result = self.pass_on().and_then(|passed| {
                    moved |= passed;
                    self.take_in()
                });
                match result {
                    Ok(taken) => moved |= taken,
                    // The host's end is broken: so is the instance's.
                    Err(_) => self.socket().abort(),
                }
            }
            self.send(queue, now);
            if !queue.has_room() {
                return Next::Again;
            }
        }
        if moved {
            return Next::Again;
        }
        match self.socket().state() {
            // Last words have been sent: there was room. One that listens again was asked for, and
            // then not any more.
            State::Closed | State::Listen => {
                if !(self.shut && self.closed) {
                    // The instance broke it off, or was silent: the other end shall know.
                    let linger = Some(std::time::Duration::ZERO);
                    let _ = rustix::net::sockopt::set_socket_linger(&self.stream, linger);
                }
                Next::Gone
            }
            // Nothing gets lost on the way to the instance, so nothing comes again.
            State::TimeWait if self.shut => Next::Gone,
            _ => Next::Wait(self.interface.poll_at(now, &self.sockets)),
        }
    }

    /// Looks how connecting the host's socket went.
    fn connected(&mut self) {
        let failed = !matches!(self.stream.take_error(), Ok(None));
        if !failed && self.stream.peer_addr().is_err() {
            // Not yet.
            self.writable = false;
            return;
        }
        self.stage = Stage::Open;
        self.readable = true;
        let socket = self.socket();
        socket.pause_synack(false);
        if failed {
            socket.abort();
        }
    }

    /// Sends packets while there is room.
    fn send(&mut self, queue: &mut Queue, now: Instant) {
        let mut link = Link {
            packet: None,
            queue,
        };
        while self
            .interface
            .poll_egress(now, &mut link, &mut self.sockets)
            != smoltcp::iface::PollResult::None
        {}
    }

    /// Passes bytes of the instance on to the host's socket.
    fn pass_on(&mut self) -> io::Result<bool> {
        let mut moved = false;
        let stream = &self.stream;
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        while self.writable && socket.can_recv() {
            let mut result = Ok(0);
            let _ = socket.recv(|bytes| {
                result = send(stream, bytes);
                (result.as_ref().map_or(0, |count| *count), ())
            });
            match result {
                Ok(_) => moved = true,
                Err(Errno::AGAIN) => self.writable = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let ended = matches!(
            socket.state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
        if ended && !self.shut && socket.recv_queue() == 0 {
            self.shut = true;
            moved = true;
            // One that is broken says so when it is read.
            let _ = self.stream.shutdown(Shutdown::Write);
        }
        Ok(moved)
    }

    /// Takes bytes of the host's socket in.
    fn take_in(&mut self) -> io::Result<bool> {
        let mut moved = false;
        let stream = &self.stream;
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handle);
        while self.readable && !self.closed && socket.can_send() {
            let mut result = Ok(0);
            let _ = socket.send(|room| {
                result = rustix::io::read(stream, &mut *room);
                (result.as_ref().map_or(0, |count| *count), ())
            });
            match result {
                Ok(0) => {
                    socket.close();
                    self.closed = true;
                    moved = true;
                }
                Ok(_) => moved = true,
                Err(Errno::AGAIN) => self.readable = false,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(moved)
    }
}

/// Writes without the signal that a closed socket would raise.
fn send(stream: &TcpStream, bytes: &[u8]) -> Result<usize, Errno> {
    rustix::net::send(stream, bytes, rustix::net::SendFlags::NOSIGNAL)
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
