use alloc::format;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

use sprat_click::arguments::{Argument, Ipv6Prefix, Names, split_words};
use sprat_click::collections::sort_by_key;
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::headers::icmpv6_type;
use sprat_packet::{Batch, EtherAddress, Packet};

use super::neighbour::{Message, TARGET_LINK_ADDRESS, group_address, hear};

pub(super) const IP6_ND_ADVERTISER: Class = Class::of::<Ip6NdAdvertiser>("IP6NDAdvertiser");

/// IP6NDAdvertiser: answers neighbour solicitations.
///
/// ```click
/// IP6NDAdvertiser(IP6/MASK [IP6/MASK...] ETH, IP6/MASK [...] ETH, ...)
/// ```
///
/// A solicitation for an address that one of the prefixes covers is answered with an advertisement of the
/// Ethernet address that goes with it; the longest prefix counts. Everything else is dropped. Frames come
/// with their Ethernet header. The answer goes to who asked, or to all nodes where it asked from no address
/// (RFC 4861, section 7.2.4), and says that this is a router. Prefixes of any length make it a proxy for
/// networks.
///
/// See Click's manual page IP6NDAdvertiser(n).
struct Ip6NdAdvertiser {
    /// The longest prefixes first.
    entries: Vec<(Ipv6Prefix, EtherAddress)>,
}

/// The flags of an advertisement: from a router, solicited, to override what was known before.
const ROUTER: u32 = 1 << 31;
const SOLICITED: u32 = 1 << 30;
const OVERRIDE: u32 = 1 << 29;

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Reads the entries of one argument.
fn parse_entries(
    text: &str,
    number: usize,
    names: &dyn Names,
) -> Result<Vec<(Ipv6Prefix, EtherAddress)>, alloc::string::String> {
    let mut prefixes = Vec::new();
    let mut address = None;
    for word in split_words(text) {
        if let Ok(prefix) = Ipv6Prefix::parse(&word, names) {
            prefixes.push(prefix);
        } else if let Ok(host) = Ipv6Addr::parse(&word, names) {
            prefixes.push(Ipv6Prefix {
                address: host,
                length: 128,
            });
        } else if let Ok(found) = EtherAddress::parse(&word, names) {
            if address.replace(found).is_some() {
                return Err(format!(
                    "argument {number} has more than one Ethernet address"
                ));
            }
        } else {
            return Err(format!("argument {number} should be `IP6/MASK ETHADDR'"));
        }
    }
    let Some(address) = address else {
        return Err(format!("argument {number} had no Ethernet address"));
    };
    if prefixes.is_empty() {
        return Err(format!("argument {number} had no IP6 address and masks"));
    }
    Ok(prefixes
        .into_iter()
        .map(|prefix| (prefix, address))
        .collect())
}

impl Configure for Ip6NdAdvertiser {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let mut entries = Vec::new();
        let names = arguments.names();
        for (number, text) in arguments.rest().iter().enumerate() {
            match parse_entries(text, number, names) {
                Ok(mut more) => entries.append(&mut more),
                Err(message) => {
                    arguments.error(message);
                }
            }
        }
        arguments.finish()?;
        sort_by_key(&mut entries, |(prefix, _)| {
            core::cmp::Reverse(prefix.length)
        });
        Ok(Self { entries })
    }
}

impl Ip6NdAdvertiser {
    fn answer(&self, context: &Context<'_>, packet: &Packet) -> Option<Packet> {
        let heard = hear(packet.data())?;
        if heard.kind != icmpv6_type::NEIGHBOUR_SOLICITATION {
            return None;
        }
        let (_, address) = self
            .entries
            .iter()
            .find(|(prefix, _)| prefix.contains(heard.target))?;
        let anonymous = heard.source.is_unspecified();
        let (destination, link, solicited) = if anonymous {
            (ALL_NODES, group_address(ALL_NODES), 0)
        } else {
            let link = heard.link_address.unwrap_or(heard.link_source);
            (heard.source, link, SOLICITED)
        };
        Message {
            link: (*address, link),
            source: heard.target,
            destination,
            kind: icmpv6_type::NEIGHBOUR_ADVERTISEMENT,
            flags: ROUTER | solicited | OVERRIDE,
            target: heard.target,
            option: TARGET_LINK_ADDRESS,
            link_address: *address,
        }
        .frame(context.pool())
    }
}

impl Element for Ip6NdAdvertiser {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        batch.filter(|packet| self.answer(context, &packet));
    }
}
