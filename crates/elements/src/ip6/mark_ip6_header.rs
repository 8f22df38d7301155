use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;
use sprat_packet::headers::Ipv6;

pub(super) const MARK_IP6_HEADER: Class = Class::of::<MarkIp6Header>("MarkIP6Header");

/// MarkIP6Header: says where the IPv6 header is.
///
/// ```click
/// MarkIP6Header([OFFSET])
/// ```
///
/// Sets the network header annotation to OFFSET bytes (0) into the packet. Nothing is checked: use
/// CheckIP6Header for packets that may be wrong.
///
/// See Click's manual page MarkIP6Header(n).
struct MarkIp6Header {
    offset: usize,
}

impl Configure for MarkIp6Header {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.position("OFFSET").unwrap_or(0);
        arguments.finish()?;
        Ok(Self { offset })
    }
}

impl Element for MarkIp6Header {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            packet.set_network_header(self.offset, Ipv6::LENGTH);
        }
    }
}
