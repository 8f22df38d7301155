use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use sprat_click::arguments::{Argument, ArgumentError, Names, split_words};
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Rejected,
};
use sprat_packet::headers::Ipv6;
use sprat_packet::{Batch, Packet};

use crate::ip::divert::divert;

pub(super) const CHECK_IP6_HEADER: Class = Class::of::<CheckIp6Header>("CheckIP6Header")
    .ports("1/1-2")
    .processing("a/ah");
pub(super) const CHECK_IP6_HEADER_2: Class = CHECK_IP6_HEADER.named("CheckIP6Header2");

/// CheckIP6Header, CheckIP6Header2: checks IPv6 headers.
///
/// ```click
/// CheckIP6Header([BADADDRS, OFFSET])
/// ```
///
/// Takes packets whose IPv6 header begins OFFSET bytes in (0), and checks the version, that the packet is
/// as long as the header states, and that the source is no multicast address and none of BADADDRS. Good
/// packets leave by output 0 with the network header and the destination annotation set, cut to the length
/// that the header states. Bad ones leave by output 1 where it is used and are dropped otherwise; the first
/// is reported.
///
/// - BADADDRS: addresses, set apart by spaces, which no source may be; none.
///
/// Handlers: `drops` (read).
///
/// See Click's manual page CheckIP6Header(n).
struct CheckIp6Header {
    offset: usize,
    bad_sources: Vec<Ipv6Addr>,
    drops: u64,
}

/// Addresses set apart by spaces.
#[derive(Default)]
struct AddressList(Vec<Ipv6Addr>);

impl Argument for AddressList {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        split_words(text)
            .iter()
            .map(|word| Ipv6Addr::parse(word, names))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Configure for CheckIp6Header {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let AddressList(bad_sources) = arguments.position("BADADDRS").unwrap_or_default();
        let offset = arguments.position("OFFSET").unwrap_or(0);
        arguments.finish()?;
        Ok(Self {
            offset,
            bad_sources,
            drops: 0,
        })
    }
}

impl CheckIp6Header {
    fn check(&self, packet: &mut Packet) -> Option<()> {
        let bytes = packet.data().get(self.offset..)?;
        let ip = Ipv6::new(bytes).ok()?;
        let length = Ipv6::LENGTH + usize::from(ip.payload_length());
        let (source, destination) = (ip.source(), ip.destination());
        if length > bytes.len() || source.is_multicast() || self.bad_sources.contains(&source) {
            return None;
        }
        packet.truncate(self.offset + length);
        packet.set_network_header(self.offset, Ipv6::LENGTH);
        packet.set_destination6(destination);
        Some(())
    }
}

impl Element for CheckIp6Header {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        let mut drops = self.drops;
        divert(
            batch,
            |packet| self.check(packet).ok_or(()),
            |packet, ()| {
                if drops == 0 {
                    context.chatter(format_args!("IP6 header check failed"));
                }
                drops += 1;
                context.emit(1, packet);
            },
        );
        self.drops = drops;
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("drops");
    }

    fn read(&mut self, _: &mut Context<'_>, _: &str, _: &str) -> Result<String, HandlerError> {
        Ok(self.drops.to_string())
    }
}
