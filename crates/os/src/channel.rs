//! Channels between tasks, and a signal that ends several at once.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

struct Shared<T> {
    queue: VecDeque<T>,
    limit: usize,
    senders: usize,
    has_receiver: bool,
    receiving: Option<Waker>,
    sending: Vec<Waker>,
}

impl<T> Shared<T> {
    fn wake_sender(&mut self) {
        // All of them: the one that is woken may have given up meanwhile.
        for waker in self.sending.drain(..) {
            waker.wake();
        }
    }

    fn wake_receiver(&mut self) {
        if let Some(waker) = self.receiving.take() {
            waker.wake();
        }
    }
}

/// Puts values into a channel; clones put into the same one.
pub struct Sender<T> {
    shared: Rc<RefCell<Shared<T>>>,
}

/// Takes values out of a channel, in the order in which they were put in.
pub struct Receiver<T> {
    shared: Rc<RefCell<Shared<T>>>,
}

/// Nobody takes values out any more; the value that was to be put in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Closed<T>(pub T);

impl<T> fmt::Debug for Closed<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Closed")
    }
}

impl<T> fmt::Display for Closed<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("nobody receives from the channel")
    }
}

impl<T> core::error::Error for Closed<T> {}

/// A channel that holds at most `limit` values, one at least.
#[must_use]
pub fn channel<T>(limit: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(RefCell::new(Shared {
        queue: VecDeque::new(),
        limit: limit.max(1),
        senders: 1,
        has_receiver: true,
        receiving: None,
        sending: Vec::new(),
    }));
    (
        Sender {
            shared: shared.clone(),
        },
        Receiver { shared },
    )
}

impl<T> Sender<T> {
    /// Puts a value in, waiting for room.
    ///
    /// # Errors
    /// When nobody receives any more.
    pub async fn send(&self, value: T) -> Result<(), Closed<T>> {
        let mut value = Some(value);
        poll_fn(|context| {
            let mut shared = self.shared.borrow_mut();
            let Some(given) = value.take() else {
                return Poll::Ready(Ok(()));
            };
            if !shared.has_receiver {
                return Poll::Ready(Err(Closed(given)));
            }
            if shared.queue.len() >= shared.limit {
                crate::task::waits_for("room in a channel");
                value = Some(given);
                shared.sending.push(context.waker().clone());
                return Poll::Pending;
            }
            shared.queue.push_back(given);
            shared.wake_receiver();
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Puts a value in if there is room.
    ///
    /// # Errors
    /// When there is none, or nobody receives any more.
    pub fn try_send(&self, value: T) -> Result<(), Closed<T>> {
        let mut shared = self.shared.borrow_mut();
        if !shared.has_receiver || shared.queue.len() >= shared.limit {
            return Err(Closed(value));
        }
        shared.queue.push_back(value);
        shared.wake_receiver();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.borrow_mut().senders += 1;
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut shared = self.shared.borrow_mut();
        shared.senders -= 1;
        if shared.senders == 0 {
            shared.wake_receiver();
        }
    }
}

impl<T> Receiver<T> {
    /// Waits for a value; none when there is no sender left.
    pub async fn receive(&mut self) -> Option<T> {
        poll_fn(|context| {
            let mut shared = self.shared.borrow_mut();
            if let Some(value) = shared.queue.pop_front() {
                shared.wake_sender();
                return Poll::Ready(Some(value));
            }
            if shared.senders == 0 {
                return Poll::Ready(None);
            }
            crate::task::waits_for("a channel");
            shared.receiving = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// The next value, if there is one.
    pub fn try_receive(&mut self) -> Option<T> {
        let mut shared = self.shared.borrow_mut();
        let value = shared.queue.pop_front()?;
        shared.wake_sender();
        Some(value)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = {
            let mut shared = self.shared.borrow_mut();
            shared.has_receiver = false;
            shared.wake_sender();
            core::mem::take(&mut shared.queue)
        };
        // Dropped when the borrow has ended: values may hold senders.
        drop(left);
    }
}

#[derive(Default)]
struct Signal {
    given: bool,
    waiting: Vec<Waker>,
}

/// Tells tasks to end. Clones are of the same signal.
#[derive(Clone, Default)]
pub struct Cancellation {
    signal: Rc<RefCell<Signal>>,
}

impl Cancellation {
    /// A signal that is not given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal, for ever.
    pub fn cancel(&self) {
        let waiting = {
            let mut signal = self.signal.borrow_mut();
            signal.given = true;
            core::mem::take(&mut signal.waiting)
        };
        for waker in waiting {
            waker.wake();
        }
    }

    /// Whether the signal was given.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.signal.borrow().given
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut signal = self.signal.borrow_mut();
        if signal.given {
            return Poll::Ready(());
        }
        let waker = context.waker();
        if !signal.waiting.iter().any(|known| known.will_wake(waker)) {
            signal.waiting.push(waker.clone());
        }
        Poll::Pending
    }

    /// Waits for the signal.
    pub async fn cancelled(&self) {
        poll_fn(|context| self.poll(context)).await;
    }

    /// Runs `future` until it is done or the signal is given: then it is dropped, and there is no
    /// result.
    pub async fn run<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if self.poll(context).is_ready() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(context).map(Some)
        })
        .await
    }
}
