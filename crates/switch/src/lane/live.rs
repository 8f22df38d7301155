//! A lane on the machine's own time: it polls while frames move and sleeps while none do.
//!
//! The instance is entered when there is something for it: frames, its deadline, or room after it
//! has filled a ring. Between that the lane sleeps until a port's descriptor can be read, the earliest
//! deadline of instance and ports, or the alarm. Nothing is looked at while nothing happens.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use sprat_monitor::monotonic_now;

use super::clock::Deadline;
use super::{FULL_PATIENCE, Lane, LaneError, Link};
use crate::port::{Arrival, PortError};

/// How long to wait before an instance that has left a ring full is entered again, in nanoseconds.
const BREATH: u64 = 1_000_000;

impl Lane {
    /// Ends the lane's sleep, so that it calls `watch`, whenever the descriptor can be read.
    pub fn set_alarm(&mut self, descriptor: OwnedFd) {
        self.alarm = Some(descriptor);
    }

    /// [`Lane::run`] on the machine's time.
    pub(super) fn run_live(
        &mut self,
        watch: &mut dyn FnMut(&mut Self) -> bool,
    ) -> Result<(), LaneError> {
        let end = self
            .options
            .duration
            .map(|duration| monotonic_now().saturating_add(nanoseconds(duration)));
        let linger = nanoseconds(self.options.linger);
        // Room that is not made for so long never is.
        let patience = linger.saturating_add(FULL_PATIENCE);
        // An instance starts by itself, whatever comes.
        let (mut deadline, mut again) = (Deadline::AtOnce, true);
        let mut quiet_since = monotonic_now();
        while self.exited.is_none() {
            let (arrival, until) = self.advance(false)?;
            // What comes from files is in order: no answer overtakes its question.
            let waits = self.instance.is_behind() && !self.is_live();
            let fed = if waits { 0 } else { self.feed(until)? };
            let now = monotonic_now();
            if end.is_some_and(|end| now >= end) {
                return Ok(());
            }
            if fed > 0 || again || waits || deadline.is_due(now) {
                deadline = self.enter(false)?;
                let collected = self.collect()?;
                again = collected.awaited;
                if fed > 0 || collected.count > 0 || self.instance.is_behind() {
                    quiet_since = now;
                } else if over(arrival, deadline, now - quiet_since, linger) {
                    return self.rest(deadline);
                }
            } else {
                let quiet = now - quiet_since;
                if over(arrival, deadline, quiet, linger) && !self.instance.is_behind() {
                    return self.rest(deadline);
                }
                let mut until = deadline.moment().min(end.unwrap_or(u64::MAX));
                if arrival == Arrival::Never {
                    until = until.min(quiet_since.saturating_add(linger));
                }
                again = self.sleep(until)?;
                if over(arrival, deadline, monotonic_now() - quiet_since, linger) {
                    return self.rest(deadline);
                }
                if again && !self.is_live() && monotonic_now() - quiet_since >= patience {
                    return Ok(());
                }
            }
            if !watch(self) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Ends a run, and notes whether the instance would have done more.
    fn rest(&mut self, deadline: Deadline) -> Result<(), LaneError> {
        self.counters.lingered = deadline != Deadline::None;
        Ok(())
    }

    /// Whether frames come from elsewhere, whenever they do, and not from files and generators.
    fn is_live(&self) -> bool {
        let mut ports = self.links.iter().flat_map(Link::ports);
        ports.any(|port| port.descriptor().is_some())
    }

    /// Sleeps until there may be something to do: a port or the alarm can be read, a port's own
    /// deadline or `until` has come. Says whether some device had no room for frames: it is not
    /// waited for, and the sleep is short.
    fn sleep(&mut self, mut until: u64) -> Result<bool, LaneError> {
        let mut full = false;
        let mut descriptors = Vec::with_capacity(self.links.len() + 1);
        for (network, link) in self.links.iter().enumerate() {
            match self.instance.shared().room(network) {
                Ok(0) if link.input().is_some() => {
                    full = true;
                    continue;
                }
                Ok(_) => {}
                Err(lie) => return Err(self.lied(lie)),
            }
            for port in link.ports() {
                until = until.min(port.deadline().unwrap_or(u64::MAX));
                descriptors.extend(port.descriptor());
            }
        }
        descriptors.extend(self.alarm.as_ref().map(AsFd::as_fd));
        if self.options.awake {
            // What has come already is still seen.
            until = 0;
        }
        if full {
            until = until.min(monotonic_now().saturating_add(BREATH));
        }
        let mut waiting: Vec<PollFd<'_>> = descriptors
            .iter()
            .map(|descriptor| PollFd::new(descriptor, PollFlags::IN))
            .collect();
        loop {
            let timeout = (until != u64::MAX).then(|| timespec(until));
            match poll(&mut waiting, timeout.as_ref()) {
                // A signal, such as the tick's: sleep on.
                Err(Errno::INTR) => {}
                Ok(_) => return Ok(full),
                Err(error) => return Err(PortError::Wait(error.into()).into()),
            }
        }
    }
}

/// Whether a run has come to its end: nothing arrives any more, and the instance waits for nothing
/// or has moved nothing for long.
fn over(arrival: Arrival, deadline: Deadline, quiet: u64, linger: u64) -> bool {
    arrival == Arrival::Never && (deadline == Deadline::None || quiet >= linger)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What is left until a moment of the monotonic clock.
pub(crate) fn timespec(until: u64) -> Timespec {
    let left = until.saturating_sub(monotonic_now());
    Timespec {
        tv_sec: (left / 1_000_000_000).cast_signed(),
        tv_nsec: (left % 1_000_000_000).cast_signed(),
    }
}
