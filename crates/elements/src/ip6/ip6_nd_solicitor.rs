use alloc::format;
use alloc::string::String;
use core::net::Ipv6Addr;
use core::time::Duration;

use hashbrown::HashMap;
use sprat_click::collections::sort_by_key;
use sprat_click::{
    Arguments, Class, Configuration, Configure, Context, Element, HandlerError, HandlerList,
    Instant, Rejected,
};
use sprat_packet::headers::{EthernetFields, ethertype, icmpv6_type};
use sprat_packet::{Batch, EtherAddress, Packet};

use super::neighbour::{Message, SOURCE_LINK_ADDRESS, group_address, hear, solicited_group};

pub(super) const IP6_ND_SOLICITOR: Class = Class::of::<Ip6NdSolicitor>("IP6NDSolicitor")
    .ports("2/1-2")
    .processing("h/h")
    .flow("xy/x");

/// IP6NDSolicitor: puts Ethernet headers before IPv6 packets, with addresses found by neighbour discovery.
///
/// ```click
/// IP6NDSolicitor(IP6, ETH)
/// ```
///
/// IP6 and ETH are this host's addresses. Input 0 takes IPv6 packets whose destination annotation is set to
/// the next hop. If its Ethernet address is known they go to output 0 at once; if not, one packet waits, and a
/// solicitation goes to output 1, or to output 0 where that is all there is, at most once a second for one
/// address. Input 1 takes advertisements with their Ethernet header. Packets to multicast addresses get the
/// Ethernet addresses that go with them (RFC 2464, section 7).
///
/// An address still in use is asked for again after a minute, and forgotten after five without an answer.
///
/// Handlers: `table` (read): address, whether it is known, Ethernet address, a line each; `stats` (read).
///
/// See Click's manual page IP6NDSolicitor(n).
struct Ip6NdSolicitor {
    own: Ipv6Addr,
    address: EtherAddress,
    neighbours: HashMap<Ipv6Addr, Neighbour>,
    solicitations: u64,
    drops: u64,
}

struct Neighbour {
    address: EtherAddress,
    known: bool,
    /// When it last advertised itself or, before that, was first wanted.
    live: Instant,
    asked: Option<Instant>,
    waiting: Option<Packet>,
}

/// An address is asked for no more often than this (RFC 4861, section 10: RetransTimer).
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// How long an address is used before it is asked for again.
const POLL: Duration = Duration::from_secs(60);
/// How long an address is kept that nobody answers for.
const KEEP: Duration = Duration::from_secs(300);
/// How often those are looked for.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(15);

impl Configure for Ip6NdSolicitor {
    fn configure(arguments: &mut Arguments<'_>, _: &Configuration<'_>) -> Result<Self, Rejected> {
        let own = arguments.required("IP6");
        let address = arguments.required("ETH");
        arguments.finish()?;
        Ok(Self {
            own: own?,
            address: address?,
            neighbours: HashMap::new(),
            solicitations: 0,
            drops: 0,
        })
    }
}

impl Ip6NdSolicitor {
    fn encapsulate(&self, packet: &mut Packet, destination: EtherAddress) {
        let header = EthernetFields {
            source: self.address,
            destination,
            ethertype: ethertype::IPV6,
        };
        packet.prepend(14).copy_from_slice(&header.to_bytes());
        packet.set_mac_header(0);
    }

    fn solicit(&mut self, context: &mut Context<'_>, target: Ipv6Addr) {
        let group = solicited_group(target);
        let message = Message {
            link: (self.address, group_address(group)),
            source: self.own,
            destination: group,
            kind: icmpv6_type::NEIGHBOUR_SOLICITATION,
            flags: 0,
            target,
            option: SOURCE_LINK_ADDRESS,
            link_address: self.address,
        };
        if let Some(packet) = message.frame(context.pool()) {
            self.solicitations += 1;
            context.emit(context.outputs() - 1, packet);
        }
    }

    /// Handles one packet; returns it where it can go on.
    fn resolve(
        &mut self,
        context: &mut Context<'_>,
        now: Instant,
        mut packet: Packet,
    ) -> Option<Packet> {
        let destination = packet.annotations().destination6();
        if destination.is_multicast() {
            self.encapsulate(&mut packet, group_address(destination));
            return Some(packet);
        }
        if destination.is_unspecified() {
            self.drops += 1;
            return None;
        }
        let neighbour = self.neighbours.entry(destination).or_insert(Neighbour {
            address: EtherAddress::default(),
            known: false,
            live: now,
            asked: None,
            waiting: None,
        });
        let wanted = !neighbour.known || now - neighbour.live >= POLL;
        let ask = wanted
            && neighbour
                .asked
                .is_none_or(|asked| now - asked >= ASK_INTERVAL);
        if ask {
            neighbour.asked = Some(now);
        }
        let known = neighbour.known.then_some(neighbour.address);
        let passed = match known {
            Some(address) => {
                self.encapsulate(&mut packet, address);
                Some(packet)
            }
            None => {
                self.drops += u64::from(neighbour.waiting.replace(packet).is_some());
                None
            }
        };
        if ask {
            self.solicit(context, destination);
        }
        passed
    }

    fn learn(&mut self, context: &mut Context<'_>, frame: &[u8]) {
        let Some(heard) = hear(frame) else {
            return;
        };
        let address = heard.link_address.unwrap_or(heard.link_source);
        if heard.kind != icmpv6_type::NEIGHBOUR_ADVERTISEMENT || address.is_group() {
            return;
        }
        // Who was not asked for is not believed.
        let Some(neighbour) = self.neighbours.get_mut(&heard.target) else {
            return;
        };
        neighbour.address = address;
        neighbour.known = true;
        neighbour.live = context.now();
        neighbour.asked = None;
        if let Some(mut packet) = neighbour.waiting.take() {
            self.encapsulate(&mut packet, address);
            context.emit(0, packet);
        }
    }

    fn expire(&mut self, context: &Context<'_>) {
        let now = context.now();
        let drops = &mut self.drops;
        self.neighbours.retain(|_, neighbour| {
            let keep = now - neighbour.live < KEEP;
            *drops += u64::from(!keep && neighbour.waiting.is_some());
            keep
        });
        context.set_timer_after(0, EXPIRE_INTERVAL);
    }
}

impl Element for Ip6NdSolicitor {
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        context.set_timer_after(0, EXPIRE_INTERVAL);
        Ok(())
    }

    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        if port == 1 {
            for packet in batch.iter() {
                self.learn(context, packet.data());
            }
            return;
        }
        let now = context.now();
        batch.filter(|packet| self.resolve(context, now, packet));
        context.forward(0, batch);
    }

    fn run_timer(&mut self, context: &mut Context<'_>, _: usize) {
        self.expire(context);
    }

    fn handlers(&self, list: &mut HandlerList) {
        list.read("table").read("stats");
    }

    fn read(&mut self, _: &mut Context<'_>, name: &str, _: &str) -> Result<String, HandlerError> {
        if name == "stats" {
            return Ok(format!(
                "{} packets killed\n{} ND Solicitation Message sent\n",
                self.drops, self.solicitations
            ));
        }
        let mut lines: alloc::vec::Vec<_> = self.neighbours.iter().collect();
        sort_by_key(&mut lines, |(ip, _)| **ip);
        Ok(lines
            .into_iter()
            .map(|(ip, neighbour)| {
                format!("{ip} {} {}\n", u8::from(neighbour.known), neighbour.address)
            })
            .collect())
    }

    fn take_state(&mut self, _: &mut Context<'_>, old: &mut dyn Element) {
        if let Some(old) = old.downcast_mut::<Self>() {
            self.neighbours = core::mem::take(&mut old.neighbours);
        }
    }
}
