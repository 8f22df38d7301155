//! Joins: two sides that frames cross between, each with one member or several.
//!
//! With one member on each side a join is a wire. With several, a conversation is given to one of
//! them by its hash and their shares, and then stays there: when shares change, or members come,
//! conversations that are under way do not move. What a member sends is answered to that member, also
//! where it has written other addresses than it was sent. That is what replicas and steering are.

use std::collections::HashMap;

use super::PortId;
use super::flow::{Conversation, Secret};

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

/// The members of one side.
#[derive(Debug)]
pub(super) struct Targets {
    members: Vec<Target>,
    pins: HashMap<Conversation, Pin, Secret>,
    swept: u32,
}

impl Targets {
    pub(super) fn new() -> Self {
        Self {
            members: Vec::new(),
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

    /// Takes a member out; its conversations go elsewhere.
    pub(super) fn remove(&mut self, port: PortId) {
        self.members.retain(|member| member.port != port);
        self.pins.retain(|_, pin| pin.port != port);
    }

    /// The member that a conversation's frames go to. One that is not `usable` is passed over, and
    /// loses the conversations that speak meanwhile.
    pub(super) fn choose(
        &mut self,
        conversation: Conversation,
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
        let candidates = || self.members.iter().filter(|member| usable(member.port));
        let total: u64 = candidates().map(|member| u64::from(member.share)).sum();
        if total == 0 {
            return None;
        }
        // Scaled by the high half, so that every bit of the hash counts.
        let scaled = (u128::from(conversation.hash()) * u128::from(total)) >> 64;
        let mut place = u64::try_from(scaled).unwrap_or(0);
        let mut chosen = None;
        for member in candidates() {
            let share = u64::from(member.share);
            if place < share {
                chosen = Some(member.port);
                break;
            }
            place -= share;
        }
        let port = chosen?;
        self.pin(conversation, Pin { port, seen: now });
        Some(port)
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

    fn conversation(number: u32) -> Conversation {
        let [a, b, c, d] = number.to_be_bytes();
        let flow = Flow {
            addresses: Some([mapped([10, b, c, d]), mapped([192, 0, 2, 1])]),
            protocol: 17,
            ports: Some([1000 + u16::from(a), 53]),
            ..Flow::default()
        };
        flow.conversation()
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
                    .choose(conversation(number), 0, &usable)
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

    #[test]
    fn without_a_usable_member_there_is_no_way() {
        let mut targets = targets(&[1, 1]);
        assert_eq!(targets.choose(conversation(1), 0, |_| false), None);
        assert_eq!(Targets::new().choose(conversation(1), 0, |_| true), None);
    }
}
