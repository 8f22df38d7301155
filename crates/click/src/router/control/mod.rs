//! Reading and writing handlers: the management plane of a router.
//!
//! Besides its own, every element has the handlers `name`, `class`, `config`, `ports` and
//! `handlers`; elements that list `scheduled` or `tickets` have them served here. A handler
//! without an element is the router's own.

mod global;
mod shown;

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};

use super::Router;
use super::complaints::Circumstance;
use super::schedule::MOST_TICKETS;
use crate::arguments::{Argument, ArgumentPlace, NoNames};
use crate::configure::ElementId;
use crate::context::Context;
use crate::handler::{HandlerError, HandlerFlags, HandlerList};

pub use global::{CLICK_VERSION, GLOBAL_HANDLERS};

/// A handler of one element, or of the router as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerTarget {
    /// Of an element.
    Element(ElementId, String),
    /// Of the router.
    Global(String),
}

const READ: HandlerFlags = HandlerFlags {
    read: true,
    write: false,
    parameters: false,
    calm: false,
    expensive: false,
    raw: false,
    button: false,
    checkbox: false,
    private: false,
};
const WRITE: HandlerFlags = HandlerFlags {
    read: false,
    write: true,
    ..READ
};
const CALM: HandlerFlags = HandlerFlags { calm: true, ..READ };

impl Router {
    /// Finds what `handler` means, seen from element `from`: `element.name`, or `name` for the
    /// router's own.
    pub fn find_handler(
        &self,
        from: Option<ElementId>,
        handler: &str,
    ) -> Result<HandlerTarget, HandlerError> {
        let dot = handler.find('.');
        if handler.is_empty() || (dot.is_some() && dot == handler.len().checked_sub(1)) {
            return Err(HandlerError::Malformed);
        }
        let scope = from.map_or("", |id| self.scope(id));
        match handler.split_once('.') {
            None => Ok(HandlerTarget::Global(handler.into())),
            Some(("", name)) => Ok(HandlerTarget::Global(name.into())),
            Some((element, name)) => match self.directory.resolve(scope, element) {
                Some(id) => Ok(HandlerTarget::Element(id, name.into())),
                // No name is a number: elements may be called by their place, from one on.
                None => match element.parse::<usize>() {
                    Ok(place) if (1..=self.len()).contains(&place) => Ok(HandlerTarget::Element(
                        ElementId::from_index(place - 1),
                        name.into(),
                    )),
                    _ => Err(HandlerError::NoElement(element.into())),
                },
            },
        }
    }

    /// All handlers of an element, its common ones first. `None` where it is running.
    pub fn element_handlers(&self, id: ElementId) -> Option<HandlerList> {
        let mut list = HandlerList::default();
        for name in ["name", "class", "config", "ports", "handlers"] {
            let write = name == "config" && self.class(id).reconfigurable;
            list.add(name, HandlerFlags { write, ..CALM });
        }
        self.consult(id, |agent, _| agent.handlers(&mut list))
            .or_else(|| self.enter(id, |element, _| element.handlers(&mut list)))?;
        Some(list)
    }

    fn flags(&self, id: ElementId, name: &str) -> Result<HandlerFlags, HandlerError> {
        let list = self
            .element_handlers(id)
            .ok_or_else(|| HandlerError::Busy(self.full_name(id, name)))?;
        list.flags(name)
            .ok_or_else(|| HandlerError::NoHandler(self.full_name(id, name)))
    }

    /// What can be done with a handler.
    pub fn handler_flags(&self, target: &HandlerTarget) -> Result<HandlerFlags, HandlerError> {
        match target {
            HandlerTarget::Element(id, name) => self.flags(*id, name),
            HandlerTarget::Global(name) => self
                .global_handlers()
                .find(|(known, _)| known == name)
                .map(|(_, flags)| flags)
                .ok_or_else(|| HandlerError::NoHandler(name.clone())),
        }
    }

    fn full_name(&self, id: ElementId, name: &str) -> String {
        format!("{}.{name}", self.name(id))
    }

    /// Reads a handler from outside the router and carries on what that set off. What a script
    /// complains of while it is read is not said.
    pub fn read(&self, handler: &str, parameters: &str) -> Result<String, HandlerError> {
        self.begin(Circumstance::Unheard);
        let result = self
            .find_handler(None, handler)
            .and_then(|target| self.visible(target))
            .and_then(|target| self.read_target(&target, parameters));
        self.end();
        self.deliver();
        result
    }

    /// A handler, unless it is there for elements only.
    pub fn visible(&self, target: HandlerTarget) -> Result<HandlerTarget, HandlerError> {
        match &target {
            HandlerTarget::Element(id, name) if self.handler_flags(&target)?.private => {
                Err(HandlerError::NoHandler(self.full_name(*id, name)))
            }
            _ => Ok(target),
        }
    }

    /// Writes a handler from outside the router and carries on what that set off.
    pub fn write(&self, handler: &str, value: &str) -> Result<(), HandlerError> {
        let result = self
            .find_handler(None, handler)
            .and_then(|target| self.write_target(&target, value));
        self.deliver();
        result
    }

    /// Reads a handler.
    pub fn read_target(
        &self,
        target: &HandlerTarget,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        match target {
            HandlerTarget::Global(name) => self.read_global(name, parameters),
            HandlerTarget::Element(id, name) => self.read_element(*id, name, parameters),
        }
    }

    /// Writes a handler.
    pub fn write_target(&self, target: &HandlerTarget, value: &str) -> Result<(), HandlerError> {
        match target {
            HandlerTarget::Global(name) => self.write_global(name, value),
            HandlerTarget::Element(id, name) => self.write_element(*id, name, value),
        }
    }

    fn read_element(
        &self,
        id: ElementId,
        name: &str,
        parameters: &str,
    ) -> Result<String, HandlerError> {
        let flags = self.flags(id, name)?;
        if !flags.read {
            return Err(HandlerError::NotReadable(self.full_name(id, name)));
        }
        if !parameters.is_empty() && !flags.parameters {
            return Err(HandlerError::NoParameters(self.full_name(id, name)));
        }
        match name {
            "name" => return Ok(self.name(id).into()),
            "class" => return Ok(self.class(id).name.into()),
            "config" => return Ok(self.element_config(id)),
            "ports" => return Ok(self.ports_text(id)),
            "handlers" => return Ok(self.handlers_text(id)),
            // That of the element's task, where it has one.
            "scheduled" if self.flags(id, "tickets").is_ok() => {
                return Ok(self.task_scheduled(id).to_string());
            }
            "tickets" => return Ok(self.tickets(id).to_string()),
            "home_thread" => return Ok("0".into()),
            _ => {}
        }
        self.consult(id, |agent, context| agent.read(context, name, parameters))
            .or_else(|| {
                self.enter(id, |element, context| {
                    element.read(context, name, parameters)
                })
            })
            .unwrap_or_else(|| Err(HandlerError::Busy(self.full_name(id, name))))
            .map_err(|error| self.complete(id, error))
    }

    fn write_element(&self, id: ElementId, name: &str, value: &str) -> Result<(), HandlerError> {
        let flags = self.flags(id, name)?;
        if !flags.write {
            return Err(HandlerError::NotWritable(self.full_name(id, name)));
        }
        match name {
            "config" => return self.reconfigure(id, value).map_err(HandlerError::refused),
            "tickets" => {
                let Ok(wanted) = i64::parse(value.trim(), &NoNames) else {
                    return Err(HandlerError::failed("syntax error"));
                };
                let tickets = wanted.clamp(1, MOST_TICKETS.into());
                if tickets != wanted {
                    self.warn(&format!("warning: tickets pinned at {tickets}"));
                }
                self.set_tickets(id, u32::try_from(tickets).unwrap_or(MOST_TICKETS));
                return Ok(());
            }
            "home_thread" => return Ok(()),
            _ => {}
        }
        let arguments = self.class(id).arguments.iter();
        let mut arguments = arguments.filter(|(handler, _)| *handler == name);
        let argument = arguments.next().map(|(_, place)| ArgumentPlace::of(place));
        let config = argument.map(|place| place.replaced(&self.element_config(id), value));
        let result = self
            .consult(id, |agent, context| agent.write(context, name, value))
            .or_else(|| self.enter(id, |element, context| element.write(context, name, value)))
            .unwrap_or_else(|| Err(HandlerError::Busy(self.full_name(id, name))))
            .map_err(|error| self.complete(id, error));
        if let (Ok(()), Some(config)) = (&result, config) {
            *self.node(id).config.borrow_mut() = config.into();
        }
        result
    }

    /// Puts the element's name into an element's own error.
    fn complete(&self, id: ElementId, error: HandlerError) -> HandlerError {
        match error {
            HandlerError::NoHandler(name) if !name.contains('.') => {
                HandlerError::NoHandler(self.full_name(id, &name))
            }
            other => other,
        }
    }
}

impl Context<'_> {
    /// Reads a handler, named as seen from this element. Those of elements that are running,
    /// its own among them, are not reachable this way unless they have an agent.
    pub fn read_handler(&self, handler: &str, parameters: &str) -> Result<String, HandlerError> {
        let target = self.router.find_handler(Some(self.id), handler)?;
        let mark = self.router.delivery_mark();
        let result = self.router.read_target(&target, parameters);
        self.router.deliver_above(mark);
        result
    }

    /// Writes a handler, named as seen from this element. One of an element that is running is
    /// written as soon as it is not; what is wrong then is said on the console.
    pub fn write_handler(&self, handler: &str, value: &str) -> Result<(), HandlerError> {
        let target = self.router.find_handler(Some(self.id), handler)?;
        let mark = self.router.delivery_mark();
        let result = match self.router.write_target(&target, value) {
            Err(HandlerError::Busy(_)) => {
                self.router.write_later(self.id, target, value);
                Ok(())
            }
            other => other,
        };
        self.router.deliver_above(mark);
        result
    }

    /// Writes a handler, named as seen from this element, when this element has returned:
    /// after the packets it has put out, and before those it puts out from now on.
    pub fn write_handler_after(&mut self, handler: &str, value: &str) -> Result<(), HandlerError> {
        let target = self.router.find_handler(Some(self.id), handler)?;
        self.router.collect(self);
        self.router.write_later(self.id, target, value);
        Ok(())
    }

    /// Whether this element is going to take over the state of one in another router, which this
    /// router is to replace ([`Element::take_state`](crate::Element::take_state)).
    pub fn inherits(&self) -> bool {
        self.router.inherits(self.id)
    }
}

impl HandlerList {
    /// Adds the handlers of elements with a task: `scheduled`, `tickets` and `home_thread`.
    pub fn task(&mut self) -> &mut Self {
        self.read("scheduled")
            .read_write("tickets")
            .read_write(Cow::Borrowed("home_thread"))
    }
}
