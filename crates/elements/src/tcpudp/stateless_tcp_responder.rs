use sprat_click::arguments::Bytes;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Ipv4, Ipv4Fields, Tcp, TcpFields, protocol, tcp_flags};
use sprat_packet::{Batch, Packet};

use super::segment::{HEADERS, segment};

pub(super) const STATELESS_TCP_RESPONDER: Class =
    Class::of::<StatelessTcpResponder>("StatelessTCPResponder");

/// StatelessTCPResponder: answers TCP connections with one text, and remembers nothing.
///
/// ```click
/// StatelessTCPResponder([DATA])
/// ```
///
/// Turns each TCP segment into the answer that a server would give whose connections all begin with the
/// sequence number 0: to SYN, SYN and ACK; to a segment with a payload, DATA with PSH and FIN; to FIN,
/// ACK. Segments that need no answer, resets, and other packets are dropped. The destination annotation is
/// where the segment came from. DATA that does not fit into a segment the client takes is cut off.
/// Packets need their network header annotation set.
///
/// See Click's class StatelessTCPResponder.
struct StatelessTcpResponder {
    data: Bytes,
}

/// The longest packet: what every link carries (RFC 1122, section 3.3.3).
const LONGEST: usize = 576;

impl Configure for StatelessTcpResponder {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let data = arguments.position::<Bytes>("DATA");
        arguments.finish()?;
        let mut data = data.unwrap_or(Bytes(alloc::vec::Vec::new()));
        data.0.truncate(LONGEST - HEADERS);
        Ok(Self { data })
    }
}

impl StatelessTcpResponder {
    fn answer(&self, context: &Context<'_>, packet: &Packet) -> Option<Packet> {
        let ip = Ipv4::new(packet.network_header()?).ok()?;
        if ip.protocol() != protocol::TCP || ip.is_fragment() {
            return None;
        }
        let tcp = Tcp::new(ip.payload()).ok()?;
        let (syn, fin) = (tcp.has_any(tcp_flags::SYN), tcp.has_any(tcp_flags::FIN));
        let payload = tcp.payload().len();
        if tcp.has_any(tcp_flags::RST) || !syn && !fin && payload == 0 {
            return None;
        }
        let (flags, data) = match () {
            () if syn => (tcp_flags::SYN | tcp_flags::ACK, &[][..]),
            () if payload > 0 => (
                tcp_flags::PSH | tcp_flags::FIN | tcp_flags::ACK,
                self.data.0.as_slice(),
            ),
            () => (tcp_flags::ACK, &[][..]),
        };
        // Segments are shorter than 65,536 bytes.
        let taken = u32::try_from(payload).unwrap_or(0) + u32::from(syn) + u32::from(fin);
        let answer = TcpFields {
            source_port: tcp.destination_port(),
            destination_port: tcp.source_port(),
            // What the client awaits next; a SYN awaits nothing yet.
            sequence: if syn { 0 } else { tcp.acknowledgement() },
            acknowledgement: tcp.sequence().wrapping_add(taken),
            flags,
            window: u16::MAX,
            checksum: 0,
            urgent: 0,
        };
        let network = Ipv4Fields {
            type_of_service: 0,
            total_length: 0,
            identification: 0,
            flags_and_offset: Ipv4::DONT_FRAGMENT,
            time_to_live: 64,
            protocol: protocol::TCP,
            source: ip.destination(),
            destination: ip.source(),
        };
        let mut packet = segment(context, network, answer, data);
        packet.set_destination(network.destination);
        Some(packet)
    }
}

impl Element for StatelessTcpResponder {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| self.answer(context, &packet));
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use sprat_click::simulation::Simulation;

    use crate::testing::Bench;

    #[test]
    fn a_connection_is_answered_segment_by_segment() {
        let simulation = Simulation::new();
        let dump = "!data src sport dst dport tcp_seq tcp_ack tcp_flags payload proto\n\
                    1.0.0.1 5 2.0.0.2 80 100 0 S \"\" T\n1.0.0.1 5 2.0.0.2 80 101 1 A \"\" T\n\
                    1.0.0.1 5 2.0.0.2 80 101 1 PA \"GET\" T\n1.0.0.1 5 2.0.0.2 80 104 8 FA \"\" T\n\
                    1.0.0.1 5 2.0.0.2 80 105 8 R \"\" T\n1.0.0.1 5 2.0.0.2 80 0 0 S \"\" U\n";
        simulation.put_file("in", dump.as_bytes());
        let bench = Bench::with(
            simulation,
            "FromIPSummaryDump(in, CHECKSUM true) -> StatelessTCPResponder(\"hello\\n\")
             -> CheckIPHeader(VERBOSE true) -> CheckTCPHeader(VERBOSE true)
             -> ToIPSummaryDump(out, HEADER false,
                FIELDS src sport dst dport tcp_seq tcp_ack tcp_flags payload)",
        );
        bench.run();
        assert_eq!(bench.simulation.take_errors(), "");
        let written = bench.simulation.file("out").unwrap_or_default();
        let expected = "2.0.0.2 80 1.0.0.1 5 0 101 SA \"\"\n\
                        2.0.0.2 80 1.0.0.1 5 1 104 FPA \"hello\\n\"\n\
                        2.0.0.2 80 1.0.0.1 5 8 105 A \"\"\n";
        assert_eq!(String::from_utf8(written).as_deref(), Ok(expected));
    }
}
