//! A lane: a loop that carries frames between ports and an instance that it runs to completion.
//!
//! Gather a batch from the ports, copy it into the instance's rings, enter the instance on this
//! thread until it yields, drain what it sent, and again. An instance without work costs nothing.
//!
//! Time runs in one of two ways. Live, the instance sees the real clocks. In playback, when all
//! frames come from captures, it sees the captures' own time: the clock stands at the arrival of
//! the frames at hand, and jumps to the next frame or timer. So timeouts and rates act on a
//! capture as they acted on the traffic, however fast it is played, and twice gives the same. A
//! stretch in which nothing arrives and nothing leaves is crossed in a bounded number of entries,
//! be it years: after the first thousand, timers expire somewhat late (`lane/clock.rs`).

mod carry;
mod clock;
mod control;
mod link;
mod live;

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant as HostInstant};

use sprat_abi::host::Lie;
use sprat_monitor::{Death, Instance, MonitorError, Outcome};

use crate::port::{Arrival, PortError};

pub use control::{ControlError, Refusal};
pub use link::Link;

pub(crate) use live::timespec;

use carry::PIECE;
use clock::{Clock, Deadline};

/// How a lane treats its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneOptions {
    /// Frames handed over at a time, for each device.
    pub batch: usize,
    /// How long an entry may take.
    pub budget: Duration,
    /// How many entries in a row may use their budget up before the instance counts as hung.
    pub patience: u32,
    /// How long, in the instance's time, nothing must have moved before a run is over.
    pub linger: Duration,
    /// Whether the instance lives in the captures' time.
    pub playback: bool,
    /// How long a run on the machine's time lasts; without end where none is given and a port is
    /// live.
    pub duration: Option<Duration>,
    /// Whether the lane never sleeps, so that no frame waits for a wake-up.
    pub awake: bool,
    /// Console bytes passed on for each entry; the rest is dropped and counted.
    pub console_limit: usize,
}

impl Default for LaneOptions {
    fn default() -> Self {
        Self {
            batch: 1024,
            budget: Duration::from_millis(100),
            patience: 20,
            linger: Duration::from_secs(1),
            playback: false,
            duration: None,
            awake: false,
            console_limit: 64 << 10,
        }
    }
}

/// Why a lane stopped before its work was done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaneError {
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The monitor could not enter the instance.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// The instance came to its end.
    #[error("the instance {0}")]
    Death(Box<Death>),
}

/// What a lane has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaneCounters {
    /// Times the instance was entered.
    pub entries: u64,
    /// Frames handed to the instance.
    pub delivered: u64,
    /// Frames taken from the instance.
    pub collected: u64,
    /// The largest number of frames handed over for one entry.
    pub largest_batch: u64,
    /// Time spent in entries.
    pub inside: Duration,
    /// How long the first entry took: from the instance's first instruction to its first yield.
    pub first_yield: Option<Duration>,
    /// Time from the first entry to the first frame that came out.
    pub first_frame: Option<Duration>,
    /// Console bytes dropped because there were too many.
    pub console_dropped: u64,
    /// Quiet stretches of a playback that were too long for every timer to expire when it was due.
    pub leaps: u64,
    /// Whether a run on the machine's time ended only because nothing had moved for long: the instance
    /// waited for a moment to come.
    pub lingered: bool,
}

/// How much longer than usual, in nanoseconds, nothing must move where frames are at hand: what
/// takes up the room for them may be on its way out.
const FULL_PATIENCE: u64 = 60_000_000_000;

/// A lane with one instance.
pub struct Lane {
    instance: Box<dyn Instance>,
    links: Vec<Link>,
    options: LaneOptions,
    clock: Clock,
    counters: LaneCounters,
    started: Option<HostInstant>,
    console: Vec<u8>,
    /// What came out of each file that is being written, to be taken by whoever writes it.
    files: Vec<Vec<u8>>,
    requests: u64,
    exited: Option<i32>,
    /// Ends the lane's sleep.
    alarm: Option<OwnedFd>,
}

impl Lane {
    /// A lane that joins the instance's devices to ports. Each device of the instance needs a link
    /// of its name; links come in any order.
    #[must_use]
    pub fn new(
        mut instance: Box<dyn Instance>,
        mut links: Vec<Link>,
        options: LaneOptions,
    ) -> Self {
        let shared = instance.shared();
        let place = |name: &str| shared.networks().position(|network| network == name);
        links.sort_by_key(|link| place(&link.device).unwrap_or(usize::MAX));
        let files = shared.outputs().map(|_| Vec::new()).collect();
        Self {
            instance,
            links,
            options,
            clock: Clock::new(options.playback),
            counters: LaneCounters::default(),
            started: None,
            console: Vec::new(),
            files,
            requests: 0,
            exited: None,
            alarm: None,
        }
    }

    /// The links, in the order of the instance's devices.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// What the lane has done so far.
    #[must_use]
    pub fn counters(&self) -> &LaneCounters {
        &self.counters
    }

    /// The instance.
    pub fn instance(&mut self) -> &mut dyn Instance {
        &mut *self.instance
    }

    /// Takes what the instance wrote to its console.
    pub fn take_console(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.console)
    }

    /// Takes what the instance wrote to each of its files, in the order they were granted.
    pub fn take_files(&mut self) -> Vec<Vec<u8>> {
        self.files.iter_mut().map(std::mem::take).collect()
    }

    /// The status the instance exited with, where it did.
    #[must_use]
    pub fn exit_status(&self) -> Option<i32> {
        self.exited
    }

    /// Carries frames until the ports have no more and the instance has come to rest, or it exits.
    /// `watch` is called now and then, with the lane; while it returns `false` the run ends early.
    ///
    /// # Errors
    /// A port failed, or the instance died. Its console can still be taken.
    pub fn run(&mut self, watch: &mut dyn FnMut(&mut Self) -> bool) -> Result<(), LaneError> {
        if !self.options.playback {
            return self.run_live(watch);
        }
        let linger = u64::try_from(self.options.linger.as_nanos()).unwrap_or(u64::MAX);
        // Frames are at hand that the instance has no room for.
        let mut full = false;
        while self.exited.is_none() {
            let (arrival, until) = self.advance(full)?;
            let fed = self.feed(until)?;
            let deadline = self.enter(false)?;
            let moved = fed + self.collect()?.count;
            if !watch(self) {
                return Ok(());
            }
            if moved > 0 {
                full = false;
                self.clock.moved(deadline);
                continue;
            }
            full = match arrival {
                Arrival::Live => true,
                Arrival::At(moment) => moment <= until,
                Arrival::Never => false,
            };
            let rested = self.clock.rested(deadline);
            self.counters.leaps = self.clock.leaps();
            let patience = match arrival {
                _ if full => Some(linger.saturating_add(FULL_PATIENCE)),
                Arrival::Never => Some(linger),
                Arrival::Live | Arrival::At(_) => None,
            };
            let waits = self.clock.waits_for_frames();
            if patience.is_some_and(|patience| waits || rested >= patience) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Moves the clock on to what comes next: the earliest frame, unless the instance is too `full`
    /// for it, or the instance's deadline. Says when the next frame comes and up to which arrival
    /// frames may be handed over now.
    ///
    /// Within one batch an instance may look at its devices in any order. So that no answer overtakes
    /// its question, a batch ends before the first frame of another device.
    fn advance(&mut self, full: bool) -> Result<(Arrival, i64), LaneError> {
        let mut next = Arrival::Never;
        // The earliest recorded arrival at a device, and the earliest at any other.
        let (mut first, mut rival) = (i64::MAX, i64::MAX);
        for input in self.links.iter_mut().filter_map(Link::input_mut) {
            let arrival = input.next_arrival()?;
            if let Arrival::At(moment) = arrival {
                rival = rival.min(moment.max(first));
                first = first.min(moment);
            }
            next = match (next, arrival) {
                (Arrival::Live, _) | (_, Arrival::Live) => Arrival::Live,
                (Arrival::At(one), Arrival::At(other)) => Arrival::At(one.min(other)),
                (Arrival::Never, other) => other,
                (one, Arrival::Never) => one,
            };
        }
        let until = self.clock.advance(if full { Arrival::Never } else { next });
        let until = until.min(rival.saturating_sub(1).max(first));
        Ok((next, until))
    }

    /// Enters the instance until it yields.
    fn enter(&mut self, stop: bool) -> Result<Deadline, LaneError> {
        self.clock.apply(&mut *self.instance);
        let begin = HostInstant::now();
        self.started.get_or_insert(begin);
        let mut overruns = 0;
        loop {
            self.counters.entries += 1;
            match self.instance.enter(self.options.budget, stop)? {
                Outcome::Yielded { deadline } => {
                    let elapsed = begin.elapsed();
                    self.counters.inside += elapsed;
                    self.counters.first_yield.get_or_insert(elapsed);
                    return Ok(Deadline::from_call(deadline));
                }
                Outcome::Exited { status } => {
                    self.exited = Some(status);
                    return Ok(Deadline::None);
                }
                Outcome::Faulted(report) => return Err(self.died(Death::Faulted(report))),
                Outcome::OutOfBudget => {
                    overruns += 1;
                    if overruns >= self.options.patience {
                        return Err(self.died(Death::Hung { budgets: overruns }));
                    }
                    // What it has said so far may be why it takes so long.
                    self.collect_texts()?;
                }
            }
        }
    }

    /// Asks the instance to come to an end by itself and takes what it still has to say. One that
    /// does not within its patience is ended.
    ///
    /// # Errors
    /// A port failed, or the instance died instead.
    pub fn stop(&mut self) -> Result<(), LaneError> {
        for _ in 0..self.options.patience {
            if self.exited.is_some() {
                break;
            }
            self.enter(true)?;
            self.collect()?;
        }
        self.collect()?;
        self.instance.kill();
        Ok(())
    }

    /// Has all ports write out what they hold back, before any of them is completed.
    ///
    /// # Errors
    /// The first port that cannot.
    pub fn flush(&mut self) -> Result<(), PortError> {
        self.links
            .iter_mut()
            .flat_map(Link::ports_mut)
            .try_for_each(|port| port.flush())
    }

    /// Completes all ports: output files appear under their names.
    ///
    /// # Errors
    /// The first port that cannot be completed.
    pub fn finish(&mut self) -> Result<(), PortError> {
        self.links
            .iter_mut()
            .flat_map(Link::ports_mut)
            .try_for_each(|port| port.finish())
    }

    fn lied(&mut self, lie: Lie) -> LaneError {
        self.died(Death::Lied(lie))
    }

    /// Ends the instance, whose console holds what it said last.
    fn died(&mut self, death: Death) -> LaneError {
        self.instance.kill();
        let mut piece = [0; PIECE];
        while let Ok(count @ 1..) = self.instance.shared().read_console(&mut piece) {
            if self.console.len() >= self.options.console_limit {
                break;
            }
            self.console.extend_from_slice(&piece[..count]);
        }
        LaneError::Death(Box::new(death))
    }
}
