//! Keeps the log: one task writes what all connections have changed, as much at once as has come
//! together, and answers go out when what they acknowledge is in the log.
//!
//! A log that fills up is written anew, a piece in each turn of that task. What changes meanwhile goes
//! into both logs, so that nobody waits for the whole of it: a request waits for the piece of its turn,
//! and for a value that is too large for one piece where it is to change that value.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::iter;
use core::mem;
use core::task::{Poll, Waker};
use core::time::Duration;

use sprat::devices::{Block, Random};
use sprat::store::{Log, LogError, RECORD_LIMIT};
use sprat::time::sleep;
use sprat::{BlockDevice, log};

use crate::anew::{Anew, PACE, Turn};
use crate::engine::{Changes, Engine};

/// When what was written is to outlive the host as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Before it is acknowledged.
    Always,
    /// Within about a second.
    Second,
    /// When the host likes.
    Never,
}

/// How long after a failure the log is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// Bytes that a request takes in the log beyond its own, at most.
const OVERHEAD: u64 = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The log is full, and nothing may change until it is written anew.
    Frozen,
    /// The log cannot be written.
    Failed,
}

/// Whether a change may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Now,
    /// Perhaps after the writer's next turn.
    Later,
    /// What to say instead.
    Refused(&'static str),
}

/// What connections and the writer of the log have in common.
pub(crate) struct Journal {
    pub(crate) engine: RefCell<Engine>,
    state: Cell<State>,
    /// The last change, and the last that is in the log.
    changed: Cell<u64>,
    committed: Cell<u64>,
    /// Bytes that the log has left.
    room: Cell<u64>,
    /// Bytes that were added since it was last written anew.
    added: Cell<u64>,
    /// How many that must be for it to be worth the while.
    worth: u64,
    /// Bytes that the log may have.
    capacity: u64,
    /// Whether the log is to be written anew, or is being.
    rewrite: Cell<bool>,
    /// The key that is written anew in part, and must not change.
    partial: RefCell<Option<Box<[u8]>>>,
    /// How often the writer has had its turn.
    turns: Cell<u64>,
    unflushed: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

/// The log could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

impl Journal {
    pub(crate) fn new(engine: Engine, log: &Log<impl Block>) -> Self {
        let journal = Self {
            engine: RefCell::new(engine),
            state: Cell::new(State::Open),
            changed: Cell::new(0),
            committed: Cell::new(0),
            room: Cell::new(0),
            added: Cell::new(log.used()),
            worth: log.capacity() / 16,
            capacity: log.capacity(),
            rewrite: Cell::new(false),
            partial: RefCell::default(),
            turns: Cell::new(0),
            unflushed: Cell::new(false),
            waiting: RefCell::default(),
        };
        journal.measure(log);
        journal.engine.borrow().facts.log_ok.set(true);
        journal
    }

    /// Whether a request of so many bytes may change something of these keys now, or make something
    /// larger.
    pub(crate) fn admit<'r>(
        &self,
        mut keys: impl Iterator<Item = &'r [u8]>,
        size: usize,
        grows: bool,
    ) -> Admission {
        match self.state.get() {
            State::Open => {}
            State::Frozen => return Admission::Later,
            State::Failed => {
                return Admission::Refused(
                    "MISCONF Errors writing to the log: nothing is changed until it works again",
                );
            }
        }
        if let Some(partial) = &*self.partial.borrow()
            && keys.any(|key| *key == **partial)
        {
            return Admission::Later;
        }
        // Room is kept back for what makes things smaller.
        let reserve = if grows { self.worth } else { 0 };
        let (pending, freed) = {
            let engine = self.engine.borrow();
            (engine.changed() as u64, engine.database.freed())
        };
        let left = self
            .room
            .get()
            .checked_sub(pending + size as u64 + OVERHEAD + reserve);
        let worth = freed.saturating_add(self.added.get() + pending) >= self.worth;
        let soon = self.capacity / PACE as u64;
        if worth && !self.rewrite.get() && left.is_none_or(|left| left < soon) {
            self.rewrite.set(true);
            self.wake();
        }
        match left {
            Some(_) => Admission::Now,
            None if self.rewrite.get() => Admission::Later,
            None => {
                Admission::Refused("OOM the log is full: the block device has no room for more")
            }
        }
    }

    /// Says that something was changed; the number to wait for.
    pub(crate) fn change(&self) -> u64 {
        let number = self.changed.get() + 1;
        self.changed.set(number);
        // The first of many: the writer takes all that come before it has its turn.
        if number == self.committed.get() + 1 {
            self.wake();
        }
        number
    }

    /// Waits until a change is in the log.
    pub(crate) async fn committed(&self, number: u64) -> Result<(), Failed> {
        self.until(|| match self.state.get() {
            _ if self.committed.get() >= number => Some(Ok(())),
            State::Failed => Some(Err(Failed)),
            _ => None,
        })
        .await
    }

    /// How often the writer has had its turn.
    pub(crate) fn turns(&self) -> u64 {
        self.turns.get()
    }

    /// Waits until the writer has had its turn again after so many.
    pub(crate) async fn turn_after(&self, turns: u64) {
        self.until(|| (self.turns.get() != turns).then_some(()))
            .await;
    }

    /// Waits until `ready` says something.
    async fn until<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        poll_fn(|context| match ready() {
            Some(value) => Poll::Ready(value),
            None => {
                let waker = context.waker().clone();
                self.waiting.borrow_mut().push(waker);
                Poll::Pending
            }
        })
        .await
    }

    fn wake(&self) {
        let waiting = mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_iter().for_each(Waker::wake);
    }

    fn set(&self, state: State) {
        self.state.set(state);
        self.engine
            .borrow()
            .facts
            .log_ok
            .set(state != State::Failed);
        self.wake();
    }

    /// Notes how full the log is.
    fn measure(&self, log: &Log<impl Block>) {
        // A record's own bytes, and those of the next opening.
        const KEPT: u64 = 64;
        let (used, capacity) = (log.used(), log.capacity());
        self.room.set(capacity.saturating_sub(used + KEPT));
        self.engine.borrow().facts.log.set((used, capacity));
    }

    /// Everything up to this change is in the log.
    fn reached(&self, number: u64, log: &Log<impl Block>) {
        self.measure(log);
        self.unflushed.set(true);
        self.committed.set(number);
        self.set(State::Open);
    }

    /// Says that the log could not be written, and waits for a while.
    async fn fail(&self, error: LogError) {
        if self.state.get() != State::Failed {
            log::error!("the log cannot be written: {error}");
        }
        self.set(State::Failed);
        sleep(PAUSE).await;
    }

    /// Writes the log, for ever. The numbers tell what is written anew from what was there before.
    pub(crate) async fn keep<B: Block>(
        self: Rc<Self>,
        mut log: Log<B>,
        sync: Sync,
        mut numbers: impl Random,
    ) {
        let mut anew = None;
        // Whether something is only in what is being written anew.
        let mut full = false;
        loop {
            self.until(|| {
                let work = self.rewrite.get() || self.changed.get() > self.committed.get();
                work.then_some(())
            })
            .await;
            if self.rewrite.get() && anew.is_none() {
                self.engine.borrow_mut().database.start_afresh();
                self.added.set(0);
                anew = Some(Anew::begin(&mut log, numbers.next()));
            }
            let number = self.changed.get();
            let turn = Turn::take(&mut self.engine.borrow_mut(), anew.as_mut());
            let partial = anew.as_ref().and_then(Anew::partial);
            *self.partial.borrow_mut() = partial.map(Into::into);
            full = full || append(&mut log, &turn.changes).is_err();
            if full {
                self.rewrite.set(true);
                self.set(State::Frozen);
            } else {
                self.added.set(self.added.get() + turn.changes.len() as u64);
                // What comes while this is written has only what it leaves.
                self.measure(&log);
                while let Err(error) = commit(&mut log, sync).await {
                    self.fail(error).await;
                }
                self.reached(number, &log);
            }
            if let Some(mut now) = anew.take() {
                let done = match now.write(&log, &turn).await {
                    Ok(()) if !turn.done => {
                        anew = Some(now);
                        Ok(false)
                    }
                    Ok(()) => now.finish(&mut log).await.map(|()| true),
                    Err(error) => Err(error),
                };
                match done {
                    Ok(false) => {}
                    Ok(true) => {
                        full = false;
                        self.written_anew(number, &log);
                    }
                    Err(LogError::Full) if !full => {
                        log::warn!("the log has no room for what there is to be written anew");
                        self.rewrite.set(false);
                    }
                    // It is begun again.
                    Err(error) => self.fail(error).await,
                }
            }
            if anew.is_none() {
                *self.partial.borrow_mut() = None;
            }
            self.turns.set(self.turns.get() + 1);
            self.wake();
            sprat::yield_now().await;
        }
    }

    /// The new log counts.
    fn written_anew(&self, number: u64, log: &Log<impl Block>) {
        {
            let rewrites = &self.engine.borrow().facts.rewrites;
            rewrites.set(rewrites.get() + 1);
        }
        log::info!("the log was written anew: {} bytes", log.used());
        self.rewrite.set(false);
        self.reached(number, log);
    }

    /// Has what was written outlive the host, a second after the first of it, for ever.
    pub(crate) async fn flush_each_second(self: Rc<Self>, device: BlockDevice) {
        loop {
            self.until(|| self.unflushed.get().then_some(())).await;
            sleep(Duration::from_secs(1)).await;
            self.unflushed.set(false);
            if let Err(error) = device.flush().await {
                log::error!("what was written may not outlive the host: {error}");
            }
        }
    }

    /// Removes what is over, for ever. What is over and still there is not seen by anybody, so this is
    /// in no hurry.
    pub(crate) async fn expire(self: Rc<Self>) {
        /// How many keys are removed before others have a turn.
        const MOST: usize = 100;
        loop {
            let ending = || self.engine.borrow().database.ending() > 0;
            self.until(|| ending().then_some(())).await;
            sleep(Duration::from_millis(500)).await;
            let mut done = false;
            while !done && self.admit(iter::empty(), MOST * 64, false) == Admission::Now {
                let before = self.engine.borrow().changed();
                done = self.engine.borrow_mut().expire(crate::milliseconds(), MOST);
                if self.engine.borrow().changed() > before {
                    self.change();
                }
                sprat::yield_now().await;
            }
        }
    }
}

/// Puts changes into the log, in memory.
fn append(log: &mut Log<impl Block>, changes: &Changes) -> Result<(), LogError> {
    for record in changes.records(RECORD_LIMIT) {
        log.append(record)?;
    }
    Ok(())
}

async fn commit(log: &mut Log<impl Block>, sync: Sync) -> Result<(), LogError> {
    log.commit().await?;
    match sync {
        Sync::Always => log.flush().await,
        Sync::Second | Sync::Never => Ok(()),
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
