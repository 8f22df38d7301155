use alloc::string::{String, ToString};

use sprat_click::arguments::Argument;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;

use super::check_ip_header::{AddressList, HeaderChecker};

pub(super) const IP_INPUT_COMBO: Class = Class::of::<IPInputCombo>("IPInputCombo");

/// IPInputCombo: what a router does with a frame that comes in, in one element.
///
/// ```click
/// IPInputCombo(COLOR [, BADSRC, keywords INTERFACES, BADSRC, GOODDST])
/// ```
///
/// The same as `Paint(COLOR) -> Strip(14) -> CheckIPHeader(BADSRC) -> GetIPAddress(16)`. Bad packets are
/// dropped, and the first is reported. The keywords are CheckIPHeader's; BADSRC as the second argument
/// has 0.0.0.0 and 255.255.255.255 besides.
///
/// Handlers: `drops` (read) bad packets.
///
/// See Click's manual page IPInputCombo(n).
pub(crate) struct IPInputCombo {
    color: u8,
    checker: HeaderChecker,
    drops: u64,
}

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

impl Configure for IPInputCombo {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let color = arguments.required("COLOR");
        let mut checker = HeaderChecker::configure(arguments);
        let list = arguments.position_with("BADSRC", |text, names| {
            AddressList::parse(text.trim_matches('"'), names)
        });
        if let Some(list) = list {
            checker.reject_sources(&list.0);
        }
        arguments.finish()?;
        Ok(Self {
            color: color?,
            checker,
            drops: 0,
        })
    }
}

impl Element for IPInputCombo {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let Self {
            color,
            checker,
            drops,
        } = self;
        batch.filter(|mut packet| {
            packet.set_paint(*color);
            packet.set_mac_header(0);
            packet.strip(ETHERNET);
            if checker.check(&mut packet, 0).is_ok() {
                return Some(packet);
            }
            if *drops == 0 {
                // Whatever is wrong, Click says this.
                context.chatter(format_args!("IP checksum failed"));
            }
            *drops += 1;
            None
        });
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
