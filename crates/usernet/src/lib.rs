//! A network of an instance's own, joined to the host's by ordinary sockets: no root, no tap. It
//! knows nothing of what an instance is: it takes and gives frames, for sealed images and for
//! ordinary programs alike.
//!
//! The instance sees a network of its own: itself at 10.0.2.15, a gateway at 10.0.2.2, a name server
//! at 10.0.2.3. Connections and datagrams that it sends end here, and are carried on by sockets of
//! the host; ports of the host that are [published](Publish) lead to it. ARP, DHCP and echoes are
//! answered here, names are asked of the host's name server.
//!
//! Whatever the instance sends is hostile. Every connection is bounded, and so is their number; what
//! it may reach is decided in one place (`network.rs`). An instance that says nothing costs nothing.
//!
//! A frame from the instance is looked up by its ends and handed to its connection's stack at once
//! (`outgoing.rs`).
//! Everything else happens when somebody asks for frames: sockets that have something are served, as
//! long as there is room in a bounded queue of frames, and the queue is lent to who asked.
#![forbid(unsafe_code)]

mod answers;
mod connection;
mod connections;
mod datagrams;
mod error;
mod network;
mod outgoing;
mod packets;
mod publish;
mod published;
mod queue;
mod resolver;
mod token;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{Timespec, epoll};
use rustix::time::{ClockId, clock_gettime};
use smoltcp::iface::{Config, Interface};
use smoltcp::time::{Duration, Instant};
use smoltcp::wire::HardwareAddress;

use connections::{Connections, Refusal};
use datagrams::Flows;
use network::Reach;
use published::Published;
use queue::{Link, Queue};
use token::Token;

pub use connections::LIMIT as CONNECTION_LIMIT;
pub use error::{Loss, OpenError};
pub use network::{GATEWAY, GATEWAY_ETHERNET, GUEST, NAME_SERVER, PREFIX};
pub use publish::{Publish, PublishError, Transport};

/// Events taken from the system at a time.
const EVENTS: usize = 128;

/// How often an address is asked for.
const QUESTION_PERIOD: Duration = Duration::from_secs(1);

/// How a user-mode network is set up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Ports of the host that lead to the instance.
    pub publish: Vec<Publish>,
    /// Whether the gateway leads to the host's loopback addresses.
    pub loopback: bool,
    /// Whom names are asked of, instead of the host's own name server.
    pub resolver: Option<SocketAddr>,
}

/// A listening socket of a published port.
struct Listener {
    socket: TcpListener,
    guest: SocketAddrV4,
}

/// The network.
pub struct UserNetwork {
    queue: Queue,
    connections: Connections,
    flows: Flows,
    listeners: Vec<Listener>,
    published: Vec<Published>,
    publications: Vec<Publish>,
    /// Addresses of the instance that something is published at, and that have been seen.
    seen: Vec<Ipv4Addr>,
    /// The instance is being told that it has its address. Once it has taken that in it counts as
    /// seen, for it may have nothing to say until somebody connects.
    acknowledged: bool,
    /// Those that something waits for and that have not been seen.
    awaited: Vec<Ipv4Addr>,
    /// When they are asked for again.
    next_question: Instant,
    reach: Reach,
    /// Waits for all sockets.
    sources: OwnedFd,
    /// Refuses connections that there are not.
    refuser: Interface,
    datagram: Vec<u8>,
    events: Vec<epoll::Event>,
}

impl UserNetwork {
    /// Opens the network and the sockets of published ports.
    ///
    /// # Errors
    /// A port that cannot be published; what the system refuses.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let system = |source: rustix::io::Errno| OpenError::Wait(source.into());
        let sources = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(system)?;
        let mut queue = Queue::new();
        let mut link = Link {
            packet: None,
            queue: &mut queue,
        };
        let refuser = Interface::new(Config::new(HardwareAddress::Ip), &mut link, now());
        let mut port = Self {
            queue,
            connections: Connections::default(),
            flows: Flows::default(),
            listeners: Vec::new(),
            published: Vec::new(),
            publications: Vec::new(),
            seen: Vec::new(),
            acknowledged: false,
            awaited: Vec::new(),
            next_question: now(),
            reach: Reach {
                loopback: options.loopback,
                resolver: options.resolver.or_else(resolver::of_the_host),
            },
            sources,
            refuser,
            datagram: vec![0; 1 << 16],
            events: Vec::with_capacity(EVENTS),
        };
        for publish in &options.publish {
            port.publish(*publish)
                .map_err(|source| OpenError::Publish {
                    host: publish.host,
                    transport: publish.transport,
                    source,
                })?;
        }
        Ok(port)
    }

    /// What is published, with the host's ports as they are.
    #[must_use]
    pub fn publications(&self) -> &[Publish] {
        &self.publications
    }

    fn publish(&mut self, mut publish: Publish) -> io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        let guest = publish.guest;
        match publish.transport {
            Transport::Tcp => {
                let socket = TcpListener::bind(publish.host)?;
                socket.set_nonblocking(true)?;
                publish.host = socket.local_addr()?;
                let token = Token::Listener(self.listeners.len());
                epoll::add(&self.sources, &socket, token.data(), flags)?;
                self.listeners.push(Listener { socket, guest });
            }
            Transport::Udp => {
                let socket = UdpSocket::bind(publish.host)?;
                socket.set_nonblocking(true)?;
                publish.host = socket.local_addr()?;
                let token = Token::Published(self.published.len());
                epoll::add(&self.sources, &socket, token.data(), flags)?;
                self.published.push(Published::new(socket, guest));
            }
        }
        self.publications.push(publish);
        Ok(())
    }

    /// Asks for addresses that something waits for: an instance that needs nothing itself does not
    /// speak first.
    fn ask(&mut self, now: Instant) {
        for port in &self.published {
            let guest = *port.guest.ip();
            if port.ready && !self.seen.contains(&guest) && !self.awaited.contains(&guest) {
                self.awaited.push(guest);
            }
        }
        if self.awaited.is_empty() || now < self.next_question {
            return;
        }
        self.next_question = now + QUESTION_PERIOD;
        for address in &self.awaited {
            answers::ask(&mut self.queue, *address);
        }
    }

    /// Serves everything that has something, as far as the queue has room. Says whether frames wait.
    fn work(&mut self, lose: &mut dyn FnMut(Loss)) -> io::Result<bool> {
        self.look(lose)?;
        let now = now();
        self.ask(now);
        self.connections.serve(&mut self.queue, now);
        let mut too_long = self.flows.serve(&mut self.queue, &mut self.datagram, now);
        for port in &mut self.published {
            if port.ready && self.seen.contains(port.guest.ip()) {
                too_long += port.serve(&mut self.queue, &mut self.datagram);
            }
        }
        for _ in 0..too_long {
            lose(Loss::OverLong);
        }
        Ok(self.queue.front().is_some())
    }

    /// Notes which sockets have something.
    fn look(&mut self, lose: &mut dyn FnMut(Loss)) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let at_once = Timespec::default();
        let spare = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.sources, spare, Some(&at_once)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            let broken = epoll::EventFlags::HUP | epoll::EventFlags::ERR;
            let flags = event.flags;
            let readable = flags.intersects(epoll::EventFlags::IN | broken);
            let writable = flags.intersects(epoll::EventFlags::OUT | broken);
            match Token::from_data(event.data) {
                Token::Listener(number) => self.accept(number, lose),
                Token::Connection(number) => self.connections.ready(number, readable, writable),
                Token::Published(number) => {
                    if let Some(port) = self.published.get_mut(number) {
                        port.ready = true;
                    }
                }
                Token::Flow(number) => self.flows.ready(number),
            }
        }
        self.events = events;
        Ok(())
    }

    /// Takes everybody who has connected to a published port.
    fn accept(&mut self, number: usize, lose: &mut dyn FnMut(Loss)) {
        let Some(listener) = self.listeners.get(number) else {
            return;
        };
        loop {
            let stream = match listener.socket.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    lose(Loss::TooMany);
                    return;
                }
            };
            let guest = *listener.guest.ip();
            let seen = self.seen.contains(&guest);
            if !seen && !self.awaited.contains(&guest) {
                self.awaited.push(guest);
            }
            let accepted = self.connections.accept(
                stream,
                listener.guest,
                seen,
                &self.sources,
                &mut self.queue,
                now(),
            );
            if let Err(refusal) = accepted {
                lose(match refusal {
                    Refusal::TooMany => Loss::TooMany,
                    Refusal::NoWay => Loss::NoWay,
                });
            }
        }
    }

    /// Lends up to `limit` frames for the instance to `deliver`, until that returns `false`: the frame
    /// it refused comes again next time. Returns how many were taken. What was lost on the way is
    /// named to `lose`.
    ///
    /// # Errors
    /// The system does not say which sockets have something.
    pub fn receive(
        &mut self,
        limit: usize,
        deliver: &mut dyn FnMut(&[u8]) -> bool,
        lose: &mut dyn FnMut(Loss),
    ) -> io::Result<usize> {
        let mut taken = 0;
        if self.acknowledged && self.queue.front().is_none() {
            self.acknowledged = false;
            self.seen(GUEST);
        }
        loop {
            while let Some(frame) = self.queue.front() {
                if taken >= limit || !deliver(frame) {
                    return Ok(taken);
                }
                self.queue.pop();
                taken += 1;
            }
            if !self.work(lose)? {
                return Ok(taken);
            }
        }
    }

    /// Longest frame, Ethernet header included.
    #[must_use]
    pub fn frame_limit(&self) -> usize {
        queue::ETHERNET_HEADER + network::MTU
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.count()
    }

    /// Can be read when a socket has something.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.sources.as_fd()
    }

    /// When [`UserNetwork::receive`] wants to be called though the descriptor cannot be read: a moment
    /// of [`monotonic_now`].
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let waiting = |port: &Published| port.ready && self.seen.contains(port.guest.ip());
        if self.acknowledged
            || self.connections.has_work()
            || self.flows.has_work()
            || self.queue.front().is_some()
            || self.published.iter().any(waiting)
        {
            return Some(0);
        }
        let timers = [self.connections.next_timer(), self.flows.next_timer()];
        let question = (!self.awaited.is_empty()).then_some(self.next_question);
        let next = timers.into_iter().chain([question]).flatten().min()?;
        Some(u64::try_from(next.total_micros()).unwrap_or(0) * 1000)
    }
}

/// The monotonic clock of the system, in nanoseconds.
#[must_use]
pub fn monotonic_now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// The time of connections.
fn now() -> Instant {
    Instant::from_micros(i64::try_from(monotonic_now() / 1000).unwrap_or(i64::MAX))
}
