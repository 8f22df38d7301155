//! What an element is.
//!
//! An element's file has a struct, a [`Configure`] implementation that makes it from its
//! configuration string, an [`Element`] implementation that says what it does with packets and
//! handlers, and a [`Class`] that gives its name and ports. Its doc comment is its manual page.
//!
//! Most elements take a packet in at one port and pass it on at another, in push and pull paths
//! alike: they implement [`Element::process`] alone. Others implement `push`, `pull`, a task or
//! timers. Elements never call each other with packets: they put them out
//! ([`Context::emit`], [`Context::forward`]) and the router carries them on when the element has
//! returned. So no element is ever entered twice at once, and loops in the graph are safe.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use core::any::Any;

use sprat_packet::Batch;

use crate::agent::Agent;
use crate::arguments::{Arguments, Rejected};
use crate::configure::Configuration;
use crate::context::Context;
use crate::handler::{HandlerError, HandlerList};
use crate::state::{Carrier, Damaged};

/// A node of the router graph.
#[expect(
    unused_variables,
    reason = "the defaults do nothing with what they are given"
)]
pub trait Element: Any {
    /// Works on packets that go in at input 0 and out at output 0, in place. Packets taken out
    /// of `batch` are dropped, or put out elsewhere with [`Context::emit`].
    fn process(&mut self, context: &mut Context<'_>, batch: &mut Batch) {}

    /// Takes packets that were pushed to input `port`. What is left in `batch` is dropped.
    fn push(&mut self, context: &mut Context<'_>, port: usize, batch: &mut Batch) {
        self.process(context, batch);
        context.forward(0, batch);
    }

    /// Gives up to `limit` packets to whoever pulls at output `port`. `batch` comes empty.
    fn pull(&mut self, context: &mut Context<'_>, port: usize, limit: usize, batch: &mut Batch) {
        context.pull(0, limit, batch);
        self.process(context, batch);
    }

    /// Prepares to run, when all elements are configured and connected. Errors are reported
    /// through [`Context::error`].
    fn initialize(&mut self, context: &mut Context<'_>) -> Result<(), Rejected> {
        Ok(())
    }

    /// Runs the element's task; returns whether it did any work. The task runs once for each
    /// time it was scheduled.
    fn run_task(&mut self, context: &mut Context<'_>) -> bool {
        false
    }

    /// Called when timer number `timer` has expired.
    fn run_timer(&mut self, context: &mut Context<'_>, timer: usize) {}

    /// Called when a socket or a signal may have something, for elements that asked with
    /// [`Context::watch`].
    fn run_io(&mut self, context: &mut Context<'_>) {}

    /// What this element tells its neighbours in pull and push paths about having packets or
    /// room for them.
    fn signals(&self) -> Signals {
        Signals::NONE
    }

    /// The configuration string as of now, where it changes while the router runs.
    fn configuration(&self) -> Option<String> {
        None
    }

    /// Names the handlers this element has beside those every element has.
    fn handlers(&self, list: &mut HandlerList) {}

    /// Reads handler `name`, which `handlers` named as readable.
    fn read(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        Err(HandlerError::NoHandler(name.into()))
    }

    /// Writes `value` to handler `name`, which `handlers` named as writable.
    fn write(
        &mut self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        Err(HandlerError::NoHandler(name.into()))
    }

    /// Takes over what the element of the same name and class held in the router that this one
    /// replaces.
    fn take_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {}

    /// Takes over what this element itself held under its previous configuration.
    fn keep_state(&mut self, context: &mut Context<'_>, old: &mut dyn Element) {
        self.take_state(context, old);
    }

    /// Carries what it holds out to another instance, or in from one, where an element of the same
    /// name and class held it. What comes in may be anything.
    fn carry_state(
        &mut self,
        context: &mut Context<'_>,
        carrier: &mut Carrier<'_>,
    ) -> Result<(), Damaged> {
        // Nothing is held that anybody would miss; what came would be of another version.
        Ok(())
    }

    /// Asked when the driver is about to stop, of the element that manages it: whether to go on.
    fn driver_stopped(&mut self, context: &mut Context<'_>) -> bool {
        false
    }

    /// What answers for this element to all but packets, where it must be reached even while it
    /// runs; asked once, after it was configured. See [`crate::agent`].
    fn agent(&self) -> Option<Rc<dyn Agent>> {
        None
    }

    /// Called once when the router ends, to write out what is buffered.
    fn cleanup(&mut self, context: &mut Context<'_>) {}
}

impl dyn Element {
    /// This element as the type it is, where it is a `T`.
    pub fn downcast_mut<T: Element>(&mut self) -> Option<&mut T> {
        (self as &mut dyn Any).downcast_mut()
    }
}

/// How an element comes out of its configuration string.
pub trait Configure: Element + Sized {
    /// Makes the element, or reports through `arguments` all that is wrong. An error for one
    /// argument does not hide those of the next: read them all, then `finish`.
    fn configure(
        arguments: &mut Arguments<'_>,
        configuration: &Configuration<'_>,
    ) -> Result<Self, Rejected>;
}

/// What an element signals to others. Click calls these notifiers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// It says when it has packets to be pulled ([`Context::set_nonempty`]).
    pub nonempty: bool,
    /// It says when it has room for packets to be pushed ([`Context::set_room`]).
    pub nonfull: bool,
}

impl Signals {
    /// Passes on what its neighbours say.
    pub const NONE: Self = Self {
        nonempty: false,
        nonfull: false,
    };
    /// Says when there is something to pull.
    pub const NONEMPTY: Self = Self {
        nonempty: true,
        nonfull: false,
    };
    /// Says both when there is something to pull and when there is room.
    pub const BOTH: Self = Self {
        nonempty: true,
        nonfull: true,
    };
}

/// When an element is configured and initialized, relative to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before all others: definitions of names.
    Information,
    /// Before the ordinary ones: what others refer to.
    Early,
    /// The ordinary time.
    Default,
    /// After all others.
    Last,
}

type Construct = fn(&mut Arguments<'_>, &Configuration<'_>) -> Result<Box<dyn Element>, Rejected>;

/// A kind of element: its name, its ports and how to make one.
#[derive(Debug)]
pub struct Class {
    /// The name configurations use.
    pub name: &'static str,
    /// How many inputs and outputs it may have: `1/1-2`, `-/=`.
    pub ports: &'static str,
    /// Push (`h`), pull (`l`) or agnostic (`a`), for each port: `a/ah`.
    pub processing: &'static str,
    /// Which outputs packets from which inputs reach: `x/x` is every from every.
    pub flow: &'static str,
    /// When it is configured.
    pub phase: Phase,
    /// Whether writing its `config` handler makes it anew while the router runs.
    pub reconfigurable: bool,
    /// Handlers that change an argument of the configuration when they are written, and which:
    /// `0 COLOR` is the first one, or that with the keyword COLOR.
    pub arguments: &'static [(&'static str, &'static str)],
    pub(crate) construct: Construct,
}

fn construct<T: Configure>(
    arguments: &mut Arguments<'_>,
    configuration: &Configuration<'_>,
) -> Result<Box<dyn Element>, Rejected> {
    Ok(Box::new(T::configure(arguments, configuration)?))
}

impl Class {
    /// A class of agnostic elements with one input and one output.
    pub const fn of<T: Configure>(name: &'static str) -> Self {
        Self {
            name,
            ports: "1/1",
            processing: "a/a",
            flow: "x/x",
            phase: Phase::Default,
            reconfigurable: false,
            arguments: &[],
            construct: construct::<T>,
        }
    }

    /// With these port counts.
    pub const fn ports(mut self, ports: &'static str) -> Self {
        self.ports = ports;
        self
    }

    /// With this processing code.
    pub const fn processing(mut self, processing: &'static str) -> Self {
        self.processing = processing;
        self
    }

    /// With this flow code.
    pub const fn flow(mut self, flow: &'static str) -> Self {
        self.flow = flow;
        self
    }

    /// Configured in this phase.
    pub const fn phase(mut self, phase: Phase) -> Self {
        self.phase = phase;
        self
    }

    /// Made anew, with its state taken over, when its `config` handler is written.
    pub const fn reconfigurable(mut self) -> Self {
        self.reconfigurable = true;
        self
    }

    /// With handlers that change an argument of the configuration: `("color", "0 COLOR")`.
    pub const fn arguments(mut self, arguments: &'static [(&'static str, &'static str)]) -> Self {
        self.arguments = arguments;
        self
    }

    /// The same class under another name.
    pub const fn named(&self, name: &'static str) -> Self {
        Self { name, ..*self }
    }
}
