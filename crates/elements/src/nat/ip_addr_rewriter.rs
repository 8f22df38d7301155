use alloc::string::String;
use core::time::Duration;

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::checksum::AddressesAndPorts;
use sprat_packet::flow::FlowKey;
use sprat_packet::headers::protocol::{TCP, UDP};
use sprat_packet::{Batch, Packet};

use super::flow_table::{Direction, FlowId, Tick};
use super::input_spec::InputSpec;
use super::rewriter::{Rewriter, Verdict};

const fn class<T: Configure>(name: &'static str) -> Class {
    Class::of::<T>(name)
        .ports("1-/1-256")
        .processing("h/h")
        .reconfigurable()
}

pub(super) const IP_ADDR_REWRITER: Class = class::<IpAddrRewriter<false>>("IPAddrRewriter");
pub(super) const IP_ADDR_PAIR_REWRITER: Class = class::<IpAddrRewriter<true>>("IPAddrPairRewriter");

/// IPAddrRewriter, IPAddrPairRewriter: rewrite addresses, host by host or pair by pair.
///
/// ```click
/// IPAddrRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// IPAddrPairRewriter(INPUTSPEC1, ..., INPUTSPECn [, keywords])
/// ```
///
/// As IPRewriter, for any protocol and without ports: IPAddrRewriter gives each inside host an
/// address (`pattern SADDR - FOUTPUT ROUTPUT`), IPAddrPairRewriter each pair of source and
/// destination (`pattern SADDR DADDR FOUTPUT ROUTPUT`). SADDR may be a range `A-B` or a prefix
/// `A/LEN`; with `#` behind it addresses are taken in order. Checksums of TCP and UDP follow.
///
/// Keywords: TIMEOUT (5 minutes), GUARANTEE (5 seconds), MAPPING_CAPACITY, REAP_INTERVAL, DST_ANNO,
/// REPLY_ANNO, as in IPRewriter.
///
/// Handlers: `table`, `patterns`, `size`, `capacity`, `mapping_failures` (read); `patternN` (read,
/// write); `clear` (write).
///
/// See Click's manual pages IPAddrRewriter(n) and IPAddrPairRewriter(n).
struct IpAddrRewriter<const PAIR: bool> {
    rewriter: Rewriter,
    guarantee: Duration,
    outputs: usize,
}

const TIMEOUT: Duration = Duration::from_mins(5);
const GUARANTEE: Duration = Duration::from_secs(5);

impl<const PAIR: bool> Configure for IpAddrRewriter<PAIR> {
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

/// A packet's addresses; `None` where its IPv4 header is not whole.
fn addresses(packet: &Packet) -> Option<(u32, u32)> {
    let header: &[u8; 20] = packet.network_header()?.first_chunk()?;
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    (header[0] >> 4 == 4).then(|| (word(12), word(16)))
}

/// A key of addresses alone.
fn key(source: u32, destination: u32) -> FlowKey {
    FlowKey::new(
        AddressesAndPorts {
            source,
            destination,
            source_port: 0,
            destination_port: 0,
        },
        0,
    )
}

impl<const PAIR: bool> IpAddrRewriter<PAIR> {
    fn find(&mut self, source: u32, destination: u32, now: Tick) -> Option<(FlowId, Direction)> {
        if PAIR {
            return self.rewriter.find(&key(source, destination), now);
        }
        // A host is known by its own address, and by the one it was given.
        self.rewriter
            .find(&key(source, 0), now)
            .or_else(|| self.rewriter.find(&key(0, destination), now))
    }

    fn rewrite(&self, packet: &mut Packet, id: FlowId, direction: Direction) -> u16 {
        let flow = self.rewriter.table.flow(id);
        let (new, way) = match direction {
            Direction::Forward => (flow.rewritten.tuple(), 0),
            Direction::Reply => (flow.original.reversed().tuple(), 1),
        };
        let output = flow.outputs[way];
        let delta = flow.network_delta[way];
        if let Some(header) = packet.network_header_mut() {
            let sum = u16::from_be_bytes([header[10], header[11]]);
            header[10..12].copy_from_slice(&delta.apply(sum).to_be_bytes());
            if PAIR || direction == Direction::Forward {
                header[12..16].copy_from_slice(&new.source.to_be_bytes());
            }
            if PAIR || direction == Direction::Reply {
                header[16..20].copy_from_slice(&new.destination.to_be_bytes());
            }
            update_transport(header, |sum, udp| {
                if udp {
                    delta.apply_udp(sum)
                } else {
                    delta.apply(sum)
                }
            });
        }
        if self.rewriter.sets_destination
            && let Some((_, destination)) = addresses(packet)
        {
            packet.set_destination(destination.into());
        }
        self.rewriter.annotate_reply(packet, id, direction);
        output
    }
}

/// Changes the checksum of the TCP or UDP header behind an IPv4 header, where there is one. `change`
/// is told whether it is UDP's.
fn update_transport(header: &mut [u8], change: impl Fn(u16, bool) -> u16) {
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    let at = match header[9] {
        TCP => 16,
        UDP => 6,
        _ => return,
    };
    let (length, udp) = (usize::from(header[0] & 15) * 4, header[9] == UDP);
    if fragment != 0 {
        return;
    }
    if let Some(field) = header.get_mut(length + at..length + at + 2) {
        let sum = u16::from_be_bytes([field[0], field[1]]);
        field.copy_from_slice(&change(sum, udp).to_be_bytes());
    }
}

impl<const PAIR: bool> Element for IpAddrRewriter<PAIR> {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        self.rewriter.start(context);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        let now = Tick::at(context.now());
        for mut packet in batch.drain() {
            let Some((source, destination)) = addresses(&packet) else {
                continue;
            };
            let verdict = match self.find(source, destination, now) {
                Some((id, direction)) => Verdict::Flow(id, direction),
                None => {
                    let new = (
                        key(source, if PAIR { destination } else { 0 }),
                        0,
                        self.guarantee,
                    );
                    self.rewriter.begin(context, &packet, port, new, now)
                }
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
    use std::string::String;
    use std::vec::Vec;

    use sprat_packet::checksum::internet_checksum;

    use crate::testing::Bench;

    fn packet(source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let mut bytes = std::vec![0; 28];
        bytes[0] = 0x45;
        bytes[3] = 28;
        bytes[8] = 64;
        bytes[9] = 47;
        bytes[12..16].copy_from_slice(&source);
        bytes[16..20].copy_from_slice(&destination);
        let sum = internet_checksum(&bytes[..20]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn translate(class: &str, pattern: &str, packets: &[([u8; 4], [u8; 4])]) -> Vec<String> {
        let bench = Bench::new(&std::format!(
            "FromDevice(in) -> MarkIPHeader(0) -> rw :: {class}({pattern} 0 0) -> ToDevice(out)"
        ));
        for (source, destination) in packets {
            bench.arrive("in", &packet(*source, *destination));
        }
        bench.run();
        let sent = bench.sent("out");
        sent.iter()
            .for_each(|bytes| assert_eq!(internet_checksum(&bytes[..20]), 0));
        let address =
            |bytes: &[u8]| std::format!("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
        sent.iter()
            .map(|bytes| std::format!("{} > {}", address(&bytes[12..]), address(&bytes[16..])))
            .collect()
    }

    #[test]
    fn a_host_keeps_its_address_and_replies_find_it() {
        let (inside, other, outside) = ([10, 0, 0, 1], [10, 0, 0, 2], [9, 9, 9, 9]);
        let packets = [
            (inside, outside),
            (other, outside),
            (inside, [9, 9, 9, 8]),
            (outside, [3, 0, 0, 2]),
        ];
        assert_eq!(
            translate("IPAddrRewriter", "pattern 3.0.0.1-3.0.0.9# -", &packets),
            [
                "3.0.0.1 > 9.9.9.9",
                "3.0.0.2 > 9.9.9.9",
                "3.0.0.1 > 9.9.9.8",
                "9.9.9.9 > 10.0.0.2"
            ]
        );
    }

    #[test]
    fn each_pair_of_hosts_gets_an_address_of_its_own() {
        let (inside, outside) = ([10, 0, 0, 1], [9, 9, 9, 9]);
        let packets = [
            (inside, outside),
            (inside, [9, 9, 9, 8]),
            (inside, outside),
            ([9, 9, 9, 8], [3, 0, 0, 2]),
        ];
        assert_eq!(
            translate("IPAddrPairRewriter", "pattern 3.0.0.1-3.0.0.9# -", &packets),
            [
                "3.0.0.1 > 9.9.9.9",
                "3.0.0.2 > 9.9.9.8",
                "3.0.0.1 > 9.9.9.9",
                "9.9.9.8 > 10.0.0.1"
            ]
        );
    }

    #[test]
    fn hosts_beyond_the_range_are_dropped() {
        let packets = [([10, 0, 0, 1], [9; 4]), ([10, 0, 0, 2], [9; 4])];
        assert_eq!(
            translate("IPAddrRewriter", "pattern 3.0.0.1-3.0.0.1# -", &packets),
            ["3.0.0.1 > 9.9.9.9"]
        );
    }
}
