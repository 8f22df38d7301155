//! The host's time, and what instances are told of it.

use sprat_abi::clock::{ClockPoint, counter};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// A moment at which an instance's clocks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingTime {
    /// Monotonic time in nanoseconds.
    pub monotonic: u64,
    /// Wall time in nanoseconds since the Unix epoch.
    pub wall: i64,
}

impl StandingTime {
    /// The moment as a point of the clock page: with no scale, time does not pass.
    pub(crate) fn point(self) -> ClockPoint {
        ClockPoint {
            counter: counter(),
            scale: 0,
            monotonic: self.monotonic,
            wall: self.wall,
        }
    }
}

/// Monotonic time in nanoseconds: the scale of every deadline of an instance. It is the system's
/// `CLOCK_MONOTONIC`.
#[must_use]
pub fn monotonic_now() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC).unsigned_abs()
}

/// Wall time in nanoseconds since the Unix epoch.
fn wall_now() -> i64 {
    read_clock(libc::CLOCK_REALTIME)
}

fn read_clock(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the structure outlives the call; both clocks exist everywhere.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec
        .saturating_mul(1_000_000_000)
        .saturating_add(time.tv_nsec)
}

/// Ticks of the time stamp counter in a second: what the processor says, or what was counted since the
/// first call of [`start_counting`], which grows more exact with time.
fn counter_frequency() -> u64 {
    static TOLD: OnceLock<Option<u64>> = OnceLock::new();
    TOLD.get_or_init(told_frequency)
        .unwrap_or_else(counted_frequency)
}

/// Begins to count the processor's ticks, if nobody has. Whoever calls this a millisecond before the
/// first instance is created does not wait for it then.
pub fn start_counting() {
    count_start();
}

fn count_start() -> (Instant, u64) {
    static START: OnceLock<(Instant, u64)> = OnceLock::new();
    *START.get_or_init(|| (Instant::now(), counter()))
}

/// What the processor says of its counter: CPUID leaf 0x15.
fn told_frequency() -> Option<u64> {
    let leaf = |number| core::arch::x86_64::__cpuid(number);
    if leaf(0).eax < 0x15 {
        return None;
    }
    let ratio = leaf(0x15);
    let (denominator, numerator, crystal) = (ratio.eax, ratio.ebx, ratio.ecx);
    if denominator == 0 || numerator == 0 || crystal == 0 {
        return None;
    }
    Some(u64::from(crystal) * u64::from(numerator) / u64::from(denominator))
}

/// Waits until there has been a millisecond to count in.
fn counted_frequency() -> u64 {
    let (start_time, start) = count_start();
    while start_time.elapsed() < Duration::from_millis(1) {
        std::hint::spin_loop();
    }
    let (ticks, elapsed) = (counter().saturating_sub(start), start_time.elapsed());
    let hertz = u128::from(ticks) * 1_000_000_000 / elapsed.as_nanos().max(1);
    u64::try_from(hertz).unwrap_or(u64::MAX).max(1)
}

/// The present as a point of the clock page. `offset` is what the instance's counter is ahead of the
/// host's.
pub(crate) fn point_now(offset: u64) -> ClockPoint {
    ClockPoint {
        counter: counter().wrapping_add(offset),
        scale: ClockPoint::scale_of(counter_frequency()),
        monotonic: monotonic_now(),
        wall: wall_now(),
    }
}
