//! All TCP connections: finding one by its ends or its number, their timers, how many there may be.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use smoltcp::time::Instant;

use super::connection::{Birth, Connection, Ends, Next};
use super::network::GATEWAY;
use super::queue::Queue;
use super::token::Token;

/// Most connections at a time.
pub const LIMIT: usize = 1024;

/// Most connections at a time whose host's end is still being connected.
pub(super) const CONNECTING_LIMIT: usize = 128;

/// The ports that connections from outside come from, as the instance sees them.
const FIRST_PORT: u16 = 49_152;

/// Why a connection cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There are too many.
    TooMany,
    /// The host has no way there.
    NoWay,
}

struct Slot {
    connection: Connection,
    /// Whether it is in the list of those to be served.
    listed: bool,
    timer: Option<Instant>,
}

#[derive(Default)]
pub(super) struct Connections {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    by_ends: HashMap<Ends, usize>,
    /// To be served.
    list: VecDeque<usize>,
    timers: BTreeSet<(Instant, usize)>,
    connecting: usize,
    next_port: u16,
    seeds: RandomState,
    made: u64,
}

impl Connections {
    /// The number of the connection with these ends.
    pub(super) fn find(&self, ends: &Ends) -> Option<usize> {
        self.by_ends.get(ends).copied()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.by_ends.len()
    }

    /// Whether some connection is to be served now.
    pub(super) fn has_work(&self) -> bool {
        !self.list.is_empty()
    }

    /// When the next timer is due.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Starts a connection the instance asks for with `packet`.
    pub(super) fn open(
        &mut self,
        ends: Ends,
        to: SocketAddr,
        packet: &[u8],
        sources: &OwnedFd,
        queue: &mut Queue,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.by_ends.len() >= LIMIT || self.connecting >= CONNECTING_LIMIT {
            return Err(Refusal::TooMany);
        }
        let stream = connect(to).map_err(|_| Refusal::NoWay)?;
        let seed = self.seed();
        let mut connection = Connection::outbound(ends, stream, Birth { seed, now, queue });
        connection.receive(packet, queue, now);
        self.add(connection, sources).map_err(|_| Refusal::NoWay)
    }

    /// Starts a connection from outside to `guest`. Unless the instance has been `seen`, it waits
    /// for [`Connections::begin`].
    pub(super) fn accept(
        &mut self,
        stream: TcpStream,
        guest: SocketAddrV4,
        seen: bool,
        sources: &OwnedFd,
        queue: &mut Queue,
        now: Instant,
    ) -> Result<(), Refusal> {
        if self.by_ends.len() >= LIMIT {
            return Err(Refusal::TooMany);
        }
        let prepared = stream.set_nonblocking(true);
        let nodelay = prepared.and_then(|()| stream.set_nodelay(true));
        nodelay.map_err(|_| Refusal::NoWay)?;
        // There are more ports than connections.
        let ends = loop {
            let remote = SocketAddrV4::new(GATEWAY, self.next_port.max(FIRST_PORT));
            self.next_port = self.next_port.wrapping_add(1).max(FIRST_PORT);
            let ends = Ends { guest, remote };
            if !self.by_ends.contains_key(&ends) {
                break ends;
            }
        };
        let seed = self.seed();
        let mut connection = Connection::inbound(ends, stream, Birth { seed, now, queue });
        if seen {
            connection.begin();
        }
        self.add(connection, sources).map_err(|_| Refusal::NoWay)
    }

    /// A number nobody outside can guess.
    fn seed(&mut self) -> u64 {
        self.made += 1;
        let mut hasher = self.seeds.build_hasher();
        hasher.write_u64(self.made);
        hasher.finish()
    }

    fn add(&mut self, connection: Connection, sources: &OwnedFd) -> Result<(), Errno> {
        let number = self.free.pop().unwrap_or(self.slots.len());
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        if let Err(error) = epoll::add(
            sources,
            connection.stream(),
            Token::Connection(number).data(),
            flags,
        ) {
            if number < self.slots.len() {
                self.free.push(number);
            }
            return Err(error);
        }
        self.connecting += usize::from(connection.is_connecting());
        self.by_ends.insert(connection.ends(), number);
        let slot = Slot {
            connection,
            listed: false,
            timer: None,
        };
        match self.slots.get_mut(number) {
            Some(place) => *place = Some(slot),
            None => self.slots.push(Some(slot)),
        }
        self.list(number);
        Ok(())
    }

    /// Has a connection served, where there still is one of this number.
    fn list(&mut self, number: usize) {
        if let Some(Some(slot)) = self.slots.get_mut(number)
            && !slot.listed
        {
            slot.listed = true;
            self.list.push_back(number);
        }
    }

    /// The instance at this address has been seen: connections that wait for it begin.
    pub(super) fn begin(&mut self, guest: std::net::Ipv4Addr) {
        for number in 0..self.slots.len() {
            if let Some(Some(slot)) = self.slots.get_mut(number)
                && slot.connection.is_waiting()
                && *slot.connection.ends().guest.ip() == guest
            {
                slot.connection.begin();
                self.list(number);
            }
        }
    }

    /// A connection's host socket is ready for something.
    pub(super) fn ready(&mut self, number: usize, readable: bool, writable: bool) {
        if let Some(Some(slot)) = self.slots.get_mut(number) {
            slot.connection.ready(readable, writable);
            self.list(number);
        }
    }

    /// A packet of the instance for a connection.
    pub(super) fn receive(
        &mut self,
        number: usize,
        packet: &[u8],
        queue: &mut Queue,
        now: Instant,
    ) {
        if let Some(Some(slot)) = self.slots.get_mut(number) {
            slot.connection.receive(packet, queue, now);
            self.list(number);
        }
    }

    /// Serves connections whose turn it is, as long as there is room in the queue, each once.
    pub(super) fn serve(&mut self, queue: &mut Queue, now: Instant) {
        while let Some((due, number)) = self.timers.first().copied()
            && due <= now
        {
            self.timers.pop_first();
            if let Some(Some(slot)) = self.slots.get_mut(number) {
                slot.timer = None;
            }
            self.list(number);
        }
        for _ in 0..self.list.len() {
            if !queue.has_room() {
                return;
            }
            let Some(number) = self.list.pop_front() else {
                return;
            };
            let Some(Some(slot)) = self.slots.get_mut(number) else {
                continue;
            };
            slot.listed = false;
            let was_connecting = slot.connection.is_connecting();
            let next = slot.connection.serve(queue, now);
            let is_connecting = slot.connection.is_connecting();
            if let Some(due) = slot.timer.take() {
                self.timers.remove(&(due, number));
            }
            match next {
                Next::Again => self.list(number),
                Next::Wait(timer) => {
                    slot.timer = timer;
                    self.timers.extend(timer.map(|due| (due, number)));
                }
                Next::Gone => {
                    self.by_ends.remove(&slot.connection.ends());
                    self.slots[number] = None;
                    self.free.push(number);
                }
            }
            if was_connecting && !(is_connecting && next != Next::Gone) {
                self.connecting -= 1;
            }
        }
    }
}

/// A socket that is being connected.
fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(socket.as_fd(), true)?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    }
}
