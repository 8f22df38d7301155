use core::fmt::Write;
use core::net::Ipv4Addr;
use core::time::Duration;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use hashbrown::HashMap;
use sprat_click::arguments::{Annotation, Argument};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::headers::{Ipv4, Ipv4Mut};
use sprat_packet::{Batch, Packet};

pub(super) const IP_REASSEMBLER: Class = Class::of::<IPReassembler>("IPReassembler")
    .ports("1/1-2")
    .processing("a/ah");

/// IPReassembler: puts fragments of IP packets together.
///
/// ```click
/// IPReassembler([keywords HIMEM, MAX_MTU_ANNO])
/// ```
///
/// Whole packets pass. Fragments are held until all are there, in whatever order they come, and then
/// leave as one packet, with what stood before the IP header of the fragment at offset zero and the
/// timestamp of the last that came. Where fragments overlap, the bytes that came last stay. A packet of
/// which nothing has come for 30 seconds, or whose fragments are 30 seconds older than another's by their
/// timestamps, is given up: where output 1 is used, what there is of it leaves there, each byte in its place, if its
/// first fragment has come; connect it to `ICMPError(ADDR, timeexceeded, reassembly)`.
///
/// Packets need their network header annotation set; those without a good header are dropped.
///
/// - HIMEM: the most memory to hold fragments in, in bytes; 262144. Each packet counts 256 beside its own,
///   as they take so much (with Click, 40). When it is exceeded the packets that have waited longest are
///   given up until three quarters of it are in use.
/// - MAX_MTU_ANNO: a two-byte annotation that gets the length of the packet's longest fragment.
///
/// Handlers: `drops` (read) fragments that were malformed; `expired` (read) packets given up; `dump`
/// (read) counts, and what is held.
///
/// See Click's manual page IPReassembler(n) and RFC 791, section 3.2.
pub(crate) struct IPReassembler {
    held: HashMap<Name, Datagram>,
    /// All that are held, by age.
    order: BTreeMap<Age, Name>,
    arrivals: u64,
    memory: usize,
    high_memory: usize,
    longest_annotation: Option<usize>,
    drops: u64,
    expired: u64,
    /// Fragments that came, packets put together, and packets given up for want of memory.
    seen: u64,
    assembled: u64,
    failed: u64,
    /// The second of the timestamps from which on old packets are looked for again.
    next_reaping: i64,
}

/// How long a packet waits for its next fragment (RFC 1122 asks for 60 to 120, Click waits 30).
const PATIENCE: Duration = Duration::from_secs(30);

/// Nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// Seconds of the timestamps between two looks for packets that are too old.
const REAPING_INTERVAL: i64 = 10;

/// What a held packet costs beside its bytes.
const OVERHEAD: usize = 256;

/// What the fragments of one packet have in common (RFC 791).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Name {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    identification: u16,
    protocol: u8,
}

/// When a packet's last fragment came, and a number that sets apart those that came at once.
type Age = (Instant, u64);

struct Datagram {
    /// The fragment at offset zero.
    first: Option<Packet>,
    payload: Vec<u8>,
    /// Stretches of the payload that are there: start and end, in order, never touching.
    there: Vec<(usize, usize)>,
    /// Known when the last fragment has come.
    length: Option<usize>,
    longest: u16,
    age: Age,
    /// When the fragment at offset zero came, or else the first one, by its timestamp.
    stamp: i64,
}

/// A fragment that contradicts its packet, or itself.
struct Malformed;

impl Datagram {
    fn new() -> Self {
        Self {
            first: None,
            payload: Vec::new(),
            there: Vec::new(),
            length: None,
            longest: 0,
            age: (Instant(0), 0),
            stamp: 0,
        }
    }

    fn memory(&self) -> usize {
        OVERHEAD + self.payload.capacity() + self.first.as_ref().map_or(0, Packet::len)
    }

    fn add(&mut self, packet: Packet) -> Result<(), Malformed> {
        let Some(Ok(ip)) = packet.network_header().map(Ipv4::new) else {
            return Err(Malformed);
        };
        let payload = ip.payload();
        let (start, end) = (ip.fragment_offset(), ip.fragment_offset() + payload.len());
        let whole = usize::from(ip.total_length()) == ip.header_length() + payload.len();
        let contradicts = match (ip.more_fragments(), self.length) {
            (true, length) => payload.len() % 8 != 0 || length.is_some_and(|length| end > length),
            (false, Some(length)) => end != length,
            (false, None) => self.payload.len() > end,
        };
        // With its header a packet has at most 65,535 bytes.
        if !whole || payload.is_empty() || contradicts || end > 65_535 - 20 {
            return Err(Malformed);
        }
        if !ip.more_fragments() {
            self.length = Some(end);
        }
        self.longest = self.longest.max(ip.total_length());
        if self.payload.len() < end {
            self.payload.resize(end, 0);
        }
        self.fill(start, payload);
        if start == 0 || self.there.len() == 1 && self.first.is_none() {
            self.stamp = packet.timestamp();
        }
        if start == 0 {
            self.first = Some(packet);
        }
        Ok(())
    }

    /// Copies bytes to `start`, over what is there.
    fn fill(&mut self, start: usize, bytes: &[u8]) {
        let end = start + bytes.len();
        if let Some(place) = self.payload.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
        let (mut from, mut to) = (start, end);
        self.there.retain(|stretch| {
            let apart = stretch.1 < from || stretch.0 > to;
            if !apart {
                from = from.min(stretch.0);
                to = to.max(stretch.1);
            }
            apart
        });
        let place = self.there.partition_point(|stretch| stretch.0 < from);
        self.there.insert(place, (from, to));
    }

    fn is_complete(&self) -> bool {
        self.length
            .is_some_and(|length| *self.there == [(0, length)])
            && self.first.is_some()
    }

    /// One packet with all there is; `None` without its first fragment.
    fn assemble(self) -> Option<Packet> {
        let mut packet = self.first?;
        let header = packet
            .network_header()
            .and_then(|bytes| Ipv4::new(bytes).ok())?
            .header_length();
        let start = usize::try_from(packet.transport_offset()?).ok()?;
        packet.truncate(start);
        packet
            .append(self.payload.len())
            .copy_from_slice(&self.payload);
        if let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) {
            ip.set_total_length(u16::try_from(header + self.payload.len()).ok()?);
            ip.set_flags_and_offset(0);
            ip.fill_checksum();
        }
        Some(packet)
    }
}

impl Configure for IPReassembler {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let high_memory = arguments.keyword("HIMEM").unwrap_or(256 * 1024);
        let longest_annotation = arguments.keyword_with("MAX_MTU_ANNO", |text, names| {
            Annotation::parse(text, names)?.sized(2)
        });
        arguments.finish()?;
        Ok(Self {
            held: HashMap::new(),
            order: BTreeMap::new(),
            arrivals: 0,
            memory: 0,
            high_memory,
            longest_annotation,
            drops: 0,
            expired: 0,
            seen: 0,
            assembled: 0,
            failed: 0,
            next_reaping: 0,
        })
    }
}

impl IPReassembler {
    /// Takes a packet out of all lists.
    fn take(&mut self, name: &Name) -> Option<Datagram> {
        let datagram = self.held.remove(name)?;
        self.order.remove(&datagram.age);
        self.memory = self.memory.saturating_sub(datagram.memory());
        Some(datagram)
    }

    /// Adds a fragment, and returns the packet that it completes.
    fn hold(
        &mut self,
        context: &mut Context<'_>,
        name: Name,
        mut packet: Packet,
    ) -> Option<Packet> {
        self.seen += 1;
        if packet.timestamp() == 0 {
            packet.set_timestamp(context.timestamp().0);
        }
        let timestamp = packet.timestamp();
        self.reap(context, timestamp);
        let mut datagram = self.take(&name).unwrap_or_else(Datagram::new);
        if datagram.add(packet).is_err() {
            self.drops += 1;
        }
        if datagram.is_complete() {
            let longest = datagram.longest;
            let mut packet = datagram.assemble()?;
            self.assembled += 1;
            packet.set_timestamp(timestamp);
            if let Some(annotation) = self.longest_annotation {
                packet.set_annotation_half(annotation, longest);
            }
            return Some(packet);
        }
        if datagram.there.is_empty() {
            return None;
        }
        self.arrivals += 1;
        datagram.age = (context.now(), self.arrivals);
        self.order.insert(datagram.age, name);
        self.memory += datagram.memory();
        self.held.insert(name, datagram);
        if self.memory > self.high_memory {
            while self.memory > self.high_memory / 4 * 3 && self.give_up_oldest(context) {
                self.failed += 1;
            }
        }
        if context.timer(0).is_none() {
            context.set_timer_after(0, PATIENCE);
        }
        None
    }

    /// Gives up packets that are too old at the time of a timestamp; looks for them seldom.
    fn reap(&mut self, context: &mut Context<'_>, timestamp: i64) {
        let now = timestamp.div_euclid(SECOND);
        if now < self.next_reaping {
            return;
        }
        self.next_reaping = now.saturating_add(REAPING_INTERVAL);
        let oldest = now.saturating_sub_unsigned(PATIENCE.as_secs());
        let too_old = |name: &&Name| {
            let datagram = self.held.get(*name);
            datagram.is_some_and(|datagram| datagram.stamp.div_euclid(SECOND) < oldest)
        };
        let names: Vec<Name> = self.order.values().filter(too_old).copied().collect();
        for name in names {
            self.give_up(context, &name);
        }
    }

    /// Gives up the packet that has waited longest; false if there is none.
    fn give_up_oldest(&mut self, context: &mut Context<'_>) -> bool {
        let Some(name) = self.order.first_key_value().map(|(_, name)| *name) else {
            return false;
        };
        self.give_up(context, &name);
        true
    }

    fn give_up(&mut self, context: &mut Context<'_>, name: &Name) {
        self.expired += 1;
        if let Some(packet) = self.take(name).and_then(Datagram::assemble) {
            context.emit(1, packet);
        }
    }

    /// The `dump` handler: counts, and a line for each packet that is held, with the stretches of its
    /// payload that are there.
    fn dump(&self) -> String {
        let mut text = format!(
            "frags seen total:    {}\ngood reassemblies:   {}\nfailed reassemblies: {}\n\
             bad fragments seen:  {}\ncached chunk data:\n",
            self.seen, self.assembled, self.failed, self.drops
        );
        for name in self.order.values() {
            let Some(datagram) = self.held.get(name) else {
                continue;
            };
            let port = |at: usize| match datagram.payload.get(at..at + 2) {
                Some(&[high, low]) => u16::from_be_bytes([high, low]),
                _ => 0,
            };
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                " ({}, {}, {}, {}) {}",
                name.source,
                port(0),
                name.destination,
                port(2),
                name.identification
            );
            for (start, end) in &datagram.there {
                let _ = write!(text, " ({start},{end})");
            }
            text.push('\n');
        }
        text
    }

    /// When the last fragment came of the packet that has waited longest.
    fn oldest(&self) -> Option<Instant> {
        self.order.first_key_value().map(|((last, _), _)| *last)
    }
}

impl Element for IPReassembler {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| {
            let Some(Ok(ip)) = packet.network_header().map(Ipv4::new) else {
                self.drops += 1;
                return None;
            };
            if !ip.is_fragment() {
                return Some(packet);
            }
            let name = Name {
                source: ip.source(),
                destination: ip.destination(),
                identification: ip.identification(),
                protocol: ip.protocol(),
            };
            self.hold(context, name, packet)
        });
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        let now = context.now();
        while self
            .oldest()
            .is_some_and(|last| now.since(last) >= PATIENCE)
        {
            self.give_up_oldest(context);
        }
        if let Some(last) = self.oldest() {
            context.set_timer(0, last + PATIENCE);
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops").read("expired").read("dump");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.drops.to_string()),
            "expired" => Ok(self.expired.to_string()),
            "dump" => Ok(self.dump()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}
