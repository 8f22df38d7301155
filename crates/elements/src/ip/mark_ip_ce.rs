use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::checksum::update_u16;
use sprat_packet::headers::Ipv4Mut;
use sprat_packet::{Batch, Packet};

pub(super) const MARK_IP_CE: Class = Class::of::<MarkIPCE>("MarkIPCE");

/// MarkIPCE: tells the receivers of IP packets of congestion.
///
/// ```click
/// MarkIPCE([FORCE])
/// ```
///
/// Sets the congestion bits to Congestion Experienced (RFC 3168) and mends the checksum. Packets whose
/// sender does not understand that (bits of zero) are dropped unless FORCE is true; so are packets
/// without a network header annotation.
///
/// Handlers: `drops` (read): packets dropped.
///
/// See Click's manual page MarkIPCE(n).
pub(crate) struct MarkIPCE {
    force: bool,
    drops: u64,
}

const CONGESTION_EXPERIENCED: u8 = 3;

/// Marks a packet; returns whether that could be done.
fn mark(packet: &mut Packet, force: bool) -> bool {
    let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) else {
        return false;
    };
    if ip.ecn() == 0 && !force {
        return false;
    }
    let old = ip.type_of_service();
    let new = old | CONGESTION_EXPERIENCED;
    let checksum = update_u16(ip.checksum(), u16::from(old), u16::from(new));
    ip.set_type_of_service(new);
    ip.set_checksum(checksum);
    true
}

impl Configure for MarkIPCE {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let force = arguments.position("FORCE").unwrap_or(false);
        arguments.finish()?;
        Ok(Self { force, drops: 0 })
    }
}

impl Element for MarkIPCE {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        let came = batch.len();
        batch.retain(|packet| mark(packet, self.force));
        self.drops += (came - batch.len()) as u64;
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.drops.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}
