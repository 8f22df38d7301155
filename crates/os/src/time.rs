//! Clocks and timers.

use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use sprat_platform::Platform as _;

use crate::local::local;
use crate::target::platform;

local! {
    /// Wakers by deadline, in order; the number keeps equal deadlines apart. The next one is at the
    /// front, a new one most often belongs at the back, and moving a stretch costs less than a tree's
    /// code.
    static TIMERS: RefCell<Vec<((u64, u64), Waker)>> = RefCell::new(Vec::new());
}

local! {
    static NEXT_NUMBER: Cell<u64> = Cell::new(0);
}

/// A moment on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// This moment.
    #[must_use]
    pub fn now() -> Self {
        Self(platform().monotonic())
    }

    /// The moment at this many nanoseconds of the monotonic clock.
    #[must_use]
    pub const fn from_nanoseconds(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds of the monotonic clock.
    #[must_use]
    pub const fn nanoseconds(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero where it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `span` after this one.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// Nanoseconds since the Unix epoch. The host may set this clock forward or back.
#[must_use]
pub fn wall() -> i64 {
    platform().wall()
}

/// Waits for a moment on the monotonic clock.
#[must_use = "nothing waits until it is awaited"]
#[derive(Debug)]
pub struct Sleep {
    deadline: u64,
    /// Our place among equal deadlines once registered.
    number: Option<u64>,
}

/// Waits until `moment`.
pub const fn sleep_until(moment: Instant) -> Sleep {
    Sleep {
        deadline: moment.0,
        number: None,
    }
}

/// Waits for `span` from now on.
pub fn sleep(span: Duration) -> Sleep {
    sleep_until(Instant::now().after(span))
}

/// Where a timer stands, or would.
fn place(timers: &[((u64, u64), Waker)], timer: (u64, u64)) -> Result<usize, usize> {
    timers.binary_search_by(|(known, _)| timer.cmp(known))
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if platform().monotonic() >= self.deadline {
            return Poll::Ready(());
        }
        let deadline = self.deadline;
        let number = *self.number.get_or_insert_with(|| {
            NEXT_NUMBER.with(|next| {
                let number = next.get();
                next.set(number + 1);
                number
            })
        });
        crate::task::waits_at_least_for("a timer");
        let waker = context.waker().clone();
        let _before = TIMERS.with(|timers| {
            let mut timers = timers.borrow_mut();
            match place(&timers, (deadline, number)) {
                Ok(place) => Some(core::mem::replace(&mut timers[place].1, waker)),
                Err(place) => {
                    timers.insert(place, ((deadline, number), waker));
                    None
                }
            }
        });
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // The waker is dropped after the borrow has ended: that may drop a task, which may
            // hold timers itself.
            let _waker = TIMERS.with(|timers| {
                let mut timers = timers.borrow_mut();
                let place = place(&timers, (self.deadline, number)).ok()?;
                Some(timers.remove(place))
            });
        }
    }
}

/// The number of those that are not [`Sleep`]s.
#[cfg(feature = "edge-nal")]
const FOREIGN: u64 = u64::MAX;

/// Has `waker` woken at a moment, or at the earlier one that it has been registered for in this way.
#[cfg(feature = "edge-nal")]
pub(crate) fn wake_at(deadline: u64, waker: &Waker) {
    crate::task::waits_at_least_for("a timer");
    let new = waker.clone();
    let _before = TIMERS.with(|timers| {
        let mut timers = timers.borrow_mut();
        let known = timers
            .iter()
            .position(|((_, number), known)| *number == FOREIGN && known.will_wake(waker));
        // Who waits asks again each time it is looked at.
        let before = match known {
            Some(known) if timers[known].0.0 <= deadline => return Some(new),
            Some(known) => Some(timers.remove(known).1),
            None => None,
        };
        let (Ok(place) | Err(place)) = place(&timers, (deadline, FOREIGN));
        timers.insert(place, ((deadline, FOREIGN), new));
        before
    });
}

/// The time was up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl core::fmt::Display for Elapsed {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.write_str("the time was up")
    }
}

impl core::error::Error for Elapsed {}

/// Waits for `future`, but no longer than `span`.
///
/// # Errors
/// When the time is up first; the future is dropped then.
pub async fn timeout<F: Future>(span: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut limit = pin!(sleep(span));
    core::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        limit.as_mut().poll(context).map(|()| Err(Elapsed))
    })
    .await
}

/// When the earliest timer is due.
pub(crate) fn next_deadline() -> Option<u64> {
    TIMERS.with(|timers| Some(timers.borrow().last()?.0.0))
}

/// Wakes whoever waits for a moment up to `now`.
pub(crate) fn fire(now: u64) {
    loop {
        let due = TIMERS.with(|timers| {
            let mut timers = timers.borrow_mut();
            match timers.last() {
                Some(((deadline, _), _)) if *deadline <= now => timers.pop(),
                _ => None,
            }
        });
        match due {
            Some((_, waker)) => waker.wake(),
            None => return,
        }
    }
}
