//! The time an instance lives in: the host's, or the captures' own.

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

/// How far time moves for an instance that polls, in nanoseconds.
const POLL_STEP: u64 = 1000;

/// The monotonic clock of a playback at its first frame, in nanoseconds. Not zero, so that there is
/// a past.
const PLAYBACK_START: u64 = 1_000_000_000;

/// The clock of a lane.
#[derive(Debug)]
pub(super) struct Clock {
    playback: Option<Playback>,
    deadline: Deadline,
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
        }
    }

    /// The instance's monotonic time in nanoseconds.
    pub(super) fn now(&self) -> u64 {
        self.playback
            .as_ref()
            .map_or_else(monotonic_now, Playback::monotonic)
    }

    /// Notes when the instance wants to be entered again.
    pub(super) fn wait_for(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    /// A deadline for an instance that moved nothing and wants to be entered at once: it polls, and
    /// where time stands it would poll for ever.
    pub(super) fn soften(&self, deadline: Deadline) -> Deadline {
        match deadline {
            Deadline::AtOnce => Deadline::At(self.now() + POLL_STEP),
            later => later,
        }
    }

    /// Moves on to the next frame or the deadline, whichever is first, and says up to which arrival
    /// frames may be handed over.
    pub(super) fn advance(&mut self, next: Arrival) -> i64 {
        let Some(playback) = &mut self.playback else {
            return i64::MAX;
        };
        let due = match self.deadline {
            Deadline::AtOnce => Some(playback.wall()).filter(|_| playback.origin.is_some()),
            Deadline::At(moment) => Some(playback.wall_of(moment)),
            Deadline::None => None,
        };
        match (next, due) {
            (Arrival::At(arrival), Some(due)) if due < arrival => {
                playback.move_to(due);
                // Nothing has arrived by then.
                playback.wall()
            }
            (Arrival::At(arrival), due) => {
                playback.move_to(arrival);
                let window = playback.wall().saturating_add(WINDOW);
                due.map_or(window, |due| window.min(due.max(playback.wall())))
            }
            (_, Some(due)) => {
                playback.move_to(due);
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
        clock.wait_for(Deadline::None);
        assert_eq!(clock.advance(Arrival::At(BASE)), BASE + WINDOW);
        assert_eq!(clock.now(), PLAYBACK_START);
    }

    #[test]
    fn a_timer_before_the_next_frame_comes_first() {
        let mut clock = Clock::new(true);
        clock.advance(Arrival::At(BASE));
        clock.wait_for(Deadline::At(PLAYBACK_START + 5_000_000));
        assert_eq!(
            clock.advance(Arrival::At(BASE + 9_000_000)),
            BASE + 5_000_000
        );
        assert_eq!(clock.now(), PLAYBACK_START + 5_000_000);
        clock.wait_for(Deadline::At(PLAYBACK_START + 9_500_000));
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
        clock.wait_for(Deadline::None);
        clock.advance(Arrival::At(BASE - 5_000_000_000));
        assert_eq!(clock.now(), PLAYBACK_START + 1000);
    }
}
