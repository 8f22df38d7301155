//! A stack as others hold it.

use alloc::rc::Rc;
use core::cell::RefCell;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll};

use sprat_devices::Clock;
use sprat_packet::{Batch, Pool};

use crate::engine::Engine;
use crate::{Configuration, Counters, Lease};

/// What a stack is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its Ethernet address.
    pub address: [u8; 6],
    /// Longest frame of the link, Ethernet header included.
    pub frame_limit: usize,
    /// Random bytes that no other stack was given.
    pub seed: [u8; 32],
    /// How many TCP connections there may be, those that are opening and closing included.
    pub connections: usize,
    /// How it comes by its addresses.
    pub configuration: Configuration,
    /// Told what the task that is being polled waits for, whenever it has to wait.
    pub waits_for: fn(&'static str),
}

impl Options {
    /// Ethernet with frames of 1,514 bytes, 1,024 connections, an address by DHCP.
    #[must_use]
    pub fn new(address: [u8; 6], seed: [u8; 32]) -> Self {
        Self {
            address,
            frame_limit: 1514,
            seed,
            connections: 1024,
            configuration: Configuration::default(),
            waits_for: |_| {},
        }
    }
}

/// A TCP/IP stack. Clones are handles of the same one.
///
/// Someone has to move its frames: call [`poll`](Self::poll) with what came, whenever something
/// did, when [`next_deadline`](Self::next_deadline) comes, and when [`wants_poll`](Self::wants_poll)
/// says so.
#[derive(Clone)]
pub struct Stack {
    engine: Rc<RefCell<Engine>>,
}

impl Stack {
    /// A stack that sends frames from `pool` and tells the time by `clock`.
    #[must_use]
    pub fn new(options: Options, pool: Pool, clock: Rc<dyn Clock>) -> Self {
        Self {
            engine: Rc::new(RefCell::new(Engine::new(options, pool, clock))),
        }
    }

    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&mut Engine) -> R) -> R {
        use_it(&mut self.engine.borrow_mut())
    }

    /// The same, if the engine is not in use.
    pub(crate) fn try_with(&self, use_it: impl FnOnce(&mut Engine)) {
        if let Ok(mut engine) = self.engine.try_borrow_mut() {
            use_it(&mut engine);
        }
    }

    /// One turn: takes all frames out of `received`, serves what is due, and adds frames to `sent`
    /// until it holds `limit` (answers to what was received may go beyond it).
    pub fn poll(&self, received: &mut Batch, sent: &mut Batch, limit: usize) {
        self.with(|engine| engine.poll(received, sent, limit));
    }

    /// When to call [`poll`](Self::poll) though nothing came, in nanoseconds of the stack's clock;
    /// a moment that has passed asks for a call at once.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        self.with(|engine| engine.next_deadline())
    }

    /// Ready when a socket wants to send; otherwise wakes the caller when one does, or when the
    /// deadline becomes an earlier one. There is one such caller.
    pub fn wants_poll(&self, context: &mut Context<'_>) -> Poll<()> {
        self.with(|engine| {
            if engine.next_deadline() == Some(0) {
                return Poll::Ready(());
            }
            engine.set_runner(context.waker());
            Poll::Pending
        })
    }

    /// The stack's clock.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.with(|engine| engine.now())
    }

    /// Addresses and name servers as they are now.
    #[must_use]
    pub fn lease(&self) -> Lease {
        self.with(|engine| engine.lease())
    }

    /// Waits until there is an address, where one is to come from a server.
    pub async fn configured(&self) {
        poll_fn(|context| {
            self.with(|engine| {
                if !engine.configurator.pending {
                    return Poll::Ready(());
                }
                engine.configurator.wait(context.waker());
                (engine.waits_for)("an address");
                Poll::Pending
            })
        })
        .await;
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.with(|engine| engine.counters)
    }

    /// How many sockets there are.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.with(|engine| engine.sockets.len())
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Stack")
    }
}
