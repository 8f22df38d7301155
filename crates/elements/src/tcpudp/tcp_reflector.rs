use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Ipv4Mut, TcpMut, tcp_flags};
use sprat_packet::{Batch, Packet};

pub(super) const TCP_REFLECTOR: Class = Class::of::<TCPReflector>("TCPReflector");

/// TCPReflector: answers TCP segments as an echo server would, and remembers nothing.
///
/// ```click
/// TCPReflector
/// ```
///
/// Turns each IP packet with a TCP segment into its answer, which goes back to where it came from with the
/// same payload: to SYN, SYN and ACK with a random sequence number; to FIN, FIN and ACK; to a segment with
/// a payload, ACK. Others, and resets, are dropped. The destination annotation is where the segment came
/// from, the time to live is 250.
///
/// ```click
/// FromDevice(eth1) -> Strip(14) -> CheckIPHeader
///     -> IPFilter(allow tcp && dst host 1.0.0.77 && dst port 99 && not src port 99, deny all)
///     -> TCPReflector -> EtherEncap(0x0800, 1:1:1:1:1:1, 2:2:2:2:2:2) -> Queue -> ToDevice(eth1);
/// ```
///
/// See Click's class TCPReflector, of its folder `local`.
pub(crate) struct TCPReflector;

impl Configure for TCPReflector {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

/// Flags, sequence and acknowledgement number of the answer.
fn answer(context: &Context<'_>, tcp: &mut TcpMut<'_>) -> Option<(u8, u32, u32)> {
    use tcp_flags::{ACK, FIN, PSH, RST, SYN};
    // Segments are shorter than 65,536 bytes.
    let payload = u32::try_from(tcp.payload_mut().len()).unwrap_or(0);
    let flags = tcp.flags() & !PSH;
    let end = tcp.sequence().wrapping_add(payload);
    match () {
        () if flags == SYN => Some((SYN | ACK, context.random(), tcp.sequence().wrapping_add(1))),
        () if flags & (SYN | RST) != 0 => None,
        () if flags & FIN != 0 => Some((ACK | FIN, tcp.acknowledgement(), end.wrapping_add(1))),
        () if payload > 0 => Some((ACK, tcp.acknowledgement(), end)),
        () => None,
    }
}

fn reflect(context: &Context<'_>, packet: &mut Packet) -> Option<()> {
    let whole = u16::try_from(packet.len()).ok()?;
    let mut ip = Ipv4Mut::new(packet.data_mut()).ok()?;
    let (source, destination) = (ip.destination(), ip.source());
    ip.set_total_length(whole);
    ip.set_source(source);
    ip.set_destination(destination);
    ip.set_time_to_live(250);
    ip.fill_checksum();
    let header = ip.header_length();
    let pseudo_header = ip.pseudo_header(whole.checked_sub(u16::try_from(header).ok()?)?);
    let mut tcp = TcpMut::new(ip.payload_mut()).ok()?;
    let (flags, sequence, acknowledgement) = answer(context, &mut tcp)?;
    let (source_port, destination_port) = (tcp.destination_port(), tcp.source_port());
    tcp.set_source_port(source_port);
    tcp.set_destination_port(destination_port);
    tcp.set_sequence(sequence);
    tcp.set_acknowledgement(acknowledgement);
    tcp.set_flags(flags);
    tcp.set_window(60 * 1024);
    tcp.fill_checksum(pseudo_header);
    packet.set_network_header(0, header);
    packet.set_destination(destination);
    Some(())
}

impl Element for TCPReflector {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.retain(|packet| reflect(context, packet).is_some());
    }
}
