use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::Ipv6Mut;
use sprat_packet::{Batch, Packet};

use crate::ip::divert::divert;

pub(super) const DEC_IP6_HLIM: Class = Class::of::<DecIp6Hlim>("DecIP6HLIM")
    .ports("1/1-2")
    .processing("a/ah");

/// DecIP6HLIM: takes one from the hop limit of IPv6 packets.
///
/// ```click
/// DecIP6HLIM()
/// ```
///
/// Packets whose hop limit is 1 or 0 leave by output 1 unchanged, where it is used, and are dropped
/// otherwise; connect it to an ICMP6Error. Packets need their network header annotation set; those without
/// are dropped too.
///
/// Handlers: `drops` (read) expired packets.
///
/// See Click's manual page DecIP6HLIM(n).
struct DecIp6Hlim {
    drops: u64,
}

impl Configure for DecIp6Hlim {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self { drops: 0 })
    }
}

/// Takes one from the hop limit; an error if the packet has no more hops, or no header.
fn pass(packet: &mut Packet) -> Result<(), ()> {
    let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv6Mut::new) else {
        return Err(());
    };
    let hops = ip.hop_limit();
    if hops <= 1 {
        return Err(());
    }
    ip.set_hop_limit(hops - 1);
    Ok(())
}

impl Element for DecIp6Hlim {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        divert(batch, pass, |packet, ()| {
            self.drops += 1;
            context.emit(1, packet);
        });
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.drops.to_string())
    }
}
