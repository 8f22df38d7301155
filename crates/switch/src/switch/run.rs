//! The turns of a switch, and its rest between them.

use std::os::fd::BorrowedFd;
use std::time::Instant as HostInstant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use sprat_abi::call::{AT_ONCE, NO_DEADLINE};
use sprat_monitor::{Death, Instance, Outcome, monotonic_now};

use super::{Event, InstanceId, Place, Switch, number};
use crate::lane::timespec;
use crate::port::PortError;

/// Console bytes are taken in pieces of this size.
const PIECE: usize = 4 << 10;

/// How long a port waits whose frames have no room, in nanoseconds.
const BREATH: u64 = 1_000_000;

impl Switch {
    /// Gathers frames, and lets every instance run once that has something to do. Says whether
    /// anything happened: where nothing did, [`rest`](Switch::rest).
    pub fn turn(&mut self) -> bool {
        self.now = monotonic_now();
        self.turn += 1;
        self.ready.append(&mut self.again);
        let mut moved = self.gather() > 0;
        while let Some(index) = self.timers.expire(self.now) {
            self.wake(index);
        }
        while let Some(index) = self.ready.pop_front() {
            moved = true;
            self.instances[index].queued = false;
            self.run_instance(index);
            self.hand_staged();
            self.end_liars();
        }
        self.kick();
        if !self.mirrors.is_empty() {
            self.turn_mirrors();
        }
        if !self.asked.is_empty() {
            self.go_on_asking();
        }
        self.end_liars();
        moved || !self.events.is_empty()
    }

    /// Frames from all ports that lead outside.
    fn gather(&mut self) -> usize {
        let mut total = 0;
        for place in 0..self.outside.len() {
            let index = self.outside[place];
            let Place::Outside(port) = &mut self.ports[index].place else {
                continue;
            };
            let Some(mut port) = port.take() else {
                continue;
            };
            let taken = self.gather_from(index, &mut *port);
            self.replace_port(super::PortId(number(index)), Some(port));
            match taken {
                Ok(taken) => total += taken,
                Err(error) => self.port_failed(index, error),
            }
            self.hand_staged();
        }
        total
    }

    /// Has ports send what they were given.
    fn kick(&mut self) {
        for place in 0..self.outside.len() {
            let index = self.outside[place];
            let attached = &mut self.ports[index];
            if std::mem::take(&mut attached.kick)
                && let Place::Outside(Some(port)) = &mut attached.place
                && let Err(error) = port.kick()
            {
                self.port_failed(index, error);
            }
        }
    }

    /// Puts an instance into the queue: of this turn, or of the next where it has had this one.
    #[inline]
    pub(super) fn wake(&mut self, index: usize) {
        let held = &mut self.instances[index];
        if held.queued {
            return;
        }
        held.queued = true;
        if held.turn == self.turn {
            self.again.push_back(index);
        } else {
            self.ready.push_back(index);
        }
    }

    /// Lets an instance run until it yields or its budget is used up.
    fn run_instance(&mut self, index: usize) {
        let held = &mut self.instances[index];
        held.turn = self.turn;
        let Some(mut instance) = held.instance.take() else {
            return;
        };
        held.working = true;
        let death = self.run_taken(index, &mut *instance);
        let held = &mut self.instances[index];
        held.working = false;
        match death {
            None => held.instance = Some(instance),
            Some(death) => self.end(index, instance, death),
        }
    }

    fn run_taken(&mut self, index: usize, instance: &mut dyn Instance) -> Option<Death> {
        if self.instances[index].undrained
            && let Err(lie) = self.drain(index, instance, true)
        {
            return Some(Death::Lied(lie));
        }
        let begin = HostInstant::now();
        let outcome = instance.enter(self.options.budget, self.instances[index].stopping);
        let held = &mut self.instances[index];
        held.counters.entries += 1;
        held.counters.inside += begin.elapsed();
        // Whoever was cut short went on where it was, and has not heard that it is to stop.
        let is_to_hear = held.stopping && held.overruns > 0;
        let mut death = None;
        match outcome {
            Ok(Outcome::Yielded { deadline }) => {
                held.overruns = 0;
                if is_to_hear {
                    self.wake(index);
                }
                let deadline = match deadline {
                    AT_ONCE => {
                        self.wake(index);
                        None
                    }
                    NO_DEADLINE => None,
                    moment => Some(moment),
                };
                self.timers.set(index, deadline);
            }
            Ok(Outcome::OutOfBudget) => {
                held.overruns += 1;
                held.counters.overruns += 1;
                if held.overruns >= self.options.patience {
                    return Some(Death::Hung {
                        budgets: held.overruns,
                    });
                }
                self.wake(index);
            }
            Ok(Outcome::Exited { status }) => death = Some(Death::Exited(status)),
            Ok(Outcome::Faulted(report)) => return Some(Death::Faulted(report)),
            Err(_) => return Some(Death::Killed),
        }
        let full = match self.is_full(index, instance) {
            Ok(full) => full,
            Err(lie) => return Some(Death::Lied(lie)),
        };
        // What it sent before its end leaves too.
        match self.drain(index, instance, death.is_some()) {
            Ok(0) => {}
            Ok(collected) => {
                self.instances[index].counters.collected += collected;
                if full {
                    // It may have waited for room.
                    self.wake(index);
                }
            }
            Err(lie) => return Some(Death::Lied(lie)),
        }
        match instance.shared().serve_blocks() {
            Ok(0) if !self.instances[index].undrained => {}
            Ok(_) => self.wake(index),
            Err(lie) => return Some(Death::Lied(lie)),
        }
        self.collect_console(index, instance);
        if let Err(lie) = self.take_answers(index, instance) {
            return Some(Death::Lied(lie));
        }
        // One that has only just begun hears of a request when it is entered the next time.
        if self.instances[index].asked.is_some() && instance.shared().has_requests() {
            self.wake(index);
        }
        death
    }

    /// Takes what an instance wrote.
    pub(super) fn collect_console(&mut self, index: usize, instance: &mut dyn Instance) {
        let mut piece = [0; PIECE];
        let mut room = self.options.console_limit;
        let mut text = Vec::new();
        // A ring that is broken is found by the next drain of frames or kept silent about.
        while let Ok(count @ 1..) = instance.shared().read_console(&mut piece) {
            let kept = count.min(room);
            text.extend_from_slice(&piece[..kept]);
            self.instances[index].counters.console_dropped += (count - kept) as u64;
            room -= kept;
            if room == 0 {
                break;
            }
        }
        if !text.is_empty() {
            self.events.push(Event::Console {
                instance: InstanceId(number(index)),
                text,
            });
        }
    }

    /// Ends instances that were found lying while others were at work.
    fn end_liars(&mut self) {
        while let Some((index, lie)) = self.liars.pop() {
            if let Some(instance) = self.instances[index].instance.take() {
                self.end(index, instance, Death::Lied(lie));
            }
        }
    }

    /// Sleeps until there may be something to do: a port or one of `others` can be read, an instance
    /// or a port wants its turn, or `until` has come, a moment of the monotonic clock in
    /// nanoseconds.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn rest(&mut self, until: u64, others: &[BorrowedFd<'_>]) -> Result<(), PortError> {
        if !self.again.is_empty() || !self.ready.is_empty() || !self.events.is_empty() {
            return Ok(());
        }
        let mut until = until.min(self.timers.earliest()).min(self.requests_until());
        if self.behind {
            until = until.min(monotonic_now().saturating_add(BREATH));
        }
        // What a port may have is not waited for while there is no room where it goes.
        let mut open = Vec::with_capacity(self.outside.len());
        for place in 0..self.outside.len() {
            let index = self.outside[place];
            if self.is_blocked(index) {
                until = until.min(monotonic_now().saturating_add(BREATH));
            } else {
                open.push(index);
            }
        }
        let mut waiting = Vec::with_capacity(open.len() + others.len());
        for index in open {
            if let Place::Outside(Some(port)) = &self.ports[index].place {
                until = until.min(port.deadline().unwrap_or(u64::MAX));
                let descriptor = port.descriptor();
                waiting
                    .extend(descriptor.map(|port| PollFd::from_borrowed_fd(port, PollFlags::IN)));
            }
        }
        let others = others.iter();
        waiting.extend(others.map(|other| PollFd::from_borrowed_fd(*other, PollFlags::IN)));
        loop {
            let timeout = (until != u64::MAX).then(|| timespec(until));
            match poll(&mut waiting, timeout.as_ref()) {
                // A signal, such as the tick's: sleep on.
                Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(PortError::Wait(error.into())),
            }
        }
    }

    /// Whether what a port may have has no room where it goes.
    fn is_blocked(&mut self, index: usize) -> bool {
        let Some(to) = self.wired(index) else {
            return false;
        };
        let Place::Device { instance, network } = self.ports[to].place else {
            return false;
        };
        let held = self.instances[instance].instance.as_mut();
        held.is_some_and(|held| held.shared().room(network) == Ok(0))
    }
}
