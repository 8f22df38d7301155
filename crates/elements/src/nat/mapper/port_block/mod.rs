mod hosts;
mod mappings;
mod pool;
mod port_set;
mod slab;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::Write;
use core::net::Ipv4Addr;
use core::time::Duration;

use sprat_click::arguments::{Argument, ArgumentError, Ipv4Prefix, Names, split_words};
use sprat_click::{Arguments, Class, Configuration, HandlerError, HandlerList, Instant, Rejected};
use sprat_packet::flow::FlowKey;

use super::{Mapped, Mapper, Request, class};
use crate::nat::flow_table::Outputs;
use crate::nat::pattern::{address_range, port_range};
use hosts::Hosts;
use mappings::{Endpoint, Mapping};
use pool::{Extent, Pool};

/// PortBlockIPMapper: has rewriters be a carrier-grade NAT.
///
/// ```click
/// PortBlockIPMapper(INSIDE, OUTSIDE, FOUTPUT, ROUTPUT [, keywords])
/// ```
///
/// Used by naming the element as an input specification of IPRewriter or its relatives, also of
/// several, such as an IPRewriter and an ICMPPingRewriter. INSIDE are the prefixes of the hosts,
/// separated by spaces; OUTSIDE is the public address, a range `A-B` of them, or a prefix `A/LEN`,
/// which nothing else may use. Packets from hosts leave by FOUTPUT, packets to them by ROUTPUT.
///
/// - An address and port of a host is the same public address and port to everybody
///   (endpoint-independent mapping, RFC 4787), as long as it has a flow.
/// - A host gets a block of ports of one public address, and more blocks of the same address when
///   it needs them; so address, port and time name a host without a log of every flow (RFC 6888).
///   In its blocks ports are taken at random (RFC 6056), for TCP, UDP and pings apart.
/// - A block without flows is given back and rests before another host gets it.
/// - Packets from outside to a public address and port that stands for somebody reach them
///   (endpoint-independent filtering), if the input that they come in by is specified by this
///   element too. Where it says `drop` only answers are let in.
/// - A host reaches another by its public address and port, and is seen with its own
///   (hairpinning).
/// - A new flow that gets no port, for its host has all it may have or no address has a block left,
///   is dropped, and the rewriter's `mapping_failures` counts it. Flows that are there stay.
///
/// Keywords: BLOCK_SIZE (512 ports), MAX_BLOCKS (4) for a host, PORTS (1024-65535) of each public
/// address, HOLD (120 seconds) a block rests.
///
/// Handlers: `blocks` (read), a line `HOST ADDRESS LOW-HIGH TAKEN` for each block; `mappings` (read),
/// a line `PROTOCOL HOST PORT => ADDRESS PORT FLOWS` for each mapping.
///
/// ```click
/// cgn :: PortBlockIPMapper(100.64.0.0/10, 198.51.100.0/28, 0, 1);
/// rw :: IPRewriter(cgn, cgn); ping :: ICMPPingRewriter(cgn, drop);
/// ```
pub(in crate::nat) const PORT_BLOCK_IP_MAPPER: Class = class("PortBlockIPMapper");

struct PortBlock {
    inside: Vec<Ipv4Prefix>,
    forward: u8,
    reply: u8,
    hosts: RefCell<Hosts>,
}

/// Most public addresses.
const MOST_ADDRESSES: u32 = 1 << 16;

fn prefixes(text: &str, names: &dyn Names) -> Result<Vec<Ipv4Prefix>, ArgumentError> {
    let words = split_words(text);
    let prefixes = words.iter().map(|word| Ipv4Prefix::parse(word, names));
    prefixes.collect()
}

fn addresses(text: &str, names: &dyn Names) -> Result<(u32, u32), ArgumentError> {
    if let Ok(address) = Ipv4Addr::parse(text, names) {
        return Ok((address.to_bits(), address.to_bits()));
    }
    let range = address_range(text, names);
    let range = range.filter(|(low, high)| high - low < MOST_ADDRESSES);
    range
        .ok_or_else(|| ArgumentError::other("expected at most 65536 addresses, as A, A-B or A/LEN"))
}

fn ports(text: &str, _: &dyn Names) -> Result<(u16, u16), ArgumentError> {
    let range = port_range(text).filter(|(low, _)| *low > 0);
    range.ok_or_else(|| ArgumentError::other("expected ports, as L-H"))
}

pub(super) fn configure(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
) -> Result<Rc<dyn Mapper>, Rejected> {
    let inside = arguments.required_with("INSIDE", prefixes);
    let outside = arguments.required_with("OUTSIDE", addresses);
    let forward = arguments.required("FOUTPUT");
    let reply = arguments.required("ROUTPUT");
    let block_size: u16 = arguments.keyword("BLOCK_SIZE").unwrap_or(512);
    let most: u16 = arguments.keyword("MAX_BLOCKS").unwrap_or(4);
    let (low, high) = arguments
        .keyword_with("PORTS", ports)
        .unwrap_or((1024, u16::MAX));
    let hold = arguments
        .keyword("HOLD")
        .unwrap_or(Duration::from_secs(120));
    arguments.finish()?;
    let (inside, (first, last)) = (inside?, outside?);
    if most == 0 {
        arguments.error("MAX_BLOCKS: expected at least one");
    }
    let blocks = (u32::from(high - low) + 1).checked_div(u32::from(block_size));
    let blocks = blocks.and_then(|count| u16::try_from(count).ok());
    let Some(blocks) = blocks.filter(|count| *count > 0) else {
        return Err(
            arguments.error("BLOCK_SIZE: expected no more than PORTS has, and at least one")
        );
    };
    let overlaps = |prefix: &Ipv4Prefix| {
        let low = prefix.network().to_bits();
        low <= last && first <= low | !prefix.mask.to_bits()
    };
    if let Some(prefix) = inside.iter().find(|prefix| overlaps(prefix)) {
        arguments.error(format!(
            "OUTSIDE: has addresses of {prefix}, which is inside"
        ));
    }
    arguments.check()?;
    let extent = Extent {
        first,
        addresses: last - first + 1,
        first_port: low,
        block_size,
        blocks,
    };
    let seed = configuration.environment().random_seed();
    Ok(Rc::new(PortBlock {
        inside,
        forward: forward?,
        reply: reply?,
        hosts: RefCell::new(Hosts::new(Pool::new(extent, hold), usize::from(most), seed)),
    }))
}

fn source(key: &FlowKey) -> Endpoint {
    Endpoint {
        address: key.source().to_bits(),
        protocol: key.protocol(),
        port: key.source_port(),
    }
}

fn destination(key: &FlowKey) -> Endpoint {
    source(&key.reversed())
}

impl PortBlock {
    /// The endpoints on both sides of a flow that this mapper has given a port outside, each as it
    /// is inside and as it is outside.
    fn ends(&self, original: &FlowKey, rewritten: &FlowKey) -> [Option<(Endpoint, Endpoint)>; 2] {
        let from = self.is_inside(original);
        let to = self.is_to_outside(original);
        [
            from.then(|| (source(original), source(rewritten))),
            to.then(|| (destination(rewritten), destination(original))),
        ]
    }

    fn is_inside(&self, key: &FlowKey) -> bool {
        self.inside.iter().any(|it| it.contains(key.source()))
    }

    /// Whether packets go to a public address.
    fn is_to_outside(&self, key: &FlowKey) -> bool {
        let extent = self.hosts.borrow().pool.extent;
        extent.place(key.destination().to_bits()).is_some()
    }
}

impl Mapper for PortBlock {
    fn map(&self, request: &Request<'_>) -> Option<Mapped> {
        let key = &request.key;
        let (from_inside, to_outside) = (self.is_inside(key), self.is_to_outside(key));
        let mut hosts = self.hosts.borrow_mut();
        let mut tuple = key.tuple();
        let to = if to_outside {
            let to = hosts.inside_of(&destination(key))?;
            (tuple.destination, tuple.destination_port) = (to.address, to.port);
            Some(to)
        } else {
            None
        };
        let outputs = match (from_inside, to_outside) {
            (true, true) => [self.reply, self.reply],
            (true, false) => [self.forward, self.reply],
            (false, true) => [self.reply, self.forward],
            (false, false) => return None,
        };
        if from_inside {
            let from = source(key);
            let start = |size| {
                let start = request.context.random_below(u32::from(size));
                u16::try_from(start).unwrap_or(0)
            };
            let outside = hosts.outside_of(&from, request.now, start)?;
            (tuple.source, tuple.source_port) = (outside.address, outside.port);
            hosts.hold(&from);
        }
        if let Some(to) = to {
            hosts.hold(&to);
        }
        Some((FlowKey::new(tuple, key.protocol()), outputs))
    }

    fn ended(&self, original: &FlowKey, rewritten: &FlowKey, now: Instant) {
        let ends = self.ends(original, rewritten);
        let mut hosts = self.hosts.borrow_mut();
        for (inside, _) in ends.into_iter().flatten() {
            hosts.release(&inside, now);
        }
    }

    fn adopted(&self, original: &FlowKey, rewritten: &FlowKey) {
        let ends = self.ends(original, rewritten);
        let mut hosts = self.hosts.borrow_mut();
        for (inside, outside) in ends.into_iter().flatten() {
            // What cannot go on as a mapping goes on as a flow.
            let _ = hosts.adopt(&inside, outside);
        }
    }

    fn outputs(&self) -> Vec<Outputs> {
        Vec::from([[self.forward, self.reply]])
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("blocks").read("mappings");
    }

    fn read(&self, name: &str) -> Result<String, HandlerError> {
        let hosts = self.hosts.borrow();
        let mut text = String::new();
        let address = Ipv4Addr::from_bits;
        // Writing to a string cannot fail.
        match name {
            "blocks" => {
                for (host, outside, block, taken) in hosts.blocks() {
                    let low = hosts.pool.extent.first_of(block);
                    let high = low + (hosts.pool.extent.block_size - 1);
                    let (host, outside) = (address(host), address(outside));
                    let _ = writeln!(text, "{host} {outside} {low}-{high} {taken}");
                }
            }
            "mappings" => {
                for Mapping {
                    inside,
                    outside,
                    flows,
                } in hosts.mappings()
                {
                    let (protocol, port) = (inside.protocol, inside.port);
                    let (host, public) = (address(inside.address), address(outside.address));
                    let _ = writeln!(
                        text,
                        "{protocol} {host} {port} => {public} {} {flows}",
                        outside.port
                    );
                }
            }
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(text)
    }
}

#[cfg(test)]
#[path = "../port_block_tests.rs"]
mod tests;
