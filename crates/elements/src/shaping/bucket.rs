//! Token buckets: how much may pass now, and when more may.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

use sprat_click::arguments::Bandwidth;
use sprat_click::time::SECOND;
use sprat_click::{Arguments, Context, HandlerError, Instant, Rejected};

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Packets,
    Bytes,
}

/// How long a bucket takes to fill where the configuration says nothing.
const DEFAULT_BURST: Duration = Duration::from_millis(20);

/// Waits of this length or more end on a multiple of it, so that elements that wait for about
/// the same time wake together.
const TICK: u64 = 1_000_000;

/// The longest packet there is; what a bucket is sure to have room for whatever comes.
const LONGEST: i64 = 0xffff;

/// A bucket that fills at a rate and never holds more than its capacity.
///
/// The level is counted in billionths of a token. A nanosecond at a rate of R tokens a second
/// brings R of them, so filling is exact, whatever the rate and however often it is asked, and
/// over no length of time does an error add up. Nine thousand million tokens are the most a
/// bucket can hold.
///
/// A packet takes one token, and passes if one is there. With bytes, a packet takes as many as
/// it is long, and passes while the bucket does not owe a whole token: a packet longer than the
/// capacity then passes too, and those after it wait until it is paid for.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    unit: Unit,
    rate: u64,
    burst: Burst,
    capacity: i64,
    level: i64,
    filled: Option<Instant>,
}

/// How the capacity was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Burst {
    Lasting(Duration),
    Tokens(u64),
    /// As the rate of a source needs it.
    Source,
}

/// Billionths of a token in a token.
const TOKEN: i64 = 1_000_000_000;
const _: () = assert!(TOKEN.unsigned_abs() == SECOND);

/// A product that stays at the largest number there is.
fn times(a: u64, b: u64) -> i64 {
    i64::try_from(a.saturating_mul(b)).unwrap_or(i64::MAX)
}

/// A bandwidth in bytes a second, as Click writes it: in bits, but for the greatest.
pub(crate) fn bandwidth_text(rate: u64) -> String {
    let (number, digits, unit) = match rate {
        0x2000_0000.. => (rate, 6, "MBps"),
        125_000_000.. => (rate * 8, 9, "Gbps"),
        125_000.. => (rate * 8, 6, "Mbps"),
        _ => (rate * 8, 3, "kbps"),
    };
    let one = 10_u64.pow(digits);
    let (whole, fraction) = (number / one, number % one);
    if fraction == 0 {
        return format!("{whole}{unit}");
    }
    let fraction = format!("{fraction:0width$}", width = digits as usize);
    format!("{whole}.{}{unit}", fraction.trim_end_matches('0'))
}

impl Bucket {
    /// A full bucket.
    fn with_burst(unit: Unit, rate: u64, burst: Burst) -> Self {
        let mut bucket = Self {
            unit,
            rate,
            burst,
            capacity: 0,
            level: 0,
            filled: None,
        };
        bucket.set_rate(rate);
        bucket.level = match burst {
            Burst::Source => TOKEN,
            _ => bucket.nominal(),
        };
        bucket
    }

    /// A bucket for a source: it begins with one packet and keeps some that a late timer left.
    pub(crate) fn for_source(rate: u64) -> Self {
        Self::with_burst(Unit::Packets, rate, Burst::Source)
    }

    /// Reads RATE and, where it is given, BURST_DURATION or BURST_SIZE (BURST_BYTES for bytes).
    pub(crate) fn configure(arguments: &mut Arguments<'_>, unit: Unit) -> Result<Self, Rejected> {
        let rate = match unit {
            Unit::Packets => arguments.required::<u32>("RATE").map(u64::from),
            Unit::Bytes => arguments.required::<Bandwidth>("RATE").map(|rate| rate.0),
        };
        let duration = arguments.keyword::<Duration>("BURST_DURATION");
        let size = arguments.keyword::<u32>("BURST_SIZE");
        let bytes = match unit {
            Unit::Packets => None,
            Unit::Bytes => arguments.keyword::<u32>("BURST_BYTES"),
        };
        let burst = match (duration, size.or(bytes)) {
            (None, None) => Burst::Lasting(DEFAULT_BURST),
            (Some(duration), None) => Burst::Lasting(duration),
            (None, Some(size)) => Burst::Tokens(u64::from(size)),
            (Some(_), Some(_)) => {
                return Err(arguments
                    .error("cannot specify both BURST_DURATION and BURST_SIZE/BURST_BYTES"));
            }
        };
        Ok(Self::with_burst(unit, rate?, burst))
    }

    /// Tokens a second.
    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }

    /// Changes the rate; the capacity follows where it was given as a time.
    pub(crate) fn set_rate(&mut self, rate: u64) {
        self.rate = rate;
        self.capacity = match self.burst {
            Burst::Tokens(_) => self.nominal(),
            // A bucket of little more than one packet would lose what comes from when it is
            // full until the next tick, and so yield less than the rate.
            Burst::Lasting(_) => {
                let room = TOKEN.saturating_add(times(2 * TICK, rate));
                self.nominal().max(room)
            }
            Burst::Source => self.nominal().max(2 * TOKEN),
        };
        self.level = self.level.min(self.capacity);
    }

    /// The capacity that the configuration asks for; one token at least.
    fn nominal(&self) -> i64 {
        let duration = match self.burst {
            Burst::Tokens(tokens) => return times(tokens, SECOND).max(TOKEN),
            Burst::Lasting(duration) => duration,
            Burst::Source => DEFAULT_BURST,
        };
        // Nanoseconds times tokens a second are billionths of a token.
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        times(nanoseconds, self.rate).max(TOKEN)
    }

    /// Reads a handler's value as a rate.
    pub(crate) fn write_rate(
        &mut self,
        context: &Context<'_>,
        value: &str,
    ) -> Result<(), HandlerError> {
        let rate = match self.unit {
            Unit::Packets => u64::from(crate::argument_value::<u32>(context, "rate", value)?),
            Unit::Bytes => crate::argument_value::<Bandwidth>(context, "rate", value)?.0,
        };
        self.change_rate(context, rate);
        Ok(())
    }

    /// Takes another rate from now on.
    pub(crate) fn change_rate(&mut self, context: &Context<'_>, rate: u64) {
        self.fill(context.now());
        self.set_rate(rate);
    }

    /// The rate as its handler gives it: packets, or a bandwidth with its unit.
    pub(crate) fn rate_text(&self) -> String {
        match self.unit {
            Unit::Packets => format!("{}", self.rate),
            Unit::Bytes => bandwidth_text(self.rate),
        }
    }

    /// Adds what the time since the last call has brought.
    pub(crate) fn fill(&mut self, now: Instant) {
        let before = *self.filled.get_or_insert(now);
        if now > before {
            let gained = times(now.0 - before.0, self.rate);
            self.level = self.level.saturating_add(gained).min(self.capacity);
            self.filled = Some(now);
        }
    }

    /// How many packets may pass now, at least and whatever their length; zero where none may.
    pub(crate) fn allowed(&self) -> usize {
        let packets = match self.unit {
            Unit::Packets => self.level / TOKEN,
            Unit::Bytes if self.level > -TOKEN => 1 + self.level.max(0) / (TOKEN * LONGEST),
            Unit::Bytes => 0,
        };
        usize::try_from(packets).unwrap_or(usize::MAX)
    }

    /// Whether a packet may pass now.
    #[inline]
    pub(crate) fn allows(&self) -> bool {
        self.level >= self.threshold()
    }

    /// The level at which a packet may pass.
    fn threshold(&self) -> i64 {
        match self.unit {
            Unit::Packets => TOKEN,
            Unit::Bytes => 1 - TOKEN,
        }
    }

    /// Takes what a packet of `length` bytes costs.
    #[inline]
    pub(crate) fn charge(&mut self, length: usize) {
        let cost = match self.unit {
            Unit::Packets => TOKEN,
            Unit::Bytes => times(length as u64, SECOND),
        };
        self.level = self.level.saturating_sub(cost);
    }

    /// When the next packet may pass, as of the last filling; never where the rate is zero.
    pub(crate) fn ready_exactly_at(&self) -> Instant {
        let Some(filled) = self.filled else {
            return Instant(0);
        };
        let missing = self.threshold().saturating_sub(self.level);
        let Ok(missing @ 1..) = u64::try_from(missing) else {
            return filled;
        };
        if self.rate == 0 {
            return Instant::NEVER;
        }
        Instant(filled.0.saturating_add(missing.div_ceil(self.rate)))
    }

    /// When to look for the next packet: when it may pass, or, where that is long, on the tick
    /// after.
    pub(crate) fn ready_at(&self) -> Instant {
        let exactly = self.ready_exactly_at();
        let filled = self.filled.unwrap_or_default();
        if exactly == Instant::NEVER || exactly.0 - filled.0.min(exactly.0) < TICK {
            return exactly;
        }
        Instant((exactly.0 / TICK + 1).saturating_mul(TICK))
    }
}

#[cfg(test)]
mod tests {
    use super::bandwidth_text;

    /// By hand, from Click's thresholds: bits up to four gigabits, then bytes.
    #[test]
    fn bandwidths_are_written_in_clicks_units() {
        for (rate, text) in [
            (0, "0kbps"),
            (10_000, "80kbps"),
            (1, "0.008kbps"),
            (124_999, "999.992kbps"),
            (125_000, "1Mbps"),
            (1_312_500, "10.5Mbps"),
            (125_000_000, "1Gbps"),
            (0x2000_0000, "536.870912MBps"),
        ] {
            assert_eq!(bandwidth_text(rate), text);
        }
    }

    use super::*;
    use proptest::prelude::*;

    fn at(nanoseconds: u64) -> Instant {
        Instant(SECOND + nanoseconds)
    }

    #[test]
    fn a_bucket_begins_full_and_holds_one_token_at_least() {
        for (rate, burst, tokens) in [(1000, 20, 20), (2, 20, 1), (50, 1000, 50)] {
            let mut bucket = Bucket::with_burst(
                Unit::Packets,
                rate,
                Burst::Lasting(Duration::from_millis(burst)),
            );
            bucket.fill(at(0));
            assert_eq!(bucket.allowed(), tokens, "{rate} for {burst} ms");
            bucket.fill(at(3600 * SECOND));
            assert_eq!(bucket.allowed(), tokens, "an hour later");
        }
    }

    #[test]
    fn a_long_packet_passes_and_has_to_be_paid_for() {
        let mut bucket = Bucket::with_burst(Unit::Bytes, 1000, Burst::Tokens(100));
        bucket.fill(at(0));
        bucket.charge(1500);
        assert!(!bucket.allows());
        // 1,400 bytes are owed, and all but less than one must be paid: 1.399 seconds, and on.
        assert_eq!(bucket.ready_at(), at(1_400_000_000));
        bucket.fill(at(1_399_000_000));
        assert!(!bucket.allows());
        bucket.fill(at(1_400_000_000));
        assert!(bucket.allows());
    }

    #[test]
    fn a_rate_of_zero_never_brings_anything() {
        let mut bucket = Bucket::with_burst(Unit::Packets, 0, Burst::Tokens(1));
        bucket.fill(at(0));
        bucket.charge(0);
        assert_eq!(bucket.ready_at(), Instant::NEVER);
    }

    #[test]
    fn short_waits_are_exact_and_long_ones_end_on_a_tick() {
        for (rate, wait) in [(3_000_000, 334), (100, 11 * TICK), (2, 501 * TICK)] {
            let mut bucket = Bucket::with_burst(Unit::Packets, rate, Burst::Tokens(1));
            bucket.fill(at(0));
            bucket.charge(0);
            assert_eq!(bucket.ready_at(), at(wait), "{rate}");
        }
    }

    proptest! {
        /// However often it is asked, a bucket lets exactly as many packets pass as its rate
        /// brings, once it has been emptied: counted over an hour, in integers.
        #[test]
        fn nothing_is_lost_or_won_over_time(
            rate in 1_u64..1_000_000,
            steps in prop::collection::vec(1_u64..SECOND, 1..50),
        ) {
            let mut bucket = Bucket::with_burst(Unit::Packets, rate, Burst::Tokens(u64::from(u32::MAX)));
            bucket.fill(at(0));
            let full = bucket.allowed();
            bucket.level = 0;
            let mut now = 0;
            let mut passed = 0_u128;
            for step in steps {
                now += step;
                bucket.fill(at(now));
                let allowed = bucket.allowed();
                prop_assert!(allowed < full);
                for _ in 0..allowed.min(1000) {
                    bucket.charge(0);
                    passed += 1;
                }
            }
            let left = bucket.allowed() as u128;
            prop_assert_eq!(passed + left, u128::from(now) * u128::from(rate) / u128::from(SECOND));
        }
    }
}
