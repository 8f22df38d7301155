use alloc::format;
use alloc::string::{String, ToString};
use core::net::Ipv4Addr;
use core::time::Duration;

use sprat_click::arguments::Bytes;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::{Icmp, IcmpFields, IcmpMut, Ipv4, Ipv4Fields, icmp_type, protocol};
use sprat_packet::{Batch, DEFAULT_HEADROOM, Packet};

pub(super) const ICMP_PING_SOURCE: Class = Class::of::<ICMPPingSource>("ICMPPingSource")
    .ports("0-1/1")
    .processing("h/a");
/// Its name in older configurations.
pub(super) const ICMP_SEND_PINGS: Class = ICMP_PING_SOURCE.named("ICMPSendPings");

/// ICMPPingSource: sends ICMP echo requests from time to time.
///
/// ```click
/// ICMPPingSource(SRC, DST [, keywords INTERVAL, IDENTIFIER, LIMIT, STOP, DATA, ACTIVE, MIRROR, VERBOSE])
/// ```
///
/// Sends from SRC to DST, with identifications and sequence numbers that count up from one. At a pull output every pull gives
/// a request. Replies that are led to its input are reported, and counted with their round-trip times
/// for `summary`, which is also printed at the end. ICMPSendPings is another name for it.
///
/// - INTERVAL: time between requests; 1 second. IDENTIFIER: the identifier field; 0.
/// - LIMIT: requests to send, negative for no bound; -1. STOP: stop the driver when the next one would
///   be due; false.
/// - DATA: bytes to send along; none. ACTIVE: whether to send at all; true.
/// - MIRROR: send a request with the bytes of each reply at once, whatever LIMIT says; false.
/// - VERBOSE: report replies; true.
///
/// Handlers: `active`, `src`, `dst` (read, write); `count` (read) requests sent; `limit`, `interval`
/// (write); `reset_counts` (write); with an input `summary` (read) and `rtt_min`, `rtt_avg`, `rtt_max`
/// (read), such as `250us` or `1.5s`.
///
/// See Click's manual page ICMPPingSource(n).
pub(crate) struct ICMPPingSource {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    interval: Duration,
    identifier: u16,
    limit: Option<u64>,
    stop: bool,
    data: Bytes,
    active: bool,
    mirror: bool,
    verbose: bool,
    count: u64,
    replies: Option<Replies>,
}

/// What came back.
#[derive(Default)]
struct Replies {
    /// The latest requests, by the low bits of their sequence numbers.
    sent: alloc::vec::Vec<Option<Request>>,
    /// Replies, and those among them that were not the first to their request.
    count: u64,
    duplicates: u64,
    /// Times in microseconds.
    shortest: u64,
    longest: u64,
    total: u64,
    /// The sum of the squares of the times.
    squares: u64,
}

/// A request that was sent.
#[derive(Clone, Copy)]
struct Request {
    sequence: u16,
    timestamp: i64,
    answered: bool,
}

/// Requests whose replies are waited for.
const REMEMBERED: usize = 1024;

/// A number where negative means "no bound".
fn bound(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
}

impl Configure for ICMPPingSource {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let source = arguments.required("SRC");
        let destination = arguments.required("DST");
        let interval = arguments
            .keyword("INTERVAL")
            .unwrap_or(Duration::from_secs(1));
        let identifier = arguments.keyword("IDENTIFIER").unwrap_or(0);
        let limit = arguments.keyword("LIMIT").and_then(bound);
        let stop = arguments.keyword("STOP").unwrap_or(false);
        let data = arguments.keyword("DATA").unwrap_or_default();
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        let mirror = arguments.keyword("MIRROR").unwrap_or(false);
        let verbose = arguments.keyword("VERBOSE").unwrap_or(true);
        if interval.is_zero() {
            arguments.error("INTERVAL must be above zero");
        }
        arguments.finish()?;
        let replies = (configuration.inputs() > 0).then(|| Replies {
            sent: alloc::vec![None; REMEMBERED],
            ..Replies::default()
        });
        Ok(Self {
            source: source?,
            destination: destination?,
            interval,
            identifier,
            limit,
            stop,
            data,
            active,
            mirror,
            verbose,
            count: 0,
            replies,
        })
    }
}

impl ICMPPingSource {
    fn is_below_limit(&self) -> bool {
        self.limit.is_none_or(|limit| self.count < limit)
    }

    /// The sequence number of the next request; it wraps round, and is never zero.
    fn sequence(&self) -> u16 {
        u16::try_from(self.count % 0xffff + 1).unwrap_or(1)
    }

    fn request(&mut self, context: &Context<'_>, data: &[u8]) -> Packet {
        let sequence = self.sequence();
        let length = 28 + data.len();
        let network = Ipv4Fields {
            type_of_service: 0,
            total_length: u16::try_from(length).unwrap_or(u16::MAX),
            identification: sequence,
            flags_and_offset: 0,
            time_to_live: 200,
            protocol: protocol::ICMP,
            source: self.source,
            destination: self.destination,
        };
        let message = IcmpFields {
            kind: icmp_type::ECHO,
            code: 0,
            checksum: 0,
            second_word: u32::from(self.identifier) << 16 | u32::from(sequence),
        };
        let mut packet = context
            .pool()
            .packet_uninitialised(DEFAULT_HEADROOM, length);
        let (header, rest) = packet.data_mut().split_at_mut(20);
        header.copy_from_slice(&network.to_bytes());
        rest[..8].copy_from_slice(&message.to_bytes());
        rest[8..].copy_from_slice(data);
        if let Ok(mut icmp) = IcmpMut::new(rest) {
            icmp.fill_checksum();
        }
        let timestamp = context.timestamp().0;
        packet.set_network_header(0, 20);
        packet.set_destination(self.destination);
        packet.set_timestamp(timestamp);
        if let Some(replies) = &mut self.replies {
            replies.sent[usize::from(sequence) % REMEMBERED] = Some(Request {
                sequence,
                timestamp,
                answered: false,
            });
        }
        self.count += 1;
        packet
    }

    /// A request with the bytes that are to be sent along.
    fn next_request(&mut self, context: &Context<'_>) -> Packet {
        let data = core::mem::take(&mut self.data);
        let packet = self.request(context, &data.0);
        self.data = data;
        packet
    }

    /// Notes a reply, and returns the bytes that it brought back; `None` where it is none of ours.
    fn reply<'a>(&mut self, context: &Context<'_>, packet: &'a Packet) -> Option<&'a [u8]> {
        let ip = Ipv4::new(packet.network_header()?).ok()?;
        let icmp = Icmp::new(ip.payload()).ok()?;
        let ours = ip.protocol() == protocol::ICMP
            && icmp.kind() == icmp_type::ECHO_REPLY
            && icmp.identifier() == self.identifier;
        let sequence = icmp.sequence();
        let replies = self.replies.as_mut().filter(|_| ours)?;
        let request = replies.sent.get_mut(usize::from(sequence) % REMEMBERED)?;
        let request = request
            .as_mut()
            .filter(|request| request.sequence == sequence);
        let Some(request) = request else {
            return Some(icmp.payload());
        };
        replies.duplicates += u64::from(request.answered);
        request.answered = true;
        let mut time = 0;
        if packet.timestamp() != 0 {
            let span = packet.timestamp().saturating_sub(request.timestamp);
            time = u64::try_from(span / 1000).unwrap_or(0);
            if replies.count == 0 {
                replies.shortest = time;
            }
            replies.shortest = replies.shortest.min(time);
            replies.longest = replies.longest.max(time);
            replies.total = replies.total.saturating_add(time);
            replies.squares = replies.squares.saturating_add(time.saturating_mul(time));
        }
        replies.count += 1;
        if self.verbose {
            context.chatter(format_args!(
                "{} :: ICMPPingSource: {} bytes from {}: icmp_seq={sequence} ttl={} time={} ms",
                context.name(),
                icmp.payload().len(),
                ip.source(),
                ip.time_to_live(),
                milliseconds(time),
            ));
        }
        Some(icmp.payload())
    }

    fn summary(&self, replies: &Replies) -> String {
        let received = replies.count - replies.duplicates;
        let mut text = format!("{} packets transmitted, {received} received", self.count);
        if replies.duplicates > 0 {
            text.push_str(&format!(", +{} duplicates", replies.duplicates));
        }
        // A duplicate counts twice, as with Click.
        let answers = replies.count + replies.duplicates;
        let lost = self.count.cast_signed() - answers.cast_signed();
        if let Some(percent) = (lost * 100).checked_div(self.count.cast_signed()) {
            text.push_str(&format!(", {percent}% packet loss\n"));
        }
        if replies.count > 0 {
            text.push_str(&format!(
                "rtt min/avg/max/mdev = {}/{}/{}/{}\n",
                milliseconds(replies.shortest),
                milliseconds(replies.average()),
                milliseconds(replies.longest),
                milliseconds(replies.deviation()),
            ));
        }
        text
    }
}

impl Replies {
    fn average(&self) -> u64 {
        self.total / self.count.max(1)
    }

    /// The standard deviation of the times.
    fn deviation(&self) -> u64 {
        let average = self.average();
        let mean_square = self.squares / self.count.max(1);
        mean_square
            .saturating_sub(average.saturating_mul(average))
            .isqrt()
    }
}

/// Milliseconds with three decimals.
fn milliseconds(microseconds: u64) -> String {
    format!("{}.{:03}", microseconds / 1000, microseconds % 1000)
}

/// A span with its unit.
fn span(microseconds: u64) -> String {
    if (1..1000).contains(&microseconds) {
        return format!("{microseconds}us");
    }
    let text = format!(
        "{}.{:06}",
        microseconds / 1_000_000,
        microseconds % 1_000_000
    );
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

impl Element for ICMPPingSource {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        if self.active && self.is_below_limit() && context.output_pushes(0) {
            context.set_timer_after(0, self.interval);
        }
        if self.mirror && !context.output_pushes(0) {
            return Err(context.error("MIRROR invalid on pull element"));
        }
        Ok(())
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        if self.is_below_limit() {
            let packet = self.next_request(context);
            context.emit(0, packet);
            context.set_timer_after(0, self.interval);
        } else if self.stop {
            context.stop_driver();
        }
    }

    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            let data = self.reply(context, &packet);
            if let Some(data) = data.filter(|_| self.mirror) {
                let request = self.request(context, data);
                context.emit(0, request);
            }
        }
    }

    fn pull(&mut self, context: &mut Context<'_>, _: usize, limit: usize, batch: &mut Batch) {
        while batch.len() < limit {
            if self.is_below_limit() {
                let packet = self.next_request(context);
                batch.push(packet);
                continue;
            }
            // What was taken goes its way before the driver stops.
            if batch.is_empty() && core::mem::take(&mut self.stop) {
                context.stop_driver();
            }
            break;
        }
    }

    fn cleanup(&mut self, context: &mut Context<'_>) {
        if let Some(replies) = self.replies.as_ref().filter(|_| self.verbose) {
            for line in self.summary(replies).lines() {
                context.chatter(format_args!("{} :: ICMPPingSource: {line}", context.name()));
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read_write("active")
            .read_write("src")
            .read_write("dst")
            .read("count");
        list.write("limit").write("interval").button("reset_counts");
        if self.replies.is_some() {
            list.read("summary")
                .read("rtt_min")
                .read("rtt_avg")
                .read("rtt_max");
        }
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match (name, &self.replies) {
            ("active", _) => Ok(self.active.to_string()),
            ("src", _) => Ok(self.source.to_string()),
            ("dst", _) => Ok(self.destination.to_string()),
            ("count", _) => Ok(self.count.to_string()),
            ("summary", Some(replies)) => Ok(self.summary(replies)),
            ("rtt_min", Some(replies)) => Ok(span(replies.shortest)),
            ("rtt_avg", Some(replies)) => Ok(span(replies.average())),
            ("rtt_max", Some(replies)) => Ok(span(replies.longest)),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "active" => {
                self.active = crate::value_or(context, value, "type mismatch")?;
                if !self.active {
                    context.cancel_timer(0);
                } else if context.output_pushes(0) && context.timer(0).is_none() {
                    context.set_timer(0, context.now());
                }
            }
            "src" => self.source = crate::value_or(context, value, "syntax error")?,
            "dst" => self.destination = crate::value_or(context, value, "syntax error")?,
            "limit" => {
                let complaint = "'limit' should be integer";
                self.limit = bound(crate::value_or(context, value, complaint)?);
            }
            "interval" => {
                let complaint = "'interval' should be an interval";
                let interval: Duration = crate::value_or(context, value, complaint)?;
                if interval.is_zero() {
                    return Err(HandlerError::failed("INTERVAL must be above zero"));
                }
                self.interval = interval;
            }
            "reset_counts" => {
                self.count = 0;
                if let Some(replies) = &mut self.replies {
                    *replies = Replies {
                        sent: alloc::vec![None; REMEMBERED],
                        ..Replies::default()
                    };
                }
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        let may_send = self.active && self.is_below_limit() && context.output_pushes(0);
        if may_send && context.timer(0).is_none() {
            context.set_timer_after(0, self.interval);
        }
        Ok(())
    }
}
