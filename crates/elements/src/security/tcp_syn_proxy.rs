use alloc::string::{String, ToString};
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::headers::tcp_flags::{ACK, FIN, RST, SYN};
use sprat_packet::{Batch, Packet};

use super::segment::{Header, Segment, Side, shift};
use super::syn_cookie::{Connection, Key};

pub(super) const TCP_SYN_PROXY: Class = Class::of::<TcpSynProxy>("TCPSYNProxy")
    .ports("2/2")
    .processing("h/h");

/// TCPSYNProxy: lets a TCP connection reach its server only when its client has been heard to answer.
///
/// ```click
/// TCPSYNProxy([keywords MSS, TIMEOUT, DONE_TIMEOUT, CAPACITY])
/// ```
///
/// IP packets from clients come in at input 0 and leave by output 0; those from servers come in at
/// input 1 and leave by output 1. A client's SYN is answered by the proxy itself, with a sequence number
/// that says all that would have to be remembered (a cookie, RFC 4987), and with no window, so that the
/// client sends no data yet. Only when the client acknowledges the cookie does the proxy open the
/// connection to the server; when the server has accepted, the client is told its window, and from then
/// on sequence and acknowledgement numbers are shifted by what is between the cookie and the server's
/// own number. A flood of SYNs with invented addresses costs no memory here, and reaches no server.
///
/// Cookies are good for one to two minutes. Connections that begin on the servers' side pass. Segments
/// of connections that the proxy does not know are dropped, in both directions; so are those for
/// which there is no room. Packets that are no TCP, and later fragments, pass as they are: put an
/// IPReassembler in front. Of TCP's options only the maximum segment size is passed on: no window
/// scaling, no selective acknowledgement, no timestamps.
///
/// - MSS: the maximum segment size that clients are told; 1460.
/// - TIMEOUT: for how long a connection may be silent before it is forgotten; one hour.
/// - DONE_TIMEOUT: the same for one that has been closed or reset, or that the server has not accepted;
///   30 seconds.
/// - CAPACITY: connections at once; 65,536.
///
/// Handlers (all read but the last): `size` the connections known; `syns` those answered with a
/// cookie; `accepted` the cookies that came back; `refused` the segments that belonged to nothing;
/// `full` the cookies for which there was no room; `clear` (write) forgets all connections.
///
/// ```click
/// FromDevice(outside) -> Strip(14) -> CheckIPHeader -> CheckTCPHeader -> [0] proxy :: TCPSYNProxy;
/// FromDevice(inside) -> Strip(14) -> CheckIPHeader -> [1] proxy;
/// proxy[0] -> EtherEncap(0x0800, 2:0:0:0:0:1, 2:0:0:0:0:2) -> ToDevice(inside);
/// proxy[1] -> EtherEncap(0x0800, 2:0:0:0:0:3, 2:0:0:0:0:4) -> ToDevice(outside);
/// ```
///
/// Click has no such element.
struct TcpSynProxy {
    size: u16,
    timeout: Duration,
    done_timeout: Duration,
    capacity: usize,
    key: Key,
    connections: HashMap<Connection, State>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    syns: u64,
    accepted: u64,
    refused: u64,
    full: u64,
}

/// What is known of a connection.
struct State {
    stage: Stage,
    last: Instant,
    /// Which sides have closed, a bit each; both after a reset.
    closed: u8,
}

#[derive(Clone, Copy)]
enum Stage {
    /// The server has been sent a SYN.
    Opening(Opening),
    /// Both sides know of each other. The server's numbers are ahead of the client's by `shift`.
    Open { shift: u32 },
}

/// A connection that the client has opened.
#[derive(Clone, Copy)]
struct Opening {
    /// The client's initial sequence number.
    initial: u32,
    cookie: u32,
    /// The client's window and the segments it takes.
    window: u16,
    size: u16,
}

/// How often silent connections are looked for.
const REAP: Duration = Duration::from_secs(10);

impl Configure for TcpSynProxy {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let size = arguments.keyword("MSS").unwrap_or(1460);
        let mut span = |name: &str, seconds| {
            let otherwise = Duration::from_secs(seconds);
            arguments.keyword(name).unwrap_or(otherwise)
        };
        let (timeout, done_timeout) = (span("TIMEOUT", 3600), span("DONE_TIMEOUT", 30));
        let capacity = arguments.keyword("CAPACITY").unwrap_or(65_536);
        arguments.finish()?;
        Ok(Self {
            size,
            timeout,
            done_timeout,
            capacity,
            key: Key::default(),
            connections: HashMap::new(),
            counts: Counts::default(),
        })
    }
}

impl Opening {
    /// The SYN that opens the connection to the server.
    fn syn(&self, connection: &Connection) -> Segment {
        Segment {
            from: connection.client,
            to: connection.server,
            sequence: self.initial,
            acknowledgement: 0,
            flags: SYN,
            window: self.window,
            size: Some(self.size),
        }
    }

    /// What tells the client that the server has answered.
    fn answer(&self, connection: &Connection, flags: u8, window: u16) -> Segment {
        Segment {
            from: connection.server,
            to: connection.client,
            sequence: self.cookie.wrapping_add(1),
            acknowledgement: self.initial.wrapping_add(1),
            flags,
            window,
            size: None,
        }
    }
}

impl TcpSynProxy {
    /// A segment from a client; what is not to go on is gone.
    fn client_sent(
        &mut self,
        context: &mut Context<'_>,
        mut packet: Packet,
        header: &Header,
    ) -> Option<Packet> {
        let connection = &header.connection;
        if header.has(SYN, SYN | ACK | RST | FIN) {
            let answer = self.answer(context, header);
            context.emit(Side::Server as usize, answer.packet(context));
            return None;
        }
        let Some(state) = self.connections.get_mut(connection) else {
            self.open(context, header);
            return None;
        };
        state.note(context.now(), header.flags, Side::Client);
        match state.stage {
            Stage::Open { shift: by } => {
                if by != 0 && header.flags & ACK != 0 {
                    shift(&mut packet, Side::Client, by);
                }
                Some(packet)
            }
            Stage::Opening(_) if header.flags & RST != 0 => {
                self.connections.remove(connection);
                Some(packet)
            }
            // The client has no window yet, and asks again for it.
            Stage::Opening(opening) => {
                context.emit(0, opening.syn(connection).packet(context));
                None
            }
        }
    }

    /// The answer to a client's SYN.
    fn answer(&mut self, context: &Context<'_>, header: &Header) -> Segment {
        self.counts.syns += 1;
        let connection = &header.connection;
        let now = seconds(context);
        let cookie = self.key.make(connection, header.sequence, header.size, now);
        Segment {
            from: connection.server,
            to: connection.client,
            sequence: cookie,
            acknowledgement: header.sequence.wrapping_add(1),
            flags: SYN | ACK,
            window: 0,
            size: Some(self.size),
        }
    }

    /// Opens the connection to the server, if a client has acknowledged a cookie.
    fn open(&mut self, context: &mut Context<'_>, header: &Header) {
        let connection = header.connection;
        let initial = header.sequence.wrapping_sub(1);
        let cookie = header.acknowledgement.wrapping_sub(1);
        let size = match header.has(ACK, SYN | ACK | RST) {
            true => self
                .key
                .check(&connection, initial, cookie, seconds(context)),
            false => None,
        };
        let Some(size) = size else {
            self.counts.refused += 1;
            return;
        };
        if self.connections.len() >= self.capacity {
            self.counts.full += 1;
            return;
        }
        self.counts.accepted += 1;
        let opening = Opening {
            initial,
            cookie,
            window: header.window,
            size,
        };
        self.connections.insert(
            connection,
            State::new(Stage::Opening(opening), context.now()),
        );
        context.emit(0, opening.syn(&connection).packet(context));
    }

    /// A segment from a server; what is not to go on is gone.
    fn server_sent(
        &mut self,
        context: &mut Context<'_>,
        mut packet: Packet,
        header: &Header,
    ) -> Option<Packet> {
        let connection = &header.connection;
        let begins = header.has(SYN, SYN | ACK | RST | FIN);
        let room = self.connections.len() < self.capacity;
        let Some(state) = self.connections.get_mut(connection) else {
            // Its own connections pass as they are.
            if begins && room {
                let open = Stage::Open { shift: 0 };
                self.connections
                    .insert(*connection, State::new(open, context.now()));
                return Some(packet);
            }
            *(if begins {
                &mut self.counts.full
            } else {
                &mut self.counts.refused
            }) += 1;
            return None;
        };
        state.note(context.now(), header.flags, Side::Server);
        match state.stage {
            Stage::Open { shift: by } if by != 0 && header.flags & SYN != 0 => {
                // Our acknowledgement was lost.
                let initial = header.acknowledgement.wrapping_sub(1);
                context.emit(0, accept(header, initial, header.window).packet(context));
                None
            }
            Stage::Open { shift: by } => {
                if by != 0 {
                    shift(&mut packet, Side::Server, by);
                }
                Some(packet)
            }
            Stage::Opening(opening) => {
                if header.flags & ACK != 0
                    && header.acknowledgement != opening.initial.wrapping_add(1)
                {
                    self.counts.refused += 1;
                    return None;
                }
                if header.flags & RST != 0 {
                    self.connections.remove(connection);
                    let reset = opening.answer(connection, RST | ACK, 0);
                    context.emit(1, reset.packet(context));
                } else if header.has(SYN | ACK, SYN | ACK) {
                    state.stage = Stage::Open {
                        shift: header.sequence.wrapping_sub(opening.cookie),
                    };
                    let accepted = accept(header, opening.initial, opening.window);
                    context.emit(0, accepted.packet(context));
                    let window = opening.answer(connection, ACK, header.window);
                    context.emit(1, window.packet(context));
                }
                None
            }
        }
    }
}

/// The client's acknowledgement of what a server accepted with.
fn accept(header: &Header, initial: u32, window: u16) -> Segment {
    Segment {
        from: header.connection.client,
        to: header.connection.server,
        sequence: initial.wrapping_add(1),
        acknowledgement: header.sequence.wrapping_add(1),
        flags: ACK,
        window,
        size: None,
    }
}

/// The time of cookies.
fn seconds(context: &Context<'_>) -> u64 {
    context.now().0 / sprat_click::time::SECOND
}

impl State {
    fn new(stage: Stage, last: Instant) -> Self {
        Self {
            stage,
            last,
            closed: 0,
        }
    }

    fn note(&mut self, now: Instant, flags: u8, side: Side) {
        self.last = now;
        if flags & FIN != 0 {
            self.closed |= 1 << (side as u8);
        }
        if flags & RST != 0 {
            self.closed = 3;
        }
    }

    fn is_done(&self) -> bool {
        self.closed == 3 || matches!(self.stage, Stage::Opening(_))
    }
}

impl Element for TcpSynProxy {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.key = Key(context.environment().random_seed());
        context.set_timer_after(0, REAP);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        let side = if port == 0 {
            Side::Client
        } else {
            Side::Server
        };
        batch.filter(|packet| {
            let Some(header) = Header::of(&packet, side) else {
                return Some(packet);
            };
            match side {
                Side::Client => self.client_sent(context, packet, &header),
                Side::Server => self.server_sent(context, packet, &header),
            }
        });
        context.forward(port, batch);
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        let now = context.now();
        self.connections.retain(|_, state| {
            let limit = match state.is_done() {
                true => self.done_timeout,
                false => self.timeout,
            };
            now.since(state.last) <= limit
        });
        context.set_timer_after(0, REAP);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("size").read("syns").read("accepted");
        list.read("refused").read("full").button("clear");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        let count = match name {
            "size" => self.connections.len() as u64,
            "syns" => self.counts.syns,
            "accepted" => self.counts.accepted,
            "refused" => self.counts.refused,
            "full" => self.counts.full,
            _ => return Err(HandlerError::NoHandler(name.into())),
        };
        Ok(count.to_string())
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<(), HandlerError> {
        match name {
            "clear" => self.connections.clear(),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
