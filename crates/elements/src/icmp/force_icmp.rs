use sprat_click::arguments::Word;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::{IcmpMut, Ipv4Mut};
use sprat_packet::{Batch, Packet};

use super::names::{IcmpType, parse_code};

pub(super) const FORCE_ICMP: Class = Class::of::<ForceICMP>("ForceICMP");

/// ForceICMP: makes packets look like ICMP.
///
/// ```click
/// ForceICMP(TYPE, CODE)
/// ```
///
/// For streams of random packets, to try what others make of them. Writes type and code, numbers or names
/// such as `unreachable` and `port`, and makes the checksum anew. Packets need their network header
/// annotation set; those that are too short for ICMP, or for what their IP header says, are dropped and
/// reported as `bad lengths`.
///
/// See Click's class ForceICMP, of its folder `local`.
pub(crate) struct ForceICMP {
    kind: u8,
    code: u8,
}

impl Configure for ForceICMP {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let kind = arguments.required("TYPE").map(|IcmpType(kind)| kind);
        let code = arguments.required::<Word>("CODE");
        arguments.finish()?;
        let (kind, Word(code)) = (kind?, code?);
        let code = parse_code(kind, &code, arguments.names())
            .map_err(|_| arguments.error("argument 2 takes ICMP code"))?;
        Ok(Self { kind, code })
    }
}

impl ForceICMP {
    fn force(&self, packet: &mut Packet) -> Option<()> {
        let mut ip = Ipv4Mut::new(packet.network_header_mut()?).ok()?;
        let length = usize::from(ip.total_length()).checked_sub(ip.header_length())?;
        let message = ip.payload_mut();
        if message.len() < length {
            return None;
        }
        let mut icmp = IcmpMut::new(message).ok()?;
        icmp.set_kind(self.kind);
        icmp.set_code(self.code);
        icmp.fill_checksum();
        Some(())
    }
}

impl Element for ForceICMP {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.retain(|packet| {
            let forced = self.force(packet).is_some();
            if !forced {
                context.chatter(format_args!("ForceICMP: bad lengths"));
            }
            forced
        });
    }
}
