//! The stack's state, and what happens in one turn of it.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::task::Waker;

use smoltcp::iface::{Config, Interface, PollResult, SocketSet};
use smoltcp::socket::tcp::State;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, HardwareAddress, IpAddress};
use sprat_devices::{ChaCha, Clock, Random as _};
use sprat_packet::{Batch, Pool};

use crate::Counters;
use crate::configuration::Configurator;
use crate::demux::{Destination, destination};
use crate::dns::Cache;
use crate::frames::Frames;
#[cfg(feature = "multicast")]
use crate::multicast::Groups;
#[cfg(feature = "ipv6")]
use crate::slaac::Slaac;
use crate::sockets::{Fill, Kind, SocketId, Sockets};
use crate::tcp::Connections;
use crate::timers::Timers;
use crate::udp::Ports;

/// Frames that one socket may send before the others get their turn.
const BURST: usize = 32;

/// How long to leave a socket alone that says it is due and then sends nothing.
const PAUSE: u64 = 1_000_000;

pub(crate) struct Engine {
    pub(crate) interface: Interface,
    #[cfg(any(feature = "ipv6", feature = "multicast"))]
    pub(crate) hardware: [u8; 6],
    pub(crate) clock: Rc<dyn Clock>,
    pub(crate) random: ChaCha,
    pub(crate) sockets: Sockets,
    pub(crate) connections: Connections,
    pub(crate) ports: Ports,
    pub(crate) configurator: Configurator,
    #[cfg(feature = "multicast")]
    pub(crate) groups: Groups,
    pub(crate) names: Cache,
    pub(crate) timers: Timers,
    pub(crate) counters: Counters,
    pub(crate) waits_for: fn(&'static str),
    pub(crate) pool: Pool,
    frame_limit: usize,
    /// Sockets that may have something to send.
    queue: VecDeque<SocketId>,
    /// Sockets that may wait for a neighbour's address.
    unresolved: Vec<SocketId>,
    /// What frames for no socket are shown to.
    nobody: SocketSet<'static>,
    /// Whoever calls [`Engine::poll`].
    runner: Option<Waker>,
}

impl Engine {
    pub(crate) fn new(options: crate::Options, pool: Pool, clock: Rc<dyn Clock>) -> Self {
        let mut random = ChaCha::new(options.seed);
        let address = EthernetAddress(options.address);
        let mut config = Config::new(HardwareAddress::Ethernet(address));
        config.random_seed = random.next();
        let mut frames = Frames {
            received: None,
            sent: &mut Batch::new(),
            limit: 0,
            pool: &pool,
            frame_limit: options.frame_limit,
        };
        let interface = Interface::new(config, &mut frames, instant(clock.monotonic()));
        let mut engine = Self {
            interface,
            #[cfg(any(feature = "ipv6", feature = "multicast"))]
            hardware: options.address,
            clock,
            connections: Connections::new(options.connections, random.below(1 << 32)),
            random,
            sockets: Sockets::default(),
            ports: Ports::default(),
            configurator: Configurator::default(),
            #[cfg(feature = "multicast")]
            groups: Groups::default(),
            names: Cache::default(),
            timers: Timers::default(),
            counters: Counters::default(),
            waits_for: options.waits_for,
            pool,
            frame_limit: options.frame_limit,
            queue: VecDeque::new(),
            unresolved: Vec::new(),
            nobody: SocketSet::new(Vec::new()),
            runner: None,
        };
        engine.configure(&options.configuration, address);
        engine
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.monotonic()
    }

    /// One turn: takes what came, serves what is due, and leaves at most `limit` frames in `sent`.
    pub(crate) fn poll(&mut self, received: &mut Batch, sent: &mut Batch, limit: usize) {
        let now = self.now();
        for packet in received.drain() {
            self.counters.frames_in += 1;
            self.counters.bytes_in += packet.len() as u64;
            self.receive(now, packet.data(), sent);
        }
        #[cfg(feature = "ipv6")]
        self.ask_neighbours(now, sent);
        #[cfg(feature = "multicast")]
        self.tell_groups(now, sent);
        while let Some(id) = self.timers.pop(now) {
            if let Some(socket) = self.sockets.get(id) {
                socket.armed = u64::MAX;
                self.abandon_if_due(now, id);
                self.enqueue(id);
            }
        }
        for _ in 0..self.queue.len() {
            if sent.len() >= limit {
                break;
            }
            let Some(id) = self.queue.pop_front() else {
                break;
            };
            self.send(now, id, sent, limit);
        }
        self.counters.frames_out += sent.len() as u64;
        self.counters.bytes_out += sent.iter().map(|packet| packet.len() as u64).sum::<u64>();
    }

    /// When [`Engine::poll`] wants to be called though nothing came.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        if !self.queue.is_empty() {
            return Some(0);
        }
        let due = self.timers.next();
        #[cfg(feature = "ipv6")]
        let due = due
            .into_iter()
            .chain(self.configurator.slaac.as_ref().map(Slaac::due))
            .min();
        #[cfg(feature = "multicast")]
        let due = due.into_iter().chain([self.groups.due()]).min();
        due
    }

    pub(crate) fn set_runner(&mut self, waker: &Waker) {
        match &mut self.runner {
            Some(known) => known.clone_from(waker),
            None => self.runner = Some(waker.clone()),
        }
    }

    pub(crate) fn wake_runner(&mut self) {
        if let Some(runner) = self.runner.take() {
            runner.wake();
        }
    }

    /// Notes that a socket may have something to send.
    pub(crate) fn enqueue(&mut self, id: SocketId) {
        if let Some(socket) = self.sockets.get(id)
            && !core::mem::replace(&mut socket.queued, true)
        {
            if self.queue.is_empty() {
                self.wake_runner();
            }
            self.queue.push_back(id);
        }
    }

    // In one function with what sends, every variable would take longer instructions to reach.
    #[inline(never)]
    fn receive(&mut self, now: u64, frame: &[u8], sent: &mut Batch) {
        let socket = match destination(frame) {
            Destination::Tcp { flow, opens } => match self.connection_for(now, flow, opens) {
                Ok(socket) => socket,
                // Refused, and counted.
                Err(()) => return,
            },
            Destination::Udp { local, port } => {
                let socket = self.socket_for_datagram(local, port);
                #[cfg(feature = "multicast")]
                let socket = self.as_member(local, socket);
                socket
            }
            Destination::Neighbours => {
                #[cfg(feature = "ipv6")]
                self.hear_neighbour(now, frame, sent);
                for id in core::mem::take(&mut self.unresolved) {
                    if let Some(socket) = self.sockets.get(id) {
                        socket.unresolved = false;
                        self.enqueue(id);
                    }
                }
                None
            }
            Destination::Fragment => {
                self.counters.fragments += 1;
                return;
            }
            Destination::Other => {
                #[cfg(feature = "multicast")]
                self.hear_query(now, frame);
                None
            }
        };
        let mut frames = Frames {
            received: Some(frame),
            limit: usize::MAX,
            sent,
            pool: &self.pool,
            frame_limit: self.frame_limit,
        };
        let Some(id) = socket else {
            self.interface
                .poll_ingress_single(instant(now), &mut frames, &mut self.nobody);
            return;
        };
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let before = socket.fill();
        self.interface
            .poll_ingress_single(instant(now), &mut frames, &mut socket.set);
        #[cfg(feature = "multicast")]
        self.interface.set_any_ip(false);
        match (before, socket.fill()) {
            (Fill::Datagrams(before), Fill::Datagrams(after)) => {
                if before == after {
                    self.counters.datagrams_dropped += 1;
                }
                return;
            }
            (Fill::Stream(before), Fill::Stream(State::Closed)) if before != State::LastAck => {
                self.counters.resets += 1;
            }
            _ => {}
        }
        self.enqueue(id);
        self.settle(id);
    }

    /// Lets one socket send, and arms its timer.
    #[inline(never)]
    fn send(&mut self, now: u64, id: SocketId, sent: &mut Batch, limit: usize) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        socket.queued = false;
        let limit = limit.min(sent.len() + BURST);
        let mut frames = Frames {
            received: None,
            sent,
            limit,
            pool: &self.pool,
            frame_limit: self.frame_limit,
        };
        let mut count = 0;
        while self
            .interface
            .poll_egress(instant(now), &mut frames, &mut socket.set)
            == PollResult::SocketStateChanged
        {
            count += 1;
        }
        let full = frames.sent.len() >= limit;
        if count == 0 && !socket.unresolved && socket.has_unsent() {
            socket.unresolved = true;
            self.unresolved.push(id);
        }
        let due = self
            .interface
            .poll_at(instant(now), &socket.set)
            .map(nanoseconds);
        match due {
            Some(due) if due <= now && full => self.enqueue(id),
            Some(due) => self.arm(id, due.max(now + PAUSE)),
            None => {}
        }
        self.settle(id);
    }

    /// Makes sure that a socket is looked at when `due` comes.
    pub(crate) fn arm(&mut self, id: SocketId, due: u64) {
        if let Some(socket) = self.sockets.get(id)
            && due < socket.armed
        {
            socket.armed = due;
            self.timers.set_socket(due, id);
        }
    }

    /// Does what follows from a socket's new state.
    fn settle(&mut self, id: SocketId) {
        match self.sockets.get(id).map(|socket| &socket.kind) {
            Some(Kind::Tcp(_)) => self.settle_connection(id),
            #[cfg(feature = "dhcp")]
            Some(Kind::Dhcp) => self.take_lease(id),
            Some(Kind::Udp) | None => {}
        }
    }

    /// Whether this stack answers for an address.
    pub(crate) fn has_address(&self, address: IpAddress) -> bool {
        self.interface.has_ip_addr(address)
    }
}

/// A moment as smoltcp counts it: in microseconds.
pub(crate) fn instant(nanoseconds: u64) -> Instant {
    Instant::from_micros(i64::try_from(nanoseconds / 1000).unwrap_or(i64::MAX))
}

/// The first nanosecond at which a moment of smoltcp's has come.
pub(crate) fn nanoseconds(instant: Instant) -> u64 {
    u64::try_from(instant.total_micros())
        .unwrap_or(0)
        .saturating_mul(1000)
}
