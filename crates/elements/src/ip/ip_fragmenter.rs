use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::Ipv4;
use sprat_packet::{Batch, Packet};

use super::fragment::{fragment, is_too_long};

pub(super) const IP_FRAGMENTER: Class = Class::of::<IPFragmenter>("IPFragmenter")
    .ports("1/1-2")
    .processing("h/h");

/// IPFragmenter: cuts long IP packets into fragments.
///
/// ```click
/// IPFragmenter(MTU [, HONOR_DF, VERBOSE, keyword HEADROOM])
/// ```
///
/// Packets of at most MTU bytes, counted from the IP header, pass unchanged. Longer ones leave as
/// fragments, the first first, with all annotations. If their "don't fragment" bit is set they leave by
/// output 1 where it is used, and are dropped otherwise; connect it to `ICMPError(ADDR, unreachable,
/// needfrag)`. What stands before the IP header stays with the first fragment only, so strip link headers
/// first.
///
/// - HONOR_DF: false ignores the "don't fragment" bit; true.
/// - VERBOSE: report every packet that is not cut, not just the first five; false.
/// - HEADROOM: bytes left free before each new packet.
///
/// Handlers: `drops` (read) packets that could not be cut; `fragments` (read) fragments made.
///
/// See Click's manual page IPFragmenter(n).
pub(crate) struct IPFragmenter {
    mtu: usize,
    honor_dont_fragment: bool,
    verbose: bool,
    headroom: Option<usize>,
    drops: u64,
    fragments: u64,
    later: Batch,
}

impl Configure for IPFragmenter {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mtu = arguments.required::<u32>("MTU");
        let honor_dont_fragment = arguments.position("HONOR_DF").unwrap_or(true);
        let verbose = arguments.position("VERBOSE").unwrap_or(false);
        let headroom = arguments.keyword::<u16>("HEADROOM").map(usize::from);
        if mtu.is_ok_and(|mtu| mtu < 8) {
            arguments.error("MTU must be at least 8");
        }
        arguments.finish()?;
        Ok(Self {
            mtu: mtu? as usize,
            honor_dont_fragment,
            verbose,
            headroom,
            drops: 0,
            fragments: 0,
            later: Batch::new(),
        })
    }
}

impl IPFragmenter {
    fn cut(&mut self, context: &mut Context<'_>, packet: Packet) {
        let Self {
            mtu,
            honor_dont_fragment,
            headroom,
            later,
            ..
        } = self;
        let result = fragment(
            context,
            packet,
            *mtu,
            *honor_dont_fragment,
            *headroom,
            later,
            |context, part| {
                context.emit(0, part);
            },
        );
        match result {
            Ok(parts) => self.fragments += parts as u64,
            Err(packet) => {
                self.drops += 1;
                if self.verbose || self.drops <= 5 {
                    self.tell(context, &packet);
                }
                context.emit(1, packet);
            }
        }
    }
}

impl IPFragmenter {
    /// Says which packet could not be cut.
    #[cold]
    fn tell(&self, context: &Context<'_>, packet: &Packet) {
        let Some(Ok(ip)) = packet.network_header().map(Ipv4::new) else {
            return;
        };
        context.chatter(format_args!(
            "IPFragmenter({}) DF {} {} len={}",
            self.mtu,
            ip.source(),
            ip.destination(),
            packet.len()
        ));
    }
}

impl Element for IPFragmenter {
    fn push(&mut self, context: &mut Context<'_>, _: usize, batch: &mut Batch) {
        if !batch.iter().any(|packet| is_too_long(packet, self.mtu)) {
            context.forward(0, batch);
            return;
        }
        for packet in batch.drain() {
            if is_too_long(&packet, self.mtu) {
                self.cut(context, packet);
            } else {
                context.emit(0, packet);
            }
        }
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops").read("fragments");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        match name {
            "drops" => Ok(self.drops.to_string()),
            "fragments" => Ok(self.fragments.to_string()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }
}
