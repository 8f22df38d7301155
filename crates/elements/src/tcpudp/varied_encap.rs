use alloc::format;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use sprat_click::arguments::{Argument, Names, split_words};
use sprat_click::{Arguments, Class, Configuration, Configure, Context, Element, Rejected};
use sprat_packet::Batch;
use sprat_packet::headers::{Ipv4Fields, UdpFields, protocol};

use super::udp_ip_encap::put_before;

pub(super) const RANDOM_UDP_IP_ENCAP: Class = Class::of::<VariedEncap>("RandomUDPIPEncap");
pub(super) const ROUND_ROBIN_UDP_IP_ENCAP: Class = Class::of::<VariedEncap>("RoundRobinUDPIPEncap");

/// RandomUDPIPEncap, RoundRobinUDPIPEncap: put one of several UDP and IP headers in front of packets.
///
/// ```click
/// RandomUDPIPEncap(SADDR SPORT DADDR DPORT PROB [CHECKSUM?], ...)
/// RoundRobinUDPIPEncap(SADDR SPORT DADDR DPORT [CHECKSUM?], ...)
/// ```
///
/// RandomUDPIPEncap chooses one of up to 16 headers each time, as often as its PROB is of all their sum;
/// RoundRobinUDPIPEncap takes them in turn. They go from SADDR and SPORT to DADDR, which becomes the
/// destination annotation, and DPORT. Time to live is 250, identifications count up from zero, of each by
/// itself. The UDP checksum is made unless CHECKSUM? is false.
///
/// See Click's classes RandomUDPIPEncap and RoundRobinUDPIPEncap, of its folder `local`.
struct VariedEncap {
    headers: Vec<Header>,
    /// Of all headers' shares, the sum; zero where they have their turns.
    shares: u32,
    next: usize,
}

struct Header {
    network: Ipv4Fields,
    transport: UdpFields,
    checksum: bool,
    share: u32,
}

/// Headers that RandomUDPIPEncap may have.
const MOST: usize = 16;

impl Header {
    fn parse(text: &str, random: bool, names: &dyn Names) -> Option<Self> {
        let words = split_words(text);
        let (ends, rest) = words.split_at_checked(4)?;
        let (share, rest) = match rest.split_first() {
            Some((share, rest)) if random => (u32::parse(share, names).ok()?, rest),
            _ if random => return None,
            _ => (0, rest),
        };
        let checksum = match rest {
            [] => true,
            [checksum] => bool::parse(checksum, names).ok()?,
            _ => return None,
        };
        let address = |text: &str| Ipv4Addr::parse(text, names).ok();
        let port = |text: &str| u16::parse(text, names).ok();
        Some(Self {
            network: Ipv4Fields {
                type_of_service: 0,
                total_length: 0,
                identification: 0,
                flags_and_offset: 0,
                time_to_live: 250,
                protocol: protocol::UDP,
                source: address(&ends[0])?,
                destination: address(&ends[2])?,
            },
            transport: UdpFields {
                source_port: port(&ends[1])?,
                destination_port: port(&ends[3])?,
                length: 0,
                checksum: 0,
            },
            checksum,
            share,
        })
    }
}

impl Configure for VariedEncap {
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected> {
        let class = configuration.class_of(configuration.id());
        let random = class.name == RANDOM_UDP_IP_ENCAP.name;
        let names = arguments.names();
        let items = arguments.rest();
        let mut headers = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match Header::parse(item, random, names) {
                Some(header) => headers.push(header),
                None => {
                    let share = if random { " PROB" } else { "" };
                    arguments.error(format!(
                        "argument {index} should be 'SADDR SPORT DADDR DPORT{share} [CHECKSUM?]'"
                    ));
                }
            }
        }
        if items.is_empty() {
            arguments.error("too few arguments");
        } else if random && items.len() > MOST {
            arguments.error("too many arguments");
        }
        let shares = headers
            .iter()
            .try_fold(0_u32, |sum, header| sum.checked_add(header.share));
        let usable = !random || matches!(shares, Some(1..));
        if !usable && headers.len() == items.len() && !items.is_empty() {
            arguments.error("the sum of all PROBs must be between 1 and 4294967295");
        }
        arguments.finish()?;
        Ok(Self {
            headers,
            shares: shares.unwrap_or(0),
            next: 0,
        })
    }
}

impl VariedEncap {
    /// The header for the next packet.
    fn choose(&mut self, context: &Context<'_>) -> Option<&mut Header> {
        let index = if self.shares == 0 {
            let index = self.next;
            self.next = (index + 1) % self.headers.len();
            index
        } else {
            let mut chance = context.random_below(self.shares);
            self.headers.iter().position(|header| {
                let hit = chance < header.share;
                chance = chance.wrapping_sub(header.share);
                hit
            })?
        };
        self.headers.get_mut(index)
    }
}

impl Element for VariedEncap {
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {
        for packet in batch.iter_mut() {
            if let Some(header) = self.choose(context) {
                let Header {
                    network,
                    transport,
                    checksum,
                    ..
                } = header;
                put_before(packet, network, transport, *checksum);
            }
        }
    }
}
