//! IPv6 addresses, routers and name servers from what routers advertise (RFC 4861, section 6; RFC
//! 4862, section 5.5; RFC 8106).
//!
//! Addresses are made of the Ethernet address; [neighbours](crate::neighbours) are asked whether
//! they have them already.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use sprat_devices::ChaCha;

use crate::neighbours::{Message, Own, frame};

const SECOND: u64 = 1_000_000_000;

/// How long to wait for an answer, the first time and at most (RFC 4861, section 10; RFC 7559).
const FIRST_WAIT: u64 = 4 * SECOND;
const LONGEST_WAIT: u64 = 3600 * SECOND;

/// An address that is in use is not given up sooner than this at the word of one advertisement,
/// which anybody on the link may forge (RFC 4862, section 5.5.3).
const TWO_HOURS: u64 = 7200 * SECOND;

/// Most addresses, routers and name servers that are kept of each.
const MOST: usize = 2;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;

/// Options of an advertisement.
const PREFIX: u8 = 3;
const NAME_SERVERS: u8 = 25;

/// Where they begin.
const ROUTER_OPTIONS: usize = 16;

/// Something that holds up to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    address: Ipv6Addr,
    until: u64,
}

/// The stack's own addresses on its link and on the networks of it, what routers have said, and when
/// they are asked again.
#[derive(Debug)]
pub(crate) struct Slaac {
    hardware: [u8; 6],
    /// Whether routers are listened to.
    listens: bool,
    /// The link-local one first.
    addresses: Vec<Own>,
    routers: Vec<Held>,
    name_servers: Vec<Held>,
    /// When to ask for an advertisement, and how long to wait for it then.
    ask_at: u64,
    wait: u64,
}

impl Slaac {
    /// Has a link-local address in mind; and is about to ask routers, where it `listens` to them.
    pub(crate) fn new(hardware: [u8; 6], listens: bool) -> Self {
        let link_local = made_of(LINK_LOCAL, hardware);
        Self {
            hardware,
            listens,
            addresses: [Own::new(link_local, u64::MAX)].into(),
            routers: Vec::new(),
            name_servers: Vec::new(),
            ask_at: if listens { 0 } else { u64::MAX },
            wait: FIRST_WAIT,
        }
    }

    pub(crate) fn listens(&self) -> bool {
        self.listens
    }

    /// The addresses that may be used, all on networks of 64 bits.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        let used = self.addresses.iter().filter(|own| own.is_used());
        used.map(|own| own.address)
    }

    /// Through whom other networks are reached.
    pub(crate) fn router(&self) -> Option<Ipv6Addr> {
        self.routers.first().map(|held| held.address)
    }

    pub(crate) fn name_servers(&self) -> impl Iterator<Item = IpAddr> {
        self.name_servers
            .iter()
            .map(|held| IpAddr::V6(held.address))
    }

    /// When [`Self::advance`] has something to do.
    pub(crate) fn due(&self) -> u64 {
        let held = [&self.routers, &self.name_servers];
        let ends = held.into_iter().flatten().map(|held| held.until);
        let own = self.addresses.iter().map(Own::due);
        ends.chain(own).fold(self.ask_at, u64::min)
    }

    /// Gives up what holds no longer, and asks neighbours and routers what there is to ask; whether
    /// there is anything less or more.
    pub(crate) fn advance(
        &mut self,
        now: u64,
        random: &mut ChaCha,
        mut ask: impl FnMut(&[u8]),
    ) -> bool {
        let mut changed = false;
        for held in [&mut self.routers, &mut self.name_servers] {
            let before = held.len();
            held.retain(|held| held.until > now);
            changed |= held.len() != before;
        }
        let before = self.addresses.len();
        self.addresses.retain(|own| own.until > now);
        changed |= self.addresses.len() != before;
        if changed && self.routers.is_empty() {
            self.ask_at = now;
            self.wait = FIRST_WAIT;
        }
        for own in &mut self.addresses {
            changed |= own.advance(now, self.hardware, random, &mut ask);
        }
        if self.ask_at <= now {
            self.ask_at = now.saturating_add(self.wait);
            self.wait = (self.wait * 2).min(LONGEST_WAIT);
            ask(&self.question());
        }
        changed
    }

    /// Takes an advertisement of a router; whether it was one.
    pub(crate) fn take(&mut self, message: &Message<'_>, now: u64) -> bool {
        let Some(lifetime) = router_lifetime(message).filter(|_| self.listens) else {
            return false;
        };
        self.ask_at = u64::MAX;
        hold(&mut self.routers, message.source, lasts(lifetime, now));
        for option in message.options(ROUTER_OPTIONS) {
            match *option {
                [PREFIX, 4, 64, flags, ref rest @ ..] if flags & 0x40 != 0 => {
                    self.take_prefix(rest, now);
                }
                [NAME_SERVERS, _, _, _, a, b, c, d, ref servers @ ..] => {
                    let until = lasts(u32::from_be_bytes([a, b, c, d]), now);
                    for server in servers.as_chunks::<16>().0 {
                        hold(&mut self.name_servers, Ipv6Addr::from(*server), until);
                    }
                }
                _ => {}
            }
        }
        true
    }

    /// The address that a neighbour says is its own, where it was to be the stack's.
    pub(crate) fn hear(&mut self, message: &Message<'_>, random: &mut ChaCha) -> Option<Ipv6Addr> {
        self.addresses.iter_mut().find_map(|own| {
            let address = own.address;
            let taken = own.hear(message, self.hardware, random);
            taken.then_some(address)
        })
    }

    /// Takes what follows the flags of a prefix of which addresses are made.
    fn take_prefix(&mut self, rest: &[u8], now: u64) {
        let &[a, b, c, d, e, f, g, h, _, _, _, _, ref prefix @ ..] = rest else {
            return;
        };
        let valid = u32::from_be_bytes([a, b, c, d]);
        let preferred = u32::from_be_bytes([e, f, g, h]);
        let Some(prefix) = prefix.first_chunk::<8>() else {
            return;
        };
        let address = made_of(*prefix, self.hardware);
        if preferred > valid || address.is_unicast_link_local() || address.is_multicast() {
            return;
        }
        let until = lasts(valid, now);
        let mut known = self.addresses.iter_mut();
        if let Some(own) = known.find(|own| own.address.octets().starts_with(prefix)) {
            let least = own.until.min(now.saturating_add(TWO_HOURS));
            own.until = until.max(least);
        } else if until > 0 && self.addresses.len() <= MOST {
            self.addresses.push(Own::new(address, until));
        }
    }

    /// A frame that asks all routers to advertise themselves (RFC 4861, section 4.1): nobody's as
    /// long as there is no address to send it from.
    fn question(&self) -> Vec<u8> {
        let [a, b, c, d, e, f] = self.hardware;
        let mut message = [
            ROUTER_SOLICITATION,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            1,
            1,
            a,
            b,
            c,
            d,
            e,
            f,
        ];
        let source = self.addresses().find(Ipv6Addr::is_unicast_link_local);
        let length = if source.is_some() { 16 } else { 8 };
        let source = source.unwrap_or(Ipv6Addr::UNSPECIFIED);
        frame(self.hardware, source, ALL_ROUTERS, &mut message[..length])
    }
}

/// Holds an address up to a moment, or gives it up where that has come.
fn hold(list: &mut Vec<Held>, address: Ipv6Addr, until: u64) {
    match list.iter().position(|held| held.address == address) {
        Some(at) if until == 0 => {
            list.remove(at);
        }
        Some(at) => list[at].until = until,
        None if until > 0 && list.len() < MOST => list.push(Held { address, until }),
        None => {}
    }
}

/// The end of a lifetime in seconds that begins now; zero of one of no length, and never of one
/// without end.
fn lasts(lifetime: u32, now: u64) -> u64 {
    match lifetime {
        0 => 0,
        u32::MAX => u64::MAX,
        _ => now.saturating_add(u64::from(lifetime) * SECOND),
    }
}

/// The address on a network that an Ethernet address makes (RFC 4291, appendix A).
fn made_of(prefix: [u8; 8], [a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&prefix);
    bytes[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from(bytes)
}

/// The network that everybody on a link is on.
const LINK_LOCAL: [u8; 8] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0];

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// For how many seconds its sender is a router for everything, by an advertisement that is in order
/// (RFC 4861, section 6.1.2).
fn router_lifetime(message: &Message<'_>) -> Option<u32> {
    let [ROUTER_ADVERTISEMENT, _, _, _, _, _, high, low, ..] = *message.body else {
        return None;
    };
    // One option without length spoils all of them.
    let options: usize = message.options(ROUTER_OPTIONS).map(<[u8]>::len).sum();
    let sound =
        message.source.is_unicast_link_local() && message.body.len() == ROUTER_OPTIONS + options;
    sound.then_some(u16::from_be_bytes([high, low]).into())
}
