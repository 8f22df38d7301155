//! Changes of TCP sequence numbers, where something before a rewriter has made a segment longer or
//! shorter: what comes after it must be counted from elsewhere, and acknowledged accordingly.

use alloc::vec::Vec;

use sprat_click::state::{Carrier, Damaged};
use sprat_packet::checksum::{Delta, update_u32};

use super::flow_table::Direction;

/// From a sequence number on, numbers are shifted by an amount.
#[derive(Clone, Copy, Debug)]
struct Shift {
    from: u32,
    by: u32,
}

/// The shifts of one direction.
#[derive(Clone, Debug, Default)]
struct OneWay {
    /// The shift of numbers before all of `shifts`.
    base: u32,
    /// In the order of their sequence numbers.
    shifts: Vec<Shift>,
}

/// Shifts this far behind are forgotten, so that numbers that have wrapped around are not taken
/// for older ones.
const FORGET_AFTER: u32 = 1 << 30;

/// Shifts remembered for one direction. A sender of more within [`FORGET_AFTER`] bytes loses the
/// oldest, whose segments have long been acknowledged.
const MOST: usize = 64;

/// Whether `left` comes at or after `right`, in the arithmetic of sequence numbers (RFC 9293).
fn reached(left: u32, right: u32) -> bool {
    left.wrapping_sub(right) < 1 << 31
}

impl OneWay {
    /// Numbers from `from` on are shifted by `by` more.
    fn add(&mut self, from: u32, by: u32) {
        match self.shifts.last() {
            // Sent again, perhaps changed by another amount.
            Some(last) if last.from == from => {
                self.shifts.pop();
            }
            // An older segment sent again: its shift is known.
            Some(last) if !reached(from, last.from) => return,
            _ => {}
        }
        let before = self.latest();
        self.shifts.push(Shift {
            from,
            by: before.wrapping_add(by),
        });
        let old = |shift: &Shift| reached(from, shift.from.wrapping_add(FORGET_AFTER));
        let old = self.shifts.iter().take_while(|shift| old(shift)).count();
        self.forget(old.max(self.shifts.len().saturating_sub(MOST)));
    }

    /// Has the first `count` shifts count for everything before the others.
    fn forget(&mut self, count: usize) {
        if let Some(last) = self.shifts.drain(..count).next_back() {
            self.base = last.by;
        }
    }

    fn latest(&self) -> u32 {
        self.shifts.last().map_or(self.base, |last| last.by)
    }

    fn is_nothing(&self) -> bool {
        self.base == 0 && self.shifts.is_empty()
    }

    /// The shift of a number that its sender wrote.
    fn of_sent(&self, number: u32) -> u32 {
        let mut shifts = self.shifts.iter().rev();
        let shift = shifts.find(|shift| reached(number, shift.from));
        shift.map_or(self.base, |shift| shift.by)
    }

    /// The shift that a number has been through which its receiver writes.
    fn of_seen(&self, number: u32) -> u32 {
        let mut shifts = self.shifts.iter().rev();
        let shift = shifts.find(|shift| reached(number.wrapping_sub(shift.by), shift.from));
        shift.map_or(self.base, |shift| shift.by)
    }
}

impl OneWay {
    fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        carrier.u32(&mut self.base)?;
        // There are no more than [`MOST`].
        let mut count = u8::try_from(self.shifts.len()).unwrap_or(u8::MAX);
        carrier.u8(&mut count)?;
        if usize::from(count) > MOST {
            return Err(Damaged);
        }
        self.shifts.resize(count.into(), Shift { from: 0, by: 0 });
        for shift in &mut self.shifts {
            carrier.u32(&mut shift.from)?;
            carrier.u32(&mut shift.by)?;
        }
        Ok(())
    }
}

/// What changes in a connection's sequence and acknowledgement numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct SequenceShifts([OneWay; 2]);

/// Fields of a TCP header.
const SEQUENCE: usize = 4;
const ACKNOWLEDGEMENT: usize = 8;
const CHECKSUM: usize = 16;
const FIXED: usize = 20;

/// TCP options.
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const SELECTIVE_ACKNOWLEDGEMENT: u8 = 5;

impl SequenceShifts {
    /// Carries them out of one instance or into another.
    pub(super) fn carry(&mut self, carrier: &mut Carrier<'_>) -> Result<(), Damaged> {
        let [forward, reply] = &mut self.0;
        forward.carry(carrier)?;
        reply.carry(carrier)
    }

    /// A segment that went `direction` has become longer by `by` bytes (shorter where that is
    /// negative); numbers from `from` on, as its sender writes them, shift.
    pub(super) fn add(&mut self, direction: Direction, from: u32, by: i32) {
        self.0[direction as usize].add(from, by.cast_unsigned());
    }

    /// The latest shift of sequence numbers in a direction.
    pub(super) fn latest(&self, direction: Direction) -> i32 {
        self.0[direction as usize].latest().cast_signed()
    }

    /// Changes sequence, acknowledgement and selective acknowledgement numbers of a segment that
    /// goes `direction`.
    pub(super) fn apply(&mut self, segment: &mut [u8], direction: Direction) {
        let length = segment.get(12).map_or(0, |byte| usize::from(byte >> 4) * 4);
        if length < FIXED || segment.len() < length {
            return;
        }
        let (sent, seen) = match (&mut self.0, direction) {
            ([forward, reply], Direction::Forward) => (forward, reply),
            ([forward, reply], Direction::Reply) => (reply, forward),
        };
        if !sent.is_nothing() {
            let number = read_u32(segment, SEQUENCE);
            let past = |shift: &Shift| reached(number, shift.from.wrapping_add(FORGET_AFTER));
            if sent.shifts.last().is_some_and(past) {
                sent.forget(sent.shifts.len());
            }
            let new = number.wrapping_add(sent.of_sent(number));
            write_number(segment, SEQUENCE, new);
        }
        if !seen.is_nothing() {
            let unshift = |number: u32| number.wrapping_sub(seen.of_seen(number));
            write_number(
                segment,
                ACKNOWLEDGEMENT,
                unshift(read_u32(segment, ACKNOWLEDGEMENT)),
            );
            selective(&mut segment[..length], unshift);
        }
    }
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u32::from_be_bytes(*word))
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    let half = bytes.get(at..).and_then(|rest| rest.first_chunk());
    half.map_or(0, |half| u16::from_be_bytes(*half))
}

/// Writes a number in the fixed part of a header and follows it in the checksum.
fn write_number(segment: &mut [u8], at: usize, new: u32) {
    let sum = update_u32(read_u16(segment, CHECKSUM), read_u32(segment, at), new);
    segment[at..at + 4].copy_from_slice(&new.to_be_bytes());
    segment[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Changes the edges in a header's SACK option (RFC 2018), and follows them in the checksum.
fn selective(header: &mut [u8], change: impl Fn(u32) -> u32) {
    let mut at = FIXED;
    while at < header.len() && header[at] != END {
        if header[at] == NO_OPERATION {
            at += 1;
            continue;
        }
        let length = header.get(at + 1).map_or(0, |byte| usize::from(*byte));
        if length < 2 || at + length > header.len() {
            return;
        }
        if header[at] == SELECTIVE_ACKNOWLEDGEMENT && length % 8 == 2 {
            for edge in (at + 2..at + length).step_by(4) {
                let new = change(read_u32(header, edge)).to_be_bytes();
                write_unaligned(header, edge, &new);
            }
        }
        at += length;
    }
}

/// Writes bytes at any place of a header, and follows them in the checksum, which counts by
/// aligned halves.
fn write_unaligned(header: &mut [u8], at: usize, bytes: &[u8]) {
    let halves = at & !1..(at + bytes.len()).next_multiple_of(2);
    let old: Vec<u16> = halves
        .clone()
        .step_by(2)
        .map(|at| read_u16(header, at))
        .collect();
    header[at..at + bytes.len()].copy_from_slice(bytes);
    let new = halves.step_by(2).map(|at| read_u16(header, at));
    let delta = old.iter().zip(new).fold(Delta::new(), |delta, (old, new)| {
        delta.replace_u16(*old, new)
    });
    let sum = delta.apply(read_u16(header, CHECKSUM));
    header[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sprat_packet::checksum::Sum;

    fn shifts(list: &[(u32, i32)]) -> OneWay {
        let mut one_way = OneWay::default();
        for (from, by) in list {
            one_way.add(*from, by.cast_unsigned());
        }
        one_way
    }

    #[test]
    fn numbers_shift_by_what_was_changed_before_them() {
        let one_way = shifts(&[(30, -12), (65, -12)]);
        let sent = |number| one_way.of_sent(number).cast_signed();
        assert_eq!(
            [sent(0), sent(29), sent(30), sent(64), sent(65)],
            [0, 0, -12, -12, -24]
        );
        let seen = |number| one_way.of_seen(number).cast_signed();
        // 30 - 12 = 18 is the first number that the receiver sees shifted; 65 - 24 = 41 twice.
        assert_eq!([seen(17), seen(18), seen(40), seen(41)], [0, -12, -12, -24]);
    }

    #[test]
    fn a_segment_sent_again_shifts_nothing_more() {
        let one_way = shifts(&[(30, -12), (65, -12), (30, -12), (65, -12)]);
        assert_eq!(one_way.of_sent(70).cast_signed(), -24);
    }

    #[test]
    fn shifts_a_gigabyte_behind_count_for_everything() {
        let one_way = shifts(&[(30, 5), (30 + (1 << 30), 5)]);
        assert_eq!(
            (one_way.of_sent(0), one_way.of_sent(40 + (1 << 30))),
            (5, 10)
        );
    }

    #[test]
    fn a_sender_of_many_changes_takes_little_memory() {
        let list: Vec<(u32, i32)> = (0..1000).map(|number| (number * 50, 1)).collect();
        let one_way = shifts(&list);
        assert_eq!((one_way.shifts.len(), one_way.latest()), (MOST, 1000));
    }

    proptest! {
        #[test]
        fn checksums_stay_right_whatever_the_options(
            mut segment in prop::collection::vec(any::<u8>(), 20..80),
            options in 0..=10_u8,
            lists in any::<[(u32, i32); 2]>(),
            forward: bool,
        ) {
            segment[12] = (5 + options) << 4;
            let mut shifts = SequenceShifts::default();
            shifts.add(Direction::Forward, lists[0].0, lists[0].1);
            shifts.add(Direction::Reply, lists[1].0, lists[1].1);
            segment[16..18].fill(0);
            let sum = Sum::of(&segment).finish();
            segment[16..18].copy_from_slice(&sum.to_be_bytes());
            let direction = if forward { Direction::Forward } else { Direction::Reply };
            shifts.apply(&mut segment, direction);
            prop_assert!(matches!(Sum::of(&segment).fold(), 0 | 0xffff));
        }
    }
}
