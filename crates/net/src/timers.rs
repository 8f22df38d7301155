//! What is due when: sockets that want another look, and tasks that wait for a moment.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use crate::Stack;
use crate::sockets::SocketId;

/// Where a socket without a timer stands.
const NOWHERE: usize = usize::MAX;

/// Who waits for a moment; nobody any more once it was dropped.
type Slot = Rc<RefCell<Option<Waker>>>;

/// One timer for each socket at most, and those of tasks.
#[derive(Default)]
pub(crate) struct Timers {
    /// A heap: none of the two behind an entry is due before it.
    heap: Vec<(u64, SocketId)>,
    /// Where each socket's entry is, by its index.
    places: Vec<usize>,
    /// Few, the earliest last.
    tasks: Vec<(u64, Slot)>,
}

impl Timers {
    pub(crate) fn next(&self) -> Option<u64> {
        let socket = self.heap.first().map(|(due, _)| *due);
        let task = self.tasks.last().map(|(due, _)| *due);
        socket.into_iter().chain(task).min()
    }

    /// Has a socket be looked at then, and not when it was to be before.
    pub(crate) fn set_socket(&mut self, due: u64, socket: SocketId) {
        if self.places.len() <= socket.index() {
            self.places.resize(socket.index() + 1, NOWHERE);
        }
        let mut place = self.places[socket.index()];
        if place == NOWHERE {
            place = self.heap.len();
            self.heap.push((due, socket));
        }
        self.settle(place, (due, socket));
    }

    /// A socket is not waited for any more.
    pub(crate) fn remove_socket(&mut self, socket: SocketId) {
        let place = self.places.get_mut(socket.index());
        let place = place.map_or(NOWHERE, |place| core::mem::replace(place, NOWHERE));
        if place == NOWHERE {
            return;
        }
        if let Some(last) = self.heap.pop()
            && place < self.heap.len()
        {
            self.settle(place, last);
        }
    }

    /// Puts an entry where another was, and moves it to where it belongs.
    fn settle(&mut self, mut place: usize, entry: (u64, SocketId)) {
        while let Some(above) = place.checked_sub(1).map(|place| place / 2)
            && self.heap[above].0 > entry.0
        {
            self.put(place, self.heap[above]);
            place = above;
        }
        loop {
            let mut below = 2 * place + 1;
            if self.heap.get(below + 1).map_or(u64::MAX, |right| right.0)
                < self.heap.get(below).map_or(u64::MAX, |left| left.0)
            {
                below += 1;
            }
            match self.heap.get(below) {
                Some(earlier) if earlier.0 < entry.0 => self.put(place, *earlier),
                _ => break,
            }
            place = below;
        }
        self.put(place, entry);
    }

    fn put(&mut self, place: usize, entry: (u64, SocketId)) {
        self.heap[place] = entry;
        self.places[entry.1.index()] = place;
    }

    fn add_task(&mut self, due: u64, slot: Slot) {
        let place = self.tasks.partition_point(|(known, _)| *known > due);
        self.tasks.insert(place, (due, slot));
    }

    /// Wakes the tasks that are due; the next socket that is.
    pub(crate) fn pop(&mut self, now: u64) -> Option<SocketId> {
        while let Some((due, _)) = self.tasks.last()
            && *due <= now
        {
            let (_, slot) = self.tasks.pop()?;
            if let Some(waker) = slot.borrow_mut().take() {
                waker.wake();
            }
        }
        let (due, socket) = *self.heap.first()?;
        if due > now {
            return None;
        }
        self.remove_socket(socket);
        Some(socket)
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
    waker: Option<Slot>,
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
                self.stack
                    .with(|engine| engine.timers.add_task(self.due, slot.clone()));
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
            // Where the stack is at work, this one is passed over when it is due.
            self.stack.try_with(|engine| {
                let tasks = &mut engine.timers.tasks;
                tasks.retain(|(_, known)| !Rc::ptr_eq(known, slot));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Against the moments alone, searched one by one.
        #[test]
        fn each_socket_is_due_once_and_the_earliest_comes_first(
            steps in prop::collection::vec((0u8..5, 0u32..12, 0u64..40), 1..200),
        ) {
            let mut timers = Timers::default();
            let mut model = BTreeMap::new();
            let mut now = 0;
            for (step, number, span) in steps {
                let socket = SocketId::numbered(number);
                match step {
                    0..=2 => {
                        timers.set_socket(now + span, socket);
                        model.insert(number, now + span);
                    }
                    3 => {
                        timers.remove_socket(socket);
                        model.remove(&number);
                    }
                    _ => now += span / 4,
                }
                while let Some(found) = timers.pop(now) {
                    let earliest = model.values().min().copied();
                    let due = model.remove(&u32::try_from(found.index()).expect("small"));
                    prop_assert!(due.is_some() && due == earliest, "{due:?} {earliest:?}");
                    prop_assert!(due <= Some(now));
                }
                prop_assert_eq!(timers.next(), model.values().min().copied());
                prop_assert_eq!(timers.heap.len(), model.len());
            }
        }
    }
}
