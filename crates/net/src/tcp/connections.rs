//! The table of connections, and what a segment or a moment does to one.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::task::Waker;
use core::time::Duration;

use smoltcp::socket::tcp::State;
use smoltcp::wire::IpListenEndpoint;
use sprat_devices::Random as _;

use super::TcpOptions;
use crate::Error;
use crate::demux::Flow;
use crate::engine::Engine;
use crate::family;
use crate::flows::Flows;
use crate::sockets::{Connection, Kind, SocketId};

/// How long the reset of a connection that was given up may take to be sent.
const LAST_RESET: Duration = Duration::from_secs(3);

/// How long a connection that is opening is not given up for a newer one: its peer may have had no
/// time to answer yet. Many that come at once would otherwise drive each other out.
const SPARED: Duration = Duration::from_millis(10);

/// A listener's queues.
pub(super) struct Listening {
    pub(super) local: IpListenEndpoint,
    pub(super) options: TcpOptions,
    /// Connections that are opening, oldest first.
    half_open: VecDeque<SocketId>,
    /// Connections that are open and not accepted.
    pub(super) ready: VecDeque<SocketId>,
    pub(super) waiting: Vec<Waker>,
}

/// Every TCP connection.
pub(crate) struct Connections {
    limit: usize,
    count: usize,
    flows: Flows,
    /// Those in TIME-WAIT, oldest first.
    time_wait: VecDeque<SocketId>,
    pub(super) listeners: Vec<Option<Listening>>,
    /// Where the search for a free port goes on.
    next_port: u64,
}

/// Takes a socket out of a queue; whether it was there.
fn remove(queue: &mut VecDeque<SocketId>, id: SocketId) -> bool {
    let before = queue.len();
    queue.retain(|known| *known != id);
    queue.len() < before
}

impl Connections {
    pub(crate) fn new(limit: usize, first_port: u64) -> Self {
        Self {
            limit,
            count: 0,
            flows: Flows::default(),
            time_wait: VecDeque::new(),
            listeners: Vec::new(),
            next_port: first_port,
        }
    }

    pub(super) fn listener(&mut self, number: u32) -> Option<&mut Listening> {
        self.listeners.get_mut(number as usize)?.as_mut()
    }

    fn listener_at(&self, flow: &Flow) -> Option<u32> {
        let found = self.listeners.iter().position(|listener| {
            listener.as_ref().is_some_and(|listener| {
                let local = listener.local;
                local.port == flow.local_port && local.addr.is_none_or(|own| own == flow.local)
            })
        })?;
        u32::try_from(found).ok()
    }

    fn forget_waiting(&mut self, id: SocketId) {
        remove(&mut self.time_wait, id);
    }
}

impl Engine {
    /// The connection that a segment belongs to, made where it asks for one; none where nobody
    /// listens, so that the segment is answered with a reset.
    ///
    /// `Err` says that the segment is to be dropped.
    pub(crate) fn connection_for(
        &mut self,
        now: u64,
        flow: Flow,
        opens: bool,
    ) -> Result<Option<SocketId>, ()> {
        let known = self.connections.flows.get(&flow);
        if let Some(id) = known {
            let waits = opens
                && self
                    .sockets
                    .get(id)
                    .is_some_and(|socket| socket.tcp().state() == State::TimeWait);
            if !waits {
                return Ok(Some(id));
            }
            // A new connection between the same ports: the old one has waited long enough.
            self.remove_connection(id);
        }
        if !opens || !self.has_address(flow.local) {
            return Ok(None);
        }
        let Some(number) = self.connections.listener_at(&flow) else {
            return Ok(None);
        };
        self.make_room()?;
        let Some(listener) = self.connections.listener(number) else {
            return Ok(None);
        };
        if listener.ready.len() >= listener.options.backlog {
            self.counters.backlog_full += 1;
            return Err(());
        }
        let options = listener.options;
        if listener.half_open.len() >= options.half_open
            && let Some(&oldest) = listener.half_open.front()
        {
            let begun = self.connection(oldest).map_or(0, |oldest| oldest.begun);
            if u128::from(now.saturating_sub(begun)) < SPARED.as_nanos() {
                self.counters.half_open_full += 1;
                return Err(());
            }
            self.counters.half_open_evicted += 1;
            self.remove_connection(oldest);
        }
        let mut socket = options.socket();
        let endpoint = IpListenEndpoint {
            addr: Some(flow.local),
            port: flow.local_port,
        };
        socket.listen(endpoint).map_err(|_| ())?;
        let id = self.add_connection(socket, flow, Some(number), false);
        if let Some(listener) = self.connections.listener(number) {
            listener.half_open.push_back(id);
        }
        // Even a peer that never answers must not hold it for ever.
        self.abandon_after(now, id, options.opening);
        Ok(Some(id))
    }

    pub(super) fn add_connection(
        &mut self,
        socket: smoltcp::socket::tcp::Socket<'static>,
        flow: Flow,
        listener: Option<u32>,
        held: bool,
    ) -> SocketId {
        let connection = Connection {
            flow,
            begun: self.now(),
            listener,
            held,
            listed: true,
            waiting: false,
            abandon_at: None,
        };
        let id = self.sockets.add(socket, Kind::Tcp(connection));
        self.connections.count += 1;
        self.connections.flows.insert(flow, id);
        id
    }

    /// Makes sure that one more connection may be added, giving up the oldest in TIME-WAIT.
    pub(super) fn make_room(&mut self) -> Result<(), ()> {
        if self.connections.count < self.connections.limit {
            return Ok(());
        }
        let Some(oldest) = self.connections.time_wait.pop_front() else {
            self.counters.table_full += 1;
            return Err(());
        };
        self.counters.time_wait_evicted += 1;
        self.remove_connection(oldest);
        Ok(())
    }

    /// Whether a local port is taken, by a listener or by a connection to `remote`.
    pub(super) fn is_tcp_port_taken(&self, flow: &Flow) -> bool {
        self.connections.flows.get(flow).is_some() || self.connections.listener_at(flow).is_some()
    }

    fn connection(&mut self, id: SocketId) -> Option<&mut Connection> {
        match &mut self.sockets.get(id)?.kind {
            Kind::Tcp(connection) => Some(connection),
            _ => None,
        }
    }

    /// Takes a connection out of all tables.
    pub(super) fn remove_connection(&mut self, id: SocketId) {
        let Some(connection) = self.connection(id) else {
            return;
        };
        let (flow, listener, listed, waiting) = (
            connection.flow,
            connection.listener,
            connection.listed,
            connection.waiting,
        );
        if listed {
            self.connections.flows.remove(&flow);
        }
        if waiting {
            self.connections.forget_waiting(id);
        }
        if let Some(listener) = listener.and_then(|number| self.connections.listener(number)) {
            remove(&mut listener.half_open, id);
            remove(&mut listener.ready, id);
        }
        self.connections.count -= 1;
        self.timers.remove_socket(id);
        self.sockets.remove(id);
    }

    /// Gives a connection up when `span` has passed.
    pub(super) fn abandon_after(&mut self, now: u64, id: SocketId, span: Duration) {
        let due = now.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
        if let Some(connection) = self.connection(id) {
            connection.abandon_at = Some(due);
        }
        self.arm(id, due);
    }

    /// Gives a connection up whose time has come; otherwise sees to it that it is looked at then.
    pub(crate) fn abandon_if_due(&mut self, now: u64, id: SocketId) {
        let Some(due) = self
            .connection(id)
            .and_then(|connection| connection.abandon_at)
        else {
            return;
        };
        if due > now {
            self.arm(id, due);
            return;
        }
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        if socket.tcp().state() == State::Closed {
            // Not even the reset could be sent.
            self.remove_connection(id);
            return;
        }
        socket.tcp().abort();
        self.counters.abandoned += 1;
        self.abandon_after(now, id, LAST_RESET);
    }

    /// What follows from the state a connection has come to.
    pub(crate) fn settle_connection(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let state = socket.tcp().state();
        // An aborted socket has its reset still to send.
        let finished = state == State::Closed && socket.tcp().remote_endpoint().is_none();
        let Kind::Tcp(connection) = &mut socket.kind else {
            return;
        };
        let (listener, held, listed) = (connection.listener, connection.held, connection.listed);
        match state {
            // The segment was not what it seemed, or the peer took it back.
            State::Listen => self.remove_connection(id),
            State::Closed if finished => {
                if listed && !held {
                    self.remove_connection(id);
                } else if listed {
                    connection.listed = false;
                    let flow = connection.flow;
                    self.connections.flows.remove(&flow);
                }
            }
            // One that is still held is not to be taken away from its holder.
            State::TimeWait if !held && !connection.waiting => {
                connection.waiting = true;
                connection.abandon_at = None;
                self.connections.time_wait.push_back(id);
            }
            State::Established | State::CloseWait => {
                if let Some(number) = listener {
                    self.offer(id, number);
                }
            }
            _ => {}
        }
    }

    /// Puts an open connection where its listener accepts it from.
    fn offer(&mut self, id: SocketId, number: u32) {
        let Some(listener) = self.connections.listener(number) else {
            return;
        };
        if !remove(&mut listener.half_open, id) {
            // It is there already.
            return;
        }
        listener.ready.push_back(id);
        let options = listener.options;
        for waker in core::mem::take(&mut listener.waiting) {
            waker.wake();
        }
        if let Some(connection) = self.connection(id) {
            connection.abandon_at = None;
        }
        if let Some(socket) = self.sockets.get(id) {
            options.opened(socket.tcp());
        }
        self.counters.accepted += 1;
    }

    /// The next open connection of a listener, which is the caller's from now on.
    pub(super) fn accept(&mut self, number: u32) -> Option<(SocketId, SocketAddr)> {
        let id = self.connections.listener(number)?.ready.pop_front()?;
        let connection = self.connection(id)?;
        connection.listener = None;
        connection.held = true;
        let peer = SocketAddr::new(connection.flow.remote.into(), connection.flow.remote_port);
        Some((id, peer))
    }

    /// Closes a connection that nobody holds any more.
    pub(super) fn let_go(&mut self, id: SocketId, closing: Duration) {
        let now = self.now();
        let Some(socket) = self.sockets.get(id) else {
            return;
        };
        let Kind::Tcp(connection) = &mut socket.kind else {
            return;
        };
        connection.held = false;
        if !connection.listed {
            self.remove_connection(id);
            return;
        }
        let socket = socket.tcp();
        if socket.can_recv() {
            // What came and was not read is lost; the peer must not think otherwise (RFC 2525, 2.17).
            socket.abort();
        } else {
            socket.close();
        }
        self.abandon_after(now, id, closing);
        self.enqueue(id);
        self.settle_connection(id);
    }

    pub(super) fn listen(&mut self, local: SocketAddr, options: TcpOptions) -> Result<u32, Error> {
        if local.port() == 0 {
            return Err(Error::BadAddress);
        }
        let local = IpListenEndpoint {
            addr: family::local(local.ip())?,
            port: local.port(),
        };
        let taken = self.connections.listeners.iter().flatten().any(|known| {
            known.local.port == local.port
                && (known.local.addr.is_none()
                    || local.addr.is_none()
                    || known.local.addr == local.addr)
        });
        if taken {
            return Err(Error::InUse);
        }
        let listening = Listening {
            local,
            options,
            half_open: VecDeque::new(),
            ready: VecDeque::new(),
            waiting: Vec::new(),
        };
        let listeners = &mut self.connections.listeners;
        let free = listeners.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            listeners.push(None);
            listeners.len() - 1
        });
        listeners[number] = Some(listening);
        u32::try_from(number).map_err(|_| Error::TooMany)
    }

    /// Ends a listener and every connection that it has not handed out.
    pub(super) fn stop_listening(&mut self, number: u32) {
        let Some(slot) = self.connections.listeners.get_mut(number as usize) else {
            return;
        };
        let Some(listener) = slot.take() else {
            return;
        };
        for id in listener.half_open.into_iter().chain(listener.ready) {
            if let Some(connection) = self.connection(id) {
                connection.listener = None;
            }
            if let Some(socket) = self.sockets.get(id) {
                socket.tcp().abort();
            }
            self.enqueue(id);
        }
    }

    pub(super) fn connect(
        &mut self,
        remote: SocketAddr,
        options: TcpOptions,
    ) -> Result<SocketId, Error> {
        if remote.port() == 0 || remote.ip().is_unspecified() {
            return Err(Error::BadAddress);
        }
        let endpoint = family::endpoint(remote)?;
        self.make_room().map_err(|()| Error::TooMany)?;
        let local = self
            .interface
            .get_source_address(&endpoint.addr)
            .filter(|address| !address.is_unspecified())
            .ok_or(Error::Unreachable)?;
        let flow = |local_port| Flow {
            remote_port: remote.port(),
            local_port,
            remote: endpoint.addr,
            local,
        };
        // Onward by small random steps (RFC 6056, algorithm 5): hard to guess, and a port comes
        // again only when the peer has long forgotten its last connection.
        self.connections.next_port += 1 + self.random.below(4);
        let start = self.connections.next_port;
        let port = self.free_port(start, |engine, port| engine.is_tcp_port_taken(&flow(port)))?;
        let mut socket = options.socket();
        socket
            .connect(
                self.interface.context(),
                endpoint,
                IpListenEndpoint {
                    addr: Some(local),
                    port,
                },
            )
            .map_err(|_| Error::Unreachable)?;
        let id = self.add_connection(socket, flow(port), None, true);
        self.enqueue(id);
        Ok(id)
    }
}
