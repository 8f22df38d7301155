//! A value that one task uses at a time, also across what it waits for.

use alloc::vec::Vec;
use core::cell::{RefCell, RefMut};
use core::future::poll_fn;
use core::ops::{Deref, DerefMut};
use core::task::{Poll, Waker};

#[derive(Debug)]
pub(crate) struct Lock<T> {
    value: RefCell<T>,
    waiting: RefCell<Vec<Waker>>,
}

/// The value, in use.
pub(crate) struct Guard<'l, T> {
    value: RefMut<'l, T>,
    waiting: &'l RefCell<Vec<Waker>>,
}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self {
            value: RefCell::new(value),
            waiting: RefCell::default(),
        }
    }

    /// Waits until nobody else uses the value.
    pub(crate) async fn lock(&self) -> Guard<'_, T> {
        poll_fn(|context| match self.value.try_borrow_mut() {
            Ok(value) => Poll::Ready(Guard {
                value,
                waiting: &self.waiting,
            }),
            Err(_) => {
                self.waiting.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // All of them, once the value is free: the one that is woken may have given up meanwhile.
        let waiting = core::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_iter().for_each(Waker::wake);
    }
}
