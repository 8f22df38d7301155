//! Token buckets: how much may pass now, and when more may.

use alloc::string::{String, ToString};
use core::time::Duration;

use sprat_click::arguments::Bandwidth;
use sprat_click::{Arguments, Context, HandlerError, Instant, Rejected};

use crate::quantity_text::bandwidth_text;

/// Nanoseconds in a tick, of which a second has this many.
const TICK: u64 = 1_000_000;
const TICKS: u32 = 1_000;

/// How many ticks a bucket takes to fill where the configuration says nothing.
const DEFAULT_BURST: u32 = 20;

/// What a full bucket holds, whatever its capacity.
const FULL: u32 = u32::MAX;

/// In so many ticks any bucket is full that ever is.
const ENOUGH: u64 = 1 << 32;

/// Bytes that have to be there for a packet to pass, and that a bucket has room for beyond what it
/// was told: no packet is longer.
const BYTES_FOR_ANY_PACKET: u32 = 131_072;

/// The longest packet there is.
const LONGEST: u64 = 0xffff;

/// A bucket that fills at a rate and never holds more than its capacity: Click's, which counts time
/// in milliseconds and its level in parts of what fills it, in 32 bits. So rates are not quite what
/// they are said to be, and a packet passes in Click's very millisecond.
///
/// A packet takes one token, and passes if one is there. Of `BYTES` a packet takes as many as it is
/// long, and passes while there are enough for any.
#[derive(Clone, Debug)]
pub(crate) struct Bucket<const BYTES: bool> {
    burst: Burst,
    /// What comes in a tick, and what a token is, of a full bucket.
    per_tick: u32,
    token: u32,
    level: u32,
    /// The tick up to which it has been filled; at first it fills at once.
    filled: Option<u64>,
}

/// How the capacity was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Burst {
    /// In ticks.
    Lasting(u32),
    Tokens(u32),
    /// As the rate of a source needs it, and so many at least.
    Source(u32),
}

impl Bucket<false> {
    /// A bucket for a source, which holds `least` tokens at least.
    pub(crate) fn for_source(rate: u32, least: u32) -> Self {
        Self::new(rate, Burst::Source(least))
    }

    /// Takes another rate from now on. It keeps the tokens it has.
    pub(crate) fn change_rate(&mut self, rate: u32) {
        let before = self.token;
        self.burst = Burst::Source(0);
        self.assign(rate, self.capacity(rate));
        let level = u64::from(self.level) * u64::from(self.token) / u64::from(before);
        self.level = u32::try_from(level).unwrap_or(FULL);
    }

    /// Leaves a single token in it.
    pub(crate) fn begin_anew(&mut self) {
        self.level = self.token;
    }
}

impl<const BYTES: bool> Bucket<BYTES> {
    fn new(rate: u32, burst: Burst) -> Self {
        let mut bucket = Self {
            burst,
            per_tick: 0,
            token: 1,
            level: 0,
            filled: None,
        };
        bucket.assign(rate, bucket.capacity(rate));
        bucket
    }

    /// Reads RATE and, where it is given, BURST_DURATION or BURST_SIZE (BURST_BYTES for bytes).
    pub(crate) fn configure(arguments: &mut Arguments<'_>) -> Result<Self, Rejected> {
        let (rate, size) = if BYTES {
            let rate = arguments.required("RATE").map(in_words);
            (rate, "BURST_BYTES")
        } else {
            (arguments.required("RATE"), "BURST_SIZE")
        };
        let duration = arguments.keyword::<Duration>("BURST_DURATION");
        let burst = match (duration, arguments.keyword(size)) {
            (None, None) => Burst::Lasting(DEFAULT_BURST),
            (Some(duration), None) => {
                // To the nearest tick.
                let ticks = (duration + Duration::from_nanos(TICK / 2)).as_millis();
                Burst::Lasting(u32::try_from(ticks).unwrap_or(u32::MAX))
            }
            (None, Some(size)) => Burst::Tokens(size),
            (Some(_), Some(_)) => {
                return Err(arguments.error("cannot specify both BURST_DURATION and BURST_SIZE"));
            }
        };
        Ok(Self::new(rate?, burst))
    }

    /// The tokens that a bucket of this rate has room for.
    fn capacity(&self, rate: u32) -> u32 {
        let tokens = match self.burst {
            Burst::Tokens(tokens) => tokens,
            Burst::Lasting(ticks) => {
                let tokens = u64::from(rate) * u64::from(ticks) / u64::from(TICKS);
                u32::try_from(tokens).unwrap_or(u32::MAX)
            }
            Burst::Source(least) => (rate / 100).max(2).max(least),
        };
        if BYTES {
            tokens.saturating_add(BYTES_FOR_ANY_PACKET)
        } else {
            tokens.max(1)
        }
    }

    /// Sets rate and capacity, at least what comes in a tick. It stays as full as it is.
    fn assign(&mut self, rate: u32, capacity: u32) {
        self.token = FULL / capacity.max(rate.div_ceil(TICKS)).max(1);
        let per_tick = u64::from(rate) * u64::from(self.token) / u64::from(TICKS);
        // No more than what comes in a tick is in a bucket that has room for it.
        self.per_tick = u32::try_from(per_tick).unwrap_or(FULL);
        if rate != 0 {
            self.per_tick = self.per_tick.max(1);
        }
    }

    /// Tokens a second, as near as it has kept the number.
    pub(crate) fn rate(&self) -> u32 {
        let per_second = u64::from(self.per_tick / 2) + u64::from(self.per_tick) * u64::from(TICKS);
        u32::try_from(per_second / u64::from(self.token)).unwrap_or(u32::MAX)
    }

    /// Reads a handler's value as a rate; the capacity follows where it was given as a time, and the
    /// bucket stays as full as it is.
    pub(crate) fn write_rate(
        &mut self,
        context: &Context<'_>,
        value: &str,
    ) -> Result<(), HandlerError> {
        let rate = if BYTES {
            in_words(crate::argument_value(context, "rate", value)?)
        } else {
            crate::argument_value(context, "rate", value)?
        };
        self.assign(rate, self.capacity(rate));
        Ok(())
    }

    /// The rate as its handler gives it: packets, or a bandwidth with its unit.
    pub(crate) fn rate_text(&self) -> String {
        if BYTES {
            bandwidth_text(self.rate())
        } else {
            self.rate().to_string()
        }
    }

    /// Adds what the ticks since the last call have brought.
    pub(crate) fn fill(&mut self, now: Instant) {
        let tick = now.0 / TICK;
        let ticks = match self.filled.replace(tick) {
            Some(before) => tick.saturating_sub(before),
            // It has been there for as long as anybody knows.
            None => ENOUGH,
        };
        let gained = u64::from(self.per_tick) * ticks.min(ENOUGH);
        self.level = u32::try_from(u64::from(self.level) + gained).unwrap_or(FULL);
    }

    /// How many packets may pass now, at least and whatever their length; zero where none may.
    pub(crate) fn allowed(&self) -> usize {
        let (level, token) = (u64::from(self.level), u64::from(self.token));
        let packets = match level.checked_sub(self.threshold()) {
            None => 0,
            Some(beyond) if BYTES => 1 + beyond / (token * LONGEST),
            Some(_) => level / token,
        };
        usize::try_from(packets).unwrap_or(usize::MAX)
    }

    /// Whether a packet may pass now.
    #[inline]
    pub(crate) fn allows(&self) -> bool {
        u64::from(self.level) >= self.threshold()
    }

    /// The level at which a packet may pass.
    fn threshold(&self) -> u64 {
        let tokens = if BYTES { BYTES_FOR_ANY_PACKET } else { 1 };
        u64::from(tokens) * u64::from(self.token)
    }

    /// Takes what a packet of `length` bytes costs, as far as it is there.
    #[inline]
    pub(crate) fn charge(&mut self, length: usize) {
        let tokens = if BYTES {
            u32::try_from(length).unwrap_or(u32::MAX)
        } else {
            1
        };
        self.level = self.level.saturating_sub(self.token.saturating_mul(tokens));
    }

    /// When the next packet may pass, counted from `now` in whole ticks.
    pub(crate) fn ready_at(&self, now: Instant) -> Instant {
        let missing = self.threshold().saturating_sub(u64::from(self.level));
        if self.per_tick == 0 && missing > 0 {
            return Instant::NEVER;
        }
        let ticks = missing.div_ceil(u64::from(self.per_tick.max(1)));
        now + Duration::from_millis(ticks)
    }
}

/// A bandwidth as rates take it.
pub(super) fn in_words(bandwidth: Bandwidth) -> u32 {
    u32::try_from(bandwidth.0).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sprat_click::time::SECOND;

    fn at(milliseconds: u64) -> Instant {
        Instant(SECOND + milliseconds * TICK)
    }

    fn packets(rate: u32, burst: Burst) -> Bucket<false> {
        Bucket::new(rate, burst)
    }

    #[test]
    fn a_bucket_begins_full_and_holds_one_token_at_least() {
        for (rate, burst, tokens) in [(1000, 20, 20), (2, 20, 1), (50, 1000, 50)] {
            let mut bucket = packets(rate, Burst::Lasting(burst));
            bucket.fill(at(0));
            assert_eq!(bucket.allowed(), tokens, "{rate} for {burst} ms");
            bucket.fill(at(3_600_000));
            assert_eq!(bucket.allowed(), tokens, "an hour later");
        }
    }

    #[test]
    fn bytes_pass_while_there_are_enough_for_any_packet() {
        let mut bucket = Bucket::<true>::new(1000, Burst::Tokens(100));
        bucket.fill(at(0));
        assert!(bucket.allows());
        bucket.charge(1500);
        assert!(!bucket.allows());
        // 1,400 bytes are missing, a byte comes in a tick, and the capacity is rounded up a little.
        assert_eq!(bucket.ready_at(at(0)), at(1400));
        bucket.fill(at(1399));
        assert!(!bucket.allows());
        bucket.fill(at(1400));
        assert!(bucket.allows());
    }

    #[test]
    fn a_rate_of_zero_never_brings_anything() {
        let mut bucket = packets(0, Burst::Tokens(1));
        bucket.fill(at(0));
        assert!(!bucket.allows());
        assert_eq!(bucket.ready_at(at(0)), Instant::NEVER);
    }

    /// By hand: a token is the 2³²-1 parts that fill the bucket, of which 429,496,729 come in a
    /// tick where there are 100 a second: ten bring nearly as many. In a bucket for 50 a token has
    /// 85,899,345 parts, of which 171,798 come in a tick where there are two a second.
    #[test]
    fn waits_are_whole_ticks() {
        for (rate, burst, wait) in [
            (100, 1, 11),
            (2, 1, 501),
            (100, 2, 11),
            (1000, 20, 1),
            (3_000_000, 1, 1),
        ] {
            let mut bucket = packets(rate, Burst::Tokens(burst));
            bucket.fill(at(0));
            (0..bucket.allowed()).for_each(|_| bucket.charge(0));
            assert_eq!(bucket.ready_at(at(0)), at(wait), "{rate} {burst}");
        }
        let mut bucket = packets(2, Burst::Tokens(50));
        bucket.fill(at(0));
        (0..50).for_each(|_| bucket.charge(0));
        assert_eq!(bucket.ready_at(at(0)), at(501));
        bucket.fill(at(501));
        bucket.charge(0);
        assert_eq!(bucket.ready_at(at(501)), at(1001));
    }

    /// By hand, from Click's arithmetic: half of what comes in a tick is added before the rate is
    /// told, a two-thousandth of it.
    #[test]
    fn rates_are_told_as_click_tells_them() {
        for (rate, told) in [(0, 0), (2, 2), (100, 100), (1000, 1000), (2000, 2001)] {
            assert_eq!(packets(rate, Burst::Lasting(20)).rate(), told);
            assert_eq!(Bucket::for_source(rate, 0).rate(), told);
        }
        let bandwidth = Bucket::<true>::new(10_000, Burst::Lasting(20));
        assert_eq!(bandwidth.rate_text(), "80.04kbps");
    }

    #[test]
    fn another_rate_keeps_the_tokens_of_a_source() {
        let mut bucket = Bucket::for_source(1000, 0);
        bucket.fill(at(0));
        (0..5).for_each(|_| bucket.charge(0));
        bucket.change_rate(2000);
        assert_eq!(bucket.allowed(), 5);
        bucket.change_rate(1);
        assert_eq!(bucket.allowed(), 2);
    }

    proptest! {
        /// However often it is asked, a bucket lets no more packets pass than its rate brings, and
        /// loses little of it.
        #[test]
        fn little_is_lost_and_nothing_won_over_time(
            rate in 1_u32..1_000_000,
            steps in prop::collection::vec(1_u64..20, 1..50),
        ) {
            let mut bucket = packets(rate, Burst::Tokens(1_000_000));
            bucket.fill(at(0));
            bucket.level = 0;
            let mut now = 0;
            let mut passed = 0;
            for step in steps {
                now += step;
                bucket.fill(at(now));
                for _ in 0..bucket.allowed() {
                    bucket.charge(0);
                    passed += 1;
                }
            }
            let due = now * u64::from(rate) / 1000;
            prop_assert!(passed <= due);
            prop_assert!(passed + 2 + now / 1000 + due / 1000 >= due, "{passed} of {due}");
        }
    }
}
