use core::net::Ipv6Addr;

use sprat_click::arguments::Ipv6Prefix;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;

use super::translate::{Direction, Embedding, translate};

pub(super) const PROTOCOL_TRANSLATOR_46: Class =
    Class::of::<ProtocolTranslator>("ProtocolTranslator46");
pub(super) const PROTOCOL_TRANSLATOR_64: Class =
    PROTOCOL_TRANSLATOR_46.named("ProtocolTranslator64");

/// ProtocolTranslator46, ProtocolTranslator64: turn IPv4 packets into IPv6 packets, or back.
///
/// ```click
/// ProtocolTranslator46([keyword PREFIX])
/// ProtocolTranslator64([keyword PREFIX])
/// ```
///
/// Headers are translated as RFC 7915 says, ICMP messages and the packets that errors quote too, and
/// checksums are mended. An IPv4 address becomes the last 32 bits of an IPv6 address behind PREFIX, and the
/// other way round; IPv4-mapped addresses (`::ffff:a.b.c.d`) are understood too. The destination annotation
/// is set. Packets that have no translation are dropped: those from or to other addresses, fragments of
/// ICMP and of UDP without a checksum. Packets need their network header annotation set. With
/// AddressTranslator in front they make a NAT64.
///
/// - PREFIX: 96 bits of address, such as `64:ff9b::/96` (RFC 6052); `::/96`.
///
/// See Click's manual pages ProtocolTranslator46(n) and ProtocolTranslator64(n).
struct ProtocolTranslator {
    direction: Direction,
    embedding: Embedding,
}

impl Configure for ProtocolTranslator {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let prefix = arguments.keyword("PREFIX").unwrap_or(Ipv6Prefix {
            address: Ipv6Addr::UNSPECIFIED,
            length: 96,
        });
        if prefix.length != 96 {
            arguments.error("PREFIX: expected 96 bits");
        }
        arguments.finish()?;
        let direction = match configuration.class_of(configuration.id()).name {
            "ProtocolTranslator46" => Direction::ToIpv6,
            _ => Direction::ToIpv4,
        };
        Ok(Self {
            direction,
            embedding: Embedding(prefix),
        })
    }
}

impl Element for ProtocolTranslator {
    fn process(&mut self, _: &mut Context<'_>, batch: &mut Batch) {
        let Self {
            direction,
            embedding,
        } = *self;
        batch.filter(|mut packet| translate(&mut packet, direction, embedding).then_some(packet));
    }
}
