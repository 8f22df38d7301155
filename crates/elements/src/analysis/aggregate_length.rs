use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;
use sprat_packet::annotations::{AGGREGATE, EXTRA_LENGTH};

pub(super) const AGGREGATE_LENGTH: Class = Class::of::<AggregateLength>("AggregateLength")
    .ports("1/1-2")
    .processing("a/ah");

/// AggregateLength: sets the aggregate annotation to the packet's length.
///
/// ```click
/// AggregateLength([keyword IP])
/// ```
///
/// The extra length annotation counts in.
///
/// - IP: whether only bytes from the IP header on count; false. Packets in which none is marked
///   then leave by output 1 if there is one.
///
/// See Click's manual page AggregateLength(n).
struct AggregateLength {
    ip: bool,
}

impl Configure for AggregateLength {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let ip = arguments.keyword("IP").unwrap_or(false);
        arguments.finish()?;
        Ok(Self { ip })
    }
}

impl Element for AggregateLength {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|mut packet| {
            let length = if self.ip {
                packet.network_header().map(<[u8]>::len)
            } else {
                Some(packet.len())
            };
            let Some(length) = length else {
                context.emit(1, packet);
                return None;
            };
            let extra = packet.annotations().word(EXTRA_LENGTH);
            let length = u32::try_from(length)
                .unwrap_or(u32::MAX)
                .saturating_add(extra);
            packet.set_annotation_word(AGGREGATE, length);
            Some(packet)
        });
    }
}
