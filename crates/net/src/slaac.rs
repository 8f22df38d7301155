//! IPv6 addresses, routers and name servers from what routers advertise (RFC 4861, section 6; RFC
//! 4862, section 5.5; RFC 8106).
//!
//! Addresses are made of the Ethernet address, which is the stack's own on its link: nobody is asked
//! whether somebody else has them.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use sprat_packet::checksum::Sum;

const SECOND: u64 = 1_000_000_000;

/// How long to wait for an answer, the first time and at most (RFC 4861, section 10; RFC 7559).
const FIRST_WAIT: u64 = 4 * SECOND;
const LONGEST_WAIT: u64 = 3600 * SECOND;

/// An address that is in use is not given up sooner than this at the word of one advertisement,
/// which anybody on the link may forge (RFC 4862, section 5.5.3).
const TWO_HOURS: u64 = 7200 * SECOND;

/// Most addresses, routers and name servers that are kept of each.
const MOST: usize = 2;

const ICMP_V6: u8 = 58;
const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;

/// Options of an advertisement.
const PREFIX: u8 = 3;
const NAME_SERVERS: u8 = 25;

/// Something that holds up to a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    address: Ipv6Addr,
    until: u64,
}

/// What routers have said, and when they are asked again.
#[derive(Debug)]
pub(crate) struct Slaac {
    hardware: [u8; 6],
    addresses: Vec<Held>,
    routers: Vec<Held>,
    name_servers: Vec<Held>,
    /// When to ask for an advertisement, and how long to wait for it then.
    ask_at: u64,
    wait: u64,
}

impl Slaac {
    /// Knows nothing, and is about to ask.
    pub(crate) fn new(hardware: [u8; 6], now: u64) -> Self {
        Self {
            hardware,
            addresses: Vec::new(),
            routers: Vec::new(),
            name_servers: Vec::new(),
            ask_at: now,
            wait: FIRST_WAIT,
        }
    }

    /// Its addresses, all on networks of 64 bits.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.addresses.iter().map(|held| held.address)
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
        let held = [&self.addresses, &self.routers, &self.name_servers];
        let ends = held.into_iter().flatten().map(|held| held.until);
        ends.fold(self.ask_at, u64::min)
    }

    /// Gives up what holds no longer, whether there was any; and the question that is to be asked.
    pub(crate) fn advance(&mut self, now: u64) -> (bool, Option<[u8; QUESTION]>) {
        let mut changed = false;
        for held in [
            &mut self.addresses,
            &mut self.routers,
            &mut self.name_servers,
        ] {
            let before = held.len();
            held.retain(|held| held.until > now);
            changed |= held.len() != before;
        }
        if changed && self.routers.is_empty() {
            self.ask_at = now;
            self.wait = FIRST_WAIT;
        }
        if self.ask_at > now {
            return (changed, None);
        }
        self.ask_at = now.saturating_add(self.wait);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        (changed, Some(question(self.hardware)))
    }

    /// Takes an advertisement; whether it was one and changed anything.
    pub(crate) fn take(&mut self, frame: &[u8], now: u64) -> bool {
        let Some(said) = Advertisement::read(frame) else {
            return false;
        };
        let before = (
            self.addresses.clone(),
            self.routers.clone(),
            self.name_servers.clone(),
        );
        self.ask_at = u64::MAX;
        hold(&mut self.routers, said.router, lasts(said.lifetime, now));
        for option in said.options() {
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
        let after = (&self.addresses, &self.routers, &self.name_servers);
        let same = |one: &[Held], other: &[Held]| {
            one.iter()
                .map(|held| held.address)
                .eq(other.iter().map(|held| held.address))
        };
        !(same(&before.0, after.0) && same(&before.1, after.1) && same(&before.2, after.2))
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
        let mut until = lasts(valid, now);
        if let Some(known) = self.addresses.iter().find(|held| held.address == address) {
            let least = known.until.min(now.saturating_add(TWO_HOURS));
            until = until.max(least);
        }
        hold(&mut self.addresses, address, until);
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
pub(crate) fn made_of(prefix: [u8; 8], [a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&prefix);
    bytes[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from(bytes)
}

/// The network that everybody on a link is on.
pub(crate) const LINK_LOCAL: [u8; 8] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0];

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Ethernet's header, IPv6's, and a router solicitation.
const QUESTION: usize = 14 + 40 + 16;

/// A frame that asks all routers to advertise themselves (RFC 4861, section 4.1).
fn question(hardware: [u8; 6]) -> [u8; QUESTION] {
    let [a, b, c, d, e, f] = hardware;
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
    let source = made_of(LINK_LOCAL, hardware);
    let sum = checksum(source, ALL_ROUTERS, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [0; QUESTION];
    frame[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 2]);
    frame[6..12].copy_from_slice(&hardware);
    frame[12..22].copy_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 16, ICMP_V6, 255]);
    frame[22..38].copy_from_slice(&source.octets());
    frame[38..54].copy_from_slice(&ALL_ROUTERS.octets());
    frame[54..].copy_from_slice(&message);
    frame
}

/// An advertisement that is in order (RFC 4861, section 6.1.2).
struct Advertisement<'a> {
    router: Ipv6Addr,
    /// For how many seconds it is a router for everything.
    lifetime: u32,
    options: &'a [u8],
}

impl<'a> Advertisement<'a> {
    fn read(frame: &'a [u8]) -> Option<Self> {
        let (header, rest) = frame.get(14..)?.split_first_chunk::<40>()?;
        let [_, _, _, _, high, low, ICMP_V6, 255, addresses @ ..] = header else {
            return None;
        };
        let (source, destination) = addresses.split_first_chunk::<16>()?;
        let source = Ipv6Addr::from(*source);
        let destination = Ipv6Addr::from(*destination.first_chunk::<16>()?);
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let message = rest.get(..length)?;
        let (fixed, options) = message.split_first_chunk::<16>()?;
        let [ROUTER_ADVERTISEMENT, 0, _, _, _, _, seconds @ ..] = fixed else {
            return None;
        };
        let sound = source.is_unicast_link_local() && checksum(source, destination, message) == 0;
        let lifetime = u16::from_be_bytes([seconds[0], seconds[1]]);
        let said = Self {
            router: source,
            lifetime: lifetime.into(),
            options,
        };
        // One option without length spoils all of them.
        let lengths: usize = said.options().map(<[u8]>::len).sum();
        (sound && lengths == options.len()).then_some(said)
    }

    /// The options up to the first that is none.
    fn options(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.options;
        core::iter::from_fn(move || {
            let length = usize::from(*rest.get(1)?) * 8;
            let (option, behind) = rest.split_at_checked(length)?;
            rest = behind;
            (length > 0).then_some(option)
        })
    }
}

/// The checksum of an ICMPv6 message; zero where the message has a right one.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    Sum::pseudo_header_v6(source, destination, ICMP_V6, length)
        .add_bytes(message)
        .finish()
}
