//! A rewriter's packet path.
//!
//! Packets are looked up a few at a time: first the headers of all are read and the lines of the
//! index fetched, then the flows, and only then are they rewritten, one by one and in order. So
//! what a packet costs depends little on how many flows there are.

use sprat_click::{Context, Instant};
use sprat_packet::checksum::{internet_checksum, update_u16};
use sprat_packet::headers::protocol::{TCP, UDP};
use sprat_packet::{Batch, Packet};

use super::kind::{Headers, Kind};
use super::{Beginning, Rewriter};
use crate::nat::flow_table::{Direction, Entry, Flow, FlowTable};
use crate::nat::tcp;

/// How many packets are looked up at a time.
const AHEAD: usize = 32;

/// What was found out about a packet before its turn.
#[derive(Clone, Copy)]
struct Lookup {
    headers: Headers,
    hash: u32,
    /// Its flow, in all likelihood.
    candidate: Option<Entry>,
}

impl Rewriter {
    pub(super) fn rewrite_all(
        &mut self,
        context: &mut Context<'_>,
        port: usize,
        batch: &mut Batch,
    ) {
        let now = context.now();
        let shared = self.table.clone();
        let mut table = shared.borrow_mut();
        let mut packets = batch.drain();
        loop {
            let ahead = packets.as_slice();
            let ahead = &ahead[..ahead.len().min(AHEAD)];
            if ahead.is_empty() {
                return;
            }
            let mut lookups = [None; AHEAD];
            for (packet, lookup) in ahead.iter().zip(&mut lookups) {
                *lookup = self.kind.headers(packet).map(|headers| {
                    let hash = table.hash(&headers.key, self.share.space);
                    table.prefetch(hash);
                    Lookup {
                        headers,
                        hash,
                        candidate: None,
                    }
                });
            }
            let count = ahead.len();
            for lookup in lookups[..count].iter_mut().flatten() {
                lookup.candidate = table.candidate(lookup.hash);
            }
            for (lookup, packet) in lookups[..count].iter().zip(packets.by_ref()) {
                let output = match lookup {
                    Some(lookup) => self.one(&mut table, context, port, packet, lookup, now),
                    None => self.without_flow(port).map(|output| (output, packet)),
                };
                if let Some((output, packet)) = output {
                    context.emit(output, packet);
                }
            }
        }
    }

    /// Rewrites one packet; says by which output it leaves.
    #[inline]
    fn one(
        &self,
        table: &mut FlowTable,
        context: &Context<'_>,
        port: usize,
        mut packet: Packet,
        lookup: &Lookup,
        now: Instant,
    ) -> Option<(usize, Packet)> {
        let (headers, space) = (&lookup.headers, self.share.space);
        let entry = lookup
            .candidate
            .filter(|entry| table.is_of(*entry, &headers.key, space))
            .or_else(|| table.find_hashed(lookup.hash, &headers.key, space))
            .or_else(|| table.find(&self.kind.second_key(&packet)?, space));
        let (id, direction) = match entry {
            Some(entry) => (entry.id(), entry.direction()),
            None if !headers.begins => {
                return self.without_flow(port).map(|output| (output, packet));
            }
            None => match self.begin(table, context, Some(&packet), port, &headers.key, now) {
                Beginning::Drop => return None,
                Beginning::Pass(output) => return Some((output, packet)),
                Beginning::Flow(id) => (id, Direction::Forward),
            },
        };
        let flow = table.flow_mut(id);
        let list = self.share.class + self.kind.note(flow, direction, headers);
        let output = flow.output(direction);
        self.rewrite(flow, direction, &mut packet);
        if let Some(shifts) = table.sequence_shifts(id)
            && let Some(header) = packet.network_header_mut()
        {
            let length = header_length(header);
            shifts.apply(&mut header[length..], direction);
        }
        table.touch(id, list, now);
        Some((output, packet))
    }

    /// Writes the flow's addresses, ports and checksums into a packet, and sets its annotations.
    #[inline]
    fn rewrite(&self, flow: &Flow, direction: Direction, packet: &mut Packet) {
        let new = flow.given(direction).tuple();
        let [network, transport] = flow.deltas(direction);
        if let Some(header) = packet.network_header_mut() {
            let sum = half(header, 10);
            header[10..12].copy_from_slice(&network.apply(sum).to_be_bytes());
            if self.kind != Kind::Address || direction == Direction::Forward {
                header[12..16].copy_from_slice(&new.source.to_be_bytes());
            }
            if self.kind != Kind::Address || direction == Direction::Reply {
                header[16..20].copy_from_slice(&new.destination.to_be_bytes());
            }
            let first_fragment = half(header, 6) & 0x1fff == 0;
            let (protocol, length) = (header[9], header_length(header));
            let segment = header.get_mut(length..).filter(|_| first_fragment);
            let segment = segment.unwrap_or_default();
            match self.kind {
                Kind::Ping => {
                    let identifier = match direction {
                        Direction::Forward => new.source_port,
                        Direction::Reply => new.destination_port,
                    };
                    set_identifier(segment, identifier);
                    self.annotate(flow, direction, packet, new.destination);
                    return;
                }
                Kind::Address | Kind::AddressPair => {}
                Kind::Ip | Kind::Tcp | Kind::Udp => {
                    if let Some(ports) = segment.get_mut(..4) {
                        ports[..2].copy_from_slice(&new.source_port.to_be_bytes());
                        ports[2..].copy_from_slice(&new.destination_port.to_be_bytes());
                    }
                }
            }
            match protocol {
                TCP if segment.len() >= tcp::SHORTEST => {
                    let sum = transport.apply(half(segment, 16));
                    segment[16..18].copy_from_slice(&sum.to_be_bytes());
                }
                UDP if segment.len() >= 8 => {
                    let sum = transport.apply_udp(half(segment, 6));
                    segment[6..8].copy_from_slice(&sum.to_be_bytes());
                }
                _ => {}
            }
        }
        self.annotate(flow, direction, packet, new.destination);
    }

    #[inline]
    fn annotate(&self, flow: &Flow, direction: Direction, packet: &mut Packet, destination: u32) {
        // A host's packets have their destination unchanged.
        if self.sets_destination && (self.kind != Kind::Address || direction == Direction::Reply) {
            packet.set_destination(destination.into());
        }
        if direction == Direction::Reply
            && let Some(offset) = self.reply_annotation
        {
            packet.set_annotation_byte(offset, flow.reply_annotation);
        }
    }
}

/// Writes the identifier of an ICMP echo message, and follows it in the checksum.
fn set_identifier(message: &mut [u8], identifier: u16) {
    let sum = update_u16(half(message, 2), half(message, 4), identifier);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message[4..6].copy_from_slice(&identifier.to_be_bytes());
    if sum == 0 {
        // Nothing is known of the words before: all may be zero, and then this is not their sum.
        message[2..4].fill(0);
        let sum = internet_checksum(message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

#[inline]
fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

#[inline]
fn header_length(header: &[u8]) -> usize {
    usize::from(header[0] & 15) * 4
}
