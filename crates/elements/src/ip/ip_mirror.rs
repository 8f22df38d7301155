use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Ipv4Mut, TcpMut, UdpMut, protocol};
use sprat_packet::{Batch, Packet};

pub(super) const IP_MIRROR: Class = Class::of::<IPMirror>("IPMirror");

/// IPMirror: swaps the source and destination of IP packets.
///
/// ```click
/// IPMirror([DST_ANNO])
/// ```
///
/// Swaps the addresses, and where the packet has a TCP or UDP header (it is not a later fragment), the
/// ports; of TCP also the sequence and acknowledgement numbers. No checksum changes by that. The
/// destination annotation becomes the new destination unless DST_ANNO is false. Packets need their
/// network header annotation set; others pass unchanged.
///
/// See Click's manual page IPMirror(n).
pub(crate) struct IPMirror {
    annotate: bool,
}

fn mirror(packet: &mut Packet, annotate: bool) {
    let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) else {
        return;
    };
    let (source, destination) = (ip.source(), ip.destination());
    ip.set_source(destination);
    ip.set_destination(source);
    let transport = ip.protocol();
    if ip.is_first_fragment() {
        if transport == protocol::TCP
            && let Ok(mut tcp) = TcpMut::new(ip.payload_mut())
        {
            let (sequence, acknowledgement) = (tcp.sequence(), tcp.acknowledgement());
            tcp.set_sequence(acknowledgement);
            tcp.set_acknowledgement(sequence);
        }
        if matches!(transport, protocol::TCP | protocol::UDP)
            && let Ok(mut udp) = UdpMut::new(ip.payload_mut())
        {
            // The ports stand in the same place in both.
            let (from, to) = (udp.source_port(), udp.destination_port());
            udp.set_source_port(to);
            udp.set_destination_port(from);
        }
    }
    if annotate {
        packet.set_destination(source);
    }
}

impl Configure for IPMirror {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let annotate = arguments.position("DST_ANNO").unwrap_or(true);
        arguments.finish()?;
        Ok(Self { annotate })
    }
}

impl Element for IPMirror {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            mirror(packet, self.annotate);
        }
    }
}
