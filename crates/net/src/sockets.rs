//! The table of sockets.
//!
//! Each socket is alone in a set of smoltcp's, so that smoltcp never searches: which socket a frame
//! is for, and which one wants to send, is known before it is asked.

use alloc::vec::Vec;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::{AnySocket, Socket as Inner, tcp, udp};

use crate::demux::Flow;

/// Names a socket for its whole life, and no other after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketId {
    index: u32,
    generation: u32,
}

impl SocketId {
    /// Which of the sockets that there are at a time.
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }

    /// The first that is called so.
    #[cfg(test)]
    pub(crate) fn numbered(index: u32) -> Self {
        Self {
            index,
            generation: 0,
        }
    }
}

/// What a socket is.
pub(crate) enum Kind {
    Tcp(Connection),
    Udp,
    #[cfg(feature = "dhcp")]
    Dhcp,
}

/// What is known of a TCP connection beside smoltcp's own state.
pub(crate) struct Connection {
    pub(crate) flow: Flow,
    /// When it began, in nanoseconds on the engine's clock.
    pub(crate) begun: u64,
    /// The listener it came from, until it is accepted.
    pub(crate) listener: Option<u32>,
    /// Whether the application holds a stream of it.
    pub(crate) held: bool,
    /// Whether it is still in the table of flows.
    pub(crate) listed: bool,
    /// Whether it is among those in TIME-WAIT.
    pub(crate) waiting: bool,
    /// When it is given up, though it may not have come to its end.
    pub(crate) abandon_at: Option<u64>,
}

pub(crate) struct Socket {
    pub(crate) set: SocketSet<'static>,
    handle: SocketHandle,
    pub(crate) kind: Kind,
    /// Whether it stands in the queue of those that may have something to send.
    pub(crate) queued: bool,
    /// Whether it stands in the list of those that may wait for a neighbour's address.
    pub(crate) unresolved: bool,
    /// The earliest timer it has; none is `u64::MAX`.
    pub(crate) armed: u64,
}

/// What a frame may change in a socket, and what is counted when it does or does not.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// Bytes of datagrams that wait.
    Datagrams(usize),
    /// The state of a connection.
    Stream(tcp::State),
    Other,
}

impl Socket {
    pub(crate) fn fill(&self) -> Fill {
        match self.set.iter().next() {
            Some((_, Inner::Udp(socket))) => Fill::Datagrams(socket.recv_queue()),
            Some((_, Inner::Tcp(socket))) => Fill::Stream(socket.state()),
            _ => Fill::Other,
        }
    }

    pub(crate) fn tcp(&mut self) -> &mut tcp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    pub(crate) fn udp(&mut self) -> &mut udp::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    #[cfg(feature = "dhcp")]
    pub(crate) fn dhcp(&mut self) -> &mut smoltcp::socket::dhcpv4::Socket<'static> {
        self.set.get_mut(self.handle)
    }

    /// Whether it has something that it has not sent.
    pub(crate) fn has_unsent(&self) -> bool {
        match self.set.iter().next() {
            Some((_, Inner::Tcp(socket))) => {
                socket.send_queue() > 0
                    || matches!(
                        socket.state(),
                        tcp::State::SynSent | tcp::State::SynReceived
                    )
            }
            Some((_, Inner::Udp(socket))) => socket.send_queue() > 0,
            _ => false,
        }
    }
}

#[derive(Default)]
pub(crate) struct Sockets {
    slots: Vec<(u32, Option<Socket>)>,
    free: Vec<u32>,
}

impl Sockets {
    pub(crate) fn add(&mut self, socket: impl AnySocket<'static>, kind: Kind) -> SocketId {
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(socket);
        self.insert(set, handle, kind)
    }

    fn insert(&mut self, set: SocketSet<'static>, handle: SocketHandle, kind: Kind) -> SocketId {
        let socket = Socket {
            set,
            handle,
            kind,
            queued: false,
            unresolved: false,
            armed: u64::MAX,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let (generation, slot) = &mut self.slots[index as usize];
        *slot = Some(socket);
        SocketId {
            index,
            generation: *generation,
        }
    }

    pub(crate) fn get(&mut self, id: SocketId) -> Option<&mut Socket> {
        let (generation, slot) = self.slots.get_mut(id.index as usize)?;
        slot.as_mut().filter(|_| *generation == id.generation)
    }

    pub(crate) fn remove(&mut self, id: SocketId) -> Option<Socket> {
        let (generation, slot) = self.slots.get_mut(id.index as usize)?;
        if *generation != id.generation {
            return None;
        }
        let socket = slot.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(id.index);
        Some(socket)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}
