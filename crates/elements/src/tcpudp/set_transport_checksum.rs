use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Ipv4Mut, UdpMut};
use sprat_packet::{Batch, Packet};

pub(super) const SET_TCP_CHECKSUM: Class = Class::of::<SetTCPChecksum>("SetTCPChecksum")
    .ports("1/1-2")
    .processing("a/ah");
pub(super) const SET_UDP_CHECKSUM: Class = Class::of::<SetUDPChecksum>("SetUDPChecksum")
    .ports("1/1-2")
    .processing("a/ah");

/// SetTCPChecksum: makes the checksum of TCP segments anew.
///
/// ```click
/// SetTCPChecksum([FIXOFF])
/// ```
///
/// Takes TCP/IP packets with their network header annotation set. Those whose lengths are bad leave by
/// output 1 where it is used and are dropped otherwise; each is reported. With FIXOFF true (false) a data
/// offset that lies outside the packet is cut to it.
///
/// See Click's manual page SetTCPChecksum(n).
pub(crate) struct SetTCPChecksum {
    fix_offset: bool,
}

/// SetUDPChecksum: makes the checksum of UDP datagrams anew.
///
/// ```click
/// SetUDPChecksum
/// ```
///
/// Takes UDP/IP packets with their network header annotation set. Those whose lengths are bad leave by
/// output 1 where it is used and are dropped otherwise; so do fragments, which do not hold all that the
/// checksum is over.
///
/// See Click's manual page SetUDPChecksum(n).
pub(crate) struct SetUDPChecksum;

impl Configure for SetTCPChecksum {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let fix_offset = arguments.position("FIXOFF").unwrap_or(false);
        arguments.finish()?;
        Ok(Self { fix_offset })
    }
}

impl Configure for SetUDPChecksum {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

/// Cuts a data offset to the segment, to the minimum at least.
fn fix_offset(segment: &mut [u8]) {
    let longest = segment.len() / 4;
    if let Some(field) = segment.get_mut(12) {
        let words = usize::from(*field >> 4).clamp(5, longest.max(5)).min(15);
        *field = *field & 0x0f | u8::try_from(words << 4).unwrap_or(0x50);
    }
}

/// Bytes of a TCP header without options.
const HEADER: usize = 20;

fn set_tcp(packet: &mut Packet, fix: bool) -> Option<()> {
    let mut ip = Ipv4Mut::new(packet.network_header_mut()?).ok()?;
    let whole = usize::from(ip.total_length()).checked_sub(ip.header_length())?;
    let pseudo_header = ip.pseudo_header(u16::try_from(whole).ok()?);
    let segment = ip.payload_mut();
    if segment.len() < whole || whole < HEADER {
        return None;
    }
    if fix {
        fix_offset(segment);
    }
    // The data offset may lie: nothing is read by it.
    segment[16..18].fill(0);
    let checksum = pseudo_header.add_bytes(segment).finish();
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    Some(())
}

fn set_udp(packet: &mut Packet) -> Option<()> {
    let mut ip = Ipv4Mut::new(packet.network_header_mut()?).ok()?;
    if ip.is_fragment() {
        return None;
    }
    let addresses = ip.pseudo_header(0);
    let mut udp = UdpMut::new(ip.payload_mut()).ok()?;
    let length = udp.length();
    if length < 8 || usize::from(length) > 8 + udp.rest().len() {
        return None;
    }
    udp.fill_checksum(addresses.add_u16(length));
    Some(())
}

impl Element for SetTCPChecksum {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if set_tcp(&mut packet, self.fix_offset).is_some() {
                return Some(packet);
            }
            context.chatter(format_args!("SetTCPChecksum: bad lengths"));
            context.emit(1, packet);
            None
        });
    }
}

impl Element for SetUDPChecksum {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if set_udp(&mut packet).is_some() {
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }
}
