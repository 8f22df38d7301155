//! Groups that sockets have joined, and what routers and switches are told of them: IGMP version 2
//! (RFC 2236) and MLD version 1 (RFC 2710), which those of later versions understand.
//!
//! Each member tells of itself though others do: switches that look at what members say want that.

use alloc::vec::Vec;
#[cfg(feature = "ipv6")]
use core::net::Ipv6Addr;
use core::net::{IpAddr, Ipv4Addr};

use smoltcp::wire::IpAddress;
use sprat_devices::Random as _;
use sprat_packet::Batch;
#[cfg(feature = "ipv6")]
use sprat_packet::checksum::Sum;
use sprat_packet::checksum::internet_checksum;

use crate::engine::Engine;
use crate::sockets::SocketId;
use crate::{Error, UdpSocket, family};

/// Most groups that are joined at a time.
const MOST: usize = 16;

/// Within how long it is said once more that a group was joined (RFC 2236, section 8.10; RFC 2710,
/// section 7.10), and an answer is given to who does not say within how long.
const AGAIN: u64 = 10_000_000_000;

const MILLISECOND: u64 = 1_000_000;

const IGMP: u8 = 2;
/// Kinds of messages: of IGMP, and of ICMPv6.
const QUERY: u8 = 0x11;
const REPORT: u8 = 0x16;
const LEAVE: u8 = 0x17;
#[cfg(feature = "ipv6")]
const QUERY_V6: u8 = 130;
#[cfg(feature = "ipv6")]
const REPORT_V6: u8 = 131;
#[cfg(feature = "ipv6")]
const DONE_V6: u8 = 132;

const EVERYBODY: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);

/// What hosts that join say, and those that leave.
#[derive(Clone, Copy)]
enum Says {
    Member,
    Leaves,
}

struct Group {
    address: IpAddr,
    members: Vec<SocketId>,
    /// When to tell of it next.
    tell_at: u64,
    /// Whether it is to be told of once more then, unasked.
    again: bool,
}

#[derive(Default)]
pub(crate) struct Groups {
    joined: Vec<Group>,
    left: Vec<IpAddr>,
}

impl Groups {
    /// When [`Engine::tell_groups`] has something to do.
    pub(crate) fn due(&self) -> u64 {
        if !self.left.is_empty() {
            return 0;
        }
        let joined = self.joined.iter().map(|group| group.tell_at);
        joined.min().unwrap_or(u64::MAX)
    }

    /// Whether a socket is a member of a group.
    fn has_member(&self, address: IpAddress, id: SocketId) -> bool {
        let address = IpAddr::from(address);
        let group = self.joined.iter().find(|group| group.address == address);
        group.is_some_and(|group| group.members.contains(&id))
    }

    fn join(&mut self, address: IpAddr, id: SocketId) -> Result<(), Error> {
        if let Some(group) = self
            .joined
            .iter_mut()
            .find(|group| group.address == address)
        {
            if !group.members.contains(&id) {
                group.members.push(id);
            }
            return Ok(());
        }
        if self.joined.len() >= MOST {
            return Err(Error::TooMany);
        }
        self.left.retain(|left| *left != address);
        self.joined.push(Group {
            address,
            members: [id].into(),
            tell_at: if is_told_of(address) { 0 } else { u64::MAX },
            again: true,
        });
        Ok(())
    }

    /// Has a socket leave those groups that `which` names; whether it was a member of one.
    pub(crate) fn leave(&mut self, id: SocketId, which: impl Fn(IpAddr) -> bool) -> bool {
        let mut was_member = false;
        let left = &mut self.left;
        self.joined.retain_mut(|group| {
            let before = group.members.len();
            group
                .members
                .retain(|member| *member != id || !which(group.address));
            was_member |= group.members.len() != before;
            if group.members.is_empty() && is_told_of(group.address) {
                left.push(group.address);
            }
            !group.members.is_empty()
        });
        was_member
    }
}

/// Everybody is in some groups, of which nobody is told.
fn is_told_of(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group != EVERYBODY,
        // Those of a scope within this node or link that have everybody (RFC 2710, section 5).
        IpAddr::V6(group) => {
            group.segments()[0] & 15 > 1 && group.segments() != [0xff02, 0, 0, 0, 0, 0, 0, 1]
        }
    }
}

impl Engine {
    /// The socket of a port if datagrams to an address are for it, as far as that is a group's.
    ///
    /// smoltcp, which takes a group for its own if that ends like an address of its own, is told of
    /// none: for members it takes any address, until it is told otherwise.
    pub(crate) fn as_member(&mut self, to: IpAddress, id: Option<SocketId>) -> Option<SocketId> {
        let is_member = id.is_some_and(|id| self.groups.has_member(to, id));
        self.interface.set_any_ip(is_member);
        id.filter(|_| is_member || !to.is_multicast() || !is_told_of(to.into()))
    }

    /// Takes a frame that may be a router's question who is in which groups.
    pub(crate) fn hear_query(&mut self, now: u64, frame: &[u8]) {
        let Some((asked, within)) = query(frame) else {
            return;
        };
        for group in &mut self.groups.joined {
            let is_asked = group.address.is_ipv4() == asked.is_ipv4()
                && (asked.is_unspecified() || asked == group.address);
            if is_asked && is_told_of(group.address) {
                let at = now.saturating_add(self.random.below(within.max(1)));
                group.tell_at = group.tell_at.min(at);
            }
        }
    }

    /// Tells of groups when it is time.
    pub(crate) fn tell_groups(&mut self, now: u64, sent: &mut Batch) {
        if self.groups.due() > now {
            return;
        }
        for group in core::mem::take(&mut self.groups.left) {
            let frame = self.message(group, Says::Leaves);
            sent.push(self.pool.packet(&frame));
        }
        for at in 0..self.groups.joined.len() {
            let group = &mut self.groups.joined[at];
            if group.tell_at > now {
                continue;
            }
            group.tell_at = match core::mem::take(&mut group.again) {
                true => now.saturating_add(self.random.below(AGAIN)),
                false => u64::MAX,
            };
            let address = group.address;
            let frame = self.message(address, Says::Member);
            sent.push(self.pool.packet(&frame));
        }
    }

    /// A frame that says what this host does with a group.
    fn message(&self, group: IpAddr, says: Says) -> Vec<u8> {
        match group {
            IpAddr::V4(group) => {
                let source = self.interface.ipv4_addr().unwrap_or(Ipv4Addr::UNSPECIFIED);
                message_v4(self.hardware, source, group, says)
            }
            #[cfg(feature = "ipv6")]
            IpAddr::V6(group) => {
                let mut known = self.interface.ip_addrs().iter();
                let source = known.find_map(|known| match known.address().into() {
                    IpAddr::V6(own) if own.is_unicast_link_local() => Some(own),
                    _ => None,
                });
                message_v6(
                    self.hardware,
                    source.unwrap_or(Ipv6Addr::UNSPECIFIED),
                    group,
                    says,
                )
            }
            // No socket joins one of a family that is not carried.
            #[cfg(not(feature = "ipv6"))]
            IpAddr::V6(_) => Vec::new(),
        }
    }
}

fn message_v4(hardware: [u8; 6], source: Ipv4Addr, group: Ipv4Addr, says: Says) -> Vec<u8> {
    let (kind, to) = match says {
        Says::Member => (REPORT, group),
        Says::Leaves => (LEAVE, ALL_ROUTERS),
    };
    // One hop, and an option that has routers look at it.
    let mut header = [
        0x46, 0xc0, 0, 32, 0, 0, 0x40, 0, 1, IGMP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x94, 4, 0, 0,
    ];
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&to.octets());
    let sum = internet_checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut message = [kind, 0, 0, 0, 0, 0, 0, 0];
    message[4..].copy_from_slice(&group.octets());
    let sum = internet_checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let [_, b, c, d] = to.octets();
    [
        &[1, 0, 0x5e, b & 0x7f, c, d],
        &hardware[..],
        &[8, 0],
        &header,
        &message,
    ]
    .concat()
}

#[cfg(feature = "ipv6")]
fn message_v6(hardware: [u8; 6], source: Ipv6Addr, group: Ipv6Addr, says: Says) -> Vec<u8> {
    const ALL_ROUTERS_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let (kind, to) = match says {
        Says::Member => (REPORT_V6, group),
        Says::Leaves => (DONE_V6, ALL_ROUTERS_V6),
    };
    let mut message = [0; 24];
    message[0] = kind;
    message[8..].copy_from_slice(&group.octets());
    let sum = Sum::pseudo_header_v6(source, to, 58, 24).add_bytes(&message);
    message[2..4].copy_from_slice(&sum.finish().to_be_bytes());
    [
        &[0x33, 0x33],
        &to.octets()[12..],
        &hardware,
        &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 0, 1],
        &source.octets(),
        &to.octets(),
        // An option that has routers look at it, and one that fills up.
        &[58, 0, 5, 2, 0, 0, 1, 0],
        &message,
    ]
    .concat()
}

/// Of which group a router asks who is in it (unspecified: of each), and within how long it wants to
/// know.
fn query(frame: &[u8]) -> Option<(IpAddr, u64)> {
    let (ethernet, packet) = frame.split_first_chunk::<14>()?;
    match [ethernet[12], ethernet[13]] {
        [8, 0] => {
            let header = packet.first_chunk::<20>()?;
            let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
            let message = packet.get(usize::from(header[0] & 15) * 4..length)?;
            let [QUERY, tenths, _, _, a, b, c, d, ..] = *message else {
                return None;
            };
            let within = match tenths {
                // Version 1.
                0 => AGAIN,
                _ => u64::from(tenths) * 100 * MILLISECOND,
            };
            let sound = header[9] == IGMP && internet_checksum(message) == 0;
            sound.then_some((Ipv4Addr::new(a, b, c, d).into(), within))
        }
        #[cfg(feature = "ipv6")]
        [0x86, 0xdd] => {
            let (header, rest) = packet.split_first_chunk::<40>()?;
            let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
            let [58, 0, _, _, _, _, _, _, message @ ..] = rest.get(..length)? else {
                return None;
            };
            let address = |bytes: &[u8]| Some(Ipv6Addr::from(*bytes.first_chunk::<16>()?));
            let (source, to) = (address(&header[8..])?, address(&header[24..])?);
            let [QUERY_V6, 0, _, _, high, low, _, _, group @ ..] = message else {
                return None;
            };
            let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
            let sum = Sum::pseudo_header_v6(source, to, 58, length).add_bytes(message);
            let sound =
                header[6..8] == [0, 1] && source.is_unicast_link_local() && sum.finish() == 0;
            let within = u64::from(u16::from_be_bytes([*high, *low])) * MILLISECOND;
            let group = address(group).filter(|_| sound)?;
            Some((group.into(), within))
        }
        _ => None,
    }
}

impl UdpSocket {
    /// Takes datagrams to a group from now on, on its port. Routers and switches are told; what this
    /// stack itself sends to the group does not come back.
    ///
    /// # Errors
    /// When the address is no group's, or of a family that is not carried, or there are as many
    /// groups as there may be.
    pub fn join(&self, group: impl Into<IpAddr>) -> Result<(), Error> {
        let group = group.into();
        family::address(group)?;
        if !group.is_multicast() {
            return Err(Error::BadAddress);
        }
        self.change(|engine, id| engine.groups.join(group, id))
    }

    /// Takes them no longer.
    ///
    /// # Errors
    /// When it has not joined the group.
    pub fn leave(&self, group: impl Into<IpAddr>) -> Result<(), Error> {
        let group = group.into();
        self.change(|engine, id| {
            let was_member = engine.groups.leave(id, |joined| joined == group);
            was_member.then_some(()).ok_or(Error::BadAddress)
        })
    }
}
