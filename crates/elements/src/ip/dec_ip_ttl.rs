use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::Ipv4Mut;
use sprat_packet::{Batch, Packet};

use super::divert::divert;

pub(super) const DEC_IP_TTL: Class = Class::of::<DecIPTTL>("DecIPTTL")
    .ports("1/1-2")
    .processing("a/ah")
    .reconfigurable();

/// DecIPTTL: takes one from the time to live of IP packets.
///
/// ```click
/// DecIPTTL([keywords ACTIVE, MULTICAST])
/// ```
///
/// Packets whose time to live is 1 or 0 leave by output 1 unchanged, where it is used, and are dropped
/// otherwise; connect it to an ICMPError. The checksum of the others is mended as RFC 1624 has it.
/// Packets need their network header annotation set; those without are dropped too.
///
/// - ACTIVE: whether anything is done at all; true.
/// - MULTICAST: whether packets to multicast addresses lose one too; true.
///
/// Handlers: `drops` (read) expired packets; `active` (read, write).
///
/// See Click's manual page DecIPTTL(n).
pub(crate) struct DecIPTTL {
    hop: Hop,
    drops: u64,
}

/// The decrement itself, which other elements do as part of their work.
pub(super) struct Hop {
    active: bool,
    multicast: bool,
}

impl Hop {
    pub(super) const ALL: Self = Self {
        active: true,
        multicast: true,
    };

    /// Takes one from the time to live; false if the packet has no more hops, or no header.
    #[inline]
    pub(super) fn pass(&self, packet: &mut Packet) -> bool {
        if !self.active {
            return true;
        }
        let Some(Ok(mut ip)) = packet.network_header_mut().map(Ipv4Mut::new) else {
            return false;
        };
        if !self.multicast && ip.destination().is_multicast() {
            return true;
        }
        let alive = ip.time_to_live() > 1;
        if alive {
            ip.decrement_time_to_live();
        }
        alive
    }
}

impl Configure for DecIPTTL {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let active = arguments.keyword("ACTIVE").unwrap_or(true);
        let multicast = arguments.keyword("MULTICAST").unwrap_or(true);
        arguments.finish()?;
        Ok(Self {
            hop: Hop { active, multicast },
            drops: 0,
        })
    }
}

impl Element for DecIPTTL {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let Self { hop, drops } = self;
        divert(
            batch,
            |packet| if hop.pass(packet) { Ok(()) } else { Err(()) },
            |packet, ()| {
                *drops += 1;
                context.emit(1, packet);
            },
        );
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops").read_write("active");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.drops.to_string()),
            "active" => Ok(self.hop.active.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        match name {
            "active" => self.hop.active = crate::handler_value(context, value)?,
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
