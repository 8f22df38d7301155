use alloc::string::String;
use core::time::Duration;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::checksum::{AddressesAndPorts, update_u16};
use sprat_packet::flow::FlowKey;
use sprat_packet::headers::icmp_type::{ECHO, ECHO_REPLY};
use sprat_packet::headers::protocol::ICMP;
use sprat_packet::{Batch, Packet};

use super::flow_table::{Direction, FlowId, Tick};
use super::input_spec::InputSpec;
use super::rewriter::{Rewriter, Verdict};

pub(super) const ICMP_PING_REWRITER: Class = Class::of::<IcmpPingRewriter>("ICMPPingRewriter")
    .ports("1-/1-256")
    .processing("h/h")
    .reconfigurable();

/// ICMPPingRewriter: rewrites addresses and identifiers of pings.
///
/// ```click
/// ICMPPingRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// ```
///
/// As IPRewriter, for ICMP echo requests and their replies, with the ICMP identifier in the place of
/// a port: `pattern SADDR DADDR IDENTIFIER FOUTPUT ROUTPUT`, where IDENTIFIER may be a range. Other
/// packets are dropped unless their input says `pass`. A reply to no known request begins nothing.
///
/// Keywords: TIMEOUT (5 minutes), GUARANTEE (5 seconds), MAPPING_CAPACITY, REAP_INTERVAL, DST_ANNO,
/// REPLY_ANNO, as in IPRewriter.
///
/// Handlers: as IPAddrRewriter.
///
/// See Click's manual page ICMPPingRewriter(n).
struct IcmpPingRewriter {
    rewriter: Rewriter,
    guarantee: Duration,
    outputs: usize,
}

const TIMEOUT: Duration = Duration::from_mins(5);
const GUARANTEE: Duration = Duration::from_secs(5);

impl Configure for IcmpPingRewriter {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let timeout = arguments.keyword("TIMEOUT").unwrap_or(TIMEOUT);
        let guarantee = arguments.keyword("GUARANTEE").unwrap_or(GUARANTEE);
        let rewriter = Rewriter::configure(arguments, configuration, &[timeout])?;
        Ok(Self {
            rewriter,
            guarantee,
            outputs: configuration.outputs(),
        })
    }
}

/// Bytes of an ICMP echo header.
const ECHO_HEADER: usize = 8;

/// The key of a ping, and whether it is a request. A request's identifier counts as its source port,
/// a reply's as its destination port, so that one is the other reversed.
fn key(packet: &Packet) -> Option<(FlowKey, bool)> {
    let header = packet.network_header()?;
    let fixed: &[u8; 20] = header.first_chunk()?;
    let fragment = u16::from_be_bytes([fixed[6], fixed[7]]) & 0x1fff;
    if fixed[0] >> 4 != 4 || fixed[9] != ICMP || fragment != 0 {
        return None;
    }
    let message: &[u8; ECHO_HEADER] = header
        .get(usize::from(fixed[0] & 15) * 4..)?
        .first_chunk()?;
    let identifier = u16::from_be_bytes([message[4], message[5]]);
    let (source_port, destination_port, request) = match message[0] {
        ECHO => (identifier, 0, true),
        ECHO_REPLY => (0, identifier, false),
        _ => return None,
    };
    let tuple = AddressesAndPorts {
        source: u32::from_be_bytes([fixed[12], fixed[13], fixed[14], fixed[15]]),
        destination: u32::from_be_bytes([fixed[16], fixed[17], fixed[18], fixed[19]]),
        source_port,
        destination_port,
    };
    Some((FlowKey::new(tuple, ICMP), request))
}

impl IcmpPingRewriter {
    fn rewrite(&self, packet: &mut Packet, id: FlowId, direction: Direction) -> u16 {
        let flow = self.rewriter.table.flow(id);
        let (new, way) = match direction {
            Direction::Forward => (flow.rewritten.tuple(), 0),
            Direction::Reply => (flow.original.reversed().tuple(), 1),
        };
        let identifier = if direction == Direction::Forward {
            new.source_port
        } else {
            new.destination_port
        };
        let output = flow.outputs[way];
        let delta = flow.network_delta[way];
        if let Some(header) = packet.network_header_mut() {
            let sum = u16::from_be_bytes([header[10], header[11]]);
            header[10..12].copy_from_slice(&delta.apply(sum).to_be_bytes());
            header[12..16].copy_from_slice(&new.source.to_be_bytes());
            header[16..20].copy_from_slice(&new.destination.to_be_bytes());
            let length = usize::from(header[0] & 15) * 4;
            let message = &mut header[length..];
            let old = u16::from_be_bytes([message[4], message[5]]);
            let sum = u16::from_be_bytes([message[2], message[3]]);
            message[2..4].copy_from_slice(&update_u16(sum, old, identifier).to_be_bytes());
            message[4..6].copy_from_slice(&identifier.to_be_bytes());
        }
        self.rewriter.annotate(packet, id, direction);
        output
    }
}

impl Element for IcmpPingRewriter {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.rewriter.start(context);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        let now = Tick::at(context.now());
        for mut packet in batch.drain() {
            let verdict = match key(&packet) {
                None => self.rewriter.without_flow(port),
                Some((key, request)) => match self.rewriter.find(&key, now) {
                    Some((id, direction)) => Verdict::Flow(id, direction),
                    None if request => {
                        self.rewriter
                            .begin(context, &packet, port, (key, 0, self.guarantee), now)
                    }
                    None => self.rewriter.without_flow(port),
                },
            };
            match verdict {
                Verdict::Drop => {}
                Verdict::Pass(output) => context.emit(usize::from(output), packet),
                Verdict::Flow(id, direction) => {
                    let output = self.rewrite(&mut packet, id, direction);
                    self.rewriter.table.touch(id, 0, now);
                    context.emit(usize::from(output), packet);
                }
            }
        }
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.rewriter.reap(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        self.rewriter.handlers(list);
        list.read("table").read("mappings");
    }

    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        _: &str,
    ) -> Result<String, HandlerError> {
        self.rewriter.read_single(context, name)
    }

    fn write(&mut self, _: &mut Context<'_>, name: &str, value: &str) -> Result<(), HandlerError> {
        let outputs = self.outputs;
        self.rewriter
            .write(name, value, |text| InputSpec::parse_running(text, outputs))
    }

    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.rewriter
                .take_flows(&mut old.rewriter, Tick::at(context.now()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use sprat_packet::checksum::internet_checksum;

    use crate::testing::Bench;

    fn ping(kind: u8, source: [u8; 4], destination: [u8; 4], identifier: u16) -> Vec<u8> {
        let mut bytes = std::vec![0; 36];
        bytes[0] = 0x45;
        bytes[3] = 36;
        bytes[8] = 64;
        bytes[9] = 1;
        bytes[12..16].copy_from_slice(&source);
        bytes[16..20].copy_from_slice(&destination);
        let sum = internet_checksum(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes[20] = kind;
        bytes[24..26].copy_from_slice(&identifier.to_be_bytes());
        bytes[27] = 9;
        let sum = internet_checksum(&bytes[20..]);
        bytes[22..24].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    #[test]
    fn pings_of_two_hosts_with_one_identifier_are_told_apart_by_another() {
        let bench = Bench::new(
            "rw :: ICMPPingRewriter(pattern 2.0.0.2 - 0-65535 0 1, drop);
             FromDevice(inside) -> MarkIPHeader(0) -> [0]rw; FromDevice(outside) -> MarkIPHeader(0) -> [1]rw;
             rw[0] -> ToDevice(outside); rw[1] -> ToDevice(inside);",
        );
        let server = [5, 0, 0, 5];
        bench.arrive("inside", &ping(8, [1, 0, 0, 1], server, 10));
        bench.arrive("inside", &ping(8, [1, 0, 0, 2], server, 10));
        bench.run();
        let sent = bench.sent("outside");
        let identifier = |bytes: &[u8]| u16::from_be_bytes([bytes[24], bytes[25]]);
        assert_eq!(identifier(&sent[0]), 10);
        assert_ne!(identifier(&sent[1]), 10);
        for bytes in &sent {
            assert_eq!(
                (
                    internet_checksum(&bytes[..20]),
                    internet_checksum(&bytes[20..])
                ),
                (0, 0)
            );
            assert_eq!(bytes[12..16], [2, 0, 0, 2]);
            bench.arrive("outside", &ping(0, server, [2, 0, 0, 2], identifier(bytes)));
        }
        // A reply that nobody asked for.
        bench.arrive("outside", &ping(0, [5, 0, 0, 6], [2, 0, 0, 2], 10));
        bench.run();
        let back = bench.sent("inside");
        assert_eq!(back.len(), 2);
        for (bytes, host) in back.iter().zip(1..) {
            assert_eq!(
                (
                    internet_checksum(&bytes[..20]),
                    internet_checksum(&bytes[20..])
                ),
                (0, 0)
            );
            assert_eq!(bytes[16..20], [1, 0, 0, host]);
            assert_eq!(identifier(bytes), 10);
        }
    }
}
