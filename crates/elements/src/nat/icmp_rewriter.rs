use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, NoNames, Raw, split_words};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, ElementId, Rejected,
};
use sprat_packet::checksum::{AddressesAndPorts, Delta, internet_checksum};
use sprat_packet::flow::FlowKey;
use sprat_packet::headers::icmp_type::ECHO;
use sprat_packet::headers::protocol::{DCCP, ICMP, TCP, UDP};
use sprat_packet::{Batch, Packet};

use super::flow_table::Direction;
use super::rewriter::{Kind, Rewriter, reply_annotation};
use super::tcp;

/// ICMPRewriter: takes ICMP errors back through rewriters.
///
/// ```click
/// ICMPRewriter(MAPS [, DST_ANNO BOOL, REPLY_ANNO ANNO])
/// ```
///
/// An ICMP error quotes the packet it is about. Where that was rewritten, the error speaks of
/// addresses and ports that its receiver has never heard of. ICMPRewriter asks MAPS, a list of
/// rewriters separated by spaces, for the flow that the quoted packet belongs to, and changes the
/// error and what it quotes, with all checksums, to what the packet was before it was rewritten. So
/// destination unreachable, time exceeded, parameter problem, source quench and redirect pass a NAT
/// in both directions (RFC 5508). Quoted may be TCP, UDP, DCCP and ICMP echo requests, and whatever
/// IPAddrRewriter and its like have rewritten.
///
/// Rewritten errors leave by output 0. With `ELEMENT:OFFSET` in MAPS they leave by the output
/// that the flow's own packets take, plus OFFSET. Errors of no known flow and other ICMP leave by
/// output 1; they are dropped where there is none, or where output 1 is taken by an OFFSET. What is
/// not ICMP is dropped.
///
/// DST_ANNO (true): set the destination annotation. REPLY_ANNO: an error about a packet that went
/// forward gets this annotation byte as the flow's first packet had it; the rewriters need REPLY_ANNO
/// as well.
///
/// See Click's manual page ICMPRewriter(n).
pub(super) const ICMP_REWRITER: Class = Class::of::<IcmpRewriter>("ICMPRewriter")
    .ports("1/1-256")
    .processing("h/h");

struct IcmpRewriter {
    maps: Vec<Map>,
    sets_destination: bool,
    reply_annotation: Option<usize>,
}

/// A rewriter to ask.
struct Map {
    rewriter: ElementId,
    /// Added to its flows' outputs; without it all leave by output 0.
    offset: Option<usize>,
}

impl Configure for IcmpRewriter {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let names = arguments.required::<Raw>("MAPS");
        let sets_destination = arguments.keyword("DST_ANNO").unwrap_or(true);
        let reply_annotation = reply_annotation(arguments);
        arguments.finish()?;
        let mut maps = Vec::new();
        for text in split_words(&names?.0) {
            match Map::parse(&text, configuration) {
                Ok(map) => maps.push(map),
                Err(what) => {
                    arguments.error(format!("{text} {what}"));
                }
            }
        }
        if maps.is_empty() {
            arguments.error("no IP rewriters supplied");
        }
        arguments.check()?;
        Ok(Self {
            maps,
            sets_destination,
            reply_annotation,
        })
    }
}

impl Map {
    fn parse(text: &str, configuration: &Configuration<'_>) -> Result<Self, String> {
        let none = || String::from("not an IP rewriter");
        let (name, offset) = match text.split_once(':') {
            Some((name, offset)) => (name, i32::parse(offset, &NoNames).map_err(|_| none())?),
            None => (text, -1),
        };
        let rewriter = configuration.find(name).ok_or_else(none)?;
        // Below zero it is none.
        let offset = usize::try_from(offset).ok();
        let (known, own) = (configuration.outputs_of(rewriter), configuration.outputs());
        if offset.is_some_and(|offset| offset + known > own) {
            let s = if own == 1 { "" } else { "s" };
            return Err(format!("port offset requires more than {own} output{s}"));
        }
        Kind::of(configuration.class_of(rewriter).name).ok_or_else(none)?;
        Ok(Self { rewriter, offset })
    }
}

/// ICMP types that quote a packet.
const ERRORS: [u8; 5] = [3, 4, 5, 11, 12];

/// Bytes of an ICMP header, and of an IPv4 header without options.
const HEADER: usize = 8;
const IPV4: usize = 20;

/// What an error quotes.
struct Quoted {
    /// What replies to the quoted packet carry.
    reply: FlowKey,
    /// Where its transport header stands, from the ICMP header on; `None` where it is not
    /// looked at.
    transport: Option<usize>,
}

/// Reads what an ICMP message quotes. `None` where it is no error, or quotes no whole IPv4 header.
fn quoted(message: &[u8]) -> Option<Quoted> {
    if !ERRORS.contains(message.first()?) {
        return None;
    }
    let header = message.get(HEADER..)?;
    let fixed: &[u8; IPV4] = header.first_chunk()?;
    let length = usize::from(fixed[0] & 15) * 4;
    if fixed[0] >> 4 != 4 || length < IPV4 {
        return None;
    }
    let word =
        |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let mut tuple = AddressesAndPorts {
        source: word(16),
        destination: word(12),
        source_port: 0,
        destination_port: 0,
    };
    let first_fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff == 0;
    let protocol = fixed[9];
    let transport = header.get(length..).filter(|_| first_fragment);
    let mut at = None;
    match (protocol, transport.unwrap_or_default()) {
        (TCP | UDP | DCCP, [a, b, c, d, _, _, _, _, ..]) => {
            tuple.source_port = u16::from_be_bytes([*c, *d]);
            tuple.destination_port = u16::from_be_bytes([*a, *b]);
            at = Some(HEADER + length);
        }
        (ICMP, [ECHO, _, _, _, a, b, ..]) => {
            tuple.destination_port = u16::from_be_bytes([*a, *b]);
            at = Some(HEADER + length);
        }
        _ => {}
    }
    Some(Quoted {
        reply: FlowKey::new(tuple, protocol),
        transport: at,
    })
}

/// A field of halves that is changed, and what became of it in all.
struct Change<'a> {
    bytes: &'a mut [u8],
    /// The change of a sum over all bytes.
    total: Delta,
}

impl Change<'_> {
    fn half(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    /// Writes a half; returns `delta` with the change.
    fn set(&mut self, at: usize, new: u16, delta: Delta) -> Delta {
        let old = self.half(at);
        self.bytes[at..at + 2].copy_from_slice(&new.to_be_bytes());
        self.total = self.total.replace_u16(old, new);
        delta.replace_u16(old, new)
    }

    fn set_address(&mut self, at: usize, new: Ipv4Addr, delta: Delta) -> Delta {
        let [a, b, c, d] = new.octets();
        let delta = self.set(at, u16::from_be_bytes([a, b]), delta);
        self.set(at + 2, u16::from_be_bytes([c, d]), delta)
    }
}

/// Makes what an ICMP message quotes the packet that `new` answers, and follows in all checksums.
fn rewrite_quoted(message: &mut [u8], quoted: &Quoted, new: &FlowKey) {
    let protocol = quoted.reply.protocol();
    let mut change = Change {
        bytes: message,
        total: Delta::new(),
    };
    let network = change.set_address(HEADER + 12, new.destination(), Delta::new());
    let network = change.set_address(HEADER + 16, new.source(), network);
    let sum = network.apply(change.half(HEADER + 10));
    change.set(HEADER + 10, sum, Delta::new());
    if let Some(at) = quoted.transport {
        let length = change.bytes.len() - at;
        if protocol == ICMP {
            let delta = change.set(at + 4, new.destination_port(), Delta::new());
            let mut sum = delta.apply(change.half(at + 2));
            if sum == 0 {
                change.set(at + 2, 0, Delta::new());
                sum = internet_checksum(&change.bytes[at..]);
            }
            change.set(at + 2, sum, Delta::new());
        } else {
            let delta = change.set(at, new.destination_port(), network);
            let delta = change.set(at + 2, new.source_port(), delta);
            if protocol == TCP && length >= tcp::SHORTEST {
                let sum = delta.apply(change.half(at + 16));
                change.set(at + 16, sum, Delta::new());
            } else if protocol == UDP {
                let sum = delta.apply_udp(change.half(at + 6));
                change.set(at + 6, sum, Delta::new());
            }
        }
    }
    let sum = change.total.apply(change.half(2));
    change.set(2, sum, Delta::new());
}

/// What the rewriters know of a flow.
struct Known {
    /// What replies become.
    new: FlowKey,
    direction: Direction,
    reply_annotation: u8,
    output: usize,
}

impl IcmpRewriter {
    fn find(&self, context: &Context<'_>, reply: &FlowKey) -> Option<Known> {
        self.maps.iter().find_map(|map| {
            let found = context.with(map.rewriter, |rewriter: &mut Rewriter, _| {
                let entry = rewriter.find(reply)?;
                let table = rewriter.table().borrow();
                let (flow, direction) = (table.flow(entry.id()), entry.direction());
                Some(Known {
                    new: rewriter.given(flow, direction, reply),
                    direction,
                    reply_annotation: flow.reply_annotation,
                    output: map
                        .offset
                        .map_or(0, |offset| offset + flow.output(direction)),
                })
            });
            found.flatten()
        })
    }

    /// Rewrites a packet; says by which output it leaves.
    fn rewrite(&self, context: &Context<'_>, packet: &mut Packet) -> Option<usize> {
        let header = packet.network_header_mut()?;
        if header.get(9) != Some(&ICMP) {
            return None;
        }
        let length = usize::from(header[0] & 15) * 4;
        let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0;
        let message = header
            .get_mut(length..)
            .filter(|_| !fragment && length >= IPV4);
        let quoted = quoted(message.as_deref().unwrap_or_default());
        let known = quoted
            .as_ref()
            .and_then(|quoted| self.find(context, &quoted.reply));
        let (Some(message), Some(quoted), Some(known)) = (message, quoted, known) else {
            let offsets = self.maps.iter().any(|map| map.offset.is_some());
            return Some(1).filter(|_| !offsets && context.outputs() > 1);
        };
        rewrite_quoted(message, &quoted, &known.new);
        // The error itself is a reply to the quoted packet, if not always from where that went.
        let (old, new) = (&quoted.reply, &known.new);
        let mut change = Change {
            bytes: header,
            total: Delta::new(),
        };
        let address = |change: &Change<'_>, at: usize| {
            u32::from(change.half(at)) << 16 | u32::from(change.half(at + 2))
        };
        let for_sender = address(&change, 16) == old.destination().to_bits();
        let by_receiver = address(&change, 12) == old.source().to_bits();
        let mut delta = Delta::new();
        if for_sender {
            delta = change.set_address(16, new.destination(), delta);
        }
        if by_receiver {
            delta = change.set_address(12, new.source(), delta);
        }
        let sum = delta.apply(change.half(10));
        change.set(10, sum, Delta::new());
        if for_sender && self.sets_destination {
            packet.set_destination(new.destination());
        }
        if known.direction == Direction::Reply
            && let Some(offset) = self.reply_annotation
        {
            packet.set_annotation_byte(offset, known.reply_annotation);
        }
        Some(known.output)
    }
}

impl Element for IcmpRewriter {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for mut packet in batch.drain() {
            if let Some(output) = self.rewrite(context, &mut packet) {
                context.emit(output, packet);
            }
        }
    }
}

#[cfg(test)]
#[path = "icmp_rewriter_tests.rs"]
mod tests;
