//! Even rates: one at a time, the same gap after each.

use core::time::Duration;

use sprat_click::Instant;
use sprat_click::time::SECOND;

/// The bits of a gap, in microseconds, that are a fraction.
const FRACTION: u32 = 12;

/// A second's worth of gaps.
const ALL: u32 = 1_000_000 << FRACTION;

/// The longest packet there is.
const LONGEST: usize = 0xffff;

/// A process that is to come to `rate` a second, and how far it has come: Click's, which counts the
/// second it is in, and makes up for what it came short of in the one before. Seconds are those of the
/// clock that only goes forward, and not of the wall clock as Click's: that may be set back.
#[derive(Clone, Debug)]
pub(crate) struct GapRate {
    rate: u32,
    gap: u32,
    /// How far it has come in the present second; less than nothing where it is behind.
    count: i64,
    second: Option<u64>,
}

impl GapRate {
    pub(crate) fn new(rate: u32) -> Self {
        let rate = rate.min(ALL);
        Self {
            rate,
            gap: ALL.checked_div(rate).unwrap_or(ALL + 1),
            count: 0,
            second: None,
        }
    }

    pub(crate) fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes another rate, of which it is as far as it should be `now`.
    pub(crate) fn set_rate(&mut self, rate: u32, now: Instant) {
        if rate != self.rate {
            let second = self.second;
            *self = Self::new(rate);
            self.second = second;
            self.count = if rate == 0 { 1 } else { self.due(now) };
        }
    }

    /// How far it should be in the second of `now`.
    fn due(&self, now: Instant) -> i64 {
        i64::from((microseconds(now) << FRACTION) / self.gap)
    }

    /// How much it is behind `now`, and one, as it goes on where it is not ahead; nothing where it is.
    pub(crate) fn behind(&mut self, now: Instant) -> usize {
        let due = self.due(now);
        let second = now.0 / SECOND;
        match self.second {
            None => {
                self.second = Some(second);
                let over = (microseconds(now) << FRACTION) % self.gap;
                self.count = due + i64::from(over > self.gap / 2);
            }
            Some(before) if second > before => {
                self.second = Some(second);
                let rate = i64::from(self.rate);
                for _ in before..second {
                    if self.count <= 0 || rate == 0 {
                        break;
                    }
                    self.count -= rate;
                }
            }
            Some(_) => {}
        }
        usize::try_from(due - self.count + 1).unwrap_or(0)
    }

    /// How many packets may pass `now` whatever their length, where bytes are counted.
    pub(crate) fn packets_behind(&mut self, now: Instant) -> usize {
        match self.behind(now) {
            0 => 0,
            bytes => 1 + (bytes - 1) / LONGEST,
        }
    }

    /// Counts how far it has come.
    #[inline]
    pub(crate) fn advance(&mut self, amount: usize) {
        self.count += i64::try_from(amount).unwrap_or(i64::MAX >> 1);
    }

    /// How long it is from `now` until it is no longer ahead; never where the rate is nothing.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        let rate = i64::from(self.rate);
        let count = self.count.max(0);
        let seconds = count.checked_div(rate)?.cast_unsigned();
        let gaps = (count % rate) * i64::from(self.gap);
        let microseconds = ((gaps + (1 << FRACTION) - 1) >> FRACTION).cast_unsigned();
        let moment = (self.second? + seconds) * SECOND + microseconds * 1_000;
        Some(Duration::from_nanos(moment.saturating_sub(now.0)))
    }
}

/// Microseconds since the second began; they fit.
fn microseconds(now: Instant) -> u32 {
    (now.0 % SECOND / 1_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(microseconds: u64) -> Instant {
        Instant(5 * SECOND + microseconds * 1_000)
    }

    #[test]
    fn packets_keep_the_same_gap() {
        let mut rate = GapRate::new(20);
        let mut now = at(0);
        for number in 0..45 {
            assert_eq!(rate.behind(now), 1, "{number}");
            rate.advance(1);
            assert_eq!(rate.behind(now), 0, "{number}");
            now = now + rate.wait(now).unwrap();
            assert_eq!(now, at((number + 1) * 50_000));
        }
    }

    #[test]
    fn what_was_not_used_in_a_second_is_made_up_for_in_the_next() {
        let mut rate = GapRate::new(20);
        assert_eq!(rate.behind(at(0)), 1);
        rate.advance(5);
        assert_eq!(rate.behind(at(1_000_000)), 16);
        // And not what was not used before that.
        assert_eq!(rate.behind(at(7_000_000)), 16);
    }

    #[test]
    fn a_rate_of_nothing_lets_one_pass_in_the_first_half_of_a_second() {
        for (moment, passes) in [(0, 1), (499_999, 1), (500_001, 0)] {
            let mut rate = GapRate::new(0);
            assert_eq!(rate.behind(at(moment)), passes);
            rate.advance(1);
            assert_eq!(rate.behind(at(5_000_000)), 0);
            assert_eq!(rate.wait(at(moment)), None);
        }
    }

    #[test]
    fn long_packets_are_waited_for_over_seconds() {
        let mut rate = GapRate::new(1000);
        assert_eq!(rate.packets_behind(at(0)), 1);
        rate.advance(2500);
        assert_eq!(rate.wait(at(0)), Some(Duration::from_millis(2500)));
        assert_eq!(rate.packets_behind(at(2_499_000)), 0);
        assert_eq!(rate.packets_behind(at(2_500_000)), 1);
    }
}
