//! How handlers and ports are shown, and what a router is made of.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::configure::ElementId;
use crate::graph::{Flat, FlatConnection, Flow};
use crate::handler::HandlerFlags;
use crate::router::{Input, Router, ports};

impl Router {
    /// An element's handlers, one a line: in Click's order, which is the reverse of that in which
    /// elements name them.
    pub(super) fn handlers_text(&self, id: ElementId) -> String {
        let mut text = String::new();
        let list = self.element_handlers(id).unwrap_or_default();
        for info in list.iter().rev().filter(|info| !info.flags.private) {
            handler_line(&mut text, &info.name, info.flags);
        }
        text
    }

    /// An element's ports and their connections, as Click's `ports` handler gives them.
    pub(super) fn ports_text(&self, id: ElementId) -> String {
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

pub(super) fn handler_line(text: &mut String, name: &str, flags: HandlerFlags) {
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
