use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::checksum::update_u16;
use sprat_packet::headers::{Icmpv6Mut, Ipv6, Ipv6Mut, icmpv6_type, protocol};
use sprat_packet::{Batch, Packet, PacketKind};

pub(super) const ICMP6_PING_RESPONDER: Class =
    Class::of::<Icmp6PingResponder>("ICMP6PingResponder")
        .ports("1/1-2")
        .processing("a/ah");

/// ICMP6PingResponder: answers ICMPv6 echo requests.
///
/// ```click
/// ICMP6PingResponder
/// ```
///
/// Turns echo requests into echo replies (RFC 4443, section 4): addresses change places, the checksum is
/// mended, and the destination annotation is set to where the request came from. Requests to multicast
/// addresses, and all other packets, leave by output 1 where it is used and are dropped otherwise. Packets
/// need their network header annotation set.
struct Icmp6PingResponder;

impl Configure for Icmp6PingResponder {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

fn answer(packet: &mut Packet) -> Option<()> {
    let bytes = packet.network_header_mut()?;
    let ip = Ipv6::new(bytes).ok()?;
    let (source, destination) = (ip.source(), ip.destination());
    if ip.next_header() != protocol::ICMPV6 || destination.is_multicast() {
        return None;
    }
    let mut icmp = Icmpv6Mut::new(bytes.get_mut(Ipv6::LENGTH..)?).ok()?;
    if icmp.kind() != icmpv6_type::ECHO {
        return None;
    }
    let code = u16::from(icmp.code());
    let before = u16::from(icmpv6_type::ECHO) << 8 | code;
    let after = u16::from(icmpv6_type::ECHO_REPLY) << 8 | code;
    let checksum = update_u16(icmp.checksum(), before, after);
    icmp.set_kind(icmpv6_type::ECHO_REPLY);
    icmp.set_checksum(checksum);
    // Exchanging the addresses leaves the sum over the pseudo-header as it is.
    let mut ip = Ipv6Mut::new(bytes).ok()?;
    ip.set_source(destination);
    ip.set_destination(source);
    packet.set_destination6(source);
    packet.set_kind(PacketKind::Host);
    Some(())
}

impl Element for Icmp6PingResponder {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if answer(&mut packet).is_some() {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    /// An echo request from ::1 to the address of these last four bytes, whose checksum is right by hand.
    fn request(prefix: &str, kind: &str, checksum: &str) -> std::string::String {
        std::format!(
            "\\<60000000 000c 3a 40 00000000 00000000 00000000 00000001
             {prefix}000000 00000000 00000000 00000002 {kind}00 {checksum} 00070001 61626364>"
        )
    }

    fn through(data: &str) -> (std::vec::Vec<std::vec::Vec<u8>>, usize) {
        let bench = Bench::new(&std::format!(
            "InfiniteSource(LIMIT 1, DATA {data}) -> MarkIP6Header -> p :: ICMP6PingResponder
             -> ToDevice(out); p[1] -> ToDevice(other)"
        ));
        bench.run();
        (bench.sent("out"), bench.sent("other").len())
    }

    #[test]
    fn an_echo_request_is_answered_with_a_checksum_that_is_right() {
        // 1 + 2 + 12 + 0x3a + 0x8000 + 7 + 1 + 0x6162 + 0x6364 = 0x14517, folded 0x4518.
        let (sent, others) = through(&request("00", "80", "bae7"));
        assert_eq!((sent.len(), others), (1, 0));
        assert_eq!((sent[0][23], sent[0][39]), (2, 1));
        // 0x100 more in the first word of the message is so much less in the checksum.
        assert_eq!(sent[0][40..44], [0x81, 0, 0xb9, 0xe7]);
        assert_eq!(sent[0][44..], [0, 7, 0, 1, b'a', b'b', b'c', b'd']);
    }

    #[test]
    fn replies_and_requests_to_groups_leave_by_the_second_output() {
        for data in [request("00", "81", "b9e7"), request("ff", "80", "bbe6")] {
            let (sent, others) = through(&data);
            assert_eq!((sent.len(), others), (0, 1));
        }
    }
}
