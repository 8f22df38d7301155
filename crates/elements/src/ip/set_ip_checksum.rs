use alloc::string::{String, ToString};

use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::Batch;
use sprat_packet::headers::Ipv4Mut;

pub(super) const SET_IP_CHECKSUM: Class = Class::of::<SetIPChecksum>("SetIPChecksum");

/// SetIPChecksum: makes the checksum of IP headers anew.
///
/// ```click
/// SetIPChecksum
/// ```
///
/// The header is the marked one, or, where none is, what the packet begins with. Packets without a whole
/// header are dropped.
///
/// Handlers: `drops` (read) packets dropped.
///
/// See Click's manual page SetIPChecksum(n).
pub(crate) struct SetIPChecksum {
    drops: u64,
}

impl Configure for SetIPChecksum {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        arguments.finish()?;
        Ok(Self { drops: 0 })
    }
}

impl Element for SetIPChecksum {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        batch.retain(|packet| {
            let bytes = match packet.network_offset() {
                Some(_) => packet.network_header_mut().unwrap_or_default(),
                None => packet.data_mut(),
            };
            let Ok(mut ip) = Ipv4Mut::new(bytes) else {
                self.drops += 1;
                return false;
            };
            ip.fill_checksum();
            true
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
