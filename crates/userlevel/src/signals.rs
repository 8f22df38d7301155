//! Signals, counted when they arrive and looked at when the router has time.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

/// The signals that end a router unless an element asks for them.
const INTERRUPTS: [i32; 2] = [SIGINT, SIGTERM];

/// What has arrived. A signal that nobody asked for does what it does to any process.
pub(crate) struct Signals {
    asked: RefCell<HashMap<i32, Asked>>,
    /// Written to by the handlers, so that waiting ends.
    wake: Option<UnixStream>,
    interrupts: [Arc<AtomicBool>; 2],
    /// The router is stopping already: a further interrupt ends the process.
    stopping: Arc<AtomicBool>,
}

/// A signal that somebody asked for.
struct Asked {
    arrived: Arc<AtomicBool>,
    /// Nobody asks for it any more, and it is to do what it does by default.
    ended: Arc<AtomicBool>,
    /// Who asks for it, the next first.
    askers: Vec<usize>,
    /// Who has still to look at one that has arrived, the next first.
    waiting: Vec<usize>,
    /// Who asked out of turn.
    out_of_turn: Vec<usize>,
}

impl Asked {
    /// Whether it is this one's turn to look at it.
    fn is_for(&mut self, asker: usize) -> bool {
        if self.arrived.swap(false, Ordering::Relaxed) {
            self.waiting.append(&mut self.askers);
        }
        let Some(place) = self.waiting.iter().position(|known| *known == asker) else {
            if !self.askers.contains(&asker) {
                self.askers.push(asker);
            }
            return false;
        };
        // Who is first and has not asked meanwhile is gone.
        if place > 0 && !self.out_of_turn.contains(&asker) {
            self.out_of_turn.push(asker);
            return false;
        }
        self.waiting.drain(..=place);
        self.out_of_turn.retain(|known| *known != asker);
        self.askers.push(asker);
        true
    }
}

impl Signals {
    /// Begins to wait for interrupts. The socket becomes readable when a signal arrives.
    pub(crate) fn new() -> (Self, Option<UnixStream>) {
        // Without a socket a signal ends the wait only where it interrupts it.
        let pair = UnixStream::pair().and_then(|(wake, woken)| {
            woken.set_nonblocking(true)?;
            Ok((wake, woken))
        });
        let (wake, woken) = pair.ok().unzip();
        let signals = Self {
            asked: RefCell::default(),
            wake,
            interrupts: Default::default(),
            stopping: Arc::default(),
        };
        for (signal, interrupt) in INTERRUPTS.into_iter().zip(&signals.interrupts) {
            let _ = flag::register_conditional_default(signal, signals.stopping.clone());
            let _ = flag::register(signal, interrupt.clone());
            signals.wake_on(signal);
        }
        (signals, woken)
    }

    fn wake_on(&self, signal: i32) {
        if let Some(Ok(wake)) = self.wake.as_ref().map(UnixStream::try_clone) {
            let _ = low_level::pipe::register(signal, wake);
        }
    }

    /// Whether the process was asked to end; from then on asking again ends it at once.
    pub(crate) fn interrupted(&self) -> bool {
        let asked = self.asked.borrow();
        let interrupted = INTERRUPTS
            .iter()
            .zip(&self.interrupts)
            .any(|(signal, interrupt)| {
                interrupt.load(Ordering::Relaxed)
                    && asked
                        .get(signal)
                        .is_none_or(|known| known.ended.load(Ordering::Relaxed))
            });
        if interrupted {
            self.stopping.store(true, Ordering::Relaxed);
        }
        interrupted
    }

    /// Whether a signal has arrived since this asker last asked, and it is its turn. It counts from the
    /// first time on.
    pub(crate) fn arrived(&self, asker: usize, signal: i32) -> bool {
        if let Some(place) = INTERRUPTS.iter().position(|known| *known == signal) {
            self.interrupts[place].store(false, Ordering::Relaxed);
        }
        let mut asked = self.asked.borrow_mut();
        if let Some(known) = asked.get_mut(&signal) {
            known.ended.store(false, Ordering::Relaxed);
            return known.is_for(asker);
        }
        let new = Asked {
            arrived: Arc::default(),
            ended: Arc::default(),
            askers: vec![asker],
            waiting: Vec::new(),
            out_of_turn: Vec::new(),
        };
        let _ = flag::register_conditional_default(signal, new.ended.clone());
        let _ = flag::register(signal, new.arrived.clone());
        self.wake_on(signal);
        asked.insert(signal, new);
        false
    }

    /// Whether somebody has still to look at a signal.
    pub(crate) fn wait(&self) -> bool {
        let asked = self.asked.borrow();
        asked.values().any(|known| !known.waiting.is_empty())
    }

    /// One asker less: where there is none, the signal does what it does by default from now on.
    pub(crate) fn release(&self, asker: usize, signal: i32) {
        if let Some(known) = self.asked.borrow_mut().get_mut(&signal) {
            known.askers.retain(|other| *other != asker);
            known.waiting.retain(|other| *other != asker);
            let ended = known.askers.is_empty() && known.waiting.is_empty();
            known.ended.store(ended, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal_hook::consts::{SIGUSR1, SIGUSR2};

    #[test]
    fn a_signal_counts_once_from_when_it_was_asked_for() {
        let (signals, _woken) = Signals::new();
        assert!(!signals.arrived(1, SIGUSR2));
        low_level::raise(SIGUSR2).unwrap();
        low_level::raise(SIGUSR2).unwrap();
        assert!(signals.arrived(1, SIGUSR2));
        assert!(!signals.arrived(1, SIGUSR2));
    }

    // Click's Master puts who asks at the end of its list, and calls all in the order of that.
    #[test]
    fn who_asked_first_is_first_and_all_have_their_turn() {
        let (signals, _woken) = Signals::new();
        for asker in [1, 2] {
            assert!(!signals.arrived(asker, SIGUSR1));
        }
        low_level::raise(SIGUSR1).unwrap();
        assert!(!signals.arrived(2, SIGUSR1));
        assert!(signals.arrived(1, SIGUSR1));
        assert!(signals.wait());
        assert!(signals.arrived(2, SIGUSR1));
        assert!(!signals.wait());
        low_level::raise(SIGUSR1).unwrap();
        assert!(signals.arrived(1, SIGUSR1));
        // The other is gone without a word.
        signals.release(1, SIGUSR1);
        assert!(!signals.arrived(3, SIGUSR1));
        low_level::raise(SIGUSR1).unwrap();
        assert!(!signals.arrived(3, SIGUSR1));
        assert!(signals.arrived(3, SIGUSR1));
    }

    #[test]
    fn an_interrupt_an_element_asked_for_does_not_stop_the_router() {
        let (signals, _woken) = Signals::new();
        assert!(!signals.arrived(1, SIGTERM));
        low_level::raise(SIGTERM).unwrap();
        assert!(!signals.interrupted());
        assert!(signals.arrived(1, SIGTERM));
    }
}
