//! A running router: its elements, and the machinery that carries packets between them.
//!
//! ```text
//! driver ── task, timer or socket ──► enter(element) ── puts packets out ──► pending
//!                                          ▲                                    │
//!                                          └───────────── deliver ◄─────────────┘
//! ```
//!
//! An element is entered by the router alone (`Router::enter`), works on a batch, and puts
//! packets out. When it has returned, what it put out is delivered, depth first and in order, so
//! that a packet takes the way it takes in Click. Pulls are calls: an element that pulls waits
//! for what is upstream of it. All state that elements change through their context lies in
//! cells, so a router is shared freely inside its one thread.

mod build;
mod complaints;
mod connect;
mod control;
mod cost;
mod deliver;
mod ports;
mod report;
mod schedule;
mod signal;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use sprat_packet::{Batch, Pool};

use crate::agent::Agent;
use crate::configure::{Directory, ElementId};
use crate::context::Context;
use crate::diagnostics::{Diagnostics, Landmark};
use crate::element::{Class, Element};
use crate::environment::Environment;
use crate::time::Instant;

pub use build::{BuildError, Builder, Parse};
pub use complaints::Circumstance;
pub use control::{CLICK_VERSION, GLOBAL_HANDLERS, HandlerTarget};
pub use schedule::Progress;

/// Timers an element can have running at once.
pub(crate) const TIMERS: usize = 4;

/// Packets handled at a time where neither the configuration nor the order of work decides.
const BATCH: usize = 128;

/// A router.
pub struct Router {
    pub(crate) directory: Directory,
    pub(crate) nodes: Vec<Node>,
    /// The order in which elements were configured.
    pub(crate) order: Vec<ElementId>,
    pub(crate) environment: Rc<dyn Environment>,
    pub(crate) pool: Pool,
    pub(crate) source: build::Source,
    diagnostics: RefCell<Diagnostics>,
    delivery: deliver::Delivery,
    /// How many elements are running, each called by the one before.
    running: Cell<usize>,
    scheduler: schedule::Scheduler,
    random: Cell<u64>,
    exact: Cell<bool>,
    sampling: cost::Sampling,
    /// The driver runs while this is positive; each request to stop takes one.
    run_count: Cell<i64>,
    driver_manager: Cell<Option<ElementId>>,
    watchers: RefCell<Vec<ElementId>>,
    /// Who hears what is said, and what they have not taken yet.
    listeners: RefCell<Vec<(ElementId, Rc<RefCell<String>>)>>,
    replacement: RefCell<Option<Box<Router>>>,
    complaints: complaints::Complaints,
}

/// An element and all the router knows of it.
pub(crate) struct Node {
    pub(crate) class: &'static Class,
    pub(crate) config: RefCell<Rc<str>>,
    pub(crate) landmark: Landmark,
    pub(crate) inputs: Vec<Input>,
    active: RefCell<Active>,
    task: schedule::Task,
    timers: [Cell<Instant>; TIMERS],
    signal: signal::State,
    traffic: Traffic,
    /// Nanoseconds that it has taken, by an estimate.
    time: Cell<u64>,
    /// What answers for the element while it runs.
    pub(crate) agent: RefCell<Option<Rc<dyn Agent>>>,
    /// An element of the same name and class is going to give its state.
    inherits: bool,
}

/// Packets that went through an element's ports, pushed or pulled, or that it took from or gave to a
/// device.
///
/// What went in and did not come out ended in the element (or is still held there); what came
/// out without having gone in was made there. Summed over a router, every packet is accounted for.
#[derive(Debug, Default)]
struct Traffic {
    taken: Cell<u64>,
    given: Cell<u64>,
}

impl Traffic {
    #[inline]
    fn take(&self, packets: usize) {
        self.taken.set(self.taken.get() + packets as u64);
    }

    #[inline]
    fn give(&self, packets: usize) {
        self.given.set(self.given.get() + packets as u64);
    }
}

/// What is borrowed while an element runs.
struct Active {
    element: Box<dyn Element>,
    outputs: Vec<Output>,
    /// Outputs with packets on them, in the order they were first put out.
    touched: Vec<u16>,
}

pub(crate) struct Input {
    pub(crate) push: bool,
    /// Whom to pull from.
    pub(crate) source: Option<(ElementId, u16)>,
    /// Everyone connected, for `ports` and for the search for signals.
    pub(crate) connected: Vec<(ElementId, u16)>,
}

/// An output while its element runs.
pub(crate) struct Output {
    pub(crate) push: bool,
    /// Whom to push to.
    pub(crate) target: Option<(ElementId, u16)>,
    pub(crate) batch: Batch,
}

impl Router {
    #[inline]
    pub(crate) fn node(&self, id: ElementId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Every element, in order.
    pub fn elements(&self) -> impl Iterator<Item = ElementId> + use<> {
        (0..self.nodes.len()).map(ElementId::from_index)
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// An element's name.
    pub fn name(&self, id: ElementId) -> &str {
        &self.directory.names[id.index()]
    }

    /// An element's class.
    pub fn class(&self, id: ElementId) -> &'static Class {
        self.node(id).class
    }

    /// Where an element was declared.
    pub fn landmark(&self, id: ElementId) -> &Landmark {
        &self.node(id).landmark
    }

    /// Packets that have gone into an element and come out of it so far, by push or by pull.
    pub fn traffic(&self, id: ElementId) -> (u64, u64) {
        let traffic = &self.node(id).traffic;
        (traffic.taken.get(), traffic.given.get())
    }

    /// The element that `name` means, seen from element `from`.
    pub fn resolve(&self, from: ElementId, name: &str) -> Option<ElementId> {
        self.directory.resolve(self.directory.prefix(from), name)
    }

    /// The element whose full name is `name`.
    pub fn find(&self, name: &str) -> Option<ElementId> {
        self.directory.resolve("", name)
    }

    /// Where the router runs.
    pub fn environment(&self) -> &Rc<dyn Environment> {
        &self.environment
    }

    /// Where packets come from.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A random number (xorshift64*).
    pub(crate) fn random(&self) -> u32 {
        let mut state = self.random.get();
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        self.random.set(state);
        u32::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32).unwrap_or(0)
    }

    /// Starts the random numbers anew.
    pub fn seed_random(&self, seed: u64) {
        self.random
            .set(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    }

    pub(crate) fn default_burst(&self) -> usize {
        if self.exact.get() { 1 } else { BATCH }
    }

    /// From now on packets go through the router one by one, as they do in Click.
    pub fn observe_order(&self) {
        self.exact.set(true);
    }

    pub(crate) fn set_driver_manager(&self, id: ElementId) {
        self.driver_manager.set(Some(id));
    }

    /// The element that manages the driver.
    pub fn driver_manager(&self) -> Option<ElementId> {
        self.driver_manager.get()
    }

    /// Asks the driver to stop.
    pub fn stop_driver(&self) {
        self.adjust_run_count(-1);
    }

    pub(crate) fn adjust_run_count(&self, by: i64) {
        self.run_count.set(self.run_count.get().saturating_add(by));
    }

    pub(crate) fn run_count(&self) -> i64 {
        self.run_count.get()
    }

    pub(crate) fn watch(&self, id: ElementId) {
        let mut watchers = self.watchers.borrow_mut();
        if !watchers.contains(&id) {
            watchers.push(id);
        }
    }

    /// The router that is to take this one's place, where a new configuration has been written.
    pub fn take_replacement(&self) -> Option<Box<Router>> {
        self.replacement.borrow_mut().take()
    }

    /// Whether a new configuration has been written that is to take this router's place.
    pub fn is_being_replaced(&self) -> bool {
        self.replacement.borrow().is_some()
    }

    /// Enters an element: the one way in. `None` where it is running already.
    pub(crate) fn enter<R>(
        &self,
        id: ElementId,
        action: impl FnOnce(&mut dyn Element, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let mut active = self.node(id).active.try_borrow_mut().ok()?;
        let Active {
            element,
            outputs,
            touched,
        } = &mut *active;
        self.running.set(self.running.get() + 1);
        let result = action(
            &mut **element,
            &mut Context {
                router: self,
                id,
                outputs,
                touched,
            },
        );
        self.running.set(self.running.get() - 1);
        self.delivery
            .collect(&self.node(id).traffic, outputs, touched);
        Some(result)
    }

    /// Takes over the state of the elements of `old` that have the same name and class here, and
    /// starts.
    pub fn take_state(&self, old: &Router) {
        for id in self.order.iter().copied() {
            let Some(previous) = old.directory.by_name.get(self.name(id)).copied() else {
                continue;
            };
            if old.class(previous).name != self.class(id).name {
                continue;
            }
            old.enter(previous, |from, _| {
                self.enter(id, |element, context| element.take_state(context, from));
            });
        }
        self.deliver();
        self.start();
    }

    /// Whether an element is to take over the state of one in the router this one replaces.
    pub(crate) fn inherits(&self, id: ElementId) -> bool {
        self.node(id).inherits
    }

    /// Has every element write out what it holds back; the end of the router.
    pub fn cleanup(&self) {
        for id in self.order.iter().rev().copied() {
            self.enter(id, |element, context| element.cleanup(context));
        }
    }

    /// The configuration of an element as of now.
    pub fn element_config(&self, id: ElementId) -> String {
        let now = self
            .enter(id, |element, _| element.configuration())
            .flatten();
        now.unwrap_or_else(|| String::from(&**self.node(id).config.borrow()))
    }
}
