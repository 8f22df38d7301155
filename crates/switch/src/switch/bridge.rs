//! A learning bridge (IEEE 802.1Q): which member a frame goes to, by the addresses that were seen.
//!
//! Nothing here knows ports or frames: it is told a frame's addresses and tag, the time, and says
//! which members are to have it.

use std::collections::HashMap;

use super::flow::{EthernetAddress, Secret};

/// How long an address is remembered that says nothing, in nanoseconds: 802.1Q's five minutes.
const AGE: u64 = 300 * 1_000_000_000;

/// Most addresses that are remembered. Those beyond are flooded, as unknown ones are.
const MOST_ADDRESSES: usize = 16_384;

/// A VLAN's number, from 1 to 4094.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Vlan(u16);

impl Vlan {
    /// The VLAN that untagged frames belong to where nothing else is said.
    pub const DEFAULT: Self = Self(1);

    /// `None` where no VLAN has this number.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (1..=4094).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

/// What a member of a bridge takes part in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The VLAN of frames without a tag, both ways; none: they are dropped.
    pub untagged: Option<Vlan>,
    /// The VLANs whose frames have a tag here.
    pub tagged: Vec<Vlan>,
    /// The only addresses that frames may come from; none: any.
    pub sources: Option<Vec<EthernetAddress>>,
}

impl Default for Membership {
    fn default() -> Self {
        Self {
            untagged: Some(Vlan::DEFAULT),
            tagged: Vec::new(),
            sources: None,
        }
    }
}

impl Membership {
    /// Whether frames of a VLAN leave here, and then whether with a tag.
    fn carries(&self, vlan: Vlan) -> Option<bool> {
        if self.untagged == Some(vlan) {
            Some(false)
        } else {
            self.tagged.contains(&vlan).then_some(true)
        }
    }
}

/// Why a bridge does not take a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Its VLAN is not the member's.
    Vlan,
    /// It is for the bridge itself: 802.1Q's reserved addresses, which no bridge passes on.
    Reserved,
    /// It would go back to where it came from.
    Back,
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To one member.
    To(usize),
    /// To all members of the VLAN but the one it came from.
    All,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    member: usize,
    at: u64,
}

/// A bridge. Members are known by their places in the order they joined.
#[derive(Debug)]
pub(super) struct Bridge {
    members: Vec<Option<Membership>>,
    addresses: HashMap<(Vlan, EthernetAddress), Seen, Secret>,
    swept: u64,
}

impl Bridge {
    pub(super) fn new() -> Self {
        Self {
            members: Vec::new(),
            addresses: HashMap::with_capacity_and_hasher(256, Secret::new()),
            swept: 0,
        }
    }

    pub(super) fn join(&mut self, membership: Membership) -> usize {
        self.members.push(Some(membership));
        self.members.len() - 1
    }

    /// Takes a member out, and forgets what was seen there.
    pub(super) fn leave(&mut self, member: usize) {
        self.members[member] = None;
        self.addresses.retain(|_, seen| seen.member != member);
    }

    /// Whether a member may send from an address.
    pub(super) fn admits(&self, member: usize, source: EthernetAddress) -> bool {
        let membership = self.members.get(member).and_then(Option::as_ref);
        let sources = membership.and_then(|membership| membership.sources.as_ref());
        sources.is_none_or(|sources| sources.contains(&source))
    }

    /// Where a frame goes that came in at `member`, and in which VLAN.
    pub(super) fn way(
        &mut self,
        member: usize,
        tag: Option<u16>,
        source: EthernetAddress,
        destination: EthernetAddress,
        now: u64,
    ) -> Result<(Vlan, Way), Refusal> {
        let membership = self.members.get(member).and_then(Option::as_ref);
        let membership = membership.ok_or(Refusal::Vlan)?;
        let vlan = match tag {
            // A tag with the number 0 is only a priority.
            None | Some(0) => membership.untagged.ok_or(Refusal::Vlan)?,
            Some(number) => Vlan::new(number)
                .filter(|vlan| membership.tagged.contains(vlan))
                .ok_or(Refusal::Vlan)?,
        };
        if destination[..5] == [0x01, 0x80, 0xc2, 0, 0] && destination[5] < 0x10 {
            return Err(Refusal::Reserved);
        }
        self.learn(vlan, source, member, now);
        if destination[0] & 1 != 0 {
            return Ok((vlan, Way::All));
        }
        match self.addresses.get(&(vlan, destination)) {
            Some(seen) if now.saturating_sub(seen.at) > AGE => Ok((vlan, Way::All)),
            Some(seen) if seen.member == member => Err(Refusal::Back),
            Some(seen) => Ok((vlan, Way::To(seen.member))),
            None => Ok((vlan, Way::All)),
        }
    }

    /// The members that a frame leaves by, and whether it has a tag there.
    pub(super) fn leaves(
        &self,
        from: usize,
        vlan: Vlan,
        way: Way,
    ) -> impl Iterator<Item = (usize, bool)> + '_ {
        let members = self.members.iter().enumerate();
        members.filter_map(move |(member, membership)| {
            let wanted = match way {
                Way::To(only) => member == only,
                Way::All => member != from,
            };
            let tagged = membership.as_ref().filter(|_| wanted)?.carries(vlan)?;
            Some((member, tagged))
        })
    }

    /// Remembers where an address was seen last.
    fn learn(&mut self, vlan: Vlan, source: EthernetAddress, member: usize, now: u64) {
        // No station has a group's address.
        if source[0] & 1 != 0 {
            return;
        }
        let full = self.addresses.len() >= MOST_ADDRESSES;
        if full && now.saturating_sub(self.swept) > AGE / 10 {
            self.swept = now;
            let fresh = |seen: &Seen| now.saturating_sub(seen.at) <= AGE;
            self.addresses.retain(|_, seen| fresh(seen));
        }
        let has_room = self.addresses.len() < MOST_ADDRESSES;
        match self.addresses.get_mut(&(vlan, source)) {
            Some(seen) => *seen = Seen { member, at: now },
            None if has_room => {
                self.addresses
                    .insert((vlan, source), Seen { member, at: now });
            }
            None => {}
        }
    }

    /// Addresses that are remembered: VLAN, address, member, and how long ago they were seen.
    pub(super) fn addresses(
        &self,
        now: u64,
    ) -> impl Iterator<Item = (Vlan, EthernetAddress, usize, u64)> + '_ {
        self.addresses.iter().map(move |((vlan, address), seen)| {
            (*vlan, *address, seen.member, now.saturating_sub(seen.at))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: EthernetAddress = [2, 0, 0, 0, 0, 0xa];
    const B: EthernetAddress = [2, 0, 0, 0, 0, 0xb];
    const ALL: EthernetAddress = [0xff; 6];
    const SECOND: u64 = 1_000_000_000;

    fn bridge(members: usize) -> Bridge {
        let mut bridge = Bridge::new();
        for _ in 0..members {
            bridge.join(Membership::default());
        }
        bridge
    }

    fn targets(bridge: &Bridge, from: usize, vlan: Vlan, way: Way) -> Vec<(usize, bool)> {
        bridge.leaves(from, vlan, way).collect()
    }

    #[test]
    fn the_unknown_is_flooded_and_the_known_is_not() {
        let mut bridge = bridge(3);
        let (vlan, way) = bridge.way(0, None, A, B, 0).expect("a way");
        assert_eq!(targets(&bridge, 0, vlan, way), [(1, false), (2, false)]);
        let (_, way) = bridge.way(2, None, B, A, 1).expect("a way");
        assert_eq!(way, Way::To(0));
        let (_, way) = bridge.way(0, None, A, B, 2).expect("a way");
        assert_eq!(way, Way::To(2));
    }

    #[test]
    fn an_address_is_forgotten_five_minutes_after_it_spoke_last() {
        let mut bridge = bridge(3);
        bridge.way(1, None, B, ALL, 0).expect("a way");
        let at = |bridge: &mut Bridge, now| bridge.way(0, None, A, B, now).expect("a way").1;
        assert_eq!(at(&mut bridge, 300 * SECOND), Way::To(1));
        assert_eq!(at(&mut bridge, 300 * SECOND + 1), Way::All);
    }

    #[test]
    fn an_address_that_moves_is_found_where_it_spoke_last() {
        let mut bridge = bridge(3);
        bridge.way(1, None, B, ALL, 0).expect("a way");
        bridge.way(2, None, B, ALL, 1).expect("a way");
        assert_eq!(bridge.way(0, None, A, B, 2).expect("a way").1, Way::To(2));
    }

    #[test]
    fn nothing_goes_back_to_where_it_came_from() {
        let mut bridge = bridge(2);
        bridge.way(0, None, B, ALL, 0).expect("a way");
        assert_eq!(bridge.way(0, None, A, B, 1), Err(Refusal::Back));
    }

    #[test]
    fn the_addresses_of_bridges_themselves_are_not_passed_on() {
        let mut bridge = bridge(2);
        for last in [0, 0x0e, 0x0f] {
            let group = [1, 0x80, 0xc2, 0, 0, last];
            assert_eq!(bridge.way(0, None, A, group, 0), Err(Refusal::Reserved));
        }
        assert!(
            bridge
                .way(0, None, A, [1, 0x80, 0xc2, 0, 0, 0x10], 0)
                .is_ok()
        );
    }

    #[test]
    fn vlans_do_not_meet() {
        let vlan = |number| Vlan::new(number).expect("a VLAN");
        let access = |number| Membership {
            untagged: Some(vlan(number)),
            ..Membership::default()
        };
        let trunk = Membership {
            untagged: None,
            tagged: vec![vlan(10), vlan(20)],
            sources: None,
        };
        let mut bridge = Bridge::new();
        for membership in [access(10), access(20), access(10), trunk] {
            bridge.join(membership);
        }
        let (found, way) = bridge.way(0, None, A, ALL, 0).expect("a way");
        assert_eq!(found, vlan(10));
        assert_eq!(targets(&bridge, 0, found, way), [(2, false), (3, true)]);
        // The same address in another VLAN is another one.
        let (found, way) = bridge.way(3, Some(20), B, A, 1).expect("a way");
        assert_eq!(targets(&bridge, 3, found, way), [(1, false)]);
        assert_eq!(bridge.way(3, None, B, A, 2), Err(Refusal::Vlan));
        assert_eq!(bridge.way(3, Some(30), B, A, 2), Err(Refusal::Vlan));
        assert_eq!(bridge.way(0, Some(10), A, B, 2), Err(Refusal::Vlan));
    }

    #[test]
    fn a_member_speaks_for_its_own_addresses_only() {
        let mut bridge = bridge(1);
        let own = Membership {
            sources: Some(vec![A]),
            ..Membership::default()
        };
        let member = bridge.join(own);
        assert!(bridge.admits(member, A) && !bridge.admits(member, B));
        assert!(bridge.admits(0, A) && bridge.admits(0, B));
    }

    #[test]
    fn a_flood_of_addresses_leaves_those_that_were_known() {
        let mut bridge = bridge(3);
        bridge.way(1, None, B, ALL, 0).expect("a way");
        for number in 0..40_000_u32 {
            let [_, a, b, c] = number.to_be_bytes();
            bridge
                .way(2, None, [2, 1, a, b, c, 0], ALL, 1)
                .expect("a way");
        }
        assert_eq!(bridge.addresses.len(), MOST_ADDRESSES);
        assert_eq!(bridge.way(0, None, A, B, 2).expect("a way").1, Way::To(1));
    }

    #[test]
    fn who_leaves_is_forgotten() {
        let mut bridge = bridge(3);
        bridge.way(1, None, B, ALL, 0).expect("a way");
        bridge.leave(1);
        let (vlan, way) = bridge.way(0, None, A, B, 1).expect("a way");
        assert_eq!(targets(&bridge, 0, vlan, way), [(2, false)]);
    }
}
