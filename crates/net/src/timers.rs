//! What is due when: sockets that want another look, and tasks that wait for a moment.

use alloc::collections::BinaryHeap;
use alloc::rc::Rc;
use core::cell::RefCell;
use core::cmp::Reverse;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use crate::Stack;
use crate::sockets::SocketId;

/// Who waits.
#[derive(Debug)]
enum Waiting {
    Socket(SocketId),
    /// A task; none any more once it was dropped.
    Task(Rc<RefCell<Option<Waker>>>),
}

struct Timer {
    due: u64,
    who: Waiting,
}

impl PartialEq for Timer {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Timer {}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

/// Timers, earliest first. A timer is never moved: a socket whose deadline moves back is looked at
/// too early once, which costs less than keeping the order at every segment.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<Timer>>,
}

impl Timers {
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(timer)| timer.due)
    }

    pub(crate) fn add_socket(&mut self, due: u64, socket: SocketId) {
        self.heap.push(Reverse(Timer {
            due,
            who: Waiting::Socket(socket),
        }));
    }

    /// Wakes the tasks that are due; the next socket that is.
    pub(crate) fn pop(&mut self, now: u64) -> Option<SocketId> {
        loop {
            if self.next()? > now {
                return None;
            }
            match self.heap.pop()?.0.who {
                Waiting::Socket(socket) => return Some(socket),
                Waiting::Task(waker) => {
                    if let Some(waker) = waker.borrow_mut().take() {
                        waker.wake();
                    }
                }
            }
        }
    }
}

/// The time was up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// Waits for a moment of a stack's clock.
#[must_use = "nothing waits until it is awaited"]
pub struct Sleep {
    stack: Stack,
    due: u64,
    waker: Option<Rc<RefCell<Option<Waker>>>>,
}

impl Stack {
    /// Waits for `span`, on the stack's clock.
    pub fn sleep(&self, span: Duration) -> Sleep {
        let span = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Sleep {
            stack: self.clone(),
            due: self.now().saturating_add(span),
            waker: None,
        }
    }

    /// Waits for `future`, but no longer than `span`.
    ///
    /// # Errors
    /// When the time is up first; the future is dropped then.
    pub async fn timeout<F: Future>(
        &self,
        span: Duration,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        let mut limit = pin!(self.sleep(span));
        core::future::poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            limit.as_mut().poll(context).map(|()| Err(Elapsed))
        })
        .await
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.stack.now() >= self.due {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        match &self.waker {
            Some(slot) => *slot.borrow_mut() = Some(waker),
            None => {
                let slot = Rc::new(RefCell::new(Some(waker)));
                let timer = Timer {
                    due: self.due,
                    who: Waiting::Task(slot.clone()),
                };
                self.stack
                    .with(|engine| engine.timers.heap.push(Reverse(timer)));
                self.waker = Some(slot);
                // Whoever calls `poll` must learn of the earlier deadline.
                self.stack.with(|engine| engine.wake_runner());
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(slot) = &self.waker {
            slot.borrow_mut().take();
        }
    }
}
