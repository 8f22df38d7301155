use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

pub(super) const STRIP_IP_HEADER: Class = Class::of::<StripIPHeader>("StripIPHeader");
pub(super) const UNSTRIP_IP_HEADER: Class = Class::of::<UnstripIPHeader>("UnstripIPHeader");

/// StripIPHeader: removes the outermost IP header.
///
/// ```click
/// StripIPHeader
/// ```
///
/// Removes everything up to the end of the IP header, options included. Packets need their network
/// header annotation set; those without pass unchanged.
///
/// See Click's manual page StripIPHeader(n).
pub(crate) struct StripIPHeader;

impl Configure for StripIPHeader {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for StripIPHeader {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            if let Some(end) = packet.transport_offset() {
                packet.strip(usize::try_from(end).unwrap_or(0));
            }
        }
    }
}

/// UnstripIPHeader: puts the outermost IP header back on.
///
/// ```click
/// UnstripIPHeader
/// ```
///
/// Puts back what was stripped from the network header annotation on. Packets that still have their
/// header, and those without the annotation, pass unchanged.
///
/// See Click's manual page UnstripIPHeader(n).
pub(crate) struct UnstripIPHeader;

impl Configure for UnstripIPHeader {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self)
    }
}

impl Element for UnstripIPHeader {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            if let Some(start @ ..0) = packet.network_offset() {
                packet.prepend(start.unsigned_abs());
            }
        }
    }
}
