use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

pub(super) const MARK_IP_HEADER: Class = Class::of::<MarkIPHeader>("MarkIPHeader");

/// MarkIPHeader: says where the IP header is.
///
/// ```click
/// MarkIPHeader([OFFSET])
/// ```
///
/// Sets the network header annotation to OFFSET bytes (0) into the packet; the header's length comes
/// from its own field. Nothing is checked: use CheckIPHeader for packets that may be wrong.
///
/// See Click's manual page MarkIPHeader(n).
pub(crate) struct MarkIPHeader {
    offset: usize,
}

impl Configure for MarkIPHeader {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let offset = arguments.position("OFFSET").unwrap_or(0);
        arguments.finish()?;
        Ok(Self { offset })
    }
}

impl Element for MarkIPHeader {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            let words = packet
                .data()
                .get(self.offset)
                .map_or(5, |first| first & 0x0f);
            packet.set_network_header(self.offset, usize::from(words) * 4);
        }
    }
}
