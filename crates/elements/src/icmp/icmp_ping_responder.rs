use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::checksum::update_u16;
use sprat_packet::headers::{IcmpMut, Ipv4Mut, icmp_type, protocol};
use sprat_packet::{Batch, Packet, PacketKind};

pub(super) const ICMP_PING_RESPONDER: Class = Class::of::<ICMPPingResponder>("ICMPPingResponder")
    .ports("1/1-2")
    .processing("a/ah");

/// ICMPPingResponder: answers ICMP echo requests.
///
/// ```click
/// ICMPPingResponder
/// ```
///
/// Turns echo requests into echo replies: addresses change places, the time to live becomes 255,
/// the fragment field and the code zero, checksums are mended, the destination annotation is set to
/// where the request came from, the paint is taken off, and the time is now. All other packets
/// leave by output 1 where it is used and are dropped otherwise. Packets need their network header
/// annotation set.
///
/// See Click's manual page ICMPPingResponder(n).
pub(crate) struct ICMPPingResponder;

impl Configure for ICMPPingResponder {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

fn answer(packet: &mut Packet) -> Option<()> {
    let mut ip = Ipv4Mut::new(packet.network_header_mut()?).ok()?;
    if ip.protocol() != protocol::ICMP || !ip.is_first_fragment() {
        return None;
    }
    let mut icmp = IcmpMut::new(ip.payload_mut()).ok()?;
    if icmp.kind() != icmp_type::ECHO {
        return None;
    }
    let before = u16::from(icmp_type::ECHO) << 8 | u16::from(icmp.code());
    let after = u16::from(icmp_type::ECHO_REPLY) << 8;
    let checksum = update_u16(icmp.checksum(), before, after);
    icmp.set_kind(icmp_type::ECHO_REPLY);
    icmp.set_code(0);
    icmp.set_checksum(checksum);
    let (source, destination) = (ip.source(), ip.destination());
    // Exchanging the addresses leaves the header's sum as it is.
    let kind = u16::from(ip.protocol());
    let checksum = update_u16(ip.checksum(), ip.flags_and_offset(), 0);
    let checksum = update_u16(
        checksum,
        u16::from(ip.time_to_live()) << 8 | kind,
        u16::from(u8::MAX) << 8 | kind,
    );
    ip.set_flags_and_offset(0);
    ip.set_time_to_live(u8::MAX);
    ip.set_checksum(checksum);
    ip.set_source(destination);
    ip.set_destination(source);
    packet.set_destination(source);
    packet.set_kind(PacketKind::Host);
    Some(())
}

impl Element for ICMPPingResponder {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if answer(&mut packet).is_some() {
                packet.set_paint(0);
                packet.set_timestamp(context.timestamp().0);
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }
}
