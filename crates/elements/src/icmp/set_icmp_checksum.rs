use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;
use sprat_packet::headers::{IcmpMut, Ipv4Mut};

pub(super) const SET_ICMP_CHECKSUM: Class = Class::of::<SetICMPChecksum>("SetICMPChecksum")
    .ports("1/1-2")
    .processing("a/ah");

/// SetICMPChecksum: makes the checksum of ICMP messages anew.
///
/// ```click
/// SetICMPChecksum
/// ```
///
/// Takes ICMP packets with their network header annotation set. Those without a whole ICMP header leave
/// by output 1 where it is used and are dropped otherwise.
///
/// See Click's manual page SetICMPChecksum(n).
pub(crate) struct SetICMPChecksum;

impl Configure for SetICMPChecksum {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for SetICMPChecksum {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            if let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new)
                && let Ok(mut icmp) = IcmpMut::new(ip.payload_mut())
            {
                icmp.fill_checksum();
                return Some(packet);
            }
            context.emit(1, packet);
            None
        });
    }
}
