//! Joins: two sides that frames cross between, each with one member or several.
//!
//! With one member on each side a join is a wire. With several, a conversation is given to one of
//! them: to the one that asks for its addresses or its part of all hashes, or else by its hash and the
//! members' shares. Then it stays there: when shares change, or members come, conversations that are
//! under way do not move. What a member sends is answered to that member, also
//! where it has written other addresses than it was sent. That is what replicas and steering are.

use std::collections::HashMap;

use super::PortId;
use super::flow::{Conversation, Secret};
use super::rules::Prefix;

/// How long a conversation that is silent keeps its member, in seconds.
const AGE: u32 = 300;

/// Most conversations that are remembered. Those beyond go by hash and shares alone.
const MOST_CONVERSATIONS: usize = 1 << 18;

/// One of the two sides of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

/// A member of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) port: PortId,
    /// Its part of new conversations, beside the parts of the others.
    pub(super) share: u32,
}

/// The conversations that a member asks for, whatever its share is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those of which one end has an address among these. Of several members that ask for an address
    /// the one that names it most exactly gets it.
    pub prefixes: Vec<Prefix>,
    /// Those whose hash is in one of this part of 65,536, first and last, where nobody asks for their
    /// addresses.
    pub hashes: Option<(u16, u16)>,
}

/// Addresses of a frame, source and destination.
type Ends = Option<[[u8; 16]; 2]>;

impl Selection {
    /// How exactly it names a conversation; `None` where it does not.
    fn rank(&self, conversation: Conversation, ends: Ends) -> Option<u8> {
        let has = |prefix: &&Prefix| ends.iter().flatten().any(|end| prefix.holds(end));
        let prefix = self.prefixes.iter().filter(has).map(|prefix| prefix.length);
        let by_hash = self.hashes.filter(|(first, last)| {
            // The lower bits: what shares go by are the upper.
            let [low, high, ..] = conversation.hash().to_le_bytes();
            (*first..=*last).contains(&u16::from_le_bytes([low, high]))
        });
        // A prefix of no bits at all counts for more than a hash too.
        let prefix = prefix.max().map(|length| length.saturating_add(1));
        prefix.or(by_hash.map(|_| 0))
    }
}

#[derive(Clone, Copy, Debug)]
struct Pin {
    port: PortId,
    /// In seconds, so that a pin takes eight bytes.
    seen: u32,
}

/// A moment of the monotonic clock, in whole seconds.
fn seconds(now: u64) -> u32 {
    u32::try_from(now / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Which of so many parts a conversation falls into, by the upper half of a product, so that every bit of
/// the hash counts.
fn part(conversation: Conversation, parts: u64) -> u64 {
    let scaled = (u128::from(conversation.hash()) * u128::from(parts)) >> 64;
    u64::try_from(scaled).unwrap_or(0)
}

/// The members of one side.
#[derive(Debug)]
pub(super) struct Targets {
    members: Vec<Target>,
    /// What members ask for.
    selections: Vec<(PortId, Selection)>,
    pins: HashMap<Conversation, Pin, Secret>,
    swept: u32,
}

impl Targets {
    pub(super) fn new() -> Self {
        Self {
            members: Vec::new(),
            selections: Vec::new(),
            pins: HashMap::with_hasher(Secret::new()),
            swept: 0,
        }
    }

    pub(super) fn members(&self) -> &[Target] {
        &self.members
    }

    /// The one member, where there is no choice.
    #[inline]
    pub(super) fn only(&self) -> Option<PortId> {
        match self.members[..] {
            [only] => Some(only.port),
            _ => None,
        }
    }

    /// Adds a member, or changes the share of one that is there.
    pub(super) fn set(&mut self, port: PortId, share: u32) {
        match self.members.iter_mut().find(|member| member.port == port) {
            Some(member) => member.share = share,
            None => self.members.push(Target { port, share }),
        }
    }

    /// Says which conversations that begin from now on a member asks for.
    pub(super) fn select(&mut self, port: PortId, selection: Selection) {
        self.selections.retain(|(member, _)| *member != port);
        if selection != Selection::default() {
            self.selections.push((port, selection));
        }
    }

    /// Takes a member out; its conversations go elsewhere.
    pub(super) fn remove(&mut self, port: PortId) {
        self.members.retain(|member| member.port != port);
        self.selections.retain(|(member, _)| *member != port);
        self.pins.retain(|_, pin| pin.port != port);
    }

    /// The member that a conversation's frames go to, whose ends have these addresses. One that is not
    /// `usable` is passed over, and loses the conversations that speak meanwhile.
    pub(super) fn choose(
        &mut self,
        conversation: Conversation,
        ends: Ends,
        now: u64,
        usable: impl Fn(PortId) -> bool,
    ) -> Option<PortId> {
        let now = seconds(now);
        if let Some(pin) = self.pins.get_mut(&conversation)
            && usable(pin.port)
        {
            pin.seen = now;
            return Some(pin.port);
        }
        let port = self
            .who_asks(conversation, ends, &usable)
            .or_else(|| self.whose_turn(conversation, &usable))?;
        self.pin(conversation, Pin { port, seen: now });
        Some(port)
    }

    /// The member that asks for this conversation: one of them, where replicas do.
    fn who_asks(
        &self,
        conversation: Conversation,
        ends: Ends,
        usable: &impl Fn(PortId) -> bool,
    ) -> Option<PortId> {
        let ranks = self.selections.iter().filter_map(|(port, selection)| {
            let rank = selection.rank(conversation, ends)?;
            usable(*port).then_some((rank, *port))
        });
        let best = ranks.clone().map(|(rank, _)| rank).max()?;
        let asking = || ranks.clone().filter(|(rank, _)| *rank == best);
        let place = part(conversation, asking().count() as u64);
        asking()
            .nth(usize::try_from(place).ok()?)
            .map(|(_, port)| port)
    }

    /// The member whose share a conversation falls into.
    fn whose_turn(
        &self,
        conversation: Conversation,
        usable: &impl Fn(PortId) -> bool,
    ) -> Option<PortId> {
        let candidates = || self.members.iter().filter(|member| usable(member.port));
        let total: u64 = candidates().map(|member| u64::from(member.share)).sum();
        let mut place = part(conversation, total);
        for member in candidates() {
            let share = u64::from(member.share);
            if place < share {
                return Some(member.port);
            }
            place -= share;
        }
        None
    }

    /// A member sent a frame of this conversation: what answers it goes to that one.
    pub(super) fn learn(&mut self, conversation: Conversation, port: PortId, now: u64) {
        let seen = seconds(now);
        self.pin(conversation, Pin { port, seen });
    }

    fn pin(&mut self, conversation: Conversation, pin: Pin) {
        let full = self.pins.len() >= MOST_CONVERSATIONS;
        if full && pin.seen.saturating_sub(self.swept) > AGE / 10 {
            self.swept = pin.seen;
            self.pins
                .retain(|_, old| pin.seen.saturating_sub(old.seen) <= AGE);
        }
        if self.pins.len() < MOST_CONVERSATIONS || self.pins.contains_key(&conversation) {
            self.pins.insert(conversation, pin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::flow::{Flow, mapped};
    use super::*;

    fn flow(number: u32) -> Flow {
        let [a, b, c, d] = number.to_be_bytes();
        Flow {
            addresses: Some([mapped([10, b, c, d]), mapped([192, 0, 2, 1])]),
            protocol: 17,
            ports: Some([1000 + u16::from(a), 53]),
            ..Flow::default()
        }
    }

    fn conversation(number: u32) -> Conversation {
        flow(number).conversation()
    }

    /// IPv4 addresses that begin alike.
    fn prefix(address: [u8; 4], length: u8) -> Prefix {
        Prefix {
            address: mapped(address),
            length: 96 + length,
        }
    }

    fn targets(shares: &[u32]) -> Targets {
        let mut targets = Targets::new();
        for (port, share) in (0..).zip(shares) {
            targets.set(PortId(port), *share);
        }
        targets
    }

    fn spread(targets: &mut Targets, usable: impl Fn(PortId) -> bool) -> Vec<PortId> {
        (0..10_000)
            .map(|number| {
                targets
                    .choose(conversation(number), flow(number).addresses, 0, &usable)
                    .expect("a member")
            })
            .collect()
    }

    /// Of 10,000 conversations, within 1 % of all of them.
    #[test]
    fn shares_are_kept_within_a_hundredth() {
        for shares in [[1, 1, 1, 1], [10, 20, 30, 40], [1, 99, 0, 0]] {
            let mut targets = targets(&shares);
            let chosen = spread(&mut targets, |_| true);
            let total: u32 = shares.iter().sum();
            for (port, share) in (0..).zip(shares) {
                let count = chosen
                    .iter()
                    .filter(|found| **found == PortId(port))
                    .count();
                let wanted = 10_000.0 * f64::from(share) / f64::from(total);
                assert!((count as f64 - wanted).abs() <= 100.0, "{count} {wanted}");
            }
        }
    }

    #[test]
    fn conversations_stay_when_shares_change_and_members_come() {
        let mut targets = targets(&[90, 10]);
        let before = spread(&mut targets, |_| true);
        targets.set(PortId(0), 10);
        targets.set(PortId(1), 90);
        targets.set(PortId(2), 100);
        assert_eq!(spread(&mut targets, |_| true), before);
    }

    #[test]
    fn only_the_conversations_of_who_is_gone_move() {
        let mut targets = targets(&[1, 1, 1]);
        let before = spread(&mut targets, |_| true);
        let after = spread(&mut targets, |port| port != PortId(1));
        for (before, after) in before.iter().zip(&after) {
            assert_ne!(*after, PortId(1));
            assert!(*before == PortId(1) || before == after);
        }
        // And they stay where they went when it is back.
        assert_eq!(spread(&mut targets, |_| true), after);
    }

    /// Of the conversations of 10,000 numbers, 256 have each 10.0.x.0/24.
    #[test]
    fn who_asks_for_addresses_gets_their_conversations_and_no_other() {
        let mut targets = targets(&[1, 0, 0]);
        let prefixes = |prefixes: &[Prefix]| Selection {
            prefixes: prefixes.into(),
            hashes: None,
        };
        targets.select(PortId(1), prefixes(&[prefix([10, 0, 2, 0], 23)]));
        targets.select(PortId(2), prefixes(&[prefix([10, 0, 3, 0], 24)]));
        let chosen = spread(&mut targets, |_| true);
        for (number, chosen) in (0..).zip(&chosen) {
            let expected = match number >> 8 {
                2 => 1,
                // More exactly.
                3 => 2,
                _ => 0,
            };
            assert_eq!(*chosen, PortId(expected), "{number}");
        }
        // The other end's address counts as well, and who is gone is passed over.
        targets.select(PortId(2), prefixes(&[prefix([192, 0, 2, 1], 32)]));
        assert_eq!(
            spread(&mut targets, |_| true),
            chosen,
            "what is known stays"
        );
        let fresh = conversation(20_000);
        let ends = flow(20_000).addresses;
        let asked = targets.choose(fresh, ends, 0, |port| port != PortId(2));
        assert_eq!(asked, Some(PortId(0)));
        let fresh = conversation(20_001);
        assert_eq!(targets.choose(fresh, ends, 0, |_| true), Some(PortId(2)));
        // ARP and what else has no addresses is nobody's.
        let fresh = conversation(20_002);
        assert_eq!(targets.choose(fresh, None, 0, |_| true), Some(PortId(0)));
    }

    /// A range of hashes is that part of all conversations within 1 %, the shares of the others are what
    /// they are without it, and nothing moves when the range does.
    #[test]
    fn who_asks_for_a_range_of_hashes_gets_that_part_and_others_their_shares() {
        let mut targets = targets(&[50, 50, 0]);
        let range = |first, last| Selection {
            prefixes: Vec::new(),
            hashes: Some((first, last)),
        };
        targets.select(PortId(2), range(0, 13_106));
        let chosen = spread(&mut targets, |_| true);
        let count = |port| {
            chosen
                .iter()
                .filter(|chosen| **chosen == PortId(port))
                .count()
        };
        for (port, wanted) in [(0, 4000), (1, 4000), (2, 2000)] {
            assert!(
                count(port).abs_diff(wanted) <= 100,
                "{port}: {}",
                count(port)
            );
        }
        targets.select(PortId(2), range(60_000, 65_535));
        assert_eq!(spread(&mut targets, |_| true), chosen);
        targets.select(PortId(2), Selection::default());
        assert_eq!(spread(&mut targets, |_| true), chosen);
    }

    #[test]
    fn replicas_that_ask_for_the_same_have_equal_parts_of_it() {
        let mut targets = targets(&[1, 0, 0]);
        for port in [1, 2] {
            let selection = Selection {
                prefixes: vec![prefix([10, 0, 0, 0], 8)],
                hashes: None,
            };
            targets.select(PortId(port), selection);
        }
        let chosen = spread(&mut targets, |_| true);
        let count = |port| {
            chosen
                .iter()
                .filter(|chosen| **chosen == PortId(port))
                .count()
        };
        assert!(count(1).abs_diff(5000) <= 100 && count(1) + count(2) == 10_000);
    }

    #[test]
    fn without_a_usable_member_there_is_no_way() {
        let mut targets = targets(&[1, 1]);
        let ask =
            |targets: &mut Targets, usable| targets.choose(conversation(1), None, 0, |_| usable);
        assert_eq!(ask(&mut targets, false), None);
        assert_eq!(ask(&mut Targets::new(), true), None);
    }
}
