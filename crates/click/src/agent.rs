//! The side of an element that can be reached while the element runs.
//!
//! An element is never entered twice at once, so what it calls cannot call it back. Those whose
//! work is to call others (scripts, control sockets) are called back all the same: a script
//! writes a handler of an element that writes a handler of the script. Such an element keeps
//! what it does in an agent, which lends itself to any number of callers at once and changes its
//! state through cells. Where an element has an agent, handlers, timers and sockets go to the
//! agent; packets go to the element.

use alloc::rc::Rc;
use alloc::string::String;

use crate::configure::ElementId;
use crate::context::Context;
use crate::handler::{HandlerError, HandlerList};
use crate::router::Router;

/// See the [module's documentation](self). The methods are those of
/// [`Element`](crate::element::Element).
#[expect(
    unused_variables,
    reason = "the defaults do nothing with what they are given"
)]
pub trait Agent {
    /// Called once, when the whole router is about to run.
    fn start(&self, context: &mut Context<'_>) {}

    /// Called when timer number `timer` has expired.
    fn run_timer(&self, context: &mut Context<'_>, timer: usize) {}

    /// Called when a socket or a signal may have something.
    fn run_io(&self, context: &mut Context<'_>) {}

    /// Names the handlers beside those every element has.
    fn handlers(&self, list: &mut HandlerList) {}

    /// Reads handler `name`.
    fn read(
        &self,
        context: &mut Context<'_>,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        Err(HandlerError::NoHandler(name.into()))
    }

    /// Writes `value` to handler `name`.
    fn write(
        &self,
        context: &mut Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        Err(HandlerError::NoHandler(name.into()))
    }

    /// Asked when the driver is about to stop: whether to go on.
    fn driver_stopped(&self, context: &mut Context<'_>) -> bool {
        false
    }
}

impl Router {
    /// Calls an element's agent, where it has one.
    pub(crate) fn consult<R>(
        &self,
        id: ElementId,
        action: impl FnOnce(&dyn Agent, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let agent: Rc<dyn Agent> = self.node(id).agent.borrow().clone()?;
        let mut touched = alloc::vec::Vec::new();
        Some(action(
            &*agent,
            &mut Context {
                router: self,
                id,
                outputs: &mut [],
                touched: &mut touched,
            },
        ))
    }

    /// Has elements do what they do first; once, when the router is about to run. The driver asks
    /// its manager before it runs anything else.
    pub fn start(&self) {
        let manager = self.driver_manager();
        let others = self.order.iter().copied();
        let others = others.filter(|id| Some(*id) != manager);
        for id in manager.into_iter().chain(others) {
            self.consult(id, |agent, context| agent.start(context));
            self.deliver();
        }
    }
}
