//! Lines: joins one after another, as a chain of functions makes them, from one end to the other.
//!
//! A line knows at which of its ends an Ethernet address is at home, by what came in there, and which
//! instances have addresses of their own. What is sent toward an end from an address that is at home
//! there, or that belongs to an instance on the way there, is forged: who stands between two hosts
//! passes on what comes from behind, and has no reason to speak for whom it speaks to. Addresses that
//! nobody was heard from are free, for a function may have made them up.
//!
//! An address that came in at both ends of late is at home at both.

use std::collections::HashMap;

use sprat_abi::frame::FrameHead;
use sprat_abi::host::Frame;

use super::flow::{EthernetAddress, Secret};
use super::{PortId, Side};

/// How long an address that says nothing is at home where it spoke last, in seconds: 802.1Q's five
/// minutes.
const AGE: u32 = 300;

/// Most addresses that are remembered of a line. Those that come when there are so many are free.
const MOST_ADDRESSES: usize = 16_384;

/// Bytes of a frame up to the end of its source address.
const ADDRESSES: usize = 12;

/// Where a join is: on which line, and how many joins come before it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) line: usize,
    pub(super) hop: u16,
}

/// A frame's source address, where it has one.
#[inline]
pub(super) fn source(frame: &Frame<'_>) -> Option<EthernetAddress> {
    let mut bytes = [0; ADDRESSES];
    (frame.copy_to(&mut bytes) == ADDRESSES).then(|| {
        let [.., a, b, c, d, e, f] = bytes;
        [a, b, c, d, e, f]
    })
}

/// A moment of the monotonic clock in whole seconds, which are never 0.
fn seconds(now: u64) -> u32 {
    u32::try_from(now / 1_000_000_000).map_or(u32::MAX, |now| now.saturating_add(1))
}

/// When an address came in last by the left and by the right end, in seconds; 0: it never did.
#[derive(Clone, Copy, Debug, Default)]
struct Heard([u32; 2]);

impl Heard {
    fn lately(self, end: Side, now: u32) -> bool {
        let at = self.0[end as usize];
        at != 0 && now.saturating_sub(at) <= AGE
    }
}

/// What a line knows.
#[derive(Debug)]
pub(super) struct Line {
    /// Whose addresses are those of instances: the place of each, counted from the left end, which
    /// is 0.
    own: HashMap<EthernetAddress, u16, Secret>,
    /// Ports of instances that may send from any address.
    trusted: Vec<PortId>,
    heard: HashMap<EthernetAddress, Heard, Secret>,
    swept: u32,
    /// The last that came in by each end, and when: a stream of frames from one host costs a
    /// comparison.
    recent: [(EthernetAddress, u32); 2],
    /// The last that was found to be free, and for whom.
    passed: Option<(EthernetAddress, u16, Side, u32)>,
    /// Whoever sent a frame may write in it until it is copied: what is looked at is the copy, but of
    /// those who stand still.
    copy: Vec<u8>,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            own: HashMap::with_hasher(Secret::new()),
            trusted: Vec::new(),
            heard: HashMap::with_hasher(Secret::new()),
            swept: 0,
            recent: [([0; 6], 0); 2],
            passed: None,
            copy: Vec::new(),
        }
    }

    /// Sets the addresses of instances and their places, and the ports that are not looked at.
    pub(super) fn set(&mut self, own: &[(EthernetAddress, u16)], trusted: Vec<PortId>) {
        self.own.clear();
        self.own.extend(own.iter().copied());
        self.trusted = trusted;
        self.passed = None;
    }

    /// A frame came in by an end.
    #[inline]
    pub(super) fn hear(&mut self, end: Side, source: EthernetAddress, now: u64) {
        let now = seconds(now);
        if self.recent[end as usize] != (source, now) {
            self.remember(end, source, now);
        }
    }

    fn remember(&mut self, end: Side, source: EthernetAddress, now: u32) {
        self.recent[end as usize] = (source, now);
        // No station has a group's address.
        if source[0] & 1 != 0 {
            return;
        }
        let full = self.heard.len() >= MOST_ADDRESSES;
        if full && now.saturating_sub(self.swept) > AGE / 10 {
            self.swept = now;
            let ends = [Side::Left, Side::Right];
            self.heard
                .retain(|_, heard| ends.into_iter().any(|end| heard.lately(end, now)));
        }
        let has_room = self.heard.len() < MOST_ADDRESSES;
        if let Some(heard) = self.heard.get_mut(&source) {
            heard.0[end as usize] = now;
        } else if has_room {
            let mut heard = Heard::default();
            heard.0[end as usize] = now;
            self.heard.insert(source, heard);
            self.passed = None;
        }
    }

    /// Whether a port of an instance may send from an address, on a side of a join.
    #[inline]
    pub(super) fn admits(
        &mut self,
        port: PortId,
        (hop, side): (u16, Side),
        source: EthernetAddress,
        now: u64,
    ) -> bool {
        let now = seconds(now);
        if self.passed == Some((source, hop, side, now)) {
            return true;
        }
        let admitted = !self.is_forged(hop, side, source, now) || self.trusted.contains(&port);
        if admitted {
            self.passed = Some((source, hop, side, now));
        }
        admitted
    }

    fn is_forged(&self, hop: u16, side: Side, source: EthernetAddress, now: u32) -> bool {
        // Who is on the left of a join sends to the right.
        let beyond = match (self.own.get(&source), side) {
            (Some(place), Side::Left) => *place > hop,
            (Some(place), Side::Right) => *place <= hop,
            (None, _) => false,
        };
        let heard = self.heard.get(&source);
        beyond
            || heard
                .is_some_and(|heard| heard.lately(side.other(), now) && !heard.lately(side, now))
    }
}

/// Lets frames through that an instance sends, one after another.
pub(super) struct Gate<'a> {
    pub(super) line: &'a mut Line,
    pub(super) port: PortId,
    /// Its place: how many joins come before, and on which side of the next.
    pub(super) at: (u16, Side),
    pub(super) now: u64,
    /// Whether who sends cannot change a frame while it is looked at.
    pub(super) still: bool,
}

impl Gate<'_> {
    /// Notes where a frame came in that needs no gate.
    #[inline]
    pub(super) fn hear(&mut self, frame: &Frame<'_>) {
        if let Some(source) = source(frame) {
            self.line.hear(self.at.1, source, self.now);
        }
    }

    /// Hands on what is not forged, and says whether that is so.
    #[inline]
    pub(super) fn pass(&mut self, frame: &Frame<'_>, hand_on: impl FnOnce(&Frame<'_>)) -> bool {
        if self.still {
            return self.judge(frame, hand_on);
        }
        let mut copy = std::mem::take(&mut self.line.copy);
        copy.clear();
        frame.append_to(&mut copy);
        let frame = Frame::new(&copy, FrameHead::at(frame.head().timestamp));
        let admitted = self.judge(&frame, hand_on);
        self.line.copy = copy;
        admitted
    }

    #[inline]
    fn judge(&mut self, frame: &Frame<'_>, hand_on: impl FnOnce(&Frame<'_>)) -> bool {
        let source = source(frame);
        let admitted =
            source.is_none_or(|source| self.line.admits(self.port, self.at, source, self.now));
        if admitted {
            hand_on(frame);
        }
        admitted
    }
}

/// Hands on what a gate lets through, where there is one, and says whether it was.
#[inline]
pub(super) fn pass(
    gate: &mut Option<Gate<'_>>,
    frame: &Frame<'_>,
    hand_on: impl FnOnce(&Frame<'_>),
) -> bool {
    match gate {
        Some(gate) => gate.pass(frame, hand_on),
        None => {
            hand_on(frame);
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: EthernetAddress = [2, 0, 0, 0, 0, 0xa];
    const B: EthernetAddress = [2, 0, 0, 0, 0, 0xb];
    const SECOND: u64 = 1_000_000_000;

    /// The ports of two functions one after another: each one's left and right.
    const FIRST: [PortId; 2] = [PortId(1), PortId(2)];
    const SECOND_ONE: [PortId; 2] = [PortId(3), PortId(4)];

    fn to_left(line: &mut Line, of: usize, source: EthernetAddress, now: u64) -> bool {
        let (port, hop) = [(FIRST[0], 0), (SECOND_ONE[0], 1)][of];
        line.admits(port, (hop, Side::Right), source, now)
    }

    fn to_right(line: &mut Line, of: usize, source: EthernetAddress, now: u64) -> bool {
        let (port, hop) = [(FIRST[1], 1), (SECOND_ONE[1], 2)][of];
        line.admits(port, (hop, Side::Left), source, now)
    }

    #[test]
    fn nobody_speaks_to_a_host_in_the_name_of_one_at_the_same_end() {
        let mut line = Line::new();
        line.hear(Side::Left, A, 0);
        line.hear(Side::Right, B, 0);
        for of in [0, 1] {
            assert!(to_right(&mut line, of, A, 1));
            assert!(to_left(&mut line, of, B, 1));
            assert!(!to_left(&mut line, of, A, 1));
            assert!(!to_right(&mut line, of, B, 1));
        }
    }

    #[test]
    fn an_address_that_nobody_has_is_free_and_is_taken_once_it_is_heard() {
        let mut line = Line::new();
        assert!(to_left(&mut line, 0, A, 0));
        line.hear(Side::Left, A, 0);
        assert!(!to_left(&mut line, 0, A, 0));
    }

    #[test]
    fn an_address_that_moves_to_the_other_end_is_passed_on_at_once() {
        let mut line = Line::new();
        line.hear(Side::Left, A, 0);
        line.hear(Side::Right, A, SECOND);
        assert!(to_left(&mut line, 0, A, SECOND));
        // And after five minutes is at home there alone.
        let later = 303 * SECOND;
        line.hear(Side::Right, A, later);
        assert!(to_left(&mut line, 0, A, later));
        assert!(!to_right(&mut line, 0, A, later));
    }

    #[test]
    fn who_is_silent_for_five_minutes_is_forgotten() {
        let mut line = Line::new();
        line.hear(Side::Left, A, 0);
        assert!(!to_left(&mut line, 0, A, 300 * SECOND));
        assert!(to_left(&mut line, 0, A, 301 * SECOND));
    }

    #[test]
    fn instances_have_addresses_of_their_own() {
        let mut line = Line::new();
        line.set(&[(A, 1), (B, 2)], Vec::new());
        // Each may speak both ways, and what it says is passed on by the other.
        for own in [to_left, to_right] {
            assert!(own(&mut line, 0, A, 0) && own(&mut line, 1, B, 0));
        }
        assert!(to_right(&mut line, 1, A, 0) && to_left(&mut line, 0, B, 0));
        assert!(!to_right(&mut line, 0, B, 0) && !to_left(&mut line, 1, A, 0));
    }

    #[test]
    fn who_is_trusted_may_send_from_any_address() {
        let mut line = Line::new();
        line.set(&[], vec![FIRST[0]]);
        line.hear(Side::Left, A, 0);
        assert!(to_left(&mut line, 0, A, 0));
        assert!(!to_left(&mut line, 1, A, 0));
    }

    #[test]
    fn a_flood_of_addresses_leaves_those_that_were_known() {
        let mut line = Line::new();
        line.hear(Side::Left, A, 0);
        for number in 0..40_000_u32 {
            let [_, a, b, c] = number.to_be_bytes();
            line.hear(Side::Left, [2, 1, a, b, c, 0], 1);
        }
        assert_eq!(line.heard.len(), MOST_ADDRESSES);
        assert!(!to_left(&mut line, 0, A, 2));
    }
}
