//! Tasks and timers.
//!
//! Tasks share the processor by stride scheduling (Waldspurger and Weihl, 1995), in proportion
//! to their tickets; those equal in that run in the order they were scheduled. Timers stand in
//! a heap, and one that was moved or cancelled stays there until it comes to the top.

use alloc::collections::BinaryHeap;
use core::cell::{Cell, RefCell};
use core::cmp::Reverse;

use super::{Router, TIMERS};
use crate::configure::ElementId;
use crate::time::Instant;

/// The tickets a task has unless `ScheduleInfo` says otherwise.
pub(crate) const DEFAULT_TICKETS: u32 = 1 << 10;

/// The stride of a task with one ticket.
const STRIDE: u64 = 1 << 16;

/// The most tickets a task can have.
pub(super) const MOST_TICKETS: u32 = 1 << 15;

/// Tasks run between looks at timers and sockets.
const TASKS_PER_ROUND: usize = 128;

/// After how many turns of every task that brought nothing a round is over. The second is for what
/// a task did in the first without saying so.
const IDLE_TURNS: u64 = 2;

/// What a round of the router came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether any task or timer did something, after which not all tasks found nothing to do.
    pub worked: bool,
    /// Whether tasks are scheduled.
    pub runnable: bool,
    /// When the next timer expires.
    pub next_timer: Option<Instant>,
}

/// An element's task.
pub(super) struct Task {
    scheduled: Cell<bool>,
    tickets: Cell<u32>,
    pass: Cell<u64>,
    /// The entry in the queue that counts; older ones are void.
    entry: Cell<u64>,
    cycles: Cell<u64>,
    /// The turn in which it last ran, did nothing and was scheduled again.
    idle: Cell<u64>,
}

impl Default for Task {
    fn default() -> Self {
        Self {
            scheduled: Cell::new(false),
            tickets: Cell::new(DEFAULT_TICKETS),
            pass: Cell::new(0),
            entry: Cell::new(0),
            cycles: Cell::new(0),
            idle: Cell::new(0),
        }
    }
}

/// An expiry: when, which entry this is, whose, and which of its timers.
type Expiry = (Instant, u64, ElementId, u8);

/// The tasks and timers of a router.
#[derive(Default)]
pub(super) struct Scheduler {
    tasks: RefCell<BinaryHeap<Reverse<(u64, u64, ElementId)>>>,
    timers: RefCell<BinaryHeap<Reverse<Expiry>>>,
    pass: Cell<u64>,
    entries: Cell<u64>,
    scheduled: Cell<usize>,
    idle: Idle,
}

/// Finds out that every task was asked and none had anything to do.
///
/// Tasks that poll are always scheduled, and those with many tickets come around more often than
/// others: only a turn in which each has run shows that there is nothing.
#[derive(Default)]
struct Idle {
    /// The number of the turn under way; it never comes back.
    turn: Cell<u64>,
    /// How many turns before it brought nothing.
    turns: Cell<u64>,
    /// Tasks that have run in this turn, and are scheduled.
    seen: Cell<usize>,
}

impl Idle {
    /// Something was done, or a task that was counted is not scheduled any more.
    fn start_over(&self) {
        self.turns.set(0);
        self.next_turn();
    }

    fn next_turn(&self) {
        self.turn.set(self.turn.get() + 1);
        self.seen.set(0);
    }

    /// Counts a task that did nothing and is scheduled, as `scheduled` are. Says whether that was
    /// enough.
    fn count(&self, task: &Task, scheduled: usize) -> bool {
        if task.idle.replace(self.turn.get()) != self.turn.get() {
            self.seen.set(self.seen.get() + 1);
        }
        if self.seen.get() < scheduled {
            return false;
        }
        self.turns.set(self.turns.get() + 1);
        self.next_turn();
        self.turns.get() >= IDLE_TURNS
    }
}

impl Scheduler {
    fn next_entry(&self) -> u64 {
        let entry = self.entries.get() + 1;
        self.entries.set(entry);
        entry
    }
}

impl Router {
    pub(crate) fn schedule_task(&self, id: ElementId) {
        let task = &self.node(id).task;
        if task.scheduled.replace(true) {
            return;
        }
        let scheduler = &self.scheduler;
        task.pass.set(task.pass.get().max(scheduler.pass.get()));
        task.entry.set(scheduler.next_entry());
        scheduler.scheduled.set(scheduler.scheduled.get() + 1);
        scheduler
            .tasks
            .borrow_mut()
            .push(Reverse((task.pass.get(), task.entry.get(), id)));
    }

    pub(crate) fn unschedule_task(&self, id: ElementId) {
        let task = &self.node(id).task;
        if task.scheduled.replace(false) {
            task.entry.set(0);
            self.scheduler
                .scheduled
                .set(self.scheduler.scheduled.get() - 1);
            self.scheduler.idle.start_over();
        }
    }

    pub(crate) fn task_scheduled(&self, id: ElementId) -> bool {
        self.node(id).task.scheduled.get()
    }

    pub(crate) fn tickets(&self, id: ElementId) -> u32 {
        self.node(id).task.tickets.get()
    }

    /// Gives a task its share of the processor; at least one ticket.
    pub fn set_tickets(&self, id: ElementId, tickets: u32) {
        self.node(id)
            .task
            .tickets
            .set(tickets.clamp(1, MOST_TICKETS));
    }

    /// How often an element's task has run.
    pub fn task_runs(&self, id: ElementId) -> u64 {
        self.node(id).task.cycles.get()
    }

    pub(crate) fn set_timer(&self, id: ElementId, timer: usize, when: Instant) {
        let Some(expiry) = self.node(id).timers.get(timer) else {
            return;
        };
        if expiry.replace(when) != when && when != Instant::NEVER {
            // `timer` is below `TIMERS`.
            const { assert!(TIMERS < 256) };
            #[expect(clippy::cast_possible_truncation)]
            let entry = Reverse((when, self.scheduler.next_entry(), id, timer as u8));
            self.scheduler.timers.borrow_mut().push(entry);
        }
    }

    pub(crate) fn timer(&self, id: ElementId, timer: usize) -> Option<Instant> {
        self.node(id)
            .timers
            .get(timer)
            .map(Cell::get)
            .filter(|when| *when != Instant::NEVER)
    }

    /// Runs a round: some tasks, then the timers that have expired. None of them runs any more when
    /// the driver has been asked to stop: those wait until it goes on, as in Click.
    pub fn run(&self) -> Progress {
        let mut worked = false;
        self.scheduler.idle.start_over();
        for _ in 0..TASKS_PER_ROUND {
            let Some(id) = self.next_task() else {
                break;
            };
            let useful = self.run_task(id);
            if self.run_count() <= 0 {
                break;
            }
            if useful {
                worked = true;
                self.scheduler.idle.start_over();
                continue;
            }
            let task = &self.node(id).task;
            let scheduled = self.scheduler.scheduled.get();
            if task.scheduled.get() && self.scheduler.idle.count(task, scheduled) {
                // Nothing was left of what was done before that.
                worked = false;
                break;
            }
        }
        worked |= self.run_count() > 0 && self.run_timers();
        Progress {
            worked,
            runnable: self.scheduler.scheduled.get() > 0,
            next_timer: self.next_timer(),
        }
    }

    fn next_task(&self) -> Option<ElementId> {
        let mut tasks = self.scheduler.tasks.borrow_mut();
        loop {
            let Reverse((_, entry, id)) = tasks.pop()?;
            let task = &self.node(id).task;
            if task.scheduled.get() && task.entry.get() == entry {
                return Some(id);
            }
        }
    }

    fn run_task(&self, id: ElementId) -> bool {
        let task = &self.node(id).task;
        task.scheduled.set(false);
        self.scheduler
            .scheduled
            .set(self.scheduler.scheduled.get() - 1);
        self.scheduler.pass.set(task.pass.get());
        task.pass
            .set(task.pass.get() + STRIDE / u64::from(task.tickets.get()));
        task.cycles.set(task.cycles.get() + 1);
        let begin = self.begin_run();
        let worked = self
            .enter(id, |element, context| element.run_task(context))
            .unwrap_or(false);
        self.end_measure(id, begin);
        self.deliver();
        worked
    }

    fn run_timers(&self) -> bool {
        let mut worked = false;
        if self.next_timer().is_none() {
            return false;
        }
        let now = self.environment.instant();
        // A timer set while timers run waits for the next round, or a timer that always is due
        // would keep tasks from running.
        let newest = self.scheduler.entries.get();
        loop {
            let Reverse((when, entry, id, timer)) = {
                let mut timers = self.scheduler.timers.borrow_mut();
                match timers.peek() {
                    Some(Reverse((when, entry, ..))) if *when <= now && *entry <= newest => {}
                    _ => break,
                }
                match timers.pop() {
                    Some(timer) => timer,
                    None => break,
                }
            };
            let _ = entry;
            let expiry = &self.node(id).timers[usize::from(timer)];
            if expiry.get() != when {
                continue;
            }
            expiry.set(Instant::NEVER);
            let timer = usize::from(timer);
            let begin = self.begin_run();
            self.consult(id, |agent, context| agent.run_timer(context, timer))
                .or_else(|| self.enter(id, |element, context| element.run_timer(context, timer)));
            self.end_measure(id, begin);
            self.deliver();
            worked = true;
            if self.run_count() <= 0 {
                break;
            }
        }
        worked
    }

    /// When the next timer expires.
    pub fn next_timer(&self) -> Option<Instant> {
        let mut timers = self.scheduler.timers.borrow_mut();
        loop {
            let Reverse((when, _, id, timer)) = *timers.peek()?;
            if self.node(id).timers[usize::from(timer)].get() == when {
                return Some(when);
            }
            timers.pop();
        }
    }

    /// Lets the elements that watch sockets and signals look at them.
    pub fn run_io(&self) {
        let count = self.watchers.borrow().len();
        // Who asks for a signal out of turn is asked again.
        for _ in 0..=count {
            for index in 0..count {
                let Some(id) = self.watchers.borrow().get(index).copied() else {
                    break;
                };
                self.consult(id, |agent, context| agent.run_io(context))
                    .or_else(|| self.enter(id, |element, context| element.run_io(context)));
                self.deliver();
            }
            if !self.environment.signals_wait() {
                break;
            }
        }
    }

    /// Whether any element watches sockets or signals.
    pub fn watches(&self) -> bool {
        !self.watchers.borrow().is_empty()
    }
}
