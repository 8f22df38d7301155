//! What a waiting place is woken with from other threads.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Remembers one ring until it is waited for.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Alarm {
    /// Wakes whoever waits, or whoever waits next.
    pub(crate) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until rung, at most for `limit` where there is one.
    pub(crate) fn wait(&self, limit: Option<Duration>) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        match limit {
            Some(limit) => {
                let waited = self.changed.wait_timeout_while(rung, limit, |rung| !*rung);
                rung = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            None => {
                while !*rung {
                    rung = self
                        .changed
                        .wait(rung)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        *rung = false;
    }
}
