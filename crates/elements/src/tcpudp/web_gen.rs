use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use core::net::Ipv4Addr;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::arguments::AddressOrPrefix;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, Instant, Rejected,
};
use sprat_packet::headers::{Ipv4, Ipv4Fields, Tcp, TcpFields, protocol, tcp_flags};
use sprat_packet::{Batch, Packet};

use super::segment::{before, segment};

pub(super) const WEB_GEN: Class = Class::of::<WebGen>("WebGen").processing("h/h");

/// WebGen: asks a server for pages, over many connections from many addresses.
///
/// ```click
/// WebGen(PREFIX, DST, RATE)
/// ```
///
/// Takes and gives IP packets. RATE times a second it opens a TCP connection to port 80 of DST from a
/// random address of PREFIX and a random port, asks for one of 270 pages with `GET /spec/0/0-0-0 HTTP/1.0`
/// or other numbers, takes what comes and closes. What is not answered is sent again after a second, six
/// times at most; ten seconds' worth of connections are open at once, and no more than 1048576. Segments
/// of connections that it does not know are answered with resets. Bytes that come in another order than
/// they were sent in count as if those before them had come.
///
/// It says how many connections it has room for, and every five seconds and at the end how many it began
/// (`init`), how many were closed by both sides (`comp`), were given up (`tmo`) and reset (`rst`) since the
/// last time.
///
/// ```click
/// tap :: KernelTap(11.11.0.1/16);
/// tap -> Strip(14) -> WebGen(11.11.0.0/16, 10.0.0.1, 100) -> EtherEncap(0x0800, 1:1:1:1:1:1, 2:2:2:2:2:2) -> tap;
/// ```
///
/// See Click's class WebGen, of its folder `local`.
pub(crate) struct WebGen {
    prefix: AddressOrPrefix,
    server: Ipv4Addr,
    /// Between the beginnings of connections.
    interval: Duration,
    /// Connections that may be open at once.
    room: usize,
    connections: HashMap<Key, Connection>,
    /// Which connections there are, in the order in which they last sent.
    order: BTreeMap<u64, Key>,
    /// How often any has sent.
    sends: u64,
    /// When the last connection was begun, or should have been.
    begun: Instant,
    /// When figures were last given.
    reported: Instant,
    identification: u16,
    figures: Figures,
}

/// Its own end of a connection; the other end is always the same.
type Key = (Ipv4Addr, u16);

#[derive(Default)]
struct Figures {
    begun: u32,
    closed: u32,
    given_up: u32,
    reset: u32,
}

struct Connection {
    request: String,
    first: u32,
    /// What the server has taken.
    acknowledged: u32,
    next: u32,
    /// What is awaited, once connected.
    awaited: Option<u32>,
    finished: bool,
    server_finished: bool,
    /// Whether there is something to be said.
    must_send: bool,
    repeats: u8,
    last_send: Instant,
    /// Its place in the order.
    place: u64,
}

const WEB_PORT: u16 = 80;
const WINDOW: u16 = 60 * 1024;
const REPEAT_AFTER: Duration = Duration::from_secs(1);
const MOST_REPEATS: u8 = 6;
const REPORT_EVERY: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(1);
/// How many seconds of connections may be open.
const SECONDS_OPEN: u32 = 10;
const MOST_OPEN: u32 = 1 << 20;
/// Ports tried for a connection before it is given up.
const PORT_TRIES: u8 = 8;

impl Configure for WebGen {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let prefix = arguments.required("PREFIX");
        let server = arguments.required("DST");
        let rate = arguments.required::<u32>("RATE");
        if rate.is_ok_and(|rate| !(1..=1_000_000).contains(&rate)) {
            arguments.error("RATE: must be between 1 and 1000000");
        }
        arguments.finish()?;
        let interval = 1_000_000 / rate?.max(1);
        let room = (1_000_000 / interval)
            .saturating_mul(SECONDS_OPEN)
            .min(MOST_OPEN);
        Ok(Self {
            prefix: prefix?,
            server: server?,
            interval: Duration::from_micros(interval.into()),
            room: room as usize,
            connections: HashMap::new(),
            order: BTreeMap::new(),
            sends: 0,
            begun: Instant(0),
            reported: Instant(0),
            identification: 0,
            figures: Figures::default(),
        })
    }
}

impl Connection {
    fn new(context: &Context<'_>) -> Self {
        let folder = context.random_below(10);
        let file = context.random_below(9);
        let class = context.random_below(3);
        let first = context.random() & 0x0fff_ffff;
        Self {
            request: format!("GET /spec/{folder}/{folder}-{class}-{file} HTTP/1.0\r\n\r\n"),
            first,
            acknowledged: first,
            next: first,
            awaited: None,
            finished: false,
            server_finished: false,
            must_send: false,
            repeats: 0,
            last_send: context.now(),
            place: 0,
        }
    }

    /// Takes what a segment says.
    fn take(&mut self, tcp: &Tcp<'_>) {
        let (sequence, acknowledgement) = (tcp.sequence(), tcp.acknowledgement());
        // Segments are shorter than 65,536 bytes.
        let payload = u32::try_from(tcp.payload().len()).unwrap_or(0);
        let end = sequence.wrapping_add(payload);
        let acknowledges = tcp.has_any(tcp_flags::ACK);
        match &mut self.awaited {
            awaited @ None => {
                if acknowledges && acknowledgement == self.first.wrapping_add(1) {
                    self.next = acknowledgement;
                    self.acknowledged = acknowledgement;
                    *awaited = Some(sequence.wrapping_add(1));
                    self.must_send = true;
                }
            }
            Some(awaited) => {
                if payload > 0 {
                    self.must_send = true;
                    if before(*awaited, end) {
                        *awaited = end;
                    }
                }
                if acknowledges && before(self.acknowledged, acknowledgement) {
                    self.acknowledged = acknowledgement;
                }
                if tcp.has_any(tcp_flags::FIN) && end == *awaited && !self.server_finished {
                    self.server_finished = true;
                    *awaited = awaited.wrapping_add(1);
                    self.must_send = true;
                }
            }
        }
    }

    /// The flags, numbers and payload to send now, where there is something to say.
    fn give(&mut self) -> Option<(u8, u32, u32, &str)> {
        let Some(awaited) = self.awaited else {
            return Some((tcp_flags::SYN, self.next, 0, ""));
        };
        // The request is far shorter.
        let length = u32::try_from(self.request.len()).unwrap_or(0);
        let start = self.first.wrapping_add(1);
        let ask = self.acknowledged.wrapping_sub(start) < length;
        if !ask && !self.must_send {
            return None;
        }
        self.must_send = false;
        let mut flags = tcp_flags::ACK;
        let sequence = if ask {
            flags |= tcp_flags::PSH | tcp_flags::FIN;
            self.next = start.wrapping_add(length);
            start
        } else {
            self.next.wrapping_add(self.finished.into())
        };
        if self.server_finished {
            flags |= tcp_flags::FIN;
        }
        self.finished |= flags & tcp_flags::FIN != 0;
        Some((
            flags,
            sequence,
            awaited,
            if ask { &self.request } else { "" },
        ))
    }

    /// Whether both sides have said that they are done.
    fn is_over(&self) -> bool {
        self.finished && self.server_finished
    }
}

impl WebGen {
    /// A segment, between a connection's two ends.
    fn emit(
        &mut self,
        context: &mut Context<'_>,
        ends: (Key, Key),
        (flags, sequence, acknowledgement, payload): (u8, u32, u32, &str),
    ) {
        let ((source, source_port), (destination, destination_port)) = ends;
        let network = Ipv4Fields {
            type_of_service: 0,
            total_length: 0,
            identification: self.identification,
            flags_and_offset: 0,
            time_to_live: 250,
            protocol: protocol::TCP,
            source,
            destination,
        };
        let header = TcpFields {
            source_port,
            destination_port,
            sequence,
            acknowledgement,
            flags,
            window: WINDOW,
            checksum: 0,
            urgent: 0,
        };
        self.identification = self.identification.wrapping_add(1);
        let mut packet = segment(context, network, header, payload.as_bytes());
        packet.set_destination(destination);
        context.emit(0, packet);
    }

    /// Sends what a connection has to say, and ends it where that was the last.
    fn send(&mut self, context: &mut Context<'_>, key: Key, mut connection: Connection) {
        self.order.remove(&connection.place);
        if let Some(said) = connection.give() {
            // Taken apart, as the text is the connection's.
            let (flags, sequence, acknowledgement, payload) = said;
            let payload = String::from(payload);
            let said = (flags, sequence, acknowledgement, payload.as_str());
            self.emit(context, (key, (self.server, WEB_PORT)), said);
            if connection.is_over() {
                self.figures.closed += 1;
                return;
            }
        }
        self.sends += 1;
        connection.place = self.sends;
        connection.last_send = context.now();
        self.order.insert(connection.place, key);
        self.connections.insert(key, connection);
    }

    fn begin(&mut self, context: &mut Context<'_>) {
        let host = context.random() & !self.prefix.0.mask.to_bits();
        let address = Ipv4Addr::from_bits(self.prefix.0.network().to_bits() | host);
        let free = (0..PORT_TRIES)
            .map(|_| 1024 + u16::try_from(context.random_below(60_000)).unwrap_or(0))
            .find(|port| !self.connections.contains_key(&(address, *port)));
        match free {
            Some(port) if self.connections.len() < self.room => {
                let connection = Connection::new(context);
                self.send(context, (address, port), connection);
                self.figures.begun += 1;
            }
            _ => context.chatter(format_args!("out of available CBs")),
        }
    }

    /// Sends again what has waited long enough.
    fn repeat(&mut self, context: &mut Context<'_>) {
        let now = context.now();
        let last = self.sends;
        while let Some((&place, &key)) = self.order.first_key_value() {
            let waited = |it: &Connection| now.since(it.last_send) > REPEAT_AFTER;
            if place > last || !self.connections.get(&key).is_some_and(waited) {
                return;
            }
            let Some(mut connection) = self.connections.remove(&key) else {
                return;
            };
            if connection.repeats < MOST_REPEATS {
                connection.repeats += 1;
                self.send(context, key, connection);
            } else {
                self.order.remove(&place);
                self.figures.given_up += 1;
            }
        }
    }

    fn report(&mut self, context: &Context<'_>) {
        let Figures {
            begun,
            closed,
            given_up,
            reset,
        } = core::mem::take(&mut self.figures);
        context.chatter(format_args!(
            "init: {begun}  comp: {closed:5}  tmo: {given_up:5}  rst: {reset:5}"
        ));
        self.reported = context.now();
    }

    fn take(&mut self, context: &mut Context<'_>, packet: &Packet) -> Option<()> {
        let ip = Ipv4::new(packet.data()).ok()?;
        if usize::from(ip.total_length()) > packet.len() {
            return None;
        }
        let tcp = Tcp::new(ip.payload()).ok()?;
        let key = (ip.destination(), tcp.destination_port());
        let reset = tcp.has_any(tcp_flags::RST);
        let theirs = (ip.source(), tcp.source_port());
        let known = tcp.source_port() == WEB_PORT;
        let connection = known.then(|| self.connections.remove(&key)).flatten();
        match connection {
            // Resets are not answered, or two of these would go on for ever (RFC 9293, section 3.10.7.1).
            None if reset => {}
            None => {
                let said = (tcp_flags::RST, tcp.acknowledgement(), tcp.sequence(), "");
                self.emit(context, (key, theirs), said);
            }
            Some(connection) if reset => {
                self.order.remove(&connection.place);
                self.figures.reset += 1;
            }
            Some(mut connection) => {
                connection.take(&tcp);
                self.send(context, key, connection);
            }
        }
        Some(())
    }
}

impl Element for WebGen {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        let room = self.room;
        context.chatter(format_args!("Allocated {room} CBs"));
        self.begun = context.now();
        self.reported = self.begun;
        context.set_timer(0, self.begun);
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        let now = context.now();
        while now.since(self.begun) > self.interval {
            self.begun += self.interval;
            self.begin(context);
        }
        self.repeat(context);
        if now.since(self.reported) > REPORT_EVERY {
            self.report(context);
        }
        context.set_timer_after(0, TICK);
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            self.take(context, &packet);
        }
    }

    fn cleanup(&mut self, context: &mut Context<'_>) {
        self.report(context);
    }
}
