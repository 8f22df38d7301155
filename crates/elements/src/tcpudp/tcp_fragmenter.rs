use sprat_click::arguments::Annotation;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Ipv4, Ipv4Mut, Tcp, TcpMut, protocol, tcp_flags};
use sprat_packet::{Batch, Packet};

pub(super) const TCP_FRAGMENTER: Class =
    Class::of::<TcpFragmenter>("TCPFragmenter").processing("h/h");

/// TCPFragmenter: cuts long TCP segments into shorter ones.
///
/// ```click
/// TCPFragmenter([MTU, keyword MTU_ANNO])
/// ```
///
/// A segment whose payload is longer than MTU bytes (0, the default: any length) leaves as several, each
/// a copy of it with its part of the payload, its sequence number, lengths and checksums. What stands
/// before the IP header is copied too. PSH and FIN are kept by the last segment only, for they belong to
/// the end of the payload. Other packets pass unchanged.
///
/// - MTU_ANNO: an annotation of two bytes that says it of each packet, where it is not zero.
///
/// See Click's manual page TCPFragmenter(n).
struct TcpFragmenter {
    most: usize,
    annotation: Option<Annotation>,
}

/// Where a segment's payload is.
struct Segment {
    /// Bytes before the payload, and of the payload.
    headers: usize,
    payload: usize,
    sequence: u32,
    flags: u8,
}

impl Segment {
    fn of(packet: &Packet) -> Option<Self> {
        let start = usize::try_from(packet.network_offset()?).ok()?;
        let ip = Ipv4::new(packet.network_header()?).ok()?;
        if ip.protocol() != protocol::TCP || ip.is_fragment() {
            return None;
        }
        let tcp = Tcp::new(ip.payload()).ok()?;
        Some(Self {
            headers: start + ip.header_length() + tcp.header_length(),
            payload: tcp.payload().len(),
            sequence: tcp.sequence(),
            flags: tcp.flags(),
        })
    }
}

impl Configure for TcpFragmenter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let most = arguments.position::<u16>("MTU").unwrap_or(0);
        let annotation = arguments.keyword::<Annotation>("MTU_ANNO");
        if annotation.is_some_and(|annotation| annotation.size.is_some_and(|size| size != 2)) {
            arguments.error("MTU_ANNO: must be an annotation of two bytes");
        }
        arguments.finish()?;
        Ok(Self {
            most: usize::from(most),
            annotation,
        })
    }
}

impl TcpFragmenter {
    /// The longest payload of a packet's parts, where there is such a thing.
    fn most(&self, packet: &Packet) -> Option<usize> {
        let said = self.annotation.map_or(0, |annotation| {
            let byte = |at| {
                packet
                    .annotations()
                    .byte(usize::from(annotation.offset) + at)
            };
            usize::from(u16::from_ne_bytes([byte(0), byte(1)]))
        });
        let most = if said > 0 { said } else { self.most };
        (most > 0).then_some(most)
    }

    /// The part of a segment from `at` on.
    fn part(
        context: &Context<'_>,
        packet: &Packet,
        whole: &Segment,
        at: usize,
        most: usize,
    ) -> Packet {
        let length = most.min(whole.payload - at);
        let mut part = context.duplicate(packet);
        let data = part.data_mut();
        let begin = whole.headers + at;
        data.copy_within(begin..begin + length, whole.headers);
        part.truncate(whole.headers + length);
        let last = at + length == whole.payload;
        if let Some(Ok(mut ip)) = part.network_header_mut().map(Ipv4Mut::new) {
            let removed = u16::try_from(whole.payload - length).unwrap_or(0);
            ip.set_total_length(ip.total_length() - removed);
            ip.fill_checksum();
            let segment = u16::try_from(ip.payload_mut().len()).unwrap_or(u16::MAX);
            let pseudo_header = ip.pseudo_header(segment);
            if let Ok(mut tcp) = TcpMut::new(ip.payload_mut()) {
                // Payloads are shorter than 65,536 bytes.
                let offset = u32::try_from(at).unwrap_or(0);
                tcp.set_sequence(whole.sequence.wrapping_add(offset));
                if !last {
                    tcp.set_flags(whole.flags & !(tcp_flags::FIN | tcp_flags::PSH));
                }
                tcp.fill_checksum(pseudo_header);
            }
        }
        part
    }
}

impl Element for TcpFragmenter {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        for packet in batch.drain() {
            let long = self.most(&packet).and_then(|most| {
                let segment = Segment::of(&packet)?;
                (segment.payload > most).then_some((segment, most))
            });
            match long {
                None => context.emit(0, packet),
                Some((segment, most)) => {
                    for at in (0..segment.payload).step_by(most) {
                        let part = Self::part(context, &packet, &segment, at, most);
                        context.emit(0, part);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use sprat_click::simulation::Simulation;

    use crate::testing::Bench;

    fn segments(elements: &str) -> String {
        let simulation = Simulation::new();
        let dump = b"!data tcp_seq tcp_flags payload\n4294967290 PAF \"abcdefghij\"\n7 A \"xy\"\n";
        simulation.put_file("in", dump);
        let bench = Bench::with(
            simulation,
            &std::format!(
                "FromIPSummaryDump(in, CHECKSUM true) -> {elements} -> CheckIPHeader(VERBOSE true)
                 -> CheckTCPHeader(VERBOSE true)
                 -> ToIPSummaryDump(out, HEADER false, FIELDS tcp_seq tcp_flags ip_len payload)"
            ),
        );
        bench.run();
        assert_eq!(bench.simulation.take_errors(), "");
        String::from_utf8(bench.simulation.file("out").unwrap_or_default()).expect("text")
    }

    #[test]
    fn a_long_segment_becomes_several_that_check() {
        let parts =
            "4294967290 A 44 \"abcd\"\n4294967294 A 44 \"efgh\"\n2 FPA 42 \"ij\"\n7 A 42 \"xy\"\n";
        assert_eq!(segments("TCPFragmenter(4)"), parts);
        assert_eq!(
            segments("SetAnnoByte(36, 4) -> TCPFragmenter(MTU_ANNO 36/2)"),
            parts
        );
        let whole = "4294967290 FPA 50 \"abcdefghij\"\n7 A 42 \"xy\"\n";
        assert_eq!(segments("TCPFragmenter(10)"), whole);
        assert_eq!(segments("TCPFragmenter"), whole);
    }

    #[test]
    fn what_stands_before_the_ip_header_is_copied() {
        let bench = Bench::new(
            "InfiniteSource(LIMIT 1, DATA \\<4500002c 00000000 40060000 01000001 02000002
             00010002 00000000 00000000 50100000 00000000 61626364>) -> MarkIPHeader
             -> EtherEncap(0x0800, 1:1:1:1:1:1, 2:2:2:2:2:2) -> TCPFragmenter(3) -> ToDevice(out)",
        );
        bench.run();
        let sent = bench.sent("out");
        assert_eq!(sent.len(), 2);
        for (frame, payload) in sent.iter().zip([&b"abc"[..], b"d"]) {
            assert_eq!(frame[..14], [2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 8, 0]);
            assert_eq!(&frame[54..], payload);
        }
    }
}
