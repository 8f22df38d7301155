//! Rates, averaged over time.

use core::time::Duration;

use sprat_click::Instant;

/// A rate, averaged so that each period weighs a 32nd. Both numbers are 65,536ths for a period.
#[derive(Clone, Copy, Default)]
pub(super) struct Rate {
    average: u64,
    now: u64,
    period: u32,
}

/// Periods of an eighth of a second.
pub(super) const PERIODS: u64 = 8;
const PERIOD: Duration = Duration::from_millis(125);
const STABILITY: u32 = 5;
pub(super) const UNIT: u64 = 65_536;

impl Rate {
    #[inline]
    pub(super) fn add(&mut self, period: u32, amount: u64) {
        if self.period != period {
            self.advance(period);
        }
        self.now = self.now.saturating_add(amount);
    }

    fn advance(&mut self, period: u32) {
        let mut passed = period.wrapping_sub(self.period);
        self.period = period;
        while passed > 0 && (self.average > 0 || self.now > 0) {
            self.average = self.average - (self.average >> STABILITY) + (self.now >> STABILITY);
            // What is left rounds to nothing.
            if self.average < 1 << STABILITY {
                self.average = 0;
            }
            self.now = 0;
            passed -= 1;
        }
    }

    pub(super) fn per_second(&mut self, period: u32) -> u32 {
        self.advance(period);
        u32::try_from(self.average.saturating_mul(PERIODS) / UNIT).unwrap_or(u32::MAX)
    }
}

/// The period that a time is in.
pub(super) fn period(now: Instant) -> u32 {
    let period = u128::from(now.0) / PERIOD.as_nanos();
    u32::try_from(period & u128::from(u32::MAX)).unwrap_or(0)
}
