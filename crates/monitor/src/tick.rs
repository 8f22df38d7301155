//! The tick that keeps time budgets.
//!
//! Arming a timer for each entry would cost as much as the entry. Instead each thread that enters
//! virtual processors has one periodic timer, whose signal sets the `immediate_exit` flag of the one
//! that runs. It starts with the first entry, and stops by itself when a few ticks go by without one: who
//! sleeps between two frames is not woken for nothing.

use crate::memory::SystemError;
use std::cell::Cell;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::null_mut;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

/// How long a tick is: budgets are kept to within one.
pub const TICK: Duration = Duration::from_millis(5);

/// Ticks without an entry after which a thread's timer stops. Starting it again takes a system call,
/// and every tick wakes a thread that sleeps.
const IDLE_TICKS: u32 = 3;

thread_local! {
    /// `immediate_exit` of the virtual processor that this thread runs.
    static RUNNING: AtomicPtr<u8> = const { AtomicPtr::new(null_mut()) };
    /// Ticks since the last entry.
    static IDLE: AtomicU32 = const { AtomicU32::new(0) };
    static TIMER: Cell<Option<Timer>> = const { Cell::new(None) };
    static ARMED: AtomicU8 = const { AtomicU8::new(0) };
    static TIMER_ID: AtomicPtr<libc::c_void> = const { AtomicPtr::new(null_mut()) };
}

struct Timer(libc::timer_t);

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer was made by this thread and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// The flag of a virtual processor that is being run. While the value lives, ticks set it.
pub(crate) struct Running;

impl Running {
    /// From now on ticks set the byte at `flag`.
    ///
    /// # Safety
    /// `flag` must stay valid as long as the value lives.
    pub(crate) unsafe fn new(flag: *mut u8) -> Result<Self, SystemError> {
        RUNNING.with(|running| running.store(flag, Ordering::Relaxed));
        IDLE.with(|idle| idle.store(0, Ordering::Relaxed));
        if ARMED.with(|armed| armed.load(Ordering::Relaxed)) == 0 {
            arm()?;
        }
        Ok(Self)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.with(|running| running.store(null_mut(), Ordering::Relaxed));
    }
}

/// The signal of the tick.
fn signal_number() -> i32 {
    libc::SIGRTMIN() + 3
}

extern "C" fn on_tick(_: libc::c_int) {
    let flag = RUNNING.with(|running| running.load(Ordering::Relaxed));
    if !flag.is_null() {
        // SAFETY: while a thread's pointer is set the flag is valid, by the promise made to `new`; the
        // handler runs on that thread.
        unsafe { flag.write_volatile(1) };
        return;
    }
    let idle = IDLE.with(|idle| idle.fetch_add(1, Ordering::Relaxed));
    if idle >= IDLE_TICKS {
        ARMED.with(|armed| armed.store(0, Ordering::Relaxed));
        let timer = TIMER_ID.with(|timer| timer.load(Ordering::Relaxed));
        // SAFETY: all zeroes disarm; the timer is this thread's and is not deleted before its end.
        unsafe { libc::timer_settime(timer, 0, &zeroed(), null_mut()) };
    }
}

#[cold]
fn arm() -> Result<(), SystemError> {
    install_handler()?;
    let timer = TIMER_ID.with(|timer| timer.load(Ordering::Relaxed));
    let timer = if timer.is_null() {
        make_timer()?
    } else {
        timer
    };
    let nanoseconds = i64::from(TICK.subsec_nanos());
    let period = libc::timespec {
        tv_sec: 0,
        tv_nsec: nanoseconds,
    };
    let times = libc::itimerspec {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: the timer is this thread's; the structure outlives the call.
    if unsafe { libc::timer_settime(timer, 0, &raw const times, null_mut()) } != 0 {
        return Err(SystemError::last("arming a timer"));
    }
    ARMED.with(|armed| armed.store(1, Ordering::Relaxed));
    Ok(())
}

fn make_timer() -> Result<libc::timer_t, SystemError> {
    let mut timer = MaybeUninit::uninit();
    // SAFETY: all zeroes are a valid `sigevent`; the calls write the timer and nothing else.
    let timer = unsafe {
        let mut event: libc::sigevent = zeroed();
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal_number();
        event.sigev_notify_thread_id = libc::gettid();
        if libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr()) != 0 {
            return Err(SystemError::last("making a timer"));
        }
        timer.assume_init()
    };
    TIMER_ID.with(|id| id.store(timer, Ordering::Relaxed));
    TIMER.with(|cell| cell.set(Some(Timer(timer))));
    Ok(timer)
}

fn install_handler() -> Result<(), SystemError> {
    static INSTALLED: OnceLock<Option<i32>> = OnceLock::new();
    let failure = INSTALLED.get_or_init(|| {
        // SAFETY: the handler only touches its own thread's statics and makes one call that is allowed
        // in handlers. SA_RESTART keeps other
        // calls from noticing; the run of a virtual processor returns all the same.
        let done = unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = on_tick as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(signal_number(), &raw const action, null_mut())
        };
        (done != 0).then(|| std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    });
    match failure {
        None => Ok(()),
        Some(code) => Err(SystemError::new(
            "installing a signal handler",
            std::io::Error::from_raw_os_error(*code),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_enters_nothing_is_soon_left_alone() {
        let mut flag = 0;
        // SAFETY: the flag outlives the value.
        drop(unsafe { Running::new(&raw mut flag) }.expect("timers"));
        let mut woken = 0;
        // SAFETY: it is given no descriptors.
        while unsafe { libc::poll(null_mut(), 0, 1000) } != 0 {
            woken += 1;
            assert!(woken <= IDLE_TICKS + 2, "it is still woken");
        }
        assert_eq!(flag, 0);
    }

    #[test]
    fn an_entry_after_a_rest_is_reminded_again() {
        let mut flag = 0;
        for _ in 0..2 {
            // SAFETY: the flag outlives the value.
            let running = unsafe { Running::new(&raw mut flag) }.expect("timers");
            let begun = std::time::Instant::now();
            // SAFETY: the flag is this thread's, written by its signal handler alone.
            while unsafe { (&raw const flag).read_volatile() } == 0 {
                assert!(begun.elapsed() < Duration::from_secs(30), "no tick came");
            }
            drop(running);
            flag = 0;
            // SAFETY: it is given no descriptors.
            while unsafe { libc::poll(null_mut(), 0, 200) } != 0 {}
        }
    }
}
