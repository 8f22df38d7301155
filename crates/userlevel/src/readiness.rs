//! Which sockets may have something, so that nobody asks those that have not.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A socket that is waited for.
pub(crate) struct Watched {
    pub(crate) socket: OwnedFd,
    /// Something may be there to be read, or accepted.
    pub(crate) readable: Cell<bool>,
    /// There may be room to write.
    pub(crate) writable: Cell<bool>,
}

/// All sockets that are waited for.
#[derive(Default)]
pub(crate) struct Readiness {
    watched: RefCell<Vec<Weak<Watched>>>,
    /// Room for those that are held, so that looking at them now and then allocates nothing.
    live: RefCell<Vec<Rc<Watched>>>,
}

/// As many as are asked about without allocating.
const FEW: usize = 8;

impl Readiness {
    /// Waits for this socket too, as long as it is held.
    pub(crate) fn add(&self, socket: OwnedFd) -> Rc<Watched> {
        let watched = Rc::new(Watched {
            socket,
            readable: Cell::new(true),
            writable: Cell::new(true),
        });
        self.watched.borrow_mut().push(Rc::downgrade(&watched));
        watched
    }

    /// How many are waited for.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.watched.borrow().len()
    }

    /// Waits until a socket is ready, a signal arrives or the time is over; without a time, for
    /// ever. Notes which sockets are ready.
    pub(crate) fn wait(&self, timeout: Option<Duration>) {
        let mut live = self.live.take();
        self.watched.borrow_mut().retain(|watched| {
            let watched = watched.upgrade();
            let held = watched.is_some();
            live.extend(watched);
            held
        });
        let timeout = timeout.map(|span| Timespec {
            tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: span.subsec_nanos().into(),
        });
        let (mut few, mut many);
        let polled = match live.first() {
            None => &mut [][..],
            Some(first) if live.len() <= FEW => {
                few =
                    std::array::from_fn::<_, FEW, _>(|at| question(live.get(at).unwrap_or(first)));
                &mut few[..live.len()]
            }
            Some(_) => {
                many = live.iter().map(question).collect::<Vec<_>>();
                &mut many
            }
        };
        // An interruption by a signal is what is waited for, too.
        let ready = poll(polled, timeout.as_ref()).unwrap_or(0);
        if ready > 0 {
            for (watched, polled) in live.iter().zip(polled) {
                watched.note(polled.revents());
            }
        }
        live.clear();
        self.live.replace(live);
    }
}

/// What the system is asked about a socket.
fn question(watched: &Rc<Watched>) -> PollFd<'_> {
    let mut events = PollFlags::IN;
    if !watched.writable.get() {
        events |= PollFlags::OUT;
    }
    PollFd::new(&watched.socket, events)
}

impl Watched {
    /// Notes what the system says.
    fn note(&self, events: PollFlags) {
        if events.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            self.readable.set(true);
        }
        if events.intersects(PollFlags::OUT | PollFlags::HUP | PollFlags::ERR) {
            self.writable.set(true);
        }
    }
}
