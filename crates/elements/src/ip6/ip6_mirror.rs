use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{Ipv6, protocol};
use sprat_packet::{Batch, Packet};

pub(super) const IP6_MIRROR: Class = Class::of::<Ip6Mirror>("IP6Mirror");

/// IP6Mirror: sends IPv6 packets back where they came from.
///
/// ```click
/// IP6Mirror
/// ```
///
/// Swaps the source and destination addresses, and the ports of first fragments of TCP and UDP. Checksums
/// stay right by themselves. Packets need their network header annotation set; others pass unchanged.
///
/// See Click's manual page IP6Mirror(n).
struct Ip6Mirror;

impl Configure for Ip6Mirror {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

fn mirror(packet: &mut Packet) -> Option<()> {
    let bytes = packet.network_header_mut()?;
    let upper = Ipv6::new(bytes).ok()?.upper_layer();
    // The source stands at 8 and the destination at 24 (RFC 8200, section 3).
    let (source, destination) = bytes.get_mut(8..40)?.split_at_mut(16);
    source.swap_with_slice(destination);
    let upper = upper.ok()?;
    let first = upper.fragment.is_none_or(|fragment| fragment.offset == 0);
    if first && matches!(upper.protocol, protocol::TCP | protocol::UDP) {
        let ports = bytes.get_mut(Ipv6::LENGTH + upper.offset..)?.get_mut(..4)?;
        ports.rotate_left(2);
    }
    Some(())
}

impl Element for Ip6Mirror {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            mirror(packet);
        }
    }
}
