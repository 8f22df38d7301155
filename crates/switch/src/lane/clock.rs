//! The time an instance lives in: the host's, or the captures' own.
//!
//! In playback time goes from one thing to the next: a frame, or a timer of the instance. Between
//! two captures there may be years in which there is nothing but timers, and an instance that polls
//! would see such a stretch in steps of a microsecond. So a quiet stretch, in which nothing arrives
//! and nothing leaves, is crossed in a bounded number of steps. The first [`EXACT_STEPS`] timers
//! expire when they are due. After those, as for polling from the start, each step is at least a
//! [`THINNING`]th of the quiet so far: timers still expire in order and with what they set in turn,
//! but up to that much late. Those that are due before the next frame have always expired when it
//! arrives.

use sprat_abi::call::{AT_ONCE, NO_DEADLINE};
use sprat_monitor::{Instance, StandingTime, monotonic_now};

use crate::port::Arrival;

/// When an instance wants to be entered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deadline {
    /// At once: it has more to do.
    AtOnce,
    /// At this moment of its monotonic clock, in nanoseconds.
    At(u64),
    /// Not before something happens.
    None,
}

impl Deadline {
    pub(super) fn from_call(deadline: u64) -> Self {
        match deadline {
            AT_ONCE => Self::AtOnce,
            NO_DEADLINE => Self::None,
            moment => Self::At(moment),
        }
    }

    /// The moment of the monotonic clock; far away where there is none.
    pub(super) fn moment(self) -> u64 {
        match self {
            Self::AtOnce => 0,
            Self::At(moment) => moment,
            Self::None => u64::MAX,
        }
    }

    /// Whether it has come by now.
    pub(super) fn is_due(self, now: u64) -> bool {
        self.moment() <= now
    }
}

/// How far ahead of the clock frames of a capture are handed over together, in nanoseconds: less
/// than timers of middleboxes care about, more than one frame's worth.
const WINDOW: i64 = 1_000_000;

/// How far time moves at least for an instance that polls, in nanoseconds.
const POLL_STEP: u64 = 1000;

/// Timers of a quiet stretch that expire exactly when they are due: a quarter of an hour of one that
/// expires each second, and some hundredths of a second to go through.
const EXACT_STEPS: u32 = 1024;

/// The part of a quiet stretch that a step may be late by. With 64, what is due after a second is at
/// most 16 ms late, and thirty years take some two thousand steps.
const THINNING: u64 = 64;

/// The longest step, in nanoseconds: a hundred days. Elements that count time in few bits see it
/// pass before it wraps.
const LONGEST_STEP: u64 = 100 * 86_400 * 1_000_000_000;

/// The monotonic clock of a playback at its first frame, in nanoseconds. Not zero, so that there is
/// a past.
const PLAYBACK_START: u64 = 1_000_000_000;

/// The clock of a lane.
#[derive(Debug)]
pub(super) struct Clock {
    playback: Option<Playback>,
    deadline: Deadline,
    quiet: Option<Quiet>,
    leaps: u64,
}

/// A stretch of time in which nothing arrived and nothing left.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    /// When it began, on the instance's monotonic clock.
    since: u64,
    /// Entries of the instance since then.
    entries: u32,
    /// Before this moment it is not entered again, unless a frame arrives.
    not_before: u64,
    /// Whether a timer was put off.
    leapt: bool,
}

#[derive(Debug)]
struct Playback {
    /// Nanoseconds since the playback began, and where that is on the wall clock.
    elapsed: u64,
    origin: Option<i64>,
}

impl Playback {
    fn monotonic(&self) -> u64 {
        PLAYBACK_START.saturating_add(self.elapsed)
    }

    fn wall(&self) -> i64 {
        self.origin
            .unwrap_or(0)
            .saturating_add_unsigned(self.elapsed)
    }

    fn wall_of(&self, monotonic: u64) -> i64 {
        self.origin
            .unwrap_or(0)
            .saturating_add_unsigned(monotonic.saturating_sub(PLAYBACK_START))
    }

    /// Moves on to a moment of the wall clock; never back, whatever the captures say.
    fn move_to(&mut self, wall: i64) {
        let origin = *self.origin.get_or_insert(wall);
        let elapsed = u64::try_from(wall.saturating_sub(origin)).unwrap_or(0);
        self.elapsed = self.elapsed.max(elapsed);
    }
}

impl Clock {
    pub(super) fn new(playback: bool) -> Self {
        let playback = playback.then_some(Playback {
            elapsed: 0,
            origin: None,
        });
        Self {
            playback,
            deadline: Deadline::AtOnce,
            quiet: None,
            leaps: 0,
        }
    }

    /// The instance's monotonic time in nanoseconds.
    pub(super) fn now(&self) -> u64 {
        self.playback
            .as_ref()
            .map_or_else(monotonic_now, Playback::monotonic)
    }

    /// Frames arrived or left, and the instance wants to be entered again at `deadline`.
    pub(super) fn moved(&mut self, deadline: Deadline) {
        self.quiet = None;
        self.deadline = deadline;
    }

    /// Nothing arrived and nothing left, and the instance wants to be entered again at `deadline`.
    /// Says how long that has been so, in nanoseconds.
    pub(super) fn rested(&mut self, deadline: Deadline) -> u64 {
        let now = self.now();
        let quiet = self.quiet.get_or_insert(Quiet {
            since: now,
            entries: 0,
            not_before: 0,
            leapt: false,
        });
        quiet.entries = quiet.entries.saturating_add(1);
        let passed = now.saturating_sub(quiet.since);
        let polls = deadline == Deadline::AtOnce;
        self.deadline = deadline;
        if polls || quiet.entries > EXACT_STEPS {
            let step = (passed / THINNING).clamp(POLL_STEP, LONGEST_STEP);
            quiet.not_before = now.saturating_add(step);
            if !polls && !quiet.leapt {
                quiet.leapt = true;
                self.leaps += 1;
            }
        }
        passed
    }

    /// In how many quiet stretches timers were put off.
    pub(super) fn leaps(&self) -> u64 {
        self.leaps
    }

    /// Whether the instance waits for nothing but frames.
    pub(super) fn waits_for_frames(&self) -> bool {
        self.deadline == Deadline::None
    }

    /// Moves on to the next frame or the deadline, whichever is first, and says up to which arrival
    /// frames may be handed over.
    pub(super) fn advance(&mut self, next: Arrival) -> i64 {
        let Some(playback) = &mut self.playback else {
            return i64::MAX;
        };
        let now = playback.wall();
        let due = match self.deadline {
            Deadline::AtOnce => Some(now).filter(|_| playback.origin.is_some()),
            Deadline::At(moment) => Some(playback.wall_of(moment)),
            Deadline::None => None,
        };
        // When to enter, where no frame arrives before.
        let step = due.map(|due| match self.quiet {
            Some(quiet) => due.max(playback.wall_of(quiet.not_before)),
            None => due,
        });
        match (next, step) {
            (Arrival::At(arrival), Some(step)) if step < arrival => {
                playback.move_to(step);
                // Nothing has arrived by then.
                playback.wall()
            }
            (Arrival::At(arrival), _) if due.is_some_and(|due| now < due && due < arrival) => {
                // A timer that was put off must not be overtaken by the frame.
                playback.move_to(arrival - 1);
                playback.wall()
            }
            (Arrival::At(arrival), _) => {
                playback.move_to(arrival);
                let window = playback.wall().saturating_add(WINDOW);
                due.map_or(window, |due| window.min(due.max(playback.wall())))
            }
            (_, Some(step)) => {
                playback.move_to(step);
                playback.wall()
            }
            (_, None) => playback.wall(),
        }
    }

    /// The latest frame handed over arrived at this moment.
    pub(super) fn reached(&mut self, arrival: i64) {
        if let Some(playback) = &mut self.playback
            && arrival != i64::MIN
        {
            playback.move_to(arrival);
        }
    }

    /// Shows the instance the time, where it does not see the host's.
    pub(super) fn apply(&self, instance: &mut dyn Instance) {
        if let Some(playback) = &self.playback {
            let time = StandingTime {
                monotonic: playback.monotonic(),
                wall: playback.wall(),
            };
            instance.shared().set_time(Some(time));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: i64 = 1_700_000_000_000_000_000;

    #[test]
    fn a_playback_stands_at_its_first_frame() {
        let mut clock = Clock::new(true);
        clock.moved(Deadline::None);
        assert_eq!(clock.advance(Arrival::At(BASE)), BASE + WINDOW);
        assert_eq!(clock.now(), PLAYBACK_START);
    }

    #[test]
    fn a_timer_before_the_next_frame_comes_first() {
        let mut clock = Clock::new(true);
        clock.advance(Arrival::At(BASE));
        clock.moved(Deadline::At(PLAYBACK_START + 5_000_000));
        assert_eq!(
            clock.advance(Arrival::At(BASE + 9_000_000)),
            BASE + 5_000_000
        );
        assert_eq!(clock.now(), PLAYBACK_START + 5_000_000);
        clock.moved(Deadline::At(PLAYBACK_START + 9_500_000));
        assert_eq!(
            clock.advance(Arrival::At(BASE + 9_000_000)),
            BASE + 9_500_000
        );
        assert_eq!(clock.now(), PLAYBACK_START + 9_000_000);
    }

    #[test]
    fn a_playback_never_goes_back() {
        let mut clock = Clock::new(true);
        clock.advance(Arrival::At(BASE));
        clock.reached(BASE + 1000);
        clock.moved(Deadline::None);
        clock.advance(Arrival::At(BASE - 5_000_000_000));
        assert_eq!(clock.now(), PLAYBACK_START + 1000);
    }

    /// Counts entries until the frame at `arrival` is handed over; `next` says what the instance
    /// waits for after an entry at that time. Says when the last entry before the frame was, too.
    fn cross(clock: &mut Clock, arrival: i64, next: impl Fn(u64) -> Deadline) -> (u32, u64) {
        let (mut entries, mut last) = (0, clock.now());
        while clock.advance(Arrival::At(arrival)) < arrival {
            entries += 1;
            last = clock.now();
            clock.rested(next(last));
            assert!(entries < 100_000, "no end at {last}");
        }
        (entries, last)
    }

    fn standing() -> Clock {
        let mut clock = Clock::new(true);
        clock.advance(Arrival::At(BASE));
        clock
    }

    const SECOND: u64 = 1_000_000_000;
    const YEARS_30: i64 = 30 * 365 * 86_400 * 1_000_000_000;

    #[test]
    fn thirty_years_of_a_timer_each_second_are_crossed_in_some_thousand_steps() {
        let mut clock = standing();
        clock.moved(Deadline::At(clock.now() + SECOND));
        let (entries, last) = cross(&mut clock, BASE + YEARS_30, |now| {
            Deadline::At(now + SECOND)
        });
        assert!((1024..3000).contains(&entries), "{entries}");
        // It expired once more right before the frame.
        assert_eq!(last, PLAYBACK_START + YEARS_30.unsigned_abs() - 1);
        assert_eq!(clock.now(), PLAYBACK_START + YEARS_30.unsigned_abs());
        assert_eq!(clock.leaps(), 1);
    }

    #[test]
    fn thirty_years_of_polling_are_crossed_in_some_thousand_steps() {
        let mut clock = standing();
        clock.rested(Deadline::AtOnce);
        let (entries, _) = cross(&mut clock, BASE + YEARS_30, |_| Deadline::AtOnce);
        assert!(entries < 3000, "{entries}");
    }

    #[test]
    fn a_timer_that_always_is_due_does_not_hold_time_up() {
        let mut clock = standing();
        clock.rested(Deadline::At(PLAYBACK_START));
        let (entries, _) = cross(&mut clock, BASE + YEARS_30, |_| {
            Deadline::At(PLAYBACK_START)
        });
        assert!(entries < 4000, "{entries}");
    }

    #[test]
    fn a_quarter_of_an_hour_of_a_timer_each_second_is_exact() {
        let mut clock = standing();
        clock.moved(Deadline::At(clock.now() + SECOND));
        let quarter = 900 * 1_000_000_000;
        let (entries, last) = cross(&mut clock, BASE + quarter, |now| Deadline::At(now + SECOND));
        assert_eq!((entries, clock.leaps()), (899, 0));
        assert_eq!(last, PLAYBACK_START + 899 * SECOND);
    }

    #[test]
    fn what_polls_is_late_by_a_small_part_of_the_wait() {
        let mut clock = standing();
        clock.rested(Deadline::AtOnce);
        let wanted = clock.now() + 10_000_000;
        while clock.now() < wanted {
            clock.advance(Arrival::Never);
            clock.rested(Deadline::AtOnce);
        }
        assert!(clock.now() - wanted <= 10_000_000 / THINNING);
    }

    #[test]
    fn movement_makes_the_next_timers_exact_again() {
        let mut clock = standing();
        clock.moved(Deadline::At(clock.now() + SECOND));
        cross(&mut clock, BASE + YEARS_30, |now| {
            Deadline::At(now + SECOND)
        });
        clock.moved(Deadline::At(clock.now() + SECOND));
        let before = clock.now();
        clock.advance(Arrival::At(i64::MAX));
        assert_eq!(clock.now(), before + SECOND);
    }

    #[test]
    fn the_ends_of_time_are_reached_without_overflow() {
        for (first, second) in [(0, i64::MAX), (i64::MAX, 0), (i64::MIN, i64::MAX)] {
            let mut clock = Clock::new(true);
            clock.advance(Arrival::At(first));
            for deadline in [Deadline::AtOnce, Deadline::At(u64::MAX), Deadline::None] {
                clock.rested(deadline);
                clock.advance(Arrival::At(second));
                clock.reached(second);
            }
            clock.rested(Deadline::AtOnce);
            clock.advance(Arrival::Never);
        }
    }
}
