//! What an element can do while it runs.

use alloc::rc::Rc;
use alloc::string::String;
use core::fmt;
use core::time::Duration;

use sprat_packet::{Batch, Packet, Pool};

use crate::arguments::Rejected;
use crate::configure::ElementId;
use crate::diagnostics::Diagnostic;
use crate::element::Element;
use crate::environment::Environment;
use crate::names::ScopedNames;
use crate::router::{Output, Router};
use crate::time::{Instant, Timestamp};

/// The router as seen by one of its elements.
pub struct Context<'a> {
    pub(crate) router: &'a Router,
    pub(crate) id: ElementId,
    pub(crate) outputs: &'a mut [Output],
    pub(crate) touched: &'a mut alloc::vec::Vec<u16>,
}

/// With room for fewer packets than this, sources give them one by one.
const LEAST_ROOM: usize = 32;

impl Context<'_> {
    /// Puts a packet out at `port`. It is dropped where nothing is connected.
    #[inline]
    pub fn emit(&mut self, port: usize, packet: Packet) {
        if let Some(output) = self.outputs.get_mut(port)
            && output.target.is_some()
        {
            if output.batch.is_empty() {
                // Ports are counted in sixteen bits.
                #[expect(clippy::cast_possible_truncation)]
                self.touched.push(port as u16);
            }
            output.batch.push(packet);
        }
    }

    /// Puts all packets of `batch` out at `port`, leaving it empty.
    #[inline]
    pub fn forward(&mut self, port: usize, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        match self.outputs.get_mut(port) {
            Some(output) if output.target.is_some() => {
                if output.batch.is_empty() {
                    // Ports are counted in sixteen bits.
                    #[expect(clippy::cast_possible_truncation)]
                    self.touched.push(port as u16);
                }
                output.batch.append(batch);
            }
            _ => batch.clear(),
        }
    }

    /// Pulls up to `limit` packets at input `port` and adds them to `batch`.
    #[inline]
    pub fn pull(&mut self, port: usize, limit: usize, batch: &mut Batch) {
        self.router.pull_input(self.id, port, limit, batch);
    }

    /// Inputs in use.
    pub fn inputs(&self) -> usize {
        self.router.node(self.id).inputs.len()
    }

    /// Outputs in use.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }

    /// Whether packets are pulled through input `port`, rather than pushed to it.
    pub fn input_pulls(&self, port: usize) -> bool {
        self.router
            .node(self.id)
            .inputs
            .get(port)
            .is_some_and(|input| !input.push)
    }

    /// Whether packets are pushed out of output `port`, rather than pulled from it.
    pub fn output_pushes(&self, port: usize) -> bool {
        self.outputs.get(port).is_some_and(|output| output.push)
    }

    /// How many packets to handle at a time where the configuration says `requested`; where it
    /// says nothing, one if the order of work can be observed, a batch otherwise.
    pub fn burst(&self, requested: Option<usize>) -> usize {
        requested.unwrap_or_else(|| self.router.default_burst())
    }

    /// How many packets a source should put out of `port` at a time where the configuration says
    /// `requested`: no more than there is room for behind, and one where that is not much, which
    /// a batch might overrun.
    pub fn source_burst(&self, port: usize, requested: Option<usize>) -> usize {
        if let Some(burst) = requested {
            return burst;
        }
        let burst = self.router.default_burst();
        // A Tee on the way may make two of each.
        match self.router.downstream_room(self.id, port) / 2 {
            room if room >= LEAST_ROOM.min(burst) => room.min(burst),
            _ => 1,
        }
    }

    /// Says that this element makes the order of work visible (it prints, or writes handlers
    /// as packets pass), so packets must go through the router one by one, as Click's do.
    pub fn observe_order(&self) {
        self.router.observe_order();
    }

    /// The time on the steady clock, for timers and rates.
    pub fn now(&self) -> Instant {
        self.router.environment().instant()
    }

    /// The wall-clock time, for timestamps.
    pub fn timestamp(&self) -> Timestamp {
        self.router.environment().timestamp()
    }

    /// A random number.
    pub fn random(&self) -> u32 {
        self.router.random()
    }

    /// A random number below `bound`, each equally likely; zero for a bound of zero.
    pub fn random_below(&self, bound: u32) -> u32 {
        // The high half of a product spreads as evenly as 32 bits can.
        let product = u64::from(self.router.random()) * u64::from(bound);
        u32::try_from(product >> 32).unwrap_or(0)
    }

    /// Where packets come from.
    #[inline]
    pub fn pool(&self) -> &Pool {
        self.router.pool()
    }

    /// A copy of `packet`.
    pub fn duplicate(&self, packet: &Packet) -> Packet {
        packet.duplicate(self.router.pool())
    }

    /// Where the router runs.
    pub fn environment(&self) -> &Rc<dyn Environment> {
        self.router.environment()
    }

    /// The router.
    pub fn router(&self) -> &Router {
        self.router
    }

    /// What `AddressInfo` and its like define, as seen from this element.
    pub fn names(&self) -> ScopedNames<'_> {
        let directory = &self.router.directory;
        ScopedNames::new(
            &directory.addresses,
            directory.prefix(self.id),
            &**self.router.environment(),
        )
    }

    /// This element's place in the router.
    pub fn id(&self) -> ElementId {
        self.id
    }

    /// This element's name.
    pub fn name(&self) -> &str {
        self.router.name(self.id)
    }

    /// Has this element's task run soon.
    pub fn schedule_task(&self) {
        self.router.schedule_task(self.id);
    }

    /// Keeps this element's task from running until it is scheduled again.
    pub fn unschedule_task(&self) {
        self.router.unschedule_task(self.id);
    }

    /// Whether this element's task is going to run.
    pub fn task_scheduled(&self) -> bool {
        self.router.task_scheduled(self.id)
    }

    /// Has [`Element::run_timer`] called with `timer` (0 to 3) at `when`, and not earlier.
    pub fn set_timer(&self, timer: usize, when: Instant) {
        self.router.set_timer(self.id, timer, when);
    }

    /// Has [`Element::run_timer`] called with `timer` (0 to 3) in `span` from now.
    pub fn set_timer_after(&self, timer: usize, span: Duration) {
        self.set_timer(timer, self.now() + span);
    }

    /// Forgets about `timer`.
    pub fn cancel_timer(&self, timer: usize) {
        self.router.set_timer(self.id, timer, Instant::NEVER);
    }

    /// When `timer` is going to expire, where it is set.
    pub fn timer(&self, timer: usize) -> Option<Instant> {
        self.router.timer(self.id, timer)
    }

    /// Counts packets that came to this element from outside the router, not by an input.
    pub fn count_arrived(&self, packets: usize) {
        self.router.count_arrived(self.id, packets);
    }

    /// Counts packets that left the router by this element, not by an output.
    pub fn count_left(&self, packets: usize) {
        self.router.count_left(self.id, packets);
    }

    /// Says whether this element has packets to be pulled. Where it had none and has some now,
    /// the tasks that wait for it run.
    #[inline]
    pub fn set_nonempty(&self, nonempty: bool) {
        self.router.set_nonempty(self.id, nonempty);
    }

    /// Says how many packets pushed to it this element has room for.
    #[inline]
    pub fn set_room(&self, room: usize) {
        self.router.set_room(self.id, room);
    }

    /// Has this element's task scheduled whenever something behind input `port` has packets
    /// to pull. To be called from `initialize`.
    pub fn wake_when_nonempty(&self, port: usize) {
        self.router.wake_when_nonempty(self.id, port);
    }

    /// Has this element's task scheduled whenever something after output `port` has room.
    /// To be called from `initialize`.
    pub fn wake_when_nonfull(&self, port: usize) {
        self.router.wake_when_nonfull(self.id, port);
    }

    /// Whether there may be packets to pull at input `port`: false only where all that feed it
    /// have said that they have none.
    #[inline]
    pub fn upstream_nonempty(&self, port: usize) -> bool {
        self.router.upstream_nonempty(self.id, port)
    }

    /// Whether there may be room behind output `port`.
    #[inline]
    pub fn downstream_nonfull(&self, port: usize) -> bool {
        self.router.downstream_nonfull(self.id, port)
    }

    /// For how many packets there is room behind output `port`, of the elements that say so.
    pub fn room_behind(&self, port: usize) -> usize {
        self.router.downstream_room(self.id, port)
    }

    /// Has [`Element::run_io`] called whenever a socket or signal may have something.
    pub fn watch(&self) {
        self.router.watch(self.id);
    }

    /// Writes text for a person to read, as Click's chatter.
    pub fn chatter(&self, text: fmt::Arguments<'_>) {
        let mut line = alloc::format!("{text}");
        line.push('\n');
        self.say(line.as_bytes());
    }

    /// Writes whole lines for a person to read, as they are.
    pub fn say(&self, text: &[u8]) {
        self.router.say(text);
    }

    /// Adds to `heard` all that is said from now on, by this element and others. Timer 3 expires
    /// each time.
    pub fn listen_to_chatter(&self, heard: Rc<core::cell::RefCell<String>>) {
        self.router.listen(self.id, heard);
    }

    /// Reports an error of this element.
    pub fn error(&self, message: impl Into<String>) -> Rejected {
        self.router.report(self.id, message.into());
        Rejected
    }

    /// Reports a warning about this element.
    pub fn warning(&self, message: impl Into<String>) {
        self.router.report_warning(self.id, message.into());
    }

    /// Reports an error in a file that this element reads.
    pub fn error_in_file(&self, place: impl Into<String>, message: impl Into<String>) -> Rejected {
        let error = Diagnostic::error(message);
        self.router.report_in_file(self.id, place.into(), error);
        Rejected
    }

    /// Warns of something in a file that this element reads.
    pub fn warning_in_file(&self, place: impl Into<String>, message: impl Into<String>) {
        let warning = Diagnostic::warning(message);
        self.router.report_in_file(self.id, place.into(), warning);
    }

    /// Warns of what this element could not take over from the one whose place it takes.
    pub fn warn_of_swap(&self, message: &str) {
        self.router.warn_of_swap(self.id, message);
    }

    /// Asks the driver to stop.
    pub fn stop_driver(&self) {
        self.router.stop_driver();
    }

    /// Says that this element decides what happens when the driver is asked to stop.
    pub fn manage_driver(&self) {
        self.router.set_driver_manager(self.id);
    }

    /// The element that `name` means here.
    pub fn find(&self, name: &str) -> Option<ElementId> {
        self.router.resolve(self.id, name)
    }

    /// Calls `action` with another element, where it is a `T` and not itself running.
    pub fn with<T: Element, R>(
        &self,
        id: ElementId,
        action: impl FnOnce(&mut T, &mut Context<'_>) -> R,
    ) -> Option<R> {
        self.router
            .enter(id, |element, context| {
                element.downcast_mut::<T>().map(|it| action(it, context))
            })
            .flatten()
    }
}
