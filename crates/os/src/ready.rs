//! Who waits for which device.

use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::{Context, Waker};

use crate::local::local;

local! {
    /// Whoever waits for a device, by the device's index.
    static WAITING: RefCell<Vec<(usize, Waker)>> = RefCell::new(Vec::new());
}

/// Wakes the caller once when a device may have something; `what` it waits for is for the list of
/// tasks.
pub(crate) fn wait(device: usize, what: &'static str, context: &Context<'_>) {
    crate::task::waits_for(what);
    let waker = context.waker();
    WAITING.with(|waiting| {
        let mut waiting = waiting.borrow_mut();
        if !waiting
            .iter()
            .any(|(index, known)| *index == device && known.will_wake(waker))
        {
            waiting.push((device, waker.clone()));
        }
    });
}

/// Wakes whoever waits for one of the devices in the bitmap.
pub(crate) fn wake(ready: u64) {
    if ready == 0 {
        return;
    }
    let mut at = 0;
    loop {
        let next = WAITING.with(|waiting| {
            let mut waiting = waiting.borrow_mut();
            while let Some((index, _)) = waiting.get(at) {
                if ready >> index & 1 != 0 {
                    return Some(waiting.remove(at).1);
                }
                at += 1;
            }
            None
        });
        match next {
            Some(waker) => waker.wake(),
            None => return,
        }
    }
}
