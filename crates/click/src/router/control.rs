//! Reading and writing handlers: the management plane of a router.
//!
//! Besides its own, every element has the handlers `name`, `class`, `config`, `ports` and
//! `handlers`; elements that list `scheduled` or `tickets` have them served here. A handler
//! without an element is the router's own.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::complaints::Circumstance;
use super::schedule::MOST_TICKETS;
use super::{Input, Router, ports};
use crate::arguments::{Argument, ArgumentPlace, NoNames};
use crate::configure::ElementId;
use crate::context::Context;
use crate::graph::{Flat, FlatConnection, Flow};
use crate::handler::{HandlerError, HandlerFlags, HandlerList};

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

/// The router's own handlers, in the order in which Click lists them; `traffic`, which Click has
/// not, is not listed.
pub const GLOBAL_HANDLERS: [(&str, HandlerFlags); 13] = [
    ("version", READ),
    ("driver", READ),
    ("config", READ),
    ("flatconfig", READ),
    ("requirements", READ),
    ("handlers", READ),
    ("list", READ),
    ("stop", WRITE),
    ("classes", READ),
    ("packages", READ),
    ("hotconfig", HandlerFlags { raw: true, ..WRITE }),
    (
        "timewarp",
        HandlerFlags {
            write: true,
            ..READ
        },
    ),
    ("traffic", READ),
];

/// The version of Click whose behaviour this is.
pub const CLICK_VERSION: &str = "2.1";

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

    fn global_handlers(&self) -> impl Iterator<Item = (&'static str, HandlerFlags)> {
        let swaps = self.source.builder.swaps();
        GLOBAL_HANDLERS
            .into_iter()
            .filter(move |(name, _)| swaps || *name != "hotconfig")
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

    fn read_global(&self, name: &str, parameters: &str) -> Result<String, HandlerError> {
        let flags = self.handler_flags(&HandlerTarget::Global(name.into()))?;
        if !flags.read {
            return Err(HandlerError::NotReadable(name.into()));
        }
        if !parameters.is_empty() {
            return Err(HandlerError::NoParameters(name.into()));
        }
        let lines = |names: &mut dyn Iterator<Item = &str>| {
            names.fold(String::new(), |text, name| text + name + "\n")
        };
        Ok(match name {
            "version" => CLICK_VERSION.into(),
            "list" => {
                let names = &self.directory.names;
                format!(
                    "{}\n{}",
                    names.len(),
                    lines(&mut names.iter().map(|name| &**name))
                )
            }
            "classes" => lines(&mut self.source.builder.library().names().into_iter()),
            // Who requires it asks not to keep the text.
            "config" if self.requires("compact_config") => self.flat_configuration().unparse(),
            "config" => self.source.text.to_string(),
            "flatconfig" => self.flat_configuration().unparse(),
            "requirements" => {
                let requirements = self.source.flat.requirements.iter();
                // What is required and its name, each on a line.
                lines(
                    &mut requirements.flat_map(|requirement| match &*requirement.kind {
                        "" => [&*requirement.name, ""],
                        kind => [kind, &*requirement.name],
                    }),
                )
            }
            "handlers" => {
                let mut text = String::new();
                let listed = self
                    .global_handlers()
                    .filter(|(name, _)| *name != "traffic");
                for (name, flags) in listed {
                    handler_line(&mut text, name, flags);
                }
                text
            }
            "traffic" => self.traffic_text(),
            "driver" => "userlevel".into(),
            // Everything is built in, so no package ever is loaded; nor is time warped.
            "packages" => String::new(),
            _ => "1".into(),
        })
    }

    fn write_global(&self, name: &str, value: &str) -> Result<(), HandlerError> {
        let flags = self.handler_flags(&HandlerTarget::Global(name.into()))?;
        if !flags.write {
            return Err(HandlerError::NotWritable(name.into()));
        }
        match name {
            "stop" => {
                self.adjust_run_count(-stop_count(value));
                Ok(())
            }
            "hotconfig" => self.replace_with(value).map_err(HandlerError::refused),
            _ => Err(HandlerError::failed(
                "time can be warped with --simtime only",
            )),
        }
    }

    /// For each element a line: name, class, packets in, packets out.
    fn traffic_text(&self) -> String {
        let mut text = String::new();
        for id in self.elements() {
            let (taken, given) = self.traffic(id);
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{}\t{}\t{taken}\t{given}",
                self.name(id),
                self.class(id).name
            );
        }
        text
    }

    fn requires(&self, name: &str) -> bool {
        let mut requirements = self.source.flat.requirements.iter();
        requirements.any(|requirement| &*requirement.name == name)
    }

    /// An element's handlers, one a line: in Click's order, which is the reverse of that in which
    /// elements name them.
    fn handlers_text(&self, id: ElementId) -> String {
        let mut text = String::new();
        let list = self.element_handlers(id).unwrap_or_default();
        for info in list.iter().rev().filter(|info| !info.flags.private) {
            handler_line(&mut text, &info.name, info.flags);
        }
        text
    }

    /// An element's ports and their connections, as Click's `ports` handler gives them.
    fn ports_text(&self, id: ElementId) -> String {
        let node = self.node(id);
        let mut text = String::new();
        heading(&mut text, node.inputs.len(), "input");
        for (port, input) in node.inputs.iter().enumerate() {
            let agnostic = ports::processing(node.class.processing, false, port)
                == ports::Processing::Agnostic;
            let Input {
                push, connected, ..
            } = input;
            let ends = connected
                .iter()
                .map(|(id, port)| format!("{} [{port}]", self.name(*id)));
            port_line(&mut text, *push, agnostic, &mut { ends });
        }
        let outputs = self.outputs_of(id);
        heading(&mut text, outputs.len(), "output");
        for (port, (push, connected)) in outputs.iter().enumerate() {
            let agnostic =
                ports::processing(node.class.processing, true, port) == ports::Processing::Agnostic;
            let ends = connected
                .iter()
                .map(|(id, port)| format!("[{port}] {}", self.name(*id)));
            port_line(&mut text, *push, agnostic, &mut { ends });
        }
        text
    }

    /// An element's outputs: whether each pushes, and the inputs it leads to.
    pub fn outputs_of(&self, id: ElementId) -> Vec<(bool, Vec<(ElementId, u16)>)> {
        let mut outputs: Vec<(bool, Vec<(ElementId, u16)>)> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            for (port, input) in node.inputs.iter().enumerate() {
                for (_, output) in input.connected.iter().filter(|(from, _)| *from == id) {
                    let output = usize::from(*output);
                    if outputs.len() <= output {
                        outputs.resize(output + 1, (true, Vec::new()));
                    }
                    let port = u16::try_from(port).unwrap_or(u16::MAX);
                    outputs[output].0 = input.push;
                    outputs[output].1.push((ElementId::from_index(index), port));
                }
            }
        }
        outputs
    }

    /// The configuration with compounds expanded and the elements' present configuration strings.
    pub fn flat_configuration(&self) -> Flat {
        let mut flat = self.source.flat.clone();
        for (index, element) in flat.elements.iter_mut().enumerate() {
            element.config = self.element_config(ElementId::from_index(index)).into();
        }
        flat
    }

    /// How packets pass each connection of the flat configuration, in order.
    pub fn flows(&self) -> Vec<Flow> {
        let connections = self.source.flat.connections.iter();
        let pushes = |connection: &FlatConnection| {
            let (to, port) = connection.to;
            self.nodes[to].inputs[usize::from(port)].push
        };
        connections
            .map(|connection| match pushes(connection) {
                true => Flow::Push,
                false => Flow::Pull,
            })
            .collect()
    }
}

fn heading(text: &mut String, count: usize, what: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{count} {what}{}", if count == 1 { "" } else { "s" });
}

/// A port: how packets pass it, and the ports it is connected to.
fn port_line(
    text: &mut String,
    push: bool,
    agnostic: bool,
    ends: &mut dyn Iterator<Item = String>,
) {
    let ends: Vec<String> = ends.collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{}{}\t-\t{}",
        if push { "push" } else { "pull" },
        if agnostic { "~" } else { "" },
        ends.join(", ")
    );
}

fn handler_line(text: &mut String, name: &str, flags: HandlerFlags) {
    text.push_str(name);
    text.push('\t');
    let letters = [
        (flags.read, 'r'),
        (flags.write, 'w'),
        (flags.parameters, '+'),
        (flags.raw, '%'),
        (flags.calm, '.'),
        (flags.expensive, '$'),
        (flags.button, 'b'),
        (flags.checkbox, 'c'),
    ];
    text.extend(
        letters
            .iter()
            .filter(|(set, _)| *set)
            .map(|(_, letter)| *letter),
    );
    text.push('\n');
}

/// How many stops a value written to `stop` asks for: one, unless it is a number.
fn stop_count(value: &str) -> i64 {
    value.trim().parse().unwrap_or(1)
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
