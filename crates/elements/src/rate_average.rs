//! Rates as moving averages, in Click's arithmetic.

use alloc::string::String;

use sprat_click::Instant;

use crate::quantity_text::binary_fraction_text;

/// Nanoseconds in a period, of which a second has this many.
const PERIOD: u64 = 1_000_000;
const PERIODS: u64 = 1_000;

/// A period counts for a sixteenth of the average.
const STABILITY: u32 = 4;

/// What is added to an observation, so that the average comes as near to it as can be.
const COMPENSATION: i64 = 1 << (STABILITY - 1);

/// After so many periods of nothing, nothing is left.
const FORGOTTEN: u64 = 100;

/// How much comes in a millisecond, of late: an exponentially weighted average, whose last `scale`
/// bits are a fraction.
pub(crate) struct RateAverage {
    scale: u32,
    /// The period under way, and what has come in it.
    period: Option<u64>,
    current: u64,
    average: i64,
}

impl RateAverage {
    pub(crate) const fn new(scale: u32) -> Self {
        Self {
            scale,
            period: None,
            current: 0,
            average: 0,
        }
    }

    /// Counts `amount` as of `now`.
    #[inline]
    pub(crate) fn add(&mut self, now: Instant, amount: u64) {
        let period = now.0 / PERIOD;
        if self.period != Some(period) {
            self.turn(period);
        }
        self.current += amount;
    }

    /// Begins another period.
    fn turn(&mut self, period: u64) {
        if let Some(before) = self.period.replace(period) {
            self.observe(self.current);
            let empty = period.saturating_sub(before).saturating_sub(1);
            if empty >= FORGOTTEN {
                self.average = 0;
            } else {
                (0..empty).for_each(|_| self.observe(0));
            }
        }
        self.current = 0;
    }

    fn observe(&mut self, amount: u64) {
        let amount = i64::try_from(amount << self.scale).unwrap_or(i64::MAX >> 1);
        self.average += (amount + COMPENSATION - self.average) >> STABILITY;
    }

    /// The average itself.
    pub(crate) fn scaled(&self) -> u64 {
        self.average.unsigned_abs()
    }

    /// So much a second as an average of `scaled` stands for.
    pub(crate) fn text_of(&self, scaled: u64) -> String {
        binary_fraction_text(scaled * PERIODS, self.scale)
    }

    /// So much a second, as of `now`.
    pub(crate) fn per_second_text(&mut self, now: Instant) -> String {
        self.add(now, 0);
        self.text_of(self.scaled())
    }

    /// Eight times so much.
    pub(crate) fn eightfold_text(&mut self, now: Instant) -> String {
        self.add(now, 0);
        binary_fraction_text(self.scaled() * PERIODS, self.scale - 3)
    }

    /// The average that so much a second comes to.
    pub(crate) fn scaled_of(&self, per_second: u64) -> u64 {
        (per_second << self.scale) / PERIODS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: a packet is 1,024, of which a sixteenth counts; each empty period takes a sixteenth
    /// away, rounded: 64, 60, 56, 53.
    #[test]
    fn averages_decay_by_sixteenths() {
        let mut average = RateAverage::new(10);
        let mut scaled = |millisecond: u64, amount| {
            average.add(Instant(millisecond * PERIOD), amount);
            average.scaled()
        };
        assert_eq!(scaled(5, 1), 0);
        assert_eq!(scaled(6, 0), 64);
        assert_eq!(scaled(7, 0), 60);
        assert_eq!(scaled(9, 0), 53);
        assert_eq!(scaled(200, 0), 0);
    }
}
