//! Keeps the log: one task writes what all connections have changed, as much at once as has come
//! together, and answers go out when what they acknowledge is in the log.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::mem;
use core::task::{Poll, Waker};
use core::time::Duration;

use sprat::devices::{Block as _, Random as _};
use sprat::store::{Log, LogError, RECORD_LIMIT};
use sprat::time::sleep;
use sprat::{BlockDevice, log};

use crate::engine::{Changes, Engine, Progress};

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
    /// The log is being written anew, and nothing may change.
    Frozen,
    /// The log cannot be written.
    Failed,
}

/// Whether a change may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Now,
    /// Not before the log was written anew.
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
    rewrite: Cell<bool>,
    unflushed: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

/// The log could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

impl Journal {
    pub(crate) fn new(engine: Engine, log: &Log<BlockDevice>) -> Self {
        let journal = Self {
            engine: RefCell::new(engine),
            state: Cell::new(State::Open),
            changed: Cell::new(0),
            committed: Cell::new(0),
            room: Cell::new(0),
            added: Cell::new(log.used()),
            worth: log.capacity() / 16,
            rewrite: Cell::new(false),
            unflushed: Cell::new(false),
            waiting: RefCell::default(),
        };
        journal.measure(log);
        journal.engine.borrow().facts.log_ok.set(true);
        journal
    }

    /// Whether a request of so many bytes may change something now, or make something larger.
    pub(crate) fn admit(&self, size: usize, grows: bool) -> Admission {
        match self.state.get() {
            State::Open if !self.rewrite.get() => {}
            State::Open | State::Frozen => return Admission::Later,
            State::Failed => {
                return Admission::Refused(
                    "MISCONF Errors writing to the log: nothing is changed until it works again",
                );
            }
        }
        // Room is kept back for what makes things smaller.
        let reserve = if grows { self.worth } else { 0 };
        let (pending, freed) = {
            let engine = self.engine.borrow();
            (engine.changed() as u64, engine.database.freed())
        };
        if self.room.get() >= pending + size as u64 + OVERHEAD + reserve {
            Admission::Now
        } else if freed.saturating_add(self.added.get() + pending) >= self.worth {
            self.rewrite.set(true);
            self.wake();
            Admission::Later
        } else {
            Admission::Refused("OOM the log is full: the block device has no room for more")
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

    /// Waits until something may be changed, or nothing at all.
    pub(crate) async fn thawed(&self) {
        let frozen = || self.rewrite.get() || self.state.get() == State::Frozen;
        self.until(|| (!frozen()).then_some(())).await;
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
    fn measure(&self, log: &Log<BlockDevice>) {
        // A record's own bytes, and those of the next opening.
        const KEPT: u64 = 64;
        let (used, capacity) = (log.used(), log.capacity());
        self.room.set(capacity.saturating_sub(used + KEPT));
        self.engine.borrow().facts.log.set((used, capacity));
    }

    /// Everything up to this change is in the log.
    fn reached(&self, number: u64, log: &Log<BlockDevice>) {
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

    /// Writes the log, for ever.
    pub(crate) async fn keep(self: Rc<Self>, mut log: Log<BlockDevice>, sync: Sync) {
        loop {
            self.until(|| {
                let work = self.rewrite.get() || self.changed.get() > self.committed.get();
                work.then_some(())
            })
            .await;
            let number = self.changed.get();
            let changes = self.engine.borrow_mut().take_changes();
            if self.rewrite.get() || append(&mut log, &changes).is_err() {
                // What has changed is part of what is written then.
                self.write_anew(&mut log, number).await;
                continue;
            }
            self.added.set(self.added.get() + changes.len() as u64);
            while let Err(error) = commit(&mut log, sync).await {
                self.fail(error).await;
            }
            self.reached(number, &log);
        }
    }

    /// Writes the log anew with what is there now.
    async fn write_anew(&self, log: &mut Log<BlockDevice>, number: u64) {
        self.set(State::Frozen);
        self.engine.borrow_mut().database.start_afresh();
        loop {
            match rewrite(log, &self.engine).await {
                Ok(()) => break,
                Err(error) => self.fail(error).await,
            }
        }
        let rewrites = &self.engine.borrow().facts.rewrites;
        rewrites.set(rewrites.get() + 1);
        log::info!("the log was written anew: {} bytes", log.used());
        self.added.set(0);
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
            while !done && self.admit(MOST * 64, false) == Admission::Now {
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
fn append(log: &mut Log<BlockDevice>, changes: &Changes) -> Result<(), LogError> {
    for record in changes.records(RECORD_LIMIT) {
        log.append(record)?;
    }
    Ok(())
}

async fn commit(log: &mut Log<BlockDevice>, sync: Sync) -> Result<(), LogError> {
    log.commit().await?;
    match sync {
        Sync::Always => log.flush().await,
        Sync::Second | Sync::Never => Ok(()),
    }
}

async fn rewrite(log: &mut Log<BlockDevice>, engine: &RefCell<Engine>) -> Result<(), LogError> {
    let mut rewrite = log.rewrite(sprat::random().next());
    let mut progress = Progress::default();
    loop {
        let part = engine.borrow().dump(&mut progress);
        let Some(part) = part else { break };
        for record in part.records(RECORD_LIMIT) {
            rewrite.append(record).await?;
        }
    }
    rewrite.finish().await
}
