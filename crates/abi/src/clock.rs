//! The clock page: how an instance tells the time without leaving.
//!
//! The host writes a point in time and the scale of the time stamp counter; the instance adds what the
//! counter did since. A sequence lock keeps the instance from mixing two points, so the host can move
//! the wall clock under a running instance.

use crate::sync::{AtomicU32, AtomicU64, Ordering, fence};

/// One consistent reading of the [`ClockPage`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockPoint {
    /// Value of the time stamp counter at this point.
    pub counter: u64,
    /// Nanoseconds of one tick of the counter, as a fixed-point number with [`SCALE_BITS`] bits of
    /// fraction.
    pub scale: u64,
    /// Monotonic time at this point, nanoseconds since some moment before the instance began.
    pub monotonic: u64,
    /// Wall time at this point, nanoseconds since the Unix epoch.
    pub wall: i64,
}

/// Bits of fraction in [`ClockPoint::scale`].
pub const SCALE_BITS: u32 = 32;

impl ClockPoint {
    /// The scale of a counter that runs at `hertz`.
    ///
    /// `hertz` of 0 counts as 1.
    #[must_use]
    pub const fn scale_of(hertz: u64) -> u64 {
        let hertz = if hertz == 0 { 1 } else { hertz };
        let scale = (1_000_000_000u128 << SCALE_BITS) / hertz as u128;
        if scale > u64::MAX as u128 {
            return u64::MAX;
        }
        #[expect(clippy::cast_possible_truncation, reason = "compared above")]
        {
            scale as u64
        }
    }

    /// Nanoseconds from this point to when the counter stood at `counter`; 0 if that is before it.
    #[must_use]
    pub const fn elapsed(&self, counter: u64) -> u64 {
        let ticks = counter.saturating_sub(self.counter);
        let nanoseconds = (ticks as u128 * self.scale as u128) >> SCALE_BITS;
        if nanoseconds > u64::MAX as u128 {
            return u64::MAX;
        }
        #[expect(clippy::cast_possible_truncation, reason = "compared above")]
        {
            nanoseconds as u64
        }
    }

    /// Monotonic time in nanoseconds when the counter stands at `counter`.
    #[must_use]
    pub const fn monotonic_at(&self, counter: u64) -> u64 {
        self.monotonic.saturating_add(self.elapsed(counter))
    }

    /// Wall time in nanoseconds since the Unix epoch when the counter stands at `counter`.
    #[must_use]
    pub const fn wall_at(&self, counter: u64) -> i64 {
        self.wall.saturating_add_unsigned(self.elapsed(counter))
    }
}

/// The page itself. Mapped read-only in the instance.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct ClockPage {
    /// Odd while the host writes.
    sequence: AtomicU32,
    reserved: AtomicU32,
    counter: AtomicU64,
    scale: AtomicU64,
    monotonic: AtomicU64,
    wall: AtomicU64,
}

#[cfg(not(loom))]
const _: () = {
    assert!(size_of::<ClockPage>() == 64);
    assert!(core::mem::offset_of!(ClockPage, counter) == 8);
    assert!(core::mem::offset_of!(ClockPage, wall) == 32);
};

impl ClockPage {
    /// A page that says the time is zero; for tests and for memory the host fills afresh.
    #[must_use]
    #[cfg_attr(loom, allow(clippy::new_without_default))]
    pub fn new() -> Self {
        Self {
            sequence: AtomicU32::new(0),
            reserved: AtomicU32::new(0),
            counter: AtomicU64::new(0),
            scale: AtomicU64::new(0),
            monotonic: AtomicU64::new(0),
            wall: AtomicU64::new(0),
        }
    }

    /// Host: puts a new point in. One writer at a time.
    pub fn write(&self, point: ClockPoint) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence
            .store(sequence.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.counter.store(point.counter, Ordering::Relaxed);
        self.scale.store(point.scale, Ordering::Relaxed);
        self.monotonic.store(point.monotonic, Ordering::Relaxed);
        // The wall clock counts from 1970 and is kept bit by bit, so that times before it survive.
        self.wall.store(
            u64::from_ne_bytes(point.wall.to_ne_bytes()),
            Ordering::Relaxed,
        );
        self.sequence
            .store(sequence.wrapping_add(2), Ordering::Release);
    }

    /// Guest: a consistent point. Waits while the host is writing one.
    #[must_use]
    pub fn read(&self) -> ClockPoint {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let point = ClockPoint {
                counter: self.counter.load(Ordering::Relaxed),
                scale: self.scale.load(Ordering::Relaxed),
                monotonic: self.monotonic.load(Ordering::Relaxed),
                wall: i64::from_ne_bytes(self.wall.load(Ordering::Relaxed).to_ne_bytes()),
            };
            fence(Ordering::Acquire);
            if before & 1 == 0 && self.sequence.load(Ordering::Relaxed) == before {
                return point;
            }
            #[cfg(loom)]
            loom::thread::yield_now();
            core::hint::spin_loop();
        }
    }
}

impl Default for ClockPage {
    fn default() -> Self {
        Self::new()
    }
}

/// The processor's time stamp counter.
#[cfg(target_arch = "x86_64")]
#[must_use]
pub fn counter() -> u64 {
    // SAFETY: every x86-64 processor has the instruction, and it touches no memory.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(all(test, loom))]
mod model {
    use super::*;
    use loom::sync::Arc;

    #[test]
    fn a_reader_never_sees_half_a_point_under_any_interleaving() {
        loom::model(|| {
            let page = Arc::new(ClockPage::new());
            let writer = loom::thread::spawn({
                let page = page.clone();
                move || {
                    page.write(ClockPoint {
                        counter: 1,
                        scale: 1,
                        monotonic: 1,
                        wall: 1,
                    })
                }
            });
            let point = page.read();
            let parts = [point.scale, point.monotonic, point.wall.unsigned_abs()];
            assert_eq!(parts, [point.counter; 3]);
            writer.join().expect("the writer does not panic");
        });
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_counter_at_two_gigahertz_gives_half_a_nanosecond_a_tick() {
        let point = ClockPoint {
            counter: 100,
            scale: ClockPoint::scale_of(2_000_000_000),
            monotonic: 7,
            wall: -5,
        };
        assert_eq!(point.monotonic_at(100), 7);
        assert_eq!(point.monotonic_at(2_100), 1_007);
        assert_eq!(point.wall_at(2_100), 995);
        assert_eq!(
            point.monotonic_at(0),
            7,
            "a counter that went back moves nothing back"
        );
    }

    #[test]
    fn a_point_is_read_as_it_was_written() {
        let page = ClockPage::new();
        let point = ClockPoint {
            counter: 1,
            scale: 2,
            monotonic: 3,
            wall: -4,
        };
        page.write(point);
        assert_eq!(page.read(), point);
    }

    #[test]
    fn a_reader_never_sees_half_a_point() {
        let page = std::sync::Arc::new(ClockPage::new());
        let writer = std::thread::spawn({
            let page = page.clone();
            move || {
                for i in 0..20_000u64 {
                    page.write(ClockPoint {
                        counter: i,
                        scale: i,
                        monotonic: i,
                        wall: i.cast_signed(),
                    });
                }
            }
        });
        while !writer.is_finished() {
            let point = page.read();
            assert_eq!(
                (point.scale, point.monotonic, point.wall),
                (point.counter, point.counter, point.counter.cast_signed())
            );
        }
        writer.join().expect("the writer does not panic");
    }
}
